// The part of rtnetlink(7) that names namespaces: messages and attributes. What makes links,
// addresses and routes is src/net's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace isle::sys {

/// Protocol of socket(2) with AddressFamily::netlink.
inline constexpr int kNetlinkRoute = 0;

enum class RtmType : std::uint16_t {
  error = 2,  // NLMSG_ERROR
  newlink = 16,
  getlink = 18,
  newnsid = 88,
  getnsid = 90,
};
inline constexpr std::uint16_t kNlmRequest = 1;

struct nlmsghdr {
  std::uint32_t nlmsg_len = 0;
  RtmType nlmsg_type{};
  std::uint16_t nlmsg_flags = 0;
  std::uint32_t nlmsg_seq = 0;
  std::uint32_t nlmsg_pid = 0;
};
static_assert(sizeof(nlmsghdr) == 16);

/// Body of RTM_GETNSID, padded as the kernel pads it.
struct rtgenmsg {
  std::uint8_t rtgen_family = 0;
  std::uint8_t pad[3] = {};
};
/// Body of RTM_GETLINK and RTM_NEWLINK.
struct ifinfomsg {
  std::uint8_t ifi_family = 0;
  std::uint8_t pad = 0;
  std::uint16_t ifi_type = 0;
  std::int32_t ifi_index = 0;
  std::uint32_t ifi_flags = 0;
  std::uint32_t ifi_change = 0;
};
static_assert(sizeof(rtgenmsg) == 4 && sizeof(ifinfomsg) == 16);

/// Header of an attribute; its bytes follow, and the next attribute starts at a multiple of 4.
struct rtattr {
  std::uint16_t rta_len = 0;
  std::uint16_t rta_type = 0;
};
/// Attributes of RTM_GETNSID, <linux/net_namespace.h>.
inline constexpr std::uint16_t kNetnsaNsid = 1;
inline constexpr std::uint16_t kNetnsaFd = 3;
/// Attributes of links, <linux/if_link.h>.
inline constexpr std::uint16_t kIflaIfname = 3;
inline constexpr std::uint16_t kIflaLinkNetnsid = 37;

}  // namespace isle::sys

#include "oci_cli/net_devices.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "isle/fd.h"

namespace isle::oci_cli {
namespace {

/// A request in the making: a header, the family's own header, attributes.
class Request {
 public:
  template <class Body>
  Request(uint16_t type, uint16_t flags, const Body& body) {
    const nlmsghdr header{.nlmsg_len = 0,
                          .nlmsg_type = type,
                          .nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags),
                          .nlmsg_seq = 1,
                          .nlmsg_pid = 0};
    append(&header, sizeof header);
    append(&body, sizeof body);
  }
  Request& add(uint16_t type, const void* data, size_t size) {
    const rtattr attribute{.rta_len = static_cast<uint16_t>(RTA_LENGTH(size)), .rta_type = type};
    append(&attribute, sizeof attribute);
    append(data, size);
    return *this;
  }
  [[nodiscard]] std::string bytes() const {
    std::string whole = bytes_;
    const auto size = static_cast<uint32_t>(whole.size());
    std::memcpy(whole.data(), &size, sizeof size);
    return whole;
  }

 private:
  void append(const void* data, size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  std::string bytes_;
};

/// Sends it, and hands each message of the answer to `each`: 0 or -errno.
int ask(const Request& request, const std::function<void(const nlmsghdr&)>& each = {}) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return -errno;
  const std::string bytes = request.bytes();
  if (::send(socket.get(), bytes.data(), bytes.size(), 0) < 0) return -errno;
  alignas(nlmsghdr) char buffer[32768];
  for (;;) {
    ssize_t got = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? -errno : -EPIPE;
    ssize_t size = got;
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer); NLMSG_OK(message, size);
         message = NLMSG_NEXT(message, size)) {
      if (message->nlmsg_type == NLMSG_DONE) return 0;
      if (message->nlmsg_type == NLMSG_ERROR)
        return static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
      if (each) each(*message);
    }
  }
}

struct Address {
  ifaddrmsg header{};
  std::vector<std::pair<uint16_t, std::string>> attributes;
};

/// What is to be kept: an address that somebody gave it, and that others may use.
std::vector<Address> permanent_addresses(unsigned index) {
  std::vector<Address> found;
  const ifaddrmsg all{};
  (void)ask(Request(RTM_GETADDR, NLM_F_DUMP, all), [&](const nlmsghdr& message) {
    if (message.nlmsg_type != RTM_NEWADDR) return;
    Address address;
    std::memcpy(&address.header, NLMSG_DATA(&message), sizeof address.header);
    const bool permanent = (address.header.ifa_flags & IFA_F_PERMANENT) != 0;
    if (address.header.ifa_index != index || !permanent ||
        address.header.ifa_scope != RT_SCOPE_UNIVERSE)
      return;
    auto left = static_cast<int>(IFA_PAYLOAD(&message));
    for (const auto* attribute = IFA_RTA(static_cast<const ifaddrmsg*>(NLMSG_DATA(&message)));
         RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
      const uint16_t type = attribute->rta_type;
      if (type == IFA_ADDRESS || type == IFA_LOCAL || type == IFA_BROADCAST)
        address.attributes.emplace_back(
            type,
            std::string(static_cast<const char*>(RTA_DATA(attribute)), RTA_PAYLOAD(attribute)));
    }
    found.push_back(std::move(address));
  });
  return found;
}

/// In the namespace: the addresses again, and up.
int set_up(const std::string& name, const std::vector<Address>& addresses) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return -errno;
  for (const Address& address : addresses) {
    ifaddrmsg header = address.header;
    header.ifa_index = index;
    Request request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, header);
    for (const auto& [type, data] : address.attributes) request.add(type, data.data(), data.size());
    if (const int error = ask(request); error < 0) return error;
  }
  const ifinfomsg up{.ifi_family = AF_UNSPEC,
                     .ifi_type = 0,
                     .ifi_index = static_cast<int>(index),
                     .ifi_flags = IFF_UP,
                     .ifi_change = IFF_UP};
  return ask(Request(RTM_NEWLINK, NLM_F_ACK, up));
}

/// Runs in a child, which alone is in the namespace: 0 or -errno.
int in_namespace(int netns, const std::function<int()>& function) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int error = ::setns(netns, CLONE_NEWNET) < 0 ? -errno : function();
    ::_exit(-error);
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) < 0) return -errno;
  return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECANCELED;
}

int move(const oci::NetDevice& device, int netns) {
  const unsigned index = ::if_nametoindex(device.name.c_str());
  if (index == 0) return -errno;
  const auto addresses = permanent_addresses(index);
  const ifinfomsg link{.ifi_family = AF_UNSPEC,
                       .ifi_type = 0,
                       .ifi_index = static_cast<int>(index),
                       .ifi_flags = 0,
                       .ifi_change = 0};
  Request request(RTM_NEWLINK, NLM_F_ACK, link);
  request.add(IFLA_NET_NS_FD, &netns, sizeof netns);
  request.add(IFLA_IFNAME, device.new_name.c_str(), device.new_name.size() + 1);
  if (const int error = ask(request); error < 0) return error;
  return in_namespace(netns, [&] { return set_up(device.new_name, addresses); });
}

}  // namespace

Status move_net_devices(const std::vector<oci::NetDevice>& devices, pid_t host_pid) {
  if (devices.empty()) return {};
  const Fd netns(::open(fmt::format("/proc/{}/ns/net", host_pid).c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns) return fail(errno, "open the container's network namespace");
  for (const oci::NetDevice& device : devices) {
    const int error = move(device, netns.get());
    if (error == 0) continue;
    Error failed{.code = -error,
                 .what = fmt::format("move network device \"{}\" into the container as \"{}\"",
                                     device.name, device.new_name),
                 .asked_by = device.asked_by};
    if (error == -EEXIST) failed.hint = "the container's network namespace has one of that name";
    return std::unexpected(std::move(failed));
  }
  return {};
}

}  // namespace isle::oci_cli

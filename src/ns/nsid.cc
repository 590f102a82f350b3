// The numbers by which network namespaces know each other, asked of rtnetlink(7): two requests with
// one answer each. Whoever makes links, addresses and routes is src/net.
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "isle/namespace.h"
#include "ns/search.h"
#include "sys/abi_netlink.h"
#include "sys/syscalls.h"

namespace isle {
namespace {

constexpr size_t kMostBytes = 16UL * 1024;  // a link's answer is 2 KiB or so

constexpr size_t aligned(size_t size) { return (size + 3) & ~size_t{3}; }

/// One request and its answer, in one buffer.
class Exchange {
 public:
  template <class Body>
  Exchange(sys::RtmType type, const Body& body) {
    sys::nlmsghdr header;
    header.nlmsg_type = type;
    header.nlmsg_flags = sys::kNlmRequest;
    append(&header, sizeof header);
    append(&body, sizeof body);
  }

  void add(uint16_t type, const void* value, size_t size) {
    const sys::rtattr head{static_cast<uint16_t>(sizeof head + size), type};
    append(&head, sizeof head);
    append(value, size);
    size_ = aligned(size_);
  }

  /// 0, or the errno; afterwards attribute() reads the answer.
  int send_and_receive() {
    const auto length = static_cast<uint32_t>(size_);
    std::memcpy(buffer_.data() + offsetof(sys::nlmsghdr, nlmsg_len), &length, sizeof length);
    const int fd = sys::socket(sys::AddressFamily::netlink,
                               sys::SocketType::raw | sys::SocketType::cloexec, sys::kNetlinkRoute);
    if (fd < 0) return -fd;
    const Fd closer(fd);
    struct {
      uint16_t family = static_cast<uint16_t>(sys::AddressFamily::netlink);
      uint16_t pad = 0;
      uint32_t pid = 0;  // the kernel
      uint32_t groups = 0;
    } kernel;
    if (const long sent =
            sys::sendto(fd, buffer_.data(), size_, sys::MsgFlags::none, &kernel, sizeof kernel);
        sent < 0)
      return static_cast<int>(-sent);
    long got = -EINTR;
    while (got == -EINTR)
      got =
          sys::recvfrom(fd, buffer_.data(), buffer_.size(), sys::MsgFlags::none, nullptr, nullptr);
    if (got < 0) return static_cast<int>(-got);
    size_ = static_cast<size_t>(got);
    if (size_ < sizeof(sys::nlmsghdr) + sizeof(int32_t)) return EBADMSG;
    sys::nlmsghdr header;
    std::memcpy(&header, buffer_.data(), sizeof header);
    if (header.nlmsg_type != sys::RtmType::error) return 0;
    return -at<int32_t>(sizeof header);
  }

  /// The number in an attribute that follows `body_size` bytes of body.
  [[nodiscard]] std::optional<int32_t> attribute(size_t body_size, uint16_t type) const {
    size_t here = sizeof(sys::nlmsghdr) + body_size;
    while (here + sizeof(sys::rtattr) <= size_) {
      const auto head = at<sys::rtattr>(here);
      if (head.rta_len < sizeof head || here + head.rta_len > size_) break;
      if (head.rta_type == type && head.rta_len >= sizeof head + sizeof(int32_t))
        return at<int32_t>(here + sizeof head);
      here += aligned(head.rta_len);
    }
    return std::nullopt;
  }

 private:
  void append(const void* bytes, size_t size) {
    std::memcpy(buffer_.data() + size_, bytes, size);
    size_ += size;
  }
  template <class T>
  [[nodiscard]] T at(size_t offset) const {
    T value;
    std::memcpy(&value, buffer_.data() + offset, sizeof value);
    return value;
  }

  alignas(8) std::array<char, kMostBytes> buffer_{};
  size_t size_ = 0;
};

Result<int32_t> ask_nsid(const Namespace& network) {
  const std::string what = "get the nsid of " + network.link_text();
  Exchange exchange(sys::RtmType::getnsid, sys::rtgenmsg{});
  const int32_t fd = network.fd().get();
  exchange.add(sys::kNetnsaFd, &fd, sizeof fd);
  if (const int error = exchange.send_and_receive(); error != 0) return fail(error, what);
  const auto nsid = exchange.attribute(sizeof(sys::rtgenmsg), sys::kNetnsaNsid);
  if (!nsid || *nsid < 0)
    return fail(ENOENT, what, "the caller's network namespace has given it no number");
  return *nsid;
}

}  // namespace

Result<int32_t> Namespace::nsid() const {
  if (type_ == NamespaceType::network) return ask_nsid(*this);
  return fail(EINVAL, "get the nsid of " + link_text(), "only network namespaces have one");
}

Result<Namespace> Namespace::of_nsid(int32_t nsid) {
  std::optional<Namespace> found;
  ns::visit_namespaces(NamespaceType::network, [&](Namespace& network) {
    if (ask_nsid(network).value_or(-1) == nsid) found = std::move(network);
    return found.has_value();
  });
  if (found) return std::move(*found);
  return fail(ENOENT, "open the network namespace with nsid " + std::to_string(nsid),
              "neither a process of /proc is in it nor is it bound to a file here");
}

Result<Namespace> Namespace::of_link_peer(const std::string& interface) {
  const std::string what = "find the other end of interface \"" + interface + '"';
  constexpr size_t kLongestName = 15;
  if (interface.empty() || interface.size() > kLongestName)
    return fail(ENODEV, what, "an interface's name has 1 to 15 bytes");
  Exchange exchange(sys::RtmType::getlink, sys::ifinfomsg{});
  exchange.add(sys::kIflaIfname, interface.c_str(), interface.size() + 1);
  if (const int error = exchange.send_and_receive(); error != 0) return fail(error, what);
  const auto nsid = exchange.attribute(sizeof(sys::ifinfomsg), sys::kIflaLinkNetnsid);
  return nsid ? of_nsid(*nsid) : of_self(NamespaceType::network);
}

Result<Namespace> Namespace::of_socket(BorrowedFd socket) {
  // The request's number is a socket's only there; a terminal may take it for something else.
  const std::string what =
      "get the network namespace of descriptor " + std::to_string(socket.get());
  sys::statx_t stat;
  if (const int r =
          sys::statx(socket.get(), "", sys::AtFlags::empty_path, sys::StatxMask::type, &stat);
      r < 0)
    return fail(-r, what);
  if ((stat.stx_mode & sys::kModeTypeMask) != sys::kModeSocket)
    return fail(ENOTTY, what, "it is no socket");
  const int fd = sys::ioctl(socket.get(), sys::Ioctl::siocgskns);
  if (fd < 0) return fail(-fd, what);
  return from_fd(Fd(fd), NamespaceType::network);
}

}  // namespace isle

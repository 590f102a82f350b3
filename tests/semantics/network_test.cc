// network_namespaces(7), DESCRIPTION: what is more than a row of isolation_test.cc: where devices live,
// tunnels and bridges of veth devices, and what is shared all the same.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "member.h"
#include "support/support.h"

namespace isle::test {
namespace {

using enum NamespaceType;
using sys::CloneFlags;

/// `ip WORDS` in the caller's network namespace.
std::string ip(const std::string& words) {
  std::vector<std::string> argv = {"ip"};
  for (size_t at = 0; at < words.size();) {
    const size_t end = std::min(words.find(' ', at), words.size());
    argv.push_back(words.substr(at, end - at));
    at = end + 1;
  }
  return output_of(argv);
}
/// The same in a member's.
std::string ip(const Member& member, const std::string& words) {
  return member.ask([&] { return ip(words); });
}
std::string pid_text(const Member& member) { return std::to_string(member.pid()); }

bool has_device(const Member& member, const std::string& name) {
  return member.ask([&] {
    return std::string(::if_nametoindex(name.c_str()) != 0 ? "yes" : "no");
  }) == "yes";
}
bool has_device(const std::string& name) { return ::if_nametoindex(name.c_str()) != 0; }

constexpr uint16_t kPort = 47114;

sockaddr_in address(const char* text) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(kPort);
  must(::inet_pton(AF_INET, text, &result.sin_addr) - 1);
  return result;
}

Fd stream_socket(int family) {
  return Fd(static_cast<int>(must(libc(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)))));
}

/// A socket that listens in `member`'s namespace. It stays of that one, whoever holds it.
Fd listen_in(const Member& member, const char* at) {
  const Namespace here = must(Namespace::of_self(network));
  must(member.of(network).enter());
  Fd socket = stream_socket(AF_INET);
  const sockaddr_in name = address(at);
  must(libc(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name)));
  must(libc(::listen(socket.get(), 1)));
  must(here.enter());
  return socket;
}

/// Sends a word to who listens at `to`: what arrives there, or why it cannot be sent.
std::string send_word(const Fd& listener, const char* to) {
  const Fd socket = stream_socket(AF_INET);
  const sockaddr_in name = address(to);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    return outcome(libc(-1));
  }
  must(libc(::write(socket.get(), "word", 4)));
  const Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  char text[8] = {};
  must(libc(::read(accepted.get(), text, sizeof text)));
  return text;
}

/// Each test stands in a network namespace of its own.
class Network : public testing::Test {
 protected:
  void SetUp() override { ISLE_REQUIRE("root", "netns", "ip"); }
  static void apart(const std::function<void()>& function) {
    expect_in_fork([&] {
      must(sys::unshare(CloneFlags::newnet));
      function();
    });
  }
};

// A new one has a loopback device, which is down, and nothing else: no address, no route.
TEST_F(Network, ANewOneIsEmpty) {
  apart([] {
    const std::string links = ip("-o link show type bridge") + ip("-o link show up");
    EXPECT_EQ(links, "");
    EXPECT_TRUE(has_device("lo"));
    EXPECT_EQ(ip("-o address"), "");
    EXPECT_EQ(ip("route show table all"), "");
    ip("link set lo up");
    EXPECT_NE(ip("-o address").find("127.0.0.1/8"), std::string::npos);
  });
}

// "the /proc/net directory (which is a symbolic link to /proc/PID/net)": each process's shows the
// namespace of that process.
TEST_F(Network, ProcNetIsOfTheProcess) {
  apart([] {
    char link[16] = {};
    must(libc(::readlink("/proc/net", link, sizeof link - 1)));
    EXPECT_STREQ(link, "self/net");
    ip("link add isle-br type bridge");
    const std::string ours = "/proc/" + std::to_string(::getpid()) + "/net/dev";
    const Member member({network});
    EXPECT_NE(member.ask([&] { return read_file(ours); }).find("isle-br"), std::string::npos);
    EXPECT_EQ(member.ask([] { return read_file("/proc/self/net/dev"); }).find("isle-br"),
              std::string::npos);
    EXPECT_EQ(read_file("/proc/" + pid_text(member) + "/net/dev").find("isle-br"),
              std::string::npos);
  });
}

// "A physical network device can live in exactly one network namespace": as each device. Moved, it is
// gone from where it was, with its addresses; the name is free there.
TEST_F(Network, ADeviceLivesInOneNamespace) {
  apart([] {
    const Member member({network});
    ip("link add isle0 type veth peer name isle1");
    ip("address add 192.0.2.1/24 dev isle0");
    ip("link set isle0 netns " + pid_text(member));
    EXPECT_TRUE(has_device(member, "isle0"));
    EXPECT_FALSE(has_device("isle0"));
    EXPECT_TRUE(has_device("isle1")) << "its peer has stayed";
    EXPECT_EQ(ip(member, "-o address show dev isle0"), "");
    ip("link add isle0 type bridge");
    EXPECT_TRUE(has_device("isle0"));
  });
}

// Some devices cannot be moved: the loopback device.
TEST_F(Network, TheLoopbackDeviceStays) {
  apart([] {
    const Member member({network});
    EXPECT_FALSE(run_command({"ip", "link", "set", "lo", "netns", pid_text(member)}).ok());
  });
}

// "A virtual network (veth(4)) device pair provides a pipe-like abstraction that can be used to create
// tunnels between network namespaces".
TEST_F(Network, AVethPairIsATunnel) {
  apart([] {
    const Member far_end({network});
    ip("link add isle0 type veth peer name isle1 netns " + pid_text(far_end));
    ip("address add 192.0.2.1/24 dev isle0");
    ip("link set isle0 up");
    ip(far_end, "address add 192.0.2.2/24 dev isle1");
    ip(far_end, "link set isle1 up");
    const Fd listener = listen_in(far_end, "192.0.2.2");
    EXPECT_EQ(send_word(listener, "192.0.2.2"), "word");
    ip(far_end, "link set isle1 down");
    EXPECT_EQ(ip("-o link show isle0 up").find("LOWER_UP"), std::string::npos)
        << "what one end does shows at the other";
  });
}

// "and can be used to create a bridge": three namespaces, two of them joined by a bridge in the third.
TEST_F(Network, ABridgeJoinsNamespaces) {
  apart([] {
    const Member one({network});
    const Member other({network});
    ip("link add isle-br type bridge");
    ip("link set isle-br up");
    const auto plug_in = [](const Member& member, const std::string& port, const std::string& at) {
      ip("link add " + port + " type veth peer name eth0 netns " + pid_text(member));
      ip("link set " + port + " master isle-br up");
      ip(member, "address add " + at + "/24 dev eth0");
      ip(member, "link set eth0 up");
    };
    plug_in(one, "isle1", "192.0.2.1");
    plug_in(other, "isle2", "192.0.2.2");
    const Fd listener = listen_in(other, "192.0.2.2");
    const Namespace home = one.of(network);
    EXPECT_EQ(ask_outside([&] {
                must(home.enter());
                return send_word(listener, "192.0.2.2");
              }),
              "word");
    ip("link set isle2 nomaster");
    EXPECT_EQ(ip("-o link show master isle-br").find("isle2"), std::string::npos);
  });
}

// "When a namespace is freed, the veth(4) devices that it contains are destroyed": and so their peers.
TEST_F(Network, VethDevicesDieWithTheirNamespace) {
  apart([] {
    Member far_end({network});
    ip("link add isle0 type veth peer name isle1 netns " + pid_text(far_end));
    EXPECT_TRUE(has_device("isle0"));
    far_end.end();
    const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds{20'000});
    while (has_device("isle0") && std::chrono::steady_clock::now() < deadline) ::usleep(5000);
    EXPECT_FALSE(has_device("isle0"))
        << "the kernel frees in a work queue, but by now it should have";
  });
}

// "port numbers (sockets)": a socket stays of the namespace it was made in, wherever its holder goes;
// both sides have the same port at once.
TEST_F(Network, TheSamePortInTwoNamespaces) {
  apart([] {
    const Member member({network});
    ip("link set lo up");
    ip(member, "link set lo up");
    const Fd there = listen_in(member, "127.0.0.1");
    EXPECT_EQ(send_word(there, "127.0.0.1"), "ECONNREFUSED");
    const Fd here = stream_socket(AF_INET);
    const sockaddr_in name = address("127.0.0.1");
    EXPECT_EQ(::bind(here.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    EXPECT_EQ(ask_outside([&] {
                must(member.of(network).enter());
                return send_word(there, "127.0.0.1");
              }),
              "word");
  });
}

// "firewall rules": they hold in their own namespace only.
TEST_F(Network, FirewallRulesHoldInTheirNamespace) {
  ISLE_REQUIRE("nft");
  apart([] {
    const Member walled({network}, [] {
      ip("link set lo up");
      output_of({"nft",
                 "add table inet isle; add chain inet isle in { type filter hook input "
                 "priority 0; }; add rule inet isle in tcp dport 47114 reject with tcp reset"});
    });
    const Member open({network}, [] { ip("link set lo up"); });
    const auto try_in = [](const Member& member) {
      return ask_outside([&] {
        const Fd listener = listen_in(member, "127.0.0.1");
        must(member.of(network).enter());
        return send_word(listener, "127.0.0.1");
      });
    };
    EXPECT_EQ(try_in(walled), "ECONNREFUSED");
    EXPECT_EQ(try_in(open), "word");
  });
}

// "In addition, network namespaces isolate the UNIX domain abstract socket namespace": and only that one:
// a socket with a path is found by its file (unix(7)).
TEST_F(Network, UnixSocketsWithAPathAreNotApart) {
  const TempDir dir;
  const auto connect_to = [](const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.data(), path.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    const Fd listener = stream_socket(AF_UNIX);
    must(libc(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&name), length)));
    must(libc(::listen(listener.get(), 1)));
    const Member member({network});
    return member.ask([&] {
      const Fd socket = stream_socket(AF_UNIX);
      return outcome(
          libc(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), length)));
    });
  };
  EXPECT_EQ(connect_to(dir / "socket"), "done");
  EXPECT_EQ(connect_to(std::string("\0isle-abstract", 14)), "ECONNREFUSED");
}

// "When a network namespace is freed ..., its physical network devices are moved back to the initial
// network namespace (not to the parent of the process)." ISLE_TEST_NIC names one that may be taken.
TEST_F(Network, APhysicalDeviceReturnsToTheInitialNamespace) {
  ISLE_REQUIRE("nic");
  const char* named = std::getenv("ISLE_TEST_NIC");  // NOLINT(concurrency-mt-unsafe)
  const std::string nic = named != nullptr ? named : "";
  const Namespace initial = must(Namespace::of_self(network));
  Member parent({network});
  const std::string index = parent.ask([&] {
    Member child({network});
    const Namespace home = child.of(network);
    must(initial.enter());
    ip("link set " + nic + " netns " + pid_text(child));
    EXPECT_FALSE(has_device(nic));
    EXPECT_TRUE(has_device(child, nic));
    return std::string("moved");
  });
  EXPECT_EQ(index, "moved");
  const auto deadline = std::chrono::steady_clock::now() + scaled(milliseconds{20'000});
  while (!has_device(nic) && std::chrono::steady_clock::now() < deadline) ::usleep(5000);
  EXPECT_TRUE(has_device(nic));
  EXPECT_FALSE(has_device(parent, nic));
}

}  // namespace
}  // namespace isle::test

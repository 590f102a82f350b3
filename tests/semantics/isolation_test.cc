// "Changes to the global resource are visible to other processes that are members of the namespace,
// but are invisible to other processes": one row for each resource that the documents name. Clocks,
// pids and ids, which are seen apart without anybody's change, have files of their own.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstring>
#include <ostream>
#include <tuple>

#include "member.h"
#include "support/support.h"

namespace isle::test {
namespace {

using enum NamespaceType;

constexpr key_t kKey = 0x69736c65;
constexpr uint16_t kPort = 47113;
constexpr const char* kName = "isle-inside";

struct Resource {
  const char* name;
  NamespaceType type;
  const char* need;  // beyond root
  /// Done by the first member. What it opens stays open.
  void (*change)();
  /// What a process sees of the resource ...
  std::string (*view)();
  /// ... in which this is what the change made.
  const char* mark;
};
std::ostream& operator<<(std::ostream& stream, const Resource& resource) {
  return stream << resource.name;
}

std::string mqueue_files() {
  own_mounts();
  must(sys::mount("mqueue", "/mnt", "mqueue", sys::MountFlags::none, nullptr));
  return output_of({"ls", "/mnt"});
}

std::string sysfs_devices() {
  own_mounts();  // sysfs shows the network namespace of who mounted it
  must(sys::mount("sysfs", "/mnt", "sysfs", sys::MountFlags::none, nullptr));
  return output_of({"ls", "/mnt/class/net"});
}

template <class Address>
long bind_here(int family, const Address& address, socklen_t length, bool keep) {
  Fd socket(static_cast<int>(must(libc(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)))));
  const long result =
      libc(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length));
  if (keep) std::ignore = socket.release();
  return result;
}

long bind_port(bool keep) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  return bind_here(AF_INET, address, sizeof address, keep);
}

long bind_abstract(bool keep) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, kName, std::strlen(kName));  // a leading NUL: unix(7), abstract
  const auto length = offsetof(sockaddr_un, sun_path) + 1 + std::strlen(kName);
  return bind_here(AF_UNIX, address, static_cast<socklen_t>(length), keep);
}

void add_bridge() { output_of({"ip", "link", "add", kName, "type", "bridge"}); }

const Resource kResources[] = {
    // namespaces(7), table: UTS, "Hostname and NIS domain name"; the overview: uname() tells it.
    {"Hostname", uts, "root", [] { must(sys::sethostname(kName, std::strlen(kName))); },
     []() -> std::string {
       utsname names{};
       must(libc(::uname(&names)));
       return names.nodename;
     },
     kName},
    {"DomainName", uts, "root", [] { must(sys::setdomainname(kName, std::strlen(kName))); },
     [] { return read_file("/proc/sys/kernel/domainname"); }, kName},
    // namespaces(7), table: IPC, "System V IPC, POSIX message queues".
    {"SharedMemory", ipc, "root", [] { must(libc(::shmget(kKey, 4096, IPC_CREAT | 0600))); },
     [] { return outcome(libc(::shmget(kKey, 0, 0))); }, "done"},
    {"Semaphores", ipc, "root", [] { must(libc(::semget(kKey, 1, IPC_CREAT | 0600))); },
     [] { return outcome(libc(::semget(kKey, 0, 0))); }, "done"},
    {"MessageQueue", ipc, "root", [] { must(libc(::msgget(kKey, IPC_CREAT | 0600))); },
     [] { return outcome(libc(::msgget(kKey, 0))); }, "done"},
    {"SystemVObjectsInProc", ipc, "root", [] { must(libc(::msgget(kKey, IPC_CREAT | 0600))); },
     [] { return read_file("/proc/sysvipc/msg"); }, "1769172069"},  // kKey
    {"PosixMessageQueue", ipc, "root",
     [] { must(libc(::mq_open("/isle-inside", O_CREAT | O_RDWR, 0600, nullptr))); },
     [] { return outcome(libc(::mq_open("/isle-inside", O_RDONLY | O_CLOEXEC))); }, "done"},
    // The overview, IPC: its own POSIX message queue file system.
    {"MessageQueueFileSystem", ipc, "root",
     [] { must(libc(::mq_open("/isle-inside", O_CREAT | O_RDWR, 0600, nullptr))); }, mqueue_files,
     kName},
    {"IpcSettings", ipc, "root", [] { write_file("/proc/sys/kernel/msgmni", "77"); },
     [] { return "=" + read_file("/proc/sys/kernel/msgmni"); }, "=77\n"},
    // namespaces(7), table: Mount, "Mount points"; the overview: mount() and umount().
    {"MountPoints", mount, "root",
     [] {
       own_mounts();
       must(sys::mount(kName, "/mnt", "tmpfs", sys::MountFlags::none, nullptr));
     },
     [] { return read_file("/proc/self/mountinfo"); }, kName},
    // network_namespaces(7), DESCRIPTION, in the order of its list.
    {"NetworkDevices", network, "ip", add_bridge, [] { return output_of({"ip", "link"}); }, kName},
    {"Addresses4", network, "ip",
     [] { output_of({"ip", "address", "add", "192.0.2.47/32", "dev", "lo"}); },
     [] { return output_of({"ip", "-4", "address"}); }, "192.0.2.47/32"},
    {"Addresses6", network, "ip",
     [] { output_of({"ip", "address", "add", "2001:db8::47/128", "dev", "lo", "nodad"}); },
     [] { return output_of({"ip", "-6", "address"}); }, "2001:db8::47/128"},
    {"Routes", network, "ip",
     [] { output_of({"ip", "route", "add", "blackhole", "198.51.100.0/24"}); },
     [] { return output_of({"ip", "route"}); }, "blackhole 198.51.100.0/24"},
    {"RoutingRules", network, "ip",
     [] { output_of({"ip", "rule", "add", "from", "198.51.100.1", "lookup", "4747"}); },
     [] { return output_of({"ip", "rule"}); }, "lookup 4747"},
    {"FirewallRules", network, "nft",
     [] { output_of({"nft", "add", "table", "inet", "isle_inside"}); },
     [] { return output_of({"nft", "list", "tables"}); }, "isle_inside"},
    {"IptablesRules", network, "program:iptables-legacy",
     [] { output_of({"iptables-legacy", "-N", "isle-inside"}); },
     [] { return output_of({"iptables-legacy", "-S"}); }, "isle-inside"},
    {"ProcNet", network, "ip", add_bridge, [] { return read_file("/proc/net/dev"); }, kName},
    {"SysClassNet", network, "ip", add_bridge, sysfs_devices, kName},
    {"ProcSysNet", network, "root", [] { write_file("/proc/sys/net/ipv4/ip_default_ttl", "77"); },
     [] { return "=" + read_file("/proc/sys/net/ipv4/ip_default_ttl"); }, "=77\n"},
    {"ProcSysNetDevices", network, "ip", add_bridge,
     [] { return output_of({"ls", "/proc/sys/net/ipv4/conf"}); }, kName},
    {"Ports", network, "root", [] { must(bind_port(true)); },
     [] { return outcome(bind_port(false)); }, "EADDRINUSE"},
    {"AbstractSockets", network, "root", [] { must(bind_abstract(true)); },
     [] { return outcome(bind_abstract(false)); }, "EADDRINUSE"},
    {"UnixSocketsInProc", network, "root", [] { must(bind_abstract(true)); },
     [] { return read_file("/proc/net/unix"); }, "@isle-inside"},
};

class Isolation : public testing::TestWithParam<Resource> {};

bool contains(const std::string& text, const char* mark) {
  return text.find(mark) != std::string::npos;
}

// namespaces(7), Introduction: members see the change, others do not.
TEST_P(Isolation, AChangeInsideIsSeenByMembersAndByNobodyElse) {
  const Resource& resource = GetParam();
  ISLE_REQUIRE("root", "netns", resource.need);
  const Member changed({resource.type}, resource.change);
  const Member neighbour({resource.type});
  EXPECT_TRUE(contains(changed.ask(resource.view), resource.mark)) << changed.ask(resource.view);
  EXPECT_FALSE(contains(neighbour.ask(resource.view), resource.mark));
  EXPECT_FALSE(contains(ask_outside(resource.view), resource.mark));
}

INSTANTIATE_TEST_SUITE_P(, Isolation, testing::ValuesIn(kResources),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace isle::test

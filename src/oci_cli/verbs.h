// The verbs of isle-oci: a row each in main.cc, a function each in the file of its group.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "isle/host.h"
#include "isle/run.h"
#include "oci/config.h"
#include "oci/state.h"
#include "oci_cli/command_line.h"
#include "oci_cli/report.h"

namespace isle::oci_cli {

/// One call of isle-oci.
struct Call {
  CommandLine line;
  Report report;
  std::string root;  ///< Where the containers' states are.
  /// The caller's that may be the container's, from 3 on: not what isle-oci opens itself.
  std::vector<int> descriptors;

  [[nodiscard]] std::string id() const {
    return line.operands.empty() ? std::string{} : line.operands.front();
  }
};

struct Verb {
  std::string_view name;
  int (*main)(const Call& call);
  std::string_view operands;
  std::string_view what;
};
std::span<const Verb> all_verbs();

/// A container of `call`'s root with its state, locked where it is to be changed: a hook, which runs
/// while its container is locked, may ask for the state.
struct Opened {
  oci::Directory directory;
  oci::State state;
  Fd process;  ///< Its first one; none where it has ended.
};
enum class Access : uint8_t { change, read };
Result<Opened> open_container(const Call& call, const std::string& id,
                              Access access = Access::change);

// create.cc
int create(const Call& call);
int run(const Call& call);
int start(const Call& call);
int explain_bundle(const Call& call);
// exec.cc
int exec(const Call& call);
// control.cc
int state(const Call& call);
int kill(const Call& call);
int remove(const Call& call);
int list(const Call& call);
int ps(const Call& call);
int pause(const Call& call);
int resume(const Call& call);
/// What `delete --force` does, poststop hooks and all.
Status destroy(const Call& call, const Opened& opened);
// limits.cc
int update(const Call& call);
// events.cc
int events(const Call& call);
// checkpoint.cc
int checkpoint(const Call& call);
int restore(const Call& call);
// about.cc
int spec(const Call& call);
int features(const Call& call);
std::string version_text();

// ---- what the process of create, run and exec has in common: process_options.cc ----------------

/// Call::descriptors: those that --preserve-fds and LISTEN_FDS may mean, and that are open.
std::vector<int> callers_descriptors(const CommandLine& line);
/// --preserve-fds, as numbers.
Status pass_descriptors(const Call& call, Spec& spec);
/// The descriptors that the service manager gave us (sd_listen_fds(3)).
void pass_listening_sockets(const Call& call, Spec& spec);
/// Whether the process's environment has it.
bool has_variable(const Spec& spec, std::string_view name);
/// Pipes and terminals that are its 0, 1 and 2 become its user's, which may have to open them again
/// (/dev/stdout). `uids`: of a user namespace that it joins.
void give_standard_descriptors(const Spec& spec, const IdMap& uids);
/// Where setgroups(2) is denied to everybody in the caller's user namespace the groups stay: user_namespaces(7).
void keep_groups_where_denied(const Host& host, const Report& report, Spec& spec);
/// Where the caller may use some CPUs only: all that its cgroup lets it use, unless the spec says which.
void widen_affinity(Spec& spec);
/// Each variable once, the last of them; a HOME, by /etc/passwd of `root`, a directory of the host's.
void complete_environment(Spec& spec, const std::string& root);
/// --console-socket, --pidfd-socket: hands a descriptor over, where the flag is given and there is one.
Status send_to(const CommandLine& line, std::string_view flag, BorrowedFd descriptor);
/// The same to the socket at `path`, where that is not empty.
Status send_descriptor(const std::string& path, BorrowedFd descriptor, std::string_view what);
Status write_pid_file(const std::string& path, pid_t pid);
/// The filter's program into `spec`, from the cache below `root` where it is there.
Status load_filter(const std::optional<oci::Filter>& filter, const std::string& root, Spec& spec);
/// The listener, and what the runtime-spec wants told of its process, to who listens at the
/// filter's listenerPath.
Status hand_listener_over(const oci::Filter& filter, BorrowedFd listener, pid_t host_pid,
                          const oci::Json& container);
/// Errors that engines know by their words, as those words.
Error in_engine_words(Error error, const Plan& plan, const std::vector<std::string>& args);

}  // namespace isle::oci_cli

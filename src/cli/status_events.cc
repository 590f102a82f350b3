#include "cli/status_events.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "isle/names.h"
#include "isle/namespace.h"

namespace isle::cli {
namespace {

using Json = nlohmann::ordered_json;

// A path need not be UTF-8; JSON is.
std::string line(const Json& event) {
  return event.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string started_event(const Process& process) {
  Json namespaces = Json::object();
  for (const NamespaceTypeInfo& info : kNamespaceTypeTable) {
    const uint64_t inode = process.namespace_inode(info.type);
    if (inode != 0) namespaces[std::string(info.name)] = inode;
  }
  return line(
      {{"event", "started"}, {"pid", process.host_pid()}, {"namespaces", std::move(namespaces)}});
}

std::string exited_event(const ExitStatus& status, bool timed_out) {
  Json event = {{"event", "exited"}};
  if (status.signal != 0) {
    event["signal"] = status.signal;
    event["name"] = signal_name(status.signal);
    event["core_dumped"] = status.core_dumped;
  } else {
    event["code"] = status.code;
  }
  if (timed_out) event["timeout"] = true;
  return line(event);
}

std::string failed_event(const Error& error, int status) {
  Json event = {{"event", "failed"}, {"status", status}, {"error", error.summary()}};
  if (error.code != 0) event["errno"] = error.code;
  if (error.step >= 0) event["step"] = error.step;
  if (!error.asked_by.empty()) event["asked_by"] = error.asked_by;
  if (!error.hint.empty()) event["hint"] = error.hint;
  return line(event);
}

StatusEvents::StatusEvents(int fd) : fd_(fd) {
  // The command gets this descriptor only by --pass-fd.
  if (fd_ > STDERR_FILENO) ::fcntl(fd_, F_SETFD, FD_CLOEXEC);
}

void StatusEvents::write(const std::string& event) const {
  if (wanted()) write_all(fd_, event + "\n");
}

Status PidFile::write(pid_t host_pid) {
  if (path_.empty()) return {};
  const std::string text = fmt::format("{}\n", host_pid);
  const std::string fresh = fmt::format("{}.isle-{}", path_, ::getpid());
  Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  const bool good = fd && write_all(fd.get(), text) && ::rename(fresh.c_str(), path_.c_str()) == 0;
  if (!good) {
    const int code = errno;
    if (fd) ::unlink(fresh.c_str());
    return fail(code, fmt::format("--pid-file: write the pid to \"{}\"", path_),
                code == ENOENT ? "its directory does not exist" : "");
  }
  written_ = text;
  return {};
}

void PidFile::remove() {
  if (written_.empty()) return;
  const Fd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  std::array<char, 32> buffer{};
  const ssize_t count = fd ? ::read(fd.get(), buffer.data(), buffer.size()) : -1;
  const bool ours =
      count >= 0 && std::string_view(buffer.data(), static_cast<size_t>(count)) == written_;
  if (ours) ::unlink(path_.c_str());
  written_.clear();
}

}  // namespace isle::cli

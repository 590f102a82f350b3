// Which processes are below us, and ending them.
#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "leak_check.h"
#include "process_table.h"

namespace isle::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr milliseconds kPause{5};

// /proc/PID/stat: "pid (name) state ppid pgrp session ..."; the name may hold anything.
bool parse_stat(const std::string& text, ProcessEntry& entry) {
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  if (open == text.npos || close == text.npos) return false;
  entry.name = text.substr(open + 1, close - open - 1);
  pid_t group = 0;
  std::istringstream rest(text.substr(close + 1));
  return static_cast<bool>(rest >> entry.state >> entry.parent >> group >> entry.session);
}

// /proc/`pid`/stat, empty if the process has ended meanwhile. (An ifstream throws then.)
std::string read_stat(const std::string& pid) {
  const Fd fd(open(("/proc/" + pid + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  char buffer[1024];
  const ssize_t n = read(fd.get(), buffer, sizeof buffer);
  return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
}

bool is_alive(pid_t pid, const std::map<pid_t, ProcessEntry>& table) {
  const auto entry = table.find(pid);
  return entry != table.end() && entry->second.state != 'Z' && entry->second.state != 'X';
}

}  // namespace

std::map<pid_t, ProcessEntry> process_table() {
  std::map<pid_t, ProcessEntry> table;
  DIR* dir = opendir("/proc");
  if (dir == nullptr) return table;
  while (const dirent* item = readdir(dir)) {
    pid_t pid = 0;
    const char* end = item->d_name + std::strlen(item->d_name);
    if (std::from_chars(item->d_name, end, pid).ptr != end) continue;
    const std::string text = read_stat(item->d_name);
    ProcessEntry entry;
    if (parse_stat(text, entry)) table.emplace(pid, entry);
  }
  closedir(dir);
  return table;
}

std::vector<pid_t> descendants_in(const std::map<pid_t, ProcessEntry>& table, pid_t of) {
  std::multimap<pid_t, pid_t> children;
  for (const auto& [pid, entry] : table) children.emplace(entry.parent, pid);
  std::vector<pid_t> found;
  std::vector<pid_t> open = {of};
  while (!open.empty()) {
    const auto [first, last] = children.equal_range(open.back());
    open.pop_back();
    for (auto child = first; child != last; ++child) {
      found.push_back(child->second);
      open.push_back(child->second);
    }
  }
  return found;
}

std::vector<pid_t> descendants(pid_t of) {
  return descendants_in(process_table(), of != 0 ? of : getpid());
}

std::vector<pid_t> reap_orphans(milliseconds timeout) {
  const auto deadline = Clock::now() + scaled(timeout);
  for (;;) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    std::vector<pid_t> left = descendants();
    if (left.empty() || Clock::now() > deadline) return left;
    std::this_thread::sleep_for(kPause);
  }
}

void kill_tree(pid_t root) {
  std::set<pid_t> seen;  // what is orphaned by our killing comes to us: remember it
  const auto deadline = Clock::now() + scaled(milliseconds(10'000));
  for (bool alive = true; alive && Clock::now() < deadline;) {
    const auto table = process_table();
    for (const pid_t pid : descendants_in(table, root)) seen.insert(pid);
    for (const auto& [pid, entry] : table) {
      if (entry.session == root && pid != root) seen.insert(pid);
    }
    // Ours only: a number may have been given to another program's process meanwhile.
    const std::vector<pid_t> ours = descendants_in(table, getpid());
    alive = is_alive(root, table);
    kill(root, SIGKILL);  // first, so that it doesn't see its children die
    for (const pid_t pid : ours) {
      if (!seen.contains(pid)) continue;
      if (is_alive(pid, table)) {
        kill(pid, SIGKILL);
        alive = true;
      }
      waitpid(pid, nullptr, WNOHANG);
    }
    if (alive) std::this_thread::sleep_for(kPause);
  }
  for (const pid_t pid : seen) {
    if (pid != root) waitpid(pid, nullptr, WNOHANG);
  }
}

}  // namespace isle::test

// /proc as a table, for leak_check.h's functions.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace isle::test {

struct ProcessEntry {
  pid_t parent = 0;
  pid_t session = 0;
  char state = '?';
  std::string name = {};
};

std::map<pid_t, ProcessEntry> process_table();
std::vector<pid_t> descendants_in(const std::map<pid_t, ProcessEntry>& table, pid_t of);

}  // namespace isle::test

# Whether the linker can put side by side what runs at a start (tools/start_order).
include(CheckLinkerFlag)
set(start_orders "${CMAKE_SOURCE_DIR}/cmake/start_order")
check_linker_flag(CXX "-Wl,-T,${start_orders}/isle.ld" ISLE_START_ORDER)

# Whether src/cli/start_x86_64.c may take the place of glibc's own program start: tried, not assumed. The trial has
# what the commands have: exceptions, initialisers, thread-local storage, the heap, large copies.
set(ISLE_LIGHT_START OFF)
set(light_start_source "${CMAKE_SOURCE_DIR}/src/cli/start_x86_64.c")
set_source_files_properties("${light_start_source}" PROPERTIES
  COMPILE_OPTIONS "-O2;-fno-stack-protector;-Wno-pedantic" SKIP_LINTING ON)
if(NOT ISLE_STATIC OR NOT CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" OR CMAKE_CROSSCOMPILING)
  return()
endif()

set(trial "${CMAKE_BINARY_DIR}/generated/light_start_trial.cc")
file(CONFIGURE OUTPUT "${trial}" @ONLY CONTENT [[
#include <gnu/libc-version.h>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static std::string made = std::string(100, 'x');
thread_local int local = 7;

int main(int argc, char** argv) {
  if (argc != 1 || argv[0] == nullptr || std::getenv("PATH") == nullptr) return 1;
  if (std::strcmp(gnu_get_libc_version(), "2.36") != 0) return 2;
  int seen = 0;
  std::thread([&] { seen = local; }).join();
  std::vector<char> from(8 << 20, 'y');
  std::vector<char> to(from.size());
  std::memcpy(to.data(), from.data(), from.size());
  try {
    throw std::runtime_error(made);
  } catch (const std::exception& error) {
    return seen == 7 && to.back() == 'y' && error.what() == made ? 0 : 3;
  }
}
]])
if(NOT DEFINED ISLE_LIGHT_START_RESULT)
  try_run(ISLE_LIGHT_START_RESULT ISLE_LIGHT_START_COMPILES "${CMAKE_BINARY_DIR}/generated/light_start"
    SOURCES "${trial}" "${light_start_source}"
    COMPILE_DEFINITIONS -O2 -fno-stack-protector
    LINK_OPTIONS -static -no-pie
    CXX_STANDARD 17)
endif()
if(ISLE_LIGHT_START_COMPILES AND ISLE_LIGHT_START_RESULT EQUAL 0)
  set(ISLE_LIGHT_START ON)
endif()
message(STATUS "Light program start: ${ISLE_LIGHT_START}")

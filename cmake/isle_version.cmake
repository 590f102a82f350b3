# include/isle/version.h is defined by one generated file, rewritten only when the commit differs: a commit costs one
# tiny compile, not a rebuild. Runs both while configuring (to set up) and at each build (as a script).
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(version_file "${CMAKE_BINARY_DIR}/generated/version.cc")
  add_custom_target(isle_write_version BYPRODUCTS "${version_file}"
    COMMAND "${CMAKE_COMMAND}" -D VERSION=${PROJECT_VERSION} -D SOURCE=${CMAKE_SOURCE_DIR} -D OUTPUT=${version_file}
            -P "${CMAKE_CURRENT_LIST_FILE}"
    COMMENT "" VERBATIM)
  add_library(isle_version OBJECT "${version_file}")
  add_dependencies(isle_version isle_write_version)
  target_link_libraries(isle_version PRIVATE isle_hosted)
  set_property(GLOBAL APPEND PROPERTY ISLE_LAYERS isle_version)
  return()
endif()

# safe.directory: root often builds a tree that another user owns.
execute_process(
  COMMAND git -c safe.directory=* -C "${SOURCE}" describe --always --dirty --abbrev=12 --match "v[0-9]*"
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" @ONLY CONTENT [[
#include <isle/version.h>

namespace isle {
constinit const std::string_view kVersion = "@VERSION@";
constinit const std::string_view kCommit = "@commit@";
}  // namespace isle
]])

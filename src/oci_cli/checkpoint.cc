// checkpoint and restore: their flags are taken, as engines ask by them what a runtime can do; the
// deed is criu's, which isle-oci does not drive yet.
#include <fmt/format.h>

#include "oci_cli/verbs.h"

namespace isle::oci_cli {
namespace {

int refuse(const Call& call) {
  return call.report.fail(
      {.what = fmt::format("{} container \"{}\": isle-oci does not work with criu yet",
                           call.line.verb, call.id())});
}

}  // namespace

int checkpoint(const Call& call) { return refuse(call); }
int restore(const Call& call) { return refuse(call); }

}  // namespace isle::oci_cli

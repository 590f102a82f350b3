// How `isle unshare`, `isle enter` and the faces of util-linux bring a Spec to its end: in place, or
// with a child that they wait for. No terminal of its own, no time limit: that is `isle run`'s.
#pragma once

#include <string_view>

#include "cli/shared_options.h"
#include "isle/error.h"
#include "isle/spec.h"

namespace isle::cli {

struct CarryOut {
  std::string_view program = "isle";  ///< Before a complaint.
  Explain explain = Explain::no;
  int failed_status = 125;        ///< For what fails before the command is executed.
  bool ignores_signals = false;   ///< SIGINT and SIGTERM, while it waits.
  bool forwards_signals = false;  ///< ... are passed on.
  bool stops_along = false;       ///< A child that stops stops this process, too.
};

/// The exit status. Does not return where `spec` is carried out in place, nor where a signal ended
/// the command: then that ends this process, too.
int carry_out(const Spec& spec, const CarryOut& how);

/// "PROGRAM: " and the error, to standard error.
void complain_as(std::string_view program, const Error& error);

}  // namespace isle::cli

#include "cli/faces.h"

#include <fmt/format.h>

#include "cli/caller.h"
#include "cli/carry_out.h"
#include "cli/output.h"
#include "isle/version.h"
#include "linux_utils/nsenter.h"
#include "linux_utils/unshare.h"

namespace isle::cli {
namespace {

constexpr int kFaceFailed = 1;

Result<uint32_t> user_called(std::string_view name) {
  const Caller caller = this_caller();
  const auto entry = caller.find_user("/", name);
  if (!entry) return std::unexpected(entry.error());
  return entry->uid;
}

linux_utils::Surroundings surroundings() {
  Caller caller = this_caller();
  return {.uid = caller.uid,
          .gid = caller.gid,
          .environment = std::move(caller.environment),
          .cwd = std::move(caller.cwd),
          .find_user = user_called,
          .find_group = nullptr,
          .find_shell = caller.find_shell};
}

using Parse = Result<linux_utils::Command>(std::span<char* const>,
                                           const linux_utils::Surroundings&);

int face_main(std::string_view name, std::span<char* const> argv, Parse* parse,
              std::string (*help)()) {
  using Show = linux_utils::Command::Show;
  const auto command = parse(argv, surroundings());
  if (!command) {
    complain_as(name, command.error());
    return kFaceFailed;
  }
  if (command->show == Show::help) return print(help());
  if (command->show == Show::version)
    return print(
        fmt::format("{} of isle {} ({}), as in util-linux 2.42\n", name, kVersion, kCommit));
  CarryOut how{.program = name,
               .failed_status = kFaceFailed,
               .ignores_signals = command->ignores_signals,
               .forwards_signals = command->forwards_signals,
               .stops_along = command->stops_along};
  if (command->show == Show::plan) how.explain = Explain::text;
  if (command->show == Show::plan_json) how.explain = Explain::json;
  return carry_out(command->spec, how);
}

}  // namespace

int unshare_face_main(std::span<char* const> argv) {
  return face_main("unshare", argv, linux_utils::parse_unshare, linux_utils::unshare_help);
}

int nsenter_face_main(std::span<char* const> argv) {
  return face_main("nsenter", argv, linux_utils::parse_nsenter, linux_utils::nsenter_help);
}

FaceMain* face_called(std::string_view name) {
  name.remove_prefix(name.rfind('/') + 1);
  if (name.starts_with("isle-")) name.remove_prefix(5);
  if (name == "unshare") return unshare_face_main;
  if (name == "nsenter") return nsenter_face_main;
  return nullptr;
}

}  // namespace isle::cli

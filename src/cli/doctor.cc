// `isle doctor`: what this kernel and this user can do, and what to do about the rest.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/output.h"
#include "cli/run_request.h"
#include "isle/version.h"
#include "run/doctor.h"

namespace isle::cli {
namespace {

constexpr int kDoesNotRun = 1;

struct DoctorRequest {
  bool json = false;
  bool help = false;
};

Status json(DoctorRequest& request, const Argument&) {
  request.json = true;
  return {};
}

Status help(DoctorRequest& request, const Argument&) {
  request.help = true;
  return {};
}

constexpr auto kOptions = std::to_array<Option>({
    {.name = "json",
     .group = "Output",
     .help = "print one JSON object",
     .more = "{\"version\":...,\"works\":true,\"capabilities\":[{\"name\":...,\"title\":...,"
             "\"answer\":\"yes\",\"detail\":...,\"advice\":...}...]}; answer is yes, partly or no, "
             "and names stay as they are.",
     .apply = by<&json>},
    {.name = "help",
     .letter = 'h',
     .group = "Output",
     .help = "print this help",
     .apply = by<&help>},
});

std::string_view word(checks::Answer answer) {
  switch (answer) {
    case checks::Answer::yes:
      return "yes";
    case checks::Answer::partly:
      return "partly";
    case checks::Answer::no:
      break;
  }
  return "no";
}

// What `isle run -- true` would do.
Result<Spec> default_sandbox() {
  RunRequest request;
  request.terminal = TerminalUse::never;
  static char command[] = "true";
  char* words[] = {command};
  if (Status status = complete(request, this_caller(), words, 0); !status) {
    return std::unexpected(status.error());
  }
  return std::move(request.spec);
}

std::string table(const std::vector<DoctorRow>& rows) {
  size_t width = 0;
  for (const DoctorRow& row : rows) width = std::max(width, row.title.size());
  constexpr size_t kAnswerWidth = 6;
  std::string text;
  for (const DoctorRow& row : rows) {
    const checks::Finding& finding = row.finding;
    std::string line = fmt::format("{:<{}}  {:<{}}  {}", word(finding.answer), kAnswerWidth,
                                   row.title, width, finding.detail);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
    if (!finding.advice.empty()) {
      text += fmt::format("{:{}}try: {}\n", "", kAnswerWidth + width + 4, finding.advice);
    }
  }
  return text;
}

std::string object(const std::vector<DoctorRow>& rows) {
  nlohmann::ordered_json all;
  all["version"] = kVersion;
  all["works"] = runs(rows);
  all["capabilities"] = nlohmann::ordered_json::array();
  for (const DoctorRow& row : rows) {
    nlohmann::ordered_json entry;
    entry["name"] = row.name;
    entry["title"] = row.title;
    entry["answer"] = word(row.finding.answer);
    entry["detail"] = row.finding.detail;
    entry["advice"] = row.finding.advice;
    all["capabilities"].push_back(std::move(entry));
  }
  return all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

std::span<const Option> doctor_options() { return kOptions; }

int doctor_main(const Invocation& invocation) {
  DoctorRequest request;
  const auto next = parse_options(kOptions, invocation.argv, invocation.first, &request);
  if (request.help) return print(help(*find_command("doctor")));
  if (!next) {
    complain(next.error());
    return kIsleFailed;
  }
  if (static_cast<size_t>(*next) < invocation.argv.size()) {
    complain({.what = "doctor takes no operands", .asked_by = fmt::format("argv[{}]", *next)});
    return kIsleFailed;
  }
  const auto sandbox = default_sandbox();
  if (!sandbox) {
    complain(sandbox.error());
    return kIsleFailed;
  }
  const std::vector<DoctorRow> rows = examine(*sandbox);
  if (const int status = print(request.json ? object(rows) : table(rows)); status != 0) {
    return status;
  }
  return runs(rows) ? 0 : kDoesNotRun;
}

}  // namespace isle::cli

// A command line of `isle run`, on one of the made-up machines: what compiles has to verify, and to
// compile to the same bytes again. Nothing is executed.
//
// The first byte chooses the machine. Then each word is a byte and what follows it up to a NUL: a
// byte that names an option makes the word "--option=rest", so that mutations seldom leave the
// grammar; others make the rest a word as it is.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cli/options.h"
#include "cli/run_request.h"
#include "golden/cases.h"
#include "golden/hosts.h"
#include "isle/plan.h"

namespace {

std::vector<std::string> words_of(const uint8_t* data, size_t size) {
  const auto options = isle::cli::run_options();
  std::vector<std::string> words;
  size_t at = 0;
  while (at < size && words.size() < 64) {
    const uint8_t kind = data[at++];
    const auto* end = std::find(data + at, data + size, uint8_t{0});
    const std::string rest(data + at, end);
    at = static_cast<size_t>(end - data) + 1;
    if (kind >= options.size()) {
      words.push_back(rest);
    } else if (options[kind].takes == isle::cli::Takes::nothing ||
               (options[kind].takes == isle::cli::Takes::optional_value && rest.empty())) {
      words.push_back("--" + std::string(options[kind].name));
    } else {
      words.push_back("--" + std::string(options[kind].name) + "=" + rest);
    }
  }
  return words;
}

[[noreturn]] void found(const char* what, const isle::Error& error) {
  std::fprintf(stderr, "%s: %s\n", what, error.message().c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto& hosts = isle::golden::hosts();
  const isle::Host& host = hosts[data[0] % hosts.size()].host;
  const auto spec = isle::golden::translate({.words = words_of(data + 1, size - 1)}, host);
  if (!spec) return 0;
  const auto plan = isle::compile(*spec, host);
  if (!plan) {
    if (plan.error().what.empty()) std::abort();
    return 0;
  }
  if (const auto status = isle::verify(*plan); !status) found("verify", status.error());
  const auto again = isle::compile(*spec, host);
  if (!again || !std::ranges::equal(plan->bytes(), again->bytes())) std::abort();
  if (isle::to_text(*plan).empty() || isle::to_json(*plan).empty()) std::abort();
  return 0;
}

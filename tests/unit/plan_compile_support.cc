#include "plan_compile_support.h"

#include <utility>

namespace isle::compile_test {
namespace {

constexpr uint64_t kAllCapabilities = (uint64_t{1} << 41) - 1;

}  // namespace

Host root() {
  Host host;
  host.capabilities = kAllCapabilities;
  host.environment = {"PATH=/bin"};
  return host;
}

Host ordinary() {
  Host host = root();
  host.uid = host.gid = 1000;
  host.capabilities = 0;
  host.no_mapping_programs = "newuidmap is not installed";
  host.no_mapping_programs_advice = "install uidmap";
  return host;
}

Host with_subids() {
  Host host = ordinary();
  host.subuid = host.subgid = {{100000, 65536}};
  host.newuidmap = "/bin/newuidmap";
  host.newgidmap = "/bin/newgidmap";
  return host;
}

Spec spec_with(std::vector<NamespaceType> types) {
  Spec spec;
  spec.process.args.value = {"/bin/true"};
  for (const NamespaceType type : types) spec.namespaces.push_back({.type = type});
  return spec;
}

Spec sandbox() { return spec_with({NamespaceType::user, NamespaceType::mount}); }

FsOperation operation(decltype(FsOperation::what) what, Origin from) {
  return {.destination = "/x", .what = std::move(what), .from = from};
}

std::string steps(const Spec& spec, const Host& host) {
  const auto plan = compile(spec, host);
  if (!plan) return plan.error().message();
  const Status status = verify(*plan);
  EXPECT_TRUE(status) << status.error().message();
  std::string text;
  for (size_t i = 0; i < plan->step_count(); ++i)
    text += std::string(plan->step_actor(i)) + " " + plan->step_text(i) + "\n";
  return text;
}

testing::AssertionResult in_order(const std::string& text, const std::vector<std::string>& parts) {
  size_t at = 0;
  for (const std::string& part : parts) {
    at = text.find(part, at);
    if (at == std::string::npos)
      return testing::AssertionFailure() << "no " << part << " there in\n" << text;
    at += part.size();
  }
  return testing::AssertionSuccess();
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace isle::compile_test

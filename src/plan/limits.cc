// Resources as writes to files, for a cgroup by path: which hierarchy has a controller, and what a
// value is called there.
#include <fmt/format.h>

#include <algorithm>

#include "plan/compiler.h"

namespace isle {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
  return std::ranges::find(list, wanted) != list.end();
}

const CgroupHierarchy* v1_of(const CgroupFacts& facts, std::string_view controller) {
  for (const CgroupHierarchy& hierarchy : facts.v1_hierarchies)
    if (contains(hierarchy.controllers, controller)) return &hierarchy;
  return nullptr;
}

class Writes {
 public:
  Writes(const Resources& wish, const CgroupFacts& facts, const std::vector<std::string>& origins)
      : wish_(wish), facts_(facts), origins_(origins) {
    if (wish.path) path_ = wish.path->value;
  }

  Result<std::vector<CgroupWrite>> all() {
    for (const bool v2 : {false, true})
      for (CgroupWrite& write : plan::cgroup_writes(wish_, v2))
        if ((v1_of(facts_, write.controller) == nullptr) == v2) add(std::move(write), v2);
    for (const ControllerValue& value : wish_.controller_values) add(value);
    if (const CgroupHierarchy* devices = v1_of(facts_, "devices"); devices != nullptr)
      add_devices();
    for (const UnifiedValue& value : wish_.unified) add(value);
    if (error_) return std::unexpected(std::move(*error_));
    return std::move(writes_);
  }

 private:
  void refuse(Origin from, int code, std::string what) {
    if (!error_)
      error_ = Error{.code = code,
                     .what = std::move(what),
                     .asked_by = from < origins_.size() ? origins_[from] : "",
                     .hint = {}};
  }

  void add(CgroupWrite write, bool v2) {
    const CgroupHierarchy* v1 = v1_of(facts_, write.controller);
    if (v2 ? facts_.v2_mount.empty() : v1 == nullptr)
      return refuse(write.from, ENOENT,
                    fmt::format("set {}: no hierarchy has that controller", write.file));
    write.path = fmt::format("{}{}/{}", v2 ? facts_.v2_mount : v1->mount, path_, write.file);
    writes_.push_back(std::move(write));
  }

  void add(const ControllerValue& value) {
    const bool v2 = v1_of(facts_, value.controller) == nullptr;
    const std::string& file = v2 ? value.v2_file : value.v1_file;
    const int pass_over = value.optional ? ENOENT : 0;
    if (file.empty() && value.optional) return;
    if (file.empty())
      return refuse(value.from, 0,
                    fmt::format("set {}: cgroup {} has no such thing",
                                v2 ? value.v1_file : value.v2_file, v2 ? "v2" : "v1"));
    add(CgroupWrite{.controller = value.controller,
                    .file = file,
                    .value = v2 ? value.v2_value : value.v1_value,
                    .from = value.from,
                    .pass_over = pass_over},
        v2);
  }

  void add(const UnifiedValue& value) {
    const std::string controller = value.file.substr(0, value.file.find('.'));
    if (v1_of(facts_, controller) != nullptr || facts_.v2_mount.empty())
      return refuse(
          value.from, 0,
          fmt::format("set {}: that is a file of cgroup v2, and this machine has {} on v1",
                      value.file, controller));
    add(
        CgroupWrite{
            .controller = controller, .file = value.file, .value = value.value, .from = value.from},
        true);
  }

  void add_devices() {
    if (wish_.devices.empty()) return;
    const auto rule = [this](bool allow, std::string text, Origin from) {
      add(CgroupWrite{.controller = "devices",
                      .file = allow ? "devices.allow" : "devices.deny",
                      .value = std::move(text),
                      .from = from},
          false);
    };
    rule(false, "a", wish_.devices.front().from);
    const auto number = [](int64_t n) { return n < 0 ? std::string("*") : std::to_string(n); };
    const auto denies_all = [](const DeviceRule& device) {
      return !device.allow && device.type == 'a' && device.major < 0 && device.minor < 0 &&
             (device.access.empty() || device.access.size() == 3);
    };
    // What denies everything once more, as engines' lists begin.
    const auto first = std::ranges::find_if_not(wish_.devices, denies_all);
    for (const DeviceRule& device : std::ranges::subrange(first, wish_.devices.end()))
      rule(device.allow,
           fmt::format("{} {}:{} {}", device.type, number(device.major), number(device.minor),
                       device.access.empty() ? "rwm" : device.access),
           device.from);
  }

  const Resources& wish_;
  const CgroupFacts& facts_;
  const std::vector<std::string>& origins_;
  std::string path_;
  std::vector<CgroupWrite> writes_;
  std::optional<Error> error_;
};

}  // namespace

Result<std::vector<CgroupWrite>> limit_writes(const Resources& wish, const CgroupFacts& facts,
                                              const std::vector<std::string>& origins) {
  return Writes(wish, facts, origins).all();
}

}  // namespace isle

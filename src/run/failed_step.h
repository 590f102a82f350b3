// A step of a plan that failed, and what the plan says around it: by descriptor registers the step
// is traced to the mount, the root, the id map it belongs to. Looks at nothing but the plan.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "isle/idmap.h"
#include "isle/namespace.h"
#include "isle/plan.h"
#include "plan/layout.h"
#include "plan/view.h"
#include "run/explain.h"

namespace isle {

/// A mount in the making: what several steps are about.
struct MountStory {
  bool bind = false;
  std::string source = {};
  std::string type = {};
  std::string destination = {};  ///< Empty: not known.
  bool is_root = false;          ///< It becomes the sandbox's root.
};

/// A path and the directory that its absolute links start at ("" for the host's own root).
struct HostPath {
  std::string root = {};
  std::string path = {};
};

class FailedStep {
 public:
  /// Both must outlive this; `failure.step` must be a step of `plan`.
  FailedStep(const Plan& plan, const StepFailure& failure);

  [[nodiscard]] const plan::Step& step() const { return steps()[index_]; }
  [[nodiscard]] plan::Op op() const { return step().op; }
  [[nodiscard]] int error() const { return failure_.error; }
  [[nodiscard]] uint32_t detail() const { return failure_.detail; }
  [[nodiscard]] std::string_view log() const { return failure_.log; }
  [[nodiscard]] const Plan& plan() const { return plan_; }
  [[nodiscard]] size_t index() const { return index_; }

  /// Arguments of this step, or of another one of the plan; a path of the host with what it is below.
  [[nodiscard]] std::string text(int argument) const { return text(step(), argument); }
  [[nodiscard]] std::string text(const plan::Step& step, int argument) const;
  [[nodiscard]] std::vector<std::string> list(int argument) const { return list(step(), argument); }
  [[nodiscard]] std::vector<std::string> list(const plan::Step& step, int argument) const;
  [[nodiscard]] std::vector<uint32_t> numbers(int argument) const;

  /// The last step before `before` that put a descriptor into register `number`; null: none.
  [[nodiscard]] const plan::Step* writer(uint64_t number, size_t before) const;
  [[nodiscard]] const plan::Step* writer(uint64_t number) const { return writer(number, index_); }

  /// The process whose pidfd the caller handed in for `setns`; 0 for any other descriptor.
  [[nodiscard]] pid_t joined_process(const plan::Step& setns) const;

  /// The namespaces that the sandbox's first process is made with, or makes before this step.
  [[nodiscard]] NamespaceSet new_namespaces() const;
  /// The map that the plan writes for the new user namespace; empty where it writes none.
  [[nodiscard]] IdMap uid_map() const { return map("uid_map"); }
  [[nodiscard]] IdMap gid_map() const { return map("gid_map"); }
  /// Who carries the step out, as the caller's user namespace counts: the last setresuid before it
  /// by the same actor; nothing where it is the caller still.
  [[nodiscard]] std::optional<uint32_t> acting_uid() const;
  [[nodiscard]] std::optional<uint32_t> acting_gid() const;

  /// The mount this step helps to make; for steps of mounts only.
  [[nodiscard]] MountStory mount() const;
  /// Where a path of the sandbox is on the host, by the mounts made before this step; nothing for
  /// what lies in a file system of the sandbox's own.
  [[nodiscard]] std::optional<HostPath> on_host(const std::string& inside) const;
  /// Whether the plan mounts a new file system on exactly this path before this step.
  [[nodiscard]] bool is_mount_point(const std::string& inside) const;
  /// Whether paths of this step are paths of the sandbox: below its root, or after it was entered.
  [[nodiscard]] bool is_inside() const;
  /// The first step before this one that satisfies `is`; null: none.
  [[nodiscard]] const plan::Step* earlier(const std::function<bool(const plan::Step&)>& is) const;

 private:
  [[nodiscard]] IdMap map(std::string_view file) const;
  [[nodiscard]] const plan::Step* reader(uint64_t number, size_t after, plan::Op op) const;
  [[nodiscard]] size_t index_of(const plan::Step* step) const {
    return static_cast<size_t>(step - steps().data());
  }
  [[nodiscard]] std::string directory_of(uint64_t number, size_t before) const;
  [[nodiscard]] std::string destination_of(const plan::Step& mounted) const;
  [[nodiscard]] std::optional<HostPath> joined_root(const std::string& path) const;
  [[nodiscard]] std::string source_of(const plan::Step& open_tree) const;
  [[nodiscard]] std::string place_of_move(const plan::Step& moved) const;
  [[nodiscard]] std::optional<uint32_t> last_id(plan::Op op, const IdMap& map) const;

  [[nodiscard]] std::span<const plan::Step> steps() const { return view_.steps(); }

  const Plan& plan_;
  const StepFailure& failure_;
  plan::View view_;
  size_t index_;
};

}  // namespace isle

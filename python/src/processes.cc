// Plans and processes: what isle.compile, isle.spawn and isle.Process are made of.
#include <pybind11/stl.h>
#include <unistd.h>

#include <memory>
#include <span>

#include "faces.h"
#include "isle/plan.h"
#include "isle/run.h"
#include "raise.h"
#include "read_spec.h"

namespace isle::python {
namespace {

py::bytes bytes_of(const Plan& plan) {
  const std::span<const std::byte> bytes = plan.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Plans come and go as bytes: what is the same everywhere can be pickled, hashed and kept.
Plan plan_of(const py::bytes& bytes) {
  const auto text = static_cast<std::string_view>(bytes);
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return Plan({begin, begin + text.size()});
}

py::bytes compile_spec(const py::object& object) {
  const Spec spec = read_spec(object);
  return bytes_of(take(without_gil([&] { return compile(spec, probe_host(spec)); })));
}

py::list complaints(const py::object& object) {
  py::list list;
  for (const Error& error : validate(read_spec(object))) list.append(error_object(error));
  return list;
}

Plan checked_plan(const py::bytes& bytes) {
  Plan plan = plan_of(bytes);
  take(verify(plan));
  return plan;
}

/// A Process that only the process that started it ends: a fork() copies the object, not the right.
class Child {
 public:
  explicit Child(Process process)
      : process_(std::make_unique<Process>(std::move(process))), owner_(::getpid()) {}
  Child(Child&&) noexcept = default;
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (!process_) return;
    if (::getpid() != owner_) {
      (void)process_.release();
      return;
    }
    without_gil([this] {
      process_.reset();
      return 0;
    });
  }

  [[nodiscard]] Process& process() const { return *process_; }

 private:
  std::unique_ptr<Process> process_;
  pid_t owner_;
};

Child launch_plan(const py::bytes& bytes, const std::array<int, 3>& stdio) {
  const Plan plan = plan_of(bytes);
  LaunchOptions options;
  options.stdio = stdio;
  return Child(take(without_gil([&] { return launch(plan, options); })));
}

std::tuple<int, int, bool> wait_for(const Child& child) {
  const ExitStatus status = take(without_gil([&] { return child.process().wait(); }));
  return {status.code, status.signal, status.core_dumped};
}

}  // namespace

void add_processes(py::module_& module) {
  py::module_ names = module.def_submodule("processes", "Plans and processes.");
  names.def("compile", compile_spec);
  names.def("validate", complaints);
  names.def("verify", [](const py::bytes& bytes) { checked_plan(bytes); });
  names.def("to_text", [](const py::bytes& bytes) { return to_text(checked_plan(bytes)); });
  names.def("to_json", [](const py::bytes& bytes) { return to_json(checked_plan(bytes)); });
  names.def("launch", launch_plan);
  py::class_<Child>(names, "Child")
      .def_property_readonly("pid", [](const Child& c) { return c.process().host_pid(); })
      .def_property_readonly("pidfd", [](const Child& c) { return c.process().pidfd().get(); })
      .def_property_readonly("console", [](const Child& c) { return c.process().console().get(); })
      .def("signal", [](const Child& c, int number) { take(c.process().signal(number)); })
      .def("wait", wait_for);
}

}  // namespace isle::python

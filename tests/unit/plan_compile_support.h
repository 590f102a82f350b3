// What the tests of compile() share: made-up machines, the smallest Specs, a plan as text.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "isle/plan.h"

namespace isle::compile_test {

/// Root with all capabilities.
Host root();
/// User 1000, with no program that maps ids for him.
Host ordinary();
/// ... with both of them, and with 65536 ids.
Host with_subids();

Spec spec_with(std::vector<NamespaceType> types);
/// In a user and a mount namespace of its own.
Spec sandbox();
/// On "/x".
FsOperation operation(decltype(FsOperation::what) what, Origin from = 0);

/// "actor op arguments", a line a step.
std::string steps(const Spec& spec, const Host& host);
/// Whether these stand in `text` in this order.
testing::AssertionResult in_order(const std::string& text, const std::vector<std::string>& parts);
bool has(const std::string& text, std::string_view part);

}  // namespace isle::compile_test

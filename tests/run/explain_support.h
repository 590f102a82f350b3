// What isle says when a situation that a test makes lets it fail.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "support/own_namespaces.h"
#include "support/support.h"

namespace isle::test {

/// Standard error of `isle run WORDS` and "exit status N"; as root, or as `identity`.
std::string complaint(std::vector<std::string> words, std::optional<Identity> identity = {});

/// The same in a forked child after `situation` has changed what that child is and sees. ADD_FAILURE
/// and friends count.
std::string complaint_in(const std::function<void()>& situation, std::vector<std::string> words,
                         std::optional<Identity> identity = {});

/// For situations: a user namespace, with root mapped to the caller, and a mount namespace in it.
void own_user_namespace();
/// The first non-empty argument must be 0; `what` names the call.
void must(int result, const char* what);

/// EXPECT_SAYS(text, words...): each of the words is part of the text.
testing::AssertionResult says(const std::string& text, const std::vector<std::string>& words);

}  // namespace isle::test

#define EXPECT_SAYS(text, ...) EXPECT_TRUE(::isle::test::says((text), {__VA_ARGS__}))

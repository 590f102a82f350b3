// Everything tests use, in one include. The house rules for a test:
//
//   - It names what it needs first: ISLE_REQUIRE("root", "overlay"). Where that is missing the
//     test is skipped with the reason and counted; with the name in ISLE_TESTS_MUST_RUN it fails.
//   - It makes its own namespaces, cgroup directories (names begin with "isle") and files
//     (TempDir), and leaves nothing: the leak check runs after every test and every suite.
//   - What changes the process (unshare, setuid, chdir, ...) is done in a child: expect_in_fork().
//   - No timing is asserted. A time-out is only there to end a hang, and is scaled by
//     ISLE_TEST_TIME_SCALE (a software-emulated guest is 20 to 40 times slower).
//
//   TEST(Run, HostnameIsPrivate) {
//     ISLE_REQUIRE("userns");
//     const auto result = isle::test::run_command(
//         {isle::test::isle_binary(), "run", "--hostname", "box", "--", "hostname"},
//         {.identity = isle::test::unprivileged()});
//     EXPECT_TRUE(result.ok()) << result;
//     EXPECT_EQ(result.out, "box\n");
//   }
//
// Environment read by every test binary:
//   ISLE_TESTS_MUST_RUN     comma separated requirement names whose absence is a failure; "all"
//   ISLE_TESTS_SKIP_REPORT  file to which "binary TAB test TAB reason" is appended for each skip
//   ISLE_TEST_TIME_SCALE    factor on every time-out [1]
//   ISLE_LEAK_CHECK         test (default: after each test and suite), suite, off
//   ISLE_BUILD_DIR, ISLE_SOURCE_DIR   in place of the directories compiled in
//
// tests/CMakeLists.txt links every test program with this, gtest and main(); include it as
// "support/support.h".
#pragma once

#include "command.h"      // IWYU pragma: export
#include "fork.h"         // IWYU pragma: export
#include "identity.h"     // IWYU pragma: export
#include "leak_check.h"   // IWYU pragma: export
#include "paths.h"        // IWYU pragma: export
#include "requirement.h"  // IWYU pragma: export
#include "temp_dir.h"     // IWYU pragma: export

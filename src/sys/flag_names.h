// Names of the kernel's flags, errors, signals, capabilities and limits: one table each, used
// for printing and for parsing. Ordinary code, not for the executor.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sys/abi.h"

namespace isle::sys {

/// One bit, or one value of a field of several bits, and its name.
struct FlagName {
  std::uint64_t value;
  std::string_view name;
};
using FlagTable = std::span<const FlagName>;

/// The names of the bits set, joined by '|', then what no name covers in hex: "NEWUSER|0x1000".
/// A name of several bits goes before names of its parts. 0 is `none`.
std::string flags_to_text(FlagTable table, std::uint64_t value, std::string_view none = "0");
/// The value of one name as the table spells it, in any letter case; with or without `prefix`.
std::optional<std::uint64_t> parse_flag(FlagTable table, std::string_view name,
                                        std::string_view prefix = {});

extern const FlagTable kCloneFlagNames;    // "NEWUSER", without CLONE_
extern const FlagTable kOpenFlagNames;     // "O_RDWR"
extern const FlagTable kResolveNames;      // "RESOLVE_IN_ROOT"
extern const FlagTable kAtFlagNames;       // "AT_EMPTY_PATH"
extern const FlagTable kOpenTreeNames;     // "OPEN_TREE_CLONE"
extern const FlagTable kMoveMountNames;    // "MOVE_MOUNT_F_EMPTY_PATH"
extern const FlagTable kFsopenFlagNames;   // "FSOPEN_CLOEXEC"
extern const FlagTable kFspickFlagNames;   // "FSPICK_EMPTY_PATH"
extern const FlagTable kFsmountFlagNames;  // "FSMOUNT_CLOEXEC"
extern const FlagTable kFsconfigNames;     // "FSCONFIG_SET_STRING"; values, not bits
extern const FlagTable kMountAttrNames;    // "MOUNT_ATTR_RDONLY"
extern const FlagTable kMountFlagNames;    // "MS_BIND"
extern const FlagTable kUmountFlagNames;   // "MNT_DETACH"
extern const FlagTable kCloseRangeNames;   // "CLOSE_RANGE_CLOEXEC"
extern const FlagTable kSeccompFlagNames;  // "SECCOMP_FILTER_FLAG_LOG"

/// flags_to_text with the table of the type. O_RDONLY is named when no other access mode is.
std::string to_text(CloneFlags flags);
std::string to_text(OpenFlags flags);
std::string to_text(Resolve flags);
std::string to_text(AtFlags flags);
std::string to_text(OpenTree flags);
std::string to_text(MoveMount flags);
std::string to_text(FsopenFlags flags);
std::string to_text(FspickFlags flags);
std::string to_text(FsmountFlags flags);
std::string to_text(Fsconfig command);
std::string to_text(MountAttr flags);
std::string to_text(MountFlags flags);
std::string to_text(UmountFlags flags);
std::string to_text(CloseRange flags);
std::string to_text(SeccompFlags flags);

/// A number with its name, and for errno its text.
struct NumberName {
  int value;
  std::string_view name;
  std::string_view text = {};
};
using NumberTable = std::span<const NumberName>;

extern const NumberTable kErrnoNames;       // "ENOENT", "No such file or directory"
extern const NumberTable kSignalNames;      // "SIGTERM"; aliases come after the usual name
extern const NumberTable kCapabilityNames;  // "CAP_SYS_ADMIN"
extern const NumberTable kRlimitNames;      // "RLIMIT_NOFILE"

/// "ENOENT" of 2, also of -2; empty where there is none.
std::string_view errno_name(int code);
/// "No such file or directory" of 2, also of -2; "Unknown error" where there is none.
std::string_view errno_text(int code);
/// "No such file or directory (ENOENT)", or "Unknown error 4000".
std::string errno_message(int code);
/// The number of "ENOENT".
std::optional<int> parse_errno(std::string_view name);

/// First and last number of the real-time signals programs may use: libc keeps 32 and 33.
inline constexpr int kSigRtMin = 34;
inline constexpr int kSigRtMax = 64;
/// "SIGTERM" of 15, "SIGRTMIN+3" of 37; "signal 99" where there is none.
std::string signal_name(int number);
/// The number of "TERM", "SIGTERM", "15", "RTMIN+3", "SIGRTMAX-1"; any letter case. 1..64, or as
/// a number also 0, the null signal of kill(2), which only checks.
std::optional<int> parse_signal(std::string_view text);

/// Highest capability isle has a name for.
inline constexpr int kLastCapability = 40;
/// "CAP_SYS_ADMIN" of 21; "CAP_41" where there is none.
std::string capability_name(int number);
/// The number of "CAP_SYS_ADMIN", "sys_admin" or "21"; 0..63 as a number.
std::optional<int> parse_capability(std::string_view text);

/// "RLIMIT_NOFILE" of 7; "RLIMIT_99" where there is none.
std::string rlimit_name(int number);
/// The number of "RLIMIT_NOFILE" or "nofile"; any letter case.
std::optional<int> parse_rlimit(std::string_view text);

}  // namespace isle::sys

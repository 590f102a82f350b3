// The tables of names: complete, without two entries for one value, the same as libc's, and
// parsed back to what they print.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <set>
#include <string>

#include "sys/flag_names.h"

namespace sys = isle::sys;

namespace {

const sys::FlagTable kBitTables[] = {
    sys::kCloneFlagNames,   sys::kOpenFlagNames,    sys::kResolveNames,    sys::kAtFlagNames,
    sys::kOpenTreeNames,    sys::kMoveMountNames,   sys::kFsopenFlagNames, sys::kFspickFlagNames,
    sys::kFsmountFlagNames, sys::kMountAttrNames,   sys::kMountFlagNames,  sys::kUmountFlagNames,
    sys::kCloseRangeNames,  sys::kSeccompFlagNames,
};

TEST(FlagNames, EveryEntryIsPrintedAndParsedBack) {
  for (const sys::FlagTable table : kBitTables) {
    std::set<std::uint64_t> values;
    for (const auto& entry : table) {
      EXPECT_NE(entry.value, 0U) << entry.name;
      EXPECT_TRUE(values.insert(entry.value).second) << entry.name;
      EXPECT_EQ(sys::flags_to_text(table, entry.value), entry.name);
      EXPECT_EQ(sys::parse_flag(table, entry.name), entry.value);
    }
  }
}

TEST(FlagNames, UnknownBitsAreHex) {
  using sys::CloneFlags;
  EXPECT_EQ(sys::to_text(CloneFlags::newuser | CloneFlags::newuts), "NEWUTS|NEWUSER");
  EXPECT_EQ(sys::to_text(CloneFlags::newns | CloneFlags{0x8000000000}), "NEWNS|0x8000000000");
  EXPECT_EQ(sys::to_text(CloneFlags{1}), "0x1");
  EXPECT_EQ(sys::to_text(CloneFlags::none), "0");
  EXPECT_EQ(sys::flags_to_text(sys::kResolveNames, 0, "none"), "none");
}

TEST(FlagNames, FieldsOfSeveralBitsComeFirst) {
  using sys::OpenFlags;
  EXPECT_EQ(sys::to_text(OpenFlags::rdonly), "O_RDONLY");
  EXPECT_EQ(sys::to_text(OpenFlags::rdonly | OpenFlags::cloexec), "O_RDONLY|O_CLOEXEC");
  EXPECT_EQ(sys::to_text(OpenFlags::path | OpenFlags::directory), "O_DIRECTORY|O_PATH");
  EXPECT_EQ(sys::to_text(OpenFlags::rdwr | OpenFlags::tmpfile), "O_TMPFILE|O_RDWR");
  EXPECT_EQ(sys::to_text(OpenFlags::wronly | OpenFlags::sync), "O_SYNC|O_WRONLY");
  EXPECT_EQ(sys::to_text(sys::MountAttr::rdonly | sys::MountAttr::atime),
            "MOUNT_ATTR__ATIME|MOUNT_ATTR_RDONLY");
}

TEST(FlagNames, EachTypeHasItsPrinter) {
  EXPECT_EQ(sys::to_text(sys::MountFlags::bind | sys::MountFlags::rec), "MS_BIND|MS_REC");
  EXPECT_EQ(sys::to_text(sys::MountFlags::private_), "MS_PRIVATE");
  EXPECT_EQ(sys::to_text(sys::UmountFlags::nofollow), "UMOUNT_NOFOLLOW");
  EXPECT_EQ(sys::to_text(sys::UmountFlags::detach), "MNT_DETACH");
  EXPECT_EQ(sys::to_text(sys::OpenTree::clone | sys::OpenTree::recursive),
            "OPEN_TREE_CLONE|AT_RECURSIVE");
  EXPECT_EQ(sys::to_text(sys::MoveMount::f_empty_path), "MOVE_MOUNT_F_EMPTY_PATH");
  EXPECT_EQ(sys::to_text(sys::Resolve::in_root), "RESOLVE_IN_ROOT");
  EXPECT_EQ(sys::to_text(sys::AtFlags::removedir), "AT_REMOVEDIR");
  EXPECT_EQ(sys::to_text(sys::Fsconfig::set_flag), "FSCONFIG_SET_FLAG");
  EXPECT_EQ(sys::to_text(sys::Fsconfig{99}), "0x63");
  EXPECT_EQ(sys::to_text(sys::FsopenFlags::cloexec), "FSOPEN_CLOEXEC");
  EXPECT_EQ(sys::to_text(sys::FspickFlags::empty_path), "FSPICK_EMPTY_PATH");
  EXPECT_EQ(sys::to_text(sys::FsmountFlags::namespace_), "FSMOUNT_NAMESPACE");
  EXPECT_EQ(sys::to_text(sys::CloseRange::cloexec), "CLOSE_RANGE_CLOEXEC");
  EXPECT_EQ(sys::to_text(sys::SeccompFlags::log), "SECCOMP_FILTER_FLAG_LOG");
}

TEST(FlagNames, ParseTakesTheNameWithoutItsPrefix) {
  EXPECT_EQ(sys::parse_flag(sys::kMountFlagNames, "bind", "MS_"), 4096U);
  EXPECT_EQ(sys::parse_flag(sys::kMountFlagNames, "ms_bind", "MS_"), 4096U);
  EXPECT_EQ(sys::parse_flag(sys::kMountFlagNames, "bind"), std::nullopt);
  EXPECT_EQ(sys::parse_flag(sys::kMountFlagNames, "", "MS_"), std::nullopt);
}

TEST(NumberNames, ErrnoIsLibcs) {
  for (int code = 1; code < 200; ++code) {
    const char* name = ::strerrorname_np(code);
    EXPECT_EQ(sys::errno_name(code), name ? name : "") << code;
    EXPECT_EQ(sys::errno_name(-code), name ? name : "") << code;
    EXPECT_EQ(sys::errno_text(code), name ? ::strerrordesc_np(code) : "Unknown error") << code;
    if (name) {
      EXPECT_EQ(sys::parse_errno(name), code);
    }
  }
  EXPECT_EQ(sys::parse_errno("EWOULDBLOCK"), EAGAIN);
  EXPECT_EQ(sys::parse_errno("ENOTSUP"), EOPNOTSUPP);
  EXPECT_EQ(sys::parse_errno("ENOSUCH"), std::nullopt);
  EXPECT_EQ(sys::errno_message(ENOENT), "No such file or directory (ENOENT)");
  EXPECT_EQ(sys::errno_message(-4000), "Unknown error 4000");
}

TEST(NumberNames, SignalsAreLibcsAndParseBack) {
  for (int number = 1; number < 32; ++number) {
    if (number != SIGIO) {  // glibc says POLL
      EXPECT_EQ(sys::signal_name(number), std::string("SIG") + ::sigabbrev_np(number));
    }
    EXPECT_EQ(sys::parse_signal(::sigabbrev_np(number)), number);
  }
  for (int number = sys::kSigRtMin; number <= sys::kSigRtMax; ++number)
    EXPECT_EQ(sys::parse_signal(sys::signal_name(number)), number);
  EXPECT_EQ(sys::kSigRtMin, SIGRTMIN);
  EXPECT_EQ(sys::kSigRtMax, SIGRTMAX);
  EXPECT_EQ(sys::signal_name(37), "SIGRTMIN+3");
  EXPECT_EQ(sys::signal_name(32), "signal 32");
  EXPECT_EQ(sys::signal_name(0), "signal 0");
}

TEST(NumberNames, SignalSpellings) {
  for (const char* text : {"TERM", "SIGTERM", "15", "term", "SigTerm"})
    EXPECT_EQ(sys::parse_signal(text), SIGTERM) << text;
  EXPECT_EQ(sys::parse_signal("RTMIN"), 34);
  EXPECT_EQ(sys::parse_signal("RTMIN+3"), 37);
  EXPECT_EQ(sys::parse_signal("SIGRTMAX-1"), 63);
  EXPECT_EQ(sys::parse_signal("SIGCLD"), SIGCHLD);
  EXPECT_EQ(sys::parse_signal("0"), 0);
  EXPECT_EQ(sys::parse_signal("64"), 64);
  for (const char* text :
       {"", "SIG", "65", "-1", "+1", "15x", " 15", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMIN+",
        "RTMAX-31", "NOSUCH", "SIGSIGTERM", "99999999999999999999"})
    EXPECT_EQ(sys::parse_signal(text), std::nullopt) << text;
}

TEST(NumberNames, CapabilitiesParseBack) {
  for (int number = 0; number <= sys::kLastCapability; ++number)
    EXPECT_EQ(sys::parse_capability(sys::capability_name(number)), number);
  EXPECT_EQ(sys::capability_name(21), "CAP_SYS_ADMIN");
  EXPECT_EQ(sys::capability_name(41), "CAP_41");
  EXPECT_EQ(sys::parse_capability("sys_admin"), 21);
  EXPECT_EQ(sys::parse_capability("cap_net_raw"), 13);
  EXPECT_EQ(sys::parse_capability("40"), 40);
  for (const char* text : {"", "CAP_", "all", "64", "-1"})
    EXPECT_EQ(sys::parse_capability(text), std::nullopt) << text;
}

TEST(NumberNames, RlimitsParseBack) {
  EXPECT_EQ(sys::kRlimitNames.size(), std::size_t{RLIM_NLIMITS});
  for (const auto& entry : sys::kRlimitNames) {
    EXPECT_EQ(sys::parse_rlimit(entry.name), entry.value);
    EXPECT_EQ(sys::rlimit_name(entry.value), entry.name);
  }
  EXPECT_EQ(sys::parse_rlimit("nofile"), RLIMIT_NOFILE);
  EXPECT_EQ(sys::parse_rlimit("RLIMIT_RTTIME"), RLIMIT_RTTIME);
  EXPECT_EQ(sys::rlimit_name(99), "RLIMIT_99");
  EXPECT_EQ(sys::parse_rlimit("7"), std::nullopt);
}

}  // namespace

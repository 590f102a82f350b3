// `isle run`: options of the file system, in the order they are given.
#include <gtest/gtest.h>

#include "cli_run_support.h"

namespace isle::cli::test {
namespace {

TEST(CliMounts, Binds) {
  const auto of = [](const char* option, const char* value) {
    return user_operations({option, value});
  };
  EXPECT_EQ(of("--bind", "/a"), "rbind /a /a rec:nosuid,nodev\n");
  EXPECT_EQ(of("--bind", "/a:/b"), "rbind /a /b rec:nosuid,nodev\n");
  EXPECT_EQ(of("--ro-bind", "/a:/b"), "rbind /a /b rec:ro,nosuid,nodev\n");
  EXPECT_EQ(of("--dev-bind", "/dev/kvm"), "rbind /dev/kvm /dev/kvm rec:nosuid\n");
  EXPECT_EQ(of("--bind", "."), "rbind . /home/ann rec:nosuid,nodev\n");
  EXPECT_EQ(of("--bind", "./src//x/"), "rbind ./src//x/ /home/ann/src/x rec:nosuid,nodev\n");
  EXPECT_EQ(of("--bind", "a:/b"), "rbind a /b rec:nosuid,nodev\n");
  EXPECT_EQ(of("--bind", "fd:5:/b"), "rbind fd:5 /b rec:nosuid,nodev\n");
  EXPECT_EQ(of("--bind", "fd:x:/b"),
            "--bind: \"fd:x\" is not a descriptor's number\n  asked by: argv[2] --bind");
  EXPECT_EQ(of("--bind", "./fd:5"),
            "--bind: \"5\" is not an absolute path inside the sandbox\n"
            "  asked by: argv[2] --bind");
  EXPECT_EQ(of("--bind", R"(/a\:b:/c)"), "rbind /a:b /c rec:nosuid,nodev\n");
}

TEST(CliMounts, BindOptions) {
  const auto of = [](const std::string& options) {
    const std::string text = user_operations({"--bind", "/a:/b:" + options});
    return text.substr(0, text.find('\n'));
  };
  EXPECT_EQ(of(""), "rbind /a /b rec:nosuid,nodev");
  EXPECT_EQ(of("ro,noexec"), "rbind /a /b rec:ro,nosuid,nodev,noexec");
  EXPECT_EQ(of("norec,ro"), "bind /a /b ro,nosuid,nodev");
  EXPECT_EQ(of("norec,rro"), "bind /a /b nosuid,nodev rec:ro");
  EXPECT_EQ(of("dev,suid"), "rbind /a /b clear-rec:nosuid,nodev");
  EXPECT_EQ(of("ro,rw"), "rbind /a /b rec:nosuid,nodev clear-rec:ro");
  EXPECT_EQ(of("noatime"), "rbind /a /b rec:nosuid,nodev,noatime clear-rec:atime-field");
  EXPECT_EQ(of("rslave"), "rbind /a /b rec:nosuid,nodev rslave");
  EXPECT_EQ(of("optional"), "rbind /a /b rec:nosuid,nodev optional");
  EXPECT_EQ(of("idmap=0:1000:2"), "rbind /a /b rec:nosuid,nodev uid=0:1000:2 gid=0:1000:2");
  EXPECT_EQ(of("uidmap=0:1,gidmap=2:3"), "rbind /a /b rec:nosuid,nodev uid=0:1:1 gid=2:3:1");
  EXPECT_EQ(of("size=1M"), "--bind: \"size=1M\" is no option of a bind mount");
  EXPECT_EQ(of("ro,,rw"), "--bind: an option between commas is empty");
}

TEST(CliMounts, IdmapOfTheSandbox) {
  EXPECT_EQ(user_operations({"--bind", "/a:/b:idmap", "--map-uid=0:1000", "--map-gid=0:100"}),
            "rbind /a /b rec:nosuid,nodev uid=0:1000:1 gid=0:100:1\n");
  EXPECT_EQ(user_operations({"--bind", "/a:/b:idmap"}),
            "idmap takes the maps of --map-uid and --map-gid, and they are not given\n"
            "  asked by: argv[2] --bind\n"
            "  hint: give both, or write idmap=IN:OUT:COUNT");
}

TEST(CliMounts, Tmpfs) {
  EXPECT_EQ(user_operations({"--tmpfs", "/x"}), "tmpfs /x nosuid,nodev mode=755\n");
  EXPECT_EQ(user_operations({"--tmpfs", "/x:size=16M,mode=1777,noexec"}),
            "tmpfs /x nosuid,nodev,noexec size=16777216 mode=1777\n");
  EXPECT_EQ(user_operations({"--tmpfs", "/x:size=10%,suid"}), "tmpfs /x nodev size=10% mode=755\n");
  for (const char* wrong : {"x", "", "/x:size=lots", "/x:mode=9", "/x:size="}) {
    EXPECT_TRUE(user_operations({"--tmpfs", wrong}).starts_with("--tmpfs: ")) << wrong;
  }
}

TEST(CliMounts, Made) {
  EXPECT_EQ(user_operations({"--dir", "/a/b", "--dir", "/c:mode=700"}),
            "dir /a/b 755\ndir /c 700\n");
  EXPECT_EQ(user_operations({"--symlink", "usr/bin:/bin"}), "symlink /bin -> usr/bin\n");
  EXPECT_EQ(user_operations({"--file", "fd:5:/a", "--file", "./5:/b:mode=600"}),
            "file /a 644 from fd:5\nfile /b 600 from ./5\n");
  EXPECT_EQ(user_operations({"--mask", "/etc/shadow"}), "mask /etc/shadow\n");
  for (const char* wrong : {"/a", "/a:b", "/a:/b:mode=", "/a:/b:0644", ":/b"}) {
    EXPECT_TRUE(user_operations({"--file", wrong}).starts_with("--file: ")) << wrong;
  }
}

TEST(CliMounts, Mount) {
  const auto of = [](const char* value) { return user_operations({"--mount", value}); };
  EXPECT_EQ(of("type=tmpfs,dst=/data,size=1M,ro"), "tmpfs /data ro,nosuid,nodev size=1048576\n");
  EXPECT_EQ(of("dst=/d,src=/dev/sdb1,noexec,type=ext4,data=journal,acl"),
            "ext4 /d from /dev/sdb1 nosuid,nodev,noexec data=journal acl\n");
  EXPECT_EQ(of("type=sysfs,target=/sys,ro"), "sysfs /sys ro,nosuid,nodev\n");
  EXPECT_EQ(of("type=bind,source=/a,destination=/b"), "bind /a /b nosuid,nodev\n");
  EXPECT_EQ(of("type=rbind,src=/a,dst=/b,ro"), "rbind /a /b rec:ro,nosuid,nodev\n");
  EXPECT_EQ(of("type=bind,src=fd:7,dst=/b"), "bind fd:7 /b nosuid,nodev\n");
  EXPECT_EQ(of("type=overlay,dst=/m,lowerdir=/a:/b,upperdir=/u,workdir=/w"),
            "overlay /m nosuid,nodev lower=/a:/b upper=/u work=/w\n");
  EXPECT_EQ(of(R"(type=bind,src=/a\,b,dst=/c)"), "bind /a,b /c nosuid,nodev\n");
  for (const char* wrong : {"", "dst=/x", "type=tmpfs", "type=bind,dst=/x", "type=overlay,dst=/x",
                            "type=overlay,dst=/x,lowerdir=/a,metacopy=on", "type=tmpfs,dst=x",
                            "type=bind,src=/a,dst=/b,size=1"}) {
    EXPECT_TRUE(of(wrong).starts_with("--mount: ")) << wrong << ": " << of(wrong);
  }
}

TEST(CliMounts, OrderIsKept) {
  EXPECT_EQ(user_operations(
                {"--tmpfs", "/a", "--bind", "/x:/a/x", "--ro-bind", "/y:/a/x/y", "--dir", "/a/z"}),
            "tmpfs /a nosuid,nodev mode=755\n"
            "rbind /x /a/x rec:nosuid,nodev\n"
            "rbind /y /a/x/y rec:ro,nosuid,nodev\n"
            "dir /a/z 755\n");
}

TEST(CliMounts, DestinationOfARelativeSource) {
  EXPECT_EQ(user_operations({"--bind", "../x"}),
            "bind \"../x\": where to is not clear\n"
            "  asked by: argv[2] --bind\n"
            "  hint: add :DST");
}

}  // namespace
}  // namespace isle::cli::test

// The one way into a root that is not trusted, as an ordinary process in a directory of its own:
// below `top`, "root" is the root, and nothing beside it may ever be made or opened.
#include "path/in_root.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <filesystem>
#include <thread>

#include "isle/fd.h"
#include "support/temp_dir.h"

namespace isle::path {
namespace {

namespace fs = std::filesystem;
using sys::OpenFlags;

constexpr OpenFlags kPath = OpenFlags::path | OpenFlags::cloexec;

class InRoot : public testing::Test {
 protected:
  InRoot() : root_path_(top_.make_dir("root")) {
    root_ = Fd(::open(root_path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    top_.write("outside/secret", "s");
  }

  int make(const std::string& path, Leaf leaf = Leaf::directory, uint32_t mode = 0755) {
    last_ = Fd(make_in(root_.get(), path.c_str(), leaf, mode));
    return last_ ? 0 : last_.get();
  }
  int open(const std::string& path) {
    last_ = Fd(open_in(root_.get(), path.c_str(), kPath));
    return last_ ? 0 : last_.get();
  }
  /// What the last descriptor refers to, relative to the root's own path.
  std::string last() {
    std::string name = fs::read_symlink("/proc/self/fd/" + std::to_string(last_.get()));
    return name.starts_with(root_path_) ? name.substr(root_path_.size()) : "outside: " + name;
  }
  void link(const std::string& target, const std::string& at) {
    fs::create_symlink(target, root_path_ + "/" + at);
  }
  bool has(const std::string& path) { return fs::exists(root_path_ + "/" + path); }
  /// Names beside the root and in the directory outside, all of which the test made.
  void expect_nothing_outside() {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(top_.path()))
      if (!entry.path().string().starts_with(root_path_))
        names.push_back(fs::relative(entry.path(), top_.path()));
    std::ranges::sort(names);
    EXPECT_EQ(names, (std::vector<std::string>{"outside", "outside/secret"}));
  }

  test::TempDir top_;
  std::string root_path_;
  Fd root_;
  Fd last_;
};

TEST_F(InRoot, MakesParents) {
  ASSERT_EQ(make("/a/b/c"), 0);
  EXPECT_EQ(last(), "/a/b/c");
  ASSERT_EQ(make("a//b/./f", Leaf::file, 0600), 0);
  EXPECT_EQ(last(), "/a/b/f");
  EXPECT_TRUE(fs::is_regular_file(root_path_ + "/a/b/f"));
  ASSERT_EQ(make("/a/d/"), 0);
  EXPECT_EQ(last(), "/a/d");
}

TEST_F(InRoot, LeavesWhatIsThere) {
  top_.write("root/f", "text", 0640);
  ASSERT_EQ(make("/f", Leaf::file, 0777), 0);
  EXPECT_EQ(test::read_file(root_path_ + "/f"), "text");
  struct stat status{};
  ASSERT_EQ(::stat((root_path_ + "/f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
}

TEST_F(InRoot, TheOtherKindIsRefused) {
  top_.write("root/f", "");
  ASSERT_EQ(make("/d"), 0);
  EXPECT_EQ(make("/f"), -ENOTDIR);
  EXPECT_EQ(make("/d", Leaf::file), -EISDIR);
  EXPECT_EQ(make("/f/x"), -ENOTDIR);
  EXPECT_EQ(make("/", Leaf::file), -EISDIR);
  EXPECT_EQ(make(""), -ENOENT);
}

TEST_F(InRoot, DotsStayInside) {
  ASSERT_EQ(make("/../../../x"), 0);
  EXPECT_EQ(last(), "/x");
  ASSERT_EQ(make("/x/../../../y"), 0);
  EXPECT_EQ(last(), "/y");
  ASSERT_EQ(open("/.."), 0);
  EXPECT_EQ(last(), "");
  ASSERT_EQ(make("/missing/../z"), 0);  // as mkdir -p: what ".." is of must be there
  EXPECT_EQ(last(), "/z");
  EXPECT_TRUE(has("missing"));
  expect_nothing_outside();
}

TEST_F(InRoot, LinksStayInside) {
  link(top_ / "outside", "absolute");
  link("../../outside", "relative");
  link("/", "self");
  EXPECT_EQ(open("/absolute/secret"), -ENOENT);
  EXPECT_EQ(open("/relative/secret"), -ENOENT);
  ASSERT_EQ(make("/relative/new"), 0);
  EXPECT_EQ(last(), "/outside/new");
  ASSERT_EQ(make("/absolute/new", Leaf::file), 0);
  EXPECT_EQ(last(), (top_ / "outside/new"));
  ASSERT_EQ(make("/self/self/x"), 0);
  EXPECT_EQ(last(), "/x");
  expect_nothing_outside();
}

TEST_F(InRoot, ALinkToNowhereLeadsSomewhere) {
  link("b/c", "a");
  ASSERT_EQ(make("/a"), 0);
  EXPECT_EQ(last(), "/b/c");
  link("/etc/deep/file", "f");
  ASSERT_EQ(make("/f", Leaf::file), 0);
  EXPECT_EQ(last(), "/etc/deep/file");
  link("one", "two");
  link("two", "three");
  ASSERT_EQ(make("/three/x"), 0);
  EXPECT_EQ(last(), "/one/x");
  expect_nothing_outside();
}

TEST_F(InRoot, Loops) {
  link("loop2", "loop1");
  link("loop1", "loop2");
  link("self", "self");
  for (const char* path : {"/loop1", "/loop1/x", "/self"}) {
    EXPECT_EQ(open(path), -ELOOP) << path;
    EXPECT_EQ(make(path), -ELOOP) << path;
  }
}

TEST_F(InRoot, FortyLinksAndNoMore) {
  for (int i = 0; i < 41; ++i) link("l" + std::to_string(i + 1), "l" + std::to_string(i));
  EXPECT_EQ(make("/l1"), 0);  // l1 to l40, which leads to l41
  EXPECT_EQ(last(), "/l41");
  EXPECT_EQ(open("/l0"), -ELOOP);
  EXPECT_EQ(make("/l0"), -ELOOP);
}

TEST_F(InRoot, LongNames) {
  const std::string longest(NAME_MAX, 'n');
  ASSERT_EQ(make("/" + longest + "/" + longest), 0);
  EXPECT_EQ(make("/" + longest + "n"), -ENAMETOOLONG);
  std::string path;
  while (path.size() < PATH_MAX) path += "/x";
  EXPECT_EQ(make(path), -ENAMETOOLONG);
  // A link's text and what follows it are too long together.
  std::string target;
  while (target.size() + 2 < 3000) target += "/t";
  link(target, "long");
  std::string rest;
  while (rest.size() + 2 < 2000) rest += "/r";
  EXPECT_EQ(make("/long" + rest), -ENAMETOOLONG);
}

TEST_F(InRoot, MagicLinksLeadNowhere) {
  const Fd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(proc);
  for (const char* path : {"self/root/etc", "self/cwd", "self/fd/0"}) {
    const int fd = open_in(proc.get(), path, kPath);
    EXPECT_TRUE(fd == -ELOOP || fd == -EXDEV) << path << ": " << fd;
  }
}

TEST_F(InRoot, ParentOfTheLast) {
  const char* name = nullptr;
  const std::string path = "/p/q/leaf";
  Fd parent(parent_in(root_.get(), path.c_str(), &name));
  ASSERT_TRUE(parent);
  EXPECT_STREQ(name, "leaf");
  EXPECT_TRUE(has("p/q"));
  EXPECT_FALSE(has("p/q/leaf"));
  Fd top(parent_in(root_.get(), "leaf", &name));
  EXPECT_TRUE(top);
  for (const char* wrong : {"/", "", "/p/..", ".", "/p/q/"})
    EXPECT_EQ(parent_in(root_.get(), wrong, &name), -EINVAL) << wrong;
}

// Somebody turns a directory into a link out of the root and back all the time.
TEST_F(InRoot, NothingIsMadeOutsideWhileSomebodySwapsThreadSafe) {
  const std::string a = top_.make_dir("root/a");
  const std::string out = root_path_ + "/out";
  fs::create_symlink(top_ / "outside", out);
  link("../../../outside", "out2");
  std::atomic<bool> done = false;
  std::thread swapper([&] {
    while (!done) {
      for (const std::string& with : {out, root_path_ + "/out2"})
        for (int i = 0; i < 2; ++i)
          ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, with.c_str(), RENAME_EXCHANGE);
    }
  });
  int made = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::string name = "/a/n" + std::to_string(i) + "/deep";
    const Fd fd(
        make_in(root_.get(), name.c_str(), i % 2 == 0 ? Leaf::file : Leaf::directory, 0755));
    if (fd) ++made;
  }
  done = true;
  swapper.join();
  EXPECT_GT(made, 0);
  expect_nothing_outside();
}

}  // namespace
}  // namespace isle::path

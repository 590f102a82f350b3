// The objects of an IPC namespace, listed by somebody inside.
#include <dirent.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <memory>

#include "isle/contents.h"
#include "isle/in.h"
#include "isle/mount.h"
#include "sys/proc_files.h"

namespace isle {
namespace {

constexpr mode_t kPermissions = 0777;

IpcOwner owner_of(int id, const ipc_perm& permissions) {
  return {.id = id,
          .key = static_cast<uint32_t>(permissions.__key),
          .uid = permissions.uid,
          .gid = permissions.gid,
          .mode = static_cast<mode_t>(permissions.mode & kPermissions)};
}

// The *_STAT_ANY commands (Linux 4.17) ask no permission of each object, as /proc/sysvipc does not;
// their argument is an index, and INFO tells the highest in use.

std::vector<SharedMemory> shared_memory() {
  std::vector<SharedMemory> found;
  shm_info info{};
  const int last = ::shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&info));
  for (int i = 0; i <= last; ++i) {
    shmid_ds data{};
    const int id = ::shmctl(i, SHM_STAT_ANY, &data);
    if (id < 0) continue;
    found.push_back({.owner = owner_of(id, data.shm_perm),
                     .size_bytes = data.shm_segsz,
                     .attached = data.shm_nattch});
  }
  return found;
}

union SemArgument {
  int value;
  semid_ds* data;
  seminfo* info;
};

std::vector<SemaphoreSet> semaphores() {
  std::vector<SemaphoreSet> found;
  seminfo info{};
  const int last = ::semctl(0, 0, SEM_INFO, SemArgument{.info = &info});
  for (int i = 0; i <= last; ++i) {
    semid_ds data{};
    const int id = ::semctl(i, 0, SEM_STAT_ANY, SemArgument{.data = &data});
    if (id < 0) continue;
    found.push_back({.owner = owner_of(id, data.sem_perm), .semaphores = data.sem_nsems});
  }
  return found;
}

std::vector<MessageQueue> message_queues() {
  std::vector<MessageQueue> found;
  msginfo info{};
  const int last = ::msgctl(0, MSG_INFO, reinterpret_cast<msqid_ds*>(&info));
  for (int i = 0; i <= last; ++i) {
    msqid_ds data{};
    const int id = ::msgctl(i, MSG_STAT_ANY, &data);
    if (id < 0) continue;
    found.push_back({.owner = owner_of(id, data.msg_perm),
                     .messages = data.msg_qnum,
                     .size_bytes = data.__msg_cbytes});
  }
  return found;
}

/// "QSIZE:12  NOTIFY:0 ...": what reading a queue's file gives.
uint64_t queued_bytes(const std::string& path) {
  const auto text = sys::read_text(path);
  if (!text) return 0;
  const std::string_view value = sys::status_field(*text, "QSIZE");
  uint64_t bytes = 0;
  std::from_chars(value.data(), value.data() + value.size(), bytes);
  return bytes;
}

/// The queues are the files of a file system that the namespace has one instance of.
Result<std::vector<PosixMessageQueue>> posix_message_queues() {
  const Result<MountTree> tree = MountTree::create(FileSystem{.type = "mqueue"});
  if (!tree) return std::unexpected(tree.error());
  const std::string directory = "/proc/thread-self/fd/" + std::to_string(tree->fd().get());
  std::vector<PosixMessageQueue> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory.c_str()), ::closedir);
  if (entries == nullptr) return fail(errno, "list the POSIX message queues");
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string name = "/" + std::string(entry->d_name);
    const std::string path = directory + name;
    struct stat status{};
    if (name == "/." || name == "/.." || ::stat(path.c_str(), &status) != 0) continue;
    found.push_back({.name = name,
                     .uid = status.st_uid,
                     .gid = status.st_gid,
                     .mode = status.st_mode & kPermissions,
                     .size_bytes = queued_bytes(path)});
  }
  return found;
}

}  // namespace

Result<IpcObjects> ipc_objects(const Namespace& ipc_namespace) {
  if (ipc_namespace.type() != NamespaceType::ipc)
    return fail(EINVAL, "look into " + ipc_namespace.link_text(), "it is no ipc namespace");
  return in_thread(ipc_namespace, []() -> Result<IpcObjects> {
    Result<std::vector<PosixMessageQueue>> queues = posix_message_queues();
    if (!queues) return std::unexpected(std::move(queues.error()));
    return IpcObjects{.shared_memory = shared_memory(),
                      .semaphores = semaphores(),
                      .message_queues = message_queues(),
                      .posix_message_queues = std::move(*queues)};
  });
}

}  // namespace isle

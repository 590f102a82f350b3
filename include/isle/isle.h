/* isle for C, and for languages that call C: handles on namespaces, and commands in namespaces.
 * The same as namespace.h, in.h and run.h, whose comments say more; names follow theirs.
 *
 * Conventions. Types are opaque. What a function returns by pointer belongs to the caller, who gives
 * it back by the type's _free function (which takes NULL); what it is given stays the caller's.
 * A function that can fail returns NULL or -1 then and, where its last argument is not NULL, sets
 * *error to a new isle_error; on success it leaves *error alone. Strings are UTF-8 or whatever the
 * file system holds, and end with a NUL; a returned const char * lives as long as its owner.
 * No function prints, exits or changes signal handling. Different objects may be used by different
 * threads at once.
 *
 * The soname is libisle.so.MAJOR.MINOR before 1.0, libisle.so.MAJOR from then on. */
#ifndef ISLE_ISLE_H
#define ISLE_ISLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* NOLINTBEGIN(modernize-use-using): this is C. */
#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0": of the library that is loaded. */
const char* isle_version(void);

/* ---- errors -------------------------------------------------------------------------------- */

typedef struct isle_error isle_error;

/* errno of the call that failed, 0 where none did. */
int isle_error_code(const isle_error* error);
/* All of it: what was tried, errno in words, who asked for it, what to try. */
const char* isle_error_message(const isle_error* error);
/* What was tried. */
const char* isle_error_what(const isle_error* error);
/* Who asked for it; "" where that is not known. */
const char* isle_error_asked_by(const isle_error* error);
/* What to try; "" where nothing certain was found. */
const char* isle_error_hint(const isle_error* error);
/* Index of the plan's step that failed, -1 where none did. */
int isle_error_step(const isle_error* error);
void isle_error_free(isle_error* error);

/* ---- types of namespaces -------------------------------------------------------------------- */

typedef enum isle_type {
  ISLE_ANY = -1, /* where a type is expected: whichever it is */
  ISLE_CGROUP = 0,
  ISLE_IPC,
  ISLE_MOUNT,
  ISLE_NETWORK,
  ISLE_PID,
  ISLE_TIME,
  ISLE_USER,
  ISLE_UTS
} isle_type;

/* CLONE_NEW* of the type; 0 for ISLE_ANY. */
uint64_t isle_type_flag(isle_type type);
/* "mount", as the runtime-spec spells it; NULL for ISLE_ANY. */
const char* isle_type_name(isle_type type);

/* ---- namespaces that exist ------------------------------------------------------------------- */

/* An open reference, one descriptor; while it is open the namespace lives. */
typedef struct isle_namespace isle_namespace;

isle_namespace* isle_namespace_of_process(pid_t pid, isle_type type, isle_error** error);
isle_namespace* isle_namespace_of_thread(pid_t tid, isle_type type, isle_error** error);
/* The calling thread's. */
isle_namespace* isle_namespace_of_self(isle_type type, isle_error** error);
isle_namespace* isle_namespace_of_pidfd(int pidfd, isle_type type, isle_error** error);
/* pid and time only: that of the next children of `pid`. */
isle_namespace* isle_namespace_for_children(pid_t pid, isle_type type, isle_error** error);
/* /proc/PID/ns/..., or what was bound; EINVAL where it is of another type. */
isle_namespace* isle_namespace_of_path(const char* path, isle_type type, isle_error** error);
/* Takes `fd`, also when it fails. */
isle_namespace* isle_namespace_from_fd(int fd, isle_type type, isle_error** error);
/* The network namespace of a socket. */
isle_namespace* isle_namespace_of_socket(int socket, isle_error** error);
/* The network namespace in which the other end of a veth lives. */
isle_namespace* isle_namespace_of_link_peer(const char* interface, isle_error** error);
/* By the number of isle_namespace_unique_id(). */
isle_namespace* isle_namespace_of_unique_id(uint64_t id, isle_error** error);
void isle_namespace_free(isle_namespace* ns);

isle_type isle_namespace_type(const isle_namespace* ns);
uint64_t isle_namespace_inode(const isle_namespace* ns);
/* Never used again until the next boot; 0 before Linux 6.18. */
uint64_t isle_namespace_unique_id(const isle_namespace* ns);
/* Lent: belongs to the handle. */
int isle_namespace_fd(const isle_namespace* ns);
/* 1 the same namespace, 0 another. */
int isle_namespace_equal(const isle_namespace* a, const isle_namespace* b);
/* The user namespace that owns it. */
isle_namespace* isle_namespace_owner(const isle_namespace* ns, isle_error** error);
/* user and pid only: the namespace around it. */
isle_namespace* isle_namespace_parent(const isle_namespace* ns, isle_error** error);
/* user only: the uid of who made it. */
int isle_namespace_owner_uid(const isle_namespace* ns, uid_t* uid, isle_error** error);
/* pid only: a pid of the caller's namespace as this one counts, and the other way; -1 on failure. */
pid_t isle_namespace_pid_in(const isle_namespace* ns, pid_t pid, isle_error** error);
pid_t isle_namespace_pid_from(const isle_namespace* ns, pid_t pid_inside, isle_error** error);
/* Keeps it beyond its last process, bound to a file; and undoes that. */
int isle_namespace_persist(const isle_namespace* ns, const char* path, isle_error** error);
int isle_namespace_unpersist(const char* path, isle_error** error);

/* Move the calling thread: into one, into several in the order that keeps privilege, into those of
 * a process at once or into none (`flags` are CLONE_NEW*), into new ones. */
int isle_namespace_enter(const isle_namespace* ns, isle_error** error);
int isle_enter(const isle_namespace* const* namespaces, size_t count, isle_error** error);
int isle_enter_pidfd(int pidfd, uint64_t flags, isle_error** error);
int isle_unshare(uint64_t flags, isle_error** error);

/* Calls function(argument) in the namespaces by a thread or, where user, pid or time is among them,
 * by a forked process, and sets *result to what it returned (unless NULL). The caller stays where it
 * is. */
int isle_in(const isle_namespace* const* namespaces, size_t count, int (*function)(void* argument),
            void* argument, int* result, isle_error** error);

/* /proc/sys/user/max_*_namespaces of the caller's user namespace. */
int isle_namespace_limit(isle_type type, uint32_t* limit, isle_error** error);
int isle_set_namespace_limit(isle_type type, uint32_t limit, isle_error** error);

/* ---- commands in namespaces -------------------------------------------------------------------- */

/* What is wanted; nothing is implied, what is not mentioned stays the caller's. The functions that
 * add to it cannot fail but for want of memory (-1): mistakes are told by isle_spawn(). spec.h says
 * more of each. */
typedef struct isle_spec isle_spec;

isle_spec* isle_spec_new(void);
void isle_spec_free(isle_spec* spec);

/* New namespaces, CLONE_NEW*. */
int isle_spec_create(isle_spec* spec, uint64_t flags);
/* The namespace is lent until the command has started. */
int isle_spec_join(isle_spec* spec, const isle_namespace* ns);
/* ... by a path: /proc/PID/ns/..., or what was bound. */
int isle_spec_join_path(isle_spec* spec, isle_type type, const char* path);
/* Keeps a new namespace beyond its last process, bound to a file. */
int isle_spec_keep(isle_spec* spec, isle_type type, const char* path);
int isle_spec_set_hostname(isle_spec* spec, const char* name);
int isle_spec_set_domainname(isle_spec* spec, const char* name);
int isle_spec_set_sysctl(isle_spec* spec, const char* name, const char* value);
/* Of a new time namespace; `clock` is CLOCK_MONOTONIC or CLOCK_BOOTTIME. */
int isle_spec_set_time_offset(isle_spec* spec, int clock, int64_t offset_ns);
int isle_spec_loopback_up(isle_spec* spec);

/* One line of a new user namespace's map. */
int isle_spec_map_uids(isle_spec* spec, uint32_t inside, uint32_t outside, uint32_t size);
int isle_spec_map_gids(isle_spec* spec, uint32_t inside, uint32_t outside, uint32_t size);
/* The ranges of /etc/subuid and /etc/subgid, or a failure. */
int isle_spec_map_auto(isle_spec* spec);
int isle_spec_set_setgroups(isle_spec* spec, int allow);
/* As counted inside. */
int isle_spec_set_user(isle_spec* spec, uid_t uid, gid_t gid);
int isle_spec_set_groups(isle_spec* spec, const gid_t* groups, size_t count);

/* ---- the root and what is mounted on it, in the order of the calls ----
 * `options` are words as mount(8) has them, separated by commas, or NULL: ro, nosuid, rnodev (the
 * mounts below, too), noatime, rslave ...; for a bind also norec, for everything optional (passed
 * over where it is missing). All other words are the file system's own: size=16M, mode=755. */

int isle_spec_set_root(isle_spec* spec, const char* path, int read_only);
/* MOUNT_ATTR_* for the root's whole tree, before anything is mounted on it. */
int isle_spec_set_root_attributes(isle_spec* spec, uint64_t attributes);
/* Changes to the root go to `upper`, with `work` for overlayfs itself; to memory where these are NULL. */
int isle_spec_set_root_overlay(isle_spec* spec, const char* upper, const char* work);
/* Without a new root: "private", "slave", "shared", "unbindable", of the caller's mounts inside. */
int isle_spec_set_propagation(isle_spec* spec, const char* kind);
/* A part of the caller's files, with the mounts below it. */
int isle_spec_add_bind(isle_spec* spec, const char* source, const char* destination,
                       const char* options);
/* ... by a descriptor, which is lent until the command has started. */
int isle_spec_add_bind_fd(isle_spec* spec, int fd, const char* destination, const char* options);
/* A new file system; `source` may be NULL. */
int isle_spec_add_file_system(isle_spec* spec, const char* type, const char* source,
                              const char* destination, const char* options);
/* overlayfs; `lower` ends with NULL, topmost first. Changes go to memory where `upper` is NULL. */
int isle_spec_add_overlay(isle_spec* spec, const char* const* lower, const char* upper,
                          const char* work, const char* destination);
/* /dev as a container expects it. */
int isle_spec_add_dev(isle_spec* spec, const char* destination);
/* The parts of /proc that change the whole machine made read-only. */
int isle_spec_cover_proc(isle_spec* spec, const char* destination);
int isle_spec_add_directory(isle_spec* spec, const char* destination, mode_t mode);
int isle_spec_add_symlink(isle_spec* spec, const char* target, const char* destination);
/* A file with the bytes of `source`, or of the descriptor, read when the command starts. */
int isle_spec_add_file(isle_spec* spec, const char* source, const char* destination, mode_t mode);
int isle_spec_add_file_fd(isle_spec* spec, int fd, const char* destination, mode_t mode);
int isle_spec_add_device(isle_spec* spec, const char* destination, mode_t mode, uint32_t major,
                         uint32_t minor);
/* New attributes for the mount at `destination`. */
int isle_spec_remount(isle_spec* spec, const char* destination, const char* options);
/* It cannot be read; passed over where there is nothing. */
int isle_spec_mask(isle_spec* spec, const char* destination);

/* ---- the process ---- */

/* Argument vectors and environments end with NULL; args[0] is looked up in PATH. */
int isle_spec_set_args(isle_spec* spec, const char* const* args);
int isle_spec_set_env(isle_spec* spec, const char* const* env);
int isle_spec_set_cwd(isle_spec* spec, const char* path);
int isle_spec_set_umask(isle_spec* spec, mode_t mask);
/* Five sets, bit n is capability n. */
int isle_spec_set_capabilities(isle_spec* spec, uint64_t bounding, uint64_t effective,
                               uint64_t permitted, uint64_t inheritable, uint64_t ambient);
int isle_spec_set_no_new_privileges(isle_spec* spec, int on);
/* RLIMIT_*. */
int isle_spec_set_rlimit(isle_spec* spec, int resource, uint64_t soft, uint64_t hard);
int isle_spec_set_nice(isle_spec* spec, int nice);
int isle_spec_set_oom_score_adj(isle_spec* spec, int score);
int isle_spec_set_cpus(isle_spec* spec, const int* cpus, size_t count);
/* struct sock_filter, 8 bytes each; SECCOMP_FILTER_FLAG_*. */
int isle_spec_set_seccomp(isle_spec* spec, const void* instructions, size_t count, uint32_t flags);
int isle_spec_set_apparmor_profile(isle_spec* spec, const char* profile);
int isle_spec_set_selinux_label(isle_spec* spec, const char* label);
/* A controlling terminal of its own of that size; its other end is isle_process_console(). */
int isle_spec_set_terminal(isle_spec* spec, uint16_t rows, uint16_t columns);
int isle_spec_set_new_session(isle_spec* spec, int on);
/* A small pid 1 that reaps orphans and forwards signals; the command is its child. */
int isle_spec_set_init(isle_spec* spec, int on);
/* SIGKILL when the thread that started it ends. */
int isle_spec_set_die_with_parent(isle_spec* spec, int on);
/* Descriptors that stay open in the command, besides 0, 1 and 2. */
int isle_spec_pass_fds(isle_spec* spec, const int* fds, size_t count);

/* ---- limits, in a cgroup of its own ---- */

/* Its name below the cgroup that isle may use. */
int isle_spec_set_cgroup(isle_spec* spec, const char* name);
int isle_spec_set_memory_limit(isle_spec* spec, int64_t bytes);
int isle_spec_set_cpu_quota(isle_spec* spec, int64_t quota_us, uint64_t period_us);
int isle_spec_set_pids_limit(isle_spec* spec, int64_t most);
/* A file of a cgroup v2 controller: "io.weight", "50". */
int isle_spec_set_unified(isle_spec* spec, const char* file, const char* value);

/* The plan, as `isle run --explain` prints it, or as JSON; given back by isle_text_free(). */
char* isle_spec_explain(const isle_spec* spec, int as_json, isle_error** error);
void isle_text_free(char* text);

typedef struct isle_process isle_process;

/* How a process ended. */
typedef struct isle_exit {
  int code;   /* exit code; meaningless where signal is not 0 */
  int signal; /* that ended it, 0 for an exit */
} isle_exit;

/* Starts it: the command's execve has succeeded when this returns. */
isle_process* isle_spawn(const isle_spec* spec, isle_error** error);
/* ... with descriptors of the caller as the command's 0, 1 and 2. */
isle_process* isle_spawn_with(const isle_spec* spec, const int stdio[3], isle_error** error);
/* As the caller counts. */
pid_t isle_process_pid(const isle_process* process);
/* Readable when it ends. Lent: belongs to the process. */
int isle_process_pidfd(const isle_process* process);
/* The other end of its terminal, -1 where it has none. Lent. */
int isle_process_console(const isle_process* process);
int isle_process_signal(isle_process* process, int signal, isle_error** error);
/* Once only. */
int isle_process_wait(isle_process* process, isle_exit* end, isle_error** error);
/* One that was not waited for is killed. */
void isle_process_free(isle_process* process);
/* isle_spawn(), isle_process_wait(). */
int isle_run(const isle_spec* spec, isle_exit* end, isle_error** error);

#ifdef __cplusplus
}
#endif
/* NOLINTEND(modernize-use-using) */

#endif

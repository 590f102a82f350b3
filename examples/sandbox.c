/* sandbox COMMAND [ARG...]: what `isle run` does, in C by isle.h alone: the host's files read-only,
 * /tmp, /run, /proc and /dev its own, a loopback and no other network, no privileges, none to gain.
 * As root or as an ordinary user. Ends as the command ends; "sandbox --explain COMMAND" shows the plan. */
#define _GNU_SOURCE
#include <isle/isle.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int fail(isle_error* error) {
  fprintf(stderr, "sandbox: %s\n", isle_error_message(error));
  isle_error_free(error);
  return 125;
}

/* 0, or -1 for want of memory. */
static int describe(isle_spec* spec, const char* const* command) {
  const uint64_t quiet = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  int bad = isle_spec_create(spec, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                                       CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
  bad |= isle_spec_set_hostname(spec, "sandbox");
  bad |= isle_spec_loopback_up(spec);
  bad |= isle_spec_set_root(spec, "/", 0);
  bad |= isle_spec_set_root_attributes(spec, quiet);
  bad |= isle_spec_add_file_system(spec, "proc", "proc", "/proc", "nosuid,nodev,noexec");
  bad |= isle_spec_cover_proc(spec, "/proc");
  bad |= isle_spec_add_dev(spec, "/dev");
  bad |= isle_spec_add_file_system(spec, "tmpfs", "tmpfs", "/tmp", "nosuid,nodev,mode=1777");
  bad |= isle_spec_add_file_system(spec, "tmpfs", "tmpfs", "/run", "nosuid,nodev,mode=755");
  bad |= isle_spec_mask(spec, "/etc/shadow");
  bad |= isle_spec_set_capabilities(spec, 0, 0, 0, 0, 0);
  bad |= isle_spec_set_no_new_privileges(spec, 1);
  bad |= isle_spec_set_rlimit(spec, RLIMIT_CORE, 0, 0);
  bad |= isle_spec_set_new_session(spec, 1);
  bad |= isle_spec_set_die_with_parent(spec, 1);
  bad |= isle_spec_set_init(spec, 1);
  bad |= isle_spec_set_args(spec, command);
  return bad;
}

int main(int argc, char** argv) {
  isle_error* error = NULL;
  isle_exit end = {0, 0};
  isle_spec* spec = isle_spec_new();
  const int explains = argc > 1 && strcmp(argv[1], "--explain") == 0;
  int status;
  if (argc < 2 + explains) {
    fprintf(stderr, "usage: sandbox [--explain] COMMAND [ARG...]\n");
    isle_spec_free(spec);
    return 2;
  }
  if (spec == NULL || describe(spec, (const char* const*)argv + 1 + explains) != 0) {
    fprintf(stderr, "sandbox: no memory\n");
    isle_spec_free(spec);
    return 125;
  }
  if (explains) {
    char* plan = isle_spec_explain(spec, 0, &error);
    status = plan == NULL ? fail(error) : printf("%s", plan) < 0;
    isle_text_free(plan);
  } else if (isle_run(spec, &end, &error) != 0) {
    status = fail(error);
  } else {
    status = end.signal != 0 ? 128 + end.signal : end.code;
  }
  isle_spec_free(spec);
  return status;
}

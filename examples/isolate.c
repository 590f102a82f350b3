/* isolate NAME COMMAND [ARG...]: the command in uts, pid, network and mount namespaces of its own,
 * under the host name NAME and with a /proc that shows its processes only. Says which namespaces it
 * is in, and ends as the command ends. Needs root. In C, by isle.h alone. */
#define _GNU_SOURCE
#include <isle/isle.h>
#include <sched.h>
#include <stdio.h>

static int fail(isle_error* error) {
  fprintf(stderr, "isolate: %s\n", isle_error_message(error));
  isle_error_free(error);
  return 125;
}

/* A line for each type of which the process has another namespace than we have. */
static int tell(pid_t pid) {
  int type;
  for (type = ISLE_CGROUP; type <= ISLE_UTS; ++type) {
    isle_error* error = NULL;
    isle_namespace* ours = isle_namespace_of_self((isle_type)type, &error);
    isle_namespace* theirs = isle_namespace_of_process(pid, (isle_type)type, &error);
    if (ours == NULL || theirs == NULL) {
      isle_namespace_free(ours);
      isle_namespace_free(theirs);
      return fail(error);
    }
    if (!isle_namespace_equal(ours, theirs))
      fprintf(stderr, "new %s namespace %llu\n", isle_type_name((isle_type)type),
              (unsigned long long)isle_namespace_inode(theirs));
    isle_namespace_free(ours);
    isle_namespace_free(theirs);
  }
  return 0;
}

int main(int argc, char** argv) {
  isle_error* error = NULL;
  isle_process* process;
  isle_spec* spec;
  isle_exit end = {0, 0};
  int status;
  if (argc < 3) {
    fprintf(stderr, "usage: isolate NAME COMMAND [ARG...]\n");
    return 2;
  }
  spec = isle_spec_new();
  if (spec == NULL ||
      isle_spec_create(spec, CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS) != 0 ||
      isle_spec_set_hostname(spec, argv[1]) != 0 ||
      isle_spec_add_file_system(spec, "proc", NULL, "/proc", NULL) != 0 ||
      isle_spec_set_args(spec, (const char* const*)argv + 2) != 0) {
    fprintf(stderr, "isolate: no memory\n");
    isle_spec_free(spec);
    return 125;
  }
  process = isle_spawn(spec, &error);
  isle_spec_free(spec);
  if (process == NULL) return fail(error);
  status = tell(isle_process_pid(process));
  if (isle_process_wait(process, &end, &error) != 0) status = fail(error);
  isle_process_free(process);
  if (status != 0) return status;
  return end.signal != 0 ? 128 + end.signal : end.code;
}

// lap: times whole commands against each other with little noise of its own.
//
//   lap [-n ROUNDS] [-w WARMUP] [-j JOBS] ::: COMMAND [ARG...] [::+ COMMAND [ARG...]]... [::: ...]...
//
// What follows ::+ runs after the one before it, and the whole row of them is one sample (not with -j). "{n}" in an
// argument is replaced by a number that is another one for each start of the row.
//
// Each round runs every command once, in an order that moves on and turns round from one round to the next, so that slow
// drift and neighbours hit all alike. With -j, a round starts each command JOBS at a time until ROUNDS have ended, and
// commands take turns as wholes (throughput instead of latency).
// Prints one JSON object on standard output: for each command its wall times, processor times and peak resident sizes.
//
// Static and small on purpose: exec(2) carries the resident size of the memory it leaves into ru_maxrss, and posix_spawn
// leaves ours, so nothing smaller than this program can be seen. Its own size is printed as "floor_rss_kb".

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

struct sample {
  int64_t wall_ns;
  int64_t cpu_ns;
  long maxrss_kb;
};

struct command {
  char** argv;
  struct command* then;
  struct sample* samples;
  long failed;
};

static posix_spawn_file_actions_t quiet;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t timeval_ns(struct timeval t) {
  return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_usec * 1000;
}

enum { kMostArguments = 64, kLongestArgument = 256 };

// Its arguments with {n} filled in; good until the next call.
static char** numbered(char** argv, long number) {
  static char text[kMostArguments][kLongestArgument];
  static char* filled[kMostArguments + 1];
  int i = 0;
  for (; argv[i] != NULL && i < kMostArguments; i++) {
    const char* mark = strstr(argv[i], "{n}");
    filled[i] = argv[i];
    if (mark == NULL) continue;
    snprintf(text[i], kLongestArgument, "%.*s%ld%s", (int)(mark - argv[i]), argv[i], number,
             mark + 3);
    filled[i] = text[i];
  }
  filled[i] = NULL;
  return filled;
}

static long next_number = 0;

static pid_t start(const struct command* c) {
  pid_t pid = 0;
  int err = posix_spawnp(&pid, c->argv[0], &quiet, NULL, numbered(c->argv, next_number), environ);
  if (err != 0) {
    fprintf(stderr, "lap: %s: %s\n", c->argv[0], strerror(err));
    exit(2);
  }
  return pid;
}

static void run_once(struct command* first, struct sample* out) {
  struct sample all = {0, 0, 0};
  next_number++;
  int64_t begin = now_ns();
  for (struct command* c = first; c != NULL; c = c->then) {
    int status = 0;
    struct rusage usage;
    pid_t pid = start(c);
    while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    if (status != 0) first->failed++;
    all.cpu_ns += timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
    if (usage.ru_maxrss > all.maxrss_kb) all.maxrss_kb = usage.ru_maxrss;
  }
  all.wall_ns = now_ns() - begin;
  if (out != NULL) *out = all;
}

// Runs `count` of one command, `jobs` at a time; returns the wall time of all of them.
static int64_t run_many(struct command* c, long count, long jobs) {
  long begun = 0, ended = 0;
  int64_t begin = now_ns();
  while (ended < count) {
    while (begun < count && begun - ended < jobs) {
      next_number++;
      start(c);
      begun++;
    }
    int status = 0;
    if (wait4(-1, &status, 0, NULL) < 0) continue;
    if (status != 0) c->failed++;
    ended++;
  }
  return now_ns() - begin;
}

static long own_rss_kb(void) {
  long size = 0, resident = 0;
  FILE* f = fopen("/proc/self/statm", "re");
  if (f == NULL) return -1;
  if (fscanf(f, "%ld %ld", &size, &resident) != 2) resident = -1;
  fclose(f);
  return resident < 0 ? -1 : resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void print_samples(const struct command* c, long rounds) {
  printf("{\"failed\": %ld, \"wall_ns\": [", c->failed);
  for (long i = 0; i < rounds; i++)
    printf("%s%lld", i ? "," : "", (long long)c->samples[i].wall_ns);
  printf("], \"cpu_ns\": [");
  for (long i = 0; i < rounds; i++) printf("%s%lld", i ? "," : "", (long long)c->samples[i].cpu_ns);
  printf("], \"maxrss_kb\": [");
  for (long i = 0; i < rounds; i++) printf("%s%ld", i ? "," : "", c->samples[i].maxrss_kb);
  printf("]}");
}

int main(int argc, char** argv) {
  long rounds = 100, warmup = 5, jobs = 0;
  int opt = 0;
  while ((opt = getopt(argc, argv, "+n:w:j:")) != -1) {
    if (opt == 'n')
      rounds = atol(optarg);
    else if (opt == 'w')
      warmup = atol(optarg);
    else if (opt == 'j')
      jobs = atol(optarg);
    else
      return 2;
  }
  struct command* commands = calloc((size_t)argc, sizeof *commands);
  long count = 0;
  for (int i = optind; i < argc; i++) {
    const int follows = strcmp(argv[i], "::+") == 0 && count > 0;
    if (strcmp(argv[i], ":::") != 0 && !follows) continue;
    argv[i] = NULL;
    if (i + 1 >= argc || strncmp(argv[i + 1], "::", 2) == 0) continue;
    struct command* into = follows ? calloc(1, sizeof *into) : &commands[count++];
    if (into == NULL) return 2;
    into->argv = &argv[i + 1];
    if (!follows) continue;
    struct command* last = &commands[count - 1];
    while (last->then != NULL) last = last->then;
    last->then = into;
  }
  if (commands == NULL || count == 0 || rounds < 1) {
    fprintf(
        stderr,
        "usage: lap [-n ROUNDS] [-w WARMUP] [-j JOBS] ::: COMMAND [ARG...] [::+ ...] [::: ...]\n");
    return 2;
  }
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
  for (long i = 0; i < count; i++) {
    commands[i].samples = calloc((size_t)rounds, sizeof(struct sample));
    if (commands[i].samples == NULL) return 2;
  }

  if (jobs > 0) {
    for (long i = 0; i < count; i++) {
      if (warmup > 0) run_many(&commands[i], warmup, jobs);
      commands[i].samples[0].wall_ns = run_many(&commands[i], rounds, jobs);
    }
    rounds = 1;
  } else {
    for (long r = -warmup; r < rounds; r++) {
      for (long k = 0; k < count; k++) {
        long turn = ((r % count) + count) % count;
        long i = (r & 1) ? (turn + count - k) % count : (turn + k) % count;
        run_once(&commands[i], r < 0 ? NULL : &commands[i].samples[r]);
      }
    }
  }

  printf("{\"floor_rss_kb\": %ld, \"commands\": [", own_rss_kb());
  for (long i = 0; i < count; i++) {
    if (i) printf(", ");
    print_samples(&commands[i], rounds);
  }
  printf("]}\n");
  return 0;
}

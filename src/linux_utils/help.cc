#include "linux_utils/nsenter.h"
#include "linux_utils/unshare.h"

namespace isle::linux_utils {

std::string unshare_help() {
  return R"(Usage: unshare [OPTIONS] [PROGRAM [ARG...]]

Run a program in new namespaces; without PROGRAM a login shell.

New namespaces; with =FILE kept at that file:
 -m, --mount[=FILE]        mounts
 -u, --uts[=FILE]          host name
 -i, --ipc[=FILE]          System V IPC, POSIX message queues
 -n, --net[=FILE]          network
 -p, --pid[=FILE]          process ids, of children
 -U, --user[=FILE]         users
 -C, --cgroup[=FILE]       cgroups
 -T, --time[=FILE]         clocks

Ids of a new user namespace:
 -r, --map-root-user       the own ids are root inside
 -c, --map-current-user    the own ids are what they are
     --map-user UID|NAME   the own user id is this one inside
     --map-group GID|NAME  the own group id is this one inside
     --map-users RANGE     INNER:OUTER:COUNT, auto, subids or all; repeatable
     --map-groups RANGE    the same for groups
     --map-auto            --map-users=auto --map-groups=auto
     --map-subids          --map-users=subids --map-groups=subids
     --setgroups allow|deny  whether setgroups(2) may be called
     --owner UID:GID       made by somebody who is that user

The program:
 -f, --fork                is a child
     --forward-signals     which gets SIGINT and SIGTERM, too; implies --fork
     --kill-child[=SIGNAL] which gets SIGNAL when unshare ends; implies --fork
     --keep-caps           keeps the capabilities of the new user namespace
 -S, --setuid UID          runs as this user
 -G, --setgid GID          runs as this group, with no other
 -R, --root DIR            has this root directory
 -w, --wd DIR              starts in this directory
     --clear-env           starts with an empty environment
     --whitelist-env LIST  starts with these variables only

Mounts and clocks:
     --mount-proc[=DIR]    proc is mounted on /proc or DIR
     --mount-binfmt[=DIR]  binfmt_misc on /proc/sys/fs/binfmt_misc or DIR
 -l, --load-interp LINE    registers a format there; implies --mount-binfmt
     --propagation private|shared|slave|unchanged
     --monotonic SECONDS   offset of the monotonic clock
     --boottime SECONDS    offset of the boot time clock

     --explain[=json]      print what would be done
 -h, --help
 -V, --version
)";
}

std::string nsenter_help() {
  return R"(Usage: nsenter [OPTIONS] [PROGRAM [ARG...]]

Run a program in namespaces that exist; without PROGRAM a login shell.

 -t, --target PID[:INODE]  whose namespaces; INODE is its pidfd's
 -a, --all                 all of them

Namespaces of the target, of FILE, or by 64-bit id:
 -m, --mount[=FILE|=:ID]
 -u, --uts[=FILE|=:ID]
 -i, --ipc[=FILE|=:ID]
 -n, --net[=FILE|=:ID]
 -N, --net-socket FD       of the target's socket FD
 -p, --pid[=FILE|=:ID]
 -U, --user[=FILE|=:ID]
     --user-parent         the user namespace around the target's
 -C, --cgroup[=FILE|=:ID]
 -T, --time[=FILE|=:ID]

The program:
 -S, --setuid UID|follow   runs as this user, or the target's
 -G, --setgid GID|follow   runs as this group, or the target's, with no other
     --preserve-credentials  keeps its ids in a user namespace
     --keep-caps           keeps the capabilities of a user namespace
 -r, --root[=DIR]          has the target's root directory, or DIR
 -w, --wd[=DIR]            starts in the target's working directory, or DIR
 -W, --wdns DIR            starts in DIR as it is inside
 -e, --env                 has the target's environment
 -F, --no-fork             is no child, also in a pid namespace
 -c, --join-cgroup         joins the target's cgroup
 -Z, --follow-context      has the target's SELinux context

     --explain[=json]      print what would be done
 -h, --help
 -V, --version
)";
}

}  // namespace isle::linux_utils

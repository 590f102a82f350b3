# bash completion for isle-oci; made by `isle-oci --print-completion bash`

_isle_oci() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= i
  COMPREPLY=()
  case $prev in
    --root) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    --log) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --log-format) mapfile -t COMPREPLY < <(compgen -W "text json" -- "$cur"); return ;;
    --cgroup-manager) mapfile -t COMPREPLY < <(compgen -W "cgroupfs systemd disabled" -- "$cur"); return ;;
    --criu) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --bundle) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    --config) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --console-socket) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --pidfd-socket) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --pid-file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --preserve-fds) return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W "table json" -- "$cur"); return ;;
    --process) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --env) return ;;
    --user) return ;;
    --cwd) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    --cap) return ;;
    --additional-gids) return ;;
    --apparmor) return ;;
    --process-label) return ;;
    --cgroup) return ;;
    --image-path) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    --work-path) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    --parent-path) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    --page-server) return ;;
    --status-fd) return ;;
    --manage-cgroups-mode) mapfile -t COMPREPLY < <(compgen -W "soft full strict ignore" -- "$cur"); return ;;
    --empty-ns) return ;;
    --network-lock) mapfile -t COMPREPLY < <(compgen -W "iptables nftables skip" -- "$cur"); return ;;
    --lsm-profile) return ;;
    --lsm-mount-context) return ;;
    --resources) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --memory) return ;;
    --memory-swap) return ;;
    --memory-reservation) return ;;
    --cpu-quota) return ;;
    --cpu-period) return ;;
    --cpu-burst) return ;;
    --cpu-share) return ;;
    --cpu-idle) mapfile -t COMPREPLY < <(compgen -W "0 1" -- "$cur"); return ;;
    --cpu-rt-period) return ;;
    --cpu-rt-runtime) return ;;
    --cpuset-cpus) return ;;
    --cpuset-mems) return ;;
    --pids-limit) return ;;
    --blkio-weight) return ;;
    --kernel-memory) return ;;
    --kernel-memory-tcp) return ;;
    --interval) return ;;
  esac
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      --root|--log|--log-format|--cgroup-manager|--criu|--bundle|--config|--console-socket|--pidfd-socket|--pid-file|--preserve-fds|--format|--process|--env|--user|--cwd|--cap|--additional-gids|--apparmor|--process-label|--cgroup|--image-path|--work-path|--parent-path|--page-server|--status-fd|--manage-cgroups-mode|--empty-ns|--network-lock|--lsm-profile|--lsm-mount-context|--resources|--memory|--memory-swap|--memory-reservation|--cpu-quota|--cpu-period|--cpu-burst|--cpu-share|--cpu-idle|--cpu-rt-period|--cpu-rt-runtime|--cpuset-cpus|--cpuset-mems|--pids-limit|--blkio-weight|--kernel-memory|--kernel-memory-tcp|--interval) ((i += 1)) ;;
      -*) ;;
      *) verb=${COMP_WORDS[i]}; break ;;
    esac
  done
  case $verb in
    '') mapfile -t COMPREPLY < <(compgen -W "create start run exec state kill delete list ps pause resume update events checkpoint restore spec features --cgroup-manager --debug --explain --help --log --log-format --root --systemd-cgroup --version -h -v" -- "$cur") ;;
    create) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --bundle --config --console-socket --explain --no-new-keyring --no-pivot --pid-file --pidfd-socket --preserve-fds -b -f" -- "$cur"); fi ;;
    start) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help " -- "$cur"); else mapfile -t COMPREPLY < <(compgen -W "$(isle-oci list -q 2>/dev/null)" -- "$cur"); fi ;;
    run) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --bundle --config --console-socket --detach --explain --keep --no-new-keyring --no-pivot --pid-file --pidfd-socket --preserve-fds -b -d -f" -- "$cur"); fi ;;
    exec) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --additional-gids --apparmor --cap --cgroup --console-socket --cwd --detach --env --ignore-paused --no-new-privs --pid-file --pidfd-socket --preserve-fds --process --process-label --tty --user -c -d -e -g -p -t -u" -- "$cur"); else mapfile -t COMPREPLY < <(compgen -W "$(isle-oci list -q 2>/dev/null)" -- "$cur"); fi ;;
    state) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help " -- "$cur"); else mapfile -t COMPREPLY < <(compgen -W "$(isle-oci list -q 2>/dev/null)" -- "$cur"); fi ;;
    kill) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --all --regex -a -r" -- "$cur"); else mapfile -t COMPREPLY < <(compgen -W "$(isle-oci list -q 2>/dev/null)" -- "$cur"); fi ;;
    delete) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --force --regex -f -r" -- "$cur"); else mapfile -t COMPREPLY < <(compgen -W "$(isle-oci list -q 2>/dev/null)" -- "$cur"); fi ;;
    list) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --format --quiet -f -q" -- "$cur"); fi ;;
    ps) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --format -f" -- "$cur"); else mapfile -t COMPREPLY < <(compgen -W "$(isle-oci list -q 2>/dev/null)" -- "$cur"); fi ;;
    pause) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help " -- "$cur"); else mapfile -t COMPREPLY < <(compgen -W "$(isle-oci list -q 2>/dev/null)" -- "$cur"); fi ;;
    resume) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help " -- "$cur"); else mapfile -t COMPREPLY < <(compgen -W "$(isle-oci list -q 2>/dev/null)" -- "$cur"); fi ;;
    update) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --blkio-weight --cpu-burst --cpu-idle --cpu-period --cpu-quota --cpu-rt-period --cpu-rt-runtime --cpu-share --cpuset-cpus --cpuset-mems --kernel-memory-tcp --memory --memory-reservation --memory-swap --pids-limit --resources -r" -- "$cur"); else mapfile -t COMPREPLY < <(compgen -W "$(isle-oci list -q 2>/dev/null)" -- "$cur"); fi ;;
    events) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --interval --stats" -- "$cur"); else mapfile -t COMPREPLY < <(compgen -W "$(isle-oci list -q 2>/dev/null)" -- "$cur"); fi ;;
    checkpoint) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --auto-dedup --empty-ns --ext-unix-sk --file-locks --image-path --lazy-pages --leave-running --link-remap --manage-cgroups-mode --network-lock --page-server --parent-path --pre-dump --shell-job --status-fd --tcp-established --tcp-skip-in-flight --work-path" -- "$cur"); else mapfile -t COMPREPLY < <(compgen -W "$(isle-oci list -q 2>/dev/null)" -- "$cur"); fi ;;
    restore) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --auto-dedup --bundle --console-socket --detach --empty-ns --ext-unix-sk --file-locks --image-path --lazy-pages --link-remap --lsm-mount-context --lsm-profile --manage-cgroups-mode --network-lock --no-pivot --pid-file --shell-job --tcp-close --tcp-established --work-path -b -d" -- "$cur"); fi ;;
    spec) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help --bundle --rootless -b" -- "$cur"); fi ;;
    features) if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "--help " -- "$cur"); fi ;;
  esac
}

complete -F _isle_oci isle-oci

# bash completion for isle; made by `isle --print-completion bash`

# Words of a list, also behind the last comma of several.
_isle_list() {
  local head=
  [[ $cur != *,* ]] || head=${cur%,*},
  mapfile -t COMPREPLY < <(compgen -P "$head" -W "$1" -- "${cur##*,}")
}

_isle_list_files() {
  compopt -o filenames
  mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

_isle_run() {
  local i=2
  while ((i < COMP_CWORD)); do
    case ${COMP_WORDS[i]} in
      --root|--bind|--ro-bind|--dev-bind|--tmpfs|--dir|--symlink|--file|--mount|--mask|--propagation|--share|--new|--join|--keep|--time-offset|--hostname|--domainname|--uid|--gid|--user|--groups|--map-uid|--map-gid|--cap-add|--cap-drop|--memory|--cpus|--pids|--rlimit|--nice|--cpus-allowed|--oom-score-adj|--timeout|-w|--workdir|-e|--env|--unset|--umask|--tty|--pass-fd|--pid-file|--status-fd) ((i += 2)) ;;
      --) ((i += 1)); break ;;
      -*) ((i += 1)) ;;
      *) break ;;
    esac
  done
  if ((i < COMP_CWORD)) || [[ ${COMP_WORDS[i-1]} == -- && i -eq COMP_CWORD ]]; then
    if declare -F _command_offset > /dev/null; then
      _command_offset "$i"
    elif ((i == COMP_CWORD)); then
      mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    else
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
    return
  fi
  case $prev in
    --root) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    --bind) _isle_list_files; return ;;
    --ro-bind) _isle_list_files; return ;;
    --dev-bind) _isle_list_files; return ;;
    --tmpfs) return ;;
    --dir) return ;;
    --symlink) return ;;
    --file) return ;;
    --mount) return ;;
    --mask) return ;;
    --propagation) _isle_list "private slave shared unbindable unchanged"; return ;;
    --share) _isle_list "cgroup ipc mount network pid time user uts"; return ;;
    --new) _isle_list "cgroup ipc mount network pid time user uts"; return ;;
    --join) _isle_list "cgroup ipc mount network pid time user uts"; return ;;
    --keep) _isle_list "cgroup ipc mount network pid time user uts"; return ;;
    --time-offset) _isle_list "monotonic= boottime="; return ;;
    --hostname) return ;;
    --domainname) return ;;
    --uid) return ;;
    --gid) return ;;
    --user) return ;;
    --groups) return ;;
    --map-uid) return ;;
    --map-gid) return ;;
    --cap-add) _isle_list "ALL chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"; return ;;
    --cap-drop) _isle_list "ALL chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"; return ;;
    --memory) return ;;
    --cpus) return ;;
    --pids) return ;;
    --rlimit) _isle_list "cpu= fsize= data= stack= core= rss= nproc= nofile= memlock= as= locks= sigpending= msgqueue= nice= rtprio= rttime="; return ;;
    --nice) return ;;
    --cpus-allowed) return ;;
    --oom-score-adj) return ;;
    --timeout) return ;;
    -w|--workdir) return ;;
    -e|--env) return ;;
    --unset) return ;;
    --umask) return ;;
    --tty) _isle_list "auto always never"; return ;;
    --pass-fd) return ;;
    --pid-file) _isle_list_files; return ;;
    --status-fd) return ;;
  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "--root --overlay --read-only --no-root --bind --ro-bind --dev-bind --tmpfs --dir --symlink --file --mount --mask --propagation --share --new --join --keep --time-offset --hostname --domainname --uid --gid --user --groups --map-uid --map-gid --map-auto --cap-add --cap-drop --keep-privileges --memory --cpus --pids --rlimit --nice --cpus-allowed --oom-score-adj --timeout --workdir -w --env -e --unset --clear-env --umask --init --tty --pass-fd --pid-file --status-fd --explain --verbose -v --help -h" -- "$cur")
  else
    mapfile -t COMPREPLY < <(compgen -c -- "$cur")
  fi
}

_isle_unshare() {
  local i=2
  while ((i < COMP_CWORD)); do
    case ${COMP_WORDS[i]} in
      -n|--new|--keep|--time-offset|--hostname|--propagation|--map-uid|--map-gid|--uid|--gid|--root|-w|--workdir) ((i += 2)) ;;
      --) ((i += 1)); break ;;
      -*) ((i += 1)) ;;
      *) break ;;
    esac
  done
  if ((i < COMP_CWORD)) || [[ ${COMP_WORDS[i-1]} == -- && i -eq COMP_CWORD ]]; then
    if declare -F _command_offset > /dev/null; then
      _command_offset "$i"
    elif ((i == COMP_CWORD)); then
      mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    else
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
    return
  fi
  case $prev in
    -n|--new) _isle_list "cgroup ipc mount network pid time user uts"; return ;;
    --keep) return ;;
    --time-offset) _isle_list "monotonic= boottime="; return ;;
    --hostname) return ;;
    --propagation) _isle_list "private slave shared unchanged"; return ;;
    --map-uid) return ;;
    --map-gid) return ;;
    --uid) return ;;
    --gid) return ;;
    --root) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    -w|--workdir) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "--new -n --keep --time-offset --hostname --proc --propagation --map-root -r --map-uid --map-gid --map-auto --uid --gid --keep-capabilities --fork -f --die-with-parent --root --workdir -w --explain --help -h" -- "$cur")
  else
    mapfile -t COMPREPLY < <(compgen -c -- "$cur")
  fi
}

_isle_enter() {
  local i=2
  while ((i < COMP_CWORD)); do
    case ${COMP_WORDS[i]} in
      -t|--types|-u|--user|--uid|--gid|--workdir) ((i += 2)) ;;
      --) ((i += 1)); break ;;
      -*) ((i += 1)) ;;
      *) break ;;
    esac
  done
  case $prev in
    -t|--types) _isle_list "cgroup ipc mount network pid time user uts"; return ;;
    -u|--user) _isle_list "follow keep"; return ;;
    --uid) return ;;
    --gid) return ;;
    --workdir) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "--all -a --types -t --root -r --tools --cwd -w --env -e --cgroup -c --label --user -u --uid --gid --workdir --explain --help -h" -- "$cur")
  fi
}

_isle_doctor() {
  local i=2
  while ((i < COMP_CWORD)); do
    case ${COMP_WORDS[i]} in
      --) ((i += 1)); break ;;
      -*) ((i += 1)) ;;
      *) break ;;
    esac
  done
  case $prev in
  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "--json --help -h" -- "$cur")
  fi
}

_isle() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "help run unshare enter doctor --help --version" -- "$cur")
    return
  fi
  case ${COMP_WORDS[1]} in
    help) _isle_list "help run unshare enter doctor" ;;
    run) _isle_run ;;
    unshare) _isle_unshare ;;
    enter) _isle_enter ;;
    doctor) _isle_doctor ;;
  esac
}

complete -F _isle isle

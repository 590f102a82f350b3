#!/bin/bash
# Man pages and completions: made from the option table as it is, well formed, and offering what
# they should.
set -uo pipefail
cd "$ISLE_SOURCE_DIR"
failures=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

tools/update_cli_docs --check "$ISLE_BUILD_DIR" || fail "generated files are out of date"

if command -v mandoc > /dev/null; then
  mandoc -Tlint -W warning man/isle*.1 || fail "man pages"
fi
for name in isle isle-oci; do
  bash -n "completions/$name.bash" || fail "bash syntax: $name"
  ! command -v zsh > /dev/null || zsh -n "completions/_$name" || fail "zsh syntax: $name"
  ! command -v fish > /dev/null || fish -n "completions/$name.fish" || fail "fish syntax: $name"
done

# completes LINE WORD...: behind LINE, bash offers each WORD.
completes() {
  local line=$1 offered word
  shift
  offered=$(bash --norc -c '
    source "completions/${1%% *}.bash"
    compopt() { :; }
    read -ra COMP_WORDS <<< "$1"
    [[ $1 != *" " ]] || COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    name=_${1%% *}
    "${name//-/_}"
    printf "%s\n" "${COMPREPLY[@]}"' bash "$line")
  for word in "$@"; do
    grep -qxF -e "$word" <<< "$offered" || fail "\"$line\": $word is not offered"
  done
}
completes "isle " run unshare enter doctor help
completes "isle r" run
completes "isle help r" run
completes "isle doctor --" --json
completes "isle run --host" --hostname
completes "isle run --share ne" network
completes "isle run --share user,ne" user,network
completes "isle run --cap-add net_a" net_admin
completes "isle run --hostname x --tty " auto always never
completes "isle run --rlimit nof" nofile=
completes "isle run -- tru" true
completes "isle run tru" true
completes "isle run --root /us" /usr

completes "isle-oci " run exec --root --help
completes "isle-oci --root /run exec --ap" --apparmor
completes "isle-oci exec -" --process -p --help
completes "isle-oci --log-format " text json
completes "isle-oci list --fo" --format
completes "isle-oci run --bundle /us" /usr
oci=$ISLE_BUILD_DIR/bin/isle-oci
for verb in $("$oci" --help | sed -n '/^Commands/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
  "$oci" "$verb" --help | grep -q "^Usage: isle-oci \[GLOBAL OPTIONS\] $verb" || fail "isle-oci $verb --help"
  grep -q "^\.It Cm .*$verb" man/isle-oci.1 || fail "isle-oci(1) has no $verb"
done

if command -v fish > /dev/null; then
  offered=$(HOME=$(mktemp -d) fish --no-config -c "source completions/isle.fish; complete -C 'isle run --hostn'")
  [[ $offered == --hostname* ]] || fail "fish: $offered"
fi

((failures == 0)) && echo "man pages and completions are up to date"

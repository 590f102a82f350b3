#!/bin/bash
# The examples as a stranger has them: against an installed isle, with find_package and with pkg-config; and what they do.
set -uo pipefail
cd "$ISLE_SOURCE_DIR"
failures=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }
if grep -q '^ISLE_INSTRUMENT:STRING=.*-fsanitize' "$ISLE_BUILD_DIR/CMakeCache.txt"; then
    echo "this libisle needs the sanitizers' run-time; the examples are built against one without"
    exit 77
fi

work=$(mktemp -d)
pids=()
# Ends what is ours and runs still, and takes away what is mounted below the directory.
clean_up() {
    kill "${pids[@]}" 2>/dev/null
    grep -o " $work/[^ ]*" /proc/self/mountinfo | sort -r | xargs -r -n 1 umount -l 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT
chmod 755 "$work"

# make uninstall goes by the manifest of the last install, which this one is not to be.
manifest=$ISLE_BUILD_DIR/install_manifest.txt
[[ ! -f $manifest ]] || cp "$manifest" "$work/manifest"
# With DESTDIR, then moved: what is installed must not remember where.
DESTDIR=$work/stage cmake --install "$ISLE_BUILD_DIR" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
rm -f "$manifest"
[[ ! -f $work/manifest ]] || cp "$work/manifest" "$manifest"
built_for=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$ISLE_BUILD_DIR/CMakeCache.txt")
prefix=$work/prefix
mv "$work/stage$built_for" "$prefix" || exit 1
libdir=$(dirname "$(find "$prefix" -name libisle.so)")
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$ISLE_BUILD_DIR/CMakeCache.txt")

cmake -S examples -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$compiler" >"$work/log" 2>&1 &&
    cmake --build "$work/cmake" >>"$work/log" 2>&1 || { cat "$work/log"; fail "find_package(isle)"; }
mkdir "$work/make"
PKG_CONFIG_PATH=$libdir/pkgconfig make -C examples OUT="$work/make" CXX="$compiler" \
    CXXFLAGS='-O0 -Wall -Wextra -Wpedantic -Werror' CFLAGS='-Wall -Wextra -Wpedantic -Werror' \
    >"$work/log" 2>&1 || { cat "$work/log"; fail "pkg-config isle"; }
export LD_LIBRARY_PATH=$libdir
for program in sandbox_command join_container keep_namespace build_rootfs isolate sandbox; do
    usage=$("$work/cmake/$program" 2>&1)
    [[ $? == 2 && $usage == usage:* ]] || fail "$program of find_package: $usage"
done

# What they do, with those of pkg-config.
if ((EUID != 0)); then
    echo "built; not run: joining and keeping namespaces needs root"
    ((failures == 0)) && exit 77
    exit 1
fi
PATH=$work/make:$PATH

# expect TEXT COMMAND...: its output is TEXT.
expect() {
    local text=$1 output
    shift
    output=$(timeout 60 "$@" 2>&1 </dev/null)
    [[ $output == "$text" ]] || fail "$*: \"$output\", not \"$text\""
}
expect sandbox sandbox_command hostname
expect 'no write' sandbox_command sh -c '(: >/etc/isle-example) 2>/dev/null || echo no write'
expect 'private' sandbox_command sh -c ': >/tmp/isle-example && echo private'
[[ ! -e /tmp/isle-example ]] || fail "sandbox_command wrote to the host's /tmp"
sandbox_command sh -c 'exit 7'
[[ $? == 7 ]] || fail "sandbox_command does not end as its command does"

sandbox_command sleep 300 &
pids+=($!)
inside=
for _ in {1..100}; do
    inside=$(pgrep -P $! -x sleep) && break
    sleep 0.05
done
expect sandbox join_container "$inside" hostname
expect "$(readlink /proc/"$inside"/ns/pid)" join_container "$inside" readlink /proc/self/ns/pid

output=$(isolate elsewhere sh -c 'hostname; echo $$; ls -d /proc/[0-9]* | wc -l; exit 5' 2>"$work/log")
[[ $? == 5 && $output == $'elsewhere\n1\n'* ]] || fail "isolate: $output"
[[ $(cut -d ' ' -f 2 "$work/log") == $'mount\nnetwork\npid\nuts' ]] || fail "isolate says: $(cat "$work/log")"

expect sandbox sandbox hostname
expect 'no write, private' sandbox sh -c \
    '(: >/etc/isle-example) 2>/dev/null || printf "no write, "; : >/tmp/isle-example && echo private'
[[ ! -e /tmp/isle-example ]] || fail "sandbox wrote to the host's /tmp"
sandbox sh -c 'exit 7'
[[ $? == 7 ]] || fail "sandbox does not end as its command does"
[[ $(sandbox --explain true) == *'sethostname "sandbox"'*'from: isle.h' ]] || fail "sandbox --explain"

mkdir "$work/kept"
expect '' keep_namespace make "$work/kept/one" first
name=$(keep_namespace list "$work/kept")
[[ $name == uts:\[*\]\ $work/kept/one ]] || fail "keep_namespace list: $name"
expect first nsenter --uts="$work/kept/one" hostname
expect '' keep_namespace undo "$work/kept/one"
expect '' keep_namespace list "$work/kept"
[[ ! -e $work/kept/one ]] || fail "keep_namespace undo left its file"

mkdir -p "$work/base/bin" "$work/base/etc" "$work/memory"
cp /bin/busybox "$work/base/bin/" && ln -s busybox "$work/base/bin/sh" || fail "busybox"
# An overlay's upper layer cannot be on an overlay, which the directory may be.
mount -t tmpfs none "$work/memory"
mkdir "$work/memory/layer"
expect "changed: $work/memory/layer/upper/etc/motd" \
    build_rootfs "$work/base" "$work/memory/layer" sh -c 'echo hello >/etc/motd'
expect 'hello
changed: '"$work/memory/layer/upper/etc/motd" \
    build_rootfs "$work/base" "$work/memory/layer" sh -c 'busybox cat /etc/motd'
[[ ! -e $work/base/etc/motd ]] || fail "build_rootfs changed its base"

echo "examples: $failures failures"
((failures == 0))

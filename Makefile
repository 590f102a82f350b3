# isle's front door. Each target installs what it lacks (tools/install_deps), builds what changed, and does its job.
# CMakePresets.json holds the ways to build; a build lives in build/PRESET.

PRESET ?= release
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
ARGS ?=
TESTS ?=
FUZZ_SECONDS ?= 30
SOAK_ROUNDS ?= 5

build = tools/build
compiler = $(if $(filter clang fuzz,$(PRESET)),clang)
ctest = tools/run_tests

.DEFAULT_GOAL := help
.PHONY: help run test engines bench install uninstall asan tsan fuzz soak vmtest vmtest-short \
        tidy format format-fix build deps clean
export PREFIX JOBS

help:  ## show this
	@echo 'usage: make TARGET [VARIABLE=VALUE]...'
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# Using it ------------------------------------------------------------------------------------------------------

run:  ## a shell in a sandbox; without a terminal a short tour of it; ARGS='run --help': arguments of isle
	@tools/install_deps build
	@$(build) release bin/isle
	@ARGS='$(subst ','\'',$(ARGS))' tools/try build/release/bin/isle

install:  ## into PREFIX [/usr/local], below DESTDIR where that is set
	@tools/install_deps build
	@$(build) release
	@DESTDIR='$(DESTDIR)' tools/install build/release

uninstall:  ## remove what make install put there; same PREFIX and DESTDIR
	@DESTDIR='$(DESTDIR)' tools/uninstall build/release

# Checking it ---------------------------------------------------------------------------------------------------

test:  ## all tests; TESTS=REGEX: those only; ISLE_TESTS_MUST_RUN=root,...: skipping for want of these fails
	@tools/install_deps build test $(compiler)
	@$(build) $(PRESET)
	@$(ctest) $(PRESET) $(if $(TESTS),-R '$(TESTS)')

engines:  ## the tests with podman, buildah, containerd, its CRI and docker, by Debian's packages, which are unpacked, not installed
	@tools/install_deps build test
	@tools/get_engines
	@$(build) release
	@$(ctest) release -R '^engines'

asan:  ## all tests with address and undefined behaviour sanitizers
	@tools/install_deps build test
	@$(build) asan
	@$(ctest) asan $(if $(TESTS),-R '$(TESTS)')

tsan:  ## the tests that start threads, with the thread sanitizer
	@tools/install_deps build test
	@$(build) tsan
	@GTEST_FILTER='*Thread*' $(ctest) tsan -R '^(unit|run)$$'

soak:  ## the tests in which a leak or a race would show by repetition, SOAK_ROUNDS [5] times
	@tools/install_deps build test
	@$(build) release
	@for each in run faults oci; do \
	    build/release/bin/isle_$${each}_tests --gtest_filter='*Soak*:*Kill*' --gtest_repeat=$(SOAK_ROUNDS) || exit; \
	done

fuzz:  ## each fuzzer for FUZZ_SECONDS [30]
	@tools/install_deps build clang
	@$(build) fuzz
	@tools/run_fuzzers build/fuzz $(FUZZ_SECONDS)

vmtest:  ## the kernel tests in guests with other kernels, systemd and pure cgroup v2
	@tools/install_deps build test vm
	@$(build) release
	@tools/vmtest

vmtest-short:  ## one guest, a short selection
	@tools/install_deps build test vm
	@$(build) release
	@tools/vmtest --short

bench:  ## isle beside its rivals and the bare-C floor; prints ratios
	@tools/install_deps build test bench
	@$(build) release
	@bench/run build/release
	@[ ! -d build/release/python ] || PYTHONPATH=build/release/python /usr/bin/python3 bench/python_calls.py

tidy:  ## clang-tidy over all sources
	@tools/install_deps build test clang
	@$(build) clang --configure-only
	@tools/tidy build/clang

format:  ## is everything formatted?
	@tools/install_deps clang
	@tools/format --check

format-fix:  ## format it
	@tools/install_deps clang
	@tools/format

# Building it ---------------------------------------------------------------------------------------------------

build:  ## build PRESET [release]
	@tools/install_deps build test $(compiler)
	@$(build) $(PRESET)

deps:  ## install the packages of the targets above
	@tools/install_deps build test bench clang vm

clean:  ## remove all builds
	rm -rf build

// A program that does nothing, with libc: what every program pays before main(). On x86-64 glibc asks cpuid about 70 times,
// and in a virtual machine each of them leaves the guest; see docs/kernel-notes.md.

int main(void) { return 0; }

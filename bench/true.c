// The smallest command a sandbox can run: no libc, one system call. What a tool costs is then the tool's own cost.
// Built with: cc -O2 -static -nostdlib -ffreestanding -fno-stack-protector

#if defined(__x86_64__)
__attribute__((noreturn)) void _start(void) {
  __asm__ volatile("mov $231, %%eax\n\txor %%edi, %%edi\n\tsyscall" ::
                       : "rax", "rdi", "rcx", "r11", "memory");
  __builtin_unreachable();
}
#elif defined(__aarch64__)
__attribute__((noreturn)) void _start(void) {
  __asm__ volatile("mov x8, #94\n\tmov x0, #0\n\tsvc #0" ::: "x0", "x8", "memory");
  __builtin_unreachable();
}
#else
#error "add exit_group(0) for this architecture"
#endif

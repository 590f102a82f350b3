/* Where the kernel enters isle-exec: the stack pointer is the argument. */
    .text
    .globl _start
    .type _start, %function
_start:
#if defined(__x86_64__)
    xorl %ebp, %ebp
    movq %rsp, %rdi
    andq $-16, %rsp
    call isle_exec_main
    ud2
#elif defined(__aarch64__)
    mov x29, #0
    mov x30, #0
    mov x0, sp
    bl isle_exec_main
    brk #0
#else
#error "isle-exec starts on x86-64 and aarch64 only"
#endif
    .size _start, . - _start
    .section .note.GNU-stack,"",%progbits

// glibc's start of a static program, without what a program of its kind never needs.
//
// glibc's own start asks the processor for its cache sizes by some 68 cpuid instructions. On bare
// metal that is 10 us. In a virtual machine each leaves the guest: 0.4 ms where one takes 5.6 us,
// which is half of what a whole sandbox costs (docs/kernel-notes.md). This object stands in for
// libc.a's libc-start.o: the same sequence, less the survey. String functions then are the baseline
// (SSE2) versions, and the cache sizes are the constants below, which decide only how large copies
// are made. Left out, too, is what makes dlopen(3) ready (where does this program lie, which paths
// have libraries, what is in the vdso: clock_gettime(2) is a system call then) and the search of the
// environment for GLIBC_TUNABLES; a program that runs with more rights than its caller gets both,
// for they also clean its environment. The end is _exit(2): nothing here is left to atexit(3) or to a
// stdio buffer. Linked where cmake/isle_light_start.cmake has seen it work:
// x86-64, glibc 2.36, static, not PIE; elsewhere libc's own start is linked. Not for programs that
// use NSS or dlopen.
#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef void (*Initializer)(int, char**, char**);

extern char** __environ;
extern void* __libc_stack_end;
extern void* _dl_random;
extern int __libc_enable_secure;
extern int __libc_argc;
extern char** __libc_argv;
extern const Elf64_Phdr* _dl_phdr;
extern size_t _dl_phnum;
extern Elf64_Word _dl_stack_flags;
extern const Elf64_Rela __rela_iplt_start[] __attribute__((weak));
extern const Elf64_Rela __rela_iplt_end[] __attribute__((weak));
extern Initializer __preinit_array_start[], __preinit_array_end[];
extern Initializer __init_array_start[], __init_array_end[];

void _dl_aux_init(Elf64_auxv_t*);
void __tunables_init(char**);
void _dl_relocate_static_pie(void);
void __libc_setup_tls(void);
void __libc_early_init(_Bool);
void __libc_init_first(int, char**, char**);
void __init_misc(int, char**, char**);
void __libc_check_standard_fds(void);
void _init(void);

// What the survey would have found; defined in libc-start.o, so here. Bytes.
long __x86_data_cache_size_half = 32 * 1024 / 2;
long __x86_data_cache_size = 32 * 1024;
long __x86_shared_cache_size_half = 1024 * 1024 / 2;
long __x86_shared_cache_size = 1024 * 1024;
long __x86_shared_non_temporal_threshold = 1024 * 1024 * 3 / 4;
long __x86_rep_movsb_threshold = 2048;
long __x86_rep_stosb_threshold = 2048;
long __x86_rep_movsb_stop_threshold = 1024 * 1024 * 3 / 4;
int __x86_string_control = 0;
int __libc_multiple_libcs = 1;

// What remains of __libc_init_first(): names, and which memory may be written or executed.
static void init_first(int argc, char** argv, char** environment) {
  __libc_argc = argc;
  __libc_argv = argv;
  __init_misc(argc, argv, environment);
  const uintptr_t page = 4096;
  for (const Elf64_Phdr* p = _dl_phdr; p < _dl_phdr + _dl_phnum; p++) {
    if (p->p_type == PT_GNU_STACK) _dl_stack_flags = p->p_flags;
    if (p->p_type != PT_GNU_RELRO) continue;
    const uintptr_t begin = p->p_vaddr & ~(page - 1);
    const uintptr_t end = (p->p_vaddr + p->p_memsz) & ~(page - 1);
    if (end > begin && mprotect((void*)begin, end - begin, PROT_READ) != 0) abort();
  }
}

static void run_initializers(int argc, char** argv, char** environment) {
  const ptrdiff_t early = __preinit_array_end - __preinit_array_start;
  for (ptrdiff_t i = 0; i < early; i++) __preinit_array_start[i](argc, argv, environment);
  _init();
  const ptrdiff_t count = __init_array_end - __init_array_start;
  for (ptrdiff_t i = 0; i < count; i++) __init_array_start[i](argc, argv, environment);
}

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void* stack_end);

__attribute__((noreturn, used)) int __libc_start_main(int (*main)(int, char**, char**), int argc,
                                                      char** argv, void (*init)(void),
                                                      void (*fini)(void), void (*rtld_fini)(void),
                                                      void* stack_end) {
  (void)init, (void)fini, (void)rtld_fini;
  char** environment = argv + argc + 1;
  __environ = environment;
  __libc_stack_end = stack_end;
  char** end = environment;
  while (*end != NULL) end++;
  _dl_aux_init((Elf64_auxv_t*)(end + 1));
  if (__libc_enable_secure) __tunables_init(environment);
  _dl_relocate_static_pie();
  for (const Elf64_Rela* r = __rela_iplt_start; r < __rela_iplt_end; r++)
    *(uintptr_t*)r->r_offset = ((uintptr_t (*)(void))(uintptr_t)r->r_addend)();
  __libc_setup_tls();
  const uintptr_t* random = _dl_random;
  __asm__ volatile("mov %0, %%fs:0x28" : : "r"(random[0] & ~(uintptr_t)0xff));  // stack guard
  __asm__ volatile("mov %0, %%fs:0x30" : : "r"(random[1]));                     // pointer guard
  __libc_early_init(true);
  if (__libc_enable_secure) {
    __libc_init_first(argc, argv, environment);
    __libc_check_standard_fds();
  } else {
    init_first(argc, argv, environment);
  }
  run_initializers(argc, argv, environment);
  _exit(main(argc, argv, environment));
}

// The box of a child: limits, and a list of system calls. The one includer of libseccomp.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sys/child.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { STDERR = 2, CONTROL = 3, DESCRIPTORS = 5 };

static void limit(int what, rlim_t value) {
    const struct rlimit l = {value, value};
    setrlimit((__rlimit_resource_t)what, &l);
}

void box_prepare(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    limit(RLIMIT_CORE, 0);
    if (SANITIZED) return; // these open files for their reports
    limit(RLIMIT_NOFILE, DESCRIPTORS);
    limit(RLIMIT_FSIZE, 0);
    prctl(PR_SET_DUMPABLE, 0);
}

static bool allow(scmp_filter_ctx c, const int *calls) {
    for (; *calls >= 0; calls++)
        if (seccomp_rule_add(c, SCMP_ACT_ALLOW, *calls, 0) != 0) return false;
    return true;
}

// Memory that is never executable, threads of this process, the two descriptors.
static bool allow_some(scmp_filter_ctx c) {
    static const int write_calls[] = {SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(sendto)};
    const uint64_t thread = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
    bool ok = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
              seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
              seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread)) == 0 &&
              seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0; // its flags cannot be seen: the C library then takes clone
    for (unsigned i = 0; ok && i < sizeof write_calls / sizeof *write_calls; i++)
        ok = seccomp_rule_add(c, SCMP_ACT_ALLOW, write_calls[i], 1, SCMP_A0(SCMP_CMP_EQ, STDERR)) == 0 &&
             seccomp_rule_add(c, SCMP_ACT_ALLOW, write_calls[i], 1, SCMP_A0(SCMP_CMP_EQ, CONTROL)) == 0;
    // abort() sends a signal to its own thread
    ok = ok && seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())) == 0;
    return ok && seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, SCMP_A0(SCMP_CMP_EQ, CONTROL)) == 0 &&
           seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(recvfrom), 1, SCMP_A0(SCMP_CMP_EQ, CONTROL)) == 0;
}

static bool strict(scmp_filter_ctx c) {
    static const int calls[] = {SCMP_SYS(munmap),
                                SCMP_SYS(mremap),
                                SCMP_SYS(brk),
                                SCMP_SYS(madvise),
                                SCMP_SYS(futex),
                                SCMP_SYS(exit),
                                SCMP_SYS(exit_group),
                                SCMP_SYS(set_robust_list),
                                SCMP_SYS(rseq),
                                SCMP_SYS(rt_sigreturn),
                                SCMP_SYS(rt_sigprocmask),
                                SCMP_SYS(rt_sigaction),
                                SCMP_SYS(sigaltstack),
                                SCMP_SYS(clock_gettime),
                                SCMP_SYS(clock_getres),
                                SCMP_SYS(clock_nanosleep),
                                SCMP_SYS(nanosleep),
                                SCMP_SYS(gettimeofday),
                                SCMP_SYS(sched_yield),
                                SCMP_SYS(sched_getaffinity),
                                SCMP_SYS(getpid),
                                SCMP_SYS(gettid),
                                SCMP_SYS(restart_syscall),
                                SCMP_SYS(getrandom),
                                -1};
    static const int files[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(access), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(newfstatat)};
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        if (seccomp_rule_add(c, SCMP_ACT_ERRNO(EACCES), files[i], 0) != 0) return false;
    return allow(c, calls) && allow_some(c);
}

// What no decoder has ever to do, in builds whose run time has to do all sorts of things.
static bool lenient(scmp_filter_ctx c) {
    static const int calls[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(unlink), SCMP_SYS(rename)};
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        if (seccomp_rule_add(c, SCMP_ACT_KILL_PROCESS, calls[i], 0) != 0) return false;
    return true;
}

bool box_close(void) {
    scmp_filter_ctx c = seccomp_init(SANITIZED ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS);
    bool ok = c && (SANITIZED ? lenient(c) : strict(c)) && seccomp_load(c) == 0;
    if (c) seccomp_release(c);
    return ok;
}

// Starting children by posix_spawn, and the memory and channel that they share with us.
#include "sys/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_FD = 3, HIGH_FD = 64, VARIABLES_MAX = 32 }; // our descriptors stand above those that they become in the child

static bool add_descriptors(posix_spawn_file_actions_t *actions, const int *fds, unsigned n) {
    bool ok = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
              posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0;
    for (unsigned i = 0; ok && i < n; i++) ok = posix_spawn_file_actions_adddup2(actions, fds[i], FIRST_FD + (int)i) == 0;
    return ok && posix_spawn_file_actions_addclosefrom_np(actions, FIRST_FD + (int)n) == 0;
}

// What is sent to all processes of a group or a service (by a terminal, by systemd) is for the parent, which may still want something done before it ends.
static bool own_signals(posix_spawnattr_t *attributes) {
    sigset_t ending, all;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGHUP);
    sigfillset(&all);
    return posix_spawnattr_setsigmask(attributes, &ending) == 0 && posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
           posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0;
}

// What a child is told of our environment: how the build's own tools are to report, nothing that may be secret.
static void few_variables(char *to[], unsigned max) {
    static const char *const known[] = {"ASAN_", "UBSAN_", "TSAN_", "LSAN_", "MSAN_", "LD_LIBRARY_PATH=", "GCOV_"};
    unsigned n = 0;
    for (char **v = environ; v && *v && n + 1 < max; v++)
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strncmp(*v, known[i], strlen(known[i])) == 0) {
                to[n++] = *v;
                break;
            }
    to[n] = NULL;
}

bool child_start(const char *program, const char *argument, const int *fds, unsigned n, pid_t *pid, struct err *e) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *argv[] = {(char *)(uintptr_t) "gantry", (char *)(uintptr_t)argument, NULL}, *variables[VARIABLES_MAX];
    few_variables(variables, VARIABLES_MAX);
    if (posix_spawn_file_actions_init(&actions) != 0) return err_nomem(e, "child");
    if (posix_spawnattr_init(&attributes) != 0) return posix_spawn_file_actions_destroy(&actions), err_nomem(e, "child");
    errno = ENOMEM;
    int code = add_descriptors(&actions, fds, n) && own_signals(&attributes) ? posix_spawn(pid, program, &actions, &attributes, argv, variables) : ENOMEM;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    errno = code;
    return code == 0 || err_errno(e, ERR_IO, "child", "cannot start %s", program);
}

void child_kill(pid_t pid) {
    kill(pid, SIGKILL);
}

void child_reap(pid_t pid) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

void child_bound_memory(pid_t pid, uint64_t bytes) {
    const struct rlimit limit = {bytes, RLIM_INFINITY};
    prlimit(pid, RLIMIT_AS, &limit, NULL);
}

static bool move_high(int *fd) {
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, HIGH_FD);
    close(*fd);
    *fd = high;
    return high >= 0;
}

bool child_channel(int ends[2], struct err *e) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return err_errno(e, ERR_IO, "child", "cannot make a pair of sockets");
    bool ok = move_high(&ends[0]);
    ok = move_high(&ends[1]) && ok;
    if (ok) return true;
    err_errno(e, ERR_IO, "child", "too few descriptors");
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0) close(ends[i]);
    return false;
}

bool child_memory(size_t bytes, int *fd, struct err *e) {
    *fd = memfd_create("gantry", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0 || !move_high(fd)) return err_errno(e, ERR_IO, "child", "cannot make shared memory");
    if (ftruncate(*fd, (off_t)bytes) == 0 && fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) return true;
    err_errno(e, ERR_IO, "child", "cannot make shared memory of %zu bytes", bytes);
    close(*fd);
    return false;
}

void *child_map(int fd, size_t bytes, struct err *e) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (p != MAP_FAILED) return p;
    err_errno(e, ERR_IO, "child", "cannot map %zu bytes", bytes);
    return NULL;
}

void child_unmap(void *p, size_t bytes) {
    if (p) munmap(p, bytes);
}

void child_forget(void *p, size_t n) {
    madvise(p, n, MADV_REMOVE);
}

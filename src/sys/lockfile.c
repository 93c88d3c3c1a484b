// A lock file by an open file description lock: it cannot be left behind by a process that died.
#include "sys/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool held_by_other(const char *path, int fd, struct err *e) {
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    return err_set(e, ERR_BUSY, "lock", "%s is in use by process %s: stop it first, or send to it instead", path, pid[0] ? pid : "(unknown)");
}

bool lockfile_take(const char *path, int *fd, struct err *e) {
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (*fd < 0) return err_errno(e, ERR_IO, "lock", "open %s", path);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(*fd, F_OFD_SETLK, &whole) != 0) {
        bool other = errno == EAGAIN || errno == EACCES;
        if (other)
            held_by_other(path, *fd, e);
        else
            err_errno(e, ERR_IO, "lock", "lock %s", path);
        close(*fd);
        *fd = -1;
        return false;
    }
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    // The pid is for people: a disk without room for it must not keep the archive closed.
    if (ftruncate(*fd, 0) == 0 && pwrite(*fd, pid, (size_t)n, 0) != n) errno = 0;
    return true;
}

void lockfile_wait(int fd) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    while (fcntl(fd, F_OFD_SETLKW, &whole) != 0 && errno == EINTR) continue;
}

void lockfile_drop(int fd) {
    if (fd >= 0) close(fd);
}

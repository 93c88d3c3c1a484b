// File system calls, with the table of functions that tests replace.
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static int real_open(void *ctx, const char *path, int flags, mode_t mode) {
    (void)ctx;
    return open(path, flags, mode);
}

static int real_close(void *ctx, int fd) {
    (void)ctx;
    return close(fd);
}

static ssize_t real_pread(void *ctx, int fd, void *p, size_t n, off_t at) {
    (void)ctx;
    return pread(fd, p, n, at);
}

static ssize_t real_pwritev(void *ctx, int fd, const struct iovec *iov, int n, off_t at) {
    (void)ctx;
    return pwritev(fd, iov, n, at);
}

static int real_fdatasync(void *ctx, int fd) {
    (void)ctx;
    return fdatasync(fd);
}

static int real_fallocate(void *ctx, int fd, off_t n) {
    (void)ctx;
    return fallocate(fd, 0, 0, n);
}

static int real_ftruncate(void *ctx, int fd, off_t n) {
    (void)ctx;
    return ftruncate(fd, n);
}

static int real_rename(void *ctx, const char *from, const char *to) {
    (void)ctx;
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    // A file system without RENAME_NOREPLACE: a hard link refuses to replace as well.
    if (link(from, to) != 0) return -1;
    return unlink(from);
}

static int real_unlink(void *ctx, const char *path) {
    (void)ctx;
    return unlink(path);
}

static int real_syncdir(void *ctx, const char *path) {
    (void)ctx;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    int code = fsync(fd), why = errno;
    close(fd);
    errno = why;
    return code;
}

static int real_room(void *ctx, const char *path, uint64_t *available, uint64_t *total) {
    (void)ctx;
    struct statvfs s;
    if (statvfs(path, &s) != 0) return -1;
    *available = (uint64_t)s.f_bavail * s.f_frsize;
    *total = (uint64_t)s.f_blocks * s.f_frsize;
    return 0;
}

const struct sys_file_ops sys_files = {
    .open = real_open,
    .close = real_close,
    .pread = real_pread,
    .pwritev = real_pwritev,
    .fdatasync = real_fdatasync,
    .fallocate = real_fallocate,
    .ftruncate = real_ftruncate,
    .rename = real_rename,
    .unlink = real_unlink,
    .syncdir = real_syncdir,
    .room = real_room,
};

static const struct sys_file_ops *ops(const struct sys_file_ops *f) {
    return f ? f : &sys_files;
}

bool sys_open(const struct sys_file_ops *f, const char *path, int flags, mode_t mode, int *fd, struct err *e) {
    *fd = ops(f)->open(ops(f)->ctx, path, flags | O_CLOEXEC, mode);
    if (*fd >= 0) return true;
    return err_errno(e, errno == ENOENT ? ERR_NOT_FOUND : errno == EEXIST ? ERR_CONFLICT : ERR_IO, "file", "open %s", path);
}

void sys_keep_private(const char *path, bool make) {
    struct stat st;
    int fd = make ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) close(fd);
    if (fd < 0 && stat(path, &st) == 0 && (st.st_mode & 077)) chmod(path, st.st_mode & 0700);
}

bool sys_open_unnamed(const char *dir, int *fd, struct err *e) {
    char path[4096];
    *fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd >= 0) return true;
    // not every file system knows files without a name
    snprintf(path, sizeof path, "%.4000s/XXXXXX", dir);
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd < 0) return err_errno(e, errno == ENOSPC ? ERR_FULL : ERR_IO, "file", "make a file in %s", dir);
    unlink(path);
    return true;
}

bool sys_open_memory(int *fd, struct err *e) {
    *fd = memfd_create("gantry", MFD_CLOEXEC);
    return *fd >= 0 || err_errno(e, ERR_IO, "file", "make a file in memory");
}

void sys_close(const struct sys_file_ops *f, int fd) {
    if (fd >= 0) ops(f)->close(ops(f)->ctx, fd);
}

bool sys_read_upto(const struct sys_file_ops *f, int fd, void *p, size_t n, uint64_t at, size_t *got, struct err *e) {
    *got = 0;
    while (*got < n) {
        ssize_t k = ops(f)->pread(ops(f)->ctx, fd, (char *)p + *got, n - *got, (off_t)(at + *got));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_errno(e, ERR_IO, "file", "read %zu bytes at %llu", n, (unsigned long long)at);
        if (k == 0) return true;
        *got += (size_t)k;
    }
    return true;
}

bool sys_read_at(const struct sys_file_ops *f, int fd, void *p, size_t n, uint64_t at, struct err *e) {
    size_t got;
    if (!sys_read_upto(f, fd, p, n, at, &got, e)) return false;
    if (got == n) return true;
    return err_set(e, ERR_CORRUPT, "file", "the file ends at %llu, %zu bytes were expected at %llu", (unsigned long long)(at + got), n, (unsigned long long)at);
}

// Drops the first k bytes of the list.
static void iov_advance(struct iovec **iov, int *n, size_t k) {
    while (*n > 0 && k >= (*iov)->iov_len) {
        k -= (*iov)->iov_len;
        ++*iov;
        --*n;
    }
    if (*n == 0) return;
    (*iov)->iov_base = (char *)(*iov)->iov_base + k;
    (*iov)->iov_len -= k;
}

bool sys_writev_at(const struct sys_file_ops *f, int fd, struct iovec *iov, int n, uint64_t at, struct err *e) {
    iov_advance(&iov, &n, 0);
    while (n > 0) {
        ssize_t k = ops(f)->pwritev(ops(f)->ctx, fd, iov, n > IOV_MAX ? IOV_MAX : n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k == 0) errno = EIO; // nothing taken and no reason: not to be tried for ever
        if (k <= 0) return err_errno(e, ERR_IO, "file", "write at %llu", (unsigned long long)at);
        at += (uint64_t)k;
        iov_advance(&iov, &n, (size_t)k);
    }
    return true;
}

bool sys_write_at(const struct sys_file_ops *f, int fd, const void *p, size_t n, uint64_t at, struct err *e) {
    struct iovec one = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
    return sys_writev_at(f, fd, &one, 1, at, e);
}

bool sys_flush(const struct sys_file_ops *f, int fd, struct err *e) {
    // Not repeated on EINTR either: what a second flush says is worth nothing once one has failed.
    if (ops(f)->fdatasync(ops(f)->ctx, fd) == 0) return true;
    return err_errno(e, ERR_IO, "file", "flush to disk");
}

bool sys_reserve(const struct sys_file_ops *f, int fd, uint64_t n, struct err *e) {
    if (ops(f)->fallocate(ops(f)->ctx, fd, (off_t)n) == 0) return true;
    if (errno != EOPNOTSUPP && errno != ENOSYS) return err_errno(e, ERR_IO, "file", "reserve %llu bytes", (unsigned long long)n);
    return sys_resize(f, fd, n, e);
}

bool sys_resize(const struct sys_file_ops *f, int fd, uint64_t n, struct err *e) {
    if (ops(f)->ftruncate(ops(f)->ctx, fd, (off_t)n) == 0) return true;
    return err_errno(e, ERR_IO, "file", "resize to %llu bytes", (unsigned long long)n);
}

bool sys_rename(const struct sys_file_ops *f, const char *from, const char *to, struct err *e) {
    if (ops(f)->rename(ops(f)->ctx, from, to) == 0) return true;
    return err_errno(e, errno == EEXIST ? ERR_CONFLICT : ERR_IO, "file", "rename %s to %s", from, to);
}

bool sys_unlink(const struct sys_file_ops *f, const char *path, struct err *e) {
    if (ops(f)->unlink(ops(f)->ctx, path) == 0 || errno == ENOENT) return true;
    return err_errno(e, ERR_IO, "file", "remove %s", path);
}

bool sys_flush_dir(const struct sys_file_ops *f, const char *path, struct err *e) {
    if (ops(f)->syncdir(ops(f)->ctx, path) == 0) return true;
    return err_errno(e, ERR_IO, "file", "flush directory %s", path);
}

bool sys_room(const struct sys_file_ops *f, const char *path, uint64_t *available, uint64_t *total, struct err *e) {
    if (ops(f)->room(ops(f)->ctx, path, available, total) == 0) return true;
    return err_errno(e, ERR_IO, "file", "ask for the free room at %s", path);
}

bool sys_stat_fd(int fd, struct sys_stat *out, struct err *e) {
    struct stat st;
    if (fstat(fd, &st) != 0) return err_errno(e, ERR_IO, "file", "stat");
    *out = (struct sys_stat){
        .size = (uint64_t)st.st_size, .writable = (st.st_mode & S_IWUSR) != 0, .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
    return true;
}

bool sys_mark_read_only(int fd, struct err *e) {
    return fchmod(fd, 0440) == 0 || err_errno(e, ERR_IO, "file", "mark read-only");
}

// The directory that holds path. One that may be written but not read cannot be flushed.
static bool flush_parent(const char *path, struct err *e) {
    const char *slash = strrchr(path, '/');
    char *parent = slash ? strndup(path, slash > path ? (size_t)(slash - path) : 1) : strdup(".");
    if (!parent) return err_nomem(e, "file");
    bool ok = access(parent, R_OK) != 0 || sys_flush_dir(NULL, parent, e);
    free(parent);
    return ok;
}

bool sys_mkdir(const char *path, struct err *e) {
    if (mkdir(path, 0750) == 0) return flush_parent(path, e);
    struct stat st;
    if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return true;
    return err_errno(e, ERR_IO, "file", "create directory %s", path);
}

bool sys_mkdirs(const char *path, struct err *e) {
    char part[PATH_MAX];
    if (strlen(path) >= sizeof part) return err_set(e, ERR_USAGE, "file", "the path is too long");
    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (!sys_mkdir(part, e)) return false;
    }
    return sys_mkdir(path, e);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

bool sys_remove_tree(const char *path, struct err *e) {
    enum { DESCRIPTORS = 16 };
    if (nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT) return true;
    return err_errno(e, ERR_IO, "file", "remove %s", path);
}

// The directory of a path, for its flush.
static void directory_of(const char *path, char out[4096]) {
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    snprintf(out, 4096, "%.*s", slash == path ? 1 : n > 4000 ? 4000 : (int)n, slash == path ? "/" : path);
    if (!slash) snprintf(out, 4096, ".");
}

bool sys_put_file(const char *path, const void *p, size_t n, mode_t mode, bool replace, struct err *e) {
    char temporary[4096], dir[4096];
    int fd = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) < (int)sizeof temporary ? mkostemp(temporary, O_CLOEXEC) : -1;
    if (fd < 0) return err_errno(e, ERR_IO, "file", "make a file beside %s", path);
    bool ok = fchmod(fd, mode) == 0 || err_errno(e, ERR_IO, "file", "set the mode of %s", temporary);
    ok = ok && sys_write_at(NULL, fd, p, n, 0, e) && sys_flush(NULL, fd, e);
    close(fd);
    if (ok && !replace) ok = sys_rename(NULL, temporary, path, e);
    if (ok && replace && rename(temporary, path) != 0) ok = err_errno(e, ERR_IO, "file", "rename to %s", path);
    if (!ok) return unlink(temporary), false;
    directory_of(path, dir);
    return sys_flush_dir(NULL, dir, e);
}

bool sys_own_as_directory(const char *path, struct err *e) {
    char dir[4096];
    struct stat st;
    if (geteuid() != 0) return true;
    directory_of(path, dir);
    if (stat(dir, &st) != 0 || lchown(path, st.st_uid, st.st_gid) != 0) return err_errno(e, ERR_IO, "file", "give %s to the owner of its directory", path);
    return true;
}

bool sys_list_dir(const char *path, bool (*visit)(void *ctx, const char *name, struct err *e), void *ctx, struct err *e) {
    DIR *d = opendir(path);
    if (!d) return err_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "file", "list %s", path);
    bool ok = true;
    for (struct dirent *entry; ok && (errno = 0, entry = readdir(d));) {
        if (entry->d_name[0] != '.') ok = visit(ctx, entry->d_name, e);
    }
    if (ok && errno) ok = err_errno(e, ERR_IO, "file", "list %s", path);
    closedir(d);
    return ok;
}

bool sys_map(int fd, size_t n, void **out, struct err *e) {
    *out = NULL;
    if (n == 0) return true;
    void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return err_errno(e, ERR_IO, "file", "map %zu bytes", n);
    *out = p;
    return true;
}

void sys_unmap(void *p, size_t n) {
    if (p) munmap(p, n);
}

// The kernel has no way of its own between these two files: through a buffer.
static bool copy_by_hand(const struct sys_file_ops *f, int from, uint64_t from_at, int to, uint64_t to_at, uint64_t n, struct err *e) {
    enum { CHUNK = 1 << 20 };
    char *buffer = malloc(CHUNK);
    if (!buffer) return err_nomem(e, "file");
    bool ok = true;
    for (uint64_t done = 0; ok && done < n;) {
        size_t k = n - done < CHUNK ? (size_t)(n - done) : CHUNK;
        ok = sys_read_at(f, from, buffer, k, from_at + done, e) && sys_write_at(f, to, buffer, k, to_at + done, e);
        done += k;
    }
    free(buffer);
    return ok;
}

bool sys_copy_range(const struct sys_file_ops *f, int from, uint64_t from_at, int to, uint64_t to_at, uint64_t n, struct err *e) {
    while (ops(f) == &sys_files && n > 0) { // a replaced table must see every write
        off_t a = (off_t)from_at, b = (off_t)to_at;
        ssize_t k = copy_file_range(from, &a, to, &b, n > (1u << 30) ? 1u << 30 : (size_t)n, 0);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;
        from_at += (uint64_t)k;
        to_at += (uint64_t)k;
        n -= (uint64_t)k;
    }
    return copy_by_hand(f, from, from_at, to, to_at, n, e);
}

void sys_start_writeback(int fd, uint64_t at, uint64_t n) {
    sync_file_range(fd, (off_t)at, (off_t)n, SYNC_FILE_RANGE_WRITE);
}

bool sys_next_data(int fd, uint64_t at, uint64_t *from, uint64_t *to, struct err *e) {
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
        data = lseek(fd, 0, SEEK_END);
        *from = *to = (uint64_t)data;
        return data >= 0 || err_errno(e, ERR_IO, "file", "seek");
    }
    off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
    if (hole < 0) return err_errno(e, ERR_UNSUPPORTED, "file", "the file system does not tell what of a file is there");
    *from = (uint64_t)data;
    *to = (uint64_t)hole;
    return true;
}

void sys_drop_cache(int fd, uint64_t at, uint64_t n) {
    posix_fadvise(fd, (off_t)at, (off_t)n, POSIX_FADV_DONTNEED);
}

void sys_raise_descriptors(void) {
    struct rlimit most;
    if (getrlimit(RLIMIT_NOFILE, &most) != 0) return;
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
}

void sys_be_background(void) {
    enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_CLASS_SHIFT = 13, IOPRIO_CLASS_IDLE = 3 }; // linux/ioprio.h
    setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT);
}

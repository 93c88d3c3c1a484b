// The failing disk: real files, a copy of what was flushed, and a count of calls.
#include "fake_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, PATH = 512, FDS = 1024 };

struct inode {
    char name[PATH], durable_name[PATH]; // empty: none
    unsigned char *durable;              // content that was flushed
    size_t durable_n;
    unsigned char *dirty; // one for each sector written since
    size_t dirty_n;
    int fd; // ours, to look at the content
    struct inode *next;
};

struct disk {
    struct sys_file_ops ops;
    pthread_mutex_t lock;
    struct inode *inodes; // youngest first
    struct inode *of_fd[FDS];
    unsigned rng;
    unsigned changes, cut_at, fail_in, fail_kinds;
    int fail_code;
    bool fail_sticky, failed, cut, short_writes;
    uint64_t room;
};

static unsigned rnd(struct disk *d, unsigned n) {
    d->rng = d->rng * 1664525u + 1013904223u;
    return (d->rng >> 8) % n;
}

// False, with errno, when this call is not to happen. Takes the lock, also then.
static bool admit(struct disk *d, enum disk_call kind) {
    pthread_mutex_lock(&d->lock);
    if (!d->cut && (kind & DISK_CHANGES)) {
        d->changes++;
        if (d->cut_at && d->changes >= d->cut_at) d->cut = true;
    }
    if (d->cut) {
        errno = EIO;
        return false;
    }
    if (!(d->fail_kinds & kind) || !d->fail_in) return true;
    if (d->fail_in > 1) {
        d->fail_in--;
        return true;
    }
    if (!d->fail_sticky) d->fail_in = 0;
    d->failed = true;
    errno = d->fail_code;
    return false;
}

static int leave(struct disk *d, int code) {
    int why = errno;
    pthread_mutex_unlock(&d->lock);
    errno = why;
    return code;
}

static struct inode *by_name(struct disk *d, const char *path) {
    for (struct inode *i = d->inodes; i; i = i->next) {
        if (strcmp(i->name, path) == 0) return i;
    }
    return NULL;
}

static int disk_open(void *ctx, const char *path, int flags, mode_t mode) {
    struct disk *d = ctx;
    if (!admit(d, DISK_OPEN)) return leave(d, -1);
    int fd = open(path, flags & ~O_DIRECT, mode);
    if (fd < 0 || fd >= FDS) return leave(d, fd);
    struct inode *i = by_name(d, path);
    if (!i) {
        i = calloc(1, sizeof *i);
        snprintf(i->name, sizeof i->name, "%s", path);
        i->fd = open(path, O_RDWR | O_CLOEXEC);
        if (i->fd < 0) i->fd = open(path, O_RDONLY | O_CLOEXEC);
        i->next = d->inodes;
        d->inodes = i;
    }
    d->of_fd[fd] = i;
    return leave(d, fd);
}

static int disk_close(void *ctx, int fd) {
    struct disk *d = ctx;
    pthread_mutex_lock(&d->lock);
    d->of_fd[fd] = NULL;
    return leave(d, close(fd));
}

static ssize_t disk_pread(void *ctx, int fd, void *p, size_t n, off_t at) {
    struct disk *d = ctx;
    if (!admit(d, DISK_READ)) return leave(d, -1);
    leave(d, 0);
    return pread(fd, p, n, at);
}

static void mark_dirty(struct inode *i, size_t from, size_t to) {
    size_t last = (to + SECTOR - 1) / SECTOR;
    if (last > i->dirty_n) {
        i->dirty = realloc(i->dirty, last);
        memset(i->dirty + i->dirty_n, 0, last - i->dirty_n);
        i->dirty_n = last;
    }
    for (size_t s = from / SECTOR; s < last; s++) i->dirty[s] = 1;
}

static ssize_t disk_pwritev(void *ctx, int fd, const struct iovec *iov, int n, off_t at) {
    struct disk *d = ctx;
    struct iovec one;
    if (!admit(d, DISK_WRITE)) return leave(d, -1);
    if (d->short_writes && iov->iov_len > 1) {
        one = (struct iovec){.iov_base = iov->iov_base, .iov_len = 1 + rnd(d, (unsigned)iov->iov_len - 1)};
        iov = &one;
        n = 1;
    }
    ssize_t k = pwritev(fd, iov, n, at);
    if (k > 0) mark_dirty(d->of_fd[fd], (size_t)at, (size_t)at + (size_t)k);
    return leave(d, (int)k);
}

static void keep(struct inode *i) {
    struct stat st;
    if (fstat(i->fd, &st) != 0) return;
    i->durable = realloc(i->durable, (size_t)st.st_size + 1);
    if (pread(i->fd, i->durable, (size_t)st.st_size, 0) != st.st_size) abort();
    i->durable_n = (size_t)st.st_size;
    i->dirty_n = 0;
}

static int disk_fdatasync(void *ctx, int fd) {
    struct disk *d = ctx;
    if (!admit(d, DISK_FLUSH)) return leave(d, -1);
    keep(d->of_fd[fd]);
    return leave(d, 0);
}

static bool take_room(struct disk *d, int fd, off_t n) {
    struct stat st;
    if (d->room == UINT64_MAX || fstat(fd, &st) != 0 || n <= st.st_size) return true;
    uint64_t more = (uint64_t)(n - st.st_size);
    if (more > d->room) {
        errno = ENOSPC;
        return false;
    }
    d->room -= more;
    return true;
}

static int disk_fallocate(void *ctx, int fd, off_t n) {
    struct disk *d = ctx;
    if (!admit(d, DISK_RESERVE) || !take_room(d, fd, n)) return leave(d, -1);
    return leave(d, ftruncate(fd, n));
}

static int disk_ftruncate(void *ctx, int fd, off_t n) {
    struct disk *d = ctx;
    struct inode *i = NULL;
    if (!admit(d, DISK_RESIZE) || !take_room(d, fd, n)) return leave(d, -1);
    i = d->of_fd[fd];
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size > n) mark_dirty(i, (size_t)n, (size_t)st.st_size);
    return leave(d, ftruncate(fd, n));
}

static int disk_rename(void *ctx, const char *from, const char *to) {
    struct disk *d = ctx;
    if (!admit(d, DISK_RENAME)) return leave(d, -1);
    struct inode *i = by_name(d, from);
    int code = sys_files.rename(NULL, from, to);
    if (code == 0 && i) snprintf(i->name, sizeof i->name, "%s", to);
    return leave(d, code);
}

static int disk_unlink(void *ctx, const char *path) {
    struct disk *d = ctx;
    if (!admit(d, DISK_UNLINK)) return leave(d, -1);
    struct inode *i = by_name(d, path);
    if (i) i->name[0] = '\0';
    return leave(d, unlink(path));
}

static bool lies_in(const char *name, const char *dir) {
    size_t n = strlen(dir);
    return strncmp(name, dir, n) == 0 && name[n] == '/' && !strchr(name + n + 1, '/');
}

static int disk_syncdir(void *ctx, const char *path) {
    struct disk *d = ctx;
    if (!admit(d, DISK_FLUSH_DIR)) return leave(d, -1);
    for (struct inode *i = d->inodes; i; i = i->next) {
        if (lies_in(i->name, path) || lies_in(i->durable_name, path)) memcpy(i->durable_name, i->name, sizeof i->name);
    }
    return leave(d, 0);
}

static int disk_room(void *ctx, const char *path, uint64_t *available, uint64_t *total) {
    struct disk *d = ctx;
    if (d->room == UINT64_MAX) return sys_files.room(NULL, path, available, total);
    *available = d->room;
    *total = 64 << 20;
    return 0;
}

struct disk *disk_new(unsigned seed) {
    struct disk *d = calloc(1, sizeof *d);
    pthread_mutex_init(&d->lock, NULL);
    d->rng = seed * 2654435761u + 1;
    d->room = UINT64_MAX;
    d->ops = (struct sys_file_ops){.open = disk_open,
                                   .close = disk_close,
                                   .pread = disk_pread,
                                   .pwritev = disk_pwritev,
                                   .fdatasync = disk_fdatasync,
                                   .fallocate = disk_fallocate,
                                   .ftruncate = disk_ftruncate,
                                   .rename = disk_rename,
                                   .unlink = disk_unlink,
                                   .syncdir = disk_syncdir,
                                   .room = disk_room,
                                   .ctx = d};
    return d;
}

void disk_free(struct disk *d) {
    for (struct inode *i = d->inodes, *next; i; i = next) {
        next = i->next;
        if (i->fd >= 0) close(i->fd);
        free(i->durable);
        free(i->dirty);
        free(i);
    }
    pthread_mutex_destroy(&d->lock);
    free(d);
}

const struct sys_file_ops *disk_ops(struct disk *d) {
    return &d->ops;
}

void disk_fail(struct disk *d, unsigned n, unsigned kinds, int code, bool sticky) {
    pthread_mutex_lock(&d->lock);
    d->fail_in = n;
    d->fail_kinds = kinds;
    d->fail_code = code;
    d->fail_sticky = sticky;
    d->failed = false;
    pthread_mutex_unlock(&d->lock);
}

bool disk_failed(struct disk *d) {
    pthread_mutex_lock(&d->lock);
    bool failed = d->failed;
    pthread_mutex_unlock(&d->lock);
    return failed;
}

void disk_short_writes(struct disk *d, bool on) {
    pthread_mutex_lock(&d->lock);
    d->short_writes = on;
    pthread_mutex_unlock(&d->lock);
}

void disk_set_room(struct disk *d, uint64_t bytes) {
    pthread_mutex_lock(&d->lock);
    d->room = bytes;
    pthread_mutex_unlock(&d->lock);
}

void disk_cut(struct disk *d, unsigned n) {
    pthread_mutex_lock(&d->lock);
    d->cut_at = d->changes + n;
    pthread_mutex_unlock(&d->lock);
}

bool disk_is_cut(struct disk *d) {
    pthread_mutex_lock(&d->lock);
    bool cut = d->cut;
    pthread_mutex_unlock(&d->lock);
    return cut;
}

unsigned disk_changes(struct disk *d) {
    pthread_mutex_lock(&d->lock);
    unsigned n = d->changes;
    pthread_mutex_unlock(&d->lock);
    return n;
}

// Chances that an unflushed sector reached the disk: none, all, or some in any order.
static void lay_sectors(struct disk *d, struct inode *i, unsigned char *image, size_t n, const unsigned char *seen, size_t seen_n) {
    static const unsigned chances[] = {0, 100, 50, 90, 10};
    unsigned chance = chances[rnd(d, 5)];
    for (size_t s = 0; s < i->dirty_n && s * SECTOR < n; s++) {
        if (!i->dirty[s] || rnd(d, 100) >= chance) continue;
        size_t from = s * SECTOR, k = n - from < SECTOR ? n - from : SECTOR;
        for (size_t j = 0; j < k; j++) image[from + j] = from + j < seen_n ? seen[from + j] : 0;
    }
}

static bool lay_file(struct disk *d, struct inode *i, const char *path) {
    struct stat st;
    if (fstat(i->fd, &st) != 0) return false;
    size_t seen_n = (size_t)st.st_size, n = rnd(d, 2) ? seen_n : i->durable_n;
    unsigned char *seen = malloc(seen_n + 1), *image = calloc(1, n + 1);
    bool ok = pread(i->fd, seen, seen_n, 0) == (ssize_t)seen_n;
    if (i->durable_n) memcpy(image, i->durable, i->durable_n < n ? i->durable_n : n);
    lay_sectors(d, i, image, n, seen, seen_n);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, rnd(d, 2) ? 0640 : st.st_mode & 0777);
    ok = ok && fd >= 0 && write(fd, image, n) == (ssize_t)n;
    if (fd >= 0) close(fd);
    free(seen);
    free(image);
    return ok;
}

bool disk_image(struct disk *d, const char *from, const char *to) {
    size_t n = strlen(from);
    bool ok = true;
    for (struct inode *i = d->inodes; ok && i; i = i->next) {
        char path[2 * PATH];
        const char *name = rnd(d, 2) ? i->name : i->durable_name;
        if (!name[0]) continue;
        snprintf(path, sizeof path, "%s%s", to, name + n);
        ok = lay_file(d, i, path);
    }
    return ok;
}

// The one place for file system calls: whole reads and writes, flushes, reservation, directories, room on the disk.
//
// Everything that matters for durability goes through struct sys_file_ops, which tests replace to get a full disk, a torn write, a
// failed flush, a short write, a slow disk or a power cut. NULL stands for the system's own.
#ifndef GANTRY_SYS_FILE_H
#define GANTRY_SYS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"

// As the system calls of these names: -1 and errno on failure.
struct sys_file_ops {
    int (*open)(void *ctx, const char *path, int flags, mode_t mode);
    int (*close)(void *ctx, int fd);
    ssize_t (*pread)(void *ctx, int fd, void *p, size_t n, off_t at);
    ssize_t (*pwritev)(void *ctx, int fd, const struct iovec *iov, int n, off_t at);
    int (*fdatasync)(void *ctx, int fd);
    int (*fallocate)(void *ctx, int fd, off_t n); // from 0, growing the file
    int (*ftruncate)(void *ctx, int fd, off_t n);
    int (*rename)(void *ctx, const char *from, const char *to); // refuses to replace: EEXIST
    int (*unlink)(void *ctx, const char *path);
    int (*syncdir)(void *ctx, const char *path);
    int (*room)(void *ctx, const char *path, uint64_t *available, uint64_t *total); // bytes for an unprivileged user
    void *ctx;
};

extern const struct sys_file_ops sys_files;

// O_CLOEXEC is added to flags.
bool sys_open(const struct sys_file_ops *f, const char *path, int flags, mode_t mode, int *fd, struct err *e);
// A file without a name in a directory: it goes with its descriptor.
bool sys_open_unnamed(const char *dir, int *fd, struct err *e);
// A file in memory, likewise.
bool sys_open_memory(int *fd, struct err *e);
void sys_close(const struct sys_file_ops *f, int fd); // fd may be -1
// All n bytes, or ERR_IO; ERR_CORRUPT when the file ends before.
bool sys_read_at(const struct sys_file_ops *f, int fd, void *p, size_t n, uint64_t at, struct err *e);
// Up to n bytes: *got is less only at the end of the file.
bool sys_read_upto(const struct sys_file_ops *f, int fd, void *p, size_t n, uint64_t at, size_t *got, struct err *e);
// All of it, in as many calls as it takes. iov is used up. ERR_FULL when there is no room.
bool sys_writev_at(const struct sys_file_ops *f, int fd, struct iovec *iov, int n, uint64_t at, struct err *e);
bool sys_write_at(const struct sys_file_ops *f, int fd, const void *p, size_t n, uint64_t at, struct err *e);
bool sys_flush(const struct sys_file_ops *f, int fd, struct err *e);
// Blocks for n bytes, reading as zeros. Where the file system cannot reserve, the file only grows to n.
bool sys_reserve(const struct sys_file_ops *f, int fd, uint64_t n, struct err *e);
bool sys_resize(const struct sys_file_ops *f, int fd, uint64_t n, struct err *e);
// ERR_CONFLICT when `to` is there.
bool sys_rename(const struct sys_file_ops *f, const char *from, const char *to, struct err *e);
// A file that is not there is no error.
bool sys_unlink(const struct sys_file_ops *f, const char *path, struct err *e);
// Makes names that were created, renamed or removed in the directory durable.
bool sys_flush_dir(const struct sys_file_ops *f, const char *path, struct err *e);
bool sys_room(const struct sys_file_ops *f, const char *path, uint64_t *available, uint64_t *total, struct err *e);

// Not replaced by tests: nothing durable hangs on them.
// A file of its owner's alone (0600): made when it is not there and make says so, else taken from group and others. By its path, for a descriptor that is
// closed takes the locks with it that the process has on the file. What cannot be changed stays as it is: whoever opens it next says why.
void sys_keep_private(const char *path, bool make);

struct sys_stat {
    uint64_t size;
    bool writable; // has an owner's write bit: our mark of a file that may still grow
    int64_t mtime_ns;
};
bool sys_stat_fd(int fd, struct sys_stat *out, struct err *e);
bool sys_mark_read_only(int fd, struct err *e);
// Creates the directory (0750) and makes its name durable; its parent must be there. One that is there already is no error.
bool sys_mkdir(const char *path, struct err *e);
// And its parents.
bool sys_mkdirs(const char *path, struct err *e);
// A directory with all that is in it; one that is not there is no error. What cannot be removed stays, and is the error.
bool sys_remove_tree(const char *path, struct err *e);
// Puts a small file in its place as a whole: whoever reads it sees all of it or what was there before, also after a power cut. replace false: ERR_CONFLICT
// when it is there.
bool sys_put_file(const char *path, const void *p, size_t n, mode_t mode, bool replace, struct err *e);
// Run by root, gives a path to the owner of its directory, so that a service can use what an administrator made for it; else nothing.
bool sys_own_as_directory(const char *path, struct err *e);
// Calls visit for each name but those that begin with a dot. visit returns false to stop (*e is then its own).
bool sys_list_dir(const char *path, bool (*visit)(void *ctx, const char *name, struct err *e), void *ctx, struct err *e);
// Read-only shared mapping of the file's first n bytes; *out is NULL when n is 0.
bool sys_map(int fd, size_t n, void **out, struct err *e);
void sys_unmap(void *p, size_t n);
// Copies n bytes between files inside the kernel where it can.
bool sys_copy_range(const struct sys_file_ops *f, int from, uint64_t from_at, int to, uint64_t to_at, uint64_t n, struct err *e);
// Starts writing the range back without waiting. Only a hint.
void sys_start_writeback(int fd, uint64_t at, uint64_t n);
// The next run of bytes from an offset on that were written (of a file with holes); *from is the file's size when there is none. ERR_UNSUPPORTED where the
// file system does not tell.
bool sys_next_data(int fd, uint64_t at, uint64_t *from, uint64_t *to, struct err *e);
// Forgets clean cached pages of the range, so that the next read comes from the disk. Only a hint.
void sys_drop_cache(int fd, uint64_t at, uint64_t n);
// As many descriptors as the system allows this process: each connection and each open volume takes one. Only a hint.
void sys_raise_descriptors(void);
// The calling thread gives way to others, for the processor and the disk. Only a hint.
void sys_be_background(void);

#endif

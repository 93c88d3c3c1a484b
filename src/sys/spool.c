// The temporary file behind a spool is made when memory has had its share.
#include "sys/spool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/file.h"

static bool temp_in(const char *folder, int *fd) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s/gantry-XXXXXX", folder) >= (int)sizeof path) return false;
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd >= 0) unlink(path);
    return *fd >= 0;
}

bool sys_temp(int *fd, struct err *e) {
    const char *own = getenv("TMPDIR");
    if (own && *own) return temp_in(own, fd) || err_errno(e, ERR_IO, "sys", "cannot make a temporary file in %s (TMPDIR)", own);
    return temp_in("/var/tmp", fd) || temp_in("/tmp", fd) || err_errno(e, ERR_IO, "sys", "cannot make a temporary file in /var/tmp or /tmp");
}

void spool_init(struct spool *s) {
    *s = (struct spool){.fd = -1};
    buf_init(&s->memory, SPOOL_MEMORY_BYTES);
}

void spool_deinit(struct spool *s) {
    buf_deinit(&s->memory);
    sys_close(NULL, s->fd);
    s->fd = -1;
    s->n = 0;
}

static bool to_file(struct spool *s, struct err *e) {
    if (s->fd >= 0) return true;
    if (!sys_temp(&s->fd, e) || !sys_write_at(NULL, s->fd, s->memory.p, s->memory.n, 0, e)) return false;
    buf_deinit(&s->memory);
    buf_init(&s->memory, SPOOL_MEMORY_BYTES);
    return true;
}

bool spool_add(struct spool *s, const void *p, size_t n, struct err *e) {
    if (s->fd < 0 && n <= SPOOL_MEMORY_BYTES - s->memory.n) {
        buf_add(&s->memory, p, n);
        if (!buf_ok(&s->memory, e)) return false;
    } else if (!to_file(s, e) || !sys_write_at(NULL, s->fd, p, n, s->n, e)) {
        return false;
    }
    s->n += n;
    return true;
}

bool spool_read(const struct spool *s, uint64_t at, void *p, size_t n, struct err *e) {
    if (at > s->n || n > s->n - at) return err_set(e, ERR_INTERNAL, "sys", "read beyond the end of a spool");
    if (s->fd >= 0) return sys_read_at(NULL, s->fd, p, n, at, e);
    if (n) memcpy(p, s->memory.p + at, n);
    return true;
}

bool spool_take_fd(struct spool *s, int *fd, struct err *e) {
    if (!to_file(s, e)) return false;
    *fd = s->fd;
    s->fd = -1;
    s->n = 0;
    return true;
}

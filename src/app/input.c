// Reading the FILE arguments.
#include "app/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dicom/inflate.h"
#include "sys/file.h"

enum { OBJECT_ARENA_BYTES = 4 * DCM_HEADER_BYTES_MAX, COPY_BYTES = 64 * 1024 };

static bool read_at(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct input *in = ctx;
    return sys_read_at(NULL, in->fd, p, n, offset, e);
}

static bool copy_all(int from, int to, struct err *e) {
    char piece[COPY_BYTES];
    uint64_t at = 0;
    for (;;) {
        ssize_t n = read(from, piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_errno(e, ERR_IO, "app", "read");
        if (n == 0) return true;
        if (at + (uint64_t)n > (uint64_t)STORE_OBJECT_BYTES_MAX)
            return err_set(e, ERR_TOO_LARGE, "app", "an object of more than %lld bytes", STORE_OBJECT_BYTES_MAX);
        if (!sys_write_at(NULL, to, piece, (size_t)n, at, e)) return false;
        at += (uint64_t)n;
    }
}

// A temporary file that has no name.
static bool open_spool(int *fd, struct err *e) {
    char path[4096];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/gantry-XXXXXX", folder && *folder ? folder : "/tmp");
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd < 0) return err_errno(e, ERR_IO, "app", "create %s", path);
    unlink(path);
    return true;
}

// A pipe cannot be read twice: its bytes are spooled.
static bool spool(struct input *in, struct err *e) {
    int fd;
    if (!open_spool(&fd, e)) return false;
    bool ok = copy_all(in->fd, fd, e);
    if (in->fd != STDIN_FILENO) close(in->fd);
    in->fd = fd;
    return ok;
}

struct spool_end {
    int fd;
    uint64_t at;
};

static bool add_to_spool(void *ctx, const void *p, size_t n, struct err *e) {
    struct spool_end *s = ctx;
    if (!sys_write_at(NULL, s->fd, p, n, s->at, e)) return false;
    s->at += n;
    return true;
}

// Offsets in a deflated data set count inflated bytes: these are spooled, and from then on they are the source. What a damaged stream gives is taken.
static bool inflate_spool(struct input *in, struct err *e) {
    struct spool_end s = {.fd = -1};
    struct err why;
    err_clear(&why);
    if (!open_spool(&s.fd, e)) return false;
    bool ok = dcm_inflate(&in->source, in->object.dataset_offset, in->size, (struct dcm_sink){add_to_spool, &s}, &in->size, &why);
    if (in->fd != STDIN_FILENO) close(in->fd);
    in->fd = s.fd;
    if (ok || why.kind == ERR_BAD_INPUT) return true;
    if (e) *e = why;
    return false;
}

static bool open_fd(struct input *in, const char *path, struct err *e) {
    bool standard = strcmp(path, "-") == 0;
    in->name = standard ? "standard input" : path;
    if (standard)
        in->fd = STDIN_FILENO;
    else if (!sys_open(NULL, path, O_RDONLY, 0, &in->fd, e))
        return false;
    struct sys_stat st;
    if (lseek(in->fd, 0, SEEK_SET) < 0 && (errno != ESPIPE || !spool(in, e))) return errno == ESPIPE ? false : err_errno(e, ERR_IO, "app", "seek");
    if (!sys_stat_fd(in->fd, &st, e)) return false;
    in->size = st.size;
    return lseek(in->fd, 0, SEEK_SET) == 0 || err_errno(e, ERR_IO, "app", "seek");
}

bool input_open(struct input *in, const char *path, struct err *e) {
    *in = (struct input){.fd = -1};
    arena_init(&in->arena, OBJECT_ARENA_BYTES);
    in->source = (struct dcm_source){read_at, in};
    if (!open_fd(in, path, e)) return false;
    bool ok = dcm_read_fd(&in->arena, in->fd, DCM_STOP_NOWHERE, &in->object, e);
    if (in->object.ts && in->object.ts->deflated && in->object.dataset) return inflate_spool(in, ok ? e : NULL) && ok;
    return ok;
}

void input_close(struct input *in) {
    if (in->fd > STDIN_FILENO) close(in->fd);
    arena_deinit(&in->arena);
}

bool output_drain(void *ctx, struct buf *b, struct err *e) {
    (void)ctx;
    if (!buf_ok(b, e)) return false;
    bool ok = fwrite(b->p, 1, b->n, stdout) == b->n;
    buf_clear(b);
    return ok || err_errno(e, ERR_IO, "app", "write to standard output");
}

bool output_file(const char *path, struct str bytes, struct err *e) {
    FILE *f = fopen(path, "wb");
    if (!f) return err_errno(e, ERR_IO, "app", "cannot create %s", path);
    bool ok = fwrite(bytes.p, 1, bytes.n, f) == bytes.n;
    if (fclose(f) != 0) ok = false;
    return ok || err_errno(e, ERR_IO, "app", "cannot write %s", path);
}

int input_each(struct cli_args *args, bool (*one)(struct cli_args *args, struct input *in, const struct err *why, void *ctx, struct err *e), void *ctx) {
    int code = 0;
    for (unsigned i = 0; i < args->positional_count; i++) {
        struct input in;
        struct err why, e;
        err_clear(&why);
        err_clear(&e);
        bool read = input_open(&in, args->positional[i], &why);
        bool shown = one(args, &in, read ? NULL : &why, ctx, &e);
        input_close(&in);
        if (!read && !strstr(why.message, in.name)) err_wrap(&why, "%s", in.name);
        if (!shown) err_wrap(&e, "%s", in.name);
        int now = !read ? cli_fail(args, &why) : 0;
        if (!shown) now = cli_fail(args, &e);
        if (!code) code = now;
    }
    if (fflush(stdout) != 0 && !code) code = 74; // EX_IOERR
    return code;
}

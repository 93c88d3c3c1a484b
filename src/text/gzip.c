// gzip by zlib.
#include "text/gzip.h"

#include <limits.h>
#include <zlib.h>

enum { WINDOW_GZIP = 15 + 16, WINDOW_ANY = 15 + 32, STEP = 64 * 1024 };

// The next piece of input: zlib counts in 32 bits.
static void refill(z_stream *z, struct str in, size_t *taken) {
    if (z->avail_in > 0) return;
    size_t n = in.n - *taken < INT_MAX ? in.n - *taken : INT_MAX;
    z->next_in = (Bytef *)(uintptr_t)(in.p + *taken);
    z->avail_in = (uInt)n;
    *taken += n;
}

static bool pack(z_stream *z, struct str in, struct buf *out) {
    size_t taken = 0;
    int code = Z_OK;
    while (code == Z_OK) {
        refill(z, in, &taken);
        char *to = buf_reserve(out, STEP);
        if (!to) return false;
        z->next_out = (Bytef *)to;
        z->avail_out = STEP;
        code = deflate(z, taken == in.n ? Z_FINISH : Z_NO_FLUSH);
        out->n += STEP - z->avail_out;
    }
    return code == Z_STREAM_END;
}

bool gzip_pack(struct str in, int level, struct buf *out, struct err *e) {
    z_stream z = {0};
    if (deflateInit2(&z, level, Z_DEFLATED, WINDOW_GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK) return err_nomem(e, "gzip");
    bool ok = pack(&z, in, out);
    deflateEnd(&z);
    if (!buf_ok(out, e)) return false;
    return ok || err_set(e, ERR_INTERNAL, "gzip", "compression stopped early");
}

static int unpack(z_stream *z, struct str in, struct buf *out) {
    size_t taken = 0;
    int code = Z_OK;
    while (code == Z_OK || (code == Z_STREAM_END && (z->avail_in > 0 || taken < in.n))) {
        if (code == Z_STREAM_END && inflateReset(z) != Z_OK) return Z_DATA_ERROR;
        refill(z, in, &taken);
        size_t room = out->ceiling - out->n < STEP ? out->ceiling - out->n : STEP;
        char *to = buf_reserve(out, room ? room : 1); // at the ceiling this fails: the bomb is met
        if (!to) return Z_BUF_ERROR;
        z->next_out = (Bytef *)to;
        z->avail_out = (uInt)room;
        code = inflate(z, Z_NO_FLUSH);
        out->n += room - z->avail_out;
    }
    return code;
}

bool gzip_unpack(struct str in, struct buf *out, struct err *e) {
    z_stream z = {0};
    if (inflateInit2(&z, WINDOW_ANY) != Z_OK) return err_nomem(e, "gzip");
    int code = unpack(&z, in, out);
    inflateEnd(&z);
    if (!buf_ok(out, e)) return false;
    if (code == Z_STREAM_END) return true;
    return err_set(e, ERR_BAD_INPUT, "gzip", code == Z_BUF_ERROR ? "the gzip data is cut short" : "these bytes are not gzip data");
}

uint32_t gzip_crc32(uint32_t crc, const void *p, size_t n) {
    return (uint32_t)crc32_z(crc, p, n);
}

// gzip by zlib.
#include "text/gzip.h"

#include <limits.h>
#include <zlib.h>

enum { WINDOW_RAW = -15, WINDOW_GZIP = 15 + 16, WINDOW_ANY = 15 + 32, STEP = 64 * 1024 };

// The next piece of input: zlib counts in 32 bits.
static void refill(z_stream *z, struct str in, size_t *taken) {
    if (z->avail_in > 0) return;
    size_t n = in.n - *taken < INT_MAX ? in.n - *taken : INT_MAX;
    z->next_in = (Bytef *)(uintptr_t)(in.p + *taken);
    z->avail_in = (uInt)n;
    *taken += n;
}

// last: Z_FINISH, or Z_SYNC_FLUSH to end at a byte with more to come.
static bool pack(z_stream *z, struct str in, int last, struct buf *out) {
    size_t taken = 0;
    int code = Z_OK;
    bool whole = false;
    while (code == Z_OK && !whole) {
        refill(z, in, &taken);
        char *to = buf_reserve(out, STEP);
        if (!to) return false;
        z->next_out = (Bytef *)to;
        z->avail_out = STEP;
        code = deflate(z, taken == in.n ? last : Z_NO_FLUSH);
        out->n += STEP - z->avail_out;
        // nothing left to flush is no error: the step before had just filled its room
        whole = last != Z_FINISH && taken == in.n && (z->avail_out > 0 || (code == Z_BUF_ERROR && z->avail_in == 0));
    }
    return code == Z_STREAM_END || whole;
}

bool gzip_pack(struct str in, int level, struct buf *out, struct err *e) {
    z_stream z = {0};
    if (deflateInit2(&z, level, Z_DEFLATED, WINDOW_GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK) return err_nomem(e, "gzip");
    bool ok = pack(&z, in, Z_FINISH, out);
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

// ---- pieces ----

static uint32_t crc_of(struct str s) {
    return (uint32_t)crc32_z(0, (const Bytef *)s.p, s.n);
}

bool gzip_piece_pack(struct str in, int level, struct buf *out, struct gzip_piece *piece, struct err *e) {
    z_stream z = {0};
    *piece = (struct gzip_piece){.crc = crc_of(in), .size = in.n};
    if (in.n == 0) return true;
    if (deflateInit2(&z, level, Z_DEFLATED, WINDOW_RAW, 8, Z_DEFAULT_STRATEGY) != Z_OK) return err_nomem(e, "gzip");
    bool ok = pack(&z, in, Z_SYNC_FLUSH, out);
    deflateEnd(&z);
    if (!buf_ok(out, e)) return false;
    return ok || err_set(e, ERR_INTERNAL, "gzip", "compression stopped early");
}

static void put_le(struct buf *to, uint32_t v, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) buf_addc(to, (char)(v >> 8 * i & 0xFF));
}

void gzip_join_init(struct gzip_join *j, struct buf *to) {
    *j = (struct gzip_join){.to = to};
}

void gzip_join_head(struct gzip_join *j) {
    buf_add(j->to, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10); // deflate, no name, no time, Unix: RFC 1952 2.3
}

void gzip_join_text(struct gzip_join *j, struct str text) {
    struct gzip_piece piece = {.crc = crc_of(text), .size = text.n};
    put_le(j->to, 0, 1); // a stored block, not the last: RFC 1951 3.2.4
    put_le(j->to, (uint32_t)text.n, 2);
    put_le(j->to, ~(uint32_t)text.n, 2);
    buf_add_str(j->to, text);
    gzip_join_piece(j, &piece);
}

void gzip_join_piece(struct gzip_join *j, const struct gzip_piece *piece) {
    buf_add_str(j->to, piece->packed);
    j->crc = (uint32_t)crc32_combine(j->crc, piece->crc, (z_off_t)piece->size);
    j->size += piece->size;
}

void gzip_join_end(struct gzip_join *j) {
    buf_add(j->to, "\x01\0\0\xff\xff", 5); // the last block, empty
    put_le(j->to, j->crc, 4);
    put_le(j->to, (uint32_t)j->size, 4);
}

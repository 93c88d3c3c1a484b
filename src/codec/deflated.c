// Deflated Image Frame Compression (PS3.5 8.2.16, A.4.13): each frame's plain bytes as one raw deflate stream (RFC 1951).
#include <libdeflate.h>

#include "base/limits.h"
#include "codec/families.h"

enum { LEVEL = 6 };

static bool inflated(enum libdeflate_result result, size_t wanted, struct err *e) {
    if (result == LIBDEFLATE_SUCCESS) return true;
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) return err_set(e, ERR_UNDECODABLE, "codec", "it inflates to more than the %zu bytes of a frame", wanted);
    if (result == LIBDEFLATE_SHORT_OUTPUT) return err_set(e, ERR_UNDECODABLE, "codec", "it inflates to less than the %zu bytes of a frame", wanted);
    return err_set(e, ERR_UNDECODABLE, "codec", "the deflate stream is damaged or cut short");
}

static bool decode(struct arena *a, const struct dcm_ts *ts, const struct px_image *declared, const uint8_t *p, size_t n, const struct codec_options *o,
                   struct px_frame *out, struct err *e) {
    (void)ts, (void)o;
    size_t wanted = codec_plain_bytes(declared);
    uint8_t *bytes = arena_alloc(a, wanted, e);
    if (!bytes) return false;
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (!d) return err_nomem(e, "codec");
    enum libdeflate_result result = libdeflate_deflate_decompress(d, p, n, bytes, wanted, NULL);
    libdeflate_free_decompressor(d);
    return inflated(result, wanted, e) && codec_plain_frame(a, declared, bytes, out, e);
}

static bool deflated(const uint8_t *p, size_t n, struct buf *to, struct err *e) {
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(LEVEL);
    if (!c) return err_nomem(e, "codec");
    size_t bound = libdeflate_deflate_compress_bound(c, n);
    char *room = buf_reserve(to, bound);
    if (room) to->n += libdeflate_deflate_compress(c, p, n, room, bound);
    libdeflate_free_compressor(c);
    return buf_ok(to, e);
}

static bool encode(const struct px_frame *in, const struct dcm_ts *ts, const struct codec_options *o, struct buf *to, struct px_image *image, struct err *e) {
    (void)ts, (void)o, (void)image; // the layout stays as it is
    struct buf room;
    buf_init(&room, PX_FRAME_BYTES_MAX);
    const uint8_t *p = codec_plain_begin(in, &room, e);
    bool ok = p && deflated(p, codec_plain_bytes(&in->image), to, e);
    buf_deinit(&room);
    return ok;
}

const struct codec_family codec_deflated = {"Deflated Image Frame", decode, encode};

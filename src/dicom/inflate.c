// Inflating from a source to a sink.
#include "dicom/inflate.h"

#include <zlib.h>

#include "base/limits.h"

enum { PIECE_BYTES = 32 * 1024 };

struct inflater {
    z_stream z;
    uint8_t in[PIECE_BYTES];
    uint8_t out[PIECE_BYTES];
    struct dcm_sink to;
    uint64_t written;
};

// Everything that the input at hand gives; *done at the end of the stream.
static bool drain(struct inflater *f, bool *done, struct err *e) {
    do {
        f->z.next_out = f->out;
        f->z.avail_out = sizeof f->out;
        int code = inflate(&f->z, Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return err_set(e, ERR_BAD_INPUT, "dicom", "the deflated data set is damaged");
        size_t n = sizeof f->out - f->z.avail_out;
        f->written += n;
        if (f->written > DCM_DEFLATED_BYTES_MAX)
            return err_set(e, ERR_TOO_LARGE, "dicom", "the data set inflates to more than %lld bytes", (long long)DCM_DEFLATED_BYTES_MAX);
        if (n && !f->to.write(f->to.ctx, f->out, n, e)) return false;
        *done = code == Z_STREAM_END;
    } while (!*done && f->z.avail_out == 0);
    return true;
}

bool dcm_inflate(const struct dcm_source *source, uint64_t from, uint64_t end, struct dcm_sink to, uint64_t *out, struct err *e) {
    struct inflater f = {.to = to};
    bool done = false, ok = inflateInit2(&f.z, -MAX_WBITS) == Z_OK || err_nomem(e, "dicom");
    if (!ok) return false;
    while (ok && !done && from < end) {
        size_t n = (size_t)(end - from < PIECE_BYTES ? end - from : PIECE_BYTES);
        ok = source->read_at(source->ctx, from, f.in, n, e);
        from += n;
        f.z.next_in = f.in;
        f.z.avail_in = (uInt)n;
        ok = ok && drain(&f, &done, e);
    }
    inflateEnd(&f.z);
    *out = f.written;
    if (ok && !done) return err_set(e, ERR_BAD_INPUT, "dicom", "the deflated data set is cut short");
    return ok;
}

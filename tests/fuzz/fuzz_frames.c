// Frame tables of any bytes: by pieces or whole the same, never outside what was fed, and packed and unpacked the same.
// Input: number of frames, video (lowest bit) and size of pieces, then the stream from the first item on.
#include <stdint.h>
#include <stdlib.h>

#include "codec/frames.h"
#include "dicom/uids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OFFSET = 1000 };

static void must(bool condition) {
    if (!condition) abort();
}

static bool scan(struct arena *a, const struct dcm_dataset *header, const struct dcm_ts *ts, struct str stream, size_t piece, struct codec_frames *out) {
    struct codec_scan *s = codec_scan_new(header, ts, OFFSET, NULL);
    must(s);
    for (size_t at = 0; at < stream.n; at += piece) codec_scan_feed(s, stream.p + at, piece < stream.n - at ? piece : stream.n - at);
    bool ok = codec_scan_end(s, a, out, NULL);
    codec_scan_free(s);
    return ok;
}

static void same(const struct codec_frames *a, const struct codec_frames *b) {
    must(a->count == b->count && memcmp(a->first, b->first, (a->count + 1) * sizeof *a->first) == 0);
    must(memcmp(a->runs, b->runs, a->first[a->count] * sizeof *a->runs) == 0);
}

static void check(struct arena *a, const struct codec_frames *f, struct str stream) {
    struct codec_frames back;
    struct buf b;
    must(f->count >= 1 && f->first[0] == 0);
    for (uint32_t i = 0; i < f->count; i++) must(f->first[i] <= f->first[i + 1]);
    for (uint32_t i = 0; i < f->first[f->count]; i++)
        must(f->runs[i].offset >= OFFSET && f->runs[i].length <= stream.n && f->runs[i].offset - OFFSET <= stream.n - f->runs[i].length);
    buf_init(&b, 1 << 24);
    must(codec_frames_pack(f, &b, NULL) && codec_frames_unpack(a, buf_str(&b), &back, NULL));
    same(f, &back);
    buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    struct str stream = {(const char *)data + 2, size - 2};
    struct codec_frames one, two;
    struct arena a;
    arena_init(&a, 64 << 20);
    struct dcm_dataset *header = dcm_dataset_new(&a, NULL);
    if (data[0] && (!header || !dcm_put_int(header, DCM_NumberOfFrames, data[0], NULL))) abort();
    const struct dcm_ts *ts = dcm_ts_find(str_of(data[1] & 1 ? DCM_UID_MPEG4HP41 : DCM_UID_JPEG2000));
    bool ok = scan(&a, header, ts, stream, stream.n, &one);
    must(scan(&a, header, ts, stream, 1 + data[1] / 2, &two) == ok);
    if (ok) {
        same(&one, &two);
        check(&a, &one, stream);
    }
    codec_frames_unpack(&a, stream, &two, NULL); // as if it were a packed one
    arena_deinit(&a);
    return 0;
}

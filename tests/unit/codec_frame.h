// Frames made for tests of codecs: any depth, sign, size and kind of content, and what comes back compared with them.
#ifndef GANTRY_TESTS_CODEC_FRAME_H
#define GANTRY_TESTS_CODEC_FRAME_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/codec.h"

enum content { NOISE, FLAT, SLOPE, EXTREMES, CONTENTS };

static inline uint32_t random_bits(uint32_t *seed) {
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static inline struct px_image image_for(uint32_t rows, uint32_t columns, unsigned samples, unsigned stored, bool is_signed) {
    return (struct px_image){.rows = rows,
                             .columns = columns,
                             .frames = 1,
                             .samples = samples,
                             .bits_allocated = stored <= 8    ? 8
                                               : stored <= 16 ? 16
                                                              : 32,
                             .bits_stored = stored,
                             .high_bit = stored - 1,
                             .is_signed = is_signed,
                             .photometric = samples == 3 ? PX_RGB : PX_MONOCHROME2};
}

// Bytes on the heap.
static inline struct px_frame frame_for(struct px_image image, enum content content) {
    size_t n = (size_t)image.rows * image.columns * image.samples, bytes = image.bits_allocated / 8;
    uint8_t *p = malloc(n * bytes);
    uint32_t seed = 7 + image.bits_stored;
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        size_t pixel = i / image.samples, along = pixel % image.columns + pixel / image.columns;
        uint32_t v = random_bits(&seed), top = (uint32_t)((1ull << image.bits_stored) - 1);
        if (content == FLAT) v = 0;
        if (content == SLOPE) v = (uint32_t)((uint64_t)along * top / (image.rows + image.columns)) + (v & 3);
        if (content == EXTREMES) v = pixel % 17 ? 0 : top;
        v = v << (32 - image.bits_stored);
        v = image.is_signed ? (uint32_t)((int32_t)v >> (32 - image.bits_stored)) : v >> (32 - image.bits_stored);
        memcpy(p + i * bytes, &v, bytes);
    }
    return (struct px_frame){.image = image, .bytes = p, .n = n * bytes};
}

static inline int64_t sample_at(const struct px_frame *f, size_t i) {
    uint32_t v = 0;
    unsigned bytes = f->image.bits_allocated / 8, up = 32 - bytes * 8;
    memcpy(&v, f->bytes + i * bytes, bytes);
    return f->image.is_signed ? (int64_t)((int32_t)(v << up) >> up) : (int64_t)v;
}

static inline int64_t greatest_difference(const struct px_frame *a, const struct px_frame *b) {
    int64_t greatest = 0;
    size_t n = (size_t)a->image.rows * a->image.columns * a->image.samples;
    for (size_t i = 0; i < n; i++) {
        int64_t d = llabs(sample_at(a, i) - sample_at(b, i));
        if (d > greatest) greatest = d;
    }
    return greatest;
}

static inline const struct codec_family *family_of(const char *uid) {
    const struct codec_family *f = codec_of(dcm_ts_find(str_of(uid)));
    assert_non_null(f);
    return f;
}

// Decodes from a copy of exactly n bytes, so that the sanitizer sees a read beyond them.
static inline bool decode_copy(struct arena *a, const char *uid, const struct px_image *image, const void *p, size_t n, struct px_frame *out, struct err *e) {
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    if (n) memcpy(copy, p, n);
    bool ok = family_of(uid)->decode(a, dcm_ts_find(str_of(uid)), image, copy, n, NULL, out, e);
    free(copy);
    return ok;
}

#endif

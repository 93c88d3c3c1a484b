// Files: preamble, meta header, any encoding. Up to the pixel data and whole, from memory and in pieces, must agree.
#include <stdlib.h>

#include "dicom/read.h"

enum { ARENA_BYTES = 64 << 20, PIECE = 37 };

static bool in_pieces(struct arena *a, const uint8_t *p, size_t n, enum dcm_build_stop stop, struct dcm_object *out) {
    struct err e;
    struct dcm_builder *b = dcm_builder_new(a, NULL, stop, &e);
    if (!b) abort();
    enum dcm_step step = DCM_MORE;
    for (size_t at = 0; at < n && step == DCM_MORE; at += PIECE) step = dcm_builder_feed(b, p + at, n - at < PIECE ? n - at : PIECE, &e);
    if (step == DCM_MORE) step = dcm_builder_end(b, out, &e);
    *out = *dcm_builder_object(b);
    return step == DCM_DONE;
}

static void check(const uint8_t *p, size_t n, enum dcm_build_stop stop) {
    struct arena a, b;
    struct dcm_object whole, pieces;
    struct err e;
    arena_init(&a, ARENA_BYTES);
    arena_init(&b, ARENA_BYTES);
    bool ok = dcm_read_memory(&a, p, n, NULL, stop, &whole, &e);
    bool ok_too = in_pieces(&b, p, n, stop, &pieces);
    if (ok != ok_too) abort();
    if (ok && (whole.dataset->count != pieces.dataset->count || whole.dataset_offset != pieces.dataset_offset)) abort();
    if (ok && (whole.meta != NULL) != (pieces.meta != NULL)) abort();
    if (ok && whole.ts->explicit_vr != pieces.ts->explicit_vr) abort();
    for (uint32_t i = 1; ok && i < whole.dataset->count; i++)
        if (whole.dataset->elements[i - 1].tag >= whole.dataset->elements[i].tag) abort();
    arena_deinit(&a);
    arena_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check(data, size, DCM_STOP_NOWHERE);
    check(data, size, DCM_STOP_AT_PIXELS);
    return 0;
}

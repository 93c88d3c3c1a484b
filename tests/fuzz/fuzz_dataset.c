// Bare data sets: the first byte picks the transfer syntax and how the rest is cut. Whole and in pieces must read the same; what is written must read back.
#include <stdlib.h>

#include "dicom/read.h"
#include "dicom/uids.h"
#include "dicom/write.h"

enum { ARENA_BYTES = 64 << 20, WRITTEN_BYTES = 16 << 20 };

static const char *const syntaxes[] = {DCM_UID_ImplicitVRLittleEndian, DCM_UID_ExplicitVRLittleEndian, DCM_UID_ExplicitVRBigEndian,
                                       DCM_UID_DeflatedExplicitVRLittleEndian};

static bool same(const struct dcm_dataset *a, const struct dcm_dataset *b) {
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct dcm_element *x = &a->elements[i], *y = &b->elements[i];
        if (x->tag != y->tag || x->vr != y->vr || x->item_count != y->item_count) return false;
        if (x->vr == DCM_VR_SQ) {
            for (uint32_t k = 0; k < x->item_count; k++)
                if (!same(x->items[k], y->items[k])) return false;
        } else if (!(x->flags & DCM_FRAGMENTS) && (x->length != y->length || (x->value && y->value && memcmp(x->value, y->value, x->length) != 0))) {
            return false;
        }
    }
    return true;
}

static bool read_in_pieces(struct arena *a, const uint8_t *p, size_t n, size_t piece, const struct dcm_ts *ts, struct dcm_object *out) {
    struct err e;
    struct dcm_builder *b = dcm_builder_new(a, ts, DCM_STOP_NOWHERE, &e);
    if (!b) abort();
    enum dcm_step step = DCM_MORE;
    for (size_t at = 0; at < n && step == DCM_MORE; at += piece) step = dcm_builder_feed(b, p + at, n - at < piece ? n - at : piece, &e);
    if (step == DCM_MORE) step = dcm_builder_end(b, out, &e);
    *out = *dcm_builder_object(b);
    return step == DCM_DONE;
}

// Writing is settled after one round: what is read back and written again is the same bytes.
static void write_and_read_back(struct arena *a, const struct dcm_dataset *ds, const uint8_t *p, size_t n) {
    struct str whole = {(const char *)p, n};
    struct dcm_source source = dcm_source_memory(&whole), again;
    struct buf first, second;
    struct dcm_object o;
    struct err e;
    buf_init(&first, WRITTEN_BYTES);
    buf_init(&second, WRITTEN_BYTES);
    if (dcm_write_dataset(ds, dcm_ts_explicit_le, &source, dcm_sink_buf(&first), &e) &&
        dcm_read_memory(a, first.p ? first.p : "", first.n, dcm_ts_explicit_le, DCM_STOP_NOWHERE, &o, &e)) {
        struct str written = buf_str(&first);
        again = dcm_source_memory(&written);
        if (o.ts == dcm_ts_explicit_le && o.dataset->count == ds->count && dcm_write_dataset(o.dataset, o.ts, &again, dcm_sink_buf(&second), &e) &&
            second.n > first.n)
            abort();
    }
    buf_deinit(&first);
    buf_deinit(&second);
}

static void try_values(const struct dcm_dataset *ds) {
    for (uint32_t i = 0; i < ds->count && i < 64; i++) {
        int64_t number;
        double real;
        uint32_t tag = ds->elements[i].tag;
        unsigned vm = dcm_vm(ds, tag);
        for (unsigned k = 0; k < vm && k < 4; k++) {
            dcm_i64(ds, tag, k, &number);
            dcm_f64(ds, tag, k, &real);
            dcm_text_at(ds, tag, k);
        }
        dcm_private_creator(ds, tag);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const struct dcm_ts *ts = dcm_ts_find(str_of(syntaxes[data[0] & 3]));
    size_t piece = (size_t)(data[0] >> 2) + 1;
    struct arena a, b;
    struct dcm_object whole, pieces;
    struct err e;
    arena_init(&a, ARENA_BYTES);
    arena_init(&b, ARENA_BYTES);
    bool ok = dcm_read_memory(&a, data + 1, size - 1, ts, DCM_STOP_NOWHERE, &whole, &e);
    bool ok_too = read_in_pieces(&b, data + 1, size - 1, piece, ts, &pieces);
    if (ok != ok_too || whole.truncated != pieces.truncated) abort();
    if (ok && !same(whole.dataset, pieces.dataset)) abort();
    if (whole.dataset) try_values(whole.dataset);
    if (ok && !ts->deflated) write_and_read_back(&a, whole.dataset, data + 1, size - 1);
    arena_deinit(&a);
    arena_deinit(&b);
    return 0;
}

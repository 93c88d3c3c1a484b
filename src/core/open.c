// Objects opened for their pixels: header, bytes and frame table, whatever the transfer syntax.
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "core/parts.h"
#include "core/retrieve.h"
#include "core/state.h"
#include "dicom/inflate.h"
#include "dicom/read.h"
#include "sys/file.h"
#include "sys/sums.h"

enum {
    INFLATED_MEMORY_BYTES = 4 << 20, // beyond it what was inflated lies in a file
    STEP_BYTES = SUMS_BLOCK_BYTES,
    TABLE_BYTES_MAX = 256 << 20,
    PATH_BYTES = 4096,
};

// Where the data set's bytes come from.
struct retrieve_bytes {
    struct archive *archive;
    const struct instance_ref *ref;
    struct part_sums *sums;
    bool inflated;
    struct buf memory; // of an inflated one, while it is small
    int fd;            // else -1
    uint64_t size;     // of the data set
};

// ---- bytes ----

static bool read_file(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct retrieve_bytes *b = ctx;
    return parts_read(b->archive, b->ref, b->sums, offset, p, n, e);
}

static bool read_inflated(const struct retrieve_bytes *b, uint64_t offset, void *p, size_t n, struct err *e) {
    if (b->fd >= 0) return sys_read_at(NULL, b->fd, p, n, offset, e);
    if (n) memcpy(p, b->memory.p + offset, n);
    return true;
}

static bool read_dataset(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct retrieve_bytes *b = ctx;
    if (offset > b->size || n > b->size - offset)
        return err_set(e, ERR_UNDECODABLE, "retrieve", "the data set ends at byte %llu, before what it declares", (unsigned long long)b->size);
    if (b->inflated) return read_inflated(b, offset, p, n, e);
    return parts_read(b->archive, b->ref, b->sums, b->ref->dataset_offset + offset, p, n, e);
}

static bool spill(struct retrieve_bytes *b, struct err *e) {
    char staging[PATH_BYTES];
    snprintf(staging, sizeof staging, "%.4000s/staging", b->archive->dir);
    if (!sys_open_unnamed(staging, &b->fd, e)) return false;
    bool ok = b->memory.n == 0 || sys_write_at(NULL, b->fd, b->memory.p, b->memory.n, 0, e);
    buf_deinit(&b->memory);
    return ok;
}

static bool take_inflated(void *ctx, const void *p, size_t n, struct err *e) {
    struct retrieve_bytes *b = ctx;
    if (b->fd < 0 && b->memory.n + n > INFLATED_MEMORY_BYTES && !spill(b, e)) return false;
    bool ok = true;
    if (b->fd >= 0)
        ok = sys_write_at(NULL, b->fd, p, n, b->size, e);
    else
        buf_add(&b->memory, p, n);
    b->size += n;
    return ok && (b->fd >= 0 || buf_ok(&b->memory, e));
}

// A stream that breaks gives what came before: what is wanted of it may lie there.
static bool inflate_all(struct retrieve_bytes *b, struct err *e) {
    struct dcm_source file = {read_file, b};
    struct err why = {0};
    uint64_t n;
    b->inflated = true;
    if (dcm_inflate(&file, b->ref->dataset_offset, b->ref->loc.length, (struct dcm_sink){take_inflated, b}, &n, &why)) return true;
    if (why.kind == ERR_BAD_INPUT && b->size) return true;
    if (e) *e = why;
    return false;
}

// How much to read at once: up to the end of a block of the file, which is checked as a whole.
static size_t step_of(const struct retrieve_bytes *b, uint64_t at, uint64_t end) {
    uint64_t n = STEP_BYTES - (b->inflated ? 0 : (b->ref->dataset_offset + at) % STEP_BYTES);
    return (size_t)(end - at < n ? end - at : n);
}

// ---- reading it as a data set ----

// Feeds [at, end) until the builder stops.
static enum dcm_step feed(struct dcm_builder *to, const struct retrieve_bytes *b, uint64_t at, uint64_t end, struct err *e) {
    uint8_t bytes[STEP_BYTES]; // of THREAD_STACK_BYTES
    enum dcm_step step = DCM_MORE;
    for (size_t n; step == DCM_MORE && at < end; at += n) {
        n = step_of(b, at, end);
        if (!read_dataset((void *)(uintptr_t)b, at, bytes, n, e)) return DCM_FAIL;
        step = dcm_builder_feed(to, bytes, n, e);
    }
    return step;
}

// The header with its offset tables, as it lies in the object.
static struct dcm_dataset *read_head(struct retrieve_object *o, struct arena *a, struct err *e) {
    struct dcm_object whole = {0};
    struct dcm_builder *b = dcm_builder_new(a, o->ts, DCM_STOP_AT_PIXELS, e);
    if (!b) return NULL;
    enum dcm_step step = feed(b, o->bytes, 0, o->bytes->size, e);
    if (step == DCM_DONE) return dcm_builder_object(b)->dataset;
    return step == DCM_MORE && dcm_builder_end(b, &whole, e) == DCM_DONE ? whole.dataset : NULL;
}

// Stands in for pixels that the data set only points at: never written, so that its pages are never touched.
static uint8_t nothing[1 << 20];

// Large native pixel data is not read to be pointed at.
static bool feed_around(struct dcm_builder *b, const struct retrieve_object *o, const struct dcm_element *pixels, struct err *e) {
    if (feed(b, o->bytes, 0, pixels->offset, e) == DCM_FAIL) return false;
    for (uint64_t left = pixels->length, n; left; left -= n) {
        n = left < sizeof nothing ? left : sizeof nothing;
        if (dcm_builder_feed(b, nothing, n, e) == DCM_FAIL) return false;
    }
    return feed(b, o->bytes, pixels->offset + pixels->length, o->bytes->size, e) != DCM_FAIL;
}

static const struct dcm_element *pixels_of(const struct dcm_dataset *ds) {
    static const uint32_t tags[] = {DCM_PixelData, DCM_FloatPixelData, DCM_DoubleFloatPixelData};
    for (int i = 0; i < 3; i++) {
        const struct dcm_element *el = dcm_find(ds, tags[i]);
        if (el) return el;
    }
    return NULL;
}

bool retrieve_dataset(struct retrieve_object *o, struct arena *a, struct dcm_dataset **out, struct err *e) {
    struct dcm_object whole = {0};
    struct dcm_builder *b = dcm_builder_new(a, o->ts, DCM_STOP_NOWHERE, e);
    const struct dcm_element *p = pixels_of(o->header);
    if (!b) return false;
    bool around = p && !o->ts->encapsulated && !(p->flags & DCM_UNDEFINED_LENGTH) && p->flags & DCM_BY_REFERENCE && p->length > DCM_VALUE_IN_MEMORY_MAX &&
                  p->offset <= o->bytes->size && p->length <= o->bytes->size - p->offset;
    bool ok = around ? feed_around(b, o, p, e) : feed(b, o->bytes, 0, o->bytes->size, e) != DCM_FAIL;
    ok = ok && dcm_builder_end(b, &whole, e) == DCM_DONE;
    *out = whole.dataset;
    return ok;
}

// ---- frames ----

// Follows the fragments through the whole object.
static bool scan(struct retrieve_object *o, const struct dcm_dataset *head, struct arena *a, struct err *e) {
    const struct dcm_element *p = pixels_of(head);
    if (!p || !(p->flags & DCM_UNDEFINED_LENGTH)) return err_set(e, ERR_UNDECODABLE, "retrieve", "the pixel data is not in fragments");
    struct codec_scan *s = codec_scan_new(head, o->ts, p->offset, e);
    if (!s) return false;
    uint8_t bytes[STEP_BYTES];
    bool ok = true;
    size_t n;
    for (uint64_t at = p->offset; ok && at < o->bytes->size; at += n) {
        n = step_of(o->bytes, at, o->bytes->size);
        ok = read_dataset(o->bytes, at, bytes, n, e);
        if (ok) codec_scan_feed(s, bytes, n);
    }
    ok = ok && codec_scan_end(s, a, &o->frames, e);
    codec_scan_free(s);
    return ok;
}

static bool make_frames(struct retrieve_object *o, struct arena *a, struct err *e) {
    struct arena own;
    struct part_facts facts = {0};
    struct buf packed;
    arena_init(&own, DCM_HEADER_BYTES_MAX * 3UL);
    buf_init(&packed, TABLE_BYTES_MAX);
    const struct dcm_dataset *head = read_head(o, &own, e);
    bool ok = head && (scan(o, head, a, &o->frames_err) || o->frames_err.kind == ERR_UNDECODABLE);
    if (!ok && head && e) *e = o->frames_err;
    if (ok && !o->frames_err.kind) ok = codec_frames_pack(&o->frames, &packed, e);
    if (ok) {
        facts.frames = packed.n ? buf_str(&packed) : STR_LIT("");
        facts.frames_trouble = str_of(o->frames_err.message);
        parts_keep(o->bytes->archive, o->ref, &facts);
    }
    buf_deinit(&packed);
    arena_deinit(&own);
    return ok;
}

static bool find_frames(struct retrieve_object *o, struct arena *a, struct err *e) {
    struct str packed, trouble;
    bool kept;
    if (!parts_frames(o->bytes->archive, a, o->ref, &packed, &trouble, &kept, e)) return false;
    if (kept && trouble.n) return err_set(&o->frames_err, ERR_UNDECODABLE, "retrieve", "%.*s", STR_FMT(trouble)), true;
    if (kept && codec_frames_unpack(a, packed, &o->frames, NULL)) return true;
    return make_frames(o, a, e);
}

// ---- opening ----

static const struct dcm_ts *form_of(const struct dcm_dataset *header, const struct dcm_ts *declared) {
    if (declared && declared->encapsulated) return declared;
    if (header->big_endian) return dcm_ts_explicit_be;
    return header->explicit_vr ? dcm_ts_explicit_le : dcm_ts_implicit_le;
}

static bool open_bytes(struct archive *ar, struct arena *a, const struct instance_ref *ref, const struct dcm_ts *ts, struct retrieve_object *o, struct err *e) {
    struct retrieve_bytes *b = arena_zero(a, 1, sizeof *b, e);
    if (!b) return false;
    if (ref->dataset_offset > ref->loc.length) return err_set(e, ERR_CORRUPT, "index", "an object's data set begins behind its end");
    *b = (struct retrieve_bytes){.archive = ar, .ref = ref, .fd = -1, .size = ref->loc.length - ref->dataset_offset};
    buf_init(&b->memory, INFLATED_MEMORY_BYTES);
    o->bytes = b;
    o->source = (struct dcm_source){read_dataset, b};
    if (!parts_sums(ar, ref, &b->sums, e)) return false;
    if (!ts || !ts->deflated) return true;
    b->size = 0;
    return inflate_all(b, e);
}

// The index has the header of a deflated object without what lies in it by reference.
static bool open_header(struct archive *ar, struct arena *a, struct retrieve_object *o, struct err *e) {
    if (!o->bytes->inflated) return retrieve_header(ar, a, o->ref, &o->header, e);
    o->ts = dcm_ts_explicit_le; // PS3.5 A.5
    o->header = read_head(o, a, e);
    return o->header;
}

static bool open_all(struct archive *ar, struct arena *a, struct retrieve_object *o, struct err *e) {
    const struct dcm_ts *declared = dcm_ts_find(o->ref->ts_uid);
    if (!open_bytes(ar, a, o->ref, declared, o, e) || !open_header(ar, a, o, e)) return false;
    const struct dcm_element *p = pixels_of(o->header);
    // PS3.5 A.4: a transfer syntax that nobody knows is explicit VR little endian; its pixels are in fragments when they lie so
    o->ts = o->bytes->inflated ? dcm_ts_explicit_le : form_of(o->header, declared);
    bool encapsulated = p && (o->ts->encapsulated || p->flags & DCM_UNDEFINED_LENGTH);
    return !encapsulated || find_frames(o, a, e);
}

bool retrieve_open(struct archive *ar, struct arena *a, const struct instance_ref *ref, struct retrieve_object *out, struct err *e) {
    *out = (struct retrieve_object){.ref = ref};
    if (open_all(ar, a, out, e)) return true;
    retrieve_close(out);
    return false;
}

void retrieve_close(struct retrieve_object *o) {
    if (!o->bytes) return;
    parts_release(o->bytes->sums);
    buf_deinit(&o->bytes->memory);
    sys_close(NULL, o->bytes->fd);
    o->bytes = NULL;
}

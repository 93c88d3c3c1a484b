// Packing headers. Layout, little endian: struct head, then head.cuts of struct cut, then the bytes.
#include "core/header.h"

#include "base/limits.h"

enum { CUTS_MAX = 4096, HEADER_KEPT_MAX = 8 << 20 }; // a larger header is read from the object

// Where the pixels are, counted from the data set's start.
struct head {
    uint32_t version; // 1
    uint32_t pixel_tag;
    uint32_t pixel_vr;
    uint32_t cuts;
    uint64_t pixel_offset, pixel_length;
};

// A bulk value that was left out: n bytes that stood at `at` of the data set.
struct cut {
    uint64_t at, n;
};

struct cuts {
    struct cut *list; // NULL: they are only counted
    uint32_t count;
};

// Depth is bounded by DCM_DEPTH_MAX, which the reader has held.
static void collect(const struct dcm_dataset *ds, uint64_t base, uint64_t end, struct cuts *c) {
    for (uint32_t i = 0; i < ds->count; i++) {
        const struct dcm_element *el = &ds->elements[i];
        if (el->flags & DCM_BY_REFERENCE && el->offset + el->length <= end) {
            if (c->list) c->list[c->count] = (struct cut){el->offset - base, el->length};
            c->count++;
        }
        for (uint32_t k = 0; el->items && k < el->item_count; k++) collect(el->items[k], base, end, c);
    }
}

static bool pack_bytes(char *to, const struct facts *f, const struct cuts *c, const struct dcm_source *s, struct err *e) {
    uint64_t at = f->dataset_offset;
    for (uint32_t i = 0; i <= c->count; i++) {
        uint64_t until = i < c->count ? f->dataset_offset + c->list[i].at : f->header_end;
        if (until > at && !s->read_at(s->ctx, at, to, (size_t)(until - at), e)) return false;
        to += until - at;
        if (i < c->count) at = until + c->list[i].n;
    }
    return true;
}

static char *start(struct arena *a, const struct facts *f, const struct cuts *c, uint64_t bytes, struct str *out, struct err *e) {
    struct head h = {.version = 1, .pixel_tag = f->pixel_tag, .pixel_vr = f->pixel_vr, .cuts = c->count, .pixel_length = f->pixel_length};
    if (f->pixel_offset) h.pixel_offset = f->pixel_offset - f->dataset_offset;
    size_t front = sizeof h + c->count * sizeof *c->list;
    char *p = arena_alloc(a, front + bytes, e);
    if (!p) return NULL;
    memcpy(p, &h, sizeof h);
    if (c->count) memcpy(p + sizeof h, c->list, c->count * sizeof *c->list);
    *out = (struct str){p, front + bytes};
    return p + front;
}

// A deflated object's header is written anew; one with bulk values in nested places is left to be read from the object.
static bool pack_deflated(struct arena *a, const struct facts *f, const struct cuts *none, enum header_kind *kind, struct str *out, struct err *e) {
    struct dcm_dataset *copy = dcm_dataset_new(a, e);
    if (!copy) return false;
    copy->big_endian = f->ds->big_endian;
    for (uint32_t i = 0; i < f->ds->count; i++)
        if (!(f->ds->elements[i].flags & (DCM_BY_REFERENCE | DCM_FRAGMENTS)) && DCM_GROUP(f->ds->elements[i].tag) < 0x7FE0)
            if (!dcm_put_element(copy, &f->ds->elements[i], e)) return false;
    struct buf b;
    buf_init(&b, HEADER_KEPT_MAX);
    bool ok = dcm_write_dataset(copy, dcm_ts_explicit_le, NULL, dcm_sink_buf(&b), NULL) && buf_ok(&b, NULL);
    char *to = ok ? start(a, f, none, b.n, out, e) : NULL;
    if (to && b.n) memcpy(to, b.p, b.n);
    buf_deinit(&b);
    if (ok) *kind = HEADER_EXPLICIT;
    return !ok || to;
}

static bool find_cuts(struct arena *a, const struct facts *f, struct cuts *c, struct err *e) {
    collect(f->ds, f->dataset_offset, f->header_end, c);
    if (c->count == 0 || c->count > CUTS_MAX) return true;
    c->list = arena_zero(a, c->count, sizeof *c->list, e);
    c->count = 0;
    if (c->list) collect(f->ds, f->dataset_offset, f->header_end, c);
    return c->list;
}

bool header_pack(struct arena *a, const struct facts *f, const struct dcm_source *source, enum header_kind *kind, struct str *out, struct err *e) {
    struct cuts c = {0};
    *kind = HEADER_ABSENT;
    *out = (struct str){NULL, 0};
    if (f->ts->deflated) return pack_deflated(a, f, &c, kind, out, e);
    if (!find_cuts(a, f, &c, e)) return false;
    uint64_t bytes = f->header_end - f->dataset_offset;
    if (c.count > CUTS_MAX) return true;
    for (uint32_t i = 0; i < c.count; i++) bytes -= c.list[i].n;
    if (bytes > HEADER_KEPT_MAX) return true;
    char *to = start(a, f, &c, bytes, out, e);
    if (!to || !pack_bytes(to, f, &c, source, e)) return false;
    *kind = HEADER_AS_STORED;
    return true;
}

// ---- back ----

// Stands in for bulk values: never written, and the builder only counts it, so that its pages are never touched.
static uint8_t nothing[1 << 20];

static bool feed(struct dcm_builder *b, const void *p, uint64_t n, bool *done, struct err *e) {
    enum dcm_step step = n && !*done ? dcm_builder_feed(b, p, (size_t)n, e) : DCM_MORE;
    if (step == DCM_DONE) *done = true;
    return step != DCM_FAIL;
}

static bool feed_nothing(struct dcm_builder *b, uint64_t n, bool *done, struct err *e) {
    for (uint64_t part; n; n -= part) {
        part = n < sizeof nothing ? n : sizeof nothing;
        if (!feed(b, nothing, part, done, e)) return false;
    }
    return true;
}

// With cuts: the bytes between them are fed as they are, and as many bytes of nothing in their places.
static bool build(struct arena *a, const struct dcm_ts *ts, struct str bytes, const char *cuts, uint32_t count, struct dcm_object *o, struct err *e) {
    struct dcm_builder *b = dcm_builder_new(a, ts, DCM_STOP_NOWHERE, e);
    if (!b) return false;
    bool done = false;
    uint64_t at = 0, used = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct cut c;
        memcpy(&c, cuts + i * sizeof c, sizeof c);
        if (c.at < at || c.at - at > bytes.n - used) return err_set(e, ERR_CORRUPT, "index", "a stored header is broken");
        if (!feed(b, bytes.p + used, c.at - at, &done, e) || !feed_nothing(b, c.n, &done, e)) return false;
        used += c.at - at;
        at = c.at + c.n;
    }
    if (!feed(b, bytes.p + used, bytes.n - used, &done, e)) return false;
    return dcm_builder_end(b, o, e) == DCM_DONE;
}

static bool put_pixels(struct dcm_dataset *ds, const struct head *h, struct err *e) {
    if (!h->pixel_tag) return true;
    struct dcm_element el = {.tag = h->pixel_tag, .vr = (uint16_t)h->pixel_vr, .flags = DCM_BY_REFERENCE, .length = h->pixel_length, .offset = h->pixel_offset};
    if (h->pixel_length == DCM_LENGTH_UNDEFINED) el.flags |= DCM_UNDEFINED_LENGTH;
    return dcm_put_element(ds, &el, e);
}

bool header_unpack(struct arena *a, struct str packed, enum header_kind kind, struct str ts_uid, struct dcm_dataset **out, struct err *e) {
    struct head h;
    if (packed.n < sizeof h) return err_set(e, ERR_CORRUPT, "index", "a stored header is too short");
    memcpy(&h, packed.p, sizeof h);
    size_t front = sizeof h + (size_t)h.cuts * sizeof(struct cut);
    if (h.version != 1 || h.cuts > CUTS_MAX || front > packed.n) return err_set(e, ERR_CORRUPT, "index", "a stored header is of no known form");
    const struct dcm_ts *ts = kind == HEADER_EXPLICIT ? dcm_ts_explicit_le : dcm_ts_find(ts_uid);
    if (!ts) ts = dcm_ts_explicit_le; // PS3.5 A.4: every encapsulated syntax is explicit VR little endian
    struct str bytes = str_sub(packed, front, SIZE_MAX);
    struct dcm_object o = {0};
    bool ok = h.cuts ? build(a, ts, bytes, packed.p + sizeof h, h.cuts, &o, e) : dcm_read_memory(a, bytes.p, bytes.n, ts, DCM_STOP_NOWHERE, &o, e);
    if (!ok) return err_wrap(e, "a stored header does not parse");
    *out = o.dataset;
    return put_pixels(o.dataset, &h, e);
}

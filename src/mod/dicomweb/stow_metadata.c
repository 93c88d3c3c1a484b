// STOW-RS of metadata with bulk data (PS3.18 10.5.2): each data set of the documents, with the bytes that its BulkDataURIs name, becomes a Part 10 object.
#include <stdio.h>

#include "base/limits.h"
#include "dicom/json.h"
#include "dicom/uids.h"
#include "dicom/xml.h"
#include "mod/dicomweb/picture.h"
#include "mod/dicomweb/stow.h"
#include "pixel/png.h"
#include "text/json.h"

enum { TREE_BYTES_MAX = 160 * 1024 * 1024, INSTANCE_BYTES_MAX = 256 * 1024 * 1024, BYTE_PIXELS = 8 };

// A value that is elsewhere.
struct reference {
    struct dcm_dataset *ds;
    uint32_t tag;
    struct str uri;
    struct reference *next;
};

// One data set on its way to become an object. Everything is in arena.
struct object {
    struct stow *s;
    struct arena arena;
    struct dcm_dataset *ds;
    struct reference *first, **last;
    bool no_memory;
    const char *ts_uid; // of the object
    struct dcm_source source;
    uint16_t failure; // when something of it does not fit
};

static bool fail(struct object *o, uint16_t reason, struct err *e, enum err_kind kind, const char *why) {
    o->failure = reason;
    return err_set(e, kind, "dicomweb", "%s", why);
}

// ---- references ----

static void on_bulk(void *ctx, struct dcm_dataset *ds, uint32_t tag, struct str uri) {
    struct object *o = ctx;
    struct reference *r = arena_zero(&o->arena, 1, sizeof *r, NULL);
    if (!r || !arena_dup(&o->arena, uri, &r->uri, NULL)) {
        o->no_memory = true;
        return;
    }
    r->ds = ds;
    r->tag = tag;
    *o->last = r;
    o->last = &r->next;
}

static bool read_spool(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct stow *s = ctx;
    return vol_spool_read_at(s->spool, offset, p, n, e);
}

// The value at the spool, a byte of padding behind it when its length is odd.
static bool put_reference(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, uint64_t offset, uint64_t length, struct err *e) {
    struct dcm_element el = {.tag = tag, .vr = vr, .flags = DCM_BY_REFERENCE, .length = length + (length & 1), .offset = offset};
    return length ? dcm_put_element(ds, &el, e) : dcm_put_empty(ds, tag, vr, e);
}

// ---- pixels ----

static bool is_lossy_already(const struct dcm_dataset *ds) {
    return str_eqz(dcm_text(ds, DCM_LossyImageCompression), "01");
}

static bool put_int_unless(struct object *o, uint32_t tag, int64_t value, struct err *e) {
    int64_t there;
    if (!dcm_i64(o->ds, tag, 0, &there)) return dcm_put_int(o->ds, tag, value, e);
    if (there == value) return true;
    char why[120];
    snprintf(why, sizeof why, "(%04X,%04X) is %lld, but the pixels are of %lld", DCM_GROUP(tag), DCM_ELEMENT(tag), (long long)there, (long long)value);
    return fail(o, FAILURE_NOT_OF_CLASS, e, ERR_BAD_INPUT, why);
}

static bool put_int_when_missing(struct object *o, uint32_t tag, int64_t value, struct err *e) {
    int64_t there;
    return dcm_i64(o->ds, tag, 0, &there) || dcm_put_int(o->ds, tag, value, e);
}

static bool put_text_when_missing(struct object *o, uint32_t tag, const char *value, struct err *e) {
    return dcm_text(o->ds, tag).n > 0 || dcm_putz(o->ds, tag, value, e);
}

// The Image Pixel Description Macro as the codestream has it: what is missing is derived, what is there must agree.
static bool put_description(struct object *o, const struct dw_picture *p, struct err *e) {
    int64_t allocated = p->bits <= BYTE_PIXELS ? 8 : p->bits <= 16 ? 16 : 32;
    if (p->rows == 0) return true; // it says nothing of itself
    if (!put_int_unless(o, DCM_Rows, p->rows, e) || !put_int_unless(o, DCM_Columns, p->columns, e) || !put_int_unless(o, DCM_SamplesPerPixel, p->samples, e))
        return false;
    if (!put_text_when_missing(o, DCM_PhotometricInterpretation, p->photometric, e)) return false;
    if (!put_int_when_missing(o, DCM_BitsAllocated, allocated, e) || !put_int_when_missing(o, DCM_BitsStored, p->bits, e)) return false;
    if (!put_int_when_missing(o, DCM_HighBit, p->bits - 1, e) || !put_int_when_missing(o, DCM_PixelRepresentation, 0, e)) return false;
    return p->samples == 1 || put_int_when_missing(o, DCM_PlanarConfiguration, 0, e);
}

static bool put_history(struct object *o, const struct dw_picture *p, struct err *e) {
    if (!p->lossy_method || is_lossy_already(o->ds)) return true;
    return dcm_putz(o->ds, DCM_LossyImageCompression, "01", e) && put_text_when_missing(o, DCM_LossyImageCompressionMethod, p->lossy_method, e);
}

static bool put_frames(struct object *o, const struct dw_picture *p, uint64_t parts, struct err *e) {
    uint64_t frames = p->frames ? p->frames : parts;
    if (frames > 1 && !put_int_unless(o, DCM_NumberOfFrames, (int64_t)frames, e)) return false;
    if (p->frame_ms <= 0 || dcm_find(o->ds, DCM_FrameTime) || dcm_find(o->ds, DCM_FrameTimeVector)) return true;
    int64_t pointer = DCM_FrameTime;
    return dcm_putf(o->ds, DCM_FrameTime, e, "%.6g", p->frame_ms) &&
           (dcm_find(o->ds, DCM_FrameIncrementPointer) || dcm_put_ints(o->ds, DCM_FrameIncrementPointer, DCM_VR_AT, &pointer, 1, e));
}

// The parts of one location as fragments behind an empty offset table.
static bool put_fragments(struct object *o, const struct dcm_fragment *parts, uint32_t n, struct err *e) {
    struct dcm_fragment *all = arena_zero(&o->arena, n + 1u, sizeof *all, e);
    if (!all) return false;
    struct dcm_element el = {.tag = DCM_PixelData, .vr = DCM_VR_OB, .flags = DCM_FRAGMENTS | DCM_UNDEFINED_LENGTH, .fragments = all, .item_count = n + 1};
    el.length = 8;
    all[0].offset = parts[0].offset;
    for (uint32_t i = 0; i < n; i++) {
        all[i + 1] = parts[i];
        el.length += 8 + parts[i].length;
    }
    el.offset = parts[0].offset;
    return dcm_put_element(o->ds, &el, e);
}

static bool put_png(struct object *o, const struct stow_bulk *b, struct err *e) {
    struct px_png png;
    if (b->length > PX_OUTPUT_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "dicomweb", "a PNG picture of more than %d bytes", PX_OUTPUT_BYTES_MAX);
    char *bytes = arena_alloc(&o->arena, (size_t)b->length, e);
    if (!bytes || !read_spool(o->s, b->offset, bytes, (size_t)b->length, e)) return false;
    if (!px_read_png(&o->arena, (struct str){bytes, (size_t)b->length}, &png, e) || !stow_bulk_use(o->s, png.n, e)) return false;
    struct dw_picture p = {.rows = png.height, .columns = png.width, .samples = png.channels, .bits = png.bits};
    p.photometric = png.channels == 1 ? "MONOCHROME2" : "RGB";
    if (!put_description(o, &p, e)) return false;
    return dcm_put_bytes(o->ds, DCM_PixelData, png.bits > BYTE_PIXELS ? DCM_VR_OW : DCM_VR_OB, png.pixels, png.n, e);
}

// One part per frame, or a film in one. A fragment has at most 2^32 - 2 bytes.
static bool collect(struct object *o, const struct reference *r, struct dcm_fragment **out, uint32_t *n, struct dw_picture *p, struct err *e) {
    const struct stow_bulk *const *bulk;
    size_t count = stow_bulk_find(o->s, r->uri, &bulk);
    *n = 0;
    *out = arena_zero(&o->arena, count, sizeof **out, e);
    if (!*out) return false;
    for (size_t i = 0; i < count; i++) {
        const struct stow_bulk *b = bulk[i];
        struct dw_picture one;
        struct arena_mark mark = arena_mark(&o->arena);
        if (!stow_bulk_use(o->s, b->length, e) || !dw_picture_read(&o->arena, &o->source, b->offset, b->length, b->type, &one, e)) return false;
        arena_rewind(&o->arena, mark);
        if (*n == 0) *p = one;
        bool same = one.rows == p->rows && one.columns == p->columns && one.samples == p->samples && strcmp(one.ts_uid, p->ts_uid) == 0 && one.png == p->png;
        if (!same) return fail(o, FAILURE_NOT_OF_CLASS, e, ERR_BAD_INPUT, "the frames of one instance differ in size or encoding");
        if (one.length >= UINT32_MAX - 1) return fail(o, FAILURE_NOT_UNDERSTOOD, e, ERR_TOO_LARGE, "a part of 4 GiB does not fit in one fragment");
        (*out)[(*n)++] = (struct dcm_fragment){.offset = one.offset, .length = (uint32_t)(one.length + (one.length & 1))};
    }
    return true;
}

// The transfer syntax that a part names goes before what its header looks like, when it is one for encapsulated pixels.
static bool choose_ts(struct object *o, const struct stow_bulk *b, const struct dw_picture *p, struct err *e) {
    const struct dcm_ts *named = b->ts_uid.n ? dcm_ts_find(b->ts_uid) : NULL;
    if (b->ts_uid.n && !named) return fail(o, FAILURE_TRANSFER_SYNTAX, e, ERR_UNSUPPORTED, "an unknown transfer syntax");
    o->ts_uid = named && named->encapsulated ? named->uid : p->ts_uid;
    return true;
}

static bool put_pixels(struct object *o, const struct reference *r, const struct stow_bulk *b, struct err *e) {
    struct dcm_fragment *parts;
    struct dw_picture p = {0};
    uint32_t n;
    if (!collect(o, r, &parts, &n, &p, e)) {
        if (!o->failure && e->kind == ERR_UNSUPPORTED) o->failure = FAILURE_TRANSFER_SYNTAX;
        return false;
    }
    if (p.png) return put_png(o, b, e);
    return choose_ts(o, b, &p, e) && put_description(o, &p, e) && put_history(o, &p, e) && put_frames(o, &p, n, e) && put_fragments(o, parts, n, e);
}

// Native pixels, or encapsulated ones that somebody sends as they stand in no media type.
static bool put_native(struct object *o, const struct reference *r, const struct stow_bulk *b, uint16_t vr, struct err *e) {
    const struct dcm_ts *named = b->ts_uid.n ? dcm_ts_find(b->ts_uid) : NULL;
    if (b->ts_uid.n && (!named || named->big_endian || named->deflated))
        return fail(o, FAILURE_TRANSFER_SYNTAX, e, ERR_UNSUPPORTED, "a transfer syntax that bulk data cannot have");
    if (!named || !named->encapsulated) return put_reference(r->ds, r->tag, vr, b->offset, b->length, e);
    if (b->length >= UINT32_MAX - 1) return fail(o, FAILURE_NOT_UNDERSTOOD, e, ERR_TOO_LARGE, "a part of 4 GiB does not fit in one fragment");
    struct dcm_fragment one = {.offset = b->offset, .length = (uint32_t)(b->length + (b->length & 1))};
    o->ts_uid = named->uid;
    return put_fragments(o, &one, 1, e);
}

// ---- other bulk data ----

static bool put_document(struct object *o, const struct stow_bulk *b, struct err *e) {
    char *type = arena_strz(&o->arena, b->type, e);
    if (!type || !put_text_when_missing(o, DCM_MIMETypeOfEncapsulatedDocument, type, e)) return false;
    return put_int_when_missing(o, DCM_EncapsulatedDocumentLength, (int64_t)b->length, e);
}

static bool resolve(struct object *o, const struct reference *r, struct err *e) {
    const struct stow_bulk *const *parts;
    const struct stow_bulk *b = stow_bulk_find(o->s, r->uri, &parts) ? parts[0] : NULL;
    const struct dcm_element *el = dcm_find(r->ds, r->tag);
    if (!b || !el) return fail(o, FAILURE_BULK_MISSING, e, ERR_BAD_INPUT, "no part has the Content-Location that a BulkDataURI names");
    bool top = r->ds == o->ds, pixels = top && r->tag == DCM_PixelData;
    if (!(pixels && dw_picture_is(b->type)) && !stow_bulk_use(o->s, b->length, e)) return false;
    if (pixels) {
        if (dw_picture_is(b->type)) return put_pixels(o, r, b, e);
        if (str_eq_nocase(b->type, STR_LIT("application/octet-stream"))) return put_native(o, r, b, el->vr, e);
        return fail(o, FAILURE_TRANSFER_SYNTAX, e, ERR_UNSUPPORTED, "a media type that pixels cannot have");
    }
    if (top && r->tag == DCM_EncapsulatedDocument && !put_document(o, b, e)) return false;
    return put_reference(r->ds, r->tag, el->vr, b->offset, b->length, e);
}

static bool resolve_all(struct object *o, struct err *e) {
    if (o->no_memory) return err_nomem(e, "dicomweb");
    for (const struct reference *r = o->first; r; r = r->next)
        if (!resolve(o, r, e)) return false;
    return true;
}

// ---- instances ----

static bool write_ingest(void *ctx, const void *p, size_t n, struct err *e) {
    return ingest_write(ctx, p, n, e);
}

static bool write_object(struct object *o, struct err *e) {
    struct stow *s = o->s;
    struct ingest_hint hint = {0};
    struct dcm_sink sink = {write_ingest, NULL};
    s->ingest = ingest_begin(s->target.archive, &s->target.actor, &hint, e);
    sink.ctx = s->ingest;
    return s->ingest && dcm_write_part10(o->ds, dcm_ts_find(str_of(o->ts_uid)), &o->source, sink, e);
}

static bool has_uids(const struct stored *p) {
    return p->sop_class_uid[0] && p->sop_instance_uid[0] && p->study_uid[0] && p->series_uid[0];
}

// From a data set to an object in the archive, or to the reason why not.
static void store_object(struct object *o, bool read, struct err *e) {
    struct stow *s = o->s;
    bool ok = read;
    if (ok) stow_check(s, o->ds);
    if (ok && !s->current->failure && !has_uids(s->current)) ok = fail(o, FAILURE_NOT_UNDERSTOOD, e, ERR_BAD_INPUT, "the metadata lacks a UID");
    if (ok && !s->current->failure) ok = resolve_all(o, e) && write_object(o, e);
    if (!ok) stow_fail(s, o->failure ? o->failure : e->kind == ERR_BAD_INPUT ? FAILURE_NOT_UNDERSTOOD : err_class_of(e->kind)->dimse, e);
    stow_commit(s);
}

static void begin_object(struct object *o, struct stow *s) {
    *o = (struct object){.s = s, .ts_uid = DCM_UID_ExplicitVRLittleEndian, .source = {read_spool, s}};
    o->last = &o->first;
    arena_init(&o->arena, INSTANCE_BYTES_MAX);
}

static bool store_json(struct stow *s, struct str text, const struct json *root, struct err *e) {
    const struct json *one = root->kind == JSON_ARRAY ? root->first : root;
    for (; one; one = root->kind == JSON_ARRAY ? one->next : NULL) {
        struct object o;
        struct err why = {0};
        if (!stow_new(s, e)) return false;
        begin_object(&o, s);
        store_object(&o, dcm_json_read_object(&o.arena, text, one, on_bulk, &o, &o.ds, &why), &why);
        arena_deinit(&o.arena);
    }
    return true;
}

static bool store_xml(struct stow *s, struct str text, struct err *e) {
    struct object o;
    struct err why = {0};
    if (!stow_new(s, e)) return false;
    begin_object(&o, s);
    store_object(&o, dcm_xml_read(&o.arena, text, on_bulk, &o, &o.ds, &why), &why);
    arena_deinit(&o.arena);
    return true;
}

static struct str text_of(const struct stow *s, const struct stow_document *d) {
    return str_sub(buf_str(&s->documents), d->offset, d->length);
}

// A document that is no JSON or XML at all is bad syntax of the request (400), not the fate of one instance.
static bool is_well_formed(struct stow *s, const struct stow_document *d, struct arena *tree, struct err *e) {
    if (d->form == STOW_XML) return dcm_xml_check(text_of(s, d), e) || err_wrap(e, "metadata");
    const struct json *root = json_read(tree, text_of(s, d), 0, e);
    if (!root) return err_wrap(e, "metadata");
    bool fits = root->kind == JSON_OBJECT || (root->kind == JSON_ARRAY && root->count > 0);
    return fits || err_set(e, ERR_BAD_INPUT, "dicomweb", "metadata is an array of DICOM JSON objects");
}

static bool store_document(struct stow *s, const struct stow_document *d, struct arena *tree, struct err *e) {
    if (d->form == STOW_XML) return store_xml(s, text_of(s, d), e);
    const struct json *root = json_read(tree, text_of(s, d), 0, e);
    return root && store_json(s, text_of(s, d), root, e);
}

bool stow_metadata(struct stow *s, struct err *e) {
    struct arena tree;
    bool ok = true;
    if (!stow_bulk_sort(s, e)) return false;
    arena_init(&tree, TREE_BYTES_MAX);
    for (const struct stow_document *d = s->first_document; ok && d; d = d->next) {
        arena_reset(&tree);
        ok = is_well_formed(s, d, &tree, e);
    }
    for (const struct stow_document *d = s->first_document; ok && d; d = d->next) {
        arena_reset(&tree);
        ok = store_document(s, d, &tree, e);
    }
    arena_deinit(&tree);
    return ok;
}

// Writing data sets: lengths first where they are defined, then headers and values in the byte order and VR form asked for.
#include "dicom/write.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "dicom/read.h"
#include "dicom/value.h"

enum { WRITER_BYTES = 4096, COPY_BYTES = 64 * 1024 };

// How bytes stand in the stream being written.
struct form {
    bool explicit_vr;
    bool big_endian;
};

struct writer {
    struct dcm_sink to;
    const struct dcm_source *source;
    struct err *e;
    uint8_t *copy; // COPY_BYTES for values by reference and swapping, made when first needed
    size_t n;
    unsigned depth;
    uint8_t pending[WRITER_BYTES];
};

// ---- sinks and sources ----

static bool write_buf(void *ctx, const void *p, size_t n, struct err *e) {
    buf_add(ctx, p, n);
    return buf_ok(ctx, e);
}

struct dcm_sink dcm_sink_buf(struct buf *b) {
    return (struct dcm_sink){.write = write_buf, .ctx = b};
}

static bool read_memory_at(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct str *bytes = ctx;
    if (offset > bytes->n || n > bytes->n - offset)
        return err_set(e, ERR_BAD_INPUT, "dicom", "bytes %llu to %llu are beyond the %zu of the object", (unsigned long long)offset,
                       (unsigned long long)offset + n, bytes->n);
    memcpy(p, bytes->p + offset, n);
    return true;
}

struct dcm_source dcm_source_memory(const struct str *bytes) {
    return (struct dcm_source){.read_at = read_memory_at, .ctx = (void *)bytes};
}

static bool read_fd_at(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const int *fd = ctx;
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(*fd, (char *)p + done, n - done, (off_t)(offset + done));
        if (got < 0) return err_errno(e, ERR_IO, "dicom", "cannot read at byte %llu", (unsigned long long)offset + done);
        if (got == 0) return err_set(e, ERR_BAD_INPUT, "dicom", "the file ends before byte %llu", (unsigned long long)offset + n);
        done += (size_t)got;
    }
    return true;
}

struct dcm_source dcm_source_fd(const int *fd) {
    return (struct dcm_source){.read_at = read_fd_at, .ctx = (void *)fd};
}

// ---- bytes out ----

static bool flush(struct writer *w) {
    if (!w->n) return true;
    size_t n = w->n;
    w->n = 0;
    return w->to.write(w->to.ctx, w->pending, n, w->e);
}

static bool out(struct writer *w, const void *p, size_t n) {
    if (n > WRITER_BYTES - w->n) {
        if (!flush(w)) return false;
        if (n > WRITER_BYTES / 2) return w->to.write(w->to.ctx, p, n, w->e);
    }
    if (n) memcpy(w->pending + w->n, p, n);
    w->n += n;
    return true;
}

static void store16(uint8_t *p, uint16_t v, bool big) {
    p[big ? 1 : 0] = (uint8_t)v;
    p[big ? 0 : 1] = (uint8_t)(v >> 8);
}

static void store32(uint8_t *p, uint32_t v, bool big) {
    store16(p + (big ? 2 : 0), (uint16_t)v, big);
    store16(p + (big ? 0 : 2), (uint16_t)(v >> 16), big);
}

static void store_tag(uint8_t *p, uint32_t tag, bool big) {
    store16(p, DCM_GROUP(tag), big);
    store16(p + 2, DCM_ELEMENT(tag), big);
}

// Item and delimiter headers have no VR in either form.
static bool out_item(struct writer *w, uint32_t tag, uint32_t length, bool big) {
    uint8_t h[8];
    store_tag(h, tag, big);
    store32(h + 4, length, big);
    return out(w, h, sizeof h);
}

// ---- what an element becomes ----

// The VR to write: what stood in the stream, if it did; UN for what a 16-bit length cannot hold (PS3.5 6.2.2).
static uint16_t vr_to_write(const struct dcm_element *el, uint64_t length) {
    if (el->stream_vr) return el->stream_vr;
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    if (!info || (!info->long_length && length > UINT16_MAX)) return DCM_VR_UN;
    return el->vr;
}

static bool is_long_form(const struct dcm_element *el, uint16_t vr) {
    if ((el->flags & DCM_VR_ODD) && vr == el->stream_vr) return !(el->flags & DCM_VR_ODD_SHORT);
    const struct dcm_vr_info *info = dcm_vr_find(vr);
    return !info || info->long_length;
}

static bool is_undefined(const struct dcm_element *el) {
    return el->flags & (DCM_UNDEFINED_LENGTH | DCM_FRAGMENTS);
}

// Inside a sequence that stood as UN the items keep their own form (PS3.5 6.2.2).
static struct form form_of_item(const struct dcm_element *el, const struct dcm_dataset *item, struct form f) {
    if (f.explicit_vr && el->stream_vr == DCM_VR_UN) return (struct form){item->explicit_vr, item->big_endian};
    return f;
}

static bool form_of_delimiter(const struct dcm_element *el, struct form f) {
    if (f.explicit_vr && el->stream_vr == DCM_VR_UN) return el->item_count ? el->items[0]->big_endian : false;
    return f.big_endian;
}

static bool is_dropped(const struct dcm_dataset *ds, const struct dcm_element *el, struct form f) {
    return DCM_ELEMENT(el->tag) == 0 && DCM_GROUP(el->tag) > 2 && ds->explicit_vr != f.explicit_vr;
}

// ---- lengths ----

static bool size_of_dataset(const struct dcm_dataset *ds, struct form f, unsigned depth, uint64_t *total, struct err *e);

static bool size_of_items(const struct dcm_element *el, struct form f, unsigned depth, uint64_t *total, struct err *e) {
    for (uint32_t i = 0; i < el->item_count; i++) {
        *total += el->items[i]->undefined_length ? 16 : 8;
        if (!size_of_dataset(el->items[i], form_of_item(el, el->items[i], f), depth + 1, total, e)) return false;
    }
    if (el->flags & DCM_UNDEFINED_LENGTH) *total += 8;
    return true;
}

static uint64_t size_of_fragments(const struct dcm_element *el) {
    uint64_t total = 8;
    for (uint32_t i = 0; i < el->item_count; i++) total += 8 + (uint64_t)el->fragments[i].length;
    return total;
}

static bool size_of_value(const struct dcm_element *el, struct form f, unsigned depth, uint64_t *size, struct err *e) {
    *size = el->flags & DCM_FRAGMENTS ? size_of_fragments(el) : el->length;
    if (el->vr != DCM_VR_SQ) return true;
    *size = 0;
    return size_of_items(el, f, depth, size, e);
}

static bool too_deep(struct err *e) {
    return err_set(e, ERR_TOO_LARGE, "dicom", "sequences are nested deeper than %d", DCM_DEPTH_MAX);
}

static bool size_of_dataset(const struct dcm_dataset *ds, struct form f, unsigned depth, uint64_t *total, struct err *e) {
    if (depth > DCM_DEPTH_MAX) return too_deep(e);
    for (uint32_t i = 0; i < ds->count; i++) {
        const struct dcm_element *el = &ds->elements[i];
        uint64_t size;
        if (is_dropped(ds, el, f)) continue;
        if (!size_of_value(el, f, depth, &size, e)) return false;
        *total += size + (f.explicit_vr && is_long_form(el, vr_to_write(el, size)) ? 12 : 8);
    }
    return true;
}

// ---- values ----

static unsigned swap_unit(const struct dcm_element *el, uint16_t vr) {
    if (vr == DCM_VR_UN || (el->flags & DCM_VR_ODD)) return 1;
    if (vr == DCM_VR_AT) return 2;
    const struct dcm_vr_info *info = dcm_vr_find(vr);
    return info ? info->unit : 1;
}

static bool have_copy(struct writer *w) {
    if (!w->copy) w->copy = malloc(COPY_BYTES);
    return w->copy || err_nomem(w->e, "dicom");
}

// From memory or from the source, in pieces, swapped when the byte order changes (unit above 1).
static bool out_bytes(struct writer *w, const uint8_t *p, uint64_t offset, uint64_t n, unsigned unit) {
    if (p && unit == 1) return out(w, p, (size_t)n);
    if (n && !p && (!w->source || !w->source->read_at)) return err_set(w->e, ERR_INTERNAL, "dicom", "a value by reference, and no source to read it from");
    if (!have_copy(w)) return false;
    while (n) {
        size_t piece = n < COPY_BYTES ? (size_t)n : COPY_BYTES;
        if (p)
            memcpy(w->copy, p, piece);
        else if (!w->source->read_at(w->source->ctx, offset, w->copy, piece, w->e))
            return false;
        if (unit > 1) dcm_value_swap(w->copy, piece, unit);
        if (!out(w, w->copy, piece)) return false;
        if (p) p += piece;
        offset += piece;
        n -= piece;
    }
    return true;
}

static bool out_fragments(struct writer *w, const struct dcm_element *el, bool big) {
    for (uint32_t i = 0; i < el->item_count; i++) {
        if (!out_item(w, DCM_ITEM, el->fragments[i].length, big)) return false;
        if (!out_bytes(w, NULL, el->fragments[i].offset, el->fragments[i].length, 1)) return false;
    }
    return out_item(w, DCM_SEQUENCE_DELIMITATION, 0, big);
}

// ---- elements ----

static bool out_dataset(struct writer *w, const struct dcm_dataset *ds, struct form f);

static bool out_items(struct writer *w, const struct dcm_element *el, struct form f) {
    for (uint32_t i = 0; i < el->item_count; i++) {
        const struct dcm_dataset *item = el->items[i];
        struct form inside = form_of_item(el, item, f);
        uint64_t size = 0;
        if (!item->undefined_length && !size_of_dataset(item, inside, w->depth + 1, &size, w->e)) return false;
        if (size >= DCM_LENGTH_UNDEFINED) return err_set(w->e, ERR_TOO_LARGE, "dicom", "an item of %llu bytes", (unsigned long long)size);
        if (!out_item(w, DCM_ITEM, item->undefined_length ? DCM_LENGTH_UNDEFINED : (uint32_t)size, inside.big_endian)) return false;
        w->depth++;
        if (!out_dataset(w, item, inside)) return false;
        w->depth--;
        if (item->undefined_length && !out_item(w, DCM_ITEM_DELIMITATION, 0, inside.big_endian)) return false;
    }
    return !(el->flags & DCM_UNDEFINED_LENGTH) || out_item(w, DCM_SEQUENCE_DELIMITATION, 0, form_of_delimiter(el, f));
}

static bool out_header(struct writer *w, const struct dcm_element *el, uint16_t vr, uint32_t length, struct form f) {
    uint8_t h[12] = {0};
    store_tag(h, el->tag, f.big_endian);
    if (!f.explicit_vr) {
        store32(h + 4, length, f.big_endian);
        return out(w, h, 8);
    }
    h[4] = (uint8_t)(vr >> 8);
    h[5] = (uint8_t)vr;
    if (is_long_form(el, vr)) {
        store32(h + 8, length, f.big_endian);
        return out(w, h, 12);
    }
    if (length > UINT16_MAX)
        return err_set(w->e, ERR_TOO_LARGE, "dicom", "(%04X,%04X) with %u bytes does not fit its VR", DCM_GROUP(el->tag), DCM_ELEMENT(el->tag), length);
    store16(h + 6, (uint16_t)length, f.big_endian);
    return out(w, h, 8);
}

static bool out_element(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el, struct form f) {
    uint64_t size = 0;
    if (!is_undefined(el) && !size_of_value(el, f, w->depth, &size, w->e)) return false;
    if (size >= DCM_LENGTH_UNDEFINED)
        return err_set(w->e, ERR_TOO_LARGE, "dicom", "(%04X,%04X) has %llu bytes", DCM_GROUP(el->tag), DCM_ELEMENT(el->tag), (unsigned long long)size);
    uint16_t vr = vr_to_write(el, size);
    if (!out_header(w, el, vr, is_undefined(el) ? DCM_LENGTH_UNDEFINED : (uint32_t)size, f)) return false;
    if (el->vr == DCM_VR_SQ) return out_items(w, el, f);
    if (el->flags & DCM_FRAGMENTS) return out_fragments(w, el, f.big_endian);
    unsigned unit = ds->big_endian == f.big_endian ? 1 : swap_unit(el, f.explicit_vr ? vr : el->vr);
    return out_bytes(w, el->value, el->offset, size, unit);
}

static bool out_dataset(struct writer *w, const struct dcm_dataset *ds, struct form f) {
    if (w->depth > DCM_DEPTH_MAX) return too_deep(w->e);
    for (uint32_t i = 0; i < ds->count; i++) {
        const struct dcm_element *el = &ds->elements[i];
        if (!is_dropped(ds, el, f) && !out_element(w, ds, el, f)) return false;
    }
    return true;
}

bool dcm_write_dataset(const struct dcm_dataset *ds, const struct dcm_ts *ts, const struct dcm_source *source, struct dcm_sink to, struct err *e) {
    struct writer w;
    memset(&w, 0, offsetof(struct writer, pending));
    w.to = to;
    w.source = source;
    w.e = e;
    bool ok = out_dataset(&w, ds, (struct form){ts->explicit_vr, ts->big_endian}) && flush(&w);
    free(w.copy);
    return ok;
}

// Builds data sets from tokens: one stack of elements for all levels, so that nothing is allocated per element.
#include "dicom/assemble.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 192 };

// ---- stacks ----

static bool grow(struct dcm_assembler *a, void **array, uint32_t *capacity, size_t size, struct err *e) {
    uint32_t larger = *capacity ? *capacity * 2 : FIRST_CAPACITY;
    void *p = arena_grow(a->arena, *array, (size_t)*capacity * size, (size_t)larger * size, e);
    if (!p) return false;
    *array = p;
    *capacity = larger;
    return true;
}

static struct dcm_level *level(struct dcm_assembler *a) {
    return &a->levels[a->depth];
}

static struct dcm_element *last(struct dcm_assembler *a) {
    return &a->elements[a->count - 1];
}

static struct dcm_element *push_element(struct dcm_assembler *a, const struct dcm_token *t, struct err *e) {
    if (a->count == a->capacity && !grow(a, (void **)&a->elements, &a->capacity, sizeof *a->elements, e)) return NULL;
    struct dcm_level *l = level(a);
    if (a->count > l->first && last(a)->tag >= t->tag) l->unsorted = true;
    if (a->depth && a->count == l->first) l->ds->explicit_vr = t->stream_vr != 0; // an item's first element tells its VR form
    if (t->flags & DCM_VR_US_OR_SS) l->us_or_ss = true;
    if (t->tag == DCM_PixelRepresentation && !l->signedness) l->signedness = a->count + 1;
    struct dcm_element *el = &a->elements[a->count++];
    *el = (struct dcm_element){
        .tag = t->tag, .vr = t->vr, .flags = t->flags & (uint16_t)~DCM_FRAGMENTS, .stream_vr = t->stream_vr, .length = t->length, .offset = t->offset};
    return el;
}

// ---- private attributes without a VR ----

enum { LOOK_BACK = 64 };

static struct str creator_text(const struct dcm_element *el) {
    struct str s = {(const char *)el->value, el->value ? (size_t)el->length : 0};
    return str_trim(s);
}

// The creator of a block among the elements read so far. An unsorted data set is searched only a little, so that hostile ones cost nothing.
static struct str find_creator(const struct dcm_assembler *a, const struct dcm_level *l, uint32_t tag) {
    uint32_t n = a->count - l->first;
    if (n == 0) return (struct str){NULL, 0};
    const struct dcm_element *from = a->elements + l->first;
    if (l->unsorted) {
        for (uint32_t i = n; i > 0 && n - i < LOOK_BACK; i--) {
            if (from[i - 1].tag == tag) return creator_text(&from[i - 1]);
        }
        return (struct str){NULL, 0};
    }
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (from[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && from[low].tag == tag ? creator_text(&from[low]) : (struct str){NULL, 0};
}

static void know_private(struct dcm_assembler *a, struct dcm_token *t) {
    uint16_t element = DCM_ELEMENT(t->tag);
    if (element < 0x1000) return;
    struct dcm_level *l = level(a);
    uint32_t block = DCM_TAG(DCM_GROUP(t->tag), element >> 8);
    if (l->block != block) {
        l->creator = find_creator(a, l, block);
        l->block = block;
    }
    const struct dcm_dict_entry *d = l->creator.n ? dcm_dict_find_private(l->creator, t->tag) : NULL;
    if (!d || (d->vr[0] == DCM_VR_SQ && !t->item_follows && t->length)) return;
    if (a->reader.big_endian && dcm_vr_find(d->vr[0])->unit > 1) return; // UN is little endian (PS3.5 6.2.2): numbers stay UN
    t->vr = d->vr[0];
    t->flags |= DCM_VR_FROM_DICTIONARY;
}

// ---- data sets ----

static bool open_level(struct dcm_assembler *a, const struct dcm_token *t, struct err *e) {
    struct dcm_dataset *ds = dcm_dataset_new(a->arena, e);
    if (!ds) return false;
    if (t) {
        ds->parent = level(a)->ds;
        a->depth++;
    }
    ds->explicit_vr = !a->reader.implicit;
    ds->big_endian = a->reader.big_endian;
    ds->undefined_length = t && (t->flags & DCM_UNDEFINED_LENGTH);
    *level(a) = (struct dcm_level){.ds = ds, .first = a->count, .first_item = a->item_count};
    return true;
}

static int by_tag_then_place(const void *pa, const void *pb) {
    const struct dcm_element *a = pa, *b = pb;
    if (a->tag != b->tag) return a->tag < b->tag ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

// Tag order, each tag once. Of duplicates the first stays (as DCMTK and GDCM do): what was acted on when it came cannot be replaced by later bytes.
static uint32_t sort_elements(struct dcm_element *elements, uint32_t n) {
    if (n == 0) return 0;
    qsort(elements, n, sizeof *elements, by_tag_then_place);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < n; i++) {
        if (elements[i].tag != elements[kept - 1].tag) elements[kept++] = elements[i];
    }
    return kept;
}

// PS3.3 C.7.6.3.1.2: Pixel Representation of the data set, or of the nearest one around it. Without any: unsigned.
static bool pixels_are_signed(const struct dcm_assembler *a) {
    for (unsigned depth = a->depth + 1; depth > 0; depth--) {
        const struct dcm_level *l = &a->levels[depth - 1];
        if (!l->signedness) continue;
        const struct dcm_element *el = &a->elements[l->signedness - 1];
        return el->length == 2 && el->value && el->value[l->ds->big_endian ? 1 : 0] == 1;
    }
    return false;
}

static void resolve_us_or_ss(const struct dcm_assembler *a, struct dcm_element *elements, uint32_t n) {
    if (!pixels_are_signed(a)) return;
    for (uint32_t i = 0; i < n; i++) {
        if (elements[i].flags & DCM_VR_US_OR_SS) elements[i].vr = DCM_VR_SS;
    }
}

static bool close_level(struct dcm_assembler *a, struct err *e) {
    struct dcm_level *l = level(a);
    uint32_t n = a->count - l->first;
    struct dcm_element *from = n ? a->elements + l->first : NULL; // of an empty data set there may be no array at all
    if (l->us_or_ss) resolve_us_or_ss(a, from, n);
    if (l->unsorted) n = sort_elements(from, n);
    struct dcm_dataset *ds = l->ds;
    if (a->depth == 0) { // the stack itself becomes the top level's array
        ds->elements = a->elements;
        ds->capacity = a->capacity;
        a->elements = NULL;
        a->capacity = 0;
    } else if (from) {
        ds->elements = arena_alloc(a->arena, n * sizeof *from, e);
        if (!ds->elements) return false;
        memcpy(ds->elements, from, n * sizeof *from);
        ds->capacity = n;
    }
    ds->count = n;
    a->count = l->first;
    if (a->depth) a->depth--;
    return true;
}

// ---- sequences and fragments ----

static bool begin_sequence(struct dcm_assembler *a, const struct dcm_token *t, struct err *e) {
    struct dcm_element *el = push_element(a, t, e);
    if (!el) return false;
    el->vr = DCM_VR_SQ;
    level(a)->first_item = a->item_count;
    level(a)->in_sequence = true;
    return true;
}

static bool begin_item(struct dcm_assembler *a, const struct dcm_token *t, struct err *e) {
    if (a->item_count == a->item_capacity && !grow(a, (void **)&a->items, &a->item_capacity, sizeof(void *), e)) return false;
    if (!open_level(a, t, e)) return false;
    a->items[a->item_count++] = level(a)->ds;
    level(a)->first_item = a->item_count;
    return true;
}

static bool end_sequence(struct dcm_assembler *a, uint64_t offset, struct err *e) {
    struct dcm_element *el = last(a);
    uint32_t from = level(a)->first_item, n = a->item_count - from;
    level(a)->in_sequence = false;
    el->length = offset - el->offset;
    if (n) {
        el->items = arena_alloc(a->arena, dcm_items_capacity(n) * sizeof(void *), e);
        if (!el->items) return false;
        memcpy(el->items, a->items + from, n * sizeof(void *));
        el->item_count = n;
    }
    a->item_count = from;
    return true;
}

static bool begin_fragments(struct dcm_assembler *a, const struct dcm_token *t, struct err *e) {
    struct dcm_element *el = push_element(a, t, e);
    if (!el) return false;
    el->flags |= DCM_FRAGMENTS;
    a->in_fragments = true;
    a->fragments = NULL;
    a->fragment_count = a->fragment_capacity = 0;
    return true;
}

static bool add_fragment(struct dcm_assembler *a, const struct dcm_token *t, struct err *e) {
    if (a->fragment_count >= DCM_FRAGMENTS_MAX) return err_set(e, ERR_TOO_LARGE, "dicom", "more than %d fragments", DCM_FRAGMENTS_MAX);
    if (a->fragment_count == a->fragment_capacity && !grow(a, (void **)&a->fragments, &a->fragment_capacity, sizeof *a->fragments, e)) return false;
    a->fragments[a->fragment_count++] = (struct dcm_fragment){.offset = t->offset, .length = t->length};
    return true;
}

static void end_fragments(struct dcm_assembler *a, uint64_t offset) {
    struct dcm_element *el = last(a);
    el->length = offset - el->offset;
    el->fragments = a->fragments;
    el->item_count = a->fragment_count;
    a->in_fragments = false;
}

// ---- values ----

// Long values go by reference when they are over the bound, or when there is no room for them; short ones must find room or fail.
static bool must_refer(const struct dcm_assembler *a, size_t length) {
    if (length > a->value_max) return true;
    return length > DCM_VALUE_IN_MEMORY_MAX / 16 && (length > DCM_HEADER_BYTES_MAX - a->bytes || length > (a->arena->ceiling - a->arena->used) / 2);
}

// Values of which all bytes are there are taken at once; others are collected run by run.
static bool begin_value(struct dcm_assembler *a, struct dcm_element *el, const uint8_t *p, size_t n, size_t *used, struct err *e) {
    size_t length = (size_t)el->length;
    bool whole = length <= n - *used;
    a->value = NULL;
    if (a->borrow && whole) {
        el->value = length ? p + *used : NULL;
    } else if (!a->borrow && must_refer(a, length)) {
        el->flags |= DCM_BY_REFERENCE;
        whole = false;
    } else if (!a->borrow && length) {
        if (length > (size_t)DCM_HEADER_BYTES_MAX - a->bytes)
            return err_set(e, ERR_TOO_LARGE, "dicom", "more than %d bytes of values apart from bulk data", DCM_HEADER_BYTES_MAX);
        a->bytes += length;
        a->value = arena_alloc(a->arena, length, e);
        if (!a->value) return false;
        el->value = a->value;
        a->value_n = 0;
        if (whole) memcpy(a->value, p + *used, length);
    }
    if (!whole) return true;
    dcm_reader_skip(&a->reader);
    *used += length;
    a->value = NULL;
    return true;
}

enum { FIRST_PIXEL_TAG = 0x7FE00008 };

static bool is_stop(const struct dcm_assembler *a, const struct dcm_token *t) {
    return a->stop_at_pixels && a->depth == 0 && t->tag >= FIRST_PIXEL_TAG && t->kind != DCM_VALUE && t->kind != DCM_ELEMENT_END;
}

static bool begin_element(struct dcm_assembler *a, struct dcm_token *t, const uint8_t *p, size_t n, size_t *used, struct err *e) {
    if (t->vr == DCM_VR_UN && dcm_tag_is_private(t->tag)) know_private(a, t);
    if (t->vr == DCM_VR_SQ) return dcm_reader_enter(&a->reader, e) && begin_sequence(a, t, e);
    struct dcm_element *el = push_element(a, t, e);
    return el && begin_value(a, el, p, n, used, e);
}

static bool take(struct dcm_assembler *a, struct dcm_token *t, const uint8_t *p, size_t n, size_t *used, struct err *e) {
    switch (t->kind) {
    case DCM_ELEMENT_BEGIN:
        return begin_element(a, t, p, n, used, e);
    case DCM_VALUE:
        if (a->value) memcpy(a->value + a->value_n, t->bytes, t->n), a->value_n += t->n;
        return true;
    case DCM_SEQUENCE_BEGIN:
        return begin_sequence(a, t, e);
    case DCM_ITEM_BEGIN:
        return begin_item(a, t, e);
    case DCM_ITEM_END:
        return close_level(a, e);
    case DCM_SEQUENCE_END:
        return end_sequence(a, t->offset, e);
    case DCM_FRAGMENTS_BEGIN:
        return begin_fragments(a, t, e);
    case DCM_FRAGMENT_BEGIN:
        return add_fragment(a, t, e);
    case DCM_FRAGMENTS_END:
        end_fragments(a, t->offset);
        return true;
    case DCM_ELEMENT_END:
        a->value = NULL;
        return true;
    case DCM_FRAGMENT_END:
        return true;
    }
    return true;
}

// ---- the run ----

bool dcm_assembler_begin(struct dcm_assembler *a, const struct dcm_ts *ts, uint64_t offset, struct err *e) {
    dcm_reader_init(&a->reader, ts, offset);
    a->count = a->item_count = a->depth = 0;
    a->in_fragments = false;
    a->value = NULL;
    return open_level(a, NULL, e);
}

static enum dcm_step record_stop(struct dcm_assembler *a, const struct dcm_token *t, struct err *e) {
    struct dcm_element *el = push_element(a, t, e);
    if (!el) return DCM_FAIL;
    el->flags |= DCM_BY_REFERENCE;
    a->reader.value_left = 0; // nothing of it is read: it is not half an element
    return DCM_DONE;
}

enum dcm_step dcm_assembler_run(struct dcm_assembler *a, const uint8_t *p, size_t n, bool final, uint16_t group, size_t *used, struct err *e) {
    *used = 0;
    for (;;) {
        if (group && dcm_reader_between_elements(&a->reader)) {
            if (n - *used < 2) return final ? DCM_DONE : DCM_MORE;
            if ((p[*used] | p[*used + 1] << 8) != group) return DCM_DONE;
        }
        struct dcm_token t;
        size_t taken;
        enum dcm_step step = dcm_reader_next(&a->reader, p + *used, n - *used, final, &taken, &t, e);
        *used += taken;
        if (step != DCM_TOKEN) return step;
        if (is_stop(a, &t)) return record_stop(a, &t, e);
        if (!take(a, &t, p, n, used, e)) return DCM_FAIL;
    }
}

// Drops what was not whole when the stream ended inside it, and closes what is open.
static bool salvage(struct dcm_assembler *a, struct err *e) {
    if (a->in_fragments) {
        if (a->reader.value_left && a->fragment_count) a->fragment_count--;
        end_fragments(a, a->reader.offset);
    } else if (a->reader.value_left && a->count > level(a)->first) {
        a->count--;
    }
    for (;;) {
        if (level(a)->in_sequence && !end_sequence(a, a->reader.offset, e)) return false;
        if (a->depth == 0) return true;
        if (!close_level(a, e)) return false;
    }
}

bool dcm_assembler_finish(struct dcm_assembler *a, struct dcm_dataset **out, struct err *e) {
    if (!a->levels[0].ds) return err_nomem(e, "dicom"); // it could not even be begun
    if (!salvage(a, e)) return false;
    struct dcm_dataset *ds = a->levels[0].ds;
    if (!close_level(a, e)) return false;
    *out = ds;
    return true;
}

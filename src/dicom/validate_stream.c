// What only the bytes show: the order of tags, duplicates, group lengths. One pass by the token reader; values are stepped over, not read.
#include "dicom/validate_part.h"

#include <inttypes.h>

#include "dicom/value.h"
#include "dicom/write.h"

enum { WINDOW_BYTES = 64 * 1024, PIECE_MIN = 64 };

// One open sequence, item or (level 0) the data set.
struct level {
    uint32_t sequence;
    uint32_t items;
    uint32_t last_tag;
    size_t prefix; // to go back to when the item ends
};

struct pass {
    struct dcm_check *c;
    struct dcm_reader reader;
    struct level levels[DCM_DEPTH_MAX + 2];
    unsigned depth;
    uint8_t *window;
    uint64_t window_at; // offset of window[0]
    size_t window_n;
    uint64_t group_end; // by the group length that was read last; 0 when there is none
    uint64_t group_at;  // of that value
    uint16_t group;
    int64_t group_declared;
};

// The bytes from the reader's offset on: at least PIECE_MIN of them unless the source ends.
static bool fill(struct pass *p, const uint8_t **at, size_t *n) {
    const struct dcm_validate_options *o = p->c->options;
    uint64_t offset = p->reader.offset, end = p->window_at + p->window_n;
    if (offset < p->window_at || offset + PIECE_MIN > end) {
        uint64_t left = offset < o->size ? o->size - offset : 0;
        p->window_n = (size_t)(left < WINDOW_BYTES ? left : WINDOW_BYTES);
        p->window_at = offset;
        if (p->window_n && !o->source->read_at(o->source->ctx, offset, p->window, p->window_n, p->c->e)) return false;
    }
    *at = p->window + (offset - p->window_at);
    *n = p->window_n - (size_t)(offset - p->window_at);
    return true;
}

static void check_order(struct pass *p, const struct dcm_token *t) {
    struct level *l = &p->levels[p->depth];
    if (l->last_tag && t->tag == l->last_tag)
        dcm_report(p->c, DCM_SEVERITY_ERROR, "duplicate", t->tag, t->offset, "stands twice");
    else if (t->tag < l->last_tag)
        dcm_report(p->c, DCM_SEVERITY_ERROR, "order", t->tag, t->offset, "stands behind (%04X,%04X): tags shall ascend", DCM_GROUP(l->last_tag),
                   DCM_ELEMENT(l->last_tag));
    if (t->tag > l->last_tag) l->last_tag = t->tag;
}

// start: where the element header begins (or the data set ends).
static void end_group(struct pass *p, uint64_t start) {
    if (p->group_end && p->group_end != start)
        dcm_report(p->c, DCM_SEVERITY_ERROR, "group-length", DCM_TAG(p->group, 0), p->group_at, "says %" PRId64 " bytes; %" PRIu64 " are there",
                   p->group_declared, start - p->group_at - 4);
    p->group_end = 0;
}

static void check_group(struct pass *p, const struct dcm_token *t, uint64_t start) {
    if (p->depth || DCM_GROUP(t->tag) == p->group) return;
    end_group(p, start);
    p->group = DCM_GROUP(t->tag);
    if (DCM_ELEMENT(t->tag) != 0 || t->length != 4) return;
    if (!dcm_i64(p->c->o->dataset, t->tag, 0, &p->group_declared)) return;
    p->group_at = t->offset;
    p->group_end = t->offset + 4 + (uint64_t)p->group_declared;
}

static void open_level(struct pass *p, uint32_t sequence) {
    if (p->depth + 1 >= sizeof p->levels / sizeof *p->levels) return;
    p->levels[++p->depth] = (struct level){.sequence = sequence};
}

static void on_token(struct pass *p, const struct dcm_token *t, uint64_t start) {
    struct level *l = &p->levels[p->depth];
    switch (t->kind) {
    case DCM_ELEMENT_BEGIN:
    case DCM_FRAGMENTS_BEGIN:
    case DCM_SEQUENCE_BEGIN:
        check_order(p, t);
        check_group(p, t, start);
        if (t->kind == DCM_SEQUENCE_BEGIN) open_level(p, t->tag);
        if (t->kind == DCM_ELEMENT_BEGIN) dcm_reader_skip(&p->reader);
        break;
    case DCM_ITEM_BEGIN:
        l->prefix = dcm_check_enter(p->c, l->sequence, l->items++);
        l->last_tag = 0;
        break;
    case DCM_ITEM_END:
        dcm_check_leave(p->c, l->prefix);
        break;
    case DCM_SEQUENCE_END:
        p->depth -= p->depth > 0;
        break;
    default:
        break;
    }
}

static bool run(struct pass *p) {
    for (;;) {
        const uint8_t *at;
        size_t n, used = 0;
        struct dcm_token t;
        struct err ignored; // what cannot be read has been said by the reader of the object
        if (!fill(p, &at, &n)) return false;
        uint64_t start = p->reader.offset;
        bool final = start + n >= p->c->options->size;
        enum dcm_step step = dcm_reader_next(&p->reader, at, n, final, &used, &t, &ignored);
        if (step == DCM_TOKEN) on_token(p, &t, start);
        if (step == DCM_DONE) end_group(p, p->reader.offset);
        if (step == DCM_DONE || step == DCM_FAIL || (step == DCM_MORE && final)) return true;
    }
}

bool dcm_check_stream(struct dcm_check *c) {
    const struct dcm_object *o = c->o;
    uint64_t start = o->ts && o->ts->deflated ? 0 : o->dataset_offset;
    if (!o->ts || start >= c->options->size) return true;
    size_t prefix = c->prefix_n;
    unsigned depth = c->depth;
    struct arena_mark mark = arena_mark(c->scratch);
    struct pass *p = arena_zero(c->scratch, 1, sizeof *p, c->e);
    if (!p || !(p->window = arena_alloc(c->scratch, WINDOW_BYTES, c->e))) return false;
    p->c = c;
    dcm_reader_init(&p->reader, o->ts, start);
    bool ok = run(p);
    arena_rewind(c->scratch, mark);
    c->prefix_n = prefix;
    c->depth = depth;
    return ok;
}

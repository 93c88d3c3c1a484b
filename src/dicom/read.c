// The token reader: PS3.5 chapter 7 as a state machine over whatever bytes are there.
#include "dicom/read.h"

enum state { AT_ELEMENT, AT_VALUE, AT_ITEM, AT_FRAGMENT, AT_FRAGMENT_VALUE };
enum frame_kind { FRAME_SEQUENCE, FRAME_ITEM, FRAME_FRAGMENTS };

// ---- VR codes as they stand in the stream ----

enum vr_form { FORM_ODD, FORM_SHORT, FORM_LONG };
#define AT(a, b) [((a) - 'A') * 26 + ((b) - 'A')]

static const uint8_t vr_forms[26 * 26] = {
    AT('A', 'E') = FORM_SHORT, AT('A', 'S') = FORM_SHORT, AT('A', 'T') = FORM_SHORT, AT('C', 'S') = FORM_SHORT, AT('D', 'A') = FORM_SHORT,
    AT('D', 'S') = FORM_SHORT, AT('D', 'T') = FORM_SHORT, AT('F', 'D') = FORM_SHORT, AT('F', 'L') = FORM_SHORT, AT('I', 'S') = FORM_SHORT,
    AT('L', 'O') = FORM_SHORT, AT('L', 'T') = FORM_SHORT, AT('O', 'B') = FORM_LONG,  AT('O', 'D') = FORM_LONG,  AT('O', 'F') = FORM_LONG,
    AT('O', 'L') = FORM_LONG,  AT('O', 'V') = FORM_LONG,  AT('O', 'W') = FORM_LONG,  AT('P', 'N') = FORM_SHORT, AT('S', 'H') = FORM_SHORT,
    AT('S', 'L') = FORM_SHORT, AT('S', 'Q') = FORM_LONG,  AT('S', 'S') = FORM_SHORT, AT('S', 'T') = FORM_SHORT, AT('S', 'V') = FORM_LONG,
    AT('T', 'M') = FORM_SHORT, AT('U', 'C') = FORM_LONG,  AT('U', 'I') = FORM_SHORT, AT('U', 'L') = FORM_SHORT, AT('U', 'N') = FORM_LONG,
    AT('U', 'R') = FORM_LONG,  AT('U', 'S') = FORM_SHORT, AT('U', 'T') = FORM_LONG,  AT('U', 'V') = FORM_LONG,
};

static bool is_capital(uint8_t c) {
    return (uint8_t)(c - 'A') < 26;
}

static enum vr_form form_of(const uint8_t *p) {
    return is_capital(p[0]) && is_capital(p[1]) ? (enum vr_form)vr_forms[(p[0] - 'A') * 26 + (p[1] - 'A')] : FORM_ODD;
}

// ---- bytes ----

static uint16_t u16(const uint8_t *p, bool big) {
    return (uint16_t)(big ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
}

static uint32_t u32(const uint8_t *p, bool big) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return big == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? v : __builtin_bswap32(v);
}

static uint32_t tag_at(const uint8_t *p, bool big) {
    return (uint32_t)u16(p, big) << 16 | u16(p + 2, big);
}

// ---- frames ----

struct header {
    uint32_t tag;
    uint32_t length;
    uint16_t vr;        // what it is taken for
    uint16_t stream_vr; // what stood there
    uint16_t flags;
    uint8_t size;
};

static enum dcm_step need(struct dcm_reader *r, bool final, size_t n, struct err *e) {
    if (!final) return DCM_MORE;
    r->cut_short = true;
    err_set(e, ERR_BAD_INPUT, "dicom", "cut short at byte %llu: %zu bytes are left where an element header was expected", (unsigned long long)r->offset, n);
    return DCM_FAIL;
}

static bool fail(const struct dcm_reader *r, uint32_t tag, const char *what, struct err *e) {
    return err_set(e, ERR_BAD_INPUT, "dicom", "(%04X,%04X) at byte %llu: %s", DCM_GROUP(tag), DCM_ELEMENT(tag), (unsigned long long)r->offset, what);
}

static bool push(struct dcm_reader *r, enum frame_kind kind, uint32_t tag, uint64_t end, struct err *e) {
    if (kind == FRAME_SEQUENCE && r->sequences >= DCM_DEPTH_MAX)
        return err_set(e, ERR_BAD_INPUT, "dicom", "(%04X,%04X) at byte %llu: sequences are nested deeper than %d", DCM_GROUP(tag), DCM_ELEMENT(tag),
                       (unsigned long long)r->offset, DCM_DEPTH_MAX);
    if (end > r->end) end = r->end; // what holds it decides, whether its own length is undefined or says more
    // The frame keeps what is to be restored when it ends.
    r->stack[r->depth++] = (struct dcm_frame){.end = r->end, .tag = r->tag, .kind = (uint8_t)kind, .implicit = r->implicit, .big_endian = r->big_endian};
    r->end = end;
    r->sequences += kind == FRAME_SEQUENCE;
    return true;
}

static struct dcm_frame *top(struct dcm_reader *r) {
    return &r->stack[r->depth - 1];
}

static void pop(struct dcm_reader *r) {
    const struct dcm_frame *f = &r->stack[--r->depth];
    r->end = f->end;
    r->implicit = f->implicit;
    r->big_endian = f->big_endian;
    r->sequences -= f->kind == FRAME_SEQUENCE;
    r->fresh = false;
    r->state = f->kind == FRAME_ITEM ? AT_ITEM : AT_ELEMENT;
}

static unsigned level(const struct dcm_reader *r) {
    return r->sequences;
}

static enum dcm_step end_frame(struct dcm_reader *r, struct dcm_token *t) {
    static const enum dcm_token_kind kinds[] = {[FRAME_SEQUENCE] = DCM_SEQUENCE_END, [FRAME_ITEM] = DCM_ITEM_END, [FRAME_FRAGMENTS] = DCM_FRAGMENTS_END};
    uint32_t tag = top(r)->tag;
    enum dcm_token_kind kind = kinds[top(r)->kind];
    pop(r);
    *t = (struct dcm_token){.kind = kind, .tag = tag, .offset = r->offset, .depth = level(r)};
    return DCM_TOKEN;
}

void dcm_reader_init(struct dcm_reader *r, const struct dcm_ts *ts, uint64_t offset) {
    memset(r, 0, offsetof(struct dcm_reader, stack));
    r->offset = offset;
    r->end = UINT64_MAX;
    r->state = AT_ELEMENT;
    r->implicit = !ts->explicit_vr;
    r->big_endian = ts->big_endian;
}

bool dcm_reader_between_elements(const struct dcm_reader *r) {
    return r->depth == 0 && r->state == AT_ELEMENT;
}

bool dcm_reader_enter(struct dcm_reader *r, struct err *e) {
    uint64_t end = r->offset + r->value_left;
    r->value_left = 0;
    if (!push(r, FRAME_SEQUENCE, r->tag, end, e)) return false;
    top(r)->unknown = true;
    r->big_endian = r->items_big_endian;
    r->state = AT_ITEM;
    return true;
}

void dcm_reader_skip(struct dcm_reader *r) {
    r->offset += r->value_left;
    r->value_left = 0;
    r->state = AT_ELEMENT;
}

// ---- element headers ----

static bool is_creator(uint32_t tag) {
    return dcm_tag_is_private(tag) && DCM_ELEMENT(tag) >= 0x10 && DCM_ELEMENT(tag) <= 0xFF;
}

// What the dictionary says of an attribute whose VR the stream does not tell. Of OB and OW, PS3.5 A.1 has OW in implicit VR; US and SS are told apart by
// the data set (see dcm_builder).
static uint16_t dictionary_vr(uint32_t tag, uint16_t *flags) {
    const struct dcm_dict_entry *d = dcm_dict_find(tag);
    if (!d) return is_creator(tag) ? DCM_VR_LO : DCM_VR_UN;
    if (d->vr[0] == DCM_VR_US && d->vr[1] == DCM_VR_SS) *flags |= DCM_VR_US_OR_SS;
    if (d->vr[1] == DCM_VR_OW || d->vr[2] == DCM_VR_OW) return DCM_VR_OW;
    return d->vr[0] ? d->vr[0] : DCM_VR_UN;
}

static void implicit_header(const struct dcm_reader *r, const uint8_t *p, struct header *h) {
    h->length = u32(p + 4, r->big_endian);
    h->size = 8;
    h->flags = DCM_VR_FROM_DICTIONARY;
    h->stream_vr = 0;
    h->vr = dictionary_vr(h->tag, &h->flags);
}

// Something that is no VR stands where the VR should be: an implicit VR element in an explicit stream (some writers switch),
// or a VR that nobody knows, whose length is 16 bits unless they are zero and what follows does not look like the next tag.
static enum dcm_step odd_header(const struct dcm_reader *r, const uint8_t *p, size_t n, bool final, struct header *h) {
    bool letters = is_capital(p[4]) && is_capital(p[5]), big = r->big_endian;
    uint16_t high = u16(p + 6, big);
    bool readable = (p[4] >= ' ' && p[4] < 0x7F && p[5] >= ' ' && p[5] < 0x7F) || (p[4] == 0 && p[5] == 0);
    if (!letters && (p[6] == 0xFF || high == 0 || !readable)) {
        implicit_header(r, p, h);
        return DCM_TOKEN;
    }
    h->flags = DCM_VR_ODD | DCM_VR_ODD_SHORT;
    h->vr = DCM_VR_UN;
    h->length = high;
    h->size = 8;
    if (high != 0 || (n < 12 && final)) return DCM_TOKEN;
    if (n < 12) return DCM_MORE;
    uint32_t next = tag_at(p + 8, big);
    if (next > h->tag) return DCM_TOKEN;
    h->flags = DCM_VR_ODD;
    h->length = u32(p + 8, big);
    h->size = 12;
    return DCM_TOKEN;
}

static enum dcm_step explicit_header(const struct dcm_reader *r, const uint8_t *p, size_t n, bool final, struct header *h) {
    h->stream_vr = (uint16_t)(p[4] << 8 | p[5]);
    h->vr = h->stream_vr;
    h->flags = 0;
    switch (form_of(p + 4)) {
    case FORM_SHORT:
        h->length = u16(p + 6, r->big_endian);
        h->size = 8;
        return DCM_TOKEN;
    case FORM_LONG:
        if (n < 12) return DCM_MORE;
        h->length = u32(p + 8, r->big_endian);
        h->size = 12;
        return DCM_TOKEN;
    default:
        return odd_header(r, p, n, final, h);
    }
}

// Items of a sequence that stood as UN are implicit VR little endian (PS3.5 6.2.2), but some writers leave them explicit; and items of explicit sequences
// are implicit now and then. The first element of an item decides for the item.
static void look_at_first_element(struct dcm_reader *r, const uint8_t *p) {
    r->fresh = false;
    bool known = form_of(p + 4) != FORM_ODD, letters = is_capital(p[4]) && is_capital(p[5]);
    bool unknown = r->depth >= 2 && r->stack[r->depth - 2].unknown;
    if (unknown)
        r->implicit = !known;
    else if (!r->implicit && !letters && u16(p + 6, r->big_endian) == 0)
        r->implicit = true;
}

static bool is_pixel_data(uint32_t tag) {
    return tag == DCM_PixelData || tag == DCM_FloatPixelData || tag == DCM_DoubleFloatPixelData;
}

enum item_order { NO_ITEM, ITEM_LE, ITEM_BE };

// Whether an item tag (or the end of a sequence without items) stands there, and in which byte order.
static enum item_order item_at(const uint8_t *p, size_t n) {
    if (n < 4) return NO_ITEM;
    uint32_t le = tag_at(p, false), be = tag_at(p, true);
    if (le == DCM_ITEM || le == DCM_SEQUENCE_DELIMITATION) return ITEM_LE;
    return be == DCM_ITEM || be == DCM_SEQUENCE_DELIMITATION ? ITEM_BE : NO_ITEM;
}

// Elements of undefined length, by VR: O* hold fragments (PS3.5 A.4), SQ and UN (PS3.5 6.2.2) items; anything else with items is a sequence.
static bool holds_fragments(const struct header *h) {
    switch (h->vr) {
    case DCM_VR_OB:
    case DCM_VR_OW:
    case DCM_VR_OD:
    case DCM_VR_OF:
    case DCM_VR_OL:
    case DCM_VR_OV:
        return true;
    default:
        return is_pixel_data(h->tag);
    }
}

// UN whose attribute the dictionary knows is what the dictionary says, as long as the value could have stood in explicit VR with that VR. Its bytes are in
// little endian whatever the stream is (PS3.5 6.2.2): in a big endian one, numbers stay UN.
static void know_better(const struct dcm_reader *r, struct header *h) {
    if (h->length >= 0xFFFF && h->length != DCM_LENGTH_UNDEFINED) return;
    if (DCM_ELEMENT(h->tag) == 0 && DCM_GROUP(h->tag) != 2) return;
    uint16_t vr = dictionary_vr(h->tag, &h->flags);
    if (vr == DCM_VR_UN || (r->big_endian && dcm_vr_find(vr)->unit > 1)) return;
    h->vr = vr;
    h->flags |= DCM_VR_FROM_DICTIONARY;
}

static bool begin_sequence(struct dcm_reader *r, struct header *h, enum item_order order, struct err *e) {
    uint64_t end = h->length == DCM_LENGTH_UNDEFINED ? UINT64_MAX : r->offset + h->length;
    if (!push(r, FRAME_SEQUENCE, h->tag, end, e)) return false;
    if (h->stream_vr == DCM_VR_UN) {
        top(r)->unknown = true;
        r->implicit = true;
        r->big_endian = order == ITEM_BE;
    }
    h->vr = DCM_VR_SQ;
    r->state = AT_ITEM;
    return true;
}

static bool begin_value(struct dcm_reader *r, const struct header *h, struct err *e) {
    if (h->length > r->end - r->offset) {
        return err_set(e, ERR_BAD_INPUT, "dicom", "(%04X,%04X) at byte %llu: its %u bytes are more than the %llu that are left in its item", DCM_GROUP(h->tag),
                       DCM_ELEMENT(h->tag), (unsigned long long)r->offset, h->length, (unsigned long long)(r->end - r->offset));
    }
    r->value_left = h->length;
    r->state = AT_VALUE;
    return true;
}

static bool stood_unknown(const struct header *h) {
    return h->stream_vr == DCM_VR_UN || (h->flags & DCM_VR_ODD);
}

static enum dcm_token_kind kind_of(const struct header *h, enum item_order order) {
    if (h->length == DCM_LENGTH_UNDEFINED) return holds_fragments(h) ? DCM_FRAGMENTS_BEGIN : DCM_SEQUENCE_BEGIN;
    if (h->vr != DCM_VR_SQ) return DCM_ELEMENT_BEGIN;
    bool guessed = stood_unknown(h) || (h->flags & DCM_VR_FROM_DICTIONARY); // attributes that were made sequences later, or retired ones
    return guessed && order == NO_ITEM && h->length > 0 ? DCM_ELEMENT_BEGIN : DCM_SEQUENCE_BEGIN;
}

// Elements for which the first four bytes of the value decide how it is read.
static bool wants_look_ahead(const struct header *h) {
    if (h->length == DCM_LENGTH_UNDEFINED || h->vr == DCM_VR_SQ) return true;
    return h->vr == DCM_VR_UN && dcm_tag_is_private(h->tag);
}

static bool begin(struct dcm_reader *r, enum dcm_token_kind kind, struct header *h, enum item_order order, struct err *e) {
    if (kind == DCM_SEQUENCE_BEGIN) return begin_sequence(r, h, order, e);
    if (kind == DCM_ELEMENT_BEGIN) return begin_value(r, h, e);
    h->flags |= DCM_FRAGMENTS;
    if (h->flags & DCM_VR_FROM_DICTIONARY) h->vr = DCM_VR_OB; // PS3.5 A.4
    r->state = AT_FRAGMENT;
    return push(r, FRAME_FRAGMENTS, h->tag, UINT64_MAX, e);
}

static bool count_element(struct dcm_reader *r, struct err *e) {
    if (++r->elements <= DCM_ELEMENTS_MAX) return true;
    return err_set(e, ERR_TOO_LARGE, "dicom", "more than %d elements and items in one data set", DCM_ELEMENTS_MAX);
}

static enum dcm_step begin_element(struct dcm_reader *r, struct header *h, const uint8_t *p, size_t n, bool final, size_t *used, struct dcm_token *t,
                                   struct err *e) {
    if (stood_unknown(h)) know_better(r, h);
    enum dcm_token_kind kind = DCM_ELEMENT_BEGIN;
    enum item_order order = NO_ITEM;
    if (wants_look_ahead(h)) {
        if (n < h->size + 4u && h->length >= 4 && !final) return DCM_MORE;
        if (h->length >= 4) order = item_at(p + h->size, n - h->size);
        kind = kind_of(h, order);
        if (kind == DCM_ELEMENT_BEGIN && h->vr == DCM_VR_SQ) h->vr = DCM_VR_UN; // no item: the dictionary does not know better
    }
    if (!count_element(r, e)) return DCM_FAIL;
    if (h->length == DCM_LENGTH_UNDEFINED) h->flags |= DCM_UNDEFINED_LENGTH;
    unsigned depth = level(r);
    r->tag = h->tag;
    r->offset += h->size;
    *used += h->size;
    if (!begin(r, kind, h, order, e)) return DCM_FAIL;
    r->items_big_endian = order == ITEM_BE;
    r->vr = h->vr;
    *t = (struct dcm_token){.kind = kind,
                            .tag = h->tag,
                            .vr = h->vr,
                            .flags = h->flags,
                            .stream_vr = h->stream_vr,
                            .length = h->length,
                            .offset = r->offset,
                            .depth = depth,
                            .item_follows = order == ITEM_LE};
    return DCM_TOKEN;
}

// ---- states ----

// The stream may end here: at the top level, with nothing left but zeros.
static enum dcm_step end_of_stream(struct dcm_reader *r, const uint8_t *p, size_t n, bool final, size_t *used, struct err *e) {
    if (!final) return DCM_MORE;
    bool zeros = r->depth == 0;
    for (size_t i = 0; zeros && i < n; i++) zeros = p[i] == 0;
    if (!zeros) return need(r, final, n, e);
    *used = n;
    return DCM_DONE;
}

enum delimiter_result { NOT_A_DELIMITER, SKIPPED, ENDED, BROKEN };

// FFFE tags where an element was expected. Strays at the top level and delimiters of items of defined length are taken in stride, as others do.
static enum delimiter_result at_delimiter(struct dcm_reader *r, uint32_t tag, size_t *used, struct dcm_token *t, struct err *e) {
    if (DCM_GROUP(tag) != 0xFFFE) return NOT_A_DELIMITER;
    if (tag == DCM_ITEM_DELIMITATION || tag == DCM_SEQUENCE_DELIMITATION) {
        if (r->depth && tag == DCM_SEQUENCE_DELIMITATION) { // the item's own delimiter is missing: the sequence's will be read again
            end_frame(r, t);
            return ENDED;
        }
        r->offset += 8;
        *used += 8;
        if (r->depth == 0) return SKIPPED;
        end_frame(r, t);
        return ENDED;
    }
    fail(r, tag, "an item outside a sequence", e);
    return BROKEN;
}

static enum dcm_step at_element(struct dcm_reader *r, const uint8_t *p, size_t n, bool final, size_t *used, struct dcm_token *t, struct err *e) {
    for (;;) {
        if (r->offset >= r->end) return end_frame(r, t);
        const uint8_t *at = p + *used;
        size_t left = n - *used;
        if (left < 8) return end_of_stream(r, at, left, final, used, e);
        struct header h = {.tag = tag_at(at, r->big_endian)};
        enum delimiter_result d = at_delimiter(r, h.tag, used, t, e);
        if (d == SKIPPED) continue;
        if (d != NOT_A_DELIMITER) return d == ENDED ? DCM_TOKEN : DCM_FAIL;
        if (r->fresh) look_at_first_element(r, at);
        enum dcm_step step = DCM_TOKEN;
        if (r->implicit)
            implicit_header(r, at, &h);
        else
            step = explicit_header(r, at, left, final, &h);
        if (step == DCM_MORE) return need(r, final, left, e);
        // Zeros after the last element are padding, not elements of group 0.
        if (h.tag == 0 && h.length == 0 && r->depth == 0 && r->last_tag) {
            r->offset += h.size;
            *used += h.size;
            continue;
        }
        if (r->depth == 0) r->last_tag = h.tag;
        return begin_element(r, &h, at, left, final, used, t, e);
    }
}

static enum dcm_step begin_item(struct dcm_reader *r, uint32_t length, size_t *used, struct dcm_token *t, struct err *e) {
    r->offset += 8;
    *used += 8;
    if (!count_element(r, e)) return DCM_FAIL;
    uint32_t tag = top(r)->tag;
    unsigned depth = level(r);
    if (!push(r, FRAME_ITEM, DCM_ITEM, length == DCM_LENGTH_UNDEFINED ? UINT64_MAX : r->offset + length, e)) return DCM_FAIL;
    top(r)->tag = tag;
    r->state = AT_ELEMENT;
    r->fresh = true;
    uint16_t flags = length == DCM_LENGTH_UNDEFINED ? DCM_UNDEFINED_LENGTH : 0;
    *t = (struct dcm_token){.kind = DCM_ITEM_BEGIN, .tag = tag, .flags = flags, .length = length, .offset = r->offset, .depth = depth};
    return DCM_TOKEN;
}

static enum dcm_step at_item(struct dcm_reader *r, const uint8_t *p, size_t n, bool final, size_t *used, struct dcm_token *t, struct err *e) {
    for (;;) {
        if (r->offset >= r->end) return end_frame(r, t);
        if (n - *used < 8) return need(r, final, n - *used, e);
        uint32_t tag = tag_at(p + *used, r->big_endian), length = u32(p + *used + 4, r->big_endian);
        if (tag == DCM_ITEM) return begin_item(r, length, used, t, e);
        if (tag != DCM_SEQUENCE_DELIMITATION && tag != DCM_ITEM_DELIMITATION) {
            fail(r, tag, "an item was expected", e);
            return DCM_FAIL;
        }
        r->offset += 8;
        *used += 8;
        if (tag == DCM_SEQUENCE_DELIMITATION) return end_frame(r, t);
    }
}

static enum dcm_step at_fragment(struct dcm_reader *r, const uint8_t *p, size_t n, bool final, size_t *used, struct dcm_token *t, struct err *e) {
    if (r->end - r->offset < 8) return end_frame(r, t);
    if (n < 8) return need(r, final, n, e);
    uint32_t tag = tag_at(p, r->big_endian), length = u32(p + 4, r->big_endian);
    if (tag != DCM_ITEM && tag != DCM_SEQUENCE_DELIMITATION) {
        fail(r, tag, "a fragment or the sequence delimiter was expected in a value of undefined length", e);
        return DCM_FAIL;
    }
    if (tag == DCM_ITEM && length > r->end - r->offset - 8) {
        fail(r, tag, "a fragment goes beyond the end of what holds it", e);
        return DCM_FAIL;
    }
    if (tag == DCM_ITEM && length == DCM_LENGTH_UNDEFINED) {
        fail(r, tag, "a fragment of undefined length", e);
        return DCM_FAIL;
    }
    r->offset += 8;
    *used += 8;
    if (tag == DCM_SEQUENCE_DELIMITATION) return end_frame(r, t);
    r->value_left = length;
    r->state = AT_FRAGMENT_VALUE;
    *t = (struct dcm_token){.kind = DCM_FRAGMENT_BEGIN, .tag = top(r)->tag, .length = length, .offset = r->offset, .depth = level(r)};
    return DCM_TOKEN;
}

static enum dcm_step at_value(struct dcm_reader *r, const uint8_t *p, size_t n, bool final, size_t *used, struct dcm_token *t, struct err *e) {
    bool fragment = r->state == AT_FRAGMENT_VALUE;
    *t = (struct dcm_token){.kind = DCM_VALUE, .tag = fragment ? top(r)->tag : r->tag, .vr = r->vr, .offset = r->offset, .depth = level(r)};
    if (r->value_left == 0) {
        t->kind = fragment ? DCM_FRAGMENT_END : DCM_ELEMENT_END;
        r->state = fragment ? AT_FRAGMENT : AT_ELEMENT;
        return DCM_TOKEN;
    }
    if (n == 0) {
        if (!final) return DCM_MORE;
        r->cut_short = true;
        err_set(e, ERR_BAD_INPUT, "dicom", "cut short at byte %llu: %llu bytes of (%04X,%04X) are missing", (unsigned long long)r->offset,
                (unsigned long long)r->value_left, DCM_GROUP(t->tag), DCM_ELEMENT(t->tag));
        return DCM_FAIL;
    }
    t->bytes = p;
    t->n = n < r->value_left ? n : (size_t)r->value_left;
    r->value_left -= t->n;
    r->offset += t->n;
    *used = t->n;
    return DCM_TOKEN;
}

enum dcm_step dcm_reader_next(struct dcm_reader *r, const uint8_t *p, size_t n, bool final, size_t *used, struct dcm_token *t, struct err *e) {
    *used = 0;
    switch (r->state) {
    case AT_ELEMENT:
        return at_element(r, p, n, final, used, t, e);
    case AT_ITEM:
        return at_item(r, p, n, final, used, t, e);
    case AT_FRAGMENT:
        return at_fragment(r, p, n, final, used, t, e);
    default:
        return at_value(r, p, n, final, used, t, e);
    }
}

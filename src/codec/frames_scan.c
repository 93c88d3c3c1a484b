// Frame tables of objects that stream by: the items of the pixel data are followed, and the first bytes of each are looked at.
#include <stdlib.h>

#include "base/limits.h"
#include "codec/frames_find.h"

enum state { AT_ITEM, IN_TABLE, IN_FRAGMENT, AT_END, BROKEN };
enum { ITEM_HEADER_BYTES = 8 };

struct codec_scan {
    enum state state;
    bool odd_header, have_table;
    uint64_t offset;                 // of the next byte
    uint32_t length, left;           // of the item
    uint8_t head[FRAMES_HEAD_BYTES]; // of the item's header, then of the fragment's value
    size_t head_n;
    struct buf pieces, basic;
    struct buf extended, extended_lengths; // copies: the header does not live as long
    uint64_t frames;
    bool video;
};

static void copy_table(const struct dcm_dataset *header, uint32_t tag, uint64_t frames, struct buf *to) {
    const struct dcm_element *el = dcm_find(header, tag);
    buf_init(to, (size_t)DCM_FRAGMENTS_MAX * 8);
    if (el && el->value && el->length == frames * 8 && !(el->flags & DCM_FRAGMENTS)) buf_add(to, el->value, (size_t)el->length);
}

struct codec_scan *codec_scan_new(const struct dcm_dataset *header, const struct dcm_ts *ts, uint64_t offset, struct err *e) {
    struct codec_scan *s = calloc(1, sizeof *s);
    if (!s) {
        err_nomem(e, "codec");
        return NULL;
    }
    s->offset = offset;
    s->video = ts && ts->video;
    s->odd_header = !frames_declared(header, &s->frames, NULL);
    buf_init(&s->pieces, (size_t)DCM_FRAGMENTS_MAX * sizeof(struct frames_piece));
    buf_init(&s->basic, (size_t)DCM_FRAGMENTS_MAX * 4);
    copy_table(header, DCM_ExtendedOffsetTable, s->frames, &s->extended);
    copy_table(header, DCM_ExtendedOffsetTableLengths, s->frames, &s->extended_lengths);
    return s;
}

void codec_scan_free(struct codec_scan *s) {
    if (!s) return;
    buf_deinit(&s->pieces);
    buf_deinit(&s->basic);
    buf_deinit(&s->extended);
    buf_deinit(&s->extended_lengths);
    free(s);
}

static uint32_t u32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

// Up to `wanted` bytes of the head.
static size_t take_head(struct codec_scan *s, size_t wanted, const uint8_t *p, size_t n) {
    size_t part = wanted - s->head_n < n ? wanted - s->head_n : n;
    memcpy(s->head + s->head_n, p, part);
    s->head_n += part;
    return part;
}

static void end_item(struct codec_scan *s) {
    if (s->state == IN_FRAGMENT) {
        struct frames_piece piece = {s->offset - s->length, s->length, frames_start_of(s->head, s->head_n)};
        buf_add(&s->pieces, &piece, sizeof piece);
    }
    s->head_n = 0;
    s->state = AT_ITEM;
}

static void begin_item(struct codec_scan *s) {
    uint32_t tag = (u32(s->head) & 0xFFFF) << 16 | u32(s->head) >> 16;
    s->left = s->length = u32(s->head + 4);
    s->head_n = 0;
    s->state = s->have_table ? IN_FRAGMENT : IN_TABLE;
    s->have_table = true;
    if (tag == DCM_SEQUENCE_DELIMITATION)
        s->state = AT_END;
    else if (tag != DCM_ITEM || s->left == UINT32_MAX)
        s->state = BROKEN;
    else if (s->left == 0)
        end_item(s);
}

static size_t feed_item_header(struct codec_scan *s, const uint8_t *p, size_t n) {
    size_t used = take_head(s, ITEM_HEADER_BYTES, p, n);
    s->offset += used;
    if (s->head_n == ITEM_HEADER_BYTES) begin_item(s);
    return used;
}

static size_t feed_value(struct codec_scan *s, const uint8_t *p, size_t n) {
    size_t part = n < s->left ? n : s->left;
    if (s->state == IN_FRAGMENT)
        take_head(s, sizeof s->head, p, part);
    else if (s->length == s->frames * 4) // a table of another size is of no use
        buf_add(&s->basic, p, part);
    s->left -= (uint32_t)part;
    s->offset += part;
    if (s->left == 0) end_item(s);
    return part;
}

void codec_scan_feed(struct codec_scan *s, const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    while (n && s->state < AT_END) {
        size_t used = s->state == AT_ITEM ? feed_item_header(s, p, n) : feed_value(s, p, n);
        p += used;
        n -= used;
    }
}

static bool check(const struct codec_scan *s, struct err *e) {
    if (s->odd_header) return err_set(e, ERR_UNDECODABLE, "codec", "Number of Frames is no number from 1 to %d", INT32_MAX);
    if (s->pieces.failed == ERR_TOO_LARGE) return err_set(e, ERR_UNDECODABLE, "codec", "the pixel data has more than %d fragments", DCM_FRAGMENTS_MAX);
    if (!buf_ok(&s->pieces, e) || !buf_ok(&s->basic, e) || !buf_ok(&s->extended, e) || !buf_ok(&s->extended_lengths, e)) return false;
    if (s->state == BROKEN)
        return err_set(e, ERR_UNDECODABLE, "codec", "at byte %llu of the pixel data's object no item begins", (unsigned long long)s->offset);
    if (s->state == IN_TABLE || s->state == IN_FRAGMENT)
        return err_set(e, ERR_UNDECODABLE, "codec", "the last item of the pixel data declares %u bytes, %u are missing", s->length, s->left);
    return true;
}

bool codec_scan_end(struct codec_scan *s, struct arena *a, struct codec_frames *out, struct err *e) {
    struct frames_find f = {.pieces = (struct frames_piece *)(void *)s->pieces.p,
                            .count = (uint32_t)(s->pieces.n / sizeof(struct frames_piece)),
                            .frames = s->frames,
                            .video = s->video,
                            .basic = buf_str(&s->basic),
                            .extended = buf_str(&s->extended),
                            .extended_lengths = buf_str(&s->extended_lengths)};
    return check(s, e) && frames_find(a, &f, out, e);
}

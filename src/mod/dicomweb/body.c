// Bodies of known places: reading them at any position, and answering with them.
#include "mod/dicomweb/body.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "dicom/value.h"
#include "http/condition.h"
#include "http/range.h"
#include "sys/sums.h"

enum {
    SWAP_BLOCK = 4096,
    FILE_MIN = 16 * 1024,
    FILE_MAX = 16 * 1024 * 1024, // larger ones are checked as they go, so that their first byte does not wait for the last
};

bool dw_body_init(struct dw_body *b, struct arena *a, struct archive *ar, size_t pieces, struct err *e) {
    *b = (struct dw_body){.arena = a, .archive = ar, .cap = pieces, .fd = -1};
    b->pieces = arena_zero(a, pieces, sizeof *b->pieces, e);
    b->ends = b->pieces ? arena_zero(a, pieces, sizeof *b->ends, e) : NULL;
    return b->ends;
}

void dw_body_add(struct dw_body *b, const struct dw_piece *piece) {
    if (piece->length == 0 || b->count == b->cap) return;
    b->length += piece->length;
    b->pieces[b->count] = *piece;
    b->ends[b->count++] = b->length;
}

void dw_body_text(struct dw_body *b, struct str borrowed) {
    dw_body_add(b, &(struct dw_piece){.kind = DW_TEXT, .text = borrowed.p, .length = borrowed.n});
}

bool dw_body_printf(struct dw_body *b, struct err *e, const char *format, ...) {
    char line[1024];
    struct str text;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof line) return err_set(e, ERR_INTERNAL, "dicomweb", "a part's header is too long");
    if (!arena_dup(b->arena, (struct str){line, (size_t)n}, &text, e)) return false;
    dw_body_text(b, text);
    return true;
}

void dw_body_object(struct dw_body *b, const struct instance_ref *ref, uint64_t offset, uint64_t length) {
    dw_body_add(b, &(struct dw_piece){.kind = DW_OBJECT, .ref = ref, .offset = offset, .length = length});
}

void dw_body_deinit(struct dw_body *b) {
    if (b->fd >= 0) vol_fd_release(archive_volumes(b->archive), b->fd_volume, b->fd);
    b->fd = -1;
    if (b->end) b->end(b->context);
    b->end = NULL;
}

// ---- reading ----

static size_t find_piece(struct dw_body *b, uint64_t position) {
    size_t low = 0, high = b->count;
    bool here = b->at < b->count && position < b->ends[b->at] && position >= b->ends[b->at] - b->pieces[b->at].length;
    if (here) return b->at;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b->ends[middle] <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return b->at = low;
}

static bool holds(const struct dw_block *h, const struct instance_ref *ref, uint64_t from) {
    return h->of == ref && from >= h->from && from - h->from < h->length;
}

static bool hold(struct dw_body *b, const struct instance_ref *ref, uint64_t from, struct err *e) {
    struct dw_block *h = &b->held;
    uint64_t left = ref->loc.length - from;
    if (!h->bytes) h->bytes = arena_alloc(b->arena, RETRIEVE_BLOCK_BYTES, e);
    h->of = NULL;
    h->from = from;
    h->length = left < RETRIEVE_BLOCK_BYTES ? (size_t)left : RETRIEVE_BLOCK_BYTES;
    if (!h->bytes || !retrieve_read(b->archive, ref, from, h->bytes, h->length, e)) return false;
    h->of = ref;
    return true;
}

// Blocks are read, decrypted and checked whole. Where some bytes of one are wanted the others are wanted next: it is held until then, and read once.
static bool read_object(struct dw_body *b, const struct instance_ref *ref, uint64_t from, char *p, size_t n, struct err *e) {
    if (from > ref->loc.length || n > ref->loc.length - from) return err_set(e, ERR_BAD_INPUT, "dicomweb", "read past the end of an object");
    for (size_t take; n > 0; from += take, p += take, n -= take) {
        size_t skip = (size_t)(from % RETRIEVE_BLOCK_BYTES), whole = n == ref->loc.length - from ? n : n - n % RETRIEVE_BLOCK_BYTES;
        if (!holds(&b->held, ref, from) && skip == 0 && whole) {
            take = whole;
            if (!retrieve_read(b->archive, ref, from, p, whole, e)) return false;
            continue;
        }
        if (!holds(&b->held, ref, from) && !hold(b, ref, from - skip, e)) return false;
        take = b->held.length - skip < n ? b->held.length - skip : n;
        memcpy(p, b->held.bytes + skip, take);
    }
    return true;
}

static bool read_plain(struct dw_body *b, const struct dw_piece *piece, uint64_t from, char *p, size_t n, struct err *e) {
    switch (piece->kind) {
    case DW_TEXT:
        memcpy(p, piece->text + from, n);
        return true;
    case DW_OBJECT:
        return read_object(b, piece->ref, piece->offset + from, p, n, e);
    case DW_SOURCE:
        return piece->source->read_at(piece->source->ctx, piece->offset + from, p, n, e);
    case DW_WINDOW:
        return dw_body_read(piece->body, piece->offset + from, p, n, e);
    case DW_MADE:
        break;
    }
    char made[DW_MADE_MAX];
    if (!piece->make(b, (size_t)(piece - b->pieces), made, (size_t)piece->length, e)) return false;
    memcpy(p, made + from, n);
    return true;
}

// Whole units are read around what is wanted.
static bool read_swapped(struct dw_body *b, const struct dw_piece *piece, uint64_t from, char *p, size_t n, struct err *e) {
    char block[SWAP_BLOCK];
    while (n > 0) {
        size_t lead = (size_t)(from % piece->swap);
        uint64_t begin = from - lead, left = piece->length - begin;
        size_t take = left < SWAP_BLOCK ? (size_t)left : SWAP_BLOCK;
        if (!read_plain(b, piece, begin, block, take, e)) return false;
        dcm_value_swap((uint8_t *)block, take, piece->swap);
        size_t got = take - lead < n ? take - lead : n;
        memcpy(p, block + lead, got);
        p += got, from += got, n -= got;
    }
    return true;
}

bool dw_body_read(struct dw_body *b, uint64_t position, void *p, size_t n, struct err *e) {
    char *to = p;
    if (position > b->length || n > b->length - position) return err_set(e, ERR_INTERNAL, "dicomweb", "a read beyond the body");
    while (n > 0) {
        size_t at = find_piece(b, position);
        const struct dw_piece *piece = &b->pieces[at];
        uint64_t from = position - (b->ends[at] - piece->length), left = piece->length - from;
        size_t take = left < n ? (size_t)left : n;
        if (!(piece->swap > 1 ? read_swapped : read_plain)(b, piece, from, to, take, e)) return false;
        to += take, position += take, n -= take;
    }
    return true;
}

bool dw_body_probe(struct dw_body *b, uint64_t from, uint64_t length, struct err *e) {
    uint64_t position = from;
    char first;
    while (position < from + length) {
        size_t at = find_piece(b, position);
        if (b->pieces[at].kind != DW_TEXT) return dw_body_read(b, position, &first, 1, e);
        position = b->ends[at];
    }
    return true;
}

bool dw_stored_err(struct err *e) {
    if (e && e->kind == ERR_BAD_INPUT) e->kind = ERR_UNDECODABLE;
    return false;
}

// ---- versions ----

bool dw_version_of(const struct instance_list *list, const char *form, struct dw_version *out, struct err *e) {
    struct digest d = {0};
    *out = (struct dw_version){0};
    if (!digest_init(&d, e)) return false;
    digest_add(&d, form, strlen(form));
    for (size_t i = 0; i < list->count; i++) {
        digest_add(&d, list->refs[i].digest, sizeof list->refs[i].digest);
        if (list->refs[i].received_ms > out->changed_ms) out->changed_ms = list->refs[i].received_ms;
    }
    bool ok = digest_final(&d, out->digest, e);
    digest_deinit(&d);
    return ok;
}

void dw_boundary_of(const struct dw_version *v, char out[DW_BOUNDARY]) {
    memcpy(out, "g-", 2);
    hex_encode(v->digest, 16, out + 2);
    out[DW_BOUNDARY - 1] = '\0';
}

// ---- conditions (RFC 9110 13) ----

struct validators {
    char etag[36];
    char date[HTTP_DATE_BYTES];
};

static void make_validators(const struct dw_version *v, struct validators *out) {
    *out = (struct validators){.etag = "\""};
    hex_encode(v->digest, 16, out->etag + 1);
    out->etag[33] = '"';
    if (v->changed_ms > 0) http_date_format(v->changed_ms / 1000, out->date);
}

static bool unmodified_since(struct str header, const struct dw_version *v) {
    int64_t since;
    return header.p && v->changed_ms > 0 && http_date_parse(header, &since) && v->changed_ms / 1000 <= since;
}

// The status that the conditions ask for: 0 (go on), 304 or 412, in the order of RFC 9110 13.2.2.
static unsigned conditions(const struct http_request *rq, const struct dw_version *v, const struct validators *validators) {
    struct str match = http_header(rq, "If-Match"), none_match = http_header(rq, "If-None-Match");
    struct str etag = str_of(validators->etag), since = http_header(rq, "If-Unmodified-Since");
    int64_t date;
    if (match.p && !http_etag_listed(match, etag, false)) return 412;
    if (!match.p && since.p && http_date_parse(since, &date) && !unmodified_since(since, v)) return 412;
    if (none_match.p) return http_etag_listed(none_match, etag, true) ? 304 : 0;
    return unmodified_since(http_header(rq, "If-Modified-Since"), v) ? 304 : 0;
}

// If-Range holds the very ETag or the very date (RFC 9110 13.1.5); else the whole is sent.
static bool if_range_holds(const struct http_request *rq, const struct validators *validators) {
    struct str header = str_trim(http_header(rq, "If-Range"));
    return !header.p || str_eqz(header, validators->etag) || (validators->date[0] && str_eqz(header, validators->date));
}

// ---- answering ----

struct sending {
    struct dw_body *body;
    uint64_t from, length;
};

// As many of n bytes that a read ends where a block of an object does: the next one begins there, and no block is read and checked twice.
static size_t to_block(struct dw_body *b, uint64_t position, size_t n) {
    uint64_t end = position + n;
    if (n == 0 || end == b->length) return n;
    size_t at = find_piece(b, end - 1);
    const struct dw_piece *piece = &b->pieces[at];
    uint64_t begin = b->ends[at] - piece->length, over = (piece->offset + end - begin) % SUMS_BLOCK_BYTES;
    if (piece->kind != DW_OBJECT || piece->swap > 1 || end == b->ends[at] || over >= n || end - over <= begin) return n;
    return n - (size_t)over;
}

static int64_t generate(void *context, uint64_t position, void *p, size_t n) {
    struct sending *s = context;
    struct err e = {0};
    uint64_t left = position < s->length ? s->length - position : 0;
    size_t take = to_block(s->body, s->from + position, left < n ? (size_t)left : n);
    if (dw_body_read(s->body, s->from + position, p, take, &e)) return (int64_t)take;
    log_err(&e, "an answer is cut off at byte %llu of %llu", (unsigned long long)position, (unsigned long long)s->length);
    return -1; // the connection is cut: nobody takes a part for the whole
}

static void end_sending(void *context) {
    struct sending *s = context;
    dw_body_deinit(s->body);
}

// Page cache to socket: what lies in one stored object as it goes out, once it was found to be what was stored.
static bool send_file(struct http_response *rs, unsigned status, const char *type, struct dw_body *b, uint64_t from, uint64_t length, bool *sent,
                      struct err *e) {
    const struct dw_piece *piece = &b->pieces[find_piece(b, from)];
    struct vol_loc place;
    int fd;
    *sent = false;
    if (piece->kind != DW_OBJECT || piece->swap > 1 || length > b->ends[b->at] - from) return true;
    uint64_t at = piece->offset + from - (b->ends[b->at] - piece->length);
    struct err why = {0};
    if (!retrieve_fd(b->archive, piece->ref, at, length, &place, &fd, &why)) {
        if (why.kind == ERR_UNSUPPORTED) return true; // encrypted: read as it goes
        *e = why;
        return false;
    }
    int own = dup(fd);
    vol_fd_release(archive_volumes(b->archive), place.volume, fd);
    if (own < 0) return err_errno(e, ERR_IO, "dicomweb", "open the object");
    http_reply_file(rs, status, type, own, place.offset, length);
    dw_body_deinit(b);
    return *sent = true;
}

static bool send_window(struct http_request *rq, struct http_response *rs, unsigned status, const char *type, struct dw_body *b, uint64_t from, uint64_t length,
                        struct err *e) {
    struct sending *s = arena_zero(rq->arena, 1, sizeof *s, e);
    bool sent = false;
    if (s && !rq->head && length >= FILE_MIN && length <= FILE_MAX && !send_file(rs, status, type, b, from, length, &sent, e)) {
        dw_body_deinit(b);
        return false;
    }
    if (sent) return true;
    if (!s || (!rq->head && !dw_body_probe(b, from, length, e))) {
        dw_body_deinit(b);
        return false;
    }
    *s = (struct sending){b, from, length};
    http_reply_stream(rs, status, type, (int64_t)length, generate, s, end_sending);
    return true;
}

static bool send_ranges(struct http_request *rq, struct http_response *rs, struct dw_body *b, const char *type, const struct dw_version *v,
                        const struct http_range *ranges, unsigned n, struct err *e) {
    unsigned long long whole = (unsigned long long)b->length;
    if (n == 1) {
        char *text = arena_printf(rq->arena, e, "bytes %llu-%llu/%llu", (unsigned long long)ranges[0].from,
                                  (unsigned long long)(ranges[0].from + ranges[0].length - 1), whole);
        if (!text) return false;
        http_setz(rs, "Content-Range", text);
        return send_window(rq, rs, 206, type, b, ranges[0].from, ranges[0].length, e);
    }
    struct dw_body *outer = arena_zero(rq->arena, 1, sizeof *outer, e);
    char boundary[DW_BOUNDARY];
    dw_boundary_of(v, boundary);
    boundary[0] = 'r'; // not the one that may stand inside
    char *outer_type = arena_printf(rq->arena, e, "multipart/byteranges; boundary=%s", boundary);
    if (!outer || !outer_type || !dw_body_init(outer, rq->arena, b->archive, 2 * (size_t)n + 1, e)) return false;
    for (unsigned i = 0; i < n; i++) {
        if (!dw_body_printf(outer, e, "%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %llu-%llu/%llu\r\n\r\n", i ? "\r\n" : "", boundary, type,
                            (unsigned long long)ranges[i].from, (unsigned long long)(ranges[i].from + ranges[i].length - 1), whole))
            return false;
        dw_body_add(outer, &(struct dw_piece){.kind = DW_WINDOW, .body = b, .offset = ranges[i].from, .length = ranges[i].length});
    }
    if (!dw_body_printf(outer, e, "\r\n--%s--\r\n", boundary)) return false;
    outer->context = b->context;
    outer->end = b->end;
    b->end = NULL;
    return send_window(rq, rs, 206, outer_type, outer, 0, outer->length, e);
}

static bool reply_range(struct http_request *rq, struct http_response *rs, struct dw_body *b, const char *type, const struct dw_version *v, struct err *e) {
    struct http_range *ranges = arena_alloc(rq->arena, HTTP_RANGES_MAX * sizeof *ranges, e);
    unsigned n;
    if (!ranges) return false;
    enum http_range_kind kind = http_range_parse(http_header(rq, "Range"), b->length, ranges, &n);
    if (kind == HTTP_RANGE_SOME) return send_ranges(rq, rs, b, type, v, ranges, n, e);
    if (kind == HTTP_RANGE_WHOLE) return send_window(rq, rs, 200, type, b, 0, b->length, e);
    char *text = arena_printf(rq->arena, e, "bytes */%llu", (unsigned long long)b->length);
    struct err outside = {0};
    (void)err_set(&outside, ERR_USAGE, "dicomweb", "the range lies beyond the %llu bytes that there are", (unsigned long long)b->length);
    if (!text) return false;
    dw_body_deinit(b);
    http_reply_problem(rq, rs, 416, &outside);
    http_setz(rs, "Content-Range", text);
    return true;
}

static bool set_validators(struct http_request *rq, struct http_response *rs, const struct dw_version *v, struct validators **out, struct err *e) {
    struct validators *validators = arena_zero(rq->arena, 1, sizeof *validators, e);
    if (!validators) return false;
    make_validators(v, validators);
    http_setz(rs, "ETag", validators->etag);
    if (validators->date[0]) http_setz(rs, "Last-Modified", validators->date);
    http_setz(rs, "Cache-Control", "private, no-cache"); // kept, but asked for again: who may see it can change
    *out = validators;
    return true;
}

bool dw_conditions(struct http_request *rq, struct http_response *rs, const struct dw_version *v, bool *done, struct err *e) {
    struct validators *validators;
    struct err changed = {0};
    if (!set_validators(rq, rs, v, &validators, e)) return false;
    unsigned status = conditions(rq, v, validators);
    *done = status != 0;
    if (status == 304) http_reply_status(rs, 304);
    if (status != 412) return true;
    (void)err_set(&changed, ERR_CONFLICT, "dicomweb", "the resource is not what If-Match or If-Unmodified-Since names");
    http_reply_problem(rq, rs, 412, &changed);
    return true;
}

bool dw_body_reply(struct http_request *rq, struct http_response *rs, struct dw_body *b, const char *type, const struct dw_version *v, struct err *e) {
    struct validators *validators;
    bool done = false;
    if (!v) return send_window(rq, rs, 200, type, b, 0, b->length, e);
    bool ok = dw_conditions(rq, rs, v, &done, e) && set_validators(rq, rs, v, &validators, e);
    if (!ok || done) {
        dw_body_deinit(b);
        return ok;
    }
    http_setz(rs, "Accept-Ranges", "bytes");
    bool ranged = !rq->head && http_header(rq, "Range").p && if_range_holds(rq, validators); // Range is for GET alone (RFC 9110 14.2)
    if (!ranged) return send_window(rq, rs, 200, type, b, 0, b->length, e);
    if (reply_range(rq, rs, b, type, v, e)) return true;
    dw_body_deinit(b);
    return false;
}

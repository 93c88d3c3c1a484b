// Streams of parts.
#include "mod/dicomweb/parts.h"

#include "base/limits.h"
#include "base/log.h"
#include "http/multipart.h"

enum { PART_ARENA_BYTES = 192 * 1024 * 1024, TEXT_BYTES_MAX = 4096 };

struct stream {
    struct dw_parts parts;
    char boundary[MULTIPART_MADE_BOUNDARY];
    struct arena arena; // of the part
    struct dw_part part;
    bool open, ended, first;
    struct buf text; // the part's header, or the end
    size_t text_at;
    uint64_t at; // in the part's body
};

static void close_part(struct stream *s) {
    if (s->open) dw_body_deinit(&s->part.body);
    s->open = false;
    arena_reset(&s->arena);
}

// Makes the next part, or the end.
static bool advance(struct stream *s, struct err *e) {
    close_part(s);
    buf_clear(&s->text);
    s->text_at = 0;
    s->at = 0;
    s->part = (struct dw_part){0};
    switch (s->parts.next(s->parts.context, &s->arena, &s->part, e)) {
    case DW_PART_FAILED:
        return false;
    case DW_PARTS_END:
        multipart_write_end(&s->text, s->boundary);
        s->ended = true;
        return buf_ok(&s->text, e);
    case DW_PART:
        break;
    }
    s->open = true;
    multipart_write_begin(&s->text, s->boundary, s->first, s->part.type, s->part.location);
    s->first = false;
    return buf_ok(&s->text, e);
}

// 0: the end.
static bool some(struct stream *s, char *p, size_t n, size_t *got, struct err *e) {
    for (;;) {
        if (s->text_at < s->text.n) {
            *got = s->text.n - s->text_at < n ? s->text.n - s->text_at : n;
            memcpy(p, s->text.p + s->text_at, *got);
            s->text_at += *got;
            return true;
        }
        uint64_t left = s->open ? s->part.body.length - s->at : 0;
        *got = left < n ? (size_t)left : n;
        if (*got > 0) {
            if (!dw_body_read(&s->part.body, s->at, p, *got, e)) return false;
            s->at += *got;
            return true;
        }
        if (s->ended) return true;
        if (!advance(s, e)) return false;
    }
}

static int64_t generate(void *context, uint64_t position, void *p, size_t n) {
    struct stream *s = context;
    struct err e = {0};
    size_t filled = 0, got = 1;
    while (filled < n && got > 0) {
        if (!some(s, (char *)p + filled, n - filled, &got, &e)) {
            log_err(&e, "an answer is cut off at byte %llu", (unsigned long long)position + filled);
            return -1; // the connection is cut: nobody takes a part for the whole
        }
        filled += got;
    }
    return (int64_t)filled;
}

static void end_stream(void *context) {
    struct stream *s = context;
    close_part(s);
    if (s->parts.end) s->parts.end(s->parts.context);
    buf_deinit(&s->text);
    arena_deinit(&s->arena);
}

char *dw_parts_type(struct arena *a, const char *type, const char *ts, const char *boundary, struct err *e) {
    return arena_printf(a, e, "multipart/related; type=\"%s\"%s%s; boundary=%s", type, ts ? "; transfer-syntax=" : "", ts ? ts : "", boundary);
}

bool dw_parts_reply(struct http_request *rq, struct http_response *rs, const struct dw_parts *p, struct err *e) {
    struct stream *s = arena_zero(rq->arena, 1, sizeof *s, e);
    if (!s) {
        if (p->end) p->end(p->context);
        return false;
    }
    *s = (struct stream){.parts = *p, .first = true};
    arena_init(&s->arena, PART_ARENA_BYTES);
    buf_init(&s->text, TEXT_BYTES_MAX);
    char *type = multipart_make_boundary(s->boundary, e) ? dw_parts_type(rq->arena, p->type, p->ts, s->boundary, e) : NULL;
    bool ok = type && (rq->head || (advance(s, e) && (!s->open || dw_body_probe(&s->part.body, 0, s->part.body.length, e))));
    if (ok && s->ended && p->none) ok = err_set(e, ERR_NOT_FOUND, "dicomweb", "%s", p->none);
    if (!ok) {
        end_stream(s);
        return false;
    }
    http_reply_stream(rs, 200, type, HTTP_LENGTH_UNKNOWN, generate, s, end_stream);
    return true;
}

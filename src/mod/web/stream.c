// /events: the event log as server-sent events (WHATWG HTML 9.2), from where the asker left off.
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "core/events.h"
#include "core/scope.h"
#include "core/veil.h"
#include "mod/web/handlers.h"
#include "mod/web/web.h"
#include "text/json.h"

enum {
    BATCH = 64,
    WAIT_MS = 500,
    HEARTBEAT_MS = 15 * 1000,
    STREAM_MS = 10 * 60 * 1000 /* then who listens asks anew, and is looked at anew */,
    STREAM_ARENA_BYTES = 16 * 1024 * 1024
};

struct stream {
    const struct http_request *rq;
    struct archive *archive;
    struct actor who;
    bool sealed; // numbers, of who sees part of the archive
    struct veil veil;
    int64_t until_ms; // monotonic
    int64_t seq;      // the last one that was sent
    struct buf text;
    size_t text_at;
    struct arena arena;
};

// id: of who sees part of the archive the number is sealed, for it counts what the others do.
static void add_event(struct buf *b, const struct event *ev, const char *id) {
    struct json_writer w;
    if (id)
        buf_addf(b, "id: %s\n", id);
    else
        buf_addf(b, "id: %lld\n", (long long)ev->seq);
    buf_addf(b, "event: %.*s\ndata: ", STR_FMT(ev->type));
    json_init(&w, b, false);
    json_begin_object(&w);
    if (!id) json_put_int(&w, "seq", ev->seq);
    json_put_int(&w, "time_ms", ev->time_ms);
    json_put_str(&w, "type", ev->type);
    json_put_str(&w, "actor", ev->actor);
    if (ev->study_uid.n) json_put_str(&w, "study", ev->study_uid);
    if (ev->series_uid.n) json_put_str(&w, "series", ev->series_uid);
    if (ev->sop_instance_uid.n) json_put_str(&w, "instance", ev->sop_instance_uid);
    if (ev->detail.n) {
        json_key(&w, "detail");
        json_raw(&w, ev->detail);
    }
    json_end_object(&w);
    buf_addz(b, "\n\n");
}

// The next events, as text. false: the log could not be read, or not by this asker any more. *passed: there were some, whoever may see them.
static bool add_events(struct stream *s, bool *passed) {
    struct event *list;
    unsigned n;
    arena_reset(&s->arena);
    struct scope scope; // asked for each time: what is granted may end
    if (!scope_of(&s->who, ACCESS_EVENTS_READ, &s->arena, &scope, NULL) || scope.everywhere == s->sealed) return false;
    if (!events_after(s->archive, &s->arena, s->seq, BATCH, &list, &n, NULL)) return false;
    int64_t last = n ? list[n - 1].seq : s->seq;
    if (!events_keep(s->archive, &s->who, &scope, &s->arena, list, &n, NULL)) return false;
    for (unsigned i = 0; i < n; i++) {
        char id[VEIL_BYTES];
        if (!scope.everywhere && !veil_put(&s->veil, list[i].seq, id, NULL)) return false;
        add_event(&s->text, &list[i], scope.everywhere ? NULL : id);
    }
    *passed = last > s->seq;
    s->seq = last;
    return buf_ok(&s->text, NULL);
}

// Waits for something to say: events, or after a while a comment that keeps the line open. False at the server's end.
static bool next_text(struct stream *s) {
    int64_t until = clock_mono_ms() + HEARTBEAT_MS;
    buf_clear(&s->text);
    s->text_at = 0;
    while (s->text.n == 0) {
        if (http_stopping(s->rq) || clock_mono_ms() > s->until_ms) return false;
        bool news = events_wait(s->archive, s->seq, WAIT_MS), passed = false;
        if (news && !add_events(s, &passed)) return false;
        if (s->text.n) break;
        if (clock_mono_ms() > until) buf_addz(&s->text, ":\n\n");
        // The log is shorter than it was: a server that lagged behind took over from the one that told of more.
        if (news && !passed) usleep(WAIT_MS * 1000);
    }
    return true;
}

static int64_t generate(void *context, uint64_t position, void *p, size_t n) {
    struct stream *s = context;
    (void)position;
    if (s->text_at == s->text.n && !next_text(s)) return 0;
    size_t take = s->text.n - s->text_at < n ? s->text.n - s->text_at : n;
    memcpy(p, s->text.p + s->text_at, take);
    s->text_at += take;
    return (int64_t)take;
}

static void end_stream(void *context) {
    struct stream *s = context;
    buf_deinit(&s->text);
    arena_deinit(&s->arena);
}

// "0" is the log's beginning for everybody.
static bool read_id(struct stream *s, bool sealed, struct str id, struct err *e) {
    bool ok = sealed && !str_eqz(id, "0") ? veil_take(&s->veil, id, &s->seq, NULL) : str_to_i64(id, &s->seq);
    return (ok && s->seq >= 0) || err_set(e, ERR_BAD_INPUT, "web", "'%.*s' is not an event's number", STR_FMT(str_sub(id, 0, 64)));
}

bool web_events(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    struct str last = http_header(rq, "Last-Event-ID");
    if (!last.n) last = http_query(rq, "after");
    struct stream *s = arena_zero(rq->arena, 1, sizeof *s, e);
    if (!s) return false;
    s->seq = events_last(web->archive);
    s->rq = rq;
    s->who = session_actor(rq);
    s->until_ms = clock_mono_ms() + STREAM_MS;
    s->archive = web->archive;
    s->sealed = !scope_everywhere(&s->who, ACCESS_EVENTS_READ, NULL);
    if ((s->sealed && !veil_open(s->archive, &s->veil, e)) || (last.n && !read_id(s, s->sealed, last, e))) return false;
    buf_init(&s->text, STREAM_ARENA_BYTES);
    arena_init(&s->arena, STREAM_ARENA_BYTES);
    buf_addz(&s->text, "retry: 2000\n\n");
    http_setz(rs, "X-Accel-Buffering", "no");
    http_reply_stream(rs, 200, "text/event-stream", HTTP_LENGTH_UNKNOWN, generate, s, end_stream);
    return true;
}

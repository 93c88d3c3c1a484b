// The adapter of libmicrohttpd: from its callbacks to routes, and from responses to its bodies.
#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/trace.h"
#include "http/armour.h"
#include "http/base_url.h"
#include "http/condition.h"
#include "http/cors.h"
#include "http/door.h"
#include "http/watch.h"
#include "net/network.h"
#include "sys/zstd.h"
#include "text/gzip.h"

enum {
    REQUEST_ARENA_BYTES = 192 * 1024 * 1024,
    CONNECTION_BYTES = 32 * 1024, // buffer of a connection: both headers must fit; more would be mapped and cleared anew for each
    STREAM_BLOCK_BYTES = 256 * 1024,
    STREAM_BLOCK_MIN = 1024,
    COMPRESS_BYTES_MIN = 1024,
    FORM_BYTES_MAX = 1024 * 1024,
    DRAIN_STEP_MS = 10,
    SLACK_BYTES = 128 * 1024, // what compressors want to have beyond their input
};

struct http_server {
    struct MHD_Daemon *daemon;  // with a listener of its own, for plain connections; NULL: there are none
    struct MHD_Daemon *indoors; // whose connections come through the door; NULL: there is no TLS
    struct http_door *door;
    int quiesced; // the listener of its own when nobody is to come any more, else -1
    struct net_pace *pace;
    unsigned connections_max, per_address_max;
    _Atomic uint64_t refused;
    const struct http_mount *mounts;
    bool (*authorise)(void *context, struct http_request *rq, unsigned permission, struct err *e);
    void *authorise_context;
    bool (*audit)(void *context, struct http_request *rq, unsigned status, struct err *e);
    void *audit_context;
    bool loopback_host_only;
    struct str base_url;
    const char *const *trusted_proxies;
    unsigned trusted_proxy_count;
    const char *const *cors_origins;
    unsigned cors_origin_count;
    _Atomic uint16_t port, plain_port;
    struct http_watch *watch;
    _Atomic bool stopping;
    _Atomic uint64_t in_flight;
    _Atomic uint64_t responses[6];
    _Atomic uint64_t body_bytes_in;
};

// One request: from its line to its completion.
// What MHD keeps for us with each connection.
struct connection {
    struct http_watched *watched;
    struct exchange *pending; // whose header is not whole yet
    struct net_tls_info *tls; // NULL: plain
};

struct exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct connection *on;
    struct http_watched *watched; // of the connection
    struct arena arena;
    struct http_request rq;
    struct http_response rs;
    struct buf form;
    struct err err;
    struct http_place place; // once asked for
    int64_t start_ms;
    unsigned refusal; // status of err where it is not that of its kind; 0
    bool started;     // its header was whole: counted in in_flight
    bool began;       // the route's begin succeeded: end is owed
    bool failed;      // err is to be answered once the body is through
    bool unclear;     // what follows the header may not be what it seems: the connection ends with the answer
};

// ---- what handlers see ----

struct str http_capture(const struct http_request *rq, const char *name) {
    for (unsigned i = 0; i < rq->match.capture_count; i++)
        if (str_eqz(rq->match.capture[i].name, name)) return rq->match.capture[i].value;
    return (struct str){0};
}

struct str http_query(const struct http_request *rq, const char *name) {
    for (unsigned i = 0; i < rq->uri.param_count; i++)
        if (str_eqz(rq->uri.params[i].name, name)) return rq->uri.params[i].value;
    return (struct str){0};
}

struct str http_header(const struct http_request *rq, const char *name) {
    const struct exchange *x = rq->adapter;
    return str_of(MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name));
}

struct str http_cookie(const struct http_request *rq, const char *name) {
    const struct exchange *x = rq->adapter;
    return str_of(MHD_lookup_connection_value(x->connection, MHD_COOKIE_KIND, name));
}

bool http_stopping(const struct http_request *rq) {
    return rq->server->stopping;
}

static const struct http_place *place_of(const struct http_request *rq) {
    struct exchange *x = rq->adapter;
    const struct http_server *s = rq->server;
    if (x->place.base.p) return &x->place;
    struct http_forwarded f = {http_header(rq, "Host"),
                               http_header(rq, "Forwarded"),
                               http_header(rq, "X-Forwarded-Proto"),
                               http_header(rq, "X-Forwarded-Host"),
                               http_header(rq, "X-Forwarded-Port"),
                               http_header(rq, "X-Forwarded-Prefix"),
                               rq->tls != NULL};
    bool trusted = net_address_in(rq->address, s->trusted_proxies, s->trusted_proxy_count);
    if (!http_base_make(&x->arena, s->base_url, trusted, &f, &x->place, NULL)) x->place = (struct http_place){STR_LIT(""), STR_LIT("")};
    return &x->place;
}

struct str http_base(const struct http_request *rq) {
    return place_of(rq)->base;
}

struct str http_prefix(const struct http_request *rq) {
    return place_of(rq)->prefix;
}

// If-Match, else If-Unmodified-Since, says that the asker means another version (RFC 9110 13.2.2).
static bool changed(const struct http_request *rq, struct str etag, int64_t modified_s) {
    struct str match = http_header(rq, "If-Match");
    int64_t since_s;
    if (match.p) return !http_etag_listed(match, etag, false);
    return modified_s > 0 && http_date_parse(http_header(rq, "If-Unmodified-Since"), &since_s) && modified_s > since_s;
}

bool http_not_modified(const struct http_request *rq, struct http_response *rs, struct str etag, int64_t modified_s) {
    struct str known = http_header(rq, "If-None-Match"), since = http_header(rq, "If-Modified-Since");
    char *date = modified_s > 0 ? arena_alloc(rq->arena, HTTP_DATE_BYTES, NULL) : NULL;
    int64_t since_s = 0;
    if (date) {
        http_date_format(modified_s, date);
        http_setz(rs, "Last-Modified", date);
    }
    if (etag.n) http_set(rs, "ETag", etag);
    if (changed(rq, etag, modified_s)) {
        struct err why = {0};
        (void)err_set(&why, ERR_CONFLICT, "http", "the resource is not what If-Match or If-Unmodified-Since names");
        http_reply_problem(rq, rs, 412, &why);
        return true;
    }
    bool same = known.p ? etag.n && http_etag_listed(known, etag, true) : date && http_date_parse(since, &since_s) && modified_s <= since_s;
    if (same) http_reply_status(rs, 304);
    return same;
}

// ---- answering ----

bool http_takes_gzip(const struct http_request *rq) {
    static const char *const GZIP[] = {"gzip", NULL};
    return http_coding_choose(http_header(rq, "Accept-Encoding"), GZIP) != NULL;
}

// A strong validator is of one coding only (RFC 9110 8.8.3.3); what is coded here says the same without being the same bytes.
static void weaken(struct exchange *x) {
    for (unsigned i = 0; i < x->rs.header_count; i++) {
        struct uri_param *h = &x->rs.headers[i];
        if (!str_eq_nocase(h->name, STR_LIT("ETag")) || str_starts(h->value, STR_LIT("W/"))) continue;
        char *weak = arena_printf(&x->arena, NULL, "W/%.*s", STR_FMT(h->value));
        if (weak) h->value = str_of(weak);
    }
}

static void compress(struct exchange *x) {
    static const char *const CODINGS[] = {"zstd", "gzip", NULL};
    struct http_response *rs = &x->rs;
    struct str plain = rs->kind == HTTP_BODY_BUF ? buf_str(&rs->buf) : rs->text;
    const char *coding = http_coding_choose(http_header(&x->rq, "Accept-Encoding"), CODINGS);
    http_add_vary(&x->rq, rs, "Accept-Encoding");
    if (plain.n < COMPRESS_BYTES_MIN || !coding) return;
    bool zstd = coding == CODINGS[0];
    struct buf packed;
    buf_init(&packed, plain.n + plain.n / 100 + SLACK_BYTES);
    bool ok = zstd ? zstd_compress(plain, (struct str){NULL, 0}, &packed, NULL) : gzip_pack(plain, GZIP_FAST, &packed, NULL);
    if (!ok || packed.n >= plain.n) {
        buf_deinit(&packed); // it does not get smaller, or there is no memory: send it as it is
        return;
    }
    if (rs->kind == HTTP_BODY_BUF) buf_deinit(&rs->buf);
    rs->kind = HTTP_BODY_BUF;
    rs->buf = packed;
    http_setz(rs, "Content-Encoding", coding);
    weaken(x);
}

// So that who asks finds what was logged of it (W3C Trace Context, level 2: traceresponse).
static void add_trace(struct exchange *x) {
    char parent[TRACE_PARENT_BYTES];
    struct str kept;
    trace_parent(parent);
    if (parent[0] && arena_dup(&x->arena, str_of(parent), &kept, NULL)) http_set(&x->rs, "traceresponse", kept);
}

// Who may read the answer from another site's page.
static enum http_cors cors_of(const struct exchange *x) {
    const struct http_server *s = x->server;
    return http_cors_decide(s->cors_origins, s->cors_origin_count, http_header(&x->rq, "Origin"));
}

static void add_cors(struct exchange *x) {
    struct http_response *rs = &x->rs;
    if (x->server->cors_origin_count == 0) return;
    enum http_cors cors = cors_of(x);
    http_add_vary(&x->rq, rs, "Origin");
    if (cors == HTTP_CORS_NONE) return;
    bool exact = cors == HTTP_CORS_EXACT;
    http_set(rs, "Access-Control-Allow-Origin", exact ? http_header(&x->rq, "Origin") : STR_LIT("*"));
    if (exact) http_setz(rs, "Access-Control-Allow-Credentials", "true");
    http_setz(rs, "Access-Control-Expose-Headers", HTTP_CORS_EXPOSED_HEADERS);
    http_setz(rs, "Cross-Origin-Resource-Policy", "cross-origin");
}

static ssize_t generate(void *cls, uint64_t position, char *p, size_t n) {
    struct exchange *x = cls;
    int64_t got = x->rs.generate(x->rs.generate_context, position, p, n);
    if (got < 0) return MHD_CONTENT_READER_END_WITH_ERROR;
    return got == 0 ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)got;
}

// Every block is zeroed before it is filled: a small object needs no large one.
static size_t block_of(const struct http_response *rs) {
    if (rs->stream_length < 0 || rs->stream_length > STREAM_BLOCK_BYTES) return STREAM_BLOCK_BYTES;
    return rs->stream_length < STREAM_BLOCK_MIN ? STREAM_BLOCK_MIN : (size_t)rs->stream_length;
}

static struct MHD_Response *make_body(struct exchange *x) {
    struct http_response *rs = &x->rs;
    switch (rs->kind) {
    case HTTP_BODY_NONE:
        return MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    case HTTP_BODY_TEXT:
        return MHD_create_response_from_buffer(rs->text.n, (void *)(uintptr_t)rs->text.p, MHD_RESPMEM_PERSISTENT);
    case HTTP_BODY_BUF:
        return MHD_create_response_from_buffer(rs->buf.n, rs->buf.p, MHD_RESPMEM_PERSISTENT); // freed when the request completes
    case HTTP_BODY_FILE: {
        struct MHD_Response *made = MHD_create_response_from_fd_at_offset64(rs->length, rs->fd, rs->offset);
        if (made) rs->kind = HTTP_BODY_NONE; // the descriptor went to libmicrohttpd
        return made;
    }
    default:
        break;
    }
    uint64_t length = rs->stream_length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)rs->stream_length;
    return MHD_create_response_from_callback(length, block_of(rs), generate, x, NULL);
}

static bool add_headers(struct exchange *x, struct MHD_Response *to) {
    for (unsigned i = 0; i < x->rs.header_count; i++) {
        char *name = arena_strz(&x->arena, x->rs.headers[i].name, NULL);
        char *value = arena_strz(&x->arena, x->rs.headers[i].value, NULL);
        if (!name || !value || MHD_add_response_header(to, name, value) != MHD_YES) return false;
    }
    return true;
}

// What cannot be noted is not done: nothing of the answer goes out.
static void audit(struct exchange *x) {
    const struct http_server *s = x->server;
    struct err e = {0};
    if (!s->audit || s->audit(s->audit_context, &x->rq, x->rs.status, &e)) return;
    log_err(&e, "%s", x->rq.match.route ? x->rq.match.route->pattern : "request");
    http_response_deinit(&x->rs);
    x->rs = (struct http_response){.status = 200};
    http_reply_problem(&x->rq, &x->rs, err_class_of(e.kind)->http, &e);
}

static enum MHD_Result answer(struct exchange *x) {
    http_watch_set(x->watched, HTTP_WATCH_ANSWER);
    audit(x);
    if (x->rs.compress && (x->rs.kind == HTTP_BODY_BUF || x->rs.kind == HTTP_BODY_TEXT)) compress(x);
    add_cors(x);
    add_trace(x);
    http_armour(&x->rs);
    struct MHD_Response *made = make_body(x);
    if (!made) return MHD_NO;
    enum MHD_Result code = add_headers(x, made) ? MHD_queue_response(x->connection, x->rs.status, made) : MHD_NO;
    MHD_destroy_response(made);
    unsigned hundreds = x->rs.status / 100 < 6 ? x->rs.status / 100 : 5;
    x->server->responses[hundreds]++;
    log_line(LOG_DEBUG, "http", "%s %s %u %lld ms", http_method_name(x->rq.method), x->rq.match.route ? x->rq.match.route->pattern : "-", x->rs.status,
             (long long)(clock_mono_ms() - x->start_ms));
    return code;
}

static enum MHD_Result answer_error(struct exchange *x, const struct err *e) {
    unsigned status = x->refusal ? x->refusal : err_class_of(e->kind)->http;
    if (status >= 500 && status != 501) log_err(e, "%s", x->rq.match.route ? x->rq.match.route->pattern : "request");
    http_reply_problem(&x->rq, &x->rs, status, e);
    return answer(x);
}

// ---- deciding on a request by its header ----

// Whether the page that it comes from, if any, may ask for this.
static bool site_fits(const struct http_request *rq) {
    const struct http_site site = {.method = rq->method,
                                   .origin = http_header(rq, "Origin"),
                                   .site = http_header(rq, "Sec-Fetch-Site"),
                                   .mode = http_header(rq, "Sec-Fetch-Mode"),
                                   .dest = http_header(rq, "Sec-Fetch-Dest"),
                                   .host = http_header(rq, "Host"),
                                   .base = http_base(rq),
                                   .cors = cors_of(rq->adapter),
                                   .cookie = http_header(rq, "Cookie").p != NULL};
    return http_site_fits(&site);
}

struct header_tally {
    unsigned lengths, encodings, hosts, odd;
    size_t bytes;
};

// RFC 9110 5.6.2. What a blank before the colon leaves in a name, others may read as the field without it (RFC 9112 5.1).
static bool is_token(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7F || strchr("\"(),/:;<=>?@[\\]{}", s.p[i])) return false;
    return s.n > 0;
}

// MHD hangs a folded line (RFC 9112 5.2) on the field's name in place of its value: "Transfer-Encodingchunked".
static bool is_folded(struct str name, const char *field) {
    size_t n = strlen(field);
    return name.n > n && str_eq_nocase(str_sub(name, 0, n), str_of(field));
}

static enum MHD_Result tally_header(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    struct header_tally *c = cls;
    struct str name = str_of(key);
    (void)kind;
    c->odd += !is_token(name) || is_folded(name, "Content-Length") || is_folded(name, "Transfer-Encoding");
    c->lengths += str_eq_nocase(name, STR_LIT("Content-Length"));
    c->encodings += str_eq_nocase(name, STR_LIT("Transfer-Encoding"));
    c->hosts += str_eq_nocase(name, STR_LIT("Host"));
    c->bytes += name.n + (value ? strlen(value) : 0);
    return MHD_YES;
}

static bool refuse(struct exchange *x, unsigned status, struct err *e, enum err_kind kind, const char *why) {
    x->refusal = status;
    return err_set(e, kind, "http", "%s", why);
}

// Where a body ends must not be open to two readings (RFC 9112 6.3).
static bool header_fits(struct exchange *x, struct err *e) {
    struct header_tally c = {0};
    struct str encoding = http_header(&x->rq, "Transfer-Encoding"), length = http_header(&x->rq, "Content-Length");
    uint64_t n;
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, tally_header, &c);
    x->unclear = true;
    if (c.bytes > HTTP_FIELDS_BYTES_MAX) return refuse(x, 431, e, ERR_TOO_LARGE, "the header fields of the request are too long");
    if (c.odd) return err_set(e, ERR_BAD_INPUT, "http", "the request has a header field whose name is none");
    if (c.lengths + c.encodings > 1) return err_set(e, ERR_BAD_INPUT, "http", "the length of the body is given twice (Content-Length, Transfer-Encoding)");
    if (c.hosts > 1) return err_set(e, ERR_BAD_INPUT, "http", "the request has more than one Host");
    if (length.p && !(length.n && length.p[0] >= '0' && length.p[0] <= '9' && str_to_u64(length, &n)))
        return err_set(e, ERR_BAD_INPUT, "http", "Content-Length is no number");
    if (encoding.p && !str_eq_nocase(str_trim(encoding), STR_LIT("chunked")))
        return refuse(x, 501, e, ERR_BAD_INPUT, "of transfer codings only 'chunked' is understood");
    x->unclear = false;
    return true;
}

static bool find_route(struct exchange *x, const char *method, struct err *e) {
    struct http_request *rq = &x->rq;
    bool known = http_method_of(str_of(method)) >= 0;
    http_route_find(x->server->mounts, rq->method, &rq->uri, &rq->match);
    if (rq->match.route && known) return true;
    if (rq->match.methods == 0) return err_set(e, ERR_NOT_FOUND, "http", "there is nothing at %.*s", STR_FMT(str_sub(rq->uri.raw_path, 0, 200)));
    rq->match.route = NULL;
    return err_set(e, ERR_UNSUPPORTED, "http", "%.20s is not possible at %.*s", method, STR_FMT(str_sub(rq->uri.raw_path, 0, 200)));
}

static bool admit(struct exchange *x, struct err *e) {
    const struct http_server *s = x->server;
    struct http_request *rq = &x->rq;
    if (x->err.kind) return false; // the target could not be read
    if (s->stopping) return err_set(e, ERR_BUSY, "http", "the server is stopping");
    if (!header_fits(x, e)) return false;
    if (s->loopback_host_only && !http_host_is_loopback(http_header(rq, "Host")))
        return err_set(e, ERR_FORBIDDEN, "http", "this server asks for no credentials and is meant for this machine only: use http://127.0.0.1:%u/", s->port);
    if (!site_fits(rq)) return err_set(e, ERR_FORBIDDEN, "http", "a page of another site may not ask for this here");
    return true;
}

// Methods that the path has, for 405 and OPTIONS.
static void set_allow(struct exchange *x) {
    struct buf b;
    buf_init(&b, 256);
    for (int i = 0; i < HTTP_METHODS; i++)
        if (x->rq.match.methods >> i & 1) buf_addf(&b, "%s%s", b.n ? ", " : "", i == HTTP_GET ? "GET, HEAD" : http_method_name((enum http_method)i));
    if (!(x->rq.match.methods >> HTTP_OPTIONS & 1)) buf_addf(&b, "%sOPTIONS", b.n ? ", " : "");
    struct str allow = {0};
    if (arena_dup(&x->arena, buf_str(&b), &allow, NULL)) http_set(&x->rs, "Allow", allow);
    buf_deinit(&b);
}

// A browser asks whether a page of another site may send what it is about to send.
static bool add_preflight(struct exchange *x) {
    if (!http_header(&x->rq, "Access-Control-Request-Method").p || cors_of(x) == HTTP_CORS_NONE) return false;
    struct http_response *rs = &x->rs;
    for (unsigned i = 0; i < rs->header_count; i++)
        if (str_eqz(rs->headers[i].name, "Allow")) http_set(rs, "Access-Control-Allow-Methods", rs->headers[i].value);
    http_setz(rs, "Access-Control-Allow-Headers", HTTP_CORS_ALLOWED_HEADERS);
    http_set(rs, "Access-Control-Max-Age", str_of(arena_printf(&x->arena, NULL, "%d", HTTP_CORS_MAX_AGE_S)));
    return true;
}

// The path is known but not with this method.
static enum MHD_Result answer_method(struct exchange *x, const char *method, const struct err *e) {
    bool known = http_method_of(str_of(method)) >= 0;
    set_allow(x);
    if (!str_eqz(STR_LIT("OPTIONS"), method)) {
        http_reply_problem(&x->rq, &x->rs, known ? 405 : 501, e);
        return answer(x);
    }
    add_preflight(x);
    http_reply_status(&x->rs, 204);
    return answer(x);
}

// A preflight is answered before anybody is asked who he is; it says nothing but what the configuration says.
static bool is_preflight(const struct exchange *x) {
    return x->rq.method == HTTP_OPTIONS && http_header(&x->rq, "Access-Control-Request-Method").p && cors_of(x) != HTTP_CORS_NONE;
}

static bool decide(struct exchange *x, const char *method, struct err *e) {
    int known = http_method_of(str_of(method));
    x->rq.head = str_eqz(STR_LIT("HEAD"), method);
    x->rq.method = known < 0 ? HTTP_POST : (enum http_method)known; // an unknown one is taken for one that changes something
    if (!admit(x, e) || !find_route(x, method, e)) return false;
    const struct http_server *s = x->server;
    const struct http_route *route = x->rq.match.route;
    x->rq.context = x->rq.match.mount->context;
    if (is_preflight(x)) {
        x->rq.match.route = NULL; // its own answer, also where the resource has one to OPTIONS
        return err_set(e, ERR_UNSUPPORTED, "http", "a preflight");
    }
    x->rq.refused = s->authorise && !s->authorise(s->authorise_context, &x->rq, route->permission, e);
    if (x->rq.refused) return false;
    if (route->begin && !route->begin(&x->rq, e)) return false;
    x->began = true;
    return true;
}

static bool has_body(const struct exchange *x) {
    uint64_t length = 0;
    str_to_u64(http_header(&x->rq, "Content-Length"), &length);
    return length > 0 || http_header(&x->rq, "Transfer-Encoding").p;
}

static enum MHD_Result answer_refusal(struct exchange *x, const char *method, const struct err *e) {
    bool method_only = !x->rq.match.route && x->rq.match.methods;
    return method_only ? answer_method(x, method, e) : answer_error(x, e);
}

static enum MHD_Result take_header(struct exchange *x, const char *method) {
    x->started = true;
    x->on->pending = NULL; // from here on MHD tells for certain when it is completed
    x->server->in_flight++;
    http_watch_set(x->watched, HTTP_WATCH_BODY);
    trace_begin(http_header(&x->rq, "traceparent"));
    x->failed = !arena_dup(&x->arena, trace_id(), &x->rq.trace, &x->err) || !decide(x, method, &x->err);
    // An answer before the body ends the connection: only where there is a body to be refused.
    if (x->failed && (x->unclear || has_body(x))) {
        http_setz(&x->rs, "Connection", "close");
        return answer_refusal(x, method, &x->err);
    }
    return MHD_YES;
}

// ---- body and completion ----

static bool take_body(struct exchange *x, const char *p, size_t n, struct err *e) {
    const struct http_route *route = x->rq.match.route;
    if (route->body) return route->body(&x->rq, p, n, e);
    buf_add(&x->form, p, n);
    return buf_ok(&x->form, e);
}

static void take_chunk(struct exchange *x, const char *p, size_t n) {
    x->server->body_bytes_in += n;
    http_watch_body(x->watched, n, true);
    // After a failure the rest is read and dropped, so that the answer reaches a client that only then listens.
    if (!x->failed && !take_body(x, p, n, &x->err)) x->failed = true;
    http_watch_body(x->watched, 0, false);
}

static enum MHD_Result take_end(struct exchange *x, const char *method) {
    struct err e = {0};
    http_watch_set(x->watched, HTTP_WATCH_ANSWER);
    if (x->failed) return answer_refusal(x, method, &x->err);
    x->rq.body = buf_str(&x->form);
    if (!x->rq.match.route->handle(&x->rq, &x->rs, &e)) return answer_error(x, &e);
    return answer(x);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version, const char *upload,
                                 size_t *upload_n, void **req_cls) {
    struct exchange *x = *req_cls;
    (void)cls, (void)url, (void)version, (void)connection;
    if (!x) return MHD_NO; // no memory for the request: the connection is closed
    if (!x->started) return take_header(x, method);
    if (*upload_n == 0) return take_end(x, method);
    take_chunk(x, upload, *upload_n);
    *upload_n = 0;
    return MHD_YES;
}

static void address_text(const struct sockaddr *sa, char text[INET6_ADDRSTRLEN]) {
    *text = '\0';
    if (sa && sa->sa_family == AF_INET6) inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, text, INET6_ADDRSTRLEN);
    if (sa && sa->sa_family == AF_INET) inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, text, INET6_ADDRSTRLEN);
}

static void address_of(struct MHD_Connection *connection, char text[INET6_ADDRSTRLEN]) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    address_text(info ? info->client_addr : NULL, text);
}

static void set_address(struct exchange *x) {
    char text[INET6_ADDRSTRLEN];
    address_of(x->connection, text);
    arena_dup(&x->arena, str_of(text), &x->rq.address, NULL);
}

// ---- connections ----

static void exchange_free(struct exchange *x) {
    if (x->on->pending == x) x->on->pending = NULL;
    http_response_deinit(&x->rs);
    if (x->began && x->rq.match.route->end) x->rq.match.route->end(&x->rq);
    if (x->started) x->server->in_flight--;
    if (x->started) trace_end();
    http_watch_set(x->watched, HTTP_WATCH_HEADER);
    buf_deinit(&x->form);
    arena_deinit(&x->arena);
    free(x);
}

// The request line is there: the one moment at which the target can be had as it came.
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection) {
    struct exchange *x = calloc(1, sizeof *x);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *c = info ? info->socket_context : NULL;
    if (!x || !c) {
        free(x);
        return NULL;
    }
    // MHD completes only what it has told on_access of: a header that it refuses, or that never ends, leaves its exchange to us.
    if (c->pending) exchange_free(c->pending);
    c->pending = x;
    x->server = cls;
    x->connection = connection;
    x->on = c;
    x->watched = c->watched;
    x->start_ms = clock_mono_ms();
    arena_init(&x->arena, REQUEST_ARENA_BYTES);
    buf_init(&x->form, FORM_BYTES_MAX);
    x->rq = (struct http_request){.arena = &x->arena, .server = x->server, .adapter = x, .tls = c->tls};
    x->rs.status = 200;
    set_address(x);
    struct str raw = {0};
    if (!arena_dup(&x->arena, str_of(strcmp(uri, "*") == 0 ? "/" : uri), &raw, &x->err)) return x; // OPTIONS * asks of the server as a whole
    if (raw.n > HTTP_TARGET_BYTES_MAX)
        refuse(x, 414, &x->err, ERR_TOO_LARGE, "the target of the request is too long");
    else
        uri_parse(&x->arena, raw, &x->rq.uri, &x->err);
    return x;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **req_cls, enum MHD_RequestTerminationCode toe) {
    struct exchange *x = *req_cls;
    (void)cls, (void)connection, (void)toe;
    *req_cls = NULL;
    if (x) exchange_free(x);
}

// Of a connection that came through the door it must be known who is on its other side: without that it is none.
static bool learn_tls(struct http_server *s, int fd, struct connection *c) {
    struct sockaddr_storage sa = {0};
    socklen_t n = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0 || sa.ss_family != AF_UNIX) return true;
    c->tls = calloc(1, sizeof *c->tls);
    return c->tls && s->door && http_door_info(s->door, fd, c->tls);
}

static struct connection *connection_new(struct http_server *s, struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *c = info ? calloc(1, sizeof *c) : NULL;
    char address[INET6_ADDRSTRLEN];
    if (!c) return NULL;
    address_of(connection, address);
    if (learn_tls(s, info->connect_fd, c) && (c->watched = http_watch_add(s->watch, info->connect_fd, address))) return c;
    free(c->tls);
    free(c);
    return NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode toe) {
    struct http_server *s = cls;
    struct connection *c = *socket_context;
    if (toe == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = connection_new(s, connection);
    } else if (c) {
        if (c->pending) exchange_free(c->pending);
        http_watch_remove(s->watch, c->watched);
        free(c->tls);
        free(c);
        *socket_context = NULL;
    }
}

// ---- who may connect ----

static bool is_proxy(void *cls, const char *address) {
    const struct http_server *s = cls;
    return net_address_in(str_of(address), s->trusted_proxies, s->trusted_proxy_count);
}

// Of a listener that libmicrohttpd has; the door decides for its own.
static enum MHD_Result on_arrival(void *cls, const struct sockaddr *sa, socklen_t n) {
    struct http_server *s = cls;
    char address[INET6_ADDRSTRLEN];
    bool tell = false;
    (void)n;
    address_text(sa, address);
    if (is_proxy(s, address)) return MHD_YES;
    if (http_watch_count(s->watch, address) < s->per_address_max && net_pace_take(s->pace, address, &tell)) return MHD_YES;
    if (tell) log_line(LOG_WARN, "http", "%s makes connections faster than is taken: some are refused", address);
    s->refused++;
    return MHD_NO;
}

static bool take_in(void *cls, int fd, const struct sockaddr *peer, socklen_t n) {
    struct http_server *s = cls;
    return MHD_add_connection(s->indoors, fd, peer, n) == MHD_YES;
}

__attribute__((format(printf, 2, 0))) static void on_log(void *cls, const char *format, va_list args) {
    char line[512];
    (void)cls;
    vsnprintf(line, sizeof line, format, args);
    log_line(LOG_DEBUG, "http", "%.*s", STR_FMT(str_trim(str_of(line))));
}

// ---- start and stop ----

// listen: where; NULL: connections are brought to it.
static struct MHD_Daemon *start_daemon(struct http_server *s, const struct sockaddr *listen) {
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    if (!listen) flags |= MHD_USE_NO_LISTEN_SOCKET;
    if (listen && listen->sa_family == AF_INET6) flags |= MHD_USE_IPv6;
    struct MHD_OptionItem where[] = {{MHD_OPTION_SOCK_ADDR, 0, (void *)(uintptr_t)listen}, {MHD_OPTION_END, 0, NULL}};
    errno = 0;
    return MHD_start_daemon(flags, 0, listen ? on_arrival : NULL, s, on_access, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s, MHD_OPTION_ARRAY,
                            listen ? where : where + 1, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_CONNECTION_LIMIT, s->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)HTTP_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_THREAD_STACK_SIZE,
                            (size_t)THREAD_STACK_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u, MHD_OPTION_END);
}

static bool start_plain(struct http_server *s, const char *address, uint16_t port, struct err *e) {
    struct sockaddr_storage sa;
    socklen_t n;
    if (!http_door_address(address, port, &sa, &n)) return err_set(e, ERR_USAGE, "http", "'%s' is not a numeric IPv4 or IPv6 address", address);
    s->daemon = start_daemon(s, (const struct sockaddr *)&sa);
    if (!s->daemon) return err_errno(e, ERR_NET, "http", "listen for HTTP on %s port %u", address, port);
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    s->plain_port = info && info->port ? info->port : port;
    return true;
}

static bool start_tls(struct http_server *s, const struct http_options *o, struct err *e) {
    const struct http_door_options door = {.address = o->address,
                                           .port = o->port,
                                           .tls = o->tls,
                                           .pace = s->pace,
                                           .connections_max = s->connections_max,
                                           .per_address_max = s->per_address_max,
                                           .spare = is_proxy,
                                           .give = take_in,
                                           .context = s};
    s->indoors = start_daemon(s, NULL);
    if (!s->indoors) return err_errno(e, ERR_NOMEM, "http", "start the server behind TLS");
    if (!http_door_open(&door, &s->door, e)) return false;
    s->port = http_door_port(s->door);
    return true;
}

// The door stands before the first plain request asks for its figures.
static bool start(struct http_server *s, const struct http_options *o, struct err *e) {
    if (!net_pace_open(o->per_second, &s->pace, e) || !http_watch_start(&s->watch, e)) return false;
    if (o->tls) return start_tls(s, o, e) && (!o->plain_too || start_plain(s, o->address, o->plain_port, e));
    if (!start_plain(s, o->address, o->port, e)) return false;
    s->port = s->plain_port;
    s->plain_port = 0;
    return true;
}

static void free_server(struct http_server *s) {
    if (s->daemon) MHD_stop_daemon(s->daemon);
    if (s->quiesced >= 0) close(s->quiesced);
    if (s->door) http_door_shut(s->door);
    if (s->indoors) MHD_stop_daemon(s->indoors);
    if (s->door) http_door_close(s->door);
    if (s->watch) http_watch_stop(s->watch);
    net_pace_close(s->pace);
    free(s);
}

bool http_server_start(const struct http_options *o, struct http_server **out, struct err *e) {
    struct http_server *s = calloc(1, sizeof *s);
    if (!s) return err_nomem(e, "http");
    s->quiesced = -1;
    s->mounts = o->mounts;
    s->authorise = o->authorise;
    s->authorise_context = o->authorise_context;
    s->audit = o->audit;
    s->audit_context = o->audit_context;
    s->loopback_host_only = o->loopback_host_only;
    s->base_url = str_of(o->base_url);
    s->trusted_proxies = o->trusted_proxies;
    s->trusted_proxy_count = o->trusted_proxy_count;
    s->cors_origins = o->cors_origins;
    s->cors_origin_count = o->cors_origin_count;
    s->connections_max = o->connections_max ? o->connections_max : HTTP_CONNECTIONS_MAX;
    s->per_address_max = o->per_address_max ? o->per_address_max : s->connections_max - s->connections_max / 4;
    if (!start(s, o, e)) {
        free_server(s);
        return false;
    }
    *out = s;
    return true;
}

uint16_t http_server_port(const struct http_server *s) {
    return s->port;
}

uint16_t http_server_plain_port(const struct http_server *s) {
    return s->plain_port;
}

// Nobody can connect any more. The descriptor stays until libmicrohttpd's thread has ended, which may be about to use it: closed, it could be somebody else's.
static void quiesce(struct http_server *s) {
    MHD_socket listening = s->daemon ? MHD_quiesce_daemon(s->daemon) : MHD_INVALID_SOCKET;
    if (listening == MHD_INVALID_SOCKET) return;
    shutdown(listening, SHUT_RDWR);
    s->quiesced = listening;
}

void http_server_stop(struct http_server *s, int drain_ms) {
    s->stopping = true;
    if (s->door) http_door_shut(s->door);
    quiesce(s);
    int64_t until = clock_mono_ms() + drain_ms;
    while (s->in_flight > 0 && clock_mono_ms() < until) usleep(DRAIN_STEP_MS * 1000);
    http_watch_cut_all(s->watch);
    free_server(s);
}

void http_server_figures(const struct http_server *s, struct http_figures *out) {
    *out = (struct http_figures){.in_flight = s->in_flight, .body_bytes_in = s->body_bytes_in};
    for (int i = 0; i < 6; i++) out->responses[i] = s->responses[i];
    http_watch_figures(s->watch, &out->connections, &out->connections_total, &out->reaped_total);
    struct http_door_figures door = {0};
    if (s->door) http_door_figures(s->door, &door);
    out->handshakes_failed = door.handshakes_failed;
    out->refused_total = door.refused + s->refused;
}

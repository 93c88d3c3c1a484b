// Building responses: status, headers, bodies and problems.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "http/server.h"
#include "http/status.h"
#include "text/json.h"

enum { PROBLEM_PATH_MAX = 2048 };

void http_set(struct http_response *rs, const char *name, struct str value) {
    for (unsigned i = 0; i < rs->header_count; i++) {
        if (!str_eq_nocase(rs->headers[i].name, str_of(name))) continue;
        rs->headers[i].value = value;
        return;
    }
    if (rs->header_count < HTTP_HEADERS_MAX) rs->headers[rs->header_count++] = (struct uri_param){str_of(name), value};
}

void http_add(struct http_response *rs, const char *name, struct str value) {
    if (rs->header_count < HTTP_HEADERS_MAX) rs->headers[rs->header_count++] = (struct uri_param){str_of(name), value};
}

void http_setz(struct http_response *rs, const char *name, const char *value) {
    http_set(rs, name, str_of(value));
}

void http_add_vary(const struct http_request *rq, struct http_response *rs, const char *name) {
    for (unsigned i = 0; i < rs->header_count; i++) {
        if (!str_eq_nocase(rs->headers[i].name, STR_LIT("Vary"))) continue;
        struct str rest = rs->headers[i].value;
        while (rest.p)
            if (str_eq_nocase(str_trim(str_split(&rest, ',')), str_of(name))) return;
        char *both = arena_printf(rq->arena, NULL, "%.*s, %s", STR_FMT(rs->headers[i].value), name);
        if (both) rs->headers[i].value = str_of(both);
        return;
    }
    http_setz(rs, "Vary", name);
}

void http_response_deinit(struct http_response *rs) {
    if (rs->kind == HTTP_BODY_BUF) buf_deinit(&rs->buf);
    if (rs->kind == HTTP_BODY_FILE) close(rs->fd);
    if (rs->kind == HTTP_BODY_STREAM && rs->generate_end) rs->generate_end(rs->generate_context);
    rs->kind = HTTP_BODY_NONE;
}

static void begin(struct http_response *rs, unsigned status, const char *type) {
    http_response_deinit(rs);
    rs->status = status;
    if (type) http_setz(rs, "Content-Type", type);
}

void http_reply_text(struct http_response *rs, unsigned status, const char *type, struct str borrowed) {
    begin(rs, status, type);
    rs->kind = HTTP_BODY_TEXT;
    rs->text = borrowed;
}

void http_reply_buf(struct http_response *rs, unsigned status, const char *type, struct buf *taken) {
    begin(rs, status, type);
    rs->kind = HTTP_BODY_BUF;
    rs->buf = *taken;
    buf_init(taken, taken->ceiling);
}

bool http_reply_json(struct http_response *rs, struct buf *taken, bool ok, struct err *e) {
    if (ok && buf_ok(taken, e)) {
        http_reply_buf(rs, 200, "application/json", taken);
        return true;
    }
    buf_deinit(taken);
    return false;
}

void http_reply_file(struct http_response *rs, unsigned status, const char *type, int fd_taken, uint64_t offset, uint64_t length) {
    begin(rs, status, type);
    rs->kind = HTTP_BODY_FILE;
    rs->fd = fd_taken;
    rs->offset = offset;
    rs->length = length;
}

void http_reply_stream(struct http_response *rs, unsigned status, const char *type, int64_t length, http_generate *generate, void *context,
                       void (*end)(void *context)) {
    begin(rs, status, type);
    rs->kind = HTTP_BODY_STREAM;
    rs->generate = generate;
    rs->generate_context = context;
    rs->generate_end = end;
    rs->stream_length = length;
}

void http_reply_status(struct http_response *rs, unsigned status) {
    begin(rs, status, NULL);
}

// Names of problems that the kind of error does not tell.
static const struct {
    unsigned status;
    const char *name;
} PROBLEMS[] = {
    {405, "method-not-allowed"},
    {414, "target-too-long"},
    {431, "header-too-large"},
    {501, "not-implemented"},
};

static const char *problem_name(unsigned status, const struct err *e) {
    for (size_t i = 0; i < sizeof PROBLEMS / sizeof PROBLEMS[0]; i++)
        if (PROBLEMS[i].status == status) return PROBLEMS[i].name;
    return err_class_of(e->kind)->name;
}

void http_reply_problem(const struct http_request *rq, struct http_response *rs, unsigned status, const struct err *e) {
    struct buf b;
    struct json_writer w;
    const char *name = problem_name(status, e);
    char type[80];
    snprintf(type, sizeof type, "/problems/%s", name);
    buf_init(&b, HTTP_JSON_BYTES_MAX);
    json_init(&w, &b, false);
    json_begin_object(&w);
    json_put_strz(&w, "type", type);
    json_put_strz(&w, "title", http_status_text(status));
    json_put_uint(&w, "status", status);
    json_put_strz(&w, "detail", e->message);
    json_put_str(&w, "instance", str_sub(rq->uri.raw_path, 0, PROBLEM_PATH_MAX));
    json_put_strz(&w, "kind", name);
    json_end_object(&w);
    http_reply_buf(rs, status, "application/problem+json", &b);
    if (status >= 400 && err_class_of(e->kind)->retry) http_setz(rs, "Retry-After", "5");
    if (status == 401) http_setz(rs, "WWW-Authenticate", "Bearer realm=\"gantry\"");
}

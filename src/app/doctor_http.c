// A web address: what answers there, whether it is Gantry, whether it asks who comes, and whose clock is wrong.
#include <stdio.h>
#include <string.h>

#include "app/doctor.h"
#include "app/settings.h"
#include "base/clock.h"
#include "http/condition.h"

enum { ANSWER_BYTES = 64 * 1024, CLOCK_MS = 60 * 1000, SHOWN_MAX = 200, STATUS_BAD = 400, STATUS_UNAUTHORIZED = 401, STATUS_FORBIDDEN = 403 };

struct answer {
    int status; // 0: none that is HTTP
    struct str head, body;
    bool tls; // a TLS alert came instead
};

static bool ask(const struct doctor_peer *p, struct net_conn *c, const char *path) {
    char request[1024];
    bool six = strchr(p->host, ':') != NULL;
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nUser-Agent: gantry-doctor\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                     path, six ? "[" : "", p->host, six ? "]" : "", p->port);
    return n < (int)sizeof request && net_write(c, request, (size_t)n, clock_mono_ms() + p->timeout_ms, NULL);
}

static void read_answer(struct doctor *d, const struct doctor_peer *p, struct net_conn *c, struct answer *out) {
    int64_t deadline_ms = clock_mono_ms() + p->timeout_ms;
    size_t n = 0, k;
    char *text = arena_alloc(d->arena, ANSWER_BYTES + 1, NULL);
    *out = (struct answer){0};
    if (!text) return;
    while (n < ANSWER_BYTES && net_read(c, text + n, ANSWER_BYTES - n, false, deadline_ms, &k, NULL) == NET_OK) n += k;
    text[n] = '\0';
    const struct str all = {text, n};
    out->tls = n >= 2 && (text[0] == 0x15 || text[0] == 0x16) && text[1] == 3;
    if (n < 12 || !str_starts(all, STR_LIT("HTTP/1."))) return;
    const char *end = strstr(text, "\r\n\r\n");
    int64_t status;
    if (!str_to_i64(str_sub(all, 9, 3), &status)) return;
    out->status = (int)status;
    out->head = str_sub(all, 0, end ? (size_t)(end - text) : n);
    out->body = end ? str_sub(all, (size_t)(end - text) + 4, n) : (struct str){0};
}

static void get(struct doctor *d, const struct doctor_peer *p, const char *path, struct answer *out) {
    struct net_conn c;
    *out = (struct answer){0};
    if (!doctor_reopen(d, p, &c)) return;
    if (ask(p, &c, path)) read_answer(d, p, &c, out);
    net_close(&c);
}

bool doctor_speaks_http(struct doctor *d, const struct doctor_peer *p) {
    struct doctor_peer plain = *p;
    struct answer a;
    plain.plain = true;
    get(d, &plain, "/", &a);
    return a.status != 0;
}

static struct str field(struct str head, const char *name) {
    while (head.p) {
        struct str line = str_split(&head, '\n'), key = str_sub(line, 0, str_find(line, ':', 0));
        if (str_eq_nocase(key, str_of(name))) return str_trim(str_sub(line, key.n + 1, line.n));
    }
    return (struct str){0};
}

static void say_clock(struct doctor *d, const struct answer *a) {
    int64_t there_s;
    if (!http_date_parse(field(a->head, "Date"), &there_s)) return;
    int64_t ms = there_s * 1000 - clock_wall_ms();
    if (ms < 0) ms = -ms;
    if (ms < CLOCK_MS)
        SAY(d, DOC_HTTP_CLOCK_FINE, NULL);
    else if (d->chinese)
        SAY(d, DOC_HTTP_CLOCK, doctor_value(d, "%lld 分钟", (long long)(ms / 60000)));
    else
        SAY(d, DOC_HTTP_CLOCK, doctor_value(d, "%lld minutes", (long long)(ms / 60000)));
}

static void say_studies(struct doctor *d, const struct doctor_peer *p, bool here) {
    struct answer a;
    get(d, p, "/dicom-web/studies?limit=1", &a);
    if (a.status == STATUS_UNAUTHORIZED || a.status == STATUS_FORBIDDEN)
        SAY(d, DOC_HTTP_ASKS_WHO, NULL);
    else if (a.status >= 200 && a.status < 300)
        SAY(d, here ? DOC_HTTP_OPEN_HERE : DOC_HTTP_OPEN, NULL);
}

static void say_ready(struct doctor *d, const struct doctor_peer *p) {
    struct answer a;
    get(d, p, "/readyz", &a);
    bool ours = a.body.n && (memmem(a.body.p, a.body.n, "\"disk\"", 6) || memmem(a.body.p, a.body.n, "\"ready\"", 7));
    if (!ours) return;
    if (a.status == 200)
        SAY(d, DOC_HTTP_READY, NULL);
    else if (a.status == 503)
        SAY(d, DOC_HTTP_NOT_READY, doctor_value(d, "%.*s", a.body.n < SHOWN_MAX ? (int)a.body.n : SHOWN_MAX, a.body.p ? a.body.p : ""));
}

static void say_answer(struct doctor *d, const struct doctor_peer *p, const struct answer *a) {
    struct str to = field(a->head, "Location"), server = field(a->head, "Server");
    if (a->status >= STATUS_BAD && a->status != STATUS_UNAUTHORIZED && a->status != STATUS_FORBIDDEN)
        SAY(d, DOC_HTTP_STATUS, p->path, doctor_value(d, "%d", a->status));
    else
        SAY(d, DOC_HTTP_ANSWERS, doctor_value(d, "%d%s%.*s", a->status, server.n ? ", " : "", STR_FMT(server)));
    if (to.n) SAY(d, DOC_HTTP_REDIRECT, doctor_value(d, "%.*s", STR_FMT(to)));
}

// Plain HTTP to a port of TLS: an alert, or a server's page that says so.
static bool wants_tls(const struct answer *a) {
    return a->tls || (a->status == STATUS_BAD && a->body.n && memmem(a->body.p, a->body.n, "HTTPS", 5));
}

void doctor_http(struct doctor *d, const struct doctor_peer *p) {
    struct net_conn c;
    struct answer a;
    if (!doctor_connect(d, p, true, &c)) return;
    bool here = settings_is_loopback(c.address);
    if (p->tls) {
        net_close(&c);
        if (doctor_tls(d, p, &c) != DOCTOR_BY_TLS) return;
    }
    bool asked = ask(p, &c, p->path);
    if (asked) read_answer(d, p, &c, &a);
    net_close(&c);
    if (!asked) a = (struct answer){0};
    if (p->plain && (wants_tls(&a) || (a.status == 0 && doctor_speaks_tls(d, p)))) return SAY(d, DOC_WANTS_TLS, NULL);
    if (a.status == 0) return SAY(d, DOC_HTTP_NONE, NULL);
    say_answer(d, p, &a);
    if (p->plain) SAY(d, here ? DOC_HTTP_PLAIN_HERE : DOC_HTTP_PLAIN, NULL);
    say_ready(d, p);
    say_studies(d, p, here);
    say_clock(d, &a);
}

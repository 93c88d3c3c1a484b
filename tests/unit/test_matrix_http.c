// Every route of the tables, for every role and every kind of scope: what is out of reach is answered as what is not there, byte for byte, and shows nowhere.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/hold.h"
#include "core/mark.h"
#include "matrix_targets.h"
#include "mod/dicomweb/dicomweb.h"
#include "mod/web/web.h"

enum { CASES_AT_LEAST = 500, ANSWER_BYTES_MAX = 1 << 20, PRINCIPALS_MAX = 64, REQUEST_BYTES = 2048 };

// ---- who asks ----

static const char *const SCOPES[] = {"tenant:T", "site:T/S", "department:T/S/D", "label:T/L", "assigned"};
enum { SCOPE_COUNT = 5 };

struct asker {
    struct access_grant grant;
    struct principal principal;
    bool whole_tenant; // reaches the sibling, too
};
static struct asker askers[PRINCIPALS_MAX];
static unsigned asker_count;

static void add_asker(const struct access_role *role, const char *scope) {
    struct err e = {0};
    struct asker *a = &askers[asker_count++];
    *a = (struct asker){.grant = {.role = str_of(role->name), .permissions = role->permissions}};
    if (!access_scope_parse(str_of(scope), &a->grant.scope, &e)) fail_msg("%s", e.message);
    a->principal = (struct principal){.kind = PRINCIPAL_USER, .id = 1, .name = STR_LIT("me"), .grants = &a->grant, .grant_count = 1};
    a->principal.home.tenant = STR_LIT("T");
    a->whole_tenant = a->grant.scope.kind == SCOPE_TENANT;
}

// Each role within the tenant; and those who may do most by each of the narrower scopes.
static void make_askers(void) {
    asker_count = 0;
    for (unsigned i = 0; i < ACCESS_ROLE_COUNT; i++) add_asker(&ACCESS_ROLES[i], SCOPES[0]);
    for (unsigned k = 1; k < SCOPE_COUNT; k++) {
        add_asker(access_role_find(STR_LIT("administrator")), SCOPES[k]);
        add_asker(access_role_find(STR_LIT("radiologist")), SCOPES[k]);
    }
}

// As the server's own: the permission of the route first, whatever is asked for.
static bool authorise(void *context, struct http_request *rq, unsigned permission, struct err *e) {
    struct str who = http_header(rq, "Asker");
    uint64_t n;
    (void)context;
    if (!str_to_u64(who, &n) || n >= asker_count) return err_set(e, ERR_UNAUTHORIZED, "test", "nobody");
    rq->principal = &askers[n].principal;
    rq->user = askers[n].principal.name;
    const struct actor actor = {.door = DOOR_PAGE, .principal = rq->principal};
    return access_require(&actor, permission, e);
}

// ---- server ----

struct server {
    struct fixture *f;
    struct dicomweb dicomweb;
    struct web web;
    struct http_mount mounts[4];
    struct http_server *http;
    struct buf answer, other;
    unsigned cases;
};

static int set_up(void **state) {
    static struct server s;
    struct err e = {0};
    s = (struct server){0};
    if (fixture_setup((void **)&s.f) != 0) return -1;
    make_askers();
    targets_store(s.f);
    if (!mark_set(s.f->ar, &TESTER, MARK_ASSIGNMENT, str_of(OWN.study), STR_LIT("me"), true, &e) ||
        !hold_set(s.f->ar, &TESTER, str_of(FOREIGN.study), true, STR_LIT("a foreign reason"), &e))
        fail_msg("%s", e.message);
    s.dicomweb.archive = s.web.archive = s.f->ar;
    s.mounts[0] = (struct http_mount){DICOMWEB_ROOT, DICOMWEB_ROUTES, &s.dicomweb};
    s.mounts[1] = (struct http_mount){"", WADO_URI_ROUTES, &s.dicomweb};
    s.mounts[2] = (struct http_mount){"", WEB_ROUTES, &s.web};
    const struct http_options o = {.address = "127.0.0.1", .mounts = s.mounts, .authorise = authorise};
    if (!http_server_start(&o, &s.http, &e)) fail_msg("%s", e.message);
    buf_init(&s.answer, ANSWER_BYTES_MAX);
    buf_init(&s.other, ANSWER_BYTES_MAX);
    *state = &s;
    return 0;
}

static int tear_down(void **state) {
    struct server *s = *state;
    http_server_stop(s->http, 1000);
    buf_deinit(&s->answer);
    buf_deinit(&s->other);
    return fixture_teardown((void **)&s->f);
}

// ---- asking ----

static void put_pattern(struct buf *to, const char *pattern, const struct target *t) {
    static const struct {
        const char *name;
        size_t at;
    } names[] = {{"{study}", offsetof(struct target, study)}, {"{series}", offsetof(struct target, series)}, {"{instance}", offsetof(struct target, instance)}};
    while (*pattern) {
        bool found = false;
        for (size_t i = 0; i < 3 && !found; i++) {
            if (strncmp(pattern, names[i].name, strlen(names[i].name)) != 0) continue;
            buf_addz(to, *(const char *const *)((const char *)t + names[i].at));
            pattern += strlen(names[i].name);
            found = true;
        }
        if (found) continue;
        if (*pattern == '{') { // {frames}, {path*}
            buf_addz(to, strncmp(pattern, "{path", 5) == 0 ? "7FE00010" : "1");
            pattern = strchr(pattern, '}') + 1;
        } else {
            buf_addc(to, *pattern++);
        }
    }
}

static bool names_study(const struct http_route *r) {
    return strstr(r->pattern, "{study}") || strcmp(r->pattern, "/wado") == 0 || (r->method == HTTP_POST && strcmp(r->pattern, "/api/holds") == 0);
}

// Of a deletion the reason is only given where nothing is to be deleted.
static void put_query(struct buf *to, const struct http_route *r, const struct target *t) {
    if (strcmp(r->pattern, "/wado") == 0) buf_addf(to, "?requestType=WADO&studyUID=%s&seriesUID=%s&objectUID=%s", t->study, t->series, t->instance);
    if (r->method == HTTP_DELETE && t != &OWN) buf_addz(to, "?reason=test");
    if (strcmp(r->pattern, "/events") == 0) buf_addz(to, "?after=0");
}

static void put_request(struct buf *to, const struct http_mount *m, const struct http_route *r, const struct target *t, unsigned asker) {
    static const char *const methods[] = {[HTTP_GET] = "GET", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS"};
    char body[256] = "";
    const char *type = "";
    if (r->method == HTTP_POST && strcmp(r->pattern, "/api/holds") == 0) {
        snprintf(body, sizeof body, "{\"study\":\"%s\",\"reason\":\"test\"}", t->study);
        type = "Content-Type: application/json\r\n";
    } else if (r->method == HTTP_POST) {
        snprintf(body, sizeof body, "--b\r\nContent-Type: application/dicom\r\n\r\nno object\r\n--b--\r\n");
        type = "Content-Type: multipart/related; type=\"application/dicom\"; boundary=b\r\n";
    }
    buf_addf(to, "%s %s", methods[r->method], m->prefix);
    put_pattern(to, r->pattern, t);
    put_query(to, r, t);
    buf_addf(to, " HTTP/1.1\r\nHost: localhost\r\nAsker: %u\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s", asker, type, strlen(body), body);
}

// An endless answer is read until this was seen in it.
static void read_answer(int fd, const char *until, struct buf *out) {
    for (;;) {
        char *room = buf_reserve(out, 16 * 1024);
        ssize_t n = room ? recv(fd, room, 16 * 1024, 0) : -1;
        if (n <= 0) break;
        out->n += (size_t)n;
        if (until && memmem(out->p, out->n, until, strlen(until))) break;
    }
    buf_addc(out, '\0');
}

static void ask(struct server *s, const struct http_mount *m, const struct http_route *r, const struct target *t, unsigned asker, struct buf *out) {
    struct buf request;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(http_server_port(s->http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    buf_init(&request, REQUEST_BYTES);
    put_request(&request, m, r, t, asker);
    buf_clear(out);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, request.p, request.n, MSG_NOSIGNAL), (ssize_t)request.n);
    read_answer(fd, strcmp(r->pattern, "/events") == 0 ? "study.assigned" : NULL, out);
    close(fd);
    buf_deinit(&request);
    s->cases++;
}

static unsigned status_of(const struct buf *answer) {
    unsigned status = 0;
    assert_int_equal(sscanf(answer->p, "HTTP/1.1 %u", &status), 1);
    return status;
}

// ---- judging ----

// Lines that differ from answer to answer, and the identifiers that were asked for.
static void make_plain(struct buf *answer, const struct target *t) {
    static const char *const lines[] = {"\r\nDate: ", "\r\ntraceresponse: ", "\r\nETag: "};
    for (size_t i = 0; i < 3; i++) {
        char *at = strstr(answer->p, lines[i]);
        for (at = at ? at + 2 : NULL; at && *at && *at != '\r'; at++) *at = '.';
    }
    for (char *at = answer->p; (at = strstr(at, t->study));) memset(at, '*', strlen(t->study));
}

static bool shows(const struct buf *answer, const struct target *t, bool asked) {
    return strstr(answer->p, t->name) || (!asked && strstr(answer->p, t->study));
}

// Of the whole server: nobody has it within a scope.
static bool is_server_wide(unsigned permission) {
    return permission == ACCESS_METRICS_READ || permission == ACCESS_CLUSTER_READ;
}

static void judge(struct server *s, const struct http_mount *m, const struct http_route *r, unsigned asker) {
    const struct asker *a = &askers[asker];
    const struct target *hidden[] = {&FOREIGN, a->whole_tenant ? NULL : &SIBLING};
    bool may = (a->grant.permissions & ACCESS_BIT(r->permission)) && !is_server_wide(r->permission);
    ask(s, m, r, &OWN, asker, &s->answer);
    unsigned status = status_of(&s->answer);
    const char *what = r->pattern, *role = a->grant.role.p;
    if (!may && status != 403) fail_msg("%s by %s %u: %u, and not 403", what, role, asker, status);
    if (may && (status == 401 || status == 403 || status == 404)) fail_msg("%s by %s %u: %u of what may be had", what, role, asker, status);
    for (int i = 0; i < 2; i++)
        if (hidden[i] && shows(&s->answer, hidden[i], false)) fail_msg("%s by %s %u shows %s", what, role, asker, hidden[i]->name);
    if (!names_study(r)) return;
    for (int i = 0; i < 2 && hidden[i]; i++) {
        ask(s, m, r, hidden[i], asker, &s->answer);
        ask(s, m, r, &MISSING, asker, &s->other);
        status = status_of(&s->answer);
        bool search = r->permission == ACCESS_STUDY_FIND || r->permission == ACCESS_STUDY_STORE; // an empty list; a study yet to come
        if (status / 100 == 2 && !search) fail_msg("%s by %s %u: %u of %s", what, role, asker, status, hidden[i]->name);
        if (shows(&s->answer, hidden[i], true)) fail_msg("%s by %s %u shows %s", what, role, asker, hidden[i]->name);
        make_plain(&s->answer, hidden[i]);
        make_plain(&s->other, &MISSING);
        if (strcmp(s->answer.p, s->other.p) != 0)
            fail_msg("%s by %s %u tells what is hidden from what is missing:\n%s\n%s", what, role, asker, s->answer.p, s->other.p);
    }
}

static void no_route_tells_anybody_of_what_is_out_of_reach(void **state) {
    struct server *s = *state;
    for (const struct http_mount *m = s->mounts; m->routes; m++)
        for (const struct http_route *r = m->routes; r->pattern; r++) {
            if (r->permission == ACCESS_OPEN || r->permission == ACCESS_SELF) continue;
            for (unsigned i = 0; i < asker_count; i++) judge(s, m, r, i);
        }
    assert_true(s->cases >= CASES_AT_LEAST);
    print_message("%u requests\n", s->cases);
}

static unsigned ask_for(struct server *s, enum http_method method, const char *pattern, const struct target *t, unsigned asker) {
    for (const struct http_mount *m = s->mounts; m->routes; m++)
        for (const struct http_route *r = m->routes; r->pattern; r++)
            if (r->method == method && strcmp(r->pattern, pattern) == 0) return ask(s, m, r, t, asker, &s->answer), status_of(&s->answer);
    fail_msg("there is no route %s", pattern);
    return 0;
}

// What somebody sent under another tenant's UIDs, its very bytes, is no study that it can have, but a copy that it sees and deletes, and nobody else's.
static void copies_under_a_foreign_uid_are_their_senders_to_see_and_to_delete(void **state) {
    struct server *s = *state;
    const uint64_t needed = ACCESS_BIT(ACCESS_STUDY_STORE) | ACCESS_BIT(ACCESS_STUDY_DELETE) | ACCESS_BIT(ACCESS_FAULTS_READ);
    unsigned asker = 0;
    while (asker < asker_count && !(askers[asker].whole_tenant && (askers[asker].grant.permissions & needed) == needed)) asker++;
    assert_true(asker < asker_count);
    target_store(s->f, &FOREIGN, &askers[asker].principal);
    assert_int_equal(ask_for(s, HTTP_GET, "/studies/{study}", &FOREIGN, asker), 404);
    assert_int_equal(ask_for(s, HTTP_GET, "/api/conflicts", &FOREIGN, asker), 200);
    assert_non_null(strstr(s->answer.p, FOREIGN.instance));
    assert_int_equal(ask_for(s, HTTP_DELETE, "/studies/{study}", &FOREIGN, asker), 204);
    assert_int_equal(ask_for(s, HTTP_DELETE, "/studies/{study}", &FOREIGN, asker), 404);
    assert_int_equal(ask_for(s, HTTP_GET, "/api/conflicts", &FOREIGN, asker), 200);
    assert_null(strstr(s->answer.p, FOREIGN.instance));
    assert_int_equal(list_study(s->f, FOREIGN.study).count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_route_tells_anybody_of_what_is_out_of_reach, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies_under_a_foreign_uid_are_their_senders_to_see_and_to_delete, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

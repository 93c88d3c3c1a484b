// Every operation of administration, for every role and every kind of scope: accounts of another tenant are answered as what is not there, byte for byte, and
// nobody comes to more than he was given.
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
#include "core/accounts_manage.h"
#include "core/audit.h"
#include "core/peers_manage.h"
#include "core_fixture.h"
#include "mod/admin/http.h"

enum { CASES_AT_LEAST = 1000, ANSWER_BYTES_MAX = 1 << 20, ASKERS_MAX = 64, REQUEST_BYTES = 4096, NOBODYS_ID = 1000000 };

// ---- what there is: names of one length, so that nothing is told by it ----

struct target {
    const char *user, *token, *peer, *place, *study, *tenant;
};
static const struct target OWN = {"ownhere.user", "ownhere.token", "OWNHEREPEER", "T/S", "1.2.1", "T"};
static const struct target FOREIGN = {"foreign.user", "foreign.token", "FOREIGNPEER", "F/S", "1.2.3", "F"};
static const struct target MISSING = {"missing.user", "missing.token", "MISSINGPEER", "M/S", "1.2.4", "M"};

struct asker {
    struct access_grant grant;
    struct principal principal;
};

struct server {
    struct fixture *f;
    struct accounts *accounts;
    struct admin_door door;
    struct http_mount mounts[2];
    struct http_server *http;
    struct buf answer, other;
    unsigned cases;
    struct asker askers[ASKERS_MAX];
    unsigned asker_count;
};

static struct asker *add_asker(struct server *s, const char *role, uint64_t permissions, const char *scope, int64_t id) {
    struct err e = {0};
    struct asker *a = &s->askers[s->asker_count++];
    *a = (struct asker){.grant = {.role = str_of(role), .permissions = permissions}};
    if (!access_scope_parse(str_of(scope), &a->grant.scope, &e)) fail_msg("%s", e.message);
    a->principal = (struct principal){.kind = PRINCIPAL_USER, .id = id, .name = STR_LIT("me"), .grants = &a->grant, .grant_count = 1};
    return a;
}

// Each role within the tenant; and the administrator by each of the narrower scopes.
static void make_askers(struct server *s) {
    static const char *const NARROWER[] = {"site:T/other", "department:T/S/D", "label:T/L", "assigned"};
    uint64_t all = access_role_find(STR_LIT("administrator"))->permissions;
    for (unsigned i = 0; i < ACCESS_ROLE_COUNT; i++) add_asker(s, ACCESS_ROLES[i].name, ACCESS_ROLES[i].permissions, "tenant:T", NOBODYS_ID + i);
    for (unsigned i = 0; i < 4; i++) add_asker(s, "administrator", all, NARROWER[i], NOBODYS_ID + 100 + i);
}

static bool authorise(void *context, struct http_request *rq, unsigned permission, struct err *e) {
    struct server *s = context;
    uint64_t n;
    if (!str_to_u64(http_header(rq, "Asker"), &n) || n >= s->asker_count) return err_set(e, ERR_UNAUTHORIZED, "test", "nobody");
    rq->principal = &s->askers[n].principal;
    rq->user = s->askers[n].principal.name;
    const struct actor actor = {.door = DOOR_PAGE, .principal = rq->principal};
    return access_require(&actor, permission, e);
}

// ---- accounts ----

static void make_user(struct server *s, const char *name, const char *role, const char *scope) {
    char none[ACCOUNT_SECRET_HEX + 1];
    struct err e = {0};
    const struct account_user u = {.name = str_of(name), .display = STR_LIT("Shown"), .external = true, .role = str_of(role), .scope = str_of(scope)};
    if (!account_user_add(s->accounts, &TESTER, &u, none, &e)) fail_msg("%s: %s", name, e.message);
}

static void make_token(struct server *s, const char *name, const char *owner, const char *role, const char *scope) {
    char secret[ACCOUNT_SECRET_HEX + 1];
    struct err e = {0};
    const struct account_token t = {.name = str_of(name), .owner = str_of(owner), .role = str_of(role), .scope = str_of(scope)};
    if (!account_token_add(s->accounts, &TESTER, &t, secret, &e)) fail_msg("%s: %s", name, e.message);
}

static void make_peer(struct server *s, const char *name, const char *realm) {
    static const struct str NETWORKS[] = {STR_LIT("10.0.0.9")};
    struct err e = {0};
    const struct peer_change c = {
        .name = str_of(name), .aet = str_of(name), .realm = str_of(realm), .networks = NETWORKS, .network_count = 1, .port = -1, .associations = -1, .tls = -1};
    if (!peer_add(s->f->ar, NULL, &TESTER, &c, &e)) fail_msg("%s: %s", name, e.message);
}

static void make_user_of(struct server *s, const struct target *t, const char *scope) {
    make_user(s, t->user, "viewer", scope);
    assert_true(account_grant(s->accounts, &TESTER, "user", str_of(t->user), STR_LIT("technologist"), str_of(scope), 0, NULL));
}

static void make_token_of(struct server *s, const struct target *t, const char *scope) {
    make_token(s, t->token, "", "viewer", scope);
    assert_true(account_grant(s->accounts, &TESTER, "token", str_of(t->token), STR_LIT("technologist"), str_of(scope), 0, NULL));
}

static void make_all(struct server *s, const struct target *t) {
    char scope[32];
    snprintf(scope, sizeof scope, "tenant:%s", t->tenant);
    make_user_of(s, t, scope);
    make_token_of(s, t, scope);
    make_peer(s, t->peer, t->tenant);
    assert_true(account_site_set(s->accounts, &TESTER, str_of(t->place), str_of(t->user), NULL));
}

// As it was, whatever became of it.
static void make_own_again(struct server *s, const char *noun) {
    if (strcmp(noun, "user") == 0) {
        account_user_remove(s->accounts, &TESTER, str_of(OWN.user), NULL);
        make_user_of(s, &OWN, "tenant:T");
    } else if (strcmp(noun, "token") == 0) {
        account_token_revoke(s->accounts, &TESTER, str_of(OWN.token), NULL);
        make_token_of(s, &OWN, "tenant:T");
    } else if (strcmp(noun, "peer") == 0) {
        peer_remove(s->f->ar, &TESTER, str_of(OWN.peer), NULL);
        make_peer(s, OWN.peer, OWN.tenant);
    }
}

static void store(struct fixture *f, const struct target *t) {
    char series[32], sop[32];
    const struct principal p = {
        .kind = PRINCIPAL_PEER, .name = STR_LIT("peer"), .grants = PRINCIPAL_OF_SYSTEM.grants, .grant_count = 1, .home.tenant = str_of(t->tenant)};
    const struct actor who = {.door = DOOR_DIMSE, .principal = &p};
    struct ingest_result r;
    struct err e = {0};
    snprintf(series, sizeof series, "%s.5", t->study);
    snprintf(sop, sizeof sop, "%s.5.1", t->study);
    make_object(f, &(struct sample){.study = t->study, .series = series, .sop = sop, .name = t->user, .patient_id = t->user});
    struct ingest *in = ingest_begin(f->ar, &who, NULL, &e);
    if (!in || !ingest_write(in, f->object.p, f->object.n, &e) || !ingest_commit(in, &r, &e)) fail_msg("%s", e.message);
}

static int set_up(void **state) {
    static struct server s;
    struct err e = {0};
    s = (struct server){0};
    if (fixture_setup((void **)&s.f) != 0) return -1;
    if (!audit_start(s.f->ar, &(struct audit_options){0}, &e) || !accounts_open(s.f->ar, NULL, &s.accounts, &e)) fail_msg("%s", e.message);
    make_user(&s, "boss", "administrator", "*");
    make_all(&s, &OWN);
    make_all(&s, &FOREIGN);
    store(s.f, &OWN);
    store(s.f, &FOREIGN);
    make_askers(&s);
    s.door = (struct admin_door){.archive = s.f->ar, .accounts = s.accounts};
    s.mounts[0] = (struct http_mount){"", ADMIN_ROUTES, &s.door};
    const struct http_options o = {.address = "127.0.0.1", .mounts = s.mounts, .authorise = authorise, .authorise_context = &s};
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
    accounts_close(s->accounts);
    return fixture_teardown((void **)&s->f);
}

// ---- asking ----

static unsigned post(struct server *s, const char *noun, const char *verb, const char *body, unsigned asker, struct buf *out) {
    char request[REQUEST_BYTES];
    unsigned status = 0;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(http_server_port(s->http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int n = snprintf(request, sizeof request,
                     "POST /api/admin/%s/%s HTTP/1.1\r\nHost: localhost\r\nAsker: %u\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: "
                     "%zu\r\n\r\n%s",
                     noun, verb, asker, strlen(body), body);
    buf_clear(out);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, request, (size_t)n, MSG_NOSIGNAL), n);
    for (ssize_t got = 1; got > 0;) {
        char *room = buf_reserve(out, 16 * 1024);
        assert_non_null(room);
        got = recv(fd, room, 16 * 1024, 0);
        if (got > 0) out->n += (size_t)got;
    }
    close(fd);
    buf_addc(out, '\0');
    assert_int_equal(sscanf(out->p, "HTTP/1.1 %u", &status), 1);
    s->cases++;
    return status;
}

static const char *named(const char *noun, const struct target *t) {
    return strcmp(noun, "token") == 0 ? t->token : strcmp(noun, "peer") == 0 ? t->peer : t->user;
}

// What each field says where it must be said, or says which one is meant.
static void put_field(struct buf *to, const struct admin_operation *op, const struct admin_field *f, const struct target *t) {
    const struct {
        const char *name, *value;
        bool always;
    } VALUES[] = {{"name", named(op->noun, t), true},
                  {"owner", t->user, op->reads},
                  {"place", t->place, true},
                  {"study", t->study, true},
                  {"user", "boss", true},
                  {"realm", "T", true},
                  {"role", "viewer", true},
                  {"scope", "tenant:T", true},
                  {"state", "on", true},
                  {"label", "L", true},
                  {"verdict", "justified", true},
                  {"reason", "somebody is in need", true}};
    const char *value = f->required ? "x" : NULL;
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++)
        if (strcmp(f->name, VALUES[i].name) == 0 && VALUES[i].always) value = VALUES[i].value;
    if (strcmp(f->name, "network") == 0) value = "10.0.0.8";
    if (!value) return;
    if (to->n > 1) buf_addc(to, ',');
    if (f->type == ADMIN_LIST)
        buf_addf(to, "\"%s\":[\"%s\"]", f->name, value);
    else if (f->type == ADMIN_NUMBER)
        buf_addf(to, "\"%s\":999", f->name);
    else
        buf_addf(to, "\"%s\":\"%s\"", f->name, value);
}

static unsigned ask(struct server *s, const struct admin_operation *op, const struct target *t, unsigned asker, struct buf *out) {
    struct buf body;
    buf_init(&body, REQUEST_BYTES);
    buf_addc(&body, '{');
    for (const struct admin_field *f = op->fields; f && f->name; f++) put_field(&body, op, f, t);
    buf_addz(&body, "}");
    buf_addc(&body, '\0');
    unsigned status = post(s, op->noun, op->verb, body.p, asker, out);
    buf_deinit(&body);
    return status;
}

// ---- judging ----

// Lines that differ from answer to answer, and the names that were asked for.
static void make_plain(struct buf *answer, const struct target *t) {
    const char *const names[] = {t->user, t->token, t->peer, t->place, t->study};
    static const char *const lines[] = {"\r\nDate: ", "\r\ntraceresponse: "};
    for (size_t i = 0; i < 2; i++) {
        char *at = strstr(answer->p, lines[i]);
        for (at = at ? at + 2 : NULL; at && *at && *at != '\r'; at++) *at = '.';
    }
    for (size_t i = 0; i < 5; i++)
        for (char *at = answer->p; (at = strstr(at, names[i]));) memset(at, '*', strlen(names[i]));
}

static bool shows(const struct buf *answer, const struct target *t) {
    return strstr(answer->p, t->user) || strstr(answer->p, t->token) || strstr(answer->p, t->peer) || strstr(answer->p, t->study) ||
           strstr(answer->p, t->place);
}

static bool makes_one(const struct admin_operation *op) {
    return strcmp(op->verb, "add") == 0 && (strcmp(op->noun, "user") == 0 || strcmp(op->noun, "token") == 0 || strcmp(op->noun, "peer") == 0);
}

// What is out of reach is answered as what is not there; of a new one's name, as a name that is taken nearer.
static void judge_hidden(struct server *s, const struct admin_operation *op, unsigned asker, const struct target *hidden, const struct target *like) {
    const char *role = s->askers[asker].grant.role.p;
    unsigned status = ask(s, op, hidden, asker, &s->answer);
    ask(s, op, like, asker, &s->other);
    make_plain(&s->answer, hidden);
    make_plain(&s->other, like);
    if (strcmp(s->answer.p, s->other.p) != 0)
        fail_msg("%s %s by %s %u tells %s:\n%s\n%s", op->noun, op->verb, role, asker, hidden->user, s->answer.p, s->other.p);
    if (status / 100 == 2 && !op->reads) fail_msg("%s %s by %s %u: %u of %s", op->noun, op->verb, role, asker, status, hidden->user);
}

static void judge(struct server *s, const struct admin_operation *op, unsigned asker) {
    const struct asker *a = &s->askers[asker];
    bool has = a->grant.permissions & ACCESS_BIT(op->permission), may = has && op->scoped, whole = a->grant.scope.kind == SCOPE_TENANT;
    const char *role = a->grant.role.p;
    if (strcmp(op->noun, "glass") == 0) return; // of no account
    if (may && whole && !op->reads) make_own_again(s, op->noun);
    unsigned status = ask(s, op, &OWN, asker, &s->answer);
    if (shows(&s->answer, &FOREIGN)) fail_msg("%s %s by %s %u shows what is another tenant's: %s", op->noun, op->verb, role, asker, s->answer.p);
    if (!may && status != 403) fail_msg("%s %s by %s %u: %u, and not 403", op->noun, op->verb, role, asker, status);
    if (may && whole && (status == 401 || status == 403 || status == 404 || status >= 500))
        fail_msg("%s %s by %s %u: %u of what may be had: %s", op->noun, op->verb, role, asker, status, s->answer.p);
    if (may && whole && op->reads && op->fields == NULL && strcmp(op->noun, "role") != 0 && !shows(&s->answer, &OWN))
        fail_msg("%s %s by %s %u does not show what is there: %s", op->noun, op->verb, role, asker, s->answer.p);
    if (may && !whole && shows(&s->answer, &OWN) && op->fields == NULL) fail_msg("%s %s by %s %u shows too much", op->noun, op->verb, role, asker);
    judge_hidden(s, op, asker, &FOREIGN, makes_one(op) ? &OWN : &MISSING);
    if (may && !whole && !makes_one(op) && strcmp(op->noun, "label") != 0 && strcmp(op->noun, "assign") != 0) judge_hidden(s, op, asker, &OWN, &MISSING);
}

// A password takes its time, whoever asks: of those with narrower scopes one is enough.
static bool is_slow(const struct server *s, const struct admin_operation *op, unsigned asker) {
    enum access_scope_kind kind = s->askers[asker].grant.scope.kind;
    bool hashes = strcmp(op->noun, "user") == 0 && (strcmp(op->verb, "add") == 0 || strcmp(op->verb, "password") == 0);
    return hashes && kind != SCOPE_TENANT && kind != SCOPE_SITE;
}

static void no_operation_tells_anybody_of_another_tenants_accounts(void **state) {
    struct server *s = *state;
    for (const struct admin_operation *const *table = ADMIN_TABLES; *table; table++)
        for (const struct admin_operation *op = *table; op->noun; op++)
            for (unsigned i = 0; i < s->asker_count; i++)
                if (!is_slow(s, op, i)) judge(s, op, i);
    assert_true(s->cases >= CASES_AT_LEAST);
    print_message("%u requests\n", s->cases);
}

// ---- by hand: the administrator of a tenant at work, and at mischief ----

struct attempt {
    const char *noun, *verb, *body;
    unsigned status;
};

static void try_all(struct server *s, const struct attempt *all, size_t count, unsigned asker) {
    for (size_t i = 0; i < count; i++) {
        unsigned status = post(s, all[i].noun, all[i].verb, all[i].body, asker, &s->answer);
        if (status != all[i].status) fail_msg("%s %s %s: %u and not %u: %s", all[i].noun, all[i].verb, all[i].body, status, all[i].status, s->answer.p);
    }
}

static int64_t id_of(struct server *s, const char *table, const char *name) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT id FROM %s WHERE name = '%s'", table, name);
    return count_rows(s->f, sql);
}

static unsigned add_admin(struct server *s) {
    make_user(s, "head", "administrator", "tenant:T");
    add_asker(s, "administrator", ACCESS_ALL_BITS, "tenant:T", id_of(s, "users", "head"));
    return s->asker_count - 1;
}

static void the_administrator_of_a_tenant_keeps_its_accounts(void **state) {
    static const struct attempt WORK[] = {
        {"user", "add", "{\"name\":\"li.wei\",\"role\":\"radiologist\"}", 200}, // within the own scope, when none is said
        {"user", "show", "{\"name\":\"li.wei\"}", 200},
        {"user", "set", "{\"name\":\"li.wei\",\"display\":\"李伟\",\"state\":\"off\"}", 200},
        {"user", "set", "{\"name\":\"li.wei\",\"state\":\"on\"}", 200},
        {"user", "password", "{\"name\":\"li.wei\"}", 200},
        {"user", "unlock", "{\"name\":\"li.wei\",\"second-factor\":true}", 200},
        {"user", "grant", "{\"name\":\"li.wei\",\"role\":\"administrator\",\"scope\":\"site:T/S\"}", 200},
        {"user", "ungrant", "{\"name\":\"li.wei\",\"role\":\"administrator\",\"scope\":\"site:T/S\"}", 200},
        {"user", "ungrant", "{\"name\":\"li.wei\",\"role\":\"radiologist\"}", 409}, // nobody's it would be
        {"session", "end", "{\"name\":\"li.wei\"}", 200},
        {"token", "add", "{\"name\":\"mirror\",\"role\":\"viewer\",\"owner\":\"li.wei\"}", 200},
        {"token", "grant", "{\"name\":\"mirror\",\"role\":\"service\",\"scope\":\"site:T/S\"}", 200},
        {"token", "renew", "{\"name\":\"mirror\"}", 200},
        {"token", "revoke", "{\"name\":\"mirror\"}", 200},
        {"peer", "add", "{\"name\":\"CT7\",\"network\":[\"10.0.7.7\"],\"realm\":\"T/S\"}", 200},
        {"peer", "set", "{\"name\":\"CT7\",\"state\":\"off\"}", 200},
        {"peer", "remove", "{\"name\":\"CT7\"}", 200},
        {"site", "set", "{\"place\":\"T/S/新科室\",\"display\":\"新科室\"}", 200},
        {"assign", "add", "{\"study\":\"1.2.1\",\"user\":\"ownhere.user\"}", 200},
        {"assign", "add", "{\"study\":\"1.2.1\",\"user\":\"roaming.user\"}", 200}, // who reads for any
        {"user", "remove", "{\"name\":\"li.wei\"}", 200},
    };
    struct server *s = *state;
    unsigned head = add_admin(s);
    make_user(s, "roaming.user", "tele-radiologist", "assigned");
    try_all(s, WORK, sizeof WORK / sizeof *WORK, head);
    assert_int_equal(post(s, "site", "list", "{}", head, &s->answer), 200);
    assert_non_null(strstr(s->answer.p, "新科室"));
    assert_int_equal(count_rows(s->f, "SELECT count(*) FROM events WHERE type = 'user.added' AND detail LIKE '%li.wei%'"), 1);
}

// Everything that accounts are made of, in a number.
static int64_t sum_of(struct server *s) {
    return count_rows(s->f,
                      "SELECT (SELECT count(*) * 1000003 + coalesce(sum(changed_ms), 0) FROM users) + (SELECT count(*) * 10007 + coalesce(sum(id), 0) FROM "
                      "grants) + (SELECT count(*) * 101 + coalesce(sum(created_ms + revoked_ms), 0) FROM tokens) + (SELECT count(*) * 1009 + "
                      "coalesce(sum(changed_ms), 0) FROM peers) + (SELECT count(*) FROM realms) + (SELECT count(*) FROM roles)");
}

static void nobody_climbs_out_of_his_tenant(void **state) {
    static const struct attempt MISCHIEF[] = {
        // somebody else's password, second factor, session, state
        {"user", "password", "{\"name\":\"boss\"}", 404},
        {"user", "password", "{\"name\":\"foreign.user\",\"password\":\"seven purple elephants\"}", 404},
        {"user", "password", "{\"name\":\"both.user\"}", 404},
        {"user", "password", "{\"name\":\"once.user\"}", 404},
        {"user", "password", "{\"name\":\"nowhere.user\"}", 404},
        {"user", "password", "{\"name\":\"roaming.user\"}", 404},
        {"user", "unlock", "{\"name\":\"boss\",\"second-factor\":true}", 404},
        {"user", "set", "{\"name\":\"boss\",\"state\":\"off\"}", 404},
        {"user", "remove", "{\"name\":\"both.user\"}", 404},
        {"session", "end", "{\"name\":\"boss\"}", 404},
        // a role with more, a wider scope
        {"user", "add", "{\"name\":\"crony\",\"role\":\"administrator\",\"scope\":\"*\"}", 403},
        {"user", "add", "{\"name\":\"crony\",\"role\":\"viewer\",\"scope\":\"tenant:F\"}", 403},
        {"user", "add", "{\"name\":\"crony\",\"role\":\"viewer\",\"scope\":\"tenant:\"}", 403},
        {"user", "add", "{\"name\":\"crony\",\"role\":\"viewer\",\"scope\":\"assigned\"}", 403},
        {"user", "add", "{\"name\":\"crony\"}", 400},
        {"user", "grant", "{\"name\":\"ownhere.user\",\"role\":\"viewer\",\"scope\":\"*\"}", 403},
        {"user", "grant", "{\"name\":\"ownhere.user\",\"role\":\"viewer\",\"scope\":\"label:F/L\"}", 403},
        {"user", "grant", "{\"name\":\"foreign.user\",\"role\":\"viewer\",\"scope\":\"tenant:T\"}", 404}, // draws nobody over
        {"user", "grant", "{\"name\":\"nowhere.user\",\"role\":\"viewer\",\"scope\":\"tenant:T\"}", 404},
        {"user", "ungrant", "{\"name\":\"both.user\",\"role\":\"viewer\",\"scope\":\"tenant:F\"}", 404},
        {"role", "set", "{\"name\":\"mine\",\"permission\":[\"user.write\"]}", 403},
        {"role", "remove", "{\"name\":\"desk\"}", 403},
        // oneself
        {"user", "grant", "{\"name\":\"head\",\"role\":\"viewer\",\"scope\":\"tenant:T\"}", 403},
        {"user", "ungrant", "{\"name\":\"head\",\"role\":\"administrator\",\"scope\":\"tenant:T\"}", 403},
        {"user", "password", "{\"name\":\"head\"}", 403},
        {"user", "unlock", "{\"name\":\"head\",\"second-factor\":true}", 403},
        {"user", "set", "{\"name\":\"head\",\"state\":\"on\"}", 403},
        {"user", "remove", "{\"name\":\"head\"}", 403},
        // a token for somebody else, or of somebody else
        {"token", "add", "{\"name\":\"key\",\"role\":\"viewer\",\"owner\":\"boss\"}", 404},
        {"token", "add", "{\"name\":\"key\",\"role\":\"viewer\",\"owner\":\"foreign.user\"}", 404},
        {"token", "add", "{\"name\":\"key\",\"role\":\"administrator\",\"scope\":\"*\"}", 403},
        {"token", "grant", "{\"name\":\"ownhere.token\",\"role\":\"viewer\",\"scope\":\"tenant:F\"}", 403},
        {"token", "renew", "{\"name\":\"foreign.token\"}", 404},
        {"token", "renew", "{\"name\":\"lent.token\"}", 404}, // within the tenant, but another's
        {"token", "revoke", "{\"name\":\"foreign.token\"}", 404},
        // a peer elsewhere, nowhere, everywhere, or in another's name
        {"peer", "add", "{\"name\":\"X\",\"network\":[\"10.0.0.7\"],\"realm\":\"F\"}", 403},
        {"peer", "add", "{\"name\":\"X\",\"network\":[\"10.0.0.7\"]}", 403},
        {"peer", "add", "{\"name\":\"X\",\"network\":[\"10.0.0.7\"],\"realm\":\"T\",\"scope\":\"*\"}", 403},
        {"peer", "add", "{\"name\":\"X\",\"network\":[\"0.0.0.0/0\"],\"realm\":\"T\",\"aet\":\"\"}", 403},
        {"peer", "add", "{\"name\":\"X\",\"network\":[\"10.0.0.7\"],\"realm\":\"T\",\"aet\":\"FOREIGNPEER\"}", 409},
        {"peer", "set", "{\"name\":\"OWNHEREPEER\",\"realm\":\"F\"}", 403},
        {"peer", "set", "{\"name\":\"OWNHEREPEER\",\"realm\":\"\"}", 403},
        {"peer", "set", "{\"name\":\"OWNHEREPEER\",\"scope\":\"tenant:F\"}", 403},
        {"peer", "set", "{\"name\":\"OWNHEREPEER\",\"aet\":\"\"}", 403},
        {"peer", "set", "{\"name\":\"FOREIGNPEER\",\"state\":\"off\"}", 404},
        {"peer", "remove", "{\"name\":\"FOREIGNPEER\"}", 404},
        {"site", "set", "{\"place\":\"F/S\",\"display\":\"x\"}", 403},
        {"site", "set", "{\"place\":\"\",\"display\":\"x\"}", 400},
        {"assign", "add", "{\"study\":\"1.2.1\",\"user\":\"foreign.user\"}", 404},
        {"assign", "add", "{\"study\":\"1.2.1\",\"user\":\"missing.user\"}", 404},
        // what is of the whole server
        {"audit", "search", "{}", 403},
        {"audit", "retain", "{\"keep-days\":1}", 403},
    };
    struct server *s = *state;
    unsigned head = add_admin(s);
    make_user(s, "both.user", "viewer", "tenant:T");
    make_user(s, "once.user", "viewer", "tenant:T");
    make_user(s, "nowhere.user", "", "");
    make_user(s, "roaming.user", "tele-radiologist", "assigned");
    make_token(s, "lent.token", "foreign.user", "viewer", "tenant:T");
    assert_true(account_grant(s->accounts, &TESTER, "user", STR_LIT("both.user"), STR_LIT("viewer"), STR_LIT("tenant:F"), 0, NULL));
    assert_true(account_grant(s->accounts, &TESTER, "user", STR_LIT("once.user"), STR_LIT("viewer"), STR_LIT("tenant:F"), clock_wall_ms() - 1, NULL));
    int64_t before = sum_of(s);
    try_all(s, MISCHIEF, sizeof MISCHIEF / sizeof *MISCHIEF, head);
    assert_int_equal(sum_of(s), before);
    post(s, "assign", "add", "{\"study\":\"1.2.1\",\"user\":\"foreign.user\"}", head, &s->answer);
    post(s, "assign", "add", "{\"study\":\"1.2.1\",\"user\":\"missing.user\"}", head, &s->other);
    make_plain(&s->answer, &FOREIGN);
    make_plain(&s->other, &MISSING);
    assert_string_equal(s->answer.p, s->other.p);
    assert_int_equal(post(s, "user", "list", "{}", head, &s->answer), 200);
    assert_true(shows(&s->answer, &OWN) && !strstr(s->answer.p, "boss") && !strstr(s->answer.p, "both") && !strstr(s->answer.p, "tenant:F"));
}

// One who keeps a tenant's accounts and may little else.
static void who_may_less_than_those_he_keeps_does_not_become_them(void **state) {
    static const struct attempt MISCHIEF[] = {
        {"user", "show", "{\"name\":\"head\"}", 200},
        {"user", "password", "{\"name\":\"head\"}", 403},
        {"user", "remove", "{\"name\":\"head\"}", 403},
        {"user", "grant", "{\"name\":\"clerk2\",\"role\":\"administrator\",\"scope\":\"tenant:T\"}", 403},
        {"user", "grant", "{\"name\":\"clerk2\",\"role\":\"viewer\",\"scope\":\"tenant:T\"}", 403},
        {"user", "add", "{\"name\":\"crony\",\"role\":\"radiologist\",\"scope\":\"tenant:T\"}", 403},
        {"token", "add", "{\"name\":\"key\",\"role\":\"administrator\",\"scope\":\"tenant:T\",\"owner\":\"head\"}", 403},
        {"token", "renew", "{\"name\":\"head.token\"}", 403},
        {"peer", "add", "{\"name\":\"X\",\"network\":[\"10.0.0.7\"],\"realm\":\"T\"}", 403}, // it would send and find
        {"user", "set", "{\"name\":\"clerk2\",\"display\":\"x\"}", 200},
    };
    static const enum permission HAS[] = {ACCESS_OPEN,       ACCESS_SELF,        ACCESS_LOCAL,     ACCESS_USER_READ,
                                          ACCESS_USER_WRITE, ACCESS_TOKEN_WRITE, ACCESS_PEER_READ, ACCESS_PEER_WRITE};
    struct server *s = *state;
    struct str names[8];
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++) bits |= ACCESS_BIT(HAS[i]), names[i] = str_of(access_permission_name(HAS[i]));
    assert_true(account_role_set(s->accounts, &TESTER, STR_LIT("clerk"), names, 8, STR_LIT(""), NULL));
    make_user(s, "head", "administrator", "tenant:T");
    make_user(s, "clerk1", "clerk", "tenant:T");
    make_user(s, "clerk2", "clerk", "tenant:T");
    make_token(s, "head.token", "head", "administrator", "tenant:T");
    add_asker(s, "clerk", bits, "tenant:T", id_of(s, "users", "clerk1"));
    try_all(s, MISCHIEF, sizeof MISCHIEF / sizeof *MISCHIEF, s->asker_count - 1);
}

// A token of the administrator's is as little his key to himself.
static void a_token_does_not_turn_on_its_owner(void **state) {
    static const struct attempt MISCHIEF[] = {
        {"user", "password", "{\"name\":\"head\"}", 403},
        {"user", "grant", "{\"name\":\"head\",\"role\":\"viewer\",\"scope\":\"tenant:T\"}", 403},
        {"token", "grant", "{\"name\":\"head.token\",\"role\":\"viewer\",\"scope\":\"tenant:T\"}", 403},
        {"user", "set", "{\"name\":\"ownhere.user\",\"display\":\"x\"}", 200},
    };
    struct server *s = *state;
    add_admin(s);
    make_token(s, "head.token", "head", "administrator", "tenant:T");
    struct asker *a = add_asker(s, "administrator", ACCESS_ALL_BITS, "tenant:T", id_of(s, "tokens", "head.token"));
    a->principal.kind = PRINCIPAL_TOKEN;
    try_all(s, MISCHIEF, sizeof MISCHIEF / sizeof *MISCHIEF, s->asker_count - 1);
}

// What is given by who has it for a while would outlast him: a token that is not his own goes on by itself.
static void who_administers_for_a_while_gives_nothing_lasting(void **state) {
    static const struct attempt MISCHIEF[] = {
        {"user", "add", "{\"name\":\"crony\",\"role\":\"viewer\"}", 403},
        {"user", "grant", "{\"name\":\"ownhere.user\",\"role\":\"viewer\"}", 403},
        {"token", "add", "{\"name\":\"key\",\"role\":\"administrator\",\"days\":5}", 403},
        {"token", "add", "{\"name\":\"key\",\"role\":\"viewer\",\"owner\":\"ownhere.user\",\"days\":5}", 403},
        {"token", "add", "{\"name\":\"key\",\"role\":\"viewer\",\"owner\":\"head\",\"days\":9}", 403},
        {"token", "add", "{\"name\":\"key\",\"role\":\"administrator\",\"owner\":\"head\",\"days\":5}", 200},
    };
    struct server *s = *state;
    unsigned head = add_admin(s);
    s->askers[head].grant.until_ms = clock_wall_ms() + (int64_t)7 * 24 * 3600 * 1000;
    try_all(s, MISCHIEF, sizeof MISCHIEF / sizeof *MISCHIEF, head);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(no_operation_tells_anybody_of_another_tenants_accounts),
        T(the_administrator_of_a_tenant_keeps_its_accounts),
        T(nobody_climbs_out_of_his_tenant),
        T(who_may_less_than_those_he_keeps_does_not_become_them),
        T(a_token_does_not_turn_on_its_owner),
        T(who_administers_for_a_while_gives_nothing_lasting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

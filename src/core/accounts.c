// Accounts: opening, transactions and events of their changes, the first administrator.
#include "core/accounts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/accounts_part.h"
#include "core/audit.h"
#include "sys/secret.h"
#include "text/fold.h"
#include "text/utf8.h"

enum { ONE_TIME_GROUPS = 5, ONE_TIME_GROUP = 5 };

struct hex accounts_hex(const uint8_t digest[DIGEST_BYTES]) {
    struct hex h;
    hex_encode(digest, DIGEST_BYTES, h.text);
    h.text[DIGEST_HEX] = '\0';
    return h;
}

bool accounts_secret(char hex[ACCOUNT_SECRET_HEX + 1], uint8_t digest[DIGEST_BYTES], struct err *e) {
    uint8_t random[ACCOUNT_SECRET_HEX / 2];
    if (!random_bytes(random, sizeof random, e)) return false;
    hex_encode(random, sizeof random, hex);
    hex[ACCOUNT_SECRET_HEX] = '\0';
    return digest_of(hex, ACCOUNT_SECRET_HEX, digest, e);
}

// Of 32 characters without 0, 1, o and l, which look like each other.
bool accounts_one_time(char out[ACCOUNT_SECRET_HEX + 1], struct err *e) {
    static const char DIGITS[] = "23456789abcdefghijkmnpqrstuvwxyz";
    uint8_t random[ONE_TIME_GROUPS * ONE_TIME_GROUP];
    if (!random_bytes(random, sizeof random, e)) return false;
    for (int i = 0; i < ONE_TIME_GROUPS * ONE_TIME_GROUP; i++) {
        if (i && i % ONE_TIME_GROUP == 0) *out++ = '-';
        *out++ = DIGITS[random[i] & 31];
    }
    *out = '\0';
    return true;
}

bool account_name_fold(struct arena *arena, struct str name, struct str *out, struct err *e) {
    static const char NONE[] = " \t\r\n/\\:;,*\"'<>|";
    if (!text_fold(arena, name, out, e)) return false;
    bool fits = out->n > 0 && out->n <= ACCOUNT_NAME_BYTES && utf8_valid(name);
    for (size_t i = 0; fits && i < out->n; i++) fits = (unsigned char)out->p[i] >= 0x20 && out->p[i] != 0x7f && !strchr(NONE, out->p[i]);
    return fits || err_set(e, ERR_USAGE, "accounts", "a name has 1 to %d bytes of letters, digits and . _ - @ +, without spaces", ACCOUNT_NAME_BYTES);
}

struct realm accounts_home(const struct access_grant *grants, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        enum access_scope_kind kind = grants[i].scope.kind;
        bool placed = kind == SCOPE_TENANT || kind == SCOPE_SITE || kind == SCOPE_DEPARTMENT || kind == SCOPE_LABEL;
        if (placed && grants[i].permissions & ACCESS_BIT(ACCESS_STUDY_STORE)) return grants[i].scope.realm;
    }
    return (struct realm){{"", 0}, {"", 0}, {"", 0}};
}

// ---- opening ----

bool accounts_open(struct archive *ar, const struct accounts_options *o, struct accounts **out, struct err *e) {
    char unknown[ACCOUNT_SECRET_HEX + 1];
    uint8_t digest[DIGEST_BYTES];
    struct accounts *a = calloc(1, sizeof *a);
    if (!a) return err_nomem(e, "accounts");
    a->ar = ar;
    a->idle_ms = 1000LL * (o && o->session_idle_s ? o->session_idle_s : SESSION_IDLE_S);
    a->absolute_ms = 1000LL * (o && o->session_absolute_s ? o->session_absolute_s : SESSION_ABSOLUTE_S);
    a->rules.least = o ? o->password_least : 0;
    if (o && o->breached_file) a->rules.breached_file = a->breached_file = strdup(o->breached_file);
    bool ok = !o || !o->breached_file || a->breached_file || err_nomem(e, "accounts");
    ok = ok && accounts_secret(unknown, digest, e) && password_hash(str_of(unknown), a->nobody, e);
    pthread_mutex_init(&a->lock, NULL);
    if (!ok) accounts_close(a);
    *out = ok ? a : NULL;
    return ok;
}

void accounts_close(struct accounts *a) {
    if (!a) return;
    for (unsigned i = 0; i < KNOWN_SETS; i++)
        for (unsigned k = 0; k < KNOWN_WAYS; k++) arena_deinit(&a->known[i][k].arena);
    pthread_mutex_destroy(&a->lock);
    free(a->breached_file);
    free(a);
}

// ---- changes ----

void accounts_forget(struct accounts *a) {
    pthread_mutex_lock(&a->lock);
    a->epoch++;
    pthread_mutex_unlock(&a->lock);
}

struct db *accounts_begin(struct accounts *a, struct err *e) {
    struct db *w = db_writer(a->ar->db, e);
    if (w && archive_begin(a->ar, w, e)) return w;
    if (w) db_rollback(w);
    if (w) events_settle(a->ar, false);
    db_return(a->ar->db, w);
    return NULL;
}

bool accounts_end(struct accounts *a, struct db *w, bool ok, struct err *e) {
    ok = ok && db_commit(w, e);
    if (!ok) db_rollback(w);
    events_settle(a->ar, ok);
    db_return(a->ar->db, w);
    accounts_forget(a); // also when it failed: the commit may have happened all the same
    return ok;
}

bool accounts_tell(struct accounts *a, struct db *w, const struct actor *who, const char *type, struct str more, struct err *e) {
    char actor[256];
    struct buf detail;
    struct json_writer j;
    buf_init(&detail, EVENT_DETAIL_MAX);
    json_init(&j, &detail, false);
    json_begin_object(&j);
    audit_put_actor(&j, who);
    json_put_strz(&j, "outcome", "success");
    if (more.n) {
        buf_addc(&detail, ',');
        buf_add_str(&detail, more);
    }
    json_end_object(&j);
    actor_text(who, actor);
    struct event ev = {.type = str_of(type), .actor = str_of(actor), .detail = buf_str(&detail)};
    bool ok = buf_ok(&detail, e) && event_append(a->ar, w, &ev, e);
    buf_deinit(&detail);
    return ok;
}

bool accounts_note(struct accounts *a, const struct actor *who, const char *type, const char *why, struct err *e) {
    char more[128] = "";
    if (why) snprintf(more, sizeof more, "\"reason\":\"%s\"", why);
    const struct audit_note n = {.type = type, .outcome = why ? AUDIT_DENIED : AUDIT_SUCCESS, .detail = str_of(more)};
    return audit_note(a->ar, who, &n, e);
}

// ---- the first administrator ----

static const struct actor STARTING = {.door = DOOR_JOB, .user = {"start", 5}};

static bool anybody(struct db *d, bool *there, struct err *e) {
    int64_t one;
    return sql_one(d, "SELECT 1 FROM users LIMIT 1", NULL, 0, &one, 1, there, e);
}

static bool make_first(struct accounts *a, struct db *w, struct arena *arena, const char *encoded, bool *made, struct err *e) {
    int64_t id, now = clock_wall_ms();
    bool there;
    *made = false;
    if (!anybody(w, &there, e)) return false;
    if (there) return true;
    if (!sql_insert(w,
                    "INSERT INTO users (name, display, password, must_change, created_ms, changed_ms) VALUES ('admin', 'Administrator', ?1, 1, ?2, ?2) "
                    "RETURNING id",
                    SQL_VALUES(SQL_T(str_of(encoded)), SQL_I(now)), &id, e))
        return false;
    *made = true;
    return grants_give(w, arena, (struct grant_holder){"user", id}, STR_LIT("administrator"), STR_LIT("*"), "admin", 0, e) && grants_changed(w, e) &&
           accounts_tell(a, w, &STARTING, "user.added", STR_LIT("\"name\":\"admin\",\"role\":\"administrator\",\"scope\":\"*\",\"first\":true"), e);
}

bool accounts_first(struct accounts *a, char secret[ACCOUNT_SECRET_HEX + 1], bool *made, struct err *e) {
    char encoded[PASSWORD_ENCODED_BYTES];
    struct arena arena;
    bool there;
    secret[0] = '\0';
    *made = false;
    struct db *d = db_reader(a->ar->db, e);
    bool ok = d && anybody(d, &there, e);
    db_return(a->ar->db, d);
    if (!ok || there) return ok;
    if (!accounts_one_time(secret, e) || !password_hash(str_of(secret), encoded, e)) return false;
    struct db *w = accounts_begin(a, e);
    arena_init(&arena, SCRATCH_BYTES_MAX);
    ok = w && make_first(a, w, &arena, encoded, made, e);
    if (w) ok = accounts_end(a, w, ok, e);
    arena_deinit(&arena);
    if (!ok || !*made) secret[0] = '\0';
    return ok;
}

// The PostgreSQL driver: connections in pipeline mode, statements prepared once per connection, parameters and results in binary.
//
// A connection is always in pipeline mode: what is sent together travels together. Statements without rows in the transaction of a writer are sent and
// not waited for; the next one that waits reads all their results. When one of them fails, the server passes over what follows it up to the next
// synchronisation, and the transaction is lost: `trouble` keeps why until it has been rolled back.
#include <libpq-fe.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "db/driver.h"
#include "db/pg_values.h"

enum {
    READERS = 12,
    READERS_MAX = 64,
    SIDES_MAX = 4,
    PARAMETERS_MAX = 64,
    STATEMENT_MS = 20 * 1000,             // deadline of a statement, when none is given
    MIGRATION_MS = 60 * 60 * 1000,        // building an index over a large table takes its time
    MIGRATION_LOCK_MS = 3 * 1000,         // what readers wait at most for a migration that waits for other readers
    IDLE_MS = 30 * 1000,                  // in a transaction: a node that stalls must not hold the archive's lock
    GRACE_MS = 10 * 1000,                 // beyond the server's own deadline
    BACK_OFF_MS = 100,                    // after the first failure to connect
    BACK_OFF_MAX_MS = 5 * 1000,           //
    IN_FLIGHT_MAX = 512,                  // statements that were not waited for
    IN_FLIGHT_BYTES_MAX = 1024 * 1024,    // and what they may take in memory before it is on its way
    RESULT_BYTES_MAX = 256 * 1024 * 1024, // of one statement
    STALE_NAMES_MAX = 64,                 // statements that the server still holds and nobody asks for
    NEWS_MS = 5 * 1000,                   // a listener looks by itself as often
    NEWS_APART_MS = 5,                    // it looks once for all that is told meanwhile
    SERVER_MIN = 130000
};

enum { LOCK_WRITER = 0x47414e57, LOCK_MIGRATION = 0x47414e4d }; // first half of the keys of advisory locks; the second is the schema's

// What is known of a statement's text since somebody prepared it: later connections need not ask.
struct known {
    struct known *next;
    char *sql;
    unsigned parameters, columns;
    Oid types[];
};

enum { KNOWN_BUCKETS = 256 };

struct server {
    char *url, *schema, *password, *node;
    unsigned statement_ms;
    int32_t lock_key;
    pthread_mutex_t lock; // guards what follows
    struct known *known[KNOWN_BUCKETS];
    unsigned failures;
    int64_t retry_at_ms;
    struct err why;
};

struct conn {
    PGconn *pg;
    bool transaction, lost;
    struct err trouble;        // the transaction's; kind ERR_NONE: none
    unsigned in_flight, syncs; // statements whose results were not read, synchronisations likewise
    size_t in_flight_bytes;
    uint64_t batch; // counts synchronisations
    unsigned names, stale;
    int64_t changes;
    int64_t wait_ms;
};

struct prepared {
    const struct known *known;
    char name[24];
    bool sent;
    uint64_t batch; // in which it was
    struct pg_bound *bound;
    char (*scratch)[PG_SCRATCH_BYTES]; // of parameters, then of columns
    PGresult *result;
    int row;
    bool ran;
};

static struct server *server_of(const struct db *d) {
    return db_pool_native(d->pool);
}

static struct conn *conn_of(const struct db *d) {
    return d->native;
}

static struct prepared *prepared_of(const struct db_stmt *s) {
    return s->native;
}

// ---- errors ----

static const struct {
    char prefix[6];
    enum err_kind kind;
} KINDS[] = {
    {"23", ERR_CONFLICT},   {"40001", ERR_BUSY},      {"40P01", ERR_BUSY},      {"55P03", ERR_BUSY},   {"0A000", ERR_BUSY}, // a plan of an older schema
    {"53100", ERR_FULL},    {"53", ERR_BUSY},         {"57014", ERR_TIMEOUT},   {"57P", ERR_NET},      {"25P03", ERR_NET},
    {"25006", ERR_NET}, // no longer the primary
    {"08", ERR_NET},        {"22021", ERR_BAD_INPUT}, {"22P05", ERR_BAD_INPUT}, {"54", ERR_TOO_LARGE}, {"58", ERR_IO},
    {"XX001", ERR_CORRUPT}, {"XX002", ERR_CORRUPT},
};

static enum err_kind kind_of(const char *state) {
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS && state; i++)
        if (strncmp(state, KINDS[i].prefix, strlen(KINDS[i].prefix)) == 0) return KINDS[i].kind;
    return ERR_INTERNAL;
}

static bool lost(struct db *d, const char *doing, struct err *e) {
    struct conn *c = conn_of(d);
    char why[160];
    snprintf(why, sizeof why, "%s", PQerrorMessage(c->pg));
    why[strcspn(why, "\n")] = '\0';
    c->lost = true;
    return err_set(e, ERR_NET, "db", "%.120s: the connection to PostgreSQL was lost%s%s", doing, *why ? ": " : "", why);
}

// Only the primary message: details quote values.
static bool failed(struct db *d, const PGresult *r, const char *doing, struct err *e) {
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE), *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    if (!state || PQstatus(conn_of(d)->pg) == CONNECTION_BAD) return lost(d, doing, e);
    enum err_kind kind = d->role == DB_FOR_READING && strcmp(state, "25006") == 0 ? ERR_INTERNAL : kind_of(state);
    if (kind == ERR_NET || strcmp(state, "0A000") == 0) conn_of(d)->lost = true;
    return err_set(e, kind, "db", "%.120s: %s (%s)", doing, message ? message : "failed", state);
}

// ---- waiting ----

static bool wait_socket(struct db *d, short events, int64_t deadline_ms, const char *doing, struct err *e) {
    struct conn *c = conn_of(d);
    struct pollfd p = {.fd = PQsocket(c->pg), .events = events};
    int64_t left = deadline_ms - clock_mono_ms();
    if (p.fd >= 0 && left > 0 && (poll(&p, 1, (int)left) > 0 || clock_mono_ms() < deadline_ms)) return true;
    c->lost = true;
    return p.fd < 0 ? lost(d, doing, e) : err_set(e, ERR_NET, "db", "%.120s: PostgreSQL did not answer within %lld ms", doing, (long long)c->wait_ms);
}

// Everything that was queued is on its way; what comes meanwhile is taken, so that neither side waits for the other for ever.
static bool flush(struct db *d, const char *doing, struct err *e) {
    struct conn *c = conn_of(d);
    int64_t deadline = clock_mono_ms() + c->wait_ms;
    int left;
    while ((left = PQflush(c->pg)) > 0)
        if (!wait_socket(d, POLLIN | POLLOUT, deadline, doing, e) || !PQconsumeInput(c->pg)) return c->lost ? false : lost(d, doing, e);
    return left == 0 || lost(d, doing, e);
}

// The next result; *out NULL: none of this statement are left.
static bool next_result(struct db *d, int64_t deadline_ms, const char *doing, PGresult **out, struct err *e) {
    struct conn *c = conn_of(d);
    while (PQisBusy(c->pg))
        if (!wait_socket(d, POLLIN, deadline_ms, doing, e) || !PQconsumeInput(c->pg)) return c->lost ? false : lost(d, doing, e);
    *out = PQgetResult(c->pg);
    return true;
}

// What was sent in a batch that failed may not have been prepared: it is prepared again, by another name.
static void forget_batch(struct db *d) {
    struct conn *c = conn_of(d);
    for (unsigned i = 0; i < d->statement_count; i++) {
        struct prepared *p = d->statements[i].native;
        if (!p->sent || p->batch != c->batch) continue;
        p->sent = false;
        c->stale++;
    }
}

// One result of a batch: an error is kept when it is the first. True: the batch is over.
static bool take_result(struct db *d, PGresult *r, const char *doing, PGresult **last, struct err *why) {
    struct conn *c = conn_of(d);
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        const char *n = PQcmdTuples(r);
        if (*n && strncmp(PQcmdStatus(r), "SELECT", 6) != 0) c->changes = strtoll(n, NULL, 10);
    }
    if (status == PGRES_FATAL_ERROR && !why->kind) failed(d, r, doing, why);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        PQclear(*last);
        *last = r;
        return false;
    }
    PQclear(r);
    return status == PGRES_PIPELINE_SYNC || c->lost;
}

// Reads up to the end of a batch. *last: the result of its last statement that has one.
static bool read_batch(struct db *d, const char *doing, PGresult **last, struct err *e) {
    struct conn *c = conn_of(d);
    struct err why = {0};
    int64_t deadline = clock_mono_ms() + c->wait_ms;
    unsigned gaps = 0; // between the results of two statements there is one
    for (bool over = false; !over;) {
        PGresult *r = NULL;
        if (!next_result(d, deadline, doing, &r, &why)) break;
        gaps = r ? 0 : gaps + 1;
        over = r ? take_result(d, r, doing, last, &why) : gaps > 1 && !lost(d, doing, &why);
    }
    if (why.kind) forget_batch(d);
    c->batch++;
    c->syncs--;
    if (!why.kind) return true;
    if (e) *e = why;
    return false;
}

// In a transaction a failure stays until it is rolled back.
static bool fail_with(struct db *d, const struct err *why, struct err *e) {
    if (conn_of(d)->transaction) conn_of(d)->trouble = *why;
    if (e) *e = *why;
    return false;
}

// All that is under way is waited for; the result of the last statement, when it is wanted.
static bool settle(struct db *d, const char *doing, PGresult **result, struct err *e) {
    struct conn *c = conn_of(d);
    struct err why = {0};
    PGresult *last = NULL;
    bool ok = PQpipelineSync(c->pg) || lost(d, doing, &why);
    if (ok) c->syncs++;
    ok = ok && flush(d, doing, &why);
    while (ok && c->syncs > 0) ok = read_batch(d, doing, &last, &why);
    while (c->syncs > 0 && !c->lost) read_batch(d, doing, &last, NULL);
    c->in_flight = 0;
    c->in_flight_bytes = 0;
    if (ok && result)
        *result = last;
    else
        PQclear(last);
    return ok || fail_with(d, &why, e);
}

// A transaction that is lost does nothing more.
static bool sound(const struct db *d, struct err *e) {
    const struct conn *c = conn_of(d);
    if (c->trouble.kind) {
        if (e) *e = c->trouble;
        return false;
    }
    return !c->lost || err_set(e, ERR_NET, "db", "the connection to PostgreSQL was lost");
}

static bool queued(struct db *d, int sent, size_t bytes, const char *doing, struct err *e) {
    struct conn *c = conn_of(d);
    if (!sent) {
        struct err why = {0};
        lost(d, doing, &why);
        return fail_with(d, &why, e);
    }
    c->in_flight++;
    c->in_flight_bytes += bytes;
    return true;
}

static bool queue_text(struct db *d, const char *sql, struct err *e) {
    return queued(d, PQsendQueryParams(conn_of(d)->pg, sql, 0, NULL, NULL, NULL, NULL, 1), strlen(sql), sql, e);
}

// ---- the server ----

static int32_t key_of(const char *schema) {
    uint32_t h = 2166136261u; // FNV-1a
    for (; *schema; schema++) h = (h ^ (unsigned char)*schema) * 16777619u;
    return (int32_t)h;
}

static char *copy_or_null(const char *z) {
    return z ? strdup(z) : NULL;
}

static bool read_password(const char *path, char **out, struct err *e) {
    char line[1024];
    FILE *f = fopen(path, "re");
    if (!f) return err_errno(e, ERR_IO, "db", "open the password file %s", path);
    bool ok = fgets(line, sizeof line, f);
    fclose(f);
    if (!ok) return err_set(e, ERR_USAGE, "db", "the password file %s is empty", path);
    line[strcspn(line, "\r\n")] = '\0';
    *out = strdup(line);
    explicit_bzero(line, sizeof line);
    return *out || err_nomem(e, "db");
}

// libpq's own message may quote the whole text, with a password.
static bool check_url(const char *url, struct err *e) {
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &why);
    bool ok = options;
    PQconninfoFree(options);
    PQfreemem(why);
    return ok || err_set(e, ERR_USAGE, "db", "the database's address is none: write postgresql://user@host:5432/database, or host=... dbname=...");
}

static bool open_server(struct db_pool *p, const struct db_options *o, struct err *e) {
    struct server *s = calloc(1, sizeof *s);
    if (!s) return err_nomem(e, "db");
    pthread_mutex_init(&s->lock, NULL);
    db_pool_set_native(p, s);
    s->url = strdup(o->url);
    s->schema = strdup(o->schema ? o->schema : "gantry");
    s->node = copy_or_null(o->node);
    s->statement_ms = o->statement_ms ? o->statement_ms : STATEMENT_MS;
    if (!s->url || !s->schema) return err_nomem(e, "db");
    s->lock_key = key_of(s->schema);
    return check_url(o->url, e) && (!o->password_file || read_password(o->password_file, &s->password, e));
}

static bool start(struct db_pool *p, struct err *e) {
    (void)p, (void)e;
    return true;
}

static void stop(struct db_pool *p) {
    (void)p;
}

static void close_server(struct db_pool *p) {
    struct server *s = db_pool_native(p);
    if (!s) return;
    for (unsigned i = 0; i < KNOWN_BUCKETS; i++)
        for (struct known *k = s->known[i], *next; k; k = next) {
            next = k->next;
            free(k->sql);
            free(k);
        }
    if (s->password) explicit_bzero(s->password, strlen(s->password));
    pthread_mutex_destroy(&s->lock);
    free(s->url);
    free(s->schema);
    free(s->password);
    free(s->node);
    free(s);
}

// ---- connecting ----

// What the address leaves open.
static const struct {
    const char *key, *value;
} DEFAULTS[] = {
    {"connect_timeout", "5"},  {"keepalives", "1"},           {"keepalives_idle", "10"},   {"keepalives_interval", "5"},
    {"keepalives_count", "3"}, {"tcp_user_timeout", "20000"}, {"client_encoding", "UTF8"}, {"target_session_attrs", "read-write"},
};

static const char *default_of(const struct server *s, const char *key, const char *node) {
    if (strcmp(key, "application_name") == 0) return node;
    if (strcmp(key, "password") == 0) return s->password;
    for (size_t i = 0; i < sizeof DEFAULTS / sizeof *DEFAULTS; i++)
        if (strcmp(key, DEFAULTS[i].key) == 0) return DEFAULTS[i].value;
    return NULL;
}

static PGconn *connect_with(const struct server *s, const char *name) {
    enum { OPTIONS_MAX = 64 };
    const char *keys[OPTIONS_MAX + 1] = {0}, *values[OPTIONS_MAX + 1] = {0};
    unsigned n = 0;
    PQconninfoOption *options = PQconninfoParse(s->url, NULL);
    for (PQconninfoOption *o = options; o && o->keyword && n < OPTIONS_MAX; o++) {
        const char *value = o->val ? o->val : default_of(s, o->keyword, name);
        if (!value) continue;
        keys[n] = o->keyword;
        values[n++] = value;
    }
    PGconn *pg = options ? PQconnectdbParams(keys, values, 0) : NULL;
    PQconninfoFree(options);
    return pg;
}

static bool cannot_connect(const PGconn *pg, struct err *e) {
    char why[300];
    snprintf(why, sizeof why, "%s", pg ? PQerrorMessage(pg) : "out of memory");
    why[strcspn(why, "\n")] = '\0';
    return err_set(e, ERR_NET, "db", "connect to PostgreSQL: %s", why);
}

static PGconn *connect_named(const struct server *s, const char *what, struct err *e) {
    char name[64];
    snprintf(name, sizeof name, "gantry%s%.40s%s", s->node ? " " : "", s->node ? s->node : "", what);
    PGconn *pg = connect_with(s, name);
    if (pg && PQstatus(pg) == CONNECTION_OK) return pg;
    cannot_connect(pg, e);
    PQfinish(pg);
    return NULL;
}

static bool check_server(const PGconn *pg, struct err *e) {
    const char *encoding = PQparameterStatus(pg, "server_encoding");
    if (PQserverVersion(pg) < SERVER_MIN)
        return err_set(e, ERR_UNSUPPORTED, "db", "PostgreSQL %d is too old: version 13 or newer is needed", PQserverVersion(pg) / 10000);
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return err_set(e, ERR_UNSUPPORTED, "db", "the database is in %s: create one with ENCODING 'UTF8' TEMPLATE template0",
                       encoding ? encoding : "an unknown encoding");
    return true;
}

// Plans are those of SQLite: along indexes, joins as they are written, made once. Tables are asked by key, and figures of a table that grows are always old.
static const char PLANS[] =
    "SET jit = off; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET join_collapse_limit = 1; "
    "SET plan_cache_mode = force_generic_plan; SET max_parallel_workers_per_gather = 0; ";

// Whoever answers for the server tells another number than the server does.
static void warn_of_pooler(const PGconn *pg, const PGresult *pid) {
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (PQntuples(pid) != 1 || strtol(PQgetvalue(pid, 0, 0), NULL, 10) == PQbackendPID(pg) || atomic_flag_test_and_set(&told)) return;
    log_line(LOG_WARN, "db", "PostgreSQL is reached through a pooler: it must keep one session for each connection (PgBouncer: pool_mode = session)");
}

// Of the server's own settings only those stay that are nobody's harm: a writer that took its snapshot with the lock, before the one who had it committed,
// would not see what that one wrote.
static bool configure(const struct server *s, PGconn *pg, enum db_role role, struct err *e) {
    char sql[1600];
    char *schema = PQescapeIdentifier(pg, s->schema, strlen(s->schema));
    if (!schema) return err_nomem(e, "db");
    snprintf(sql, sizeof sql,
             "SET search_path TO %s; SET statement_timeout = %u; SET lock_timeout = %u; SET idle_in_transaction_session_timeout = %d; SET timezone = 'UTC'; "
             "SET standard_conforming_strings = on; SET default_transaction_isolation = %s; %s%s%s"
             "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local'); SELECT pg_backend_pid()",
             schema, s->statement_ms, s->statement_ms, IDLE_MS, role == DB_FOR_READING ? "'repeatable read'" : "'read committed'", PLANS,
             PQserverVersion(pg) >= 140000 ? "SET client_connection_check_interval = 10000; " : "",
             role == DB_FOR_READING ? "SET default_transaction_read_only = on; " : "");
    PQfreemem(schema);
    PGresult *r = PQexec(pg, sql);
    bool ok = PQresultStatus(r) == PGRES_TUPLES_OK;
    if (ok) warn_of_pooler(pg, r);
    if (!ok) err_set(e, PQstatus(pg) == CONNECTION_OK ? ERR_UNSUPPORTED : ERR_NET, "db", "set up the connection to PostgreSQL: %.300s", PQerrorMessage(pg));
    PQclear(r);
    return ok;
}

static void be_silent(void *ctx, const char *message) { // "relation exists, skipping": nothing that anybody needs
    (void)ctx, (void)message;
}

static PGconn *connect_and_configure(const struct server *s, enum db_role role, struct err *e) {
    PGconn *pg = connect_named(s, "", e);
    if (!pg) return NULL;
    PQsetNoticeProcessor(pg, be_silent, NULL);
    if (check_server(pg, e) && configure(s, pg, role, e) && (PQenterPipelineMode(pg) || err_set(e, ERR_INTERNAL, "db", "no pipeline mode")) &&
        (PQsetnonblocking(pg, 1) == 0 || err_nomem(e, "db")))
        return pg;
    PQfinish(pg);
    return NULL;
}

// False at once while it is too early to try again: callers are told, not kept waiting. While nothing answers one at a time tries.
static bool may_try(struct server *s, struct err *e) {
    pthread_mutex_lock(&s->lock);
    int64_t now = clock_mono_ms();
    bool may = s->failures == 0 || now >= s->retry_at_ms;
    if (may)
        s->retry_at_ms = now + BACK_OFF_MAX_MS;
    else if (e)
        *e = s->why;
    pthread_mutex_unlock(&s->lock);
    return may;
}

static void note_try(struct server *s, bool ok, const struct err *why) {
    pthread_mutex_lock(&s->lock);
    if (ok) {
        if (s->failures > 0) log_line(LOG_INFO, "db", "PostgreSQL answers again");
        s->failures = 0;
    } else {
        int64_t wait = (int64_t)BACK_OFF_MS << (s->failures < 6 ? s->failures : 6);
        if (s->failures++ == 0) log_err(why, "tried again with growing pauses");
        s->retry_at_ms = clock_mono_ms() + (wait < BACK_OFF_MAX_MS ? wait : BACK_OFF_MAX_MS);
        s->why = *why;
    }
    pthread_mutex_unlock(&s->lock);
}

static int64_t usual_wait(const struct server *s) {
    return 2 * (int64_t)s->statement_ms + GRACE_MS;
}

static bool connect_server(struct db *d, struct err *e) {
    struct server *s = server_of(d);
    struct err why = {0};
    if (!may_try(s, e)) return false;
    struct conn *c = calloc(1, sizeof *c);
    if (!c) return err_nomem(e, "db");
    c->pg = connect_and_configure(s, d->role, &why);
    c->wait_ms = usual_wait(s);
    note_try(s, c->pg, &why);
    if (c->pg) {
        d->native = c;
        return true;
    }
    free(c);
    if (e) *e = why;
    return false;
}

static void disconnect(struct db *d) {
    struct conn *c = conn_of(d);
    PQfinish(c->pg);
    free(c);
}

// Unasked the server says only that it ends the connection, or that it was set up anew: either way another takes its place.
static bool usable(struct db *d) {
    struct conn *c = conn_of(d);
    struct pollfd p = {.fd = PQsocket(c->pg), .events = POLLIN};
    PGresult *r = NULL;
    while (!c->lost && c->syncs > 0 && read_batch(d, "COMMIT", &r, NULL)) continue;
    PQclear(r);
    return !c->lost && c->syncs == 0 && c->stale <= STALE_NAMES_MAX && PQstatus(c->pg) == CONNECTION_OK && poll(&p, 1, 0) == 0;
}

static bool is_lost(const struct db *d) {
    return conn_of(d)->lost;
}

// ---- transactions ----

static bool in_transaction(const struct db *d) {
    return conn_of(d) && conn_of(d)->transaction;
}

static bool lock_key(struct db *d, int first, struct err *e) {
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT pg_advisory_xact_lock(%d, %d)", first, server_of(d)->lock_key);
    return queue_text(d, sql, e);
}

// The writer has its place in the order before it goes on; others begin with their first statement.
static bool begin(struct db *d, struct err *e) {
    struct conn *c = conn_of(d);
    if (!sound(d, e) || !queue_text(d, "BEGIN", e)) return false;
    c->transaction = true;
    if (d->role != DB_FOR_WRITING) return true;
    return (lock_key(d, LOCK_WRITER, e) && settle(d, "take the archive's lock", NULL, e)) || (db_rollback(d), false);
}

// The end of a reader's transaction is sent and not waited for: nothing hangs on it.
static bool leave_transaction(struct db *d, const char *sql) {
    struct conn *c = conn_of(d);
    c->transaction = false;
    if (!queue_text(d, sql, NULL) || !PQpipelineSync(c->pg)) return false;
    c->syncs++;
    c->in_flight = 0;
    c->in_flight_bytes = 0;
    return PQflush(c->pg) >= 0;
}

static bool commit(struct db *d, struct err *e) {
    struct conn *c = conn_of(d);
    PGresult *r = NULL;
    if (d->role == DB_FOR_READING && sound(d, NULL)) return leave_transaction(d, "COMMIT") || lost(d, "COMMIT", e);
    if (!sound(d, e) || !queue_text(d, "COMMIT", e) || !settle(d, "COMMIT", &r, e)) return false;
    bool ok = strcmp(PQcmdStatus(r), "COMMIT") == 0;
    PQclear(r);
    c->transaction = false;
    c->wait_ms = usual_wait(server_of(d));
    return ok || err_set(e, ERR_INTERNAL, "db", "PostgreSQL rolled the transaction back");
}

// What is under way may have failed: it is synchronised with first, so that the server hears of the rollback.
static void rollback(struct db *d) {
    struct conn *c = conn_of(d);
    if (d->role == DB_FOR_READING && sound(d, NULL)) {
        if (!leave_transaction(d, "ROLLBACK")) c->lost = true;
        return;
    }
    c->transaction = false;
    c->trouble.kind = ERR_NONE;
    c->wait_ms = usual_wait(server_of(d));
    if (c->lost) return;
    if (c->in_flight > 0) settle(d, "ROLLBACK", NULL, NULL);
    if (!c->lost && queue_text(d, "ROLLBACK", NULL)) settle(d, "ROLLBACK", NULL, NULL);
}

// Several statements in one text: only the simple protocol takes that.
static bool exec_script(struct db *d, const char *sql, struct err *e) {
    struct conn *c = conn_of(d);
    if (c->in_flight > 0 && !settle(d, sql, NULL, e)) return false;
    PQexitPipelineMode(c->pg);
    struct err why = {0};
    bool ok = (PQsendQuery(c->pg, sql) || lost(d, sql, &why)) && flush(d, sql, &why);
    for (PGresult *r = NULL; !c->lost && next_result(d, clock_mono_ms() + c->wait_ms, sql, &r, &why) && r; PQclear(r))
        if (PQresultStatus(r) == PGRES_FATAL_ERROR && ok) ok = failed(d, r, sql, &why);
    ok = ok && !c->lost;
    if (!c->lost) PQenterPipelineMode(c->pg);
    return ok || fail_with(d, &why, e);
}

static bool is_script(const char *sql) {
    const char *end = strchr(sql, ';');
    return end && end[1 + strspn(end + 1, " \n")] != '\0';
}

static bool exec(struct db *d, const char *sql, struct err *e) {
    struct conn *c = conn_of(d);
    if (strncmp(sql, "ROLLBACK TO ", 12) == 0) {
        if (c->in_flight > 0) settle(d, sql, NULL, NULL); // whatever failed since is forgotten
        if (!c->lost) c->trouble.kind = ERR_NONE;
    }
    if (!sound(d, e)) return false;
    if (is_script(sql)) return exec_script(d, sql, e);
    return queue_text(d, sql, e) && settle(d, sql, NULL, e);
}

static int64_t changes(struct db *d) {
    if (conn_of(d)->in_flight > 0 && sound(d, NULL)) settle(d, "count rows", NULL, NULL);
    return conn_of(d)->changes;
}

static int64_t last_id(struct db *d) {
    PGresult *r = NULL;
    int64_t id = 0;
    if (!sound(d, NULL) || !queue_text(d, "SELECT lastval()", NULL) || !settle(d, "SELECT lastval()", &r, NULL)) return 0;
    if (PQntuples(r) == 1) id = pg_read_int(PQftype(r, 0), (struct str){PQgetvalue(r, 0, 0), (size_t)PQgetlength(r, 0, 0)});
    PQclear(r);
    return id;
}

// ---- migration ----

static bool has_schema(struct db *d, bool *has, struct err *e) {
    static const char sql[] = "SELECT 1 WHERE EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = ?1)";
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    db_bind_text(s, 1, str_of(server_of(d)->schema));
    enum db_step step = db_next(s, e);
    *has = step == DB_ROW;
    db_done(s);
    return step != DB_FAIL;
}

static bool create_schema(struct db *d, struct err *e) {
    bool has;
    if (!has_schema(d, &has, e)) return false;
    if (has) return true;
    char sql[256];
    char *schema = PQescapeIdentifier(conn_of(d)->pg, server_of(d)->schema, strlen(server_of(d)->schema));
    if (!schema) return err_nomem(e, "db");
    snprintf(sql, sizeof sql, "CREATE SCHEMA %s", schema);
    PQfreemem(schema);
    return exec(d, sql, e);
}

static bool migrate_begin(struct db *d, struct err *e) {
    char sql[160];
    struct conn *c = conn_of(d);
    c->wait_ms = MIGRATION_MS + GRACE_MS;
    snprintf(sql, sizeof sql, "SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = 0", MIGRATION_MS,
             MIGRATION_MS);
    if (!sound(d, e) || !queue_text(d, "BEGIN", e)) return false;
    c->transaction = true;
    if (!exec_script(d, sql, e) || !lock_key(d, LOCK_MIGRATION, e)) return false;
    snprintf(sql, sizeof sql, "SET LOCAL lock_timeout = %d", MIGRATION_LOCK_MS);
    return queue_text(d, sql, e) && settle(d, "wait for another node's migration", NULL, e) && create_schema(d, e);
}

// ---- statements ----

static uint32_t bucket_of(const char *sql) {
    return (uint32_t)key_of(sql) % KNOWN_BUCKETS;
}

static const struct known *find_known(struct server *s, const char *sql) {
    pthread_mutex_lock(&s->lock);
    const struct known *k = s->known[bucket_of(sql)];
    while (k && strcmp(k->sql, sql) != 0) k = k->next;
    pthread_mutex_unlock(&s->lock);
    return k;
}

static const struct known *add_known(struct server *s, const char *sql, const PGresult *described, struct err *e) {
    int n = PQnparams(described);
    if (n > PARAMETERS_MAX) return err_set(e, ERR_INTERNAL, "db", "a statement has %d parameters, more than %d", n, PARAMETERS_MAX), NULL;
    struct known *k = calloc(1, sizeof *k + (size_t)n * sizeof *k->types);
    char *copy = strdup(sql);
    if (!k || !copy) {
        free(k);
        free(copy);
        return err_nomem(e, "db"), NULL;
    }
    *k = (struct known){.sql = copy, .parameters = (unsigned)n, .columns = (unsigned)PQnfields(described)};
    for (int i = 0; i < n; i++) k->types[i] = PQparamtype(described, i);
    pthread_mutex_lock(&s->lock);
    struct known **bucket = &s->known[bucket_of(sql)];
    k->next = *bucket;
    *bucket = k;
    pthread_mutex_unlock(&s->lock);
    return k;
}

// A name that no other connection has: should a pooler mix sessions up, a statement is not found rather than taken for another's.
static bool queue_prepare(struct db *d, struct prepared *p, const char *sql, const struct known *k, struct err *e) {
    struct conn *c = conn_of(d);
    snprintf(p->name, sizeof p->name, "s%x_%u", (unsigned)PQbackendPID(c->pg), c->names++);
    if (!queued(d, PQsendPrepare(c->pg, p->name, sql, k ? (int)k->parameters : 0, k ? k->types : NULL), strlen(sql), sql, e)) return false;
    p->sent = true;
    p->batch = c->batch + c->syncs;
    return true;
}

// The first one of its text asks the server for its types.
static bool ask(struct db *d, struct prepared *p, const char *sql, struct err *e) {
    PGresult *r = NULL;
    if (!sound(d, e) || !queue_prepare(d, p, sql, NULL, e)) return false;
    if (!queued(d, PQsendDescribePrepared(conn_of(d)->pg, p->name), 0, sql, e) || !settle(d, sql, &r, e)) return false;
    p->known = add_known(server_of(d), sql, r, e);
    PQclear(r);
    return p->known;
}

static bool prepare(struct db_stmt *s, const char *sql, struct err *e) {
    struct prepared *p = calloc(1, sizeof *p);
    if (!p) return err_nomem(e, "db");
    p->known = find_known(server_of(s->db), sql);
    if (p->known || ask(s->db, p, sql, e)) {
        size_t places = p->known->parameters + p->known->columns + 1;
        p->bound = calloc(p->known->parameters + 1, sizeof *p->bound);
        p->scratch = calloc(places, sizeof *p->scratch);
        s->native = p;
        if (p->bound && p->scratch) return true;
        err_nomem(e, "db");
    }
    free(p->bound);
    free(p->scratch);
    free(p);
    s->native = NULL;
    return false;
}

static void finalize(struct db_stmt *s) {
    struct prepared *p = prepared_of(s);
    if (p->sent && s->db->native) conn_of(s->db)->stale++;
    PQclear(p->result);
    free(p->bound);
    free(p->scratch);
    free(p);
}

static void bind(struct db_stmt *s, int i, struct pg_bound v) {
    struct prepared *p = prepared_of(s);
    if (i >= 1 && (unsigned)i <= p->known->parameters) p->bound[i - 1] = v;
}

static void bind_int(struct db_stmt *s, int i, int64_t v) {
    bind(s, i, (struct pg_bound){.kind = PG_BOUND_INT, .i = v});
}

static void bind_double(struct db_stmt *s, int i, double v) {
    bind(s, i, (struct pg_bound){.kind = PG_BOUND_DOUBLE, .d = v});
}

static void bind_text(struct db_stmt *s, int i, struct str v) {
    const struct known *k = prepared_of(s)->known;
    if (v.p && i >= 1 && (unsigned)i <= k->parameters && pg_type_is_json(k->types[i - 1]) && pg_clean_json(v, NULL)) {
        char *copy = db_keep(s, v.n);
        if (copy) pg_clean_json(v, memcpy(copy, v.p, v.n));
        v = copy ? (struct str){copy, v.n} : STR_LIT("[]");
    }
    bind(s, i, (struct pg_bound){.kind = v.p ? PG_BOUND_TEXT : PG_BOUND_NULL, .s = v});
}

static void bind_blob(struct db_stmt *s, int i, struct str v) {
    bind(s, i, (struct pg_bound){.kind = v.p ? PG_BOUND_BLOB : PG_BOUND_NULL, .s = v});
}

static bool queue_execute(struct db_stmt *s, struct err *e) {
    struct prepared *p = prepared_of(s);
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX], formats[PARAMETERS_MAX];
    size_t bytes = 0;
    for (unsigned i = 0; i < p->known->parameters; i++) {
        struct pg_sent v;
        if (!pg_encode(p->known->types[i], (int)i + 1, &p->bound[i], p->scratch[i], &v, e)) return err_wrap(e, "%.120s", s->sql);
        values[i] = v.p;
        lengths[i] = v.n;
        formats[i] = v.binary;
        bytes += (size_t)v.n;
    }
    if (!p->sent && !queue_prepare(s->db, p, p->known->sql, p->known, e)) return false;
    return queued(s->db, PQsendQueryPrepared(conn_of(s->db)->pg, p->name, (int)p->known->parameters, values, lengths, formats, 1), bytes, s->sql, e);
}

// Sent and not waited for, unless much is under way already.
static bool leave(struct db_stmt *s, struct err *e) {
    struct conn *c = conn_of(s->db);
    if (c->in_flight >= IN_FLIGHT_MAX) return settle(s->db, s->sql, NULL, e);
    if (c->in_flight_bytes < IN_FLIGHT_BYTES_MAX) return true;
    struct err why = {0};
    c->in_flight_bytes = 0;
    return flush(s->db, s->sql, &why) || fail_with(s->db, &why, e);
}

static bool execute(struct db_stmt *s, struct err *e) {
    struct db *d = s->db;
    struct prepared *p = prepared_of(s);
    p->ran = true;
    p->row = -1;
    if (!sound(d, e) || !queue_execute(s, e)) return false;
    if (p->known->columns == 0 && conn_of(d)->transaction && d->role != DB_FOR_READING) return leave(s, e);
    if (!settle(d, s->sql, &p->result, e)) return false;
    return PQresultMemorySize(p->result) <= RESULT_BYTES_MAX ||
           err_set(e, ERR_TOO_LARGE, "db", "%.120s: more than %d MB of rows", s->sql, RESULT_BYTES_MAX >> 20);
}

static enum db_step next(struct db_stmt *s, struct err *e) {
    struct prepared *p = prepared_of(s);
    if (!p->ran && !execute(s, e)) return DB_FAIL;
    return ++p->row < PQntuples(p->result) ? DB_ROW : DB_END;
}

static bool value(struct db_stmt *s, int column, struct str *out, Oid *type) {
    struct prepared *p = prepared_of(s);
    if (!p->result || column < 0 || column >= PQnfields(p->result) || p->row < 0 || p->row >= PQntuples(p->result) || PQgetisnull(p->result, p->row, column))
        return false;
    *out = (struct str){PQgetvalue(p->result, p->row, column), (size_t)PQgetlength(p->result, p->row, column)};
    *type = PQftype(p->result, column);
    return true;
}

static int64_t get_int(struct db_stmt *s, int column) {
    struct str v;
    Oid type;
    return value(s, column, &v, &type) ? pg_read_int(type, v) : 0;
}

static double get_double(struct db_stmt *s, int column) {
    struct str v;
    Oid type;
    return value(s, column, &v, &type) ? pg_read_double(type, v) : 0;
}

static struct str get_text(struct db_stmt *s, int column) {
    struct prepared *p = prepared_of(s);
    struct str v;
    Oid type;
    if (!value(s, column, &v, &type)) return (struct str){NULL, 0};
    return pg_read_text(type, v, p->scratch[p->known->parameters + (unsigned)column]);
}

static struct str get_blob(struct db_stmt *s, int column) {
    struct str v;
    Oid type;
    return value(s, column, &v, &type) ? v : (struct str){NULL, 0};
}

static bool is_null(struct db_stmt *s, int column) {
    struct str v;
    Oid type;
    return !value(s, column, &v, &type);
}

static void done(struct db_stmt *s) {
    struct prepared *p = prepared_of(s);
    PQclear(p->result);
    p->result = NULL;
    p->ran = false;
    memset(p->bound, 0, p->known->parameters * sizeof *p->bound);
}

// ---- notifications ----

struct listener {
    struct server *server;
    void (*on_news)(void *ctx);
    void *ctx;
    char channel[64]; // as PostgreSQL takes it, quoted
    int wake;
    pthread_t thread;
};

// Two archives may share a database.
static void name_channel(const struct server *s, const char *channel, char out[64]) {
    snprintf(out, 64, "\"gantry_%.30s_%08x\"", channel, (unsigned)s->lock_key);
}

static bool notify(struct db *d, const char *channel, struct err *e) {
    char name[64], sql[80];
    name_channel(server_of(d), channel, name);
    snprintf(sql, sizeof sql, "NOTIFY %s", name);
    return sound(d, e) && queue_text(d, sql, e) && (conn_of(d)->transaction || settle(d, sql, NULL, e));
}

static PGconn *start_listening(const struct listener *l, struct err *e) {
    char sql[80];
    PGconn *pg = connect_named(l->server, " listener", e);
    if (!pg) return NULL;
    PQsetNoticeProcessor(pg, be_silent, NULL);
    snprintf(sql, sizeof sql, "LISTEN %s", l->channel);
    PGresult *r = PQexec(pg, sql);
    bool ok = PQresultStatus(r) == PGRES_COMMAND_OK || cannot_connect(pg, e);
    PQclear(r);
    if (ok) return pg;
    PQfinish(pg);
    return NULL;
}

// False: it is time to stop.
static bool rest(const struct listener *l, int fd, int64_t ms) {
    struct pollfd p[] = {{.fd = l->wake, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    poll(p, fd < 0 ? 1 : 2, (int)ms);
    return p[0].revents == 0;
}

// Several that came together are one piece of news.
static bool take_news(PGconn *pg) {
    if (!PQconsumeInput(pg) || PQstatus(pg) != CONNECTION_OK) return false;
    for (PGnotify *n; (n = PQnotifies(pg)); PQfreemem(n)) continue;
    return true;
}

static void *listen_on(void *arg) {
    struct listener *l = arg;
    PGconn *pg = NULL;
    int64_t pause = 0;
    while (rest(l, pg ? PQsocket(pg) : -1, pg ? NEWS_MS : pause)) {
        struct err e = {0};
        if (pg && !take_news(pg)) {
            PQfinish(pg);
            pg = NULL;
            log_line(LOG_WARN, "db", "the connection for PostgreSQL's notifications was lost: connecting anew");
        }
        if (!pg) pg = start_listening(l, &e);
        pause = pg ? 0 : pause < BACK_OFF_MAX_MS ? pause * 2 + BACK_OFF_MS : BACK_OFF_MAX_MS;
        if (pg) l->on_news(l->ctx);
        if (pg && !rest(l, -1, NEWS_APART_MS)) break;
    }
    PQfinish(pg);
    return NULL;
}

static bool listen_to_server(struct db_pool *p, const char *channel, void (*on_news)(void *ctx), void *ctx, void **out, struct err *e) {
    struct listener *l = calloc(1, sizeof *l);
    if (!l) return err_nomem(e, "db");
    *l = (struct listener){.server = db_pool_native(p), .on_news = on_news, .ctx = ctx, .wake = eventfd(0, EFD_CLOEXEC)};
    name_channel(l->server, channel, l->channel);
    bool ok = l->wake >= 0 || err_errno(e, ERR_IO, "db", "eventfd");
    if (ok && thread_start(&l->thread, "db-listener", listen_on, l, e)) {
        *out = l;
        return true;
    }
    if (l->wake >= 0) close(l->wake);
    free(l);
    return false;
}

static void unlisten(void *native) {
    struct listener *l = native;
    eventfd_write(l->wake, 1);
    pthread_join(l->thread, NULL);
    close(l->wake);
    free(l);
}

const struct db_driver DB_DRIVER_POSTGRES = {
    .engine = DB_POSTGRES,
    .readers = READERS,
    .connections_max = {[DB_FOR_READING] = READERS_MAX, [DB_FOR_WRITING] = 1, [DB_FOR_SIDE] = SIDES_MAX},
    .open = open_server,
    .start = start,
    .stop = stop,
    .close = close_server,
    .connect = connect_server,
    .disconnect = disconnect,
    .usable = usable,
    .in_transaction = in_transaction,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .exec = exec,
    .lost = is_lost,
    .notify = notify,
    .last_id = last_id,
    .changes = changes,
    .listen = listen_to_server,
    .unlisten = unlisten,
    .migrate_begin = migrate_begin,
    .prepare = prepare,
    .finalize = finalize,
    .bind_int = bind_int,
    .bind_double = bind_double,
    .bind_text = bind_text,
    .bind_blob = bind_blob,
    .next = next,
    .get_int = get_int,
    .get_double = get_double,
    .get_text = get_text,
    .get_blob = get_blob,
    .is_null = is_null,
    .done = done,
};

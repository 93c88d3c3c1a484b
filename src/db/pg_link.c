// Connections to PostgreSQL by libpq: pipeline mode, non-blocking, every wait with an end.
//
// A connection is always in pipeline mode: what is sent together travels together. Statements without rows in the transaction of a writer are sent and
// not waited for; the next one that waits reads all their results. When one of them fails, the server passes over what follows it up to the next
// synchronisation, and the transaction is lost: `trouble` keeps why until it has been rolled back.
#include "db/pg_link.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    IDLE_MS = 30 * 1000,        // in a transaction: a node that stalls must not hold the archive's lock
    GRACE_MS = 10 * 1000,       // beyond the server's own deadline
    BACK_OFF_MS = 100,          // after the first failure to connect
    BACK_OFF_MAX_MS = 5 * 1000, //
    STALE_NAMES_MAX = 64,       // statements that the server still holds and nobody asks for
    SERVER_MIN = 130000
};

struct pg_server *pg_server_of(const struct db *d) {
    return db_pool_native(d->pool);
}

struct pg_link *pg_link_of(const struct db *d) {
    return d->native;
}

void pg_hurry(struct pg_server *s) {
    s->hurried = true;
    eventfd_write(s->hurry_fd, 1);
}

unsigned pg_backend(const struct db *d) {
    return (unsigned)PQbackendPID(pg_link_of(d)->pg);
}

bool pg_quote_name(struct db *d, const char *name, char out[PG_NAME_BYTES], struct err *e) {
    char *quoted = PQescapeIdentifier(pg_link_of(d)->pg, name, strlen(name));
    if (!quoted) return err_nomem(e, "db");
    bool fits = strlen(quoted) < PG_NAME_BYTES;
    if (fits) memcpy(out, quoted, strlen(quoted) + 1);
    PQfreemem(quoted);
    return fits || err_set(e, ERR_USAGE, "db", "the schema's name is too long");
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
    struct pg_link *c = pg_link_of(d);
    char why[160];
    snprintf(why, sizeof why, "%s", PQerrorMessage(c->pg));
    why[strcspn(why, "\n")] = '\0';
    c->lost = true;
    return err_set(e, ERR_NET, "db", "%.120s: the connection to PostgreSQL was lost%s%s", doing, *why ? ": " : "", why);
}

// Only the primary message: details quote values.
static bool failed(struct db *d, const PGresult *r, const char *doing, struct err *e) {
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE), *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    if (!state || PQstatus(pg_link_of(d)->pg) == CONNECTION_BAD) return lost(d, doing, e);
    enum err_kind kind = d->role == DB_FOR_READING && strcmp(state, "25006") == 0 ? ERR_INTERNAL : kind_of(state);
    if (kind == ERR_NET || strcmp(state, "0A000") == 0) pg_link_of(d)->lost = true;
    return err_set(e, kind, "db", "%.120s: %s (%s)", doing, message ? message : "failed", state);
}

// ---- waiting ----

// Until a descriptor is ready. False: the time is over, or who waits is no longer wanted. Once the process ends the time is short.
static bool wait_fd(struct pg_server *s, int fd, short events, int64_t deadline_ms, int cancel_fd) {
    while (fd >= 0) {
        bool hurried = s->hurried;
        int64_t now = clock_mono_ms(), left = deadline_ms - now;
        struct pollfd p[] = {{.fd = fd, .events = events}, {.fd = cancel_fd, .events = POLLIN}, {.fd = hurried ? -1 : s->hurry_fd, .events = POLLIN}};
        if (hurried && left > PG_HURRY_MS) deadline_ms = now + PG_HURRY_MS, left = PG_HURRY_MS;
        if (left <= 0) return false;
        int ready = poll(p, 3, (int)left);
        if (ready > 0 && p[0].revents) return true;
        if (ready > 0 && p[1].revents) return false;
    }
    return false;
}

static bool wait_link(struct db *d, short events, int64_t deadline_ms, const char *doing, struct err *e) {
    struct pg_link *c = pg_link_of(d);
    int fd = PQsocket(c->pg);
    if (wait_fd(pg_server_of(d), fd, events, deadline_ms, -1)) return true;
    c->lost = true;
    return fd < 0 ? lost(d, doing, e) : err_set(e, ERR_NET, "db", "%.120s: PostgreSQL did not answer in time", doing);
}

// Everything that was queued is on its way; what comes meanwhile is taken, so that neither side waits for the other for ever.
static bool flush(struct db *d, const char *doing, struct err *e) {
    struct pg_link *c = pg_link_of(d);
    int64_t deadline = clock_mono_ms() + c->wait_ms;
    int left;
    while ((left = PQflush(c->pg)) > 0)
        if (!wait_link(d, POLLIN | POLLOUT, deadline, doing, e) || !PQconsumeInput(c->pg)) return c->lost ? false : lost(d, doing, e);
    return left == 0 || lost(d, doing, e);
}

// The next result; *out NULL: none of this statement are left.
static bool next_result(struct db *d, int64_t deadline_ms, const char *doing, PGresult **out, struct err *e) {
    struct pg_link *c = pg_link_of(d);
    while (PQisBusy(c->pg))
        if (!wait_link(d, POLLIN, deadline_ms, doing, e) || !PQconsumeInput(c->pg)) return c->lost ? false : lost(d, doing, e);
    *out = PQgetResult(c->pg);
    return true;
}

// What was sent in a batch that failed may not have been prepared: it is prepared again, by another name.
static void forget_batch(struct db *d) {
    struct pg_link *c = pg_link_of(d);
    for (unsigned i = 0; i < d->statement_count; i++) {
        struct pg_prepared *p = d->statements[i].native;
        if (!p->sent || p->batch != c->batch) continue;
        p->sent = false;
        c->stale++;
    }
}

// One result of a batch: an error is kept when it is the first. True: the batch is over.
static bool take_result(struct db *d, PGresult *r, const char *doing, PGresult **last, struct err *why) {
    struct pg_link *c = pg_link_of(d);
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
    struct pg_link *c = pg_link_of(d);
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
    if (pg_link_of(d)->transaction) pg_link_of(d)->trouble = *why;
    if (e) *e = *why;
    return false;
}

// All that is under way is waited for; the result of the last statement, when it is wanted.
bool pg_settle(struct db *d, const char *doing, PGresult **result, struct err *e) {
    struct pg_link *c = pg_link_of(d);
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
bool pg_sound(const struct db *d, struct err *e) {
    const struct pg_link *c = pg_link_of(d);
    if (c->trouble.kind) {
        if (e) *e = c->trouble;
        return false;
    }
    return !c->lost || err_set(e, ERR_NET, "db", "the connection to PostgreSQL was lost");
}

static bool queued(struct db *d, int sent, size_t bytes, const char *doing, struct err *e) {
    struct pg_link *c = pg_link_of(d);
    if (!sent) {
        struct err why = {0};
        lost(d, doing, &why);
        return fail_with(d, &why, e);
    }
    c->in_flight++;
    c->in_flight_bytes += bytes;
    return true;
}

bool pg_queue_text(struct db *d, const char *sql, struct err *e) {
    return queued(d, PQsendQueryParams(pg_link_of(d)->pg, sql, 0, NULL, NULL, NULL, NULL, 1), strlen(sql), sql, e);
}

bool pg_queue_prepare(struct db *d, const char *name, const char *sql, const struct pg_known *k, struct err *e) {
    return queued(d, PQsendPrepare(pg_link_of(d)->pg, name, sql, k ? (int)k->parameters : 0, k ? k->types : NULL), strlen(sql), sql, e);
}

bool pg_queue_describe(struct db *d, const char *name, const char *sql, struct err *e) {
    return queued(d, PQsendDescribePrepared(pg_link_of(d)->pg, name), 0, sql, e);
}

bool pg_queue_execute(struct db *d, const char *name, const char *sql, int n, const char *const *values, const int *lengths, const int *formats, size_t bytes,
                      struct err *e) {
    return queued(d, PQsendQueryPrepared(pg_link_of(d)->pg, name, n, values, lengths, formats, 1), bytes, sql, e);
}

bool pg_push(struct db *d, const char *doing, struct err *e) {
    struct err why = {0};
    pg_link_of(d)->in_flight_bytes = 0;
    return flush(d, doing, &why) || fail_with(d, &why, e);
}

// Only the simple protocol takes several statements in one text.
bool pg_script(struct db *d, const char *sql, struct err *e) {
    struct pg_link *c = pg_link_of(d);
    if (c->in_flight > 0 && !pg_settle(d, sql, NULL, e)) return false;
    PQexitPipelineMode(c->pg);
    struct err why = {0};
    bool ok = (PQsendQuery(c->pg, sql) || lost(d, sql, &why)) && flush(d, sql, &why);
    for (PGresult *r = NULL; !c->lost && next_result(d, clock_mono_ms() + c->wait_ms, sql, &r, &why) && r; PQclear(r))
        if (PQresultStatus(r) == PGRES_FATAL_ERROR && ok) ok = failed(d, r, sql, &why);
    ok = ok && !c->lost;
    if (!c->lost) PQenterPipelineMode(c->pg);
    return ok || fail_with(d, &why, e);
}

bool pg_leave(struct db *d, const char *sql) {
    struct pg_link *c = pg_link_of(d);
    c->transaction = false;
    if (!pg_queue_text(d, sql, NULL) || !PQpipelineSync(c->pg)) return false;
    c->syncs++;
    c->in_flight = 0;
    c->in_flight_bytes = 0;
    return PQflush(c->pg) >= 0;
}

// libpq's own message may quote the whole text, with a password.
bool pg_check_url(const char *url, struct err *e) {
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &why);
    bool ok = options;
    PQconninfoFree(options);
    PQfreemem(why);
    return ok || err_set(e, ERR_USAGE, "db", "the database's address is none: write postgresql://user@host:5432/database, or host=... dbname=...");
}

// ---- connecting ----

// What the address leaves open.
static const struct {
    const char *key, *value;
} DEFAULTS[] = {
    {"keepalives", "1"},           {"keepalives_idle", "10"},   {"keepalives_interval", "5"},           {"keepalives_count", "3"},
    {"tcp_user_timeout", "20000"}, {"client_encoding", "UTF8"}, {"target_session_attrs", "read-write"},
};

static const char *default_of(const struct pg_server *s, const char *key, const char *node) {
    if (strcmp(key, "application_name") == 0) return node;
    if (strcmp(key, "password") == 0) return s->password;
    for (size_t i = 0; i < sizeof DEFAULTS / sizeof *DEFAULTS; i++)
        if (strcmp(key, DEFAULTS[i].key) == 0) return DEFAULTS[i].value;
    return NULL;
}

// One of several hosts, ports or addresses that a list names; a list of one is for all. "" when there is none.
static void nth_of(const char *list, unsigned i, char out[256]) {
    const char *from = list ? list : "", *end;
    unsigned at = 0;
    for (; (end = strchr(from, ',')) && at < i; at++) from = end + 1;
    if (at < i && at == 0) end = NULL;
    snprintf(out, 256, "%.*s", (int)(end ? end - from : (long)strlen(from)), from);
}

static unsigned count_of(const char *list) {
    unsigned n = 1;
    for (; list && *list; list++) n += *list == ',';
    return n;
}

static const char *option_of(const PQconninfoOption *o, const char *key) {
    while (o->keyword && strcmp(o->keyword, key) != 0) o++;
    return o->keyword ? o->val : NULL;
}

static unsigned count_hosts(const PQconninfoOption *o) {
    unsigned hosts = count_of(option_of(o, "host")), addresses = count_of(option_of(o, "hostaddr"));
    return hosts > addresses ? hosts : addresses;
}

// The connection to the host of this number, which is under way then.
static PGconn *start_connecting(const struct pg_server *s, const PQconninfoOption *options, unsigned host, const char *name) {
    static const char *const lists[] = {"host", "hostaddr", "port"};
    enum { OPTIONS_MAX = 64, LISTS = sizeof lists / sizeof *lists };
    const char *keys[OPTIONS_MAX + 1] = {0}, *values[OPTIONS_MAX + 1] = {0};
    char one[LISTS][256];
    unsigned n = 0;
    for (const PQconninfoOption *o = options; o->keyword && n < OPTIONS_MAX; o++) {
        const char *value = o->val ? o->val : default_of(s, o->keyword, name);
        if (!value) continue;
        for (unsigned i = 0; i < LISTS; i++) {
            if (strcmp(o->keyword, lists[i]) != 0) continue;
            nth_of(value, host, one[i]);
            value = one[i];
        }
        keys[n] = o->keyword;
        values[n++] = value;
    }
    return PQconnectStartParams(keys, values, 0);
}

static bool cannot_connect(const PGconn *pg, struct err *e) {
    char why[300];
    snprintf(why, sizeof why, "%s", pg ? PQerrorMessage(pg) : "out of memory");
    why[strcspn(why, "\n")] = '\0';
    return err_set(e, ERR_NET, "db", "connect to PostgreSQL: %s", *why ? why : "it did not answer in time");
}

// Of each host; connect_timeout in the address is in seconds.
static int64_t connect_ms(const PQconninfoOption *options) {
    const char *seconds = option_of(options, "connect_timeout");
    long n = seconds ? strtol(seconds, NULL, 10) : 0;
    return n > 0 && n < 3600 ? n * 1000 : PG_CONNECT_MS;
}

static bool finish_connecting(struct pg_server *s, PGconn *pg, int64_t ms, int cancel_fd) {
    const int64_t deadline = clock_mono_ms() + ms;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
        if (!wait_fd(s, PQsocket(pg), state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, cancel_fd)) return false;
        state = PQconnectPoll(pg);
    }
    return state == PGRES_POLLING_OK;
}

static PGconn *connect_host(struct pg_server *s, const PQconninfoOption *options, unsigned host, const char *name, int cancel_fd, struct err *e) {
    PGconn *pg = start_connecting(s, options, host, name);
    if (pg && PQstatus(pg) != CONNECTION_BAD && finish_connecting(s, pg, connect_ms(options), cancel_fd)) return pg;
    if (pg && PQstatus(pg) != CONNECTION_BAD)
        err_set(e, ERR_NET, "db", "connect to PostgreSQL: %.200s did not answer in time", PQhost(pg));
    else
        cannot_connect(pg, e);
    PQfinish(pg);
    return NULL;
}

// A host that does not answer keeps nobody from the next.
static PGconn *connect_named(struct pg_server *s, const char *what, int cancel_fd, struct err *e) {
    char name[64];
    PGconn *pg = NULL;
    PQconninfoOption *options = PQconninfoParse(s->url, NULL);
    snprintf(name, sizeof name, "gantry%s%.40s%s", s->node ? " " : "", s->node ? s->node : "", what);
    if (!options) return err_nomem(e, "db"), NULL;
    for (unsigned i = 0; !pg && i < count_hosts(options); i++) pg = connect_host(s, options, i, name, cancel_fd, e);
    PQconninfoFree(options);
    if (pg) PQsetnonblocking(pg, 1);
    return pg;
}

// Runs a text of one or more statements, in time; the last result, or that of what failed; NULL: there was no answer.
static PGresult *run_text(struct pg_server *s, PGconn *pg, const char *sql, int cancel_fd) {
    const int64_t deadline = clock_mono_ms() + PG_CONNECT_MS;
    PGresult *last = NULL;
    bool ok = PQsendQuery(pg, sql);
    for (int left; ok && (left = PQflush(pg)) != 0;) ok = left > 0 && wait_fd(s, PQsocket(pg), POLLIN | POLLOUT, deadline, cancel_fd) && PQconsumeInput(pg);
    while (ok) {
        while (ok && PQisBusy(pg)) ok = wait_fd(s, PQsocket(pg), POLLIN, deadline, cancel_fd) && PQconsumeInput(pg);
        if (!ok) break;
        PGresult *r = PQgetResult(pg);
        if (!r) return last;
        ok = PQresultStatus(r) != PGRES_FATAL_ERROR;
        PQclear(last);
        last = r;
        if (!ok) return last;
    }
    PQclear(last);
    return NULL;
}

// What the server says of a statement that it refuses; a connection that it ends, or that says nothing, is one to be made anew.
static bool cannot_set_up(const PGresult *r, struct err *e) {
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE), *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    enum err_kind kind = state ? kind_of(state) : ERR_NET;
    return err_set(e, kind == ERR_INTERNAL ? ERR_UNSUPPORTED : kind, "db", "set up the connection to PostgreSQL: %.300s",
                   message ? message : "it did not answer in time");
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
static bool configure(struct pg_server *s, PGconn *pg, enum db_role role, struct err *e) {
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
    PGresult *r = run_text(s, pg, sql, -1);
    bool ok = PQresultStatus(r) == PGRES_TUPLES_OK;
    if (ok) warn_of_pooler(pg, r);
    if (!ok) cannot_set_up(r, e);
    PQclear(r);
    return ok;
}

static void be_silent(void *ctx, const char *message) { // "relation exists, skipping": nothing that anybody needs
    (void)ctx, (void)message;
}

static PGconn *connect_and_configure(struct pg_server *s, enum db_role role, struct err *e) {
    PGconn *pg = connect_named(s, "", -1, e);
    if (!pg) return NULL;
    PQsetNoticeProcessor(pg, be_silent, NULL);
    if (check_server(pg, e) && configure(s, pg, role, e) && (PQenterPipelineMode(pg) || err_set(e, ERR_INTERNAL, "db", "no pipeline mode"))) return pg;
    PQfinish(pg);
    return NULL;
}

// False at once while it is too early to try again: callers are told, not kept waiting. While nothing answers one at a time tries.
static bool may_try(struct pg_server *s, struct err *e) {
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

static void note_try(struct pg_server *s, bool ok, const struct err *why) {
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

int64_t pg_usual_wait(const struct pg_server *s) {
    return 2 * (int64_t)s->statement_ms + GRACE_MS;
}

bool pg_connect(struct db *d, struct err *e) {
    struct pg_server *s = pg_server_of(d);
    struct err why = {0};
    if (!may_try(s, e)) return false;
    struct pg_link *c = calloc(1, sizeof *c);
    if (!c) return err_nomem(e, "db");
    c->pg = connect_and_configure(s, d->role, &why);
    c->wait_ms = pg_usual_wait(s);
    note_try(s, c->pg, &why);
    if (c->pg) {
        d->native = c;
        return true;
    }
    free(c);
    if (e) *e = why;
    return false;
}

void pg_disconnect(struct db *d) {
    struct pg_link *c = pg_link_of(d);
    PQfinish(c->pg);
    free(c);
}

// Unasked the server says only that it ends the connection, or that it was set up anew: either way another takes its place.
bool pg_usable(struct db *d) {
    struct pg_link *c = pg_link_of(d);
    struct pollfd p = {.fd = PQsocket(c->pg), .events = POLLIN};
    PGresult *r = NULL;
    if (c->syncs > 0) c->wait_ms = PG_CONNECT_MS; // for the end of a reader's transaction: another connection is made as soon
    while (!c->lost && c->syncs > 0 && read_batch(d, "COMMIT", &r, NULL)) continue;
    c->wait_ms = pg_usual_wait(pg_server_of(d));
    PQclear(r);
    return !c->lost && c->syncs == 0 && c->stale <= STALE_NAMES_MAX && PQstatus(c->pg) == CONNECTION_OK && poll(&p, 1, 0) == 0;
}

bool pg_is_lost(const struct db *d) {
    return pg_link_of(d)->lost;
}

// ---- results ----

void pg_result_free(struct pg_result *r) {
    PQclear(r);
}

int pg_result_rows(const struct pg_result *r) {
    return PQntuples(r);
}

int pg_result_columns(const struct pg_result *r) {
    return PQnfields(r);
}

size_t pg_result_bytes(const struct pg_result *r) {
    return PQresultMemorySize(r);
}

const char *pg_result_status(struct pg_result *r) {
    return PQcmdStatus(r);
}

bool pg_result_value(const struct pg_result *r, int row, int column, struct str *out, unsigned *type) {
    if (!r || column < 0 || column >= PQnfields(r) || row < 0 || row >= PQntuples(r) || PQgetisnull(r, row, column)) return false;
    *out = (struct str){PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column)};
    *type = PQftype(r, column);
    return true;
}

int pg_result_parameters(const struct pg_result *r) {
    return PQnparams(r);
}

unsigned pg_result_parameter(const struct pg_result *r, int i) {
    return PQparamtype(r, i);
}

// ---- notifications ----

struct pg_conn *pg_news_open(struct pg_server *s, const char *sql, int cancel_fd, struct err *e) {
    PGconn *pg = connect_named(s, " listener", cancel_fd, e);
    if (!pg) return NULL;
    PQsetNoticeProcessor(pg, be_silent, NULL);
    PGresult *r = run_text(s, pg, sql, cancel_fd);
    bool ok = PQresultStatus(r) == PGRES_COMMAND_OK || cannot_set_up(r, e);
    PQclear(r);
    if (ok) return pg;
    PQfinish(pg);
    return NULL;
}

int pg_news_fd(const struct pg_conn *pg) {
    return PQsocket(pg);
}

bool pg_news_take(struct pg_conn *pg) {
    if (!PQconsumeInput(pg) || PQstatus(pg) != CONNECTION_OK) return false;
    for (PGnotify *n; (n = PQnotifies(pg)); PQfreemem(n)) continue;
    return true;
}

void pg_news_close(struct pg_conn *pg) {
    PQfinish(pg);
}

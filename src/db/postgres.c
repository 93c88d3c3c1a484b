// The PostgreSQL driver: statements prepared once per connection, parameters and results in binary; transactions, migrations, notifications.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "db/pg_link.h"

enum {
    READERS = 12,
    READERS_MAX = 64,
    SIDES_MAX = 4,
    STATEMENT_MS = 20 * 1000,             // deadline of a statement, when none is given
    MIGRATION_MS = 60 * 60 * 1000,        // building an index over a large table takes its time
    MIGRATION_LOCK_MS = 3 * 1000,         // what readers wait at most for a migration that waits for other readers
    MIGRATION_GRACE_MS = 10 * 1000,       //
    IN_FLIGHT_MAX = 512,                  // statements that were not waited for
    IN_FLIGHT_BYTES_MAX = 1024 * 1024,    // and what they may take in memory before it is on its way
    RESULT_BYTES_MAX = 256 * 1024 * 1024, // of one statement
    NEWS_MS = 5 * 1000,                   // a listener looks by itself as often
    NEWS_APART_MS = 5,                    // it looks once for all that is told meanwhile
    BACK_OFF_MS = 100,                    // a listener that could not connect
    BACK_OFF_MAX_MS = 5 * 1000,
};

enum { LOCK_WRITER = 0x47414e57, LOCK_MIGRATION = 0x47414e4d }; // first half of the keys of advisory locks; the second is the schema's

static struct pg_prepared *prepared_of(const struct db_stmt *s) {
    return s->native;
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

static bool open_server(struct db_pool *p, const struct db_options *o, struct err *e) {
    struct pg_server *s = calloc(1, sizeof *s);
    if (!s) return err_nomem(e, "db");
    pthread_mutex_init(&s->lock, NULL);
    s->hurry_fd = eventfd(0, EFD_CLOEXEC);
    db_pool_set_native(p, s);
    if (s->hurry_fd < 0) return err_errno(e, ERR_IO, "db", "eventfd");
    s->url = strdup(o->url);
    s->schema = strdup(o->schema ? o->schema : "gantry");
    s->node = copy_or_null(o->node);
    s->statement_ms = o->statement_ms ? o->statement_ms : STATEMENT_MS;
    if (!s->url || !s->schema) return err_nomem(e, "db");
    s->lock_key = key_of(s->schema);
    return pg_check_url(o->url, e) && (!o->password_file || read_password(o->password_file, &s->password, e));
}

static bool start(struct db_pool *p, struct err *e) {
    (void)p, (void)e;
    return true;
}

static void stop(struct db_pool *p) {
    (void)p;
}

static void hurry(struct db_pool *p) {
    pg_hurry(db_pool_native(p));
}

static void close_server(struct db_pool *p) {
    struct pg_server *s = db_pool_native(p);
    if (!s) return;
    for (unsigned i = 0; i < PG_KNOWN_BUCKETS; i++)
        for (struct pg_known *k = s->known[i], *next; k; k = next) {
            next = k->next;
            free(k->sql);
            free(k);
        }
    if (s->password) explicit_bzero(s->password, strlen(s->password));
    pthread_mutex_destroy(&s->lock);
    if (s->hurry_fd >= 0) close(s->hurry_fd);
    free(s->url);
    free(s->schema);
    free(s->password);
    free(s->node);
    free(s);
}

// ---- transactions ----

static bool in_transaction(const struct db *d) {
    return pg_link_of(d) && pg_link_of(d)->transaction;
}

static bool lock_key(struct db *d, int first, struct err *e) {
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT pg_advisory_xact_lock(%d, %d)", first, pg_server_of(d)->lock_key);
    return pg_queue_text(d, sql, e);
}

// The writer's place in the order is taken before its first statement, and travels with it: that one's snapshot is taken when the lock is there. Others begin
// with their first statement.
static bool begin(struct db *d, struct err *e) {
    struct pg_link *c = pg_link_of(d);
    if (!pg_sound(d, e) || !pg_queue_text(d, "BEGIN", e)) return false;
    c->transaction = true;
    if (d->role != DB_FOR_WRITING) return true;
    return lock_key(d, LOCK_WRITER, e) || (db_rollback(d), false);
}

static bool commit(struct db *d, struct err *e) {
    struct pg_link *c = pg_link_of(d);
    struct pg_result *r = NULL;
    if (d->role == DB_FOR_READING && pg_sound(d, NULL))
        return pg_leave(d, "COMMIT") || err_set(e, ERR_NET, "db", "COMMIT: the connection to PostgreSQL was lost");
    if (!pg_sound(d, e) || !pg_queue_text(d, "COMMIT", e) || !pg_settle(d, "COMMIT", &r, e)) return false;
    bool ok = strcmp(pg_result_status(r), "COMMIT") == 0;
    pg_result_free(r);
    c->transaction = false;
    c->wait_ms = pg_usual_wait(pg_server_of(d));
    return ok || err_set(e, ERR_INTERNAL, "db", "PostgreSQL rolled the transaction back");
}

// What is under way may have failed: it is synchronised with first, so that the server hears of the rollback.
static void rollback(struct db *d) {
    struct pg_link *c = pg_link_of(d);
    if (d->role == DB_FOR_READING && pg_sound(d, NULL)) {
        if (!pg_leave(d, "ROLLBACK")) c->lost = true;
        return;
    }
    c->transaction = false;
    c->trouble.kind = ERR_NONE;
    c->wait_ms = pg_usual_wait(pg_server_of(d));
    if (c->lost) return;
    if (c->in_flight > 0) pg_settle(d, "ROLLBACK", NULL, NULL);
    if (!c->lost && pg_queue_text(d, "ROLLBACK", NULL)) pg_settle(d, "ROLLBACK", NULL, NULL);
}

static bool is_script(const char *sql) {
    const char *end = strchr(sql, ';');
    return end && end[1 + strspn(end + 1, " \n")] != '\0';
}

static bool exec(struct db *d, const char *sql, struct err *e) {
    struct pg_link *c = pg_link_of(d);
    if (strncmp(sql, "ROLLBACK TO ", 12) == 0) {
        if (c->in_flight > 0) pg_settle(d, sql, NULL, NULL); // whatever failed since is forgotten
        if (!c->lost) c->trouble.kind = ERR_NONE;
    }
    if (!pg_sound(d, e)) return false;
    if (is_script(sql)) return pg_script(d, sql, e);
    return pg_queue_text(d, sql, e) && pg_settle(d, sql, NULL, e);
}

static int64_t changes(struct db *d) {
    if (pg_link_of(d)->in_flight > 0 && pg_sound(d, NULL)) pg_settle(d, "count rows", NULL, NULL);
    return pg_link_of(d)->changes;
}

static int64_t last_id(struct db *d) {
    struct pg_result *r = NULL;
    int64_t id = 0;
    if (!pg_sound(d, NULL) || !pg_queue_text(d, "SELECT lastval()", NULL) || !pg_settle(d, "SELECT lastval()", &r, NULL)) return 0;
    struct str v;
    unsigned type;
    if (pg_result_value(r, 0, 0, &v, &type)) id = pg_read_int(type, v);
    pg_result_free(r);
    return id;
}

// ---- migration ----

static bool has_schema(struct db *d, bool *has, struct err *e) {
    static const char sql[] = "SELECT 1 WHERE EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = ?1)";
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    db_bind_text(s, 1, str_of(pg_server_of(d)->schema));
    enum db_step step = db_next(s, e);
    *has = step == DB_ROW;
    db_done(s);
    return step != DB_FAIL;
}

static bool create_schema(struct db *d, struct err *e) {
    bool has;
    if (!has_schema(d, &has, e)) return false;
    if (has) return true;
    char sql[256], schema[PG_NAME_BYTES];
    if (!pg_quote_name(d, pg_server_of(d)->schema, schema, e)) return false;
    snprintf(sql, sizeof sql, "CREATE SCHEMA %s", schema);
    return exec(d, sql, e);
}

static bool migrate_begin(struct db *d, struct err *e) {
    char sql[160];
    struct pg_link *c = pg_link_of(d);
    c->wait_ms = MIGRATION_MS + MIGRATION_GRACE_MS;
    snprintf(sql, sizeof sql, "SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = 0", MIGRATION_MS,
             MIGRATION_MS);
    if (!pg_sound(d, e) || !pg_queue_text(d, "BEGIN", e)) return false;
    c->transaction = true;
    if (!pg_script(d, sql, e) || !lock_key(d, LOCK_MIGRATION, e)) return false;
    snprintf(sql, sizeof sql, "SET LOCAL lock_timeout = %d", MIGRATION_LOCK_MS);
    return pg_queue_text(d, sql, e) && pg_settle(d, "wait for another node's migration", NULL, e) && create_schema(d, e);
}

// ---- statements ----

static uint32_t bucket_of(const char *sql) {
    return (uint32_t)key_of(sql) % PG_KNOWN_BUCKETS;
}

static const struct pg_known *find_known(struct pg_server *s, const char *sql) {
    pthread_mutex_lock(&s->lock);
    const struct pg_known *k = s->known[bucket_of(sql)];
    while (k && strcmp(k->sql, sql) != 0) k = k->next;
    pthread_mutex_unlock(&s->lock);
    return k;
}

static const struct pg_known *add_known(struct pg_server *s, const char *sql, const struct pg_result *described, struct err *e) {
    int n = pg_result_parameters(described);
    if (n > PG_PARAMETERS_MAX) return err_set(e, ERR_INTERNAL, "db", "a statement has %d parameters, more than %d", n, PG_PARAMETERS_MAX), NULL;
    struct pg_known *k = calloc(1, sizeof *k + (size_t)n * sizeof *k->types);
    char *copy = strdup(sql);
    if (!k || !copy) {
        free(k);
        free(copy);
        return err_nomem(e, "db"), NULL;
    }
    *k = (struct pg_known){.sql = copy, .parameters = (unsigned)n, .columns = (unsigned)pg_result_columns(described)};
    for (int i = 0; i < n; i++) k->types[i] = pg_result_parameter(described, i);
    pthread_mutex_lock(&s->lock);
    struct pg_known **bucket = &s->known[bucket_of(sql)];
    k->next = *bucket;
    *bucket = k;
    pthread_mutex_unlock(&s->lock);
    return k;
}

// A name that no other connection has: should a pooler mix sessions up, a statement is not found rather than taken for another's.
static bool queue_prepare(struct db *d, struct pg_prepared *p, const char *sql, const struct pg_known *k, struct err *e) {
    struct pg_link *c = pg_link_of(d);
    snprintf(p->name, sizeof p->name, "s%x_%u", pg_backend(d), c->names++);
    if (!pg_queue_prepare(d, p->name, sql, k, e)) return false;
    p->sent = true;
    p->batch = c->batch + c->syncs;
    return true;
}

// The first one of its text asks the server for its types.
static bool ask(struct db *d, struct pg_prepared *p, const char *sql, struct err *e) {
    struct pg_result *r = NULL;
    if (!pg_sound(d, e) || !queue_prepare(d, p, sql, NULL, e)) return false;
    if (!pg_queue_describe(d, p->name, sql, e) || !pg_settle(d, sql, &r, e)) return false;
    p->known = add_known(pg_server_of(d), sql, r, e);
    pg_result_free(r);
    return p->known;
}

static bool prepare(struct db_stmt *s, const char *sql, struct err *e) {
    struct pg_prepared *p = calloc(1, sizeof *p);
    if (!p) return err_nomem(e, "db");
    p->known = find_known(pg_server_of(s->db), sql);
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
    struct pg_prepared *p = prepared_of(s);
    if (p->sent && s->db->native) pg_link_of(s->db)->stale++;
    pg_result_free(p->result);
    free(p->bound);
    free(p->scratch);
    free(p);
}

static void bind(struct db_stmt *s, int i, struct pg_bound v) {
    struct pg_prepared *p = prepared_of(s);
    if (i >= 1 && (unsigned)i <= p->known->parameters) p->bound[i - 1] = v;
}

static void bind_int(struct db_stmt *s, int i, int64_t v) {
    bind(s, i, (struct pg_bound){.kind = PG_BOUND_INT, .i = v});
}

static void bind_double(struct db_stmt *s, int i, double v) {
    bind(s, i, (struct pg_bound){.kind = PG_BOUND_DOUBLE, .d = v});
}

// A JSON array as the type that the server takes instead. Without memory it is none, and the statement fails.
static struct str as_array(struct db_stmt *s, struct str v) {
    char *copy = db_keep(s, pg_int_array_bytes(v));
    return copy ? pg_int_array(v, copy) : STR_LIT("");
}

static void bind_text(struct db_stmt *s, int i, struct str v) {
    const struct pg_known *k = prepared_of(s)->known;
    uint32_t type = v.p && i >= 1 && (unsigned)i <= k->parameters ? k->types[i - 1] : 0;
    if (pg_type_is_int_array(type)) v = as_array(s, v);
    if (v.p && pg_type_is_json(type) && pg_clean_json(v, NULL)) {
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
    struct pg_prepared *p = prepared_of(s);
    const char *values[PG_PARAMETERS_MAX];
    int lengths[PG_PARAMETERS_MAX], formats[PG_PARAMETERS_MAX];
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
    return pg_queue_execute(s->db, p->name, s->sql, (int)p->known->parameters, values, lengths, formats, bytes, e);
}

// Sent and not waited for, unless much is under way already.
static bool leave(struct db_stmt *s, struct err *e) {
    struct pg_link *c = pg_link_of(s->db);
    if (c->in_flight >= IN_FLIGHT_MAX) return pg_settle(s->db, s->sql, NULL, e);
    return c->in_flight_bytes < IN_FLIGHT_BYTES_MAX || pg_push(s->db, s->sql, e);
}

static bool execute(struct db_stmt *s, struct err *e) {
    struct db *d = s->db;
    struct pg_prepared *p = prepared_of(s);
    p->ran = true;
    p->row = -1;
    if (!pg_sound(d, e) || !queue_execute(s, e)) return false;
    if (p->known->columns == 0 && pg_link_of(d)->transaction && d->role != DB_FOR_READING) return leave(s, e);
    if (!pg_settle(d, s->sql, &p->result, e)) return false;
    return pg_result_bytes(p->result) <= RESULT_BYTES_MAX || err_set(e, ERR_TOO_LARGE, "db", "%.120s: more than %d MB of rows", s->sql, RESULT_BYTES_MAX >> 20);
}

static enum db_step next(struct db_stmt *s, struct err *e) {
    struct pg_prepared *p = prepared_of(s);
    if (!p->ran && !execute(s, e)) return DB_FAIL;
    return ++p->row < pg_result_rows(p->result) ? DB_ROW : DB_END;
}

static bool value(struct db_stmt *s, int column, struct str *out, unsigned *type) {
    struct pg_prepared *p = prepared_of(s);
    return pg_result_value(p->result, p->row, column, out, type);
}

static int64_t get_int(struct db_stmt *s, int column) {
    struct str v;
    unsigned type;
    return value(s, column, &v, &type) ? pg_read_int(type, v) : 0;
}

static double get_double(struct db_stmt *s, int column) {
    struct str v;
    unsigned type;
    return value(s, column, &v, &type) ? pg_read_double(type, v) : 0;
}

static struct str get_text(struct db_stmt *s, int column) {
    struct pg_prepared *p = prepared_of(s);
    struct str v;
    unsigned type;
    if (!value(s, column, &v, &type)) return (struct str){NULL, 0};
    return pg_read_text(type, v, p->scratch[p->known->parameters + (unsigned)column]);
}

static struct str get_blob(struct db_stmt *s, int column) {
    struct str v;
    unsigned type;
    return value(s, column, &v, &type) ? v : (struct str){NULL, 0};
}

static bool is_null(struct db_stmt *s, int column) {
    struct str v;
    unsigned type;
    return !value(s, column, &v, &type);
}

static void done(struct db_stmt *s) {
    struct pg_prepared *p = prepared_of(s);
    pg_result_free(p->result);
    p->result = NULL;
    p->ran = false;
    memset(p->bound, 0, p->known->parameters * sizeof *p->bound);
}

// ---- notifications ----

struct listener {
    struct pg_server *server;
    void (*on_news)(void *ctx);
    void *ctx;
    char channel[64]; // as PostgreSQL takes it, quoted
    int wake;
    pthread_t thread;
};

// Two archives may share a database.
static void name_channel(const struct pg_server *s, const char *channel, char out[64]) {
    snprintf(out, 64, "\"gantry_%.30s_%08x\"", channel, (unsigned)s->lock_key);
}

static bool notify(struct db *d, const char *channel, struct err *e) {
    char name[64], sql[80];
    name_channel(pg_server_of(d), channel, name);
    snprintf(sql, sizeof sql, "NOTIFY %s", name);
    return pg_sound(d, e) && pg_queue_text(d, sql, e) && (pg_link_of(d)->transaction || pg_settle(d, sql, NULL, e));
}

static struct pg_conn *start_listening(const struct listener *l, struct err *e) {
    char sql[80];
    snprintf(sql, sizeof sql, "LISTEN %s", l->channel);
    return pg_news_open(l->server, sql, l->wake, e);
}

// False: it is time to stop.
static bool rest(const struct listener *l, int fd, int64_t ms) {
    struct pollfd p[] = {{.fd = l->wake, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    poll(p, fd < 0 ? 1 : 2, (int)ms);
    return p[0].revents == 0;
}

static void *listen_on(void *arg) {
    struct listener *l = arg;
    struct pg_conn *pg = NULL;
    int64_t pause = 0;
    while (rest(l, pg ? pg_news_fd(pg) : -1, pg ? NEWS_MS : pause)) {
        struct err e = {0};
        if (pg && !pg_news_take(pg)) {
            pg_news_close(pg);
            pg = NULL;
            log_line(LOG_WARN, "db", "the connection for PostgreSQL's notifications was lost: connecting anew");
        }
        if (!pg) pg = start_listening(l, &e);
        pause = pg ? 0 : pause < BACK_OFF_MAX_MS ? pause * 2 + BACK_OFF_MS : BACK_OFF_MAX_MS;
        if (pg) l->on_news(l->ctx);
        if (pg && !rest(l, -1, NEWS_APART_MS)) break;
    }
    pg_news_close(pg);
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
    .hurry = hurry,
    .close = close_server,
    .connect = pg_connect,
    .disconnect = pg_disconnect,
    .usable = pg_usable,
    .in_transaction = in_transaction,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .exec = exec,
    .lost = pg_is_lost,
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

// What both drivers share: the pool that lends connections, and the cache of prepared statements of each.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "db/dialect.h"
#include "db/driver.h"
#include "db/migrate.h"
#include "text/utf8.h"

enum {
    CONNECTIONS_MAX = 64,     // of one role
    LEND_WAIT_MS = 30 * 1000, // for a free connection
    IDLE_MS = 60 * 1000       // after which a connection to a server is closed
};

// The connections of one role. A place is kept when its connection is lost, to be connected anew.
struct lane {
    struct db *all[CONNECTIONS_MAX];
    unsigned count, max;
    pthread_cond_t returned;
};

struct db_pool {
    const struct db_driver *driver;
    void *native;
    bool (*may_write)(void *ctx, struct err *e);
    void *gate_ctx;
    pthread_mutex_t lock; // guards the lanes
    struct lane lanes[DB_ROLE_COUNT];
    _Atomic unsigned connections;
    _Atomic uint64_t lost, refused;
};

void *db_pool_native(const struct db_pool *p) {
    return p->native;
}

void db_pool_set_native(struct db_pool *p, void *native) {
    p->native = native;
}

enum db_engine db_pool_engine(const struct db_pool *p) {
    return p->driver->engine;
}

enum db_engine db_engine_of(const struct db *d) {
    return d->driver->engine;
}

// ---- pool ----

static void disconnect(struct db *d) {
    for (unsigned i = 0; i < d->statement_count; i++) {
        d->driver->finalize(&d->statements[i]);
        free(d->statements[i].sql);
    }
    d->statement_count = 0;
    if (d->native) d->pool->connections--;
    if (d->native) d->driver->disconnect(d);
    d->native = NULL;
}

static void init_lanes(struct db_pool *p, const struct db_options *o) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    for (unsigned i = 0; i < DB_ROLE_COUNT; i++) {
        unsigned max = p->driver->connections_max[i], wanted = o->connections ? o->connections : p->driver->readers;
        p->lanes[i].max = i == DB_FOR_READING && wanted < max ? wanted : max;
        pthread_cond_init(&p->lanes[i].returned, &attr);
    }
    pthread_condattr_destroy(&attr);
}

static bool first_use(struct db_pool *p, struct err *e) {
    struct db *w = db_writer(p, e);
    bool ok = w && db_migrate(w, e);
    db_return(p, w);
    return ok && p->driver->start(p, e);
}

bool db_pool_open(const struct db_options *o, struct db_pool **out, struct err *e) {
    struct db_pool *p = calloc(1, sizeof *p);
    if (!p) return err_nomem(e, "db");
    p->driver = o->url ? &DB_DRIVER_POSTGRES : &DB_DRIVER_SQLITE;
    init_lanes(p, o);
    if (p->driver->open(p, o, e) && first_use(p, e)) {
        *out = p;
        return true;
    }
    db_pool_close(p);
    return false;
}

void db_pool_hurry(struct db_pool *p) {
    if (p->driver->hurry) p->driver->hurry(p);
}

void db_pool_close(struct db_pool *p) {
    if (!p) return;
    p->driver->stop(p);
    for (unsigned i = 0; i < DB_ROLE_COUNT; i++) {
        for (unsigned k = 0; k < p->lanes[i].count; k++) {
            disconnect(p->lanes[i].all[k]);
            free(p->lanes[i].all[k]);
        }
        pthread_cond_destroy(&p->lanes[i].returned);
    }
    p->driver->close(p);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

// With the lock held: an idle place, rather a connected one; a new one; or NULL when one must be waited for (*e then untouched).
static struct db *take_place(struct db_pool *p, enum db_role role, bool *failed, struct err *e) {
    struct lane *l = &p->lanes[role];
    struct db *d = NULL;
    for (unsigned i = 0; i < l->count && !(d && d->native); i++)
        if (!l->all[i]->lent && (!d || l->all[i]->native)) d = l->all[i];
    if (!d && l->count < l->max) {
        if (!(d = calloc(1, sizeof *d))) return *failed = !err_nomem(e, "db"), NULL;
        *d = (struct db){.driver = p->driver, .pool = p, .role = role};
        l->all[l->count++] = d;
    }
    if (d) d->lent = true;
    return d;
}

static struct timespec until(int64_t ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    return t;
}

static struct db *wait_place(struct db_pool *p, enum db_role role, struct err *e) {
    struct timespec end = until(LEND_WAIT_MS);
    struct lane *l = &p->lanes[role];
    bool failed = false, forever = role == DB_FOR_WRITING; // its holders are few and short
    int waited = 0;
    pthread_mutex_lock(&p->lock);
    struct db *d = take_place(p, role, &failed, e);
    while (!d && !failed && waited == 0) {
        waited = forever ? pthread_cond_wait(&l->returned, &p->lock) : pthread_cond_timedwait(&l->returned, &p->lock, &end);
        d = take_place(p, role, &failed, e);
    }
    pthread_mutex_unlock(&p->lock);
    if (!d && !failed) err_set(e, ERR_BUSY, "db", "all %u connections to the index stayed in use for %d s", l->max, LEND_WAIT_MS / 1000);
    return d;
}

static void give_back(struct db_pool *p, struct db *d) {
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&p->lock);
    d->returned_ms = now;
    d->lent = false;
    pthread_cond_signal(&p->lanes[d->role].returned);
    pthread_mutex_unlock(&p->lock);
}

void db_pool_set_gate(struct db_pool *p, bool (*may_write)(void *ctx, struct err *e), void *ctx) {
    p->may_write = may_write;
    p->gate_ctx = ctx;
}

// What a burst has left: a connection that nobody took for long, since those before it serve. It is nobody else's meanwhile.
static struct db *take_idle(struct db_pool *p, enum db_role role) {
    struct lane *l = &p->lanes[role];
    struct db *d = NULL;
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&p->lock);
    for (unsigned i = l->count; i > 1 && !d; i--)
        if (!l->all[i - 1]->lent && l->all[i - 1]->native && now - l->all[i - 1]->returned_ms > IDLE_MS) d = l->all[i - 1];
    if (d) d->lent = true;
    pthread_mutex_unlock(&p->lock);
    return d;
}

static void close_idle(struct db_pool *p, enum db_role role) {
    struct db *d = p->driver->engine == DB_POSTGRES ? take_idle(p, role) : NULL;
    if (!d) return;
    disconnect(d);
    give_back(p, d);
}

static struct db *lend(struct db_pool *p, enum db_role role, struct err *e) {
    if (role != DB_FOR_READING && p->may_write && !p->may_write(p->gate_ctx, e)) return NULL;
    struct db *d = wait_place(p, role, e);
    if (!d) return NULL;
    if (d->native && !p->driver->usable(d)) disconnect(d);
    if (d->native) return d;
    if (p->driver->connect(d, e)) {
        p->connections++;
        return d;
    }
    p->refused++;
    give_back(p, d);
    return NULL;
}

struct db *db_reader(struct db_pool *p, struct err *e) {
    return lend(p, DB_FOR_READING, e);
}

struct db *db_writer(struct db_pool *p, struct err *e) {
    return lend(p, DB_FOR_WRITING, e);
}

struct db *db_side(struct db_pool *p, struct err *e) {
    return lend(p, p->lanes[DB_FOR_SIDE].max ? DB_FOR_SIDE : DB_FOR_WRITING, e);
}

void db_return(struct db_pool *p, struct db *d) {
    if (!d) return;
    if (db_lost(d)) p->lost++;
    db_rollback(d);
    enum db_role role = d->role;
    give_back(p, d);
    close_idle(p, role);
}

void db_pool_statements(struct db_pool *p, void (*visit)(void *ctx, const char *sql), void *ctx) {
    for (unsigned i = 0; i < DB_ROLE_COUNT; i++)
        for (unsigned k = 0; k < p->lanes[i].count; k++)
            for (unsigned n = 0; n < p->lanes[i].all[k]->statement_count; n++) visit(ctx, p->lanes[i].all[k]->statements[n].sql);
}

void db_figures_get(struct db_pool *p, struct db_figures *out) {
    *out = (struct db_figures){.connections = p->connections, .lost = p->lost, .refused = p->refused};
    pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < DB_ROLE_COUNT; i++)
        for (unsigned k = 0; k < p->lanes[i].count; k++) out->lent += p->lanes[i].all[k]->lent;
    pthread_mutex_unlock(&p->lock);
}

// ---- transactions ----

bool db_begin(struct db *d, struct err *e) {
    static _Atomic uint64_t last;
    d->transaction = ++last;
    return d->driver->begin(d, e);
}

uint64_t db_transaction(const struct db *d) {
    return d->transaction;
}

bool db_commit(struct db *d, struct err *e) {
    return d->driver->commit(d, e);
}

void db_rollback(struct db *d) {
    if (d->driver->in_transaction(d)) d->driver->rollback(d);
}

bool db_lost(const struct db *d) {
    return d->driver->lost(d);
}

bool db_notify(struct db *d, const char *channel, struct err *e) {
    return d->driver->notify(d, channel, e);
}

bool db_exec(struct db *d, const char *sql, struct err *e) {
    enum db_engine engine = d->driver->engine;
    if (dialect_is_plain(engine, sql)) return d->driver->exec(d, sql, e);
    struct buf own;
    buf_init(&own, DIALECT_SQL_BYTES_MAX);
    bool ok = dialect_statement(engine, sql, &own, e) && d->driver->exec(d, own.p, e);
    buf_deinit(&own);
    return ok;
}

int64_t db_last_id(struct db *d) {
    return d->driver->last_id(d);
}

int64_t db_changes(struct db *d) {
    return d->driver->changes(d);
}

// ---- statements ----

static struct db_stmt *cached(struct db *d, const char *sql) {
    for (unsigned i = 0; i < d->statement_count; i++) {
        struct db_stmt *s = &d->statements[i];
        if (!s->busy && strcmp(s->sql, sql) == 0) return s;
    }
    return NULL;
}

// A slot for one statement more: a new one, or that of the longest unused; NULL when all are in use.
static struct db_stmt *free_slot(struct db *d) {
    if (d->statement_count < DB_STATEMENTS_MAX) return &d->statements[d->statement_count];
    struct db_stmt *oldest = NULL;
    for (unsigned i = 0; i < d->statement_count; i++) {
        struct db_stmt *s = &d->statements[i];
        if (!s->busy && (!oldest || s->used < oldest->used)) oldest = s;
    }
    return oldest;
}

static bool translate_and_prepare(struct db_stmt *s, const char *sql, struct err *e) {
    const struct db_driver *driver = s->db->driver;
    if (dialect_is_plain(driver->engine, sql)) return driver->prepare(s, sql, e);
    struct buf own;
    buf_init(&own, DIALECT_SQL_BYTES_MAX);
    bool ok = dialect_statement(driver->engine, sql, &own, e) && driver->prepare(s, own.p, e);
    buf_deinit(&own);
    return ok;
}

static struct db_stmt *prepare_in(struct db *d, struct db_stmt *slot, const char *sql, struct err *e) {
    struct db_stmt made = {.db = d, .sql = strdup(sql)};
    if (!made.sql) return err_nomem(e, "db"), NULL;
    if (!translate_and_prepare(&made, sql, e)) {
        free(made.sql);
        return NULL;
    }
    if (slot == d->statements + d->statement_count) {
        d->statement_count++;
    } else {
        d->driver->finalize(slot);
        free(slot->sql);
    }
    *slot = made;
    return slot;
}

struct db_stmt *db_prepare(struct db *d, const char *sql, struct err *e) {
    struct db_stmt *s = cached(d, sql);
    if (!s) {
        struct db_stmt *slot = free_slot(d);
        if (!slot) return err_set(e, ERR_BUSY, "db", "more than %d statements are in use on one connection", DB_STATEMENTS_MAX), NULL;
        s = prepare_in(d, slot, sql, e);
        if (!s) return NULL;
    }
    s->busy = true;
    s->used = ++d->tick;
    return s;
}

void db_bind_int(struct db_stmt *s, int i, int64_t v) {
    s->db->driver->bind_int(s, i, v);
}

void db_bind_double(struct db_stmt *s, int i, double v) {
    s->db->driver->bind_double(s, i, v);
}

struct db_kept {
    struct db_kept *next;
    char bytes[];
};

char *db_keep(struct db_stmt *s, size_t n) {
    struct db_kept *k = malloc(sizeof *k + n);
    if (!k) return NULL;
    k->next = s->kept;
    s->kept = k;
    return k->bytes;
}

static void drop_kept(struct db_stmt *s) {
    while (s->kept) {
        struct db_kept *k = s->kept;
        s->kept = k->next;
        free(k);
    }
}

// UTF-8 without NUL. Plain ASCII is most.
static bool is_clean(struct str v) {
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= v.n; i += sizeof word) {
        memcpy(&word, v.p + i, sizeof word);
        if ((word | (word - ones)) & tops) break;
    }
    return utf8_valid(str_sub(v, i, v.n)) && !memchr(v.p + i, '\0', v.n - i);
}

// What PostgreSQL refuses is the same text on both engines: each piece that is none becomes U+FFFD.
static struct str cleaned(struct db_stmt *s, struct str v) {
    enum { LONGEST = 3 }; // of U+FFFD, in the place of one byte
    char *p = v.n < SIZE_MAX / LONGEST / 2 ? db_keep(s, v.n * LONGEST) : NULL;
    size_t n = 0;
    uint32_t cp;
    while (p && utf8_take(&v, &cp)) n += utf8_put(p + n, cp ? cp : UTF8_REPLACEMENT);
    return p ? (struct str){p, n} : STR_LIT("");
}

void db_bind_text(struct db_stmt *s, int i, struct str v) {
    s->db->driver->bind_text(s, i, !v.p || is_clean(v) ? v : cleaned(s, v));
}

void db_bind_blob(struct db_stmt *s, int i, struct str v) {
    s->db->driver->bind_blob(s, i, v);
}

enum db_step db_next(struct db_stmt *s, struct err *e) {
    return s->db->driver->next(s, e);
}

int64_t db_int(struct db_stmt *s, int column) {
    return s->db->driver->get_int(s, column);
}

double db_double(struct db_stmt *s, int column) {
    return s->db->driver->get_double(s, column);
}

struct str db_text(struct db_stmt *s, int column) {
    return s->db->driver->get_text(s, column);
}

struct str db_blob(struct db_stmt *s, int column) {
    return s->db->driver->get_blob(s, column);
}

bool db_is_null(struct db_stmt *s, int column) {
    return s->db->driver->is_null(s, column);
}

void db_done(struct db_stmt *s) {
    if (!s) return;
    s->db->driver->done(s);
    if (s->kept) drop_kept(s);
    s->busy = false;
}

// ---- notifications ----

struct db_listener {
    const struct db_driver *driver;
    void *native;
};

bool db_listen(struct db_pool *p, const char *channel, void (*on_news)(void *ctx), void *ctx, struct db_listener **out, struct err *e) {
    struct db_listener *l = calloc(1, sizeof *l);
    if (!l) return err_nomem(e, "db");
    l->driver = p->driver;
    if (!l->driver->listen(p, channel, on_news, ctx, &l->native, e)) {
        free(l);
        return false;
    }
    *out = l;
    return true;
}

void db_unlisten(struct db_listener *l) {
    if (!l) return;
    l->driver->unlisten(l->native);
    free(l);
}

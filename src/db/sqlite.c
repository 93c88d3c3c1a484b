// The SQLite driver: connections with a statement cache, and a pool of readers beside one writer.
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/checkpoint.h"
#include "db/db.h"
#include "db/migrate.h"

enum {
    STATEMENTS_MAX = 96,      // prepared per connection
    READERS_MAX = 64,         // per pool
    READER_WAIT_S = 30,       // for a free connection
    BUSY_MS = 10 * 1000,      // another process holds the file
    MMAP_BYTES = 64 << 20,    // file-backed, not anonymous
    WAL_KEEP_BYTES = 32 << 20 // what the write-ahead log's file shrinks to after a burst
};

struct db_stmt {
    struct db *db;
    sqlite3_stmt *s;
    char *sql;
    uint64_t used; // for eviction
    bool busy;
};

struct db {
    sqlite3 *h;
    struct db_stmt statements[STATEMENTS_MAX];
    unsigned statement_count;
    uint64_t tick;
    bool writer;
    bool lent;
};

struct db_pool {
    char *path;
    unsigned cache_kib;
    pthread_mutex_t write_lock;
    struct db *writer;
    struct checkpoint *checkpoint;
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t returned;
    struct db *readers[READERS_MAX];
    unsigned reader_count, reader_max;
};

static enum err_kind kind_of(sqlite3 *h, int code) {
    switch (code & 0xff) {
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_CONSTRAINT:
        return ERR_CONFLICT;
    case SQLITE_INTERRUPT:
        return ERR_CANCELLED;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return ERR_IO;
    case SQLITE_IOERR:
        return h && (sqlite3_system_errno(h) == ENOSPC || sqlite3_system_errno(h) == EDQUOT) ? ERR_FULL : ERR_IO;
    default:
        return ERR_INTERNAL;
    }
}

static bool fail(struct db *d, int code, const char *doing, struct err *e) {
    return err_set(e, kind_of(d->h, code), "db", "%.120s: %s", doing, d->h ? sqlite3_errmsg(d->h) : sqlite3_errstr(code));
}

static void close_connection(struct db *d) {
    if (!d) return;
    for (unsigned i = 0; i < d->statement_count; i++) {
        sqlite3_finalize(d->statements[i].s);
        free(d->statements[i].sql);
    }
    sqlite3_close(d->h);
    free(d);
}

static bool configure(struct db *d, unsigned cache_kib, struct err *e) {
    char sql[320];
    sqlite3_busy_timeout(d->h, BUSY_MS);
    sqlite3_extended_result_codes(d->h, 1);
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-%u; PRAGMA mmap_size=%d; PRAGMA wal_autocheckpoint=0; "
             "PRAGMA journal_size_limit=%d; PRAGMA trusted_schema=OFF",
             cache_kib, MMAP_BYTES, WAL_KEEP_BYTES);
    return db_exec(d, sql, e) && (d->writer || db_exec(d, "PRAGMA query_only=ON", e));
}

static struct db *open_connection(const char *path, unsigned cache_kib, bool writer, struct err *e) {
    struct db *d = calloc(1, sizeof *d);
    if (!d) return err_nomem(e, "db"), NULL;
    d->writer = writer;
    int code = sqlite3_open_v2(path, &d->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_CREATE : 0), NULL);
    bool ok = code == SQLITE_OK || fail(d, code, "open", e);
    if (ok && configure(d, cache_kib, e)) return d;
    err_wrap(e, "index %s", path);
    close_connection(d);
    return NULL;
}

static int on_commit(void *ctx, sqlite3 *h, const char *name, int pages) {
    (void)h, (void)name;
    checkpoint_note(ctx, pages);
    return SQLITE_OK;
}

bool db_pool_open(const struct db_options *o, struct db_pool **out, struct err *e) {
    struct db_pool *p = calloc(1, sizeof *p);
    if (!p) return err_nomem(e, "db");
    pthread_mutex_init(&p->write_lock, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->returned, &attr);
    pthread_condattr_destroy(&attr);
    p->path = strdup(o->path);
    p->cache_kib = o->cache_kib ? o->cache_kib : 2048;
    p->reader_max = o->connections && o->connections < READERS_MAX ? o->connections : READERS_MAX;
    if (p->path)
        p->writer = open_connection(p->path, p->cache_kib * 2, true, e);
    else
        err_nomem(e, "db");
    if (!p->writer || !db_migrate(p->writer, e) || !checkpoint_start(p, &p->checkpoint, e)) {
        db_pool_close(p);
        return false;
    }
    sqlite3_wal_hook(p->writer->h, on_commit, p->checkpoint);
    *out = p;
    return true;
}

void db_pool_close(struct db_pool *p) {
    if (!p) return;
    checkpoint_stop(p->checkpoint);
    for (unsigned i = 0; i < p->reader_count; i++) close_connection(p->readers[i]);
    close_connection(p->writer);
    pthread_mutex_destroy(&p->write_lock);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->returned);
    free(p->path);
    free(p);
}

static struct db *free_reader(struct db_pool *p) {
    for (unsigned i = 0; i < p->reader_count; i++)
        if (!p->readers[i]->lent) return p->readers[i];
    return NULL;
}

// With the lock held: an idle connection, a new one, or NULL when one must be waited for (*e then untouched).
static struct db *take_reader(struct db_pool *p, bool *failed, struct err *e) {
    struct db *d = free_reader(p);
    if (!d && p->reader_count < p->reader_max) {
        d = open_connection(p->path, p->cache_kib, false, e);
        *failed = !d;
        if (d) p->readers[p->reader_count++] = d;
    }
    if (d) d->lent = true;
    return d;
}

struct db *db_reader(struct db_pool *p, struct err *e) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += READER_WAIT_S;
    bool failed = false;
    int waited = 0;
    pthread_mutex_lock(&p->lock);
    struct db *d = take_reader(p, &failed, e);
    while (!d && !failed && waited == 0) {
        waited = pthread_cond_timedwait(&p->returned, &p->lock, &until);
        d = take_reader(p, &failed, e);
    }
    pthread_mutex_unlock(&p->lock);
    if (!d && !failed) err_set(e, ERR_BUSY, "db", "all %u connections to the index stayed in use for %d s", p->reader_max, READER_WAIT_S);
    return d;
}

struct db *db_writer(struct db_pool *p, struct err *e) {
    (void)e;
    pthread_mutex_lock(&p->write_lock);
    return p->writer;
}

void db_return(struct db_pool *p, struct db *d) {
    if (!d) return;
    if (!sqlite3_get_autocommit(d->h)) db_rollback(d);
    if (d->writer) {
        pthread_mutex_unlock(&p->write_lock);
        return;
    }
    pthread_mutex_lock(&p->lock);
    d->lent = false;
    pthread_cond_signal(&p->returned);
    pthread_mutex_unlock(&p->lock);
}

static bool run(struct db *d, const char *sql, struct err *e) {
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) continue;
    db_done(s);
    return step == DB_END;
}

bool db_begin(struct db *d, struct err *e) {
    return run(d, d->writer ? "BEGIN IMMEDIATE" : "BEGIN", e);
}

bool db_commit(struct db *d, struct err *e) {
    return run(d, "COMMIT", e);
}

void db_rollback(struct db *d) {
    if (!sqlite3_get_autocommit(d->h)) run(d, "ROLLBACK", NULL);
}

bool db_exec(struct db *d, const char *sql, struct err *e) {
    int code = sqlite3_exec(d->h, sql, NULL, NULL, NULL);
    return code == SQLITE_OK || fail(d, code, sql, e);
}

static struct db_stmt *cached(struct db *d, const char *sql) {
    for (unsigned i = 0; i < d->statement_count; i++) {
        struct db_stmt *s = &d->statements[i];
        if (!s->busy && strcmp(s->sql, sql) == 0) return s;
    }
    return NULL;
}

// A slot for one statement more: a new one, or that of the longest unused; NULL when all are in use.
static struct db_stmt *free_slot(struct db *d) {
    if (d->statement_count < STATEMENTS_MAX) return &d->statements[d->statement_count];
    struct db_stmt *oldest = NULL;
    for (unsigned i = 0; i < d->statement_count; i++) {
        struct db_stmt *s = &d->statements[i];
        if (!s->busy && (!oldest || s->used < oldest->used)) oldest = s;
    }
    return oldest;
}

static struct db_stmt *prepare_in(struct db *d, struct db_stmt *slot, const char *sql, struct err *e) {
    char *copy = strdup(sql);
    if (!copy) return err_nomem(e, "db"), NULL;
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v3(d->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);
    if (code != SQLITE_OK) {
        fail(d, code, sql, e);
        free(copy);
        return NULL;
    }
    if (slot == d->statements + d->statement_count) d->statement_count++;
    struct db_stmt old = *slot;
    *slot = (struct db_stmt){.db = d, .s = s, .sql = copy};
    sqlite3_finalize(old.s);
    free(old.sql);
    return slot;
}

struct db_stmt *db_prepare(struct db *d, const char *sql, struct err *e) {
    struct db_stmt *s = cached(d, sql);
    if (!s) {
        struct db_stmt *slot = free_slot(d);
        if (!slot) return err_set(e, ERR_BUSY, "db", "more than %d statements are in use on one connection", STATEMENTS_MAX), NULL;
        s = prepare_in(d, slot, sql, e);
        if (!s) return NULL;
    }
    s->busy = true;
    s->used = ++d->tick;
    return s;
}

void db_bind_int(struct db_stmt *s, int i, int64_t v) {
    sqlite3_bind_int64(s->s, i, v);
}

void db_bind_double(struct db_stmt *s, int i, double v) {
    sqlite3_bind_double(s->s, i, v);
}

void db_bind_text(struct db_stmt *s, int i, struct str v) {
    if (v.p)
        sqlite3_bind_text64(s->s, i, v.p, v.n, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_null(s->s, i);
}

void db_bind_blob(struct db_stmt *s, int i, struct str v) {
    if (v.p)
        sqlite3_bind_blob64(s->s, i, v.p, v.n, SQLITE_STATIC);
    else
        sqlite3_bind_null(s->s, i);
}

enum db_step db_next(struct db_stmt *s, struct err *e) {
    int code = sqlite3_step(s->s);
    if (code == SQLITE_ROW) return DB_ROW;
    if (code == SQLITE_DONE) return DB_END;
    fail(s->db, code, s->sql, e);
    return DB_FAIL;
}

int64_t db_int(struct db_stmt *s, int column) {
    return sqlite3_column_int64(s->s, column);
}

double db_double(struct db_stmt *s, int column) {
    return sqlite3_column_double(s->s, column);
}

struct str db_text(struct db_stmt *s, int column) {
    const char *p = (const char *)sqlite3_column_text(s->s, column);
    return (struct str){p, p ? (size_t)sqlite3_column_bytes(s->s, column) : 0};
}

struct str db_blob(struct db_stmt *s, int column) {
    const char *p = sqlite3_column_blob(s->s, column);
    return (struct str){p, p ? (size_t)sqlite3_column_bytes(s->s, column) : 0};
}

bool db_is_null(struct db_stmt *s, int column) {
    return sqlite3_column_type(s->s, column) == SQLITE_NULL;
}

void db_done(struct db_stmt *s) {
    if (!s) return;
    sqlite3_reset(s->s);
    sqlite3_clear_bindings(s->s);
    s->busy = false;
}

int64_t db_last_id(struct db *d) {
    return sqlite3_last_insert_rowid(d->h);
}

int64_t db_changes(struct db *d) {
    return sqlite3_changes64(d->h);
}

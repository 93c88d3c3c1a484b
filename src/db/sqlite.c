// The SQLite driver: a file in write-ahead mode, one connection that writes beside many that read.
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/checkpoint.h"
#include "db/driver.h"
#include "sys/file.h"

enum {
    READERS_MAX = 64,      // per pool
    BUSY_MS = 10 * 1000,   // another process holds the file
    MMAP_BYTES = 64 << 20, // file-backed, not anonymous
    PATH_BYTES = 4096,
    WAL_KEEP_BYTES = 32 << 20 // what the write-ahead log's file shrinks to after a burst
};

struct file {
    char *path;
    unsigned cache_kib;
    struct checkpoint *checkpoint;
};

static sqlite3_stmt *of(const struct db_stmt *s) {
    return s->native;
}

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

static bool fail(sqlite3 *h, int code, const char *doing, struct err *e) {
    return err_set(e, kind_of(h, code), "db", "%.120s: %s", doing, h ? sqlite3_errmsg(h) : sqlite3_errstr(code));
}

// ---- pool ----

// It holds digests of passwords. SQLite gives the files beside it the mode of the first one; those of before are there already.
static void keep_private(const char *path) {
    static const char *const BESIDE[] = {"-wal", "-shm"};
    char name[PATH_BYTES];
    sys_keep_private(path, true);
    for (unsigned i = 0; i < sizeof BESIDE / sizeof *BESIDE; i++) {
        int n = snprintf(name, sizeof name, "%s%s", path, BESIDE[i]);
        if (n < (int)sizeof name) sys_keep_private(name, false);
    }
}

static bool open_file(struct db_pool *p, const struct db_options *o, struct err *e) {
    struct file *f = calloc(1, sizeof *f);
    if (!f) return err_nomem(e, "db");
    db_pool_set_native(p, f);
    f->cache_kib = o->cache_kib ? o->cache_kib : 2048;
    f->path = strdup(o->path);
    if (!f->path) return err_nomem(e, "db");
    keep_private(f->path);
    return true;
}

static int on_commit(void *ctx, sqlite3 *h, const char *name, int pages) {
    (void)h, (void)name;
    checkpoint_note(ctx, pages);
    return SQLITE_OK;
}

static bool start(struct db_pool *p, struct err *e) {
    struct file *f = db_pool_native(p);
    if (!checkpoint_start(p, &f->checkpoint, e)) return false;
    struct db *w = db_writer(p, e);
    if (w) sqlite3_wal_hook(w->native, on_commit, f->checkpoint);
    db_return(p, w);
    return w;
}

static void stop(struct db_pool *p) {
    struct file *f = db_pool_native(p);
    if (f) checkpoint_stop(f->checkpoint);
}

static void close_file(struct db_pool *p) {
    struct file *f = db_pool_native(p);
    if (!f) return;
    free(f->path);
    free(f);
}

// ---- connections ----

static bool exec(struct db *d, const char *sql, struct err *e) {
    int code = sqlite3_exec(d->native, sql, NULL, NULL, NULL);
    return code == SQLITE_OK || fail(d->native, code, sql, e);
}

static bool configure(struct db *d, unsigned cache_kib, struct err *e) {
    char sql[320];
    sqlite3_busy_timeout(d->native, BUSY_MS);
    sqlite3_extended_result_codes(d->native, 1);
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-%u; PRAGMA mmap_size=%d; PRAGMA wal_autocheckpoint=0; "
             "PRAGMA journal_size_limit=%d; PRAGMA trusted_schema=OFF",
             cache_kib, MMAP_BYTES, WAL_KEEP_BYTES);
    return exec(d, sql, e) && (d->role == DB_FOR_WRITING || exec(d, "PRAGMA query_only=ON", e));
}

static void disconnect(struct db *d) {
    sqlite3_close(d->native);
    d->native = NULL;
}

static bool connect_file(struct db *d, struct err *e) {
    const struct file *f = db_pool_native(d->pool);
    bool writer = d->role == DB_FOR_WRITING;
    sqlite3 *h = NULL;
    int code = sqlite3_open_v2(f->path, &h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_CREATE : 0), NULL);
    bool ok = code == SQLITE_OK || fail(h, code, "open", e);
    d->native = h;
    if (ok && configure(d, writer ? f->cache_kib * 2 : f->cache_kib, e)) return true;
    disconnect(d);
    return err_wrap(e, "index %s", f->path);
}

static bool usable(struct db *d) {
    (void)d;
    return true;
}

static bool lost(const struct db *d) {
    (void)d;
    return false;
}

static bool run(struct db *d, const char *sql, struct err *e) {
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) continue;
    db_done(s);
    return step == DB_END;
}

static bool in_transaction(const struct db *d) {
    return !sqlite3_get_autocommit(d->native);
}

static bool begin(struct db *d, struct err *e) {
    return run(d, d->role == DB_FOR_WRITING ? "BEGIN IMMEDIATE" : "BEGIN", e);
}

static bool commit(struct db *d, struct err *e) {
    return run(d, "COMMIT", e);
}

static void rollback(struct db *d) {
    run(d, "ROLLBACK", NULL);
}

static bool notify(struct db *d, const char *channel, struct err *e) {
    (void)d, (void)channel, (void)e;
    return true;
}

static int64_t last_id(struct db *d) {
    return sqlite3_last_insert_rowid(d->native);
}

static int64_t changes(struct db *d) {
    return sqlite3_changes64(d->native);
}

static bool listen_to_nobody(struct db_pool *p, const char *channel, void (*on_news)(void *ctx), void *ctx, void **out, struct err *e) {
    (void)p, (void)channel, (void)on_news, (void)ctx, (void)out, (void)e;
    return true;
}

static void unlisten(void *l) {
    (void)l;
}

// ---- statements ----

static bool prepare(struct db_stmt *s, const char *sql, struct err *e) {
    sqlite3_stmt *made = NULL;
    int code = sqlite3_prepare_v3(s->db->native, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL);
    s->native = made;
    return code == SQLITE_OK || fail(s->db->native, code, sql, e);
}

static void finalize(struct db_stmt *s) {
    sqlite3_finalize(of(s));
}

static void bind_int(struct db_stmt *s, int i, int64_t v) {
    sqlite3_bind_int64(of(s), i, v);
}

static void bind_double(struct db_stmt *s, int i, double v) {
    sqlite3_bind_double(of(s), i, v);
}

static void bind_text(struct db_stmt *s, int i, struct str v) {
    if (v.p)
        sqlite3_bind_text64(of(s), i, v.p, v.n, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_null(of(s), i);
}

static void bind_blob(struct db_stmt *s, int i, struct str v) {
    if (v.p)
        sqlite3_bind_blob64(of(s), i, v.p, v.n, SQLITE_STATIC);
    else
        sqlite3_bind_null(of(s), i);
}

static enum db_step next(struct db_stmt *s, struct err *e) {
    int code = sqlite3_step(of(s));
    if (code == SQLITE_ROW) return DB_ROW;
    if (code == SQLITE_DONE) return DB_END;
    fail(s->db->native, code, s->sql, e);
    return DB_FAIL;
}

static int64_t get_int(struct db_stmt *s, int column) {
    return sqlite3_column_int64(of(s), column);
}

static double get_double(struct db_stmt *s, int column) {
    return sqlite3_column_double(of(s), column);
}

static struct str get_text(struct db_stmt *s, int column) {
    const char *p = (const char *)sqlite3_column_text(of(s), column);
    return (struct str){p, p ? (size_t)sqlite3_column_bytes(of(s), column) : 0};
}

static struct str get_blob(struct db_stmt *s, int column) {
    const char *p = sqlite3_column_blob(of(s), column);
    return (struct str){p, p ? (size_t)sqlite3_column_bytes(of(s), column) : 0};
}

static bool is_null(struct db_stmt *s, int column) {
    return sqlite3_column_type(of(s), column) == SQLITE_NULL;
}

static void done(struct db_stmt *s) {
    sqlite3_reset(of(s));
    sqlite3_clear_bindings(of(s));
}

const struct db_driver DB_DRIVER_SQLITE = {
    .engine = DB_SQLITE,
    .readers = READERS_MAX,
    .connections_max = {[DB_FOR_READING] = READERS_MAX, [DB_FOR_WRITING] = 1},
    .open = open_file,
    .start = start,
    .stop = stop,
    .close = close_file,
    .connect = connect_file,
    .disconnect = disconnect,
    .usable = usable,
    .in_transaction = in_transaction,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .exec = exec,
    .lost = lost,
    .notify = notify,
    .last_id = last_id,
    .changes = changes,
    .listen = listen_to_nobody,
    .unlisten = unlisten,
    .migrate_begin = begin,
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

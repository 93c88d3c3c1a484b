// Applying the numbered migrations: each in its own transaction, by whichever process comes first.
#include "db/migrate.h"

#include <unistd.h>

#include "base/clock.h"
#include "db/dialect.h"
#include "db/driver.h"

enum { TRIES = 60, PAUSE_US = 500 * 1000 };

static const char CREATE[] = "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ms INTEGER NOT NULL)";

static bool exec_migration(struct db *d, const char *sql, struct err *e) {
    struct buf own;
    buf_init(&own, DIALECT_SQL_BYTES_MAX);
    bool ok = dialect_migration(d->driver->engine, sql, &own, e) && d->driver->exec(d, own.p, e);
    buf_deinit(&own);
    return ok;
}

static bool current_number(struct db *d, int64_t *out, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT coalesce(max(number), 0) FROM migrations", e);
    if (!s) return false;
    bool ok = db_next(s, e) == DB_ROW;
    if (ok) *out = db_int(s, 0);
    db_done(s);
    return ok;
}

static bool note(struct db *d, const struct db_migration *m, struct err *e) {
    struct db_stmt *s = db_prepare(d, "INSERT INTO migrations VALUES (?1, ?2, ?3)", e);
    if (!s) return false;
    db_bind_int(s, 1, m->number);
    db_bind_text(s, 2, str_of(m->name));
    db_bind_int(s, 3, clock_wall_ms());
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    return ok;
}

static bool is_known(int64_t at, struct err *e) {
    if (at <= (int64_t)DB_MIGRATION_COUNT + 1) return true;
    return err_set(e, ERR_UNSUPPORTED, "db",
                   "the index has schema %lld, this program knows %u and works with one newer: run the newer gantry that made it, or rebuild the index "
                   "with 'gantry reindex'",
                   (long long)at, DB_MIGRATION_COUNT);
}

// In its transaction: the first migration that is missing; *done when none is.
static bool apply_next(struct db *d, bool *done, struct err *e) {
    int64_t at;
    if (!exec_migration(d, CREATE, e) || !current_number(d, &at, e) || !is_known(at, e)) return false;
    *done = at >= (int64_t)DB_MIGRATION_COUNT;
    if (*done) return true;
    const struct db_migration *m = &DB_MIGRATIONS[at];
    return (exec_migration(d, m->sql, e) && note(d, m, e)) || err_wrap(e, "migration %04d_%s", m->number, m->name);
}

static bool apply_all(struct db *d, struct err *e) {
    for (bool done = false; !done;) {
        if (d->driver->migrate_begin(d, e) && apply_next(d, &done, e) && db_commit(d, e)) continue;
        db_rollback(d);
        return false;
    }
    return true;
}

// Nothing is locked when there is nothing to do. A migration that would keep readers waiting gives way to them, and comes again.
bool db_migrate(struct db *writer, struct err *e) {
    int64_t at;
    if (current_number(writer, &at, NULL) && at >= (int64_t)DB_MIGRATION_COUNT) return is_known(at, e);
    for (int i = 1;; i++) {
        struct err why = {0};
        if (apply_all(writer, &why)) return true;
        if (e) *e = why;
        if (why.kind != ERR_BUSY || i == TRIES) return false;
        usleep(PAUSE_US);
    }
}

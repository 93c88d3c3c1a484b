// Applying the numbered migrations.
#include "db/migrate.h"

#include "base/clock.h"

static const char CREATE[] = "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ms INTEGER NOT NULL)";

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

static bool apply(struct db *d, const struct db_migration *m, struct err *e) {
    if (!db_begin(d, e)) return false;
    if (db_exec(d, m->sql, e) && note(d, m, e) && db_commit(d, e)) return true;
    db_rollback(d);
    return err_wrap(e, "migration %04d_%s", m->number, m->name);
}

bool db_migrate(struct db *writer, struct err *e) {
    int64_t at;
    if (!db_exec(writer, CREATE, e) || !current_number(writer, &at, e)) return false;
    if (at > (int64_t)DB_MIGRATION_COUNT)
        return err_set(
            e, ERR_UNSUPPORTED, "db",
            "the index has schema %lld but this program knows only %u: run the newer gantry that made it, or rebuild the index with 'gantry reindex'",
            (long long)at, DB_MIGRATION_COUNT);
    for (unsigned i = (unsigned)at; i < DB_MIGRATION_COUNT; i++)
        if (!apply(writer, &DB_MIGRATIONS[i], e)) return false;
    return true;
}

// Copying what is nowhere else.
#include "core/kept.h"

#include <stdio.h>
#include <string.h>

#include "core/index.h"

enum { COLUMNS_MAX = 20, SQL_BYTES = 1024 };

const struct kept_table KEPT_TABLES[] = {
    {"users", "id, name, display, password, issuer, subject, state, must_change, totp, totp_step, recovery, created_ms, changed_ms, seen_ms", "ittttttititiii",
     true},
    {"roles", "name, permissions, summary, changed_ms", "ttti", false},
    {"grants", "id, holder, holder_id, role, scope, granted_by, until_ms", "itittti", true},
    {"tokens", "id, name, digest, owner, created_ms, until_ms, seen_ms, revoked_ms", "ittiiiii", true},
    {"peers", "id, name, aet, called, networks, fingerprint, subject, host, port, tls, tls_name, services, associations, realm, state, created_ms, changed_ms",
     "itttttttiittittii", true},
    {"glasses", "id, user_id, name, reason, scope, begun_ms, until_ms, address, reviewed_by, reviewed_ms, verdict, remark", "iitttiittitt", true},
    {.name = NULL},
};

static bool put_row(struct db *w, const char *sql, const struct kept_table *t, struct db_stmt *row, struct err *e) {
    struct db_stmt *s = db_prepare(w, sql, e);
    if (!s) return false;
    for (int i = 0; t->types[i]; i++) {
        struct str text = t->types[i] == 't' ? db_text(row, i) : STR_LIT("");
        if (t->types[i] == 'i')
            db_bind_int(s, i + 1, db_int(row, i));
        else
            db_bind_text(s, i + 1, text.p ? text : STR_LIT(""));
    }
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    return ok;
}

static bool copy_table(struct db *from, struct db *w, const struct kept_table *t, struct err *e) {
    char read[SQL_BYTES], write[SQL_BYTES], places[COLUMNS_MAX * 5 + 1] = "";
    for (size_t i = 0; t->types[i]; i++) snprintf(places + strlen(places), sizeof places - strlen(places), "%s?%zu", i ? ", " : "", i + 1);
    snprintf(read, sizeof read, "DELETE FROM %s", t->name);
    if (!sql_run(w, read, NULL, 0, e)) return false;
    snprintf(read, sizeof read, "SELECT %s FROM %s", t->columns, t->name);
    snprintf(write, sizeof write, "INSERT INTO %s (%s) VALUES (%s)", t->name, t->columns, places);
    struct db_stmt *s = db_prepare(from, read, e);
    enum db_step step = DB_FAIL;
    bool ok = s;
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = put_row(w, write, t, s, e);
    db_done(s);
    return ok && step == DB_END;
}

static bool number_one(struct db *w, const char *schema, const char *table, struct err *e) {
    char sql[SQL_BYTES];
    int64_t next;
    bool found;
    snprintf(sql, sizeof sql, "SELECT setval(pg_get_serial_sequence('%s%s', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM %s%s), false)", schema, table, schema,
             table);
    return sql_one(w, sql, NULL, 0, &next, 1, &found, e);
}

bool kept_number(struct db *w, const char *schema, struct err *e) {
    if (db_engine_of(w) != DB_POSTGRES) return true; // the highest one counts by itself
    for (const struct kept_table *t = KEPT_TABLES; t->name; t++)
        if (t->numbered && !number_one(w, schema, t->name, e)) return false;
    return number_one(w, schema, "realms", e);
}

bool kept_copy(struct db *from, struct db *w, struct err *e) {
    for (const struct kept_table *t = KEPT_TABLES; t->name; t++)
        if (!copy_table(from, w, t, e)) return err_wrap(e, "%s", t->name);
    return kept_number(w, "", e) && sql_run(w, "UPDATE counters SET value = value + 1 WHERE name = 'access'", NULL, 0, e);
}

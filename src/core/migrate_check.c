// The end of a migration: every row of both sides compared and put right, accounts drawn up, the target made an archive of its own.
#include <stdio.h>
#include <stdlib.h>

#include "core/kept.h"
#include "core/migrate_part.h"
#include "core/realm.h"
#include "core/searchable.h"

struct account {
    struct migrate_account *to;
    struct digest digest;
};

// ---- one volume ----

// Of the source's rows those whose entry cannot be found do not count: nobody can take them over.
static bool counts(const struct role_row *row) {
    return row && role_lives(row->role);
}

static bool same_row(const struct role_row *a, const struct role_row *b) {
    if (!counts(a) || !counts(b)) return counts(a) == counts(b);
    return a->role == b->role && a->length == b->length && memcmp(a->digest, b->digest, DIGEST_BYTES) == 0;
}

static bool same_roles(const struct roles *a, const struct roles *b) {
    for (size_t i = 0; i < a->n; i++)
        if (!same_row(&a->rows[i], roles_find(b, a->rows[i].offset))) return false;
    for (size_t i = 0; i < b->n; i++)
        if (!same_row(roles_find(a, b->rows[i].offset), &b->rows[i])) return false;
    return true;
}

static void add_rows(struct account *a, uint32_t volume, const struct roles *r) {
    for (size_t i = 0; i < r->n; i++) {
        const struct role_row *row = &r->rows[i];
        if (!counts(row)) continue;
        const uint64_t place[4] = {volume, row->offset, row->length, row->role};
        digest_add(&a->digest, place, sizeof place);
        digest_add(&a->digest, row->digest, sizeof row->digest);
        a->to->objects += row->role == ROLE_INSTANCE;
        a->to->bytes += row->role == ROLE_INSTANCE ? row->length : 0;
        a->to->conflicts += row->role == ROLE_CONFLICT;
        a->to->quarantined += row->role == ROLE_QUARANTINE;
        a->to->records += row->role == ROLE_RECORD;
    }
    a->to->volumes++;
}

static void forget_lost(struct migrate *m, uint32_t volume, struct roles *source) {
    for (size_t i = 0; i < source->n; i++) {
        struct role_row *row = &source->rows[i];
        if (!role_lives(row->role) || row->visited) continue;
        m->lost++;
        migrate_note(m, "volume %u at byte %llu: the source's index names an entry that cannot be found there: %.*s", volume, (unsigned long long)row->offset,
                     STR_FMT(row->name));
        row->role = ROLE_NONE;
    }
}

static bool settle_volume(struct migrate *m, uint32_t volume, struct account accounts[2], struct err *e) {
    struct roles source, target;
    bool all;
    arena_reset(&m->arena);
    if (!roles_read(m->from, &m->arena, volume, &source, e) || !roles_read(m->to, &m->arena, volume, &target, e)) return false;
    bool counts_there = !source.removed && (source.known || !m->from->remote);
    if (counts_there && !same_roles(&source, &target)) {
        if (!migrate_rows(m, volume, &source, true, &all, e)) return false;
        forget_lost(m, volume, &source);
        if (!roles_read(m->to, &m->arena, volume, &target, e)) return false;
    }
    if (!counts_there) return true;
    add_rows(&accounts[0], volume, &source);
    add_rows(&accounts[1], volume, &target);
    return true;
}

// ---- volumes that the source has no more ----

static bool has_volume(const uint32_t *volumes, size_t n, uint32_t volume) {
    for (size_t low = 0, high = n; low < high;) {
        size_t middle = (low + high) / 2;
        if (volumes[middle] == volume) return true;
        if (volumes[middle] < volume)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool empty_volume(struct migrate *m, struct db *w, uint32_t volume, const struct roles *target, struct err *e) {
    bool ok = db_begin(w, e);
    for (size_t i = 0; ok && i < target->n; i++)
        if (role_lives(target->rows[i].role))
            ok = kill_missing(m->to->index, w, (struct vol_loc){volume, target->rows[i].offset, target->rows[i].length}, target->rows[i].name, e);
    const struct sql_value v = SQL_I(volume);
    return ok && sql_run(w, "DELETE FROM records WHERE volume = ?1", &v, 1, e) && sql_run(w, "DELETE FROM dead WHERE volume = ?1", &v, 1, e) &&
           sql_run(w, "DELETE FROM volumes WHERE volume = ?1", &v, 1, e) && db_commit(w, e);
}

static bool drop_volume(struct migrate *m, uint32_t volume, struct err *e) {
    struct roles target;
    arena_reset(&m->arena);
    if (!roles_read(m->to, &m->arena, volume, &target, e) || !vol_remove(m->to->volumes, volume, e)) return false;
    struct db *w = db_writer(m->to->db, e);
    bool ok = w && empty_volume(m, w, volume, &target, e);
    if (!ok) index_forget(m->to->index);
    if (w) db_return(m->to->db, w);
    return ok;
}

// Gone, or waiting to go: nothing in it is referred to any more.
static bool is_gone(struct migrate *m, const uint32_t *volumes, size_t n, uint32_t volume, bool *gone, struct err *e) {
    int64_t one;
    *gone = !has_volume(volumes, n, volume);
    if (*gone) return true;
    struct db *d = db_reader(m->from->db, e);
    bool ok = d && sql_one(d, "SELECT 1 FROM volumes WHERE volume = ?1 AND removed_ms IS NOT NULL", SQL_VALUES(SQL_I(volume)), &one, 1, gone, e);
    db_return(m->from->db, d);
    return ok;
}

static bool drop_gone(struct migrate *m, const uint32_t *volumes, size_t n, struct err *e) {
    uint32_t *mine;
    size_t count;
    if (!vol_list(m->to->volumes, &mine, &count, e)) return false;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        bool gone;
        ok = is_gone(m, volumes, n, mine[i], &gone, e) && (!gone || drop_volume(m, mine[i], e));
    }
    free(mine);
    return ok;
}

// ---- what is in no volume ----

// Each row that the source's statement gives.
static bool copy_rows(struct db *from, struct db *w, const char *select, bool (*put)(struct db *w, struct db_stmt *row, struct err *e), struct err *e) {
    struct db_stmt *s = db_prepare(from, select, e);
    enum db_step step = DB_FAIL;
    bool ok = s;
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = put(w, s, e);
    db_done(s);
    return ok && step == DB_END;
}

static bool put_setting(struct db *w, struct db_stmt *row, struct err *e) {
    struct str name = db_text(row, 0), value = db_text(row, 1);
    return str_eqz(name, ARCHIVE_ARRIVING) || sql_run(w, "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
                                                      SQL_VALUES(SQL_T(name), SQL_T(value)), e);
}

static bool put_grave(struct db *w, struct db_stmt *row, struct err *e) {
    struct str digest = db_blob(row, 2);
    return sql_run(w, "INSERT INTO graves (sop_instance_uid, received_ms, digest) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                   SQL_VALUES(SQL_T(db_text(row, 0)), SQL_I(db_int(row, 1)), SQL_B(digest.p, digest.n)), e);
}

// A number that a volume ever had is given to no other: tombstones name places.
static bool keep_numbers(struct db *from, struct db *w, struct err *e) {
    int64_t last = 0;
    bool found;
    return sql_one(from,
                   "SELECT {greatest}((SELECT coalesce(max(volume), 0) FROM volumes), (SELECT coalesce(max(value), 0) FROM counters WHERE name = 'volume'))",
                   NULL, 0, &last, 1, &found, e) &&
           sql_run(w, "UPDATE counters SET value = ?1 WHERE name = 'volume' AND value < ?1", SQL_VALUES(SQL_I(last)), e);
}

// The places that the volumes told of have numbers of their own here; what administrators named them goes with their names.
static bool put_realm(struct db *w, struct db_stmt *row, struct err *e) {
    return sql_run(w,
                   "INSERT INTO realms (tenant, site, department, display, created_ms) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (tenant, site, department) DO "
                   "UPDATE SET display = excluded.display",
                   SQL_VALUES(SQL_T(db_text(row, 0)), SQL_T(db_text(row, 1)), SQL_T(db_text(row, 2)), SQL_T(db_text(row, 3)), SQL_I(db_int(row, 4))), e);
}

// Whose a study was that is gone: no volume tells.
static bool put_gone(struct db *w, struct db_stmt *row, struct err *e) {
    return sql_run(w,
                   "INSERT INTO gone_studies (study_uid, realm) SELECT ?1, id FROM realms WHERE tenant = ?2 AND site = ?3 AND department = ?4 ON CONFLICT DO "
                   "NOTHING",
                   SQL_VALUES(SQL_T(db_text(row, 0)), SQL_T(db_text(row, 1)), SQL_T(db_text(row, 2)), SQL_T(db_text(row, 3))), e);
}

static const char GONE[] = "SELECT g.study_uid, r.tenant, r.site, r.department FROM gone_studies g JOIN realms r ON r.id = g.realm";

static bool copy_rest(struct migrate *m, struct err *e) {
    struct db *from = db_reader(m->from->db, e), *w = from ? db_writer(m->to->db, e) : NULL;
    bool ok = w && db_begin(w, e) && copy_rows(from, w, "SELECT name, value FROM settings ORDER BY name", put_setting, e) &&
              copy_rows(from, w, "SELECT sop_instance_uid, received_ms, digest FROM graves", put_grave, e) && keep_numbers(from, w, e) &&
              kept_copy(from, w, e) && copy_rows(from, w, "SELECT tenant, site, department, display, created_ms FROM realms WHERE id <> 0", put_realm, e) &&
              copy_rows(from, w, GONE, put_gone, e) && db_commit(w, e);
    if (w) db_return(m->to->db, w);
    if (from) db_return(m->from->db, from);
    return ok && realm_mark_apart(m->to, e);
}

static bool is_among(const uint32_t *tags, unsigned n, uint32_t tag) {
    for (unsigned i = 0; i < n; i++)
        if (tags[i] == tag) return true;
    return false;
}

static bool declare_attributes(struct migrate *m, struct err *e) {
    struct arena a;
    uint32_t *theirs, *mine;
    unsigned n = 0, k = 0;
    arena_init(&a, 1 << 20);
    bool ok = searchable_list(m->from, &a, &theirs, &n, e) && searchable_list(m->to, &a, &mine, &k, e);
    for (unsigned i = 0; ok && i < n; i++) ok = is_among(mine, k, theirs[i]) || searchable_declare(m->to, theirs[i], NULL, NULL, e);
    for (unsigned i = 0; ok && i < k; i++) ok = is_among(theirs, n, mine[i]) || searchable_withdraw(m->to, mine[i], e);
    arena_deinit(&a);
    return ok;
}

// ---- accounts ----

static bool count_rows(struct archive *ar, struct migrate_account *out, struct err *e) {
    int64_t row[4] = {0};
    bool found;
    struct db *d = db_reader(ar->db, e);
    if (!d) return false;
    bool ok = sql_one(d, "SELECT (SELECT count(*) FROM patients), (SELECT count(*) FROM studies), (SELECT count(*) FROM series), (SELECT count(*) FROM events)",
                      NULL, 0, row, 4, &found, e);
    struct db_stmt *s = ok ? db_prepare(d, "SELECT hash FROM events ORDER BY seq DESC LIMIT 1", e) : NULL;
    enum db_step step = s ? db_next(s, e) : DB_FAIL;
    if (step == DB_ROW && db_blob(s, 0).n == DIGEST_BYTES) hex_encode((const uint8_t *)db_blob(s, 0).p, DIGEST_BYTES, out->chain);
    db_done(s);
    db_return(ar->db, d);
    out->patients = (uint64_t)row[0];
    out->studies = (uint64_t)row[1];
    out->series = (uint64_t)row[2];
    out->events = (uint64_t)row[3];
    return ok && step != DB_FAIL;
}

static bool close_account(struct account *a, struct archive *ar, struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    if (!digest_final(&a->digest, digest, e)) return false;
    hex_encode(digest, sizeof digest, a->to->entries);
    return count_rows(ar, a->to, e);
}

static bool settle_volumes(struct migrate *m, struct account accounts[2], struct err *e) {
    uint32_t *volumes;
    size_t n;
    if (!migrate_volumes(m, &volumes, &n, e)) return false;
    m->progress.volumes = n;
    bool ok = drop_gone(m, volumes, n, e);
    for (size_t i = 0; ok && i < n; i++) {
        ok = settle_volume(m, volumes[i], accounts, e) || err_wrap(e, "volume %u", volumes[i]);
        m->progress.volumes_done = i + 1;
        migrate_tell(m);
    }
    free(volumes);
    return ok;
}

static bool same_account(const struct migrate_account *a, const struct migrate_account *b) {
    return a->patients == b->patients && a->studies == b->studies && a->series == b->series && a->objects == b->objects && a->bytes == b->bytes &&
           a->conflicts == b->conflicts && a->quarantined == b->quarantined && a->records == b->records && a->volumes == b->volumes && a->events == b->events &&
           strcmp(a->entries, b->entries) == 0 && strcmp(a->chain, b->chain) == 0;
}

bool migrate_settle(struct migrate *m, struct migrate_report *out, struct err *e) {
    struct account accounts[2] = {{.to = &out->from}, {.to = &out->to}};
    bool ok = digest_init(&accounts[0].digest, e) && digest_init(&accounts[1].digest, e) && settle_volumes(m, accounts, e) && copy_rest(m, e) &&
              declare_attributes(m, e) && close_account(&accounts[0], m->from, e) && close_account(&accounts[1], m->to, e);
    for (int i = 0; i < 2; i++) digest_deinit(&accounts[i].digest);
    out->damaged = m->damaged;
    out->unknown = m->unknown;
    out->lost = m->lost;
    out->equal = ok && same_account(&out->from, &out->to);
    return ok;
}

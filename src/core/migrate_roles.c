// What an index says of each entry of a volume.
#include <stdlib.h>

#include "core/migrate_part.h"

static const char ROLES[] = "SELECT \"offset\", length, 1, sop_instance_uid, why, NULL FROM dead WHERE volume = ?1 UNION ALL "
                            "SELECT \"offset\", length, 2, name, '', digest FROM records WHERE volume = ?1 UNION ALL "
                            "SELECT \"offset\", length, 3, '', reason, digest FROM quarantine WHERE volume = ?1 UNION ALL "
                            "SELECT \"offset\", length, 4, sop_instance_uid, '', digest FROM conflicts WHERE volume = ?1 AND kind = 'bytes' UNION ALL "
                            "SELECT \"offset\", length, 5, sop_instance_uid, '', digest FROM instances WHERE volume = ?1 ORDER BY 1, 3";

static bool take_row(struct arena *a, struct db_stmt *s, struct role_row *out, struct err *e) {
    struct str digest = db_blob(s, 5);
    *out = (struct role_row){.offset = (uint64_t)db_int(s, 0), .length = (uint64_t)db_int(s, 1), .role = (enum role)db_int(s, 2)};
    if (digest.n == DIGEST_BYTES) memcpy(out->digest, digest.p, DIGEST_BYTES);
    return arena_dup(a, db_text(s, 3), &out->name, e) && arena_dup(a, db_text(s, 4), &out->text, e);
}

static bool add_row(struct arena *a, struct roles *r, size_t *cap, const struct role_row *row, struct err *e) {
    if (r->n && r->rows[r->n - 1].offset == row->offset) {
        r->rows[r->n - 1] = *row;
        return true;
    }
    if (r->n == *cap) {
        size_t grown = *cap ? 2 * *cap : 256;
        struct role_row *p = arena_grow(a, r->rows, *cap * sizeof *p, grown * sizeof *p, e);
        if (!p) return false;
        r->rows = p;
        *cap = grown;
    }
    r->rows[r->n++] = *row;
    return true;
}

static bool read_rows(struct db *d, struct arena *a, uint32_t volume, struct roles *out, struct err *e) {
    struct db_stmt *s = db_prepare(d, ROLES, e);
    if (!s) return false;
    db_bind_int(s, 1, volume);
    size_t cap = 0;
    bool ok = true;
    enum db_step step = DB_END;
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        struct role_row row;
        ok = take_row(a, s, &row, e) && add_row(a, out, &cap, &row, e);
    }
    db_done(s);
    return ok && step == DB_END;
}

static bool read_volume(struct db *d, uint32_t volume, struct roles *out, struct err *e) {
    int64_t row[4] = {0};
    if (!sql_one(d, "SELECT indexed_end, finished, CASE WHEN removed_ms IS NULL THEN 0 ELSE 1 END, created_ms FROM volumes WHERE volume = ?1",
                 SQL_VALUES(SQL_I(volume)), row, 4, &out->known, e))
        return false;
    out->indexed_end = (uint64_t)row[0];
    out->finished = row[1] != 0;
    out->removed = row[2] != 0;
    out->created_ms = row[3];
    return true;
}

bool roles_read(struct archive *ar, struct arena *a, uint32_t volume, struct roles *out, struct err *e) {
    *out = (struct roles){0};
    struct db *d = db_reader(ar->db, e);
    if (!d) return false;
    bool ok = db_begin(d, e) && read_volume(d, volume, out, e) && read_rows(d, a, volume, out, e);
    db_rollback(d);
    db_return(ar->db, d);
    return ok;
}

static int by_offset(const void *a, const void *b) {
    const struct role_row *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

struct role_row *roles_find(const struct roles *r, uint64_t offset) {
    const struct role_row key = {.offset = offset};
    return r->n ? bsearch(&key, r->rows, r->n, sizeof key, by_offset) : NULL;
}

// Wrapped keys of encrypted volumes in the index, where every node finds them.
#include "core/index.h"

static bool run_of(void *ctx, uint32_t volume, uint32_t *first, struct err *e) {
    struct archive *ar = ctx;
    int64_t found_first = 0;
    bool found = false;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && sql_one(d, "SELECT first_volume FROM volume_keys WHERE first_volume <= ?1 ORDER BY first_volume DESC LIMIT 1", SQL_VALUES(SQL_I(volume)),
                           &found_first, 1, &found, e);
    db_return(ar->db, d);
    *first = found ? (uint32_t)found_first : 0;
    return ok;
}

static bool get(void *ctx, uint32_t first, struct buf *out, struct err *e) {
    struct archive *ar = ctx;
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT run FROM volume_keys WHERE first_volume = ?1", e) : NULL;
    enum db_step step = DB_FAIL;
    if (s) {
        db_bind_int(s, 1, first);
        step = db_next(s, e);
        if (step == DB_ROW) buf_add_str(out, db_blob(s, 0));
        db_done(s);
    }
    db_return(ar->db, d);
    if (step == DB_END) return err_set(e, ERR_NOT_FOUND, "index", "the index has no keys of volume %u", first);
    return step == DB_ROW && buf_ok(out, e);
}

// Without rows or events: nothing of the archive's order hangs on it.
static bool put(void *ctx, uint32_t first, struct str text, struct err *e) {
    struct archive *ar = ctx;
    struct db *d = db_side(ar->db, e);
    bool ok = d && (text.p ? sql_run(d, "INSERT INTO volume_keys (first_volume, run) VALUES (?1, ?2) ON CONFLICT (first_volume) DO UPDATE SET run = ?2",
                                     SQL_VALUES(SQL_I(first), SQL_B(text.p, text.n)), e)
                           : sql_run(d, "DELETE FROM volume_keys WHERE first_volume = ?1", SQL_VALUES(SQL_I(first)), e));
    db_return(ar->db, d);
    return ok;
}

enum { PAGE = 256 };

static bool read_page(struct archive *ar, uint32_t after, uint32_t out[PAGE], unsigned *n, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT first_volume FROM volume_keys WHERE first_volume > ?1 ORDER BY first_volume LIMIT ?2", e) : NULL;
    enum db_step step = DB_FAIL;
    *n = 0;
    if (s) {
        db_bind_int(s, 1, after);
        db_bind_int(s, 2, PAGE);
        while (*n < PAGE && (step = db_next(s, e)) == DB_ROW) out[(*n)++] = (uint32_t)db_int(s, 0);
        db_done(s);
    }
    db_return(ar->db, d);
    return step != DB_FAIL;
}

// In pages: what is done with each writes here, too.
static bool each(void *ctx, bool (*visit)(void *visit_ctx, uint32_t first, struct err *e), void *visit_ctx, struct err *e) {
    uint32_t page[PAGE], after = 0;
    unsigned n = PAGE;
    bool ok = true;
    while (ok && n == PAGE) {
        ok = read_page(ctx, after, page, &n, e);
        for (unsigned i = 0; ok && i < n; i++) ok = visit(visit_ctx, page[i], e);
        if (n) after = page[n - 1];
    }
    return ok;
}

const struct vol_key_index volume_keys = {.run_of = run_of, .get = get, .put = put, .each = each};

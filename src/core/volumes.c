// Volumes as the index has them: where each one lies, how far it is indexed, and the bytes of small ones until they are built into larger ones.
#include "base/clock.h"
#include "base/log.h"
#include "core/index.h"

bool index_set_position(struct db *w, uint32_t volume, uint64_t end, struct err *e) {
    return volume == 0 || sql_run(w,
                                  "INSERT INTO volumes (volume, indexed_end) VALUES (?1, ?2) ON CONFLICT (volume) DO UPDATE SET indexed_end = "
                                  "{greatest}(volumes.indexed_end, ?2)",
                                  SQL_VALUES(SQL_I(volume), SQL_I(end)), e);
}

static bool put_pieces(struct db *w, const struct vol_written *written, struct err *e) {
    for (size_t i = 0; i < written->content_count; i++) {
        struct str data = written->contents[i];
        if (data.n > VOL_PIECE_BYTES || (data.n < VOL_PIECE_BYTES && i + 1 < written->content_count))
            return err_set(e, ERR_INTERNAL, "index", "volume %u comes in pieces of %zu bytes", written->volume, data.n);
        if (!sql_run(w, "INSERT INTO volume_pieces (volume, piece, data) VALUES (?1, ?2, ?3)",
                     SQL_VALUES(SQL_I(written->volume), SQL_I(i), SQL_B(data.p, data.n)), e))
            return false;
    }
    return true;
}

bool volumes_note(struct db *w, const struct vol_written *written, struct err *e) {
    if (written->place == VOL_IN_DIRECTORY) return index_set_position(w, written->volume, written->end, e);
    return (written->place != VOL_IN_INDEX || put_pieces(w, written, e)) &&
           sql_run(w, "INSERT INTO volumes (volume, indexed_end, finished, place, size, created_ms) VALUES (?1, ?2, 1, ?3, ?4, {now})",
                   SQL_VALUES(SQL_I(written->volume), SQL_I(written->end), SQL_I(written->place), SQL_I(written->size)), e);
}

bool volumes_reserve(void *ctx, unsigned n, uint32_t *first, struct err *e) {
    struct archive *ar = ctx;
    int64_t last = 0;
    bool found;
    struct db *d = db_side(ar->db, e);
    bool ok = d && sql_one(d, "UPDATE counters SET value = value + ?1 WHERE name = 'volume' RETURNING value", SQL_VALUES(SQL_I(n)), &last, 1, &found, e) &&
              (found || err_set(e, ERR_INTERNAL, "index", "the index counts no volumes"));
    db_return(ar->db, d);
    if (ok && last > UINT32_MAX - 1) return err_set(e, ERR_INTERNAL, "index", "volume numbers are used up");
    *first = (uint32_t)(last - n + 1);
    return ok;
}

// Part of one piece; *got is shorter than asked for at the piece's end.
static bool fetch_piece(struct db *d, uint32_t volume, uint64_t at, void *p, size_t n, size_t *got, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT substr(data, ?3, ?4) FROM volume_pieces WHERE volume = ?1 AND piece = ?2", e);
    if (!s) return false;
    db_bind_int(s, 1, volume);
    db_bind_int(s, 2, (int64_t)(at / VOL_PIECE_BYTES));
    db_bind_int(s, 3, (int64_t)(at % VOL_PIECE_BYTES) + 1);
    db_bind_int(s, 4, (int64_t)(n < VOL_PIECE_BYTES ? n : VOL_PIECE_BYTES));
    enum db_step step = db_next(s, e);
    struct str data = step == DB_ROW ? db_blob(s, 0) : (struct str){NULL, 0};
    *got = data.n < n ? data.n : n;
    if (*got) memcpy(p, data.p, *got);
    db_done(s);
    if (step == DB_FAIL) return false;
    return *got > 0 || err_set(e, ERR_NOT_FOUND, "index", "volume %u is not kept in the index at byte %llu", volume, (unsigned long long)at);
}

bool volumes_fetch(void *ctx, uint32_t volume, uint64_t at, void *p, size_t n, struct err *e) {
    struct archive *ar = ctx;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && (n <= VOL_PIECE_BYTES || db_begin(d, e)); // of one volume as it is at one time
    char *to = p;
    for (size_t got = 0; ok && n; at += got, to += got, n -= got) ok = fetch_piece(d, volume, at, to, n, &got, e);
    db_return(ar->db, d);
    return ok;
}

bool volumes_kept(void *ctx, uint64_t *bytes, struct err *e) {
    struct archive *ar = ctx;
    int64_t sum = 0;
    bool found;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && sql_one(d, "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM volumes WHERE place = 2", NULL, 0, &sum, 1, &found, e);
    db_return(ar->db, d);
    *bytes = (uint64_t)sum;
    return ok;
}

#define COLUMNS "SELECT volume, place, size, created_ms, CASE WHEN removed_ms IS NULL THEN 0 ELSE 1 END FROM volumes "

static struct vol_info info_of(struct db_stmt *s) {
    return (struct vol_info){.volume = (uint32_t)db_int(s, 0),
                             .place = (enum vol_place)db_int(s, 1),
                             .size = (uint64_t)db_int(s, 2),
                             .created_ms = db_int(s, 3),
                             .removed = db_int(s, 4) != 0};
}

bool volumes_find(void *ctx, uint32_t volume, struct vol_info *out, struct err *e) {
    struct archive *ar = ctx;
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, COLUMNS "WHERE volume = ?1", e) : NULL;
    enum db_step step = DB_FAIL;
    if (s) {
        db_bind_int(s, 1, volume);
        step = db_next(s, e);
        if (step == DB_ROW) *out = info_of(s);
        db_done(s);
    }
    db_return(ar->db, d);
    return step == DB_ROW || (step == DB_END && err_set(e, ERR_NOT_FOUND, "index", "there is no volume %u", volume));
}

// In pages: what is done with each may take long.
enum { PAGE = 512 };

static bool read_page(struct archive *ar, int64_t after, struct vol_info out[PAGE], unsigned *n, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, COLUMNS "WHERE volume > ?1 ORDER BY volume LIMIT ?2", e) : NULL;
    enum db_step step = DB_FAIL;
    *n = 0;
    if (s) {
        db_bind_int(s, 1, after);
        db_bind_int(s, 2, PAGE);
        while (*n < PAGE && (step = db_next(s, e)) == DB_ROW) out[(*n)++] = info_of(s);
        db_done(s);
    }
    db_return(ar->db, d);
    return step != DB_FAIL;
}

bool volumes_each(void *ctx, bool (*visit)(void *visit_ctx, const struct vol_info *v, struct err *e), void *visit_ctx, struct err *e) {
    struct vol_info page[PAGE];
    int64_t after = -1;
    for (unsigned n = PAGE; n == PAGE;) {
        if (!read_page(ctx, after, page, &n, e)) return false;
        for (unsigned i = 0; i < n; i++)
            if (!visit(visit_ctx, &page[i], e)) return false;
        if (n) after = page[n - 1].volume;
    }
    return true;
}

static bool note_number(void *ctx, const struct vol_info *v, struct err *e) {
    uint32_t *highest = ctx;
    (void)e;
    if (v->volume > *highest && v->volume < VOL_NUMBER_BELIEVED) *highest = v->volume;
    return true;
}

static bool raise_counter(struct archive *ar, uint32_t to, struct err *e) {
    struct db *d = db_side(ar->db, e);
    bool ok = d && sql_run(d, "UPDATE counters SET value = ?1 WHERE name = 'volume' AND value < ?1", SQL_VALUES(SQL_I(to)), e);
    db_return(ar->db, d);
    return ok;
}

bool volumes_catch_up(struct archive *ar, struct err *e) {
    int64_t last = 0;
    bool found;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && sql_one(d, "SELECT value FROM counters WHERE name = 'volume'", NULL, 0, &last, 1, &found, e);
    db_return(ar->db, d);
    uint32_t highest = (uint32_t)last;
    if (!ok || !vol_beyond(ar->volumes, highest, note_number, &highest, e)) return false;
    if (highest == (uint32_t)last) return true;
    log_line(LOG_WARN, "index", "the bucket has volumes up to %u, the index counts to %u: it was set back, or another index works on this bucket", highest,
             (unsigned)last);
    return raise_counter(ar, highest, e);
}

// Making the metadata of a series: its instances are shared among a few threads, each makes one run of them.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/thread.h"
#include "core/header.h"
#include "core/index.h"
#include "core/metadata.h"
#include "dicom/json.h"

enum { INLINE_MAX = 1024, ARENA_BYTES_MAX = 256 << 20, HELPERS_MAX = 3, RUN_MIN = 100, INSTANCES_MAX = 1 << 22 };

struct row {
    int64_t id;
    char sop[65];
};

// A run of the instances: made by one thread.
struct run {
    struct archive *ar;
    struct db *d; // NULL: a connection of its own
    const struct metadata_series *series;
    const struct row *rows;
    size_t count;
    struct buf packed;
    struct gzip_piece piece;
    pthread_t thread;
    bool started, made;
};

// ---- one run ----

struct making {
    struct header_cache cache;
    struct arena arena;
    struct buf json;
};

static bool add_instance(struct run *r, struct making *m, struct db *d, const struct row *row, struct err *e) {
    struct dcm_dataset *ds;
    char prefix[3 * 65 + 80];
    const struct metadata_series *s = r->series;
    snprintf(prefix, sizeof prefix, "/dicom-web/studies/%.64s/series/%.64s/instances/%.64s/bulkdata", s->study_uid, s->series_uid, row->sop);
    struct dcm_json_options o = {.repair = true, .inline_max = INLINE_MAX, .bulk_uri_prefix = prefix};
    if (m->json.n) buf_addc(&m->json, ',');
    arena_reset(&m->arena);
    return header_read(r->ar, d, &m->arena, row->id, &m->cache, &ds, e) && dcm_json_write(ds, &o, &m->arena, &m->json, e) && buf_ok(&m->json, e);
}

static bool make_run(struct run *r, struct db *d, struct err *e) {
    struct making m;
    arena_init(&m.arena, ARENA_BYTES_MAX);
    header_cache_init(&m.cache);
    buf_init(&m.json, METADATA_BYTES_MAX);
    bool ok = true;
    for (size_t i = 0; ok && i < r->count; i++) ok = add_instance(r, &m, d, &r->rows[i], e);
    ok = ok && gzip_piece_pack(buf_str(&m.json), GZIP_FAST, &r->packed, &r->piece, e);
    r->piece.packed = buf_str(&r->packed);
    buf_deinit(&m.json);
    header_cache_deinit(&m.cache);
    arena_deinit(&m.arena);
    return ok;
}

// ---- side by side ----

static _Atomic unsigned helpers; // of all who make something now

static bool same_version(struct db *d, const struct metadata_series *s) {
    int64_t version;
    bool found;
    return sql_one(d, "SELECT version FROM series WHERE id = ?1", SQL_VALUES(SQL_I(s->id)), &version, 1, &found, NULL) && found && version == s->version;
}

// On a connection of its own: of use only when the series has not changed meanwhile.
static void *help(void *arg) {
    struct run *r = arg;
    struct db *d = db_reader(r->ar->db, NULL);
    r->made = d && db_begin(d, NULL) && same_version(d, r->series) && make_run(r, d, NULL);
    db_return(r->ar->db, d);
    return NULL;
}

static void start(struct run *r) {
    if (atomic_fetch_add(&helpers, 1) < HELPERS_MAX) r->started = thread_start(&r->thread, "metadata", help, r, NULL);
    if (!r->started) helpers--;
}

// What a helper did not make is made here.
static bool finish(struct run *r, struct db *d, struct err *e) {
    if (r->started) {
        pthread_join(r->thread, NULL);
        helpers--;
    }
    if (r->made) return true;
    buf_clear(&r->packed);
    return make_run(r, d, e);
}

static void join(struct run *runs, unsigned n, struct buf *packed, struct gzip_piece *out) {
    struct gzip_join j;
    gzip_join_init(&j, packed);
    for (unsigned i = 0; i < n; i++) {
        if (i) gzip_join_text(&j, STR_LIT(","));
        gzip_join_piece(&j, &runs[i].piece);
    }
    *out = (struct gzip_piece){.packed = buf_str(packed), .crc = j.crc, .size = j.size};
}

static bool make_rows(struct archive *ar, struct db *d, const struct metadata_series *s, const struct row *rows, size_t n, struct buf *packed,
                      struct gzip_piece *out, struct err *e) {
    struct run runs[HELPERS_MAX + 1];
    unsigned count = n / RUN_MIN > HELPERS_MAX ? HELPERS_MAX + 1 : n < 2 * RUN_MIN ? 1 : (unsigned)(n / RUN_MIN);
    bool ok = true;
    for (unsigned i = 0; i < count; i++) {
        size_t from = n * i / count, to = n * (i + 1) / count;
        runs[i] = (struct run){.ar = ar, .series = s, .rows = rows + from, .count = to - from};
        buf_init(&runs[i].packed, METADATA_BYTES_MAX);
        if (i) start(&runs[i]);
    }
    for (unsigned i = 0; i < count; i++) ok = finish(&runs[i], d, e) && ok; // each must be waited for
    if (ok) join(runs, count, packed, out);
    for (unsigned i = 0; i < count; i++) buf_deinit(&runs[i].packed);
    return ok && buf_ok(packed, e);
}

static bool list_rows(struct db *d, int64_t series, struct buf *to, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT id, sop_instance_uid FROM instances WHERE series = ?1 ORDER BY number NULLS FIRST, sop_instance_uid", e);
    if (!s) return false;
    db_bind_int(s, 1, series);
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) {
        struct row row = {.id = db_int(s, 0)};
        snprintf(row.sop, sizeof row.sop, "%.*s", STR_FMT(str_sub(db_text(s, 1), 0, 64)));
        buf_add(to, &row, sizeof row);
    }
    db_done(s);
    return step == DB_END && buf_ok(to, e);
}

bool metadata_make(struct archive *ar, struct db *d, const struct metadata_series *s, struct buf *packed, struct gzip_piece *out, struct err *e) {
    struct buf rows;
    buf_init(&rows, INSTANCES_MAX * sizeof(struct row));
    bool ok = list_rows(d, s->id, &rows, e) && make_rows(ar, d, s, (const void *)rows.p, rows.n / sizeof(struct row), packed, out, e);
    buf_deinit(&rows);
    return ok;
}

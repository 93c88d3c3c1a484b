// What lives in the volumes of a batch, in the order in which it will be read: by study, series and instance number.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "core/build.h"
#include "core/graves.h"
#include "core/index.h"
#include "sys/digest.h"

enum { TOMBSTONE_BYTES_MAX = 512 << 20, TREE_BYTES_MAX = 1 << 30 };

struct gathering {
    struct build *b;
    struct db *d;
    uint32_t volume;
};

// ---- tombstones ----

static bool volume_is_there(struct db *d, uint32_t volume, bool *there, struct err *e) {
    int64_t one;
    return sql_one(d, "SELECT 1 FROM volumes WHERE volume = ?1", SQL_VALUES(SQL_I(volume)), &one, 1, there, e);
}

// A copy that died where the tombstone does not name it: of a build that was under way, or that came to nothing.
static bool has_copy(const struct gathering *g, struct str sop, bool *has, struct err *e) {
    int64_t one;
    if (sop.n == 0) return true;
    return sql_one(g->d, "SELECT 1 FROM dead d JOIN volumes v ON v.volume = d.volume WHERE d.sop_instance_uid = ?1 AND d.volume <> ?2 LIMIT 1",
                   SQL_VALUES(SQL_T(sop), SQL_I(g->volume)), &one, 1, has, e);
}

// A tombstone is needed while anything that it names may still lie in another volume, known or not.
static bool is_needed(const struct gathering *g, const struct json *o, bool *needed, struct err *e) {
    const struct json *places = json_get(o, "places");
    int64_t deleted_ms = 0;
    uint32_t asked = g->volume;
    *needed = !places || !json_to_i64(json_get(o, "deleted_ms"), &deleted_ms) || deleted_ms > clock_wall_ms() - g->b->options->tombstone_ms;
    for (const struct json *v = *needed ? NULL : places->first; v && !*needed; v = v->next) {
        struct grave grave;
        if (!grave_read(v, &grave, e) || !has_copy(g, grave.sop, needed, e)) return false;
        if (*needed || grave.loc.volume == asked || grave.loc.volume == g->volume) continue;
        asked = grave.loc.volume;
        if (!volume_is_there(g->d, asked, needed, e)) return false;
    }
    return true;
}

static bool read_tombstone(const struct gathering *g, struct arena *a, const struct vol_entry *en, const struct json **out, struct err *e) {
    uint8_t digest[VOL_DIGEST_BYTES];
    if (en->loc.length > TOMBSTONE_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "merge", "a tombstone of %llu bytes", (unsigned long long)en->loc.length);
    char *p = arena_alloc(a, en->loc.length, e);
    if (!p || !vol_read_at(g->b->ar->volumes, en->loc, 0, p, en->loc.length, e) || !digest_of(p, en->loc.length, digest, e)) return false;
    *out = NULL;
    if (memcmp(digest, en->digest, sizeof digest) != 0) return true; // damaged: whether it is needed cannot be told
    *out = json_read(a, (struct str){p, en->loc.length}, 0, e);
    return *out;
}

static bool drop_tombstone(struct build *b, const struct vol_entry *en, const struct json *places, struct err *e) {
    struct build_drop *d = arena_zero(&b->arena, 1, sizeof *d, e);
    if (!d) return false;
    *d = (struct build_drop){.loc = en->loc, .graves = arena_zero(&b->arena, places->count, sizeof *d->graves, e), .next = b->drops};
    if (!d->graves) return false;
    for (const struct json *v = places->first; v; v = v->next) {
        struct grave *g = &d->graves[d->grave_count];
        if (!grave_read(v, g, e) || !arena_dup(&b->arena, g->sop, &g->sop, e) || !arena_dup(&b->arena, g->tenant, &g->tenant, e)) return false;
        d->grave_count += g->named;
    }
    b->drops = d;
    return true;
}

// *needed: to be copied; else it is noted as one to be dropped.
static bool weigh_tombstone(const struct gathering *g, const struct vol_entry *en, bool *needed, struct err *e) {
    struct arena own;
    const struct json *o;
    arena_init(&own, TREE_BYTES_MAX);
    *needed = true;
    bool ok = read_tombstone(g, &own, en, &o, e) && (!o || is_needed(g, o, needed, e)) && (*needed || drop_tombstone(g->b, en, json_get(o, "places"), e));
    arena_deinit(&own);
    return ok;
}

// ---- entries ----

static bool add_entry(struct build *b, const struct build_entry *one, struct err *e) {
    if (b->count == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : 1024;
        struct build_entry *p = realloc(b->entries, cap * sizeof *p);
        if (!p) return err_nomem(e, "merge");
        b->entries = p;
        b->cap = cap;
    }
    struct build_entry *n = &b->entries[b->count];
    *n = *one;
    b->count++;
    return arena_dup(&b->arena, one->en.sop, &n->en.sop, e);
}

// Damaged objects are not among them: they stay where somebody may look at them.
static const char LIVING[] = "SELECT 0, i.\"offset\", i.length, i.digest, i.sop_instance_uid, se.study, i.series, coalesce(i.number, 0) FROM instances i JOIN "
                             "series se ON se.id = i.series "
                             "WHERE i.volume = ?1 AND i.state = 0 UNION ALL "
                             "SELECT 1, \"offset\", length, digest, sop_instance_uid, 0, 0, 0 FROM conflicts WHERE volume = ?1 AND kind = 'bytes' UNION ALL "
                             "SELECT 2, \"offset\", length, digest, '', 0, 0, 0 FROM quarantine WHERE volume = ?1 UNION ALL "
                             "SELECT kind, \"offset\", length, digest, '', 0, 0, 0 FROM records WHERE volume = ?1";

static bool take_row(struct gathering *g, struct db_stmt *s, struct err *e) {
    struct build_entry n = {
        .en = {.kind = (enum vol_kind)db_int(s, 0), .loc = {g->volume, (uint64_t)db_int(s, 1), (uint64_t)db_int(s, 2)}, .sop = db_text(s, 4)},
        .study = db_int(s, 5),
        .series = db_int(s, 6),
        .number = db_int(s, 7)};
    const struct str digest = db_blob(s, 3);
    if (digest.n == VOL_DIGEST_BYTES) memcpy(n.en.digest, digest.p, VOL_DIGEST_BYTES);
    return add_entry(g->b, &n, e);
}

static bool list_living(struct gathering *g, struct err *e) {
    struct db_stmt *s = db_prepare(g->d, LIVING, e);
    enum db_step step = DB_FAIL;
    bool ok = s;
    if (s) db_bind_int(s, 1, g->volume);
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = take_row(g, s, e);
    db_done(s);
    return ok && step == DB_END;
}

static bool weigh_tombstones(struct gathering *g, size_t from, struct err *e) {
    size_t kept = from;
    for (size_t i = from; i < g->b->count; i++) {
        const struct build_entry n = g->b->entries[i];
        bool needed = true;
        if (n.en.kind == VOL_TOMBSTONE && !weigh_tombstone(g, &n.en, &needed, e)) return false;
        if (needed) g->b->entries[kept++] = n;
    }
    g->b->count = kept;
    return true;
}

static bool gather_volume(struct build *b, uint32_t volume, struct err *e) {
    struct gathering g = {.b = b, .volume = volume};
    struct vol_state st;
    size_t from = b->count;
    if (!vol_state_get(b->ar->volumes, volume, &st, e)) return false;
    if (st.growing) return err_set(e, ERR_BUSY, "merge", "volume %u is still written to", volume);
    g.d = db_reader(b->ar->db, e);
    bool ok = g.d && list_living(&g, e) && weigh_tombstones(&g, from, e);
    db_return(b->ar->db, g.d);
    b->report->volumes_in++;
    b->report->bytes_in += st.size;
    return ok && build_keep(b, e);
}

// ---- order ----

static int compare(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int by_series(const void *va, const void *vb) {
    const struct build_entry *a = va, *b = vb;
    int d = compare(a->en.kind, b->en.kind);
    if (d == 0) d = compare(a->study, b->study);
    if (d == 0) d = compare(a->series, b->series);
    if (d == 0) d = compare(a->number, b->number);
    if (d == 0) d = compare(a->en.loc.volume, b->en.loc.volume);
    return d ? d : (a->en.loc.offset > b->en.loc.offset) - (a->en.loc.offset < b->en.loc.offset);
}

bool build_gather(struct build *b, struct err *e) {
    for (size_t i = 0; i < b->volume_count; i++) {
        struct err why = {0};
        size_t before = b->count;
        if (gather_volume(b, b->volumes[i], &why)) continue;
        b->count = before;
        if (!build_leave(b, b->volumes[i], &why, e)) return err_wrap(e, "volume %u", b->volumes[i]);
    }
    if (b->count) qsort(b->entries, b->count, sizeof *b->entries, by_series);
    return true;
}

// Storage classes of the bucket: which volumes go to a colder one by age, and asking for archived ones.
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/batches.h"
#include "core/index.h"

enum { PAGE = 256, MOVES_MAX = 4096 }; // volumes looked at together; moved in one round, the rest in the next

struct page {
    uint32_t volumes[PAGE];
    size_t n;
    int64_t at_ms; // of the last one
};

struct tiering {
    struct archive *ar;
    const struct merge_options *o;
    unsigned moved;
};

// ---- which ----

static bool read_page(struct tiering *t, const char *class, int64_t after_ms, struct page *p, struct err *e) {
    struct db *d = db_reader(t->ar->db, e);
    struct db_stmt *s =
        d ? db_prepare(d,
                       "SELECT volume, created_ms FROM volumes WHERE storage_class = ?1 AND place = 1 AND removed_ms IS NULL AND batch < 0 AND "
                       "created_ms <= {now} - ?2 AND (created_ms > ?3 OR (created_ms = ?3 AND volume > ?4)) ORDER BY created_ms, volume LIMIT ?5",
                       e)
          : NULL;
    enum db_step step = DB_FAIL;
    uint32_t last = p->n ? p->volumes[p->n - 1] : 0;
    p->n = 0;
    if (s) {
        db_bind_text(s, 1, str_of(class));
        db_bind_int(s, 2, after_ms);
        db_bind_int(s, 3, p->at_ms);
        db_bind_int(s, 4, last);
        db_bind_int(s, 5, PAGE);
        while (p->n < PAGE && (step = db_next(s, e)) == DB_ROW) {
            p->volumes[p->n++] = (uint32_t)db_int(s, 0);
            p->at_ms = db_int(s, 1);
        }
        db_done(s);
    }
    db_return(t->ar->db, d);
    return step != DB_FAIL;
}

static bool suits(struct tiering *t, uint32_t volume, const char *modality, bool *yes, struct err *e) {
    int64_t one;
    bool other = false;
    if (!modality) return *yes = true;
    struct db *d = db_reader(t->ar->db, e);
    bool ok = d && sql_one(d, "SELECT 1 FROM instances i JOIN series se ON se.id = i.series WHERE i.volume = ?1 AND se.modality <> ?2 LIMIT 1",
                           SQL_VALUES(SQL_I(volume), SQL_T(str_of(modality))), &one, 1, &other, e);
    db_return(t->ar->db, d);
    *yes = !other;
    return ok;
}

// ---- moving ----

// It was copied onto itself, and no flag goes with a copy: a legal hold is set anew.
static bool note_class(struct archive *ar, uint32_t volume, const char *class, struct err *e) {
    struct db *d = db_side(ar->db, e);
    bool ok = d && sql_run(d, "UPDATE volumes SET storage_class = ?2, held = 0 WHERE volume = ?1", SQL_VALUES(SQL_I(volume), SQL_T(str_of(class))), e);
    db_return(ar->db, d);
    return ok;
}

// One that cannot be moved now keeps no other back; a bucket that has no such class does.
static bool move(struct tiering *t, uint32_t volume, const char *class, struct err *e) {
    struct err why = {0};
    if (t->o->stopping && *t->o->stopping) return err_set(e, ERR_CANCELLED, "merge", "this process is ending");
    if (!vol_set_class(t->ar->volumes, volume, class, &why)) {
        if (why.kind != ERR_NOT_FOUND && why.kind != ERR_BUSY) return *e = why, false;
        log_err(&why, "volume %u stays in its storage class for now", volume);
        return true;
    }
    t->moved++;
    return note_class(t->ar, volume, class, e);
}

static bool move_from(struct tiering *t, const struct tier_rule *rule, const char *class, struct err *e) {
    struct page p = {.at_ms = 0};
    do {
        if (!read_page(t, class, rule->after_ms, &p, e)) return false;
        for (size_t i = 0; i < p.n && t->moved < MOVES_MAX; i++) {
            bool yes;
            if (!suits(t, p.volumes[i], rule->modality, &yes, e) || (yes && !move(t, p.volumes[i], rule->storage_class, e))) return false;
        }
    } while (p.n == PAGE && t->moved < MOVES_MAX);
    return true;
}

// From the bucket's own class and those of the rules before; never back.
static bool apply_rule(struct tiering *t, unsigned i, struct err *e) {
    const struct tier_rule *rules = t->o->tiers;
    if (!move_from(t, &rules[i], "", e)) return false;
    for (unsigned k = 0; k < i; k++)
        if (strcmp(rules[k].storage_class, rules[i].storage_class) != 0 && !move_from(t, &rules[i], rules[k].storage_class, e)) return false;
    return true;
}

bool tiers_apply(struct archive *ar, const struct merge_options *o, unsigned *moved, struct err *e) {
    struct tiering t = {.ar = ar, .o = o};
    struct err own = {0};
    bool ok = true;
    // The coldest first, so that what is old enough for two is moved once.
    for (unsigned i = o->tier_count; ok && i-- > 0;) ok = apply_rule(&t, i, &own);
    *moved = t.moved;
    if (!ok && e) *e = own;
    return ok;
}

// ---- back ----

static bool list_archived(struct archive *ar, struct str study_uid, uint32_t **out, size_t *n, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s =
        d ? db_prepare(d,
                       "SELECT DISTINCT v.volume FROM studies st {join} series se ON se.study = st.id {join} instances i ON i.series = se.id {join} "
                       "volumes v ON v.volume = i.volume WHERE st.study_uid = ?1 AND v.storage_class IN (" TIERS_ARCHIVED ")",
                       e)
          : NULL;
    enum db_step step = DB_FAIL;
    size_t cap = 0;
    bool ok = s;
    if (s) db_bind_text(s, 1, study_uid);
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        if (*n == cap) {
            uint32_t *p = realloc(*out, (cap = cap ? 2 * cap : 64) * sizeof *p);
            ok = p || err_nomem(e, "merge");
            if (p) *out = p;
        }
        if (ok) (*out)[(*n)++] = (uint32_t)db_int(s, 0);
    }
    db_done(s);
    db_return(ar->db, d);
    return ok && step == DB_END;
}

bool tiers_restore(struct archive *ar, struct str study_uid, unsigned days, unsigned *asked, struct err *e) {
    uint32_t *volumes = NULL;
    size_t n = 0;
    *asked = 0;
    bool ok = list_archived(ar, study_uid, &volumes, &n, e);
    for (size_t i = 0; ok && i < n; i++) {
        ok = vol_restore(ar->volumes, volumes[i], days, e) || err_wrap(e, "ask for volume %u", volumes[i]);
        *asked += ok;
    }
    free(volumes);
    return ok;
}

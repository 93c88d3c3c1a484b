// A search: the runs that may have something, read one by one.
#include "core/audit_search.h"

#include <stdlib.h>

#include "core/audit_part.h"
#include "text/json.h"

enum { HIT_ARENA_BYTES = 16 << 20, SEARCH_ARENA_BYTES = 256 << 20, STUDIES_MAX = 100000 };

struct search {
    struct archive *ar;
    const struct audit_filter *f;
    bool (*visit)(void *ctx, const struct audit_hit *h, struct err *e);
    void *ctx;
    struct arena arena, hit;
    struct str *studies; // of the patient, in order
    size_t study_count;
    int64_t from, to; // numbers that the times reach
    unsigned hits;
    bool more;
};

// ---- the patient's studies ----

static int by_text(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool is_theirs(const struct search *s, struct str study) {
    return study.n && s->study_count && bsearch(&study, s->studies, s->study_count, sizeof *s->studies, by_text);
}

// Those that were deleted, too; a study may have come a moment ago.
static const char STUDIES[] =
    "SELECT study_uid FROM audit_studies WHERE patient_id = ?1 AND (issuer = ?2 OR ?3 = 1) UNION SELECT st.study_uid FROM patients p {join} studies st ON "
    "st.patient = p.id WHERE p.patient_id = ?1 AND (p.issuer = ?2 OR ?3 = 1) ORDER BY 1";

static bool find_studies(struct search *s, struct err *e) {
    if (!s->f->patient_id.n) return true;
    struct db *d = db_reader(s->ar->db, e);
    struct db_stmt *q = d ? db_prepare(d, STUDIES, e) : NULL;
    enum db_step step = DB_FAIL;
    bool ok = q && (s->studies = arena_zero(&s->arena, STUDIES_MAX, sizeof *s->studies, e));
    if (ok) {
        db_bind_text(q, 1, s->f->patient_id);
        db_bind_text(q, 2, s->f->issuer.n ? s->f->issuer : STR_LIT(""));
        db_bind_int(q, 3, s->f->issuer.n == 0);
    }
    while (ok && (step = db_next(q, e)) == DB_ROW && s->study_count < STUDIES_MAX) ok = arena_dup(&s->arena, db_text(q, 0), &s->studies[s->study_count++], e);
    db_done(q);
    db_return(s->ar->db, d);
    if (s->studies && s->study_count) qsort(s->studies, s->study_count, sizeof *s->studies, by_text);
    return ok && step != DB_FAIL;
}

static const char WHOSE[] =
    "SELECT p.patient_id, p.issuer FROM studies st {join} patients p ON p.id = st.patient WHERE st.study_uid = ?1 UNION ALL SELECT patient_id, issuer FROM "
    "audit_studies WHERE study_uid = ?1 LIMIT 1";

bool audit_patient_of(struct archive *ar, struct arena *a, struct str study_uid, struct str *patient, struct str *issuer, struct err *e) {
    *patient = *issuer = (struct str){0};
    if (!study_uid.n) return true;
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *q = d ? db_prepare(d, WHOSE, e) : NULL;
    enum db_step step = DB_FAIL;
    bool ok = q;
    if (q) {
        db_bind_text(q, 1, study_uid);
        step = db_next(q, e);
    }
    if (step == DB_ROW) ok = arena_dup(a, db_text(q, 0), patient, e) && arena_dup(a, db_text(q, 1), issuer, e);
    db_done(q);
    db_return(ar->db, d);
    return ok && step != DB_FAIL;
}

// ---- one event ----

static bool fits_patient(const struct search *s, const struct event *ev, const struct json *detail) {
    const struct audit_filter *f = s->f;
    if (!f->patient_id.n) return true;
    struct str issuer = json_text(json_get(detail, "issuer"));
    bool named = str_eq(json_text(json_get(detail, "patient")), f->patient_id) && (!f->issuer.n || !issuer.n || str_eq(issuer, f->issuer));
    const struct json *studies = json_get(detail, "studies");
    for (const struct json *one = studies ? studies->first : NULL; one && !named; one = one->next) named = is_theirs(s, json_text(one));
    return named || is_theirs(s, ev->study_uid);
}

static bool fits_study(const struct audit_filter *f, const struct event *ev, const struct json *detail) {
    const struct json *studies = json_get(detail, "studies");
    if (!f->study_uid.n || str_eq(ev->study_uid, f->study_uid)) return true;
    for (const struct json *one = studies ? studies->first : NULL; one; one = one->next)
        if (str_eq(json_text(one), f->study_uid)) return true;
    return false;
}

static bool fits_type(struct str asked, struct str type) {
    return !asked.n || str_eq(asked, type) || (asked.p[asked.n - 1] == '.' && str_starts(type, asked));
}

static bool fits(const struct search *s, const struct event *ev, const struct json *detail) {
    const struct audit_filter *f = s->f;
    if (!fits_type(f->type, ev->type)) return false;
    if (f->user.n && !str_eq(audit_user_of(ev, detail), f->user)) return false;
    struct str outcome = json_text(json_get(detail, "outcome"));
    if (f->outcome.n && !str_eq(outcome.n ? outcome : STR_LIT("success"), f->outcome)) return false;
    return fits_study(f, ev, detail) && fits_patient(s, ev, detail);
}

static bool look(struct search *s, const struct event *ev, struct err *e) {
    arena_reset(&s->hit);
    const struct json *detail = json_read(&s->hit, ev->detail, 0, NULL);
    if (!fits(s, ev, detail)) return true;
    if (s->f->limit && s->hits == s->f->limit) return s->more = true;
    s->hits++;
    return s->visit(s->ctx, &(struct audit_hit){ev, detail, &s->hit}, e);
}

// ---- runs ----

// (from, to], in pieces, so that no answer is long.
static bool read_range(struct search *s, int64_t from, int64_t to, struct err *e) {
    struct arena a;
    bool ok = true;
    if (from < s->from) from = s->from;
    if (to > s->to) to = s->to;
    arena_init(&a, HIT_ARENA_BYTES * 4UL);
    while (ok && from < to && !s->more) {
        struct event *list;
        unsigned n = 0;
        arena_reset(&a);
        ok = events_after(s->ar, &a, from, AUDIT_BLOCK, &list, &n, e);
        for (unsigned i = 0; ok && i < n && list[i].seq <= to && !s->more; i++) ok = look(s, &list[i], e);
        if (!ok || n == 0) break;
        from = list[n - 1].seq;
    }
    arena_deinit(&a);
    return ok;
}

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

struct blocks {
    int64_t *all;
    size_t n, room;
};

static bool add_blocks(struct search *s, struct blocks *b, char kind, struct str name, struct err *e) {
    struct db *d = db_reader(s->ar->db, e);
    struct db_stmt *q = d ? db_prepare(d, "SELECT block FROM audit_blocks WHERE key = ?1 ORDER BY block", e) : NULL;
    enum db_step step = DB_FAIL;
    bool ok = q;
    if (q) db_bind_int(q, 1, audit_key_of(kind, name));
    while (ok && (step = db_next(q, e)) == DB_ROW) {
        if (b->n == b->room) {
            int64_t *more = realloc(b->all, (b->room = b->room ? 2 * b->room : 256) * sizeof *more);
            ok = more || err_nomem(e, "audit");
            if (more) b->all = more;
        }
        if (ok) b->all[b->n++] = db_int(q, 0);
    }
    db_done(q);
    db_return(s->ar->db, d);
    return ok && step == DB_END;
}

// Of the narrowest thing that is asked by: what else is asked is seen in the events.
static bool find_blocks(struct search *s, struct blocks *b, struct err *e) {
    const struct audit_filter *f = s->f;
    bool ok = true;
    if (f->study_uid.n) {
        ok = add_blocks(s, b, 's', f->study_uid, e);
    } else if (f->patient_id.n) {
        ok = add_blocks(s, b, 'p', f->patient_id, e);
        for (size_t i = 0; ok && i < s->study_count; i++) ok = add_blocks(s, b, 's', s->studies[i], e);
    } else {
        ok = add_blocks(s, b, 'u', f->user, e);
    }
    if (b->n) qsort(b->all, b->n, sizeof *b->all, by_number);
    return ok;
}

static bool read_blocks(struct search *s, int64_t indexed, int64_t last, struct err *e) {
    struct blocks b = {0};
    bool ok = find_blocks(s, &b, e);
    for (size_t i = 0; ok && i < b.n && !s->more; i++)
        if (i == 0 || b.all[i] != b.all[i - 1]) ok = read_range(s, b.all[i] * AUDIT_BLOCK, (b.all[i] + 1) * AUDIT_BLOCK, e);
    free(b.all);
    return ok && (s->more || read_range(s, indexed, last, e));
}

// ---- times ----

// The last number whose event is before a time: times never go back.
static bool before(struct db *d, int64_t at_ms, int64_t last, int64_t *out, struct err *e) {
    int64_t low = 0, high = last;
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2, row[2];
        bool found;
        if (!sql_one(d, "SELECT time_ms, seq FROM events WHERE seq >= ?1 ORDER BY seq LIMIT 1", SQL_VALUES(SQL_I(middle)), row, 2, &found, e)) return false;
        if (!found || row[0] >= at_ms)
            high = middle - 1;
        else
            low = middle;
    }
    *out = low;
    return true;
}

bool audit_last_before(struct archive *ar, int64_t at_ms, int64_t *out, struct err *e) {
    int64_t indexed, last;
    if (!audit_index_cursor(ar, &indexed, &last, e)) return false;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && before(d, at_ms, last, out, e);
    db_return(ar->db, d);
    return ok;
}

static bool find_times(struct search *s, int64_t last, struct err *e) {
    const struct audit_filter *f = s->f;
    struct db *d = db_reader(s->ar->db, e);
    bool ok = d;
    s->from = f->after;
    s->to = last;
    if (ok && f->from_ms) {
        int64_t from;
        ok = before(d, f->from_ms, last, &from, e);
        if (ok && from > s->from) s->from = from;
    }
    if (ok && f->to_ms) ok = before(d, f->to_ms, last, &s->to, e);
    db_return(s->ar->db, d);
    return ok;
}

bool audit_search(struct archive *ar, const struct audit_filter *f, bool (*visit)(void *ctx, const struct audit_hit *h, struct err *e), void *ctx, bool *more,
                  struct err *e) {
    struct search s = {.ar = ar, .f = f, .visit = visit, .ctx = ctx};
    int64_t indexed, last;
    arena_init(&s.arena, SEARCH_ARENA_BYTES);
    arena_init(&s.hit, HIT_ARENA_BYTES);
    bool keyed = f->study_uid.n || f->patient_id.n || f->user.n;
    bool ok = audit_index_cursor(ar, &indexed, &last, e) && find_times(&s, last, e) && find_studies(&s, e) &&
              (keyed ? read_blocks(&s, indexed, last, e) : read_range(&s, 0, last, e));
    if (more) *more = s.more;
    arena_deinit(&s.arena);
    arena_deinit(&s.hit);
    return ok;
}

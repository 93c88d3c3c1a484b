// Which small volumes are merged, and when: those of studies that are quiet, enough of them to make a volume of, and all that grow old.
#include <stdlib.h>

#include "core/batches.h"
#include "core/index.h"

enum { CANDIDATES_MAX = 8192 }; // looked at in one round: the oldest

struct small {
    uint32_t volume;
    bool in_index, waits; // waits: a study in it is not quiet
    uint64_t size;
    int64_t created_ms;
    size_t leader; // of the volumes that share studies with it
    size_t next;   // of the same leader; CANDIDATES_MAX: none
};

struct study_seen {
    int64_t study; // 0: free
    size_t volume; // index of the first
};
enum { STUDY_SLOTS = 1 << 16 };

struct planning {
    struct archive *ar;
    struct merge_options o;
    int64_t now_ms;
    bool pressure; // the index keeps more than it should
    struct small all[CANDIDATES_MAX];
    size_t n;
    struct study_seen seen[STUDY_SLOTS];
    size_t seen_count;
    uint32_t left[CANDIDATES_MAX]; // large enough as they are
    size_t left_count;
    uint32_t batch[BATCH_VOLUMES_MAX];
    size_t batch_count;
    uint64_t batch_bytes;
    int64_t batch_oldest_ms;
    unsigned batches;
};

// ---- candidates ----

static void take_candidate(struct planning *p, const struct small *v) {
    if (!v->in_index && v->size >= p->o.small_bytes) {
        p->left[p->left_count++] = v->volume;
        return;
    }
    p->all[p->n] = *v;
    p->all[p->n].leader = p->n;
    p->n++;
}

static bool list(struct planning *p, struct db *d, struct err *e) {
    struct db_stmt *s =
        db_prepare(d,
                   "SELECT volume, place, size, created_ms, {now} FROM volumes WHERE batch = 0 AND removed_ms IS NULL AND place <> 0 AND finished = 1 "
                   "ORDER BY volume LIMIT ?1",
                   e);
    enum db_step step = DB_FAIL;
    uint64_t in_index = 0;
    if (!s) return false;
    db_bind_int(s, 1, CANDIDATES_MAX);
    while (p->n + p->left_count < CANDIDATES_MAX && (step = db_next(s, e)) == DB_ROW) {
        struct small v = {.volume = (uint32_t)db_int(s, 0),
                          .in_index = db_int(s, 1) == VOL_IN_INDEX,
                          .size = (uint64_t)db_int(s, 2),
                          .created_ms = db_int(s, 3),
                          .next = CANDIDATES_MAX};
        p->now_ms = db_int(s, 4);
        in_index += v.in_index ? v.size : 0;
        take_candidate(p, &v);
    }
    db_done(s);
    p->pressure = in_index > p->o.index_bytes_max / 2;
    return step != DB_FAIL;
}

// ---- what shares a study belongs together ----

static size_t leader_of(struct planning *p, size_t i) {
    while (p->all[i].leader != i) i = p->all[i].leader = p->all[p->all[i].leader].leader;
    return i;
}

static void join(struct planning *p, size_t a, size_t b) {
    size_t x = leader_of(p, a), y = leader_of(p, b);
    if (x == y) return;
    if (x > y) {
        size_t t = x;
        x = y, y = t;
    }
    p->all[y].leader = x; // the older one leads
}

static void see_study(struct planning *p, size_t volume, int64_t study) {
    if (p->seen_count > STUDY_SLOTS / 2) return; // so many studies at once: some volumes are merged apart
    size_t i = (size_t)((uint64_t)study * 0x9E3779B97F4A7C15ULL >> 40) % STUDY_SLOTS;
    while (p->seen[i].study && p->seen[i].study != study) i = (i + 1) % STUDY_SLOTS;
    if (p->seen[i].study) {
        join(p, p->seen[i].volume, volume);
    } else {
        p->seen[i] = (struct study_seen){study, volume};
        p->seen_count++;
    }
}

static bool see_volume(struct planning *p, struct db *d, size_t i, struct err *e) {
    struct small *v = &p->all[i];
    struct db_stmt *s =
        db_prepare(d,
                   "SELECT DISTINCT st.id, st.changed_ms FROM instances i JOIN series se ON se.id = i.series JOIN studies st ON st.id = se.study "
                   "WHERE i.volume = ?1",
                   e);
    enum db_step step = DB_FAIL;
    if (!s) return false;
    db_bind_int(s, 1, v->volume);
    while ((step = db_next(s, e)) == DB_ROW) {
        see_study(p, i, db_int(s, 0));
        v->waits |= db_int(s, 1) > p->now_ms - p->o.quiet_ms;
    }
    db_done(s);
    return step == DB_END;
}

// Old ones do not wait, and with them all that belongs to them.
static void settle_groups(struct planning *p) {
    for (size_t i = p->n; i-- > 0;) {
        size_t leader = leader_of(p, i);
        p->all[leader].waits |= p->all[i].waits;
        if (i == leader) continue;
        p->all[i].next = p->all[leader].next;
        p->all[leader].next = i;
    }
    for (size_t i = 0; i < p->n; i++)
        if (p->all[i].leader == i && (p->pressure || p->all[i].created_ms <= p->now_ms - p->o.age_ms)) p->all[i].waits = false;
}

// ---- batches ----

static bool emit(struct planning *p, struct err *e) {
    if (p->batch_count == 0) return true;
    if (!batch_put(p->ar, MERGE_JOB, p->batch, p->batch_count, e)) return false;
    p->batches++;
    p->batch_count = 0;
    p->batch_bytes = 0;
    return true;
}

static bool add_group(struct planning *p, size_t leader, struct err *e) {
    for (size_t i = leader; i != CANDIDATES_MAX; i = p->all[i].next) {
        if (p->batch_count == 0) p->batch_oldest_ms = p->all[i].created_ms;
        if (p->all[i].created_ms < p->batch_oldest_ms) p->batch_oldest_ms = p->all[i].created_ms;
        p->batch[p->batch_count++] = p->all[i].volume;
        p->batch_bytes += p->all[i].size;
        if (p->batch_count == BATCH_VOLUMES_MAX && !emit(p, e)) return false;
    }
    return p->batch_bytes < p->o.target_bytes || emit(p, e);
}

static bool make_batches(struct planning *p, struct err *e) {
    for (size_t i = 0; i < p->n; i++)
        if (p->all[i].leader == i && !p->all[i].waits && !add_group(p, i, e)) return false;
    bool enough = p->batch_bytes >= p->o.target_bytes / 2, old = p->batch_count && p->batch_oldest_ms <= p->now_ms - p->o.age_ms;
    return !(enough || old || p->pressure) || emit(p, e);
}

static bool plan(struct planning *p, struct err *e) {
    struct db *d = db_reader(p->ar->db, e);
    bool ok = d && list(p, d, e);
    for (size_t i = 0; ok && i < p->n; i++) ok = see_volume(p, d, i, e);
    db_return(p->ar->db, d);
    if (!ok || !batch_leave(p->ar, p->left, p->left_count, e)) return false;
    settle_groups(p);
    return make_batches(p, e);
}

bool merge_plan(struct archive *ar, const struct merge_options *o, unsigned *batches, struct err *e) {
    struct planning *p = calloc(1, sizeof *p);
    *batches = 0;
    if (!p) return err_nomem(e, "merge");
    p->ar = ar;
    p->o = *o;
    merge_defaults(&p->o);
    bool ok = plan(p, e);
    *batches = p->batches;
    free(p);
    return ok;
}

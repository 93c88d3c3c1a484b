// The commit of a group: rows, events and position in one transaction. Where several processes share the index, what the others wrote since the group
// was classified is found in that transaction, by one question for all its UIDs, and decides what each object becomes.
#include "base/clock.h"
#include "core/hold.h"
#include "core/index.h"
#include "core/realm.h"
#include "text/json.h"

enum {
    UIDS_BYTES_MAX = 4 << 20,
    TRIES_MAX = 4,                     // objects of other nodes that must be read to be compared are read between two tries
    FORGET_AFTER_US = 60 * 1000 * 1000 // a process that wrote nothing for so long looks everything up again rather than read what happened
};

// ---- looking for UIDs ----

static bool is_object(const struct vol_put *put) {
    return put->entry.kind <= VOL_CONFLICT && put->outcome != VOL_KNOWN;
}

// Clears hit, and lists the UIDs as a JSON array.
static bool list_uids(struct vol_put *const *puts, size_t n, struct buf *out, size_t *count, struct err *e) {
    struct json_writer j;
    *count = 0;
    json_init(&j, out, false);
    json_begin_array(&j);
    for (size_t i = 0; i < n; i++) {
        ((struct index_put *)puts[i]->user)->hit = false;
        if (!is_object(puts[i])) continue;
        json_str(&j, puts[i]->entry.sop);
        ++*count;
    }
    json_end_array(&j);
    return buf_ok(out, e);
}

static void mark(struct vol_put *const *puts, size_t n, struct str uid) {
    for (size_t i = 0; i < n; i++)
        if (is_object(puts[i]) && str_eq(puts[i]->entry.sop, uid)) ((struct index_put *)puts[i]->user)->hit = true;
}

// Sets hit of those whose SOP Instance UID is in the index; *seq (may be NULL) is the last event then.
static bool find_hits(struct db *d, struct vol_put *const *puts, size_t n, int64_t *seq, struct err *e) {
    struct buf uids;
    size_t count;
    buf_init(&uids, UIDS_BYTES_MAX);
    bool ok = list_uids(puts, n, &uids, &count, e);
    struct db_stmt *s = NULL;
    if (ok && count)
        s = db_prepare(d,
                       "SELECT '', max(seq) FROM events UNION ALL SELECT i.sop_instance_uid, 0 FROM {each ?1} u {join} instances i ON i.sop_instance_uid = "
                       "u.value UNION ALL SELECT c.sop_instance_uid, 0 FROM {each ?1} u {join} conflicts c ON c.sop_instance_uid = u.value",
                       e);
    if (s) {
        enum db_step step;
        db_bind_text(s, 1, buf_str(&uids));
        while ((step = db_next(s, e)) == DB_ROW) {
            struct str uid = db_text(s, 0);
            if (uid.n)
                mark(puts, n, uid);
            else if (seq)
                *seq = db_int(s, 1);
        }
        ok = step == DB_END;
        db_done(s);
    }
    buf_deinit(&uids);
    return ok && (s || count == 0);
}

// Only a help for classify, which looks for itself when this fails.
void commit_look(void *ctx, struct vol_put *const *puts, size_t n) {
    struct archive *ar = ctx;
    int64_t seq = -1;
    if (ar->index->gap) return;
    struct db *d = db_reader(ar->db, NULL);
    bool ok = d && find_hits(d, puts, n, &seq, NULL);
    db_return(ar->db, d);
    for (size_t i = 0; ok && i < n; i++) {
        struct index_put *p = puts[i]->user;
        p->looked = is_object(puts[i]);
        p->seen = p->hit;
        p->looked_at = seq;
    }
}

// ---- what this process remembers of the index ----

// Ids stay what they are as long as nothing is taken away; only where a series had no base another may have made one.
static void forget_unfinished(struct index *ix) {
    for (unsigned i = 0; i < PLACES_MAX; i++)
        if (ix->places[i].used && ix->places[i].header_base == 0) ix->places[i].used = false;
}

bool index_begin(struct index *ix, struct db *w, struct err *e) {
    struct event_tail *t = &ix->ar->tail;
    int64_t now = clock_mono_us();
    if (ix->ar->shared && now - ix->began_us > FORGET_AFTER_US) index_forget(ix);
    if (!archive_begin(ix->ar, w, e)) return false;
    if (!ix->ar->shared) return true;
    ix->began_us = now;
    if (t->seen != INT64_MAX && (t->outdated || t->seq < t->seen)) index_forget(ix);
    if (t->seen != t->seq) forget_unfinished(ix);
    t->seen = t->seq;
    return true;
}

void index_settle(struct index *ix) {
    ix->ar->tail.seen = ix->ar->tail.seq;
}

void index_forget(struct index *ix) {
    places_clear(ix);
    memset(ix->figures, 0, sizeof ix->figures);
    memset(ix->realms, 0, sizeof ix->realms);
    bases_clear(&ix->bases);
    ix->ar->tail.seen = INT64_MAX;
}

// ---- what other processes did since classify ----

static bool wrote_since(const struct index *ix, struct vol_put *const *puts, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct index_put *p = puts[i]->user;
        if (is_object(puts[i]) && (!p->looked || p->looked_at != ix->ar->tail.seq)) return true;
    }
    return false;
}

// *again: an object must be read from the volumes to be compared, which is not done while all others wait.
static bool recheck(struct index *ix, struct db *w, struct vol_put *const *puts, size_t n, bool *again, struct err *e) {
    for (size_t i = 0; i < n; i++) ((struct index_put *)puts[i]->user)->taken = false;
    ix->rechecked = ix->ar->shared && wrote_since(ix, puts, n);
    if (!ix->rechecked) return true;
    if (!find_hits(w, puts, n, NULL, e)) return false;
    for (size_t i = 0; i < n; i++) {
        struct index_put *p = puts[i]->user;
        enum index_kept kept;
        if (!p->hit || !is_object(puts[i])) continue;
        p->in_order = true;
        p->must_read = false;
        bool ok = index_compare(ix, w, &puts[i]->entry, p, &kept, e);
        p->in_order = false;
        if (!ok) return false;
        p->taken = kept != INDEX_NEW;
        p->kept = (int)kept;
        *again |= p->must_read;
    }
    return true;
}

// Outside of the transaction: what is found is remembered in the put.
static bool compare_apart(struct index *ix, struct vol_put *const *puts, size_t n, struct err *e) {
    struct db *d = db_reader(ix->ar->db, e);
    bool ok = d;
    for (size_t i = 0; ok && i < n; i++) {
        struct index_put *p = puts[i]->user;
        enum index_kept kept;
        if (p->taken && p->must_read) ok = index_compare(ix, d, &puts[i]->entry, p, &kept, e);
    }
    db_return(ix->ar->db, d);
    return ok;
}

// It lies in the volume as a conflicting copy of an object that was deleted meanwhile: neither that nor a first copy. Sent again it is an object.
static bool refuse(struct db *w, struct vol_put *put, struct err *e) {
    put->failed = true;
    err_set(&put->err, ERR_BUSY, "index", "object %.*s was deleted while this copy came: send it again", STR_FMT(put->entry.sop));
    return rows_dead(w, put->entry.loc, put->entry.sop, "deleted", e);
}

// The entry lies as it lies; what it means is decided by what is there now.
static bool apply_object(struct index *ix, struct db *w, struct vol_put *put, struct err *e) {
    struct index_put *p = put->user;
    const struct vol_entry *en = &put->entry;
    if (p->taken && (p->kept == INDEX_SAME || p->kept == INDEX_SAME_CONFLICT)) {
        index_be_known(put, p->kept == INDEX_SAME_CONFLICT);
        return rows_dead(w, en->loc, en->sop, "duplicate", e);
    }
    if (ix->rechecked) p->heals = p->taken && (p->kept == INDEX_SAME_DAMAGED || p->kept == INDEX_LOST_CONFLICT);
    if (ix->rechecked && !p->taken && en->kind == VOL_CONFLICT && !p->among && !p->apart) return refuse(w, put, e);
    bool classified = put->outcome == VOL_STORED_CONFLICT;
    if (p->taken && (p->kept == INDEX_OTHER || p->kept == INDEX_LOST_CONFLICT)) index_be_conflict(put);
    bool foreign = false; // another node was faster with the study, or with the object
    if (!classified && !p->heals && !realm_is_foreign(ix, w, en, p, &foreign, e)) return false;
    if (foreign) index_be_conflict(put), p->apart = true;
    return put->outcome == VOL_STORED_CONFLICT ? rows_conflict(ix, w, en, p, e) : rows_object(ix, w, en, p, e);
}

// ---- the transaction ----

// Another node was faster: what lies in the volume means nothing.
static bool come_late(struct db *w, struct vol_put *put, const struct err *why, struct err *e) {
    put->failed = true;
    put->err = *why;
    return rows_dead(w, put->entry.loc, STR_LIT(""), "refused", e);
}

static bool apply_tombstone(struct index *ix, struct db *w, struct vol_put *put, struct err *e) {
    const struct word *word = ((const struct index_put *)put->user)->word;
    struct err why = {0};
    if (hold_allows(w, word->study, &why)) return kill_tombstone(ix, w, &put->entry, word->json, e);
    if (why.kind == ERR_FORBIDDEN) return come_late(w, put, &why, e);
    if (e) *e = why;
    return false;
}

static bool apply_record(struct index *ix, struct db *w, struct vol_put *put, struct err *e) {
    const struct word *word = ((const struct index_put *)put->user)->word;
    struct err why = {0};
    bool stale;
    if (!hold_record(ix, w, &put->entry, word->json, &stale, e)) return false;
    if (!stale) return true;
    err_set(&why, ERR_BUSY, "hold", "%s of study %.*s is being changed by another: try again", word->mark ? "a label or assignment" : "the legal hold",
            STR_FMT(word->study));
    return sql_run(w, "DELETE FROM records WHERE volume = ?1 AND \"offset\" = ?2", SQL_VALUES(SQL_I(put->entry.loc.volume), SQL_I(put->entry.loc.offset)), e) &&
           come_late(w, put, &why, e);
}

static bool apply(struct index *ix, struct db *w, struct vol_put *put, struct err *e) {
    const struct vol_entry *en = &put->entry;
    if (put->outcome == VOL_KNOWN) return true;
    switch (en->kind) {
    case VOL_OBJECT:
    case VOL_CONFLICT:
        return apply_object(ix, w, put, e);
    case VOL_QUARANTINE:
        return rows_quarantine(ix, w, en, en->note, e);
    case VOL_TOMBSTONE:
        return apply_tombstone(ix, w, put, e);
    case VOL_RECORD:
        return apply_record(ix, w, put, e);
    }
    return err_set(e, ERR_INTERNAL, "index", "entry of kind %d", en->kind);
}

// Those that are known because the same bytes came before them in the group fare as these.
static void settle_twins(struct vol_put *const *puts, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct vol_put *twin = puts[i]->outcome == VOL_KNOWN ? ((struct index_put *)puts[i]->user)->twin_of : NULL;
        if (!twin) continue;
        if (twin->outcome == VOL_STORED_CONFLICT || ((struct index_put *)twin->user)->known_conflict) index_be_known(puts[i], true);
        ((struct index_put *)puts[i]->user)->apart |= ((struct index_put *)twin->user)->apart;
        puts[i]->failed = twin->failed;
        puts[i]->err = twin->err;
    }
}

// The store's alarm becomes an event with the next commit.
static bool write_alarm(struct index *ix, struct db *w, struct err *e) {
    struct archive *ar = ix->ar;
    pthread_mutex_lock(&ar->alarm_lock);
    struct err why = ar->alarm;
    ix->alarms = ar->alarms;
    pthread_mutex_unlock(&ar->alarm_lock);
    if (ix->alarms == ix->alarms_told) return true;
    struct buf detail;
    struct json_writer j;
    buf_init(&detail, 64 * 1024);
    json_init(&j, &detail, false);
    json_begin_object(&j);
    json_put_strz(&j, "message", why.message);
    json_end_object(&j);
    struct event ev = {.type = STR_LIT("store.alarm"), .actor = STR_LIT("job:store"), .detail = buf_str(&detail)};
    bool ok = buf_ok(&detail, e) && event_append(ar, w, &ev, e);
    buf_deinit(&detail);
    return ok;
}

static bool write_group(struct index *ix, struct db *w, struct vol_put *const *puts, size_t n, const struct vol_written *written, bool *again, struct err *e) {
    if (!index_begin(ix, w, e) || !recheck(ix, w, puts, n, again, e)) return false;
    if (*again) return true;
    for (size_t i = 0; i < n; i++)
        if (!apply(ix, w, puts[i], e)) return false;
    settle_twins(puts, n);
    return write_alarm(ix, w, e) && places_flush(ix, w, e) && figures_flush(ix, w, e) && volumes_note(w, written, e) && db_commit(w, e);
}

// A connection that was lost may have committed or not: whoever sends again finds out.
static bool failed(struct index *ix, struct err *e) {
    ix->gap = !ix->ar->remote;
    if (e && (e->kind == ERR_NET || e->kind == ERR_CONFLICT)) e->kind = ERR_BUSY;
    return false;
}

static bool try_group(struct index *ix, struct vol_put *const *puts, size_t n, const struct vol_written *written, bool *again, struct err *e) {
    struct db *w = db_writer(ix->ar->db, e);
    if (!w) return failed(ix, e);
    arena_reset(&ix->scratch);
    *again = false;
    bool ok = write_group(ix, w, puts, n, written, again, e), committed = ok && !*again;
    if (committed) {
        ix->alarms_told = ix->alarms;
        index_settle(ix);
    } else {
        db_rollback(w);
        index_forget(ix);
    }
    events_settle(ix->ar, committed);
    db_return(ix->ar->db, w);
    return ok || failed(ix, e);
}

bool commit_group(void *ctx, struct vol_put *const *puts, size_t n, const struct vol_written *written, struct err *e) {
    struct archive *ar = ctx;
    if (written->volume == 0) return true; // all known
    for (int i = 0; i < TRIES_MAX; i++) {
        bool again = false;
        if (!try_group(ar->index, puts, n, written, &again, e)) return false;
        if (!again) return true;
        if (!compare_apart(ar->index, puts, n, e)) return failed(ar->index, e);
    }
    err_set(e, ERR_BUSY, "index", "what is stored under the same UIDs keeps changing: send again");
    return failed(ar->index, e);
}

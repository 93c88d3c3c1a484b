// The course of a migration: both sides opened, rounds over the source's volumes and events, the mark on the target.
#include "core/migrate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/migrate_part.h"
#include "core/nodes.h"

enum { ROLES_BYTES_MAX = 1 << 30, EVENTS_BATCH = 256, EVENTS_BYTES_MAX = 64 << 20 };

void migrate_note(struct migrate *m, const char *format, ...) {
    char text[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (m->on_note) m->on_note(m->ctx, text);
}

void migrate_tell(struct migrate *m) {
    if (m->on_progress) m->on_progress(m->ctx, &m->progress);
}

// ---- opening ----

static bool count_of(struct archive *ar, const char *sql, int64_t *out, struct err *e) {
    bool found;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && sql_one(d, sql, NULL, 0, out, 1, &found, e);
    if (d) db_return(ar->db, d);
    return ok;
}

static bool note_there(void *ctx, const struct vol_info *v, struct err *e) {
    *(uint32_t *)ctx = v->volume;
    return err_set(e, ERR_CONFLICT, "migrate", "volumes of an archive lie there already; name an empty place, or another prefix of the bucket");
}

// An archive that has seen something and is not on its way is somebody's own. So are volumes that its index does not know: nothing is written over them.
static bool may_arrive(struct archive *to, bool marked, struct err *e) {
    int64_t events = 0, volumes = 0;
    uint32_t there;
    if (marked) return true;
    if (!count_of(to, "SELECT count(*) FROM events", &events, e) || !count_of(to, "SELECT count(*) FROM volumes", &volumes, e)) return false;
    if (events || volumes) return err_set(e, ERR_CONFLICT, "migrate", "the target holds an archive already; name an empty place");
    return vol_each(to->volumes, note_there, &there, e);
}

// The hash of an archive's first event names it; an empty one has no name yet.
static bool name_of(struct archive *ar, char name[MIGRATE_HEX + 1], struct err *e) {
    struct arena a;
    struct event *first;
    unsigned n = 0;
    arena_init(&a, EVENTS_BYTES_MAX);
    bool ok = events_after(ar, &a, 0, 1, &first, &n, e);
    memset(name, 0, MIGRATE_HEX + 1);
    if (ok && n) hex_encode(first[0].hash, sizeof first[0].hash, name);
    arena_deinit(&a);
    return ok;
}

static bool put_mark(struct archive *to, const char *name, struct err *e) {
    struct db *w = db_writer(to->db, e);
    bool ok = w && sql_run(w, "INSERT INTO settings (name, value) VALUES ('" ARCHIVE_ARRIVING "', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1",
                           SQL_VALUES(SQL_T(str_of(name))), e);
    if (w) db_return(to->db, w);
    return ok;
}

static bool same_name(struct archive *to, const char *name, struct err *e) {
    struct db *d = db_reader(to->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT value FROM settings WHERE name = '" ARCHIVE_ARRIVING "'", e) : NULL;
    enum db_step step = s ? db_next(s, e) : DB_FAIL;
    bool same = step == DB_ROW && (db_text(s, 0).n == 0 || str_eqz(db_text(s, 0), name));
    if (s) db_done(s);
    if (d) db_return(to->db, d);
    return same || (step == DB_ROW &&
                    err_set(e, ERR_CONFLICT, "migrate", "the target is the beginning of another archive's migration; name an empty place, or its source"));
}

// The last event that the target has is the source's at that place, hash and all: else it is another archive's migration that was begun here.
static bool same_origin(struct migrate *m, struct err *e) {
    struct arena a;
    struct event *mine, *theirs;
    unsigned n = 0, k = 0;
    int64_t last = 0;
    if (!count_of(m->to, "SELECT coalesce(max(seq), 0) FROM events", &last, e)) return false;
    if (last == 0) return true;
    arena_init(&a, EVENTS_BYTES_MAX);
    bool ok = events_after(m->to, &a, last - 1, 1, &mine, &n, e) && events_after(m->from, &a, last - 1, 1, &theirs, &k, e);
    bool same = ok && n == 1 && k == 1 && memcmp(mine[0].hash, theirs[0].hash, sizeof mine[0].hash) == 0;
    arena_deinit(&a);
    return ok && (same || err_set(e, ERR_CONFLICT, "migrate", "the target has events that the source has not: it is no beginning of this migration"));
}

static bool open_source(struct migrate *m, const struct migrate_options *o, struct err *e) {
    struct archive_options from = *o->from;
    from.must_exist = !from.remote;
    from.beside = from.read_only = !o->last;
    bool ok = archive_open(&from, &m->from, e) && (!o->last || !from.remote || lease_take_alone(m->from, &m->alone, e));
    return ok || err_wrap(e, "source");
}

static bool open_target(struct migrate *m, const struct migrate_options *o, struct err *e) {
    struct archive_options to = *o->to;
    char name[MIGRATE_HEX + 1];
    bool marked = false;
    to.arriving = true;
    to.must_exist = false;
    if (!archive_open(&to, &m->to, e) || !archive_is_arriving(m->to, &marked, e) || !may_arrive(m->to, marked, e)) return err_wrap(e, "target");
    return name_of(m->from, name, e) && (!marked || same_name(m->to, name, e)) && put_mark(m->to, name, e) && same_origin(m, e);
}

bool migrate_open(const struct migrate_options *o, struct migrate **out, struct err *e) {
    *out = NULL;
    struct migrate *m = calloc(1, sizeof *m);
    if (!m) return err_nomem(e, "migrate");
    m->last = o->last;
    m->on_progress = o->on_progress;
    m->on_note = o->on_note;
    m->ctx = o->ctx;
    arena_init(&m->arena, ROLES_BYTES_MAX);
    if (!open_source(m, o, e) || !open_target(m, o, e)) return migrate_close(m), false;
    m->headers = o->from->remote && !o->to->remote ? m->to->volumes : m->from->volumes;
    *out = m;
    return true;
}

void migrate_close(struct migrate *m) {
    if (!m) return;
    archive_close(m->to);
    if (m->alone.held) lease_drop(m->from, &m->alone);
    archive_close(m->from);
    arena_deinit(&m->arena);
    free(m);
}

// ---- volumes ----

// Whole, unless the source's has grown since: it was the last to be written when an attempt to finish was given up.
static bool have_volume(struct migrate *m, uint32_t volume, uint64_t indexed_end, bool *there, struct err *e) {
    struct vol_state st;
    struct err why = {0};
    *there = vol_state_get(m->to->volumes, volume, &st, &why) && st.size >= indexed_end;
    if (*there || why.kind == ERR_NONE || why.kind == ERR_NOT_FOUND) return true;
    if (e) *e = why;
    return false;
}

static bool write_place(struct migrate *m, const struct vol_info *v, const struct roles *source, struct err *e) {
    struct db *w = db_writer(m->to->db, e);
    bool ok = w && sql_run(w,
                           "INSERT INTO volumes (volume, indexed_end, place, size, created_ms) VALUES (?1, 0, ?2, ?3, ?4) ON CONFLICT (volume) DO UPDATE "
                           "SET place = ?2, size = ?3",
                           SQL_VALUES(SQL_I(v->volume), SQL_I(v->place), SQL_I(v->size), SQL_I(source->created_ms)), e);
    if (w) db_return(m->to->db, w);
    return ok;
}

static bool set_finished(struct migrate *m, uint32_t volume, struct err *e) {
    struct db *w = db_writer(m->to->db, e);
    bool ok = w && sql_run(w, "UPDATE volumes SET finished = 1 WHERE volume = ?1", SQL_VALUES(SQL_I(volume)), e);
    if (w) db_return(m->to->db, w);
    return ok;
}

static bool copy_volume(struct migrate *m, uint32_t volume, uint64_t end, struct vol_info *v, struct err *e) {
    struct err why = {0};
    if (vol_copy(m->to->volumes, m->from->volumes, volume, end, v, &why)) return true;
    // Put by one that was killed before it could say so.
    if (why.kind == ERR_CONFLICT) return vol_remove(m->to->volumes, volume, e) && vol_copy(m->to->volumes, m->from->volumes, volume, end, v, e);
    if (e) *e = why;
    return false;
}

// The volume's bytes, unless they are there: it comes into its place whole, by a rename or a put. A volume that grows is for the end, and then as
// far as its last entry.
static bool bring(struct migrate *m, uint32_t volume, const struct vol_state *st, const struct roles *source, struct migrate_round *round, struct err *e) {
    struct vol_info v;
    bool there;
    if (!have_volume(m, volume, source->indexed_end, &there, e)) return false;
    if (there) return true;
    if (!copy_volume(m, volume, st->growing ? source->indexed_end : VOL_WHOLE, &v, e) || !write_place(m, &v, source, e)) return false;
    round->copied++;
    m->progress.bytes_copied += v.size;
    return true;
}

// Taken over entirely before; a place that was noted and not written is not.
static bool is_done(struct migrate *m, uint32_t volume, bool *done, struct err *e) {
    int64_t finished = 0;
    struct db *d = db_reader(m->to->db, e);
    bool ok = d && sql_one(d, "SELECT finished FROM volumes WHERE volume = ?1", SQL_VALUES(SQL_I(volume)), &finished, 1, done, e);
    if (d) db_return(m->to->db, d);
    *done = ok && *done && finished;
    return ok;
}

// ERR_BUSY: archived and asked for; ERR_NOT_FOUND: merged or compacted away since it was listed.
static bool is_for_later(const struct migrate *m, const struct err *why) {
    return !m->last && (why->kind == ERR_BUSY || why->kind == ERR_NOT_FOUND);
}

static bool take_volume(struct migrate *m, uint32_t volume, struct migrate_round *round, struct err *e) {
    struct vol_state st;
    struct roles source;
    bool done, all = false;
    if (!is_done(m, volume, &done, e)) return false;
    if (done) return true;
    arena_reset(&m->arena);
    if (!roles_read(m->from, &m->arena, volume, &source, e) || !vol_state_get(m->from->volumes, volume, &st, e)) return false;
    if (source.removed || (!source.known && (m->from->remote || (m->last && st.growing)))) return true; // nothing in it is anybody's
    bool early = !m->last && (st.growing || !source.known);
    if (!early && (!bring(m, volume, &st, &source, round, e) || !migrate_rows(m, volume, &source, false, &all, e))) return false;
    round->waiting += !all;
    return !all || st.growing || set_finished(m, volume, e);
}

static bool take_volumes(struct migrate *m, struct migrate_round *round, struct err *e) {
    uint32_t *volumes;
    size_t n;
    if (!migrate_volumes(m, &volumes, &n, e)) return false;
    m->progress.volumes = n;
    m->progress.volumes_done = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        struct err why = {0};
        m->progress.volume = volumes[i];
        ok = take_volume(m, volumes[i], round, &why);
        if (!ok && is_for_later(m, &why)) ok = ++round->waiting > 0;
        if (!ok && e) *e = why;
        m->progress.volumes_done++;
        migrate_tell(m);
    }
    free(volumes);
    return ok;
}

// ---- events ----

static bool put_events(struct migrate *m, struct event *list, unsigned n, struct err *e) {
    struct db *w = db_writer(m->to->db, e);
    bool ok = w && db_begin(w, e);
    for (unsigned i = 0; ok && i < n; i++) ok = event_take_over(m->to, w, &list[i], e);
    ok = ok && db_commit(w, e);
    events_settle(m->to, ok);
    if (w) db_return(m->to->db, w);
    return ok;
}

// One table into the other, row by row: what is there already stays.
static bool copy_rows(struct db *d, struct db *w, const char *select, const char *insert, const char *types, struct err *e) {
    struct db_stmt *s = db_prepare(d, select, e);
    enum db_step step = DB_FAIL;
    bool ok = s;
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        struct db_stmt *to = db_prepare(w, insert, e);
        for (int i = 0; to && types[i]; i++) {
            if (types[i] == 'i')
                db_bind_int(to, i + 1, db_int(s, i));
            else if (types[i] == 'b')
                db_bind_blob(to, i + 1, db_blob(s, i));
            else
                db_bind_text(to, i + 1, db_text(s, i));
        }
        ok = to && db_next(to, e) == DB_END;
        db_done(to);
    }
    db_done(s);
    return ok && step == DB_END;
}

// What the chain begins with where a rule has cut it, and whose studies were that are gone.
static bool take_trail(struct migrate *m, struct err *e) {
    struct db *d = db_reader(m->from->db, e), *w = d ? db_writer(m->to->db, e) : NULL;
    bool ok = w && db_begin(w, e) &&
              copy_rows(d, w, "SELECT seq, hash, time_ms, at_ms, mark FROM audit_cuts ORDER BY seq",
                        "INSERT INTO audit_cuts (seq, hash, time_ms, at_ms, mark) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (seq) DO NOTHING", "ibiit", e) &&
              copy_rows(d, w, "SELECT study_uid, patient_id, issuer FROM audit_studies",
                        "INSERT INTO audit_studies (study_uid, patient_id, issuer) VALUES (?1, ?2, ?3) ON CONFLICT (study_uid, patient_id, issuer) DO NOTHING",
                        "ttt", e) &&
              db_commit(w, e);
    if (w && !ok) db_rollback(w);
    events_settle(m->to, false); // the chain's beginning is read anew
    if (w) db_return(m->to->db, w);
    db_return(m->from->db, d);
    return ok;
}

static bool take_events(struct migrate *m, struct migrate_round *round, struct err *e) {
    struct arena a;
    int64_t seq = 0;
    bool ok = count_of(m->to, "SELECT coalesce(max(seq), 0) FROM events", &seq, e);
    arena_init(&a, EVENTS_BYTES_MAX);
    for (unsigned n = 1; ok && n;) {
        struct event *list;
        arena_reset(&a);
        ok = events_after(m->from, &a, seq, EVENTS_BATCH, &list, &n, e) && (n == 0 || put_events(m, list, n, e));
        if (!ok || n == 0) break;
        seq = list[n - 1].seq;
        round->events += n;
        m->progress.events += n;
        migrate_tell(m);
    }
    arena_deinit(&a);
    return ok;
}

// ---- rounds ----

bool migrate_round(struct migrate *m, struct migrate_round *out, struct err *e) {
    *out = (struct migrate_round){0};
    uint64_t before = m->progress.entries;
    bool ok = take_volumes(m, out, e) && take_trail(m, e) && take_events(m, out, e);
    out->entries = m->progress.entries - before;
    return ok;
}

static bool take_mark_away(struct migrate *m, const struct migrate_report *r, struct err *e) {
    char detail[256];
    int n = snprintf(detail, sizeof detail, "{\"objects\":%llu,\"bytes\":%llu,\"entries\":\"%s\"}", (unsigned long long)r->to.objects,
                     (unsigned long long)r->to.bytes, r->to.entries);
    struct event ev = {.type = STR_LIT("archive.migrated"), .actor = STR_LIT("command:migrate"), .detail = {detail, (size_t)n}};
    struct db *w = db_writer(m->to->db, e);
    bool ok = w && db_begin(w, e) && sql_run(w, "DELETE FROM settings WHERE name = '" ARCHIVE_ARRIVING "'", NULL, 0, e) && event_append(m->to, w, &ev, e) &&
              db_commit(w, e);
    events_settle(m->to, ok);
    if (w) db_return(m->to->db, w);
    return ok;
}

bool migrate_finish(struct migrate *m, struct migrate_report *out, struct err *e) {
    struct migrate_round round;
    *out = (struct migrate_report){0};
    if (!m->last) return err_set(e, ERR_USAGE, "migrate", "the source is still served");
    if (!migrate_round(m, &round, e) || !migrate_settle(m, out, e)) return false;
    if (out->equal) return take_mark_away(m, out, e);
    return err_set(
        e, ERR_CORRUPT, "migrate",
        "source and target are not the same; the target stays as it is and is not used. Mend the source with 'gantry fsck --repair' and run this again");
}

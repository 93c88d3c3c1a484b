// Who lives, who is to be forgotten, and jobs that nobody could do.
#include <stdio.h>

#include "core/jobs.h"
#include "core/nodes.h"
#include "core/state.h"

enum { DEAD_JSON_MAX = 16 << 20 };

bool cluster_living(struct archive *ar, unsigned *n, char name[NODE_NAME_MAX], struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT name FROM nodes WHERE state <> 'stopped' AND seen_ms > {now} - ?1 ORDER BY name", e) : NULL;
    enum db_step step = DB_FAIL;
    *n = 0;
    name[0] = '\0';
    if (s) {
        db_bind_int(s, 1, NODE_DEAD_MS);
        while ((step = db_next(s, e)) == DB_ROW)
            if ((*n)++ == 0) snprintf(name, NODE_NAME_MAX, "%.*s", STR_FMT(db_text(s, 0)));
    }
    db_done(s);
    db_return(ar->db, d);
    return step == DB_END;
}

// A statement on a side connection with one text; *changed rows.
static bool change(struct archive *ar, const char *sql, struct str name, int64_t number, int64_t *changed, struct err *e) {
    struct db *d = db_side(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, sql, e) : NULL;
    bool ok = s;
    if (ok) {
        if (name.p) db_bind_text(s, 1, name);
        db_bind_int(s, name.p ? 2 : 1, number);
        ok = db_next(s, e) == DB_END;
    }
    db_done(s);
    if (ok) *changed = db_changes(d);
    db_return(ar->db, d);
    return ok;
}

bool cluster_forget(struct archive *ar, struct str name, struct err *e) {
    int64_t gone = 0, there = 0;
    bool found;
    if (!change(ar, "DELETE FROM nodes WHERE name = ?1 AND (state = 'stopped' OR seen_ms <= {now} - ?2)", name, NODE_DEAD_MS, &gone, e)) return false;
    if (gone) return true;
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT count(*) FROM nodes WHERE name = ?1", e) : NULL;
    if (s) db_bind_text(s, 1, name);
    found = s && db_next(s, e) == DB_ROW;
    if (found) there = db_int(s, 0);
    db_done(s);
    db_return(ar->db, d);
    if (!found) return false;
    if (there) return err_set(e, ERR_CONFLICT, "nodes", "node %.*s lives", STR_FMT(name));
    return err_set(e, ERR_NOT_FOUND, "nodes", "there is no node %.*s", STR_FMT(name));
}

bool job_retry(struct archive *ar, int64_t id, struct err *e) {
    int64_t changed = 0;
    if (!change(ar, "UPDATE jobs SET dead = 0, attempts = 0, due_ms = {now} WHERE id = ?1 AND dead = 1", (struct str){0}, id, &changed, e)) return false;
    return changed || err_set(e, ERR_NOT_FOUND, "jobs", "there is no dead job %lld", (long long)id);
}

static bool write_dead(struct db *d, unsigned limit, struct buf *to, struct err *e) {
    struct json_writer w;
    struct db_stmt *s = db_prepare(d, "SELECT id, kind, subject, attempts, due_ms, trouble FROM jobs WHERE dead = 1 ORDER BY id DESC LIMIT ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, limit);
    json_init(&w, to, false);
    json_begin_array(&w);
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) {
        json_begin_object(&w);
        json_put_int(&w, "id", db_int(s, 0));
        json_put_str(&w, "kind", db_text(s, 1));
        json_put_str(&w, "subject", db_text(s, 2));
        json_put_int(&w, "attempts", db_int(s, 3));
        json_put_int(&w, "due_ms", db_int(s, 4));
        json_put_str(&w, "trouble", db_text(s, 5));
        json_end_object(&w);
    }
    json_end_array(&w);
    db_done(s);
    return step == DB_END;
}

bool jobs_dead_json(struct archive *ar, struct arena *a, unsigned limit, struct str *out, struct err *e) {
    struct buf b;
    struct db *d = db_reader(ar->db, e);
    if (!d) return false;
    buf_init(&b, DEAD_JSON_MAX);
    bool ok = write_dead(d, limit, &b, e) && buf_ok(&b, e) && arena_dup(a, buf_str(&b), out, e);
    buf_deinit(&b);
    db_return(ar->db, d);
    return ok;
}

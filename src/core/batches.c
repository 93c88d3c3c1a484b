// Batches of volumes that are to be built anew, each with the job that does it.
#include "core/batches.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/index.h"
#include "core/state.h"

static bool new_number(struct db *d, int64_t *out, struct err *e) {
    bool found;
    return sql_one(d, "UPDATE counters SET value = value + 1 WHERE name = 'batch' RETURNING value", NULL, 0, out, 1, &found, e) &&
           (found || err_set(e, ERR_CORRUPT, "merge", "the index has no counter of batches"));
}

static bool put(struct db *d, const char *kind, const uint32_t *volumes, size_t n, struct err *e) {
    char subject[32];
    int64_t batch;
    if (!new_number(d, &batch, e)) return false;
    for (size_t i = 0; i < n; i++)
        if (!sql_run(d, "UPDATE volumes SET batch = ?1 WHERE volume = ?2 AND batch <= 0 AND removed_ms IS NULL", SQL_VALUES(SQL_I(batch), SQL_I(volumes[i])),
                     e))
            return false;
    snprintf(subject, sizeof subject, "%lld", (long long)batch);
    return job_put(d, kind, str_of(subject), 0, e);
}

bool batch_put(struct archive *ar, const char *kind, const uint32_t *volumes, size_t n, struct err *e) {
    struct db *d = db_side(ar->db, e);
    bool ok = d && db_begin(d, e) && put(d, kind, volumes, n, e) && db_commit(d, e);
    if (d && !ok) db_rollback(d);
    db_return(ar->db, d);
    return ok;
}

static bool leave(struct db *d, const uint32_t *volumes, size_t n, struct err *e) {
    for (size_t i = 0; i < n; i++)
        if (!sql_run(d, "UPDATE volumes SET batch = -1 WHERE volume = ?1 AND batch = 0", SQL_VALUES(SQL_I(volumes[i])), e)) return false;
    return true;
}

bool batch_leave(struct archive *ar, const uint32_t *volumes, size_t n, struct err *e) {
    if (n == 0) return true;
    struct db *d = db_side(ar->db, e);
    bool ok = d && db_begin(d, e) && leave(d, volumes, n, e) && db_commit(d, e);
    if (d && !ok) db_rollback(d);
    db_return(ar->db, d);
    return ok;
}

bool batch_run_one(struct archive *ar, const struct merge_options *o, const char *kind, bool *done, struct merge_report *out, struct err *e) {
    struct job j;
    struct err why = {0};
    if (!job_take(ar, kind, &j, done, e) || !*done) return *done = false, !e || !e->kind;
    if (merge_batch(ar, o, &j, strtoll(j.subject, NULL, 10), out, &why)) return job_done(ar, &j, e);
    job_failed(ar, &j, &why, NULL);
    if (e) *e = why;
    return false;
}

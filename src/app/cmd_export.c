// gantry export: objects out of the archive as Part 10 files.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/opening.h"
#include "core/audit.h"
#include "core/retrieve.h"
#include "db/db.h"
#include "sys/file.h"
#include "text/json.h"

enum { CHUNK_BYTES = 1 << 20, PATH_BYTES = 4096, PAGE = 256, UID_BYTES = 72 };

struct exporting {
    struct archive *ar;
    const char *to;
    char *chunk;
    uint64_t done, total, bytes, failed;
};

static const struct actor EXPORTER = {.door = DOOR_COMMAND, .user = {"export", 6}};

static bool make_dirs(struct exporting *x, const struct instance_ref *r, char dir[PATH_BYTES], struct err *e) {
    snprintf(dir, PATH_BYTES, "%.3000s/%.*s", x->to, STR_FMT(r->study_uid));
    if (!sys_mkdir(x->to, e) || !sys_mkdir(dir, e)) return false;
    snprintf(dir, PATH_BYTES, "%.3000s/%.*s/%.*s", x->to, STR_FMT(r->study_uid), STR_FMT(r->series_uid));
    return sys_mkdir(dir, e);
}

static bool copy(struct exporting *x, const struct instance_ref *r, int fd, struct err *e) {
    for (uint64_t at = 0, n; at < r->loc.length; at += n) {
        n = r->loc.length - at < CHUNK_BYTES ? r->loc.length - at : CHUNK_BYTES;
        if (!retrieve_read(x->ar, r, at, x->chunk, n, e) || !sys_write_at(NULL, fd, x->chunk, n, at, e)) return false;
    }
    return true;
}

// UIDs were checked when the object came: digits and dots only. A file that is whole has its name at once or not at all.
static bool export_one(struct exporting *x, const struct instance_ref *r, struct err *e) {
    char dir[PATH_BYTES], part[PATH_BYTES + 120], path[PATH_BYTES + 100];
    int fd;
    if (!make_dirs(x, r, dir, e)) return false;
    snprintf(path, sizeof path, "%s/%.*s.dcm", dir, STR_FMT(r->sop_instance_uid));
    snprintf(part, sizeof part, "%.4190s.part", path);
    if (!sys_open(NULL, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0640, &fd, e)) return false;
    bool ok = copy(x, r, fd, e);
    sys_close(NULL, fd);
    ok = ok && sys_unlink(NULL, path, e) && sys_rename(NULL, part, path, e);
    if (!ok) sys_unlink(NULL, part, NULL);
    if (ok) x->bytes += r->loc.length;
    return ok;
}

static bool export_list(struct exporting *x, const struct instance_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        struct err e = {0};
        if (!export_one(x, &list->refs[i], &e)) {
            fprintf(stderr, "%.*s: %s\n", STR_FMT(list->refs[i].sop_instance_uid), e.message);
            x->failed++;
            if (e.kind == ERR_FULL) return false;
        }
        cli_progress("export", ++x->done, x->total);
    }
    return true;
}

// What is about to leave the archive, study by study.
static bool note(const struct exporting *x, const struct instance_list *list, struct err *e) {
    struct buf b;
    struct json_writer j;
    if (list->count == 0) return true;
    buf_init(&b, PATH_BYTES * 2);
    json_init(&j, &b, false);
    json_begin_object(&j);
    json_put_strz(&j, "to", x->to);
    json_put_int(&j, "uid", getuid());
    json_end_object(&j);
    const struct instance_ref *first = &list->refs[0];
    const struct audit_note n = {.type = "study.exported",
                                 .study_uid = first->study_uid,
                                 .count = list->count,
                                 .detail = buf_ok(&b, NULL) ? str_sub(buf_str(&b), 1, b.n - 2) : (struct str){0}};
    bool ok = audit_note(x->ar, &EXPORTER, &n, e);
    buf_deinit(&b);
    return ok;
}

static bool export_query(struct exporting *x, const struct retrieve_query *q, struct err *e) {
    struct arena a;
    struct instance_list list;
    arena_init(&a, 1UL << 30);
    bool ok = retrieve_list(x->ar, &EXPORTER, &a, q, &list, e);
    if (ok && x->total < x->done + list.count) x->total = x->done + list.count;
    if (ok) ok = note(x, &list, e);
    if (ok) ok = export_list(x, &list) || err_set(e, ERR_FULL, "export", "%s is full", x->to);
    arena_deinit(&a);
    return ok;
}

static bool count_all(struct exporting *x, struct err *e) {
    struct db *d = db_reader(archive_db(x->ar), e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT CAST(coalesce(sum(instance_count), 0) AS BIGINT) FROM studies", e) : NULL;
    bool ok = s && db_next(s, e) == DB_ROW;
    if (ok) x->total = (uint64_t)db_int(s, 0);
    db_done(s);
    db_return(archive_db(x->ar), d);
    return ok;
}

// Page by page and study by study, so that memory does not grow with the archive.
static bool export_all(struct exporting *x, struct err *e) {
    struct arena a;
    struct str studies[PAGE];
    char after[UID_BYTES] = "";
    unsigned n = PAGE;
    arena_init(&a, 1 << 20);
    bool ok = count_all(x, e);
    while (ok && n == PAGE) {
        arena_reset(&a);
        ok = retrieve_studies_after(x->ar, &EXPORTER, &a, str_of(after), PAGE, studies, &n, e);
        for (unsigned i = 0; ok && i < n; i++) ok = export_query(x, &(struct retrieve_query){.study_uids = studies[i]}, e);
        if (ok && n) snprintf(after, sizeof after, "%.*s", STR_FMT(studies[n - 1]));
    }
    arena_deinit(&a);
    return ok;
}

static int export(struct cli_args *args, struct exporting *x) {
    struct err e = {0};
    struct retrieve_query q = {.study_uids = str_of(cli_text(args, "study", NULL)),
                               .series_uids = str_of(cli_text(args, "series", NULL)),
                               .sop_instance_uids = str_of(cli_text(args, "instance", NULL))};
    bool all = q.study_uids.n + q.series_uids.n + q.sop_instance_uids.n == 0;
    x->chunk = malloc(CHUNK_BYTES);
    bool ok = x->chunk ? (all ? export_all(x, &e) : export_query(x, &q, &e)) : err_nomem(&e, "export");
    free(x->chunk);
    if (ok && x->done == 0 && !all) ok = err_set(&e, ERR_NOT_FOUND, "export", "nothing is stored under these identifiers");
    if (!ok) return cli_fail(args, &e);
    printf("%llu objects, %llu bytes exported to %s", (unsigned long long)(x->done - x->failed), (unsigned long long)x->bytes, x->to);
    if (x->failed) printf(", %llu failed", (unsigned long long)x->failed);
    printf("\n");
    return x->failed ? 1 : 0;
}

// ---- whole volumes as plain tar files ----

struct tar_out {
    int fd;
    uint64_t at;
};

static bool write_tar(void *ctx, const void *p, size_t n, struct err *e) {
    struct tar_out *t = ctx;
    uint64_t at = t->at;
    t->at += n;
    return sys_write_at(NULL, t->fd, p, n, at, e);
}

// One that is whole has its name at once or not at all.
static bool export_volume(struct exporting *x, uint32_t volume, struct err *e) {
    char path[PATH_BYTES], part[PATH_BYTES];
    struct tar_out t = {.fd = -1};
    uint64_t entries = 0, damaged = 0;
    snprintf(path, sizeof path, "%.4000s/v%08u.tar", x->to, volume);
    snprintf(part, sizeof part, "%.4000s/v%08u.tar.part", x->to, volume);
    if (!sys_open(NULL, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0640, &t.fd, e)) return false;
    bool ok = vol_export(archive_volumes(x->ar), volume, write_tar, &t, &entries, &damaged, e) && sys_flush(NULL, t.fd, e);
    sys_close(NULL, t.fd);
    ok = ok && sys_unlink(NULL, path, e) && sys_rename(NULL, part, path, e);
    if (!ok) sys_unlink(NULL, part, NULL);
    if (damaged) fprintf(stderr, "volume %u: %llu entries are damaged and left out\n", volume, (unsigned long long)damaged);
    x->done += entries;
    x->failed += damaged;
    x->bytes += t.at;
    return ok;
}

static int export_tar(struct cli_args *args, struct exporting *x) {
    struct err e = {0};
    uint32_t *volumes = NULL;
    size_t n = 0;
    bool ok = sys_mkdir(x->to, &e) && vol_list(archive_volumes(x->ar), &volumes, &n, &e);
    for (size_t i = 0; ok && i < n; i++) {
        ok = export_volume(x, volumes[i], &e);
        if (!ok && e.kind == ERR_NOT_FOUND) { // its key was destroyed, or it went meanwhile
            fprintf(stderr, "volume %u: %s\n", volumes[i], e.message);
            ok = true;
        }
        cli_progress("export", i + 1, n);
    }
    free(volumes);
    if (!ok) return cli_fail(args, &e);
    printf("%zu volumes with %llu entries, %llu bytes exported to %s as plain tar files", n, (unsigned long long)x->done, (unsigned long long)x->bytes, x->to);
    if (x->failed) printf(", %llu entries were damaged", (unsigned long long)x->failed);
    printf("\n");
    return x->failed ? 1 : 0;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct exporting x = {.to = args->positional[0]};
    struct opening o;
    bool tar = cli_flag(args, "tar"), some = cli_text(args, "study", NULL) || cli_text(args, "series", NULL) || cli_text(args, "instance", NULL);
    if (tar && some) {
        err_set(&e, ERR_USAGE, "export", "--tar is of whole volumes: it goes with no --study, --series or --instance");
        return cli_fail(args, &e);
    }
    if (!opening_begin(args, 0, &o, &e)) return cli_fail(args, &e);
    x.ar = o.archive;
    int code = tar ? export_tar(args, &x) : export(args, &x);
    opening_end(&o);
    return code;
}

static const struct cli_option OPTIONS[] = {
    OPENING_OPTIONS,
    {"study", "UID", "only this study"},
    {"series", "UID", "only this series"},
    {"instance", "UID", "only this object"},
    {"tar", NULL, "the archive's volumes instead, as plain tar files"},
    {0},
};

const struct cli_command CMD_EXPORT = {
    .name = "export",
    .synopsis =
        "[--data DIR | --config FILE] [--study UID] [--series UID] [--instance UID] FOLDER\n       gantry export [--data DIR | --config FILE] --tar FOLDER",
    .summary = "Write objects as files: FOLDER/<study>/<series>/<object>.dcm",
    .permission = ACCESS_STUDY_EXPORT,
    .group = "Keeping",
    .details = "Every object is checked against its digest on the way out; one that is damaged is named and not written.\n"
               "--tar writes FOLDER/v00000001.tar and so on: volumes as they are, encrypted ones in the open, with all that a Gantry needs to take them over\n"
               "('gantry reindex' of a folder that has them in volumes/). Deleted objects that were not compacted away are in them.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};

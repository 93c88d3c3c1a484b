// From --data and --config to an open archive.
#include "app/opening.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/config.h"
#include "core/audit.h"
#include "sys/file.h"
#include "sys/lockfile.h"

enum { PATH_BYTES = 4096 };

bool opening_settings(struct cli_args *args, struct settings **out, struct err *e) {
    struct settings *s = arena_zero(args->arena, 1, sizeof *s, e);
    return s && settings_read_file(cli_text(args, "config", NULL), cli_text(args, "data", NULL), args->arena, s, e) && (*out = s);
}

// ---- a directory of the command's own ----

// One that a command left behind when it died: nobody has its lock any more.
static bool sweep_one(void *ctx, const char *name, struct err *e) {
    char path[PATH_BYTES], lock[PATH_BYTES];
    int fd;
    (void)e;
    snprintf(path, sizeof path, "%.2000s/%.255s", (const char *)ctx, name);
    snprintf(lock, sizeof lock, "%.4000s/command.lock", path);
    if (!lockfile_take(lock, &fd, NULL)) return true;
    sys_remove_tree(path, NULL);
    lockfile_drop(fd);
    return true;
}

static bool make_scratch(struct cli_args *args, const char *what, const char *data, struct opening *o, struct err *e) {
    char lock[PATH_BYTES];
    const char *top = arena_printf(args->arena, e, "%s/commands", data);
    o->scratch = top ? arena_printf(args->arena, e, "%s/%s-%ld", top, what, (long)getpid()) : NULL;
    if (!o->scratch || !sys_mkdirs(top, e)) return false;
    sys_list_dir(top, sweep_one, (void *)top, NULL);
    if (!sys_mkdir(o->scratch, e)) return false;
    snprintf(lock, sizeof lock, "%.4000s/command.lock", o->scratch);
    return lockfile_take(lock, &o->lock_fd, e);
}

bool opening_begin(struct cli_args *args, enum opening_how how, struct opening *out, struct err *e) {
    struct settings *s;
    *out = (struct opening){.lock_fd = -1};
    if (!opening_settings(args, &s, e)) return false;
    struct archive_options o = settings_archive(s);
    o.node = NULL;
    o.must_exist = !(how & OPENING_MAY_BE_NEW);
    if (o.database_url) {
        if (!make_scratch(args, args->command->name, s->data_dir, out, e)) return false;
        o.dir = out->scratch;
        o.must_exist = false;
    }
    o.read_only = how & (OPENING_INDEX_ONLY | OPENING_BESIDE);
    o.beside = how & OPENING_BESIDE;
    const struct audit_options audit = {.elsewhere = NULL};
    // Of several nodes each event waits for the database: a spool would go with the command's own directory.
    if (archive_open(&o, &out->archive, e) && (o.database_url || o.read_only || audit_start(out->archive, &audit, e))) return true;
    opening_end(out);
    return false;
}

static bool is_file(const char *path) {
    struct sys_stat st;
    int fd;
    if (!sys_open(NULL, path, O_RDONLY | O_DIRECTORY, 0, &fd, NULL) && sys_open(NULL, path, O_RDONLY, 0, &fd, NULL)) {
        bool file = sys_stat_fd(fd, &st, NULL);
        sys_close(NULL, fd);
        return file;
    }
    return false;
}

bool opening_place(struct cli_args *args, const char *what, const char *where, struct opening *out, struct archive_options *o, struct err *e) {
    *out = (struct opening){.lock_fd = -1};
    struct settings *s = arena_zero(args->arena, 1, sizeof *s, e);
    bool file = is_file(where);
    if (!s || !settings_read_file(file ? where : NULL, file ? NULL : where, args->arena, s, e)) return false;
    *o = settings_archive(s);
    o->node = NULL;
    if (!o->database_url) return true;
    if (!make_scratch(args, what, s->data_dir, out, e)) return false;
    o->dir = out->scratch;
    return true;
}

void opening_end(struct opening *o) {
    archive_close(o->archive);
    if (o->scratch) sys_remove_tree(o->scratch, NULL);
    lockfile_drop(o->lock_fd);
    *o = (struct opening){.lock_fd = -1};
}

// The walk, by fts(3).
#include "app/walk.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool visit_entry(const FTSENT *entry, bool (*visit)(void *ctx, const char *path, struct err *e), void *ctx, struct err *e) {
    switch (entry->fts_info) {
    case FTS_F:
        return visit(ctx, entry->fts_accpath, e);
    case FTS_ERR:
    case FTS_DNR:
    case FTS_NS:
        errno = entry->fts_errno;
        return err_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "files", "%s", entry->fts_path);
    default:
        return true;
    }
}

bool walk_files(char **paths, unsigned count, bool (*visit)(void *ctx, const char *path, struct err *e), void *ctx, struct err *e) {
    return walk_what_can_be_read(paths, count, visit, NULL, ctx, e);
}

bool walk_what_can_be_read(char **paths, unsigned count, bool (*visit)(void *ctx, const char *path, struct err *e),
                           void (*failed)(void *ctx, const char *path, const struct err *why), void *ctx, struct err *e) {
    char **list = calloc(count + 1u, sizeof *list);
    if (!list) return err_nomem(e, "files");
    memcpy(list, paths, count * sizeof *list);
    FTS *fts = fts_open(list, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    free(list);
    if (!fts) return err_errno(e, ERR_IO, "files", "walk the folders");
    bool ok = true;
    for (FTSENT *entry; ok && (entry = fts_read(fts));) {
        bool unreadable = entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS;
        struct err why = {0};
        ok = visit_entry(entry, visit, ctx, unreadable ? &why : e);
        if (ok || !unreadable) continue;
        if (failed)
            failed(ctx, entry->fts_path, &why);
        else if (e)
            *e = why;
        ok = failed;
    }
    fts_close(fts);
    return ok;
}

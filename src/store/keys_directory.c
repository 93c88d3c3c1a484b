// Runs of keys in keys/ of a directory, each in two files: k00000001.key and k00000001.copy.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/directory.h"

static const char *const SUFFIXES[KEYS_COPIES] = {".key", ".copy"};

static void path_of(const struct vol_set *vs, uint32_t first, int copy, char out[STORE_PATH_MAX]) {
    snprintf(out, STORE_PATH_MAX, "%.4000s/k%08u%s", vs->dir->keys, first, SUFFIXES[copy]);
}

static uint32_t first_of(const char *name, const char *suffix) {
    char volume[64];
    if (name[0] != 'k' || snprintf(volume, sizeof volume, "v%s", name + 1) >= (int)sizeof volume) return 0;
    return set_number_of(str_of(volume), str_of(suffix));
}

static bool note(void *ctx, const char *name, struct err *e) {
    uint32_t first = first_of(name, SUFFIXES[0]);
    if (!first) first = first_of(name, SUFFIXES[1]);
    return !first || numbers_add(ctx, first, e);
}

// Ascending, with most twice. A directory without keys has no folder for them.
static bool list(struct vol_set *vs, struct numbers *out, struct err *e) {
    struct err why = {0};
    if (!sys_list_dir(vs->dir->keys, note, out, &why)) {
        if (why.kind == ERR_NOT_FOUND) return true;
        if (e) *e = why;
        return false;
    }
    numbers_sort(out);
    return true;
}

static bool run_of(struct vol_set *vs, uint32_t volume, uint32_t *first, struct err *e) {
    struct numbers l = {0};
    bool ok = list(vs, &l, e);
    *first = 0;
    for (size_t i = 0; ok && i < l.n && l.p[i] <= volume; i++) *first = l.p[i];
    free(l.p);
    return ok;
}

static bool end_of(struct vol_set *vs, uint32_t volume, uint32_t *end, struct err *e) {
    struct numbers l = {0};
    bool ok = list(vs, &l, e);
    *end = volume < UINT32_MAX - KEYS_RUN ? volume + KEYS_RUN : UINT32_MAX;
    for (size_t i = l.n; ok && i-- > 0 && l.p[i] > volume;)
        if (l.p[i] < *end) *end = l.p[i];
    free(l.p);
    return ok;
}

static bool last(struct vol_set *vs, uint32_t *first, struct err *e) {
    return run_of(vs, UINT32_MAX, first, e);
}

static bool each(struct vol_set *vs, bool (*visit)(void *ctx, uint32_t first, struct err *e), void *ctx, struct err *e) {
    struct numbers l = {0};
    bool ok = list(vs, &l, e);
    for (size_t i = 0; ok && i < l.n; i++)
        if (i == 0 || l.p[i] != l.p[i - 1]) ok = visit(ctx, l.p[i], e);
    free(l.p);
    return ok;
}

static bool get(struct vol_set *vs, uint32_t first, int copy, struct buf *out, struct err *e) {
    char path[STORE_PATH_MAX];
    size_t n = 0;
    int fd;
    path_of(vs, first, copy, path);
    char *to = buf_reserve(out, KEYS_TEXT_MAX);
    if (!to) return buf_ok(out, e);
    if (!sys_open(vs->files, path, O_RDONLY, 0, &fd, e)) return false;
    bool ok = sys_read_upto(vs->files, fd, to, KEYS_TEXT_MAX, 0, &n, e);
    sys_close(vs->files, fd);
    out->n += n;
    return ok;
}

static bool write_file(struct vol_set *vs, const char *path, struct str text, struct err *e) {
    int fd;
    if (!sys_open(vs->files, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd, e)) return false;
    bool ok = sys_write_at(vs->files, fd, text.p, text.n, 0, e) && sys_flush(vs->files, fd, e);
    sys_close(vs->files, fd);
    return ok;
}

// Between the two names there may be none for a moment: the other copy is whole then.
static bool put(struct vol_set *vs, uint32_t first, int copy, struct str text, struct err *e) {
    char path[STORE_PATH_MAX], part[STORE_PATH_MAX];
    path_of(vs, first, copy, path);
    snprintf(part, sizeof part, "%.4000s/.part", vs->dir->keys);
    bool ok = sys_mkdir(vs->dir->keys, e) && write_file(vs, part, text, e) && sys_unlink(vs->files, path, e) && sys_rename(vs->files, part, path, e) &&
              sys_flush_dir(vs->files, vs->dir->keys, e);
    return ok || err_wrap(e, "%s", path);
}

static bool remove_run(struct vol_set *vs, uint32_t first, int copy, struct err *e) {
    char path[STORE_PATH_MAX];
    path_of(vs, first, copy, path);
    return sys_unlink(vs->files, path, e) && sys_flush_dir(vs->files, vs->dir->keys, e);
}

const struct key_place directory_keys = {.run_of = run_of, .get = get, .put = put, .remove = remove_run, .each = each, .end_of = end_of, .last = last};

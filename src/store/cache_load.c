// The read cache after a restart: its files say by their names whose they are, and by their holes which blocks they lack.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/remote.h"

#define BOOT_FILE "/proc/sys/kernel/random/boot_id"
enum { BOOT_BYTES = 64 };

struct left {
    uint32_t volume;
    enum vol_place place;
    uint64_t stamp;
    char name[64];
};

struct leftovers {
    struct left *p;
    size_t n, cap;
};

// Which run of the system this is; empty when it does not tell.
static void this_boot(char out[BOOT_BYTES]) {
    size_t got = 0;
    int fd;
    memset(out, 0, BOOT_BYTES);
    if (!sys_open(NULL, BOOT_FILE, O_RDONLY, 0, &fd, NULL)) return;
    if (!sys_read_upto(NULL, fd, out, BOOT_BYTES - 1, 0, &got, NULL)) out[0] = '\0';
    sys_close(NULL, fd);
}

static bool is_of_this_boot(struct vol_set *vs, const char *path, const char boot[BOOT_BYTES]) {
    char was[BOOT_BYTES] = "";
    size_t got = 0;
    int fd;
    if (!boot[0] || !sys_open(vs->files, path, O_RDONLY, 0, &fd, NULL)) return false;
    bool ok = sys_read_upto(vs->files, fd, was, BOOT_BYTES - 1, 0, &got, NULL);
    sys_close(vs->files, fd);
    return ok && strcmp(was, boot) == 0;
}

static bool note_boot(struct vol_set *vs, const char *path, const char boot[BOOT_BYTES], struct err *e) {
    struct err why = {0};
    int fd;
    if (!sys_open(vs->files, path, O_RDWR | O_CREAT | O_TRUNC, 0640, &fd, e)) return false;
    bool ok = sys_write_at(vs->files, fd, boot, strlen(boot), 0, &why);
    sys_close(vs->files, fd);
    // On a full disk nothing is noted: the next start begins with an empty cache.
    if (!ok && why.kind != ERR_FULL && e) *e = why;
    return ok || why.kind == ERR_FULL;
}

// Whether holes are told of: else an empty block would be taken for one of zeros.
static bool holes_are_told(struct vol_set *vs, const char *dir) {
    char path[STORE_PATH_MAX];
    uint64_t from = 0, to = 0;
    int fd;
    snprintf(path, sizeof path, "%.4000s/.holes", dir);
    if (!sys_open(vs->files, path, O_RDWR | O_CREAT | O_TRUNC, 0640, &fd, NULL)) return false;
    bool ok = sys_resize(vs->files, fd, 2 * STORE_CACHE_BLOCK_BYTES, NULL) && sys_write_at(vs->files, fd, "x", 1, STORE_CACHE_BLOCK_BYTES, NULL) &&
              sys_next_data(fd, 0, &from, &to, NULL) && from > 0 && to < 2 * STORE_CACHE_BLOCK_BYTES;
    sys_close(vs->files, fd);
    sys_unlink(vs->files, path, NULL);
    return ok;
}

static bool parse(const char *name, struct left *out) {
    struct str rest = str_of(name), head = str_split(&rest, '-'), stamp = str_split(&rest, '.');
    *out = (struct left){.volume = set_number_of(head, (struct str){"", 0}), .place = str_eqz(rest, "index") ? VOL_IN_INDEX : VOL_IN_BUCKET};
    snprintf(out->name, sizeof out->name, "%s", name);
    return out->volume && str_to_u64(stamp, &out->stamp) && (str_eqz(rest, "index") || str_eqz(rest, "bucket"));
}

static bool list_one(void *ctx, const char *name, struct err *e) {
    struct leftovers *l = ctx;
    struct left one;
    if (strlen(name) >= sizeof one.name || !parse(name, &one)) return true;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 256;
        struct left *p = realloc(l->p, cap * sizeof *p);
        if (!p) return err_nomem(e, "store");
        l->p = p;
        l->cap = cap;
    }
    l->p[l->n++] = one;
    return true;
}

static int by_stamp(const void *a, const void *b) {
    const struct left *x = a, *y = b;
    return (x->stamp > y->stamp) - (x->stamp < y->stamp);
}

// Blocks that are data from end to end.
static void take_blocks(struct cache *c, struct cache_file *f, int fd) {
    uint64_t from, to, size = f->info.size;
    for (uint64_t at = 0; at < size; at = to) {
        if (!sys_next_data(fd, at, &from, &to, NULL) || from >= size || to <= at) return;
        uint64_t first = (from + STORE_CACHE_BLOCK_BYTES - 1) / STORE_CACHE_BLOCK_BYTES;
        for (uint64_t i = first; (i + 1) * STORE_CACHE_BLOCK_BYTES <= to || (to >= size && i * STORE_CACHE_BLOCK_BYTES < size); i++)
            cache_take_block(c, f, (size_t)i);
    }
}

static void take(struct vol_set *vs, struct cache *c, const struct left *l) {
    char path[STORE_PATH_MAX];
    struct sys_stat st = {0};
    struct cache_file *f = NULL;
    int fd;
    snprintf(path, sizeof path, "%.4000s/%s", c->dir, l->name);
    if (!sys_open(vs->files, path, O_RDONLY, 0, &fd, NULL)) return;
    if (sys_stat_fd(fd, &st, NULL) && st.size) f = cache_take_file(c, &(struct vol_info){.volume = l->volume, .place = l->place, .size = st.size}, l->stamp);
    if (f) take_blocks(c, f, fd);
    sys_close(vs->files, fd);
    if (!f) sys_unlink(vs->files, path, NULL);
}

bool cache_load(struct vol_set *vs, struct cache *c, struct err *e) {
    char boot[BOOT_BYTES], path[STORE_PATH_MAX];
    struct leftovers l = {0};
    this_boot(boot);
    snprintf(path, sizeof path, "%.4000s/.boot", c->dir);
    bool same = is_of_this_boot(vs, path, boot) && holes_are_told(vs, c->dir);
    if (!same) return set_sweep(vs, c->dir, e) && note_boot(vs, path, boot, e);
    bool ok = sys_list_dir(c->dir, list_one, &l, e);
    if (ok && l.n) qsort(l.p, l.n, sizeof *l.p, by_stamp);
    for (size_t i = 0; ok && i < l.n; i++) take(vs, c, &l.p[i]);
    free(l.p);
    return ok;
}

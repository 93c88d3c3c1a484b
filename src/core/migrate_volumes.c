// Which volumes the source of a migration has: those that lie there, and those that its index names though a bucket's list lacks them.
#include <stdlib.h>

#include "core/migrate_part.h"

struct volumes {
    struct migrate *m;
    uint32_t *p;
    size_t n, listed; // the listed ones come first, ascending
};

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool stop_at_first(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    (void)ctx, (void)en, (void)damaged, (void)e;
    return false;
}

// By asking for its bytes; one that cannot be read now is there.
static bool is_stored(struct migrate *m, uint32_t volume) {
    struct err why = {0};
    return vol_scan(m->from->volumes, volume, 0, false, stop_at_first, NULL, NULL, &why) || why.kind != ERR_NOT_FOUND;
}

static bool add_unlisted(void *ctx, const struct vol_info *v, struct err *e) {
    struct volumes *s = ctx;
    if (v->removed || (s->listed && bsearch(&v->volume, s->p, s->listed, sizeof *s->p, by_number)) || !is_stored(s->m, v->volume)) return true;
    uint32_t *grown = realloc(s->p, (s->n + 1) * sizeof *grown);
    if (!grown) return err_nomem(e, "migrate");
    s->p = grown;
    s->p[s->n++] = v->volume;
    return true;
}

bool migrate_volumes(struct migrate *m, uint32_t **out, size_t *n, struct err *e) {
    struct volumes s = {.m = m};
    *out = NULL;
    if (!vol_list(m->from->volumes, &s.p, &s.listed, e)) return false;
    s.n = s.listed;
    if (!volumes_each(m->from, add_unlisted, &s, e)) return free(s.p), false;
    if (s.n > s.listed) qsort(s.p, s.n, sizeof *s.p, by_number);
    *out = s.p;
    *n = s.n;
    return true;
}

// The parts of a body that are bulk data, found by what BulkDataURIs call them.
#include <stdlib.h>

#include "base/limits.h"
#include "mod/dicomweb/stow.h"

// The path of a URI: what is the same when one side is absolute and the other is not. "cid:a@b" is the Content-ID.
static struct str path_of(struct str uri) {
    if (str_eq_nocase(str_sub(uri, 0, 4), STR_LIT("cid:"))) return str_sub(uri, 4, uri.n);
    for (size_t i = 0; i + 3 <= uri.n; i++)
        if (memcmp(uri.p + i, "://", 3) == 0) return str_sub(uri, str_find(uri, '/', i + 3), uri.n);
    return uri;
}

static int compare_paths(struct str a, struct str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : a.n < b.n ? -1 : a.n > b.n;
}

static int by_path(const void *x, const void *y) {
    const struct stow_bulk *a = *(const struct stow_bulk *const *)x, *b = *(const struct stow_bulk *const *)y;
    int order = compare_paths(a->path, b->path);
    return order ? order : a->number < b->number ? -1 : a->number > b->number; // parts of one name stay in the order in which they came
}

bool stow_bulk_sort(struct stow *s, struct err *e) {
    size_t n = 0;
    for (const struct stow_bulk *b = s->first_bulk; b; b = b->next) n++;
    s->bulk_by_path = arena_zero(s->arena, n ? n : 1, sizeof(struct stow_bulk *), e);
    if (!s->bulk_by_path) return false;
    n = 0;
    for (struct stow_bulk *b = s->first_bulk; b; b = b->next) {
        b->path = path_of(b->location);
        b->number = n;
        s->bulk_by_path[n++] = b;
    }
    s->bulk_count = n;
    if (n) qsort(s->bulk_by_path, n, sizeof(struct stow_bulk *), by_path);
    return true;
}

size_t stow_bulk_find(const struct stow *s, struct str uri, const struct stow_bulk *const **out) {
    struct str path = path_of(uri);
    size_t low = 0, high = s->bulk_count, end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_paths(s->bulk_by_path[middle]->path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; path.n && end < s->bulk_count && str_eq(s->bulk_by_path[end]->path, path);) end++;
    *out = (const struct stow_bulk *const *)s->bulk_by_path + low;
    return end - low;
}

bool stow_bulk_use(struct stow *s, uint64_t length, struct err *e) {
    uint64_t most = STOW_SHARED_BYTES + (s->spool ? vol_spool_size(s->spool) : 0) * STOW_SHARED_TIMES;
    s->bulk_used += length;
    if (length <= most && s->bulk_used <= most) return true;
    return err_set(e, ERR_TOO_LARGE, "dicomweb",
                   "values share the parts of this body so often that they come to more than %llu bytes: send it in several requests",
                   (unsigned long long)most);
}

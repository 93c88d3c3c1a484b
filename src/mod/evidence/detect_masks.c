// Instances of masks: connected parts, what they share, panoptic quality.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mod/evidence/detect.h"

// ---- connected parts: union of labels, the lowest is the root ----

static uint32_t root_of(uint32_t *parent, uint32_t i) {
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

static void unite(uint32_t *parent, uint32_t a, uint32_t b) {
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

struct step {
    int z, y, x;
};

// Neighbours that come before in index order and differ on at most `connectivity` axes.
static unsigned steps_of(const struct seg_grid *g, unsigned connectivity, struct step out[13]) {
    unsigned n = 0;
    for (int z = g->dims == 3 ? -1 : 0; z <= 0; z++) {
        for (int y = -1; y <= 1; y++) {
            for (int x = -1; x <= 1; x++) {
                bool before = z < 0 || y < 0 || (y == 0 && x < 0);
                if (z == 0 && y > 0) before = false;
                if (before && (unsigned)(abs(z) + abs(y) + abs(x)) <= connectivity) out[n++] = (struct step){z, y, x};
            }
        }
    }
    return n;
}

// The voxel's label from its neighbours before; 0: none of them is inside.
static uint32_t from_neighbours(const struct seg_grid *g, const uint32_t *label, const int64_t at[3], const struct step *steps, unsigned n, uint32_t *parent) {
    uint32_t mine = 0;
    for (unsigned i = 0; i < n; i++) {
        int64_t z = at[0] + steps[i].z, y = at[1] + steps[i].y, x = at[2] + steps[i].x;
        if (z < 0 || y < 0 || x < 0 || y >= g->n[1] || x >= g->n[2]) continue;
        uint32_t other = label[((size_t)z * g->n[1] + (size_t)y) * g->n[2] + (size_t)x];
        if (!other) continue;
        if (mine)
            unite(parent, mine, other);
        else
            mine = other;
    }
    return mine;
}

bool detect_components(struct arena *a, const struct seg_grid *g, const uint8_t *mask, unsigned connectivity, uint32_t *label, uint32_t *count, struct err *e) {
    if (connectivity < 1 || connectivity > g->dims) return err_set(e, ERR_BAD_INPUT, "detect", "connectivity %u: 1 to %u", connectivity, g->dims);
    struct step steps[13];
    unsigned n = steps_of(g, connectivity, steps);
    size_t voxels = seg_voxels(g), i = 0;
    struct arena_mark mark = arena_mark(a);
    uint32_t *parent = arena_alloc(a, (voxels + 1) * sizeof *parent, e), last = 0;
    int64_t at[3];
    if (!parent) return false;
    parent[0] = 0;
    for (at[0] = 0; at[0] < g->n[0]; at[0]++) {
        for (at[1] = 0; at[1] < g->n[1]; at[1]++) {
            for (at[2] = 0; at[2] < g->n[2]; at[2]++, i++) {
                label[i] = mask[i] ? from_neighbours(g, label, at, steps, n, parent) : 0;
                if (!mask[i] || label[i]) continue;
                label[i] = ++last;
                parent[last] = last;
            }
        }
    }
    *count = 0;
    for (uint32_t k = 1; k <= last; k++) parent[k] = parent[k] == k ? ++*count : parent[parent[k]]; // a root comes before all that are its
    for (i = 0; i < voxels; i++) label[i] = parent[label[i]];
    arena_rewind(a, mark);
    return true;
}

// ---- what instances share ----

static int by_pair(const void *a, const void *b) {
    const struct detect_overlap *x = a, *y = b;
    if (x->reference != y->reference) return x->reference < y->reference ? -1 : 1;
    return (x->predicted > y->predicted) - (x->predicted < y->predicted);
}

static void merge(struct detect_overlaps *o) {
    size_t n = 0;
    qsort(o->pair, o->n, sizeof *o->pair, by_pair);
    for (size_t i = 0; i < o->n; i++) {
        if (n && by_pair(&o->pair[n - 1], &o->pair[i]) == 0)
            o->pair[n - 1].voxels += o->pair[i].voxels;
        else
            o->pair[n++] = o->pair[i];
    }
    o->n = n;
}

// Runs of one pair are gathered first: neighbours mostly are of the same.
static bool add_run(struct arena *a, struct detect_overlaps *o, size_t *room, const struct detect_overlap *run, struct err *e) {
    if (!run->voxels) return true;
    if (o->n == *room) {
        merge(o);
        if (o->n > *room / 2) {
            size_t more = 2 * *room;
            struct detect_overlap *grown = arena_grow(a, o->pair, *room * sizeof *grown, more * sizeof *grown, e);
            if (!grown) return false;
            o->pair = grown;
            *room = more;
        }
    }
    o->pair[o->n++] = *run;
    return true;
}

bool detect_overlaps(struct arena *a, const uint32_t *reference, uint32_t references, const uint32_t *predicted, uint32_t predictions, size_t voxels,
                     struct detect_overlaps *out, struct err *e) {
    *out = (struct detect_overlaps){.reference = arena_zero(a, (size_t)references + 1, sizeof(uint64_t), e)};
    out->predicted = out->reference ? arena_zero(a, (size_t)predictions + 1, sizeof(uint64_t), e) : NULL;
    size_t room = 1024;
    out->pair = out->predicted ? arena_alloc(a, room * sizeof *out->pair, e) : NULL;
    if (!out->pair) return false;
    struct detect_overlap run = {0, 0, 0};
    for (size_t i = 0; i < voxels; i++) {
        uint32_t r = reference[i], p = predicted[i];
        out->reference[r]++;
        out->predicted[p]++;
        if (!r || !p) continue;
        if (r != run.reference || p != run.predicted) {
            if (!add_run(a, out, &room, &run, e)) return false;
            run = (struct detect_overlap){r, p, 0};
        }
        run.voxels++;
    }
    if (!add_run(a, out, &room, &run, e)) return false;
    merge(out);
    return true;
}

static double iou_of(const struct detect_overlaps *o, const struct detect_overlap *p) {
    return (double)p->voxels / (double)(o->reference[p->reference] + o->predicted[p->predicted] - p->voxels);
}

bool detect_overlap_pairs(struct arena *a, const struct detect_overlaps *o, enum detect_rule rule, double threshold, struct detect_pairs *out, struct err *e) {
    out->pair = arena_alloc(a, o->n * sizeof *out->pair, e);
    out->n = 0;
    for (size_t i = 0; out->pair && i < o->n; i++) {
        const struct detect_overlap *p = &o->pair[i];
        double share = rule == DETECT_IOU ? iou_of(o, p) : (double)p->voxels / (double)o->reference[p->reference];
        if (threshold > 0 ? share >= threshold : share > 0) out->pair[out->n++] = (struct detect_pair){p->reference - 1, p->predicted - 1, share};
    }
    return out->pair != NULL;
}

void detect_panoptic(const struct detect_overlaps *o, uint32_t references, uint32_t predictions, struct detect_panoptic *out) {
    double sum = 0;
    *out = (struct detect_panoptic){0};
    for (size_t i = 0; i < o->n; i++) {
        double iou = iou_of(o, &o->pair[i]);
        if (iou <= 0.5) continue;
        out->matched++;
        sum += iou;
    }
    out->missed = references - out->matched;
    out->wrong = predictions - out->matched;
    double all = out->matched + out->missed / 2.0 + out->wrong / 2.0;
    out->segmentation = out->matched ? sum / out->matched : NAN;
    out->recognition = all > 0 ? out->matched / all : NAN;
    out->quality = all > 0 ? sum / all : NAN;
}

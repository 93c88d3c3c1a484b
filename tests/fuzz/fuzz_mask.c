// Any bytes as a mask (NumPy or NIfTI), as words that tell of masks, and as a table of detected objects: read and compared, or refused.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "mod/evidence/detect.h"
#include "mod/evidence/mask.h"
#include "mod/evidence/seg_case.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 15, ARENA_BYTES = 1 << 24, VOXELS_COMPARED = 1 << 14 };

static void compare(struct arena *a, const struct seg_grid *g, const uint8_t *reference, const uint8_t *predicted) {
    struct seg_overlap o;
    struct seg_distances d;
    if (seg_voxels(g) > VOXELS_COMPARED) return;
    seg_overlap(g, reference, predicted, &o);
    if (o.both > o.reference || o.dice < 0 || o.dice > 1) abort();
    for (unsigned s = 0; s < 2; s++) {
        if (!seg_distances(a, g, reference, predicted, (enum seg_surface)s, &d, NULL)) continue;
        if ((d.reference.n > 0) != (o.reference > 0) || seg_hausdorff(&d, 100) < seg_hausdorff(&d, 50)) abort();
        double share = seg_surface_dice(&d, 1);
        if (share < 0 || share > 1 + 1e-12) abort();
    }
}

static void as_mask(struct arena *a, struct str bytes) {
    struct mask m;
    if (bytes.n >= 2 && bytes.p[0] == '\x1f') return; // what zlib takes is tested with gzip
    if (!mask_read(a, bytes, &m, NULL)) return;
    const uint8_t *mask = mask_select(a, &m, 0, NULL), *one = mask_select(a, &m, 1, NULL);
    if (mask && one) compare(a, &m.grid, mask, one);
}

static void as_words(struct arena *a, struct str words) {
    struct seg_case c;
    if (words.n < 400 && seg_case_make(a, words, (struct str){NULL, 0}, &c, NULL)) compare(a, &c.grid, c.masks[0], c.masks[1]);
}

static void as_table(struct arena *a, struct str text) {
    struct csv t;
    if (!csv_read(a, text, &t, NULL) || t.rows > 300) return;
    for (unsigned rule = DETECT_IOU; rule <= DETECT_DISTANCE; rule++) {
        struct ev_report r;
        struct detect_asked asked = {.rule = (enum detect_rule)rule, .threshold = 0.5};
        ev_report_init(&r, a, "Detection of objects", 0.95);
        (void)detect_table_report(&r, &t, &asked, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str bytes = {(const char *)data, size};
    void (*const AS[])(struct arena *, struct str) = {as_mask, as_words, as_table};
    for (unsigned i = 0; size <= INPUT_MAX && i < 3; i++) {
        struct arena a;
        arena_init(&a, ARENA_BYTES);
        AS[i](&a, bytes);
        arena_deinit(&a);
    }
    return 0;
}

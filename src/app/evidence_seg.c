// gantry evidence seg: agreement of two segmentations.
#include <fcntl.h>
#include <string.h>

#include "app/evidence.h"
#include "app/evidence_mask.h"
#include "mod/evidence/mask.h"

enum { LABELS_MAX = 64 };

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"label", "N", "one label of both masks (default: each label by itself; with several, all together first)"},
    {"tolerance", "MM", "of surface Dice; may be repeated (default: 1 and 2)", true},
    {"percent", "P", "of the robust Hausdorff distance (default: 95)"},
    {"surface", "elements|borders|both|none", "which definition of the surface (default: both)"},
    EVIDENCE_MASK_OPTIONS,
    {0},
};

struct work {
    struct cli_args *args;
    struct arena arena; // of the masks
    struct mask masks[2];
    struct seg_asked asked;
    double tolerances[SEG_TOLERANCES_MAX];
};

static bool asked_of(struct work *w, struct err *e) {
    static const double USUAL[] = {1, 2};
    const char *surface = cli_text(w->args, "surface", "both");
    w->asked.surfels = strcmp(surface, "both") == 0 || strcmp(surface, "elements") == 0;
    w->asked.borders = strcmp(surface, "both") == 0 || strcmp(surface, "borders") == 0;
    if (!w->asked.surfels && !w->asked.borders && strcmp(surface, "none") != 0)
        return err_set(e, ERR_USAGE, "seg", "--surface is elements, borders, both or none, not %s", surface);
    if (!evidence_number(w->args, "percent", 95, 0.001, 100, &w->asked.percent, e)) return false;
    w->asked.tolerances = USUAL;
    w->asked.tolerance_count = 2;
    const char *text;
    for (unsigned i = 0; (text = cli_text_at(w->args, "tolerance", i)); i++) {
        if (i == SEG_TOLERANCES_MAX) return err_set(e, ERR_USAGE, "seg", "at most %d tolerances", SEG_TOLERANCES_MAX);
        if (!str_to_f64(str_of(text), &w->tolerances[i]) || w->tolerances[i] < 0)
            return err_set(e, ERR_USAGE, "seg", "--tolerance takes a length in mm, not %s", text);
        w->asked.tolerances = w->tolerances;
        w->asked.tolerance_count = i + 1;
    }
    return true;
}

static bool compare(struct work *w, struct ev_report *r, unsigned label, struct err *e) {
    struct arena_mark mark = arena_mark(&w->arena);
    const uint8_t *reference = mask_select(&w->arena, &w->masks[0], label, e), *predicted = reference ? mask_select(&w->arena, &w->masks[1], label, e) : NULL;
    bool ok = predicted && seg_report(r, &w->masks[0].grid, reference, predicted, &w->asked, e);
    arena_rewind(&w->arena, mark);
    return ok;
}

static bool compare_labels(struct work *w, struct ev_report *r, struct err *e) {
    const struct mask *both[2] = {&w->masks[0], &w->masks[1]};
    uint16_t *labels;
    unsigned n;
    double label;
    if (!evidence_number(w->args, "label", 0, 0, MASK_LABEL_MAX, &label, e)) return false;
    if (label > 0) return compare(w, r, (unsigned)label, e);
    if (!mask_labels(&w->arena, both, 2, &labels, &n, e) || !compare(w, r, 0, e)) return false;
    if (n > LABELS_MAX)
        return err_set(e, ERR_TOO_LARGE, "seg", "the masks have %u labels: ask for one with --label, or take `gantry evidence detect` for instances", n);
    for (unsigned i = 0; n > 1 && i < n; i++) {
        ev_report_group(r, "%u", labels[i]);
        if (!compare(w, r, labels[i], e)) return false;
    }
    return true;
}

static bool report(struct work *w, struct ev_report *r, struct err *e) {
    double level;
    if (!evidence_level(w->args, &level, e) || !asked_of(w, e) || !evidence_masks(w->args, &w->arena, w->args->positional, w->masks, e)) return false;
    ev_report_init(r, w->args->arena, "Agreement of segmentations", level);
    return compare_labels(w, r, e);
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct ev_report r;
    struct work w = {.args = args};
    arena_init(&w.arena, (size_t)EVIDENCE_MASK_BYTES_MAX);
    bool ok = report(&w, &r, &e);
    arena_deinit(&w.arena);
    return ok ? evidence_print(args, &r) : cli_fail(args, &e);
}

const struct cli_command EVIDENCE_SEG = {
    .name = "seg",
    .synopsis = "REFERENCE PREDICTED [--label N] [--tolerance MM]... [--surface elements|borders|both]",
    .summary = "Agreement of two segmentations: Dice, Jaccard, volume, surface distances by both definitions",
    .permission = ACCESS_LOCAL,
    .group = "Images",
    .details = "Masks are DICOM segmentations (label maps too), NIfTI (.nii, .nii.gz) or NumPy arrays (.npy), each with the other. Those that tell where they "
               "lie are brought onto one grid\n"
               "when voxels fall on voxels; nothing is resampled. Surface elements and voxel borders are two definitions with different figures: each name "
               "says which.",
    .options = OPTIONS,
    .positional_min = 2,
    .positional_max = 2,
    .run = run,
};

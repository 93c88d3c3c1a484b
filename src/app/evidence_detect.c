// gantry evidence detect: which objects were found.
#include <string.h>

#include "app/evidence.h"
#include "app/evidence_mask.h"
#include "mod/evidence/detect.h"

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"match", "RULE", "iou, covered, centre or distance (default: masks and boxes iou; points with a diameter centre, else distance)"},
    {"threshold", "X", "least IoU or covered share; of distance, mm (default: 0.5 for boxes, 0.1 for masks, 10 mm)"},
    {"again", "false|ignore", "further predictions of an object that was found already (default: false, they are false positives)"},
    {"connectivity", "N", "of the parts of a mask: 1 faces, 2 edges too, 3 corners too (default: as many as axes)"},
    {"cases", "N", "that were read, when some have no row"},
    EVIDENCE_MASK_OPTIONS,
    {0},
};

// The rule that fits the table when none is told.
static enum detect_rule usual_rule(const struct csv *t) {
    if (!t || csv_find(t, "x0") >= 0) return DETECT_IOU;
    return csv_find(t, "diameter") >= 0 ? DETECT_CENTRE : DETECT_DISTANCE;
}

static bool asked_of(struct cli_args *args, const struct csv *t, unsigned axes, struct detect_asked *out, struct err *e) {
    static const char *const RULES[] = {"iou", "covered", "centre", "distance"};
    const char *rule = cli_text(args, "match", NULL), *again = cli_text(args, "again", "false");
    unsigned chosen = usual_rule(t);
    double connectivity, cases;
    if (rule) {
        for (chosen = 0; chosen < 4 && strcmp(rule, RULES[chosen]) != 0; chosen++) continue;
        if (chosen == 4) return err_set(e, ERR_USAGE, "detect", "--match is iou, covered, centre or distance, not %s", rule);
    }
    if (strcmp(again, "false") != 0 && strcmp(again, "ignore") != 0) return err_set(e, ERR_USAGE, "detect", "--again is false or ignore, not %s", again);
    bool length = chosen == DETECT_DISTANCE;
    if (!evidence_number(args, "threshold", length ? 10 : t ? 0.5 : 0.1, 0, length ? 1e9 : 1, &out->threshold, e)) return false;
    if (!evidence_number(args, "connectivity", axes, 1, axes, &connectivity, e) || !evidence_number(args, "cases", 0, 0, 1e9, &cases, e)) return false;
    out->rule = (enum detect_rule)chosen;
    out->ignore_again = again[0] == 'i';
    out->connectivity = (unsigned)connectivity;
    out->cases = (uint32_t)cases;
    return true;
}

static bool from_table(struct cli_args *args, struct ev_report *r, struct err *e) {
    struct csv table;
    struct detect_asked asked;
    return evidence_read(args, args->positional[0], &table, e) && asked_of(args, &table, 3, &asked, e) && detect_table_report(r, &table, &asked, e);
}

static bool from_masks(struct cli_args *args, struct arena *a, struct ev_report *r, struct err *e) {
    struct mask masks[2];
    struct detect_asked asked;
    struct ev_report made;
    if (!evidence_masks(args, a, args->positional, masks, e) || !asked_of(args, NULL, masks[0].grid.dims, &asked, e)) return false;
    made = *r;
    made.arena = a; // the report lives as long as the masks
    bool ok = detect_masks_report(&made, &masks[0].grid, masks[0].labels, masks[1].labels, &asked, e);
    *r = made;
    return ok;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct ev_report r;
    struct arena arena;
    double level;
    arena_init(&arena, (size_t)EVIDENCE_MASK_BYTES_MAX);
    bool ok = evidence_level(args, &level, &e);
    if (ok) {
        ev_report_init(&r, args->arena, "Detection of objects", level);
        ok = args->positional_count == 2 ? from_masks(args, &arena, &r, &e) : from_table(args, &r, &e);
    }
    int code = ok ? evidence_print(args, &r) : cli_fail(args, &e);
    arena_deinit(&arena);
    return code;
}

const struct cli_command EVIDENCE_DETECT = {
    .name = "detect",
    .synopsis = "FILE | REFERENCE PREDICTED [--match RULE] [--threshold X]",
    .summary = "Detection of objects: sensitivity, false positives, average precision, panoptic quality",
    .permission = ACCESS_LOCAL,
    .group = "Images",
    .details = "FILE is a table with a row for each object: case, kind (truth or mark), x, y, z and diameter in mm, or a box as x0, y0, z0, x1, y1, z1, and "
               "the score of marks. A row without kind only\n"
               "tells that there is the case. Two files are masks as `gantry evidence seg` takes them: the objects are their labels, or the connected parts of "
               "a mask of one label.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 2,
    .run = run,
};

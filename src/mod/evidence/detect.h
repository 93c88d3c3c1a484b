// Detection: which predicted objects (boxes, points, connected parts of a mask) find which reference objects, and what that makes of a detector.
//
// Two steps: pairs that are near enough by a rule, then an assignment one to one. Objects are matched within their case only.
#ifndef GANTRY_MOD_EVIDENCE_DETECT_H
#define GANTRY_MOD_EVIDENCE_DETECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "mod/evidence/report.h"
#include "mod/evidence/seg.h"
#include "text/csv.h"

enum { DETECT_OBJECTS_MAX = 1 << 24, DETECT_RATES = 7 };
#define DETECT_PAIRS_MAX (1LL << 26)

// When a pair is near enough; how near it is, greater is nearer.
enum detect_rule {
    DETECT_IOU,      // intersection over union of boxes or voxels at least the threshold (above it where it is 0)
    DETECT_COVERED,  // share of the reference that is covered, likewise
    DETECT_CENTRE,   // the predicted centre lies in the reference's box, border included; nearness: minus the distance of the centres
    DETECT_DISTANCE, // the centres are at most the threshold apart, mm; nearness: minus the distance
};

struct detect_object {
    uint32_t case_index;            // from 0
    double score;                   // NaN: none
    double centre[3], lo[3], hi[3]; // mm; of a point lo = hi = centre
};

struct detect_pair {
    uint32_t reference, predicted;
    double nearness;
};

struct detect_pairs {
    struct detect_pair *pair;
    size_t n;
};

// All pairs within a case that the rule takes. Objects may be in any order.
bool detect_find_pairs(struct arena *a, const struct detect_object *reference, uint32_t references, const struct detect_object *predicted, uint32_t predictions,
                       enum detect_rule rule, double threshold, struct detect_pairs *out, struct err *e);

// What a predicted object turned out to be: the reference it found, or
enum { DETECT_FALSE = -1, DETECT_AGAIN = -2 }; // nothing, or one that another had found already

struct detect_matches {
    uint32_t references, predictions, cases;
    uint32_t found;   // references, each once
    uint32_t again;   // predictions of references that were found already
    uint32_t wrong;   // predictions that are no true ones: the rest, with `again` unless these are ignored
    int64_t *match;   // by predicted object
    double *nearness; // of its match; NaN
};

// One to one: predicted objects by falling score (all NaN: pairs by falling nearness; equal scores in their order), each takes the nearest reference that is still free.
bool detect_match(struct arena *a, const struct detect_pairs *pairs, uint32_t references, uint32_t predictions, uint32_t cases, const double *score,
                  bool ignore_again, struct detect_matches *out, struct err *e);

struct detect_measures {
    double sensitivity, precision, f1; // NaN without any
    double wrong_per_case;
    double mean_nearness; // of the found
    // With scores: average precision (area under the precision that is made falling, all points), sensitivity at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false ones per case (the greatest at no more than
    // that) and their mean. NaN without scores.
    double average_precision, at_rate[DETECT_RATES], mean_at_rates;
};
extern const double DETECT_RATE[DETECT_RATES];
bool detect_measure(struct arena *a, const struct detect_matches *m, const double *score, bool ignore_again, struct detect_measures *out, struct err *e);

// ---- masks ----

// Connected parts of a mask: neighbours across faces (1), edges too (2) or corners too (3); in the plane 1 or 2. label: by voxel from 1; parts are numbered in index order.
bool detect_components(struct arena *a, const struct seg_grid *g, const uint8_t *mask, unsigned connectivity, uint32_t *label, uint32_t *count, struct err *e);

struct detect_overlap {
    uint32_t reference, predicted; // instances from 1
    uint64_t voxels;
};
struct detect_overlaps {
    struct detect_overlap *pair;
    size_t n;
    uint64_t *reference, *predicted; // voxels of each instance, by number
};
bool detect_overlaps(struct arena *a, const uint32_t *reference, uint32_t references, const uint32_t *predicted, uint32_t predictions, size_t voxels,
                     struct detect_overlaps *out, struct err *e);
// rule: DETECT_IOU or DETECT_COVERED.
bool detect_overlap_pairs(struct arena *a, const struct detect_overlaps *o, enum detect_rule rule, double threshold, struct detect_pairs *out, struct err *e);

// Kirillov A et al. CVPR 2019: instances match when their IoU is above 0.5, which is one to one by itself. NaN when there are no instances.
struct detect_panoptic {
    double quality, segmentation, recognition;
    uint32_t matched, missed, wrong;
};
void detect_panoptic(const struct detect_overlaps *o, uint32_t references, uint32_t predictions, struct detect_panoptic *out);

// ---- reports ----

struct detect_asked {
    enum detect_rule rule;
    double threshold;
    bool ignore_again;
    unsigned connectivity; // masks
    uint32_t cases;        // 0: those of the table
};

// A table with a row for each object: case, kind (truth or mark; also reference, predicted), x, y, z (z may be missing), diameter or x0 .. z1 for boxes, score for marks (may be missing). A row
// without kind or place only tells that there is the case.
bool detect_table_report(struct ev_report *r, const struct csv *table, const struct detect_asked *asked, struct err *e);
// Instances of two label maps (0: background), or connected parts where a map has one label.
bool detect_masks_report(struct ev_report *r, const struct seg_grid *g, const uint16_t *reference, const uint16_t *predicted, const struct detect_asked *asked,
                         struct err *e);

#endif

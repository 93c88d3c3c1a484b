// Free-response studies: marks with ratings on lesions (LL) and off them (NL), their figures of merit, and these as input of the multi-reader analysis.
//
// Sources: Chakraborty DP, Berbaum KS. Med Phys 2004;31:2313-2330 (JAFROC). Chakraborty DP. Observer Performance Methods for Diagnostic Imaging. CRC Press 2017 (wAFROC, inferred ROC). Chakraborty DP, Zhai X. Med Phys 2016;43:2548 (weights).
#ifndef GANTRY_MOD_EVIDENCE_FROC_H
#define GANTRY_MOD_EVIDENCE_FROC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "mod/evidence/mrmc.h"
#include "text/csv.h"

enum ev_froc_merit {
    EV_FROC_WAFROC,     // lesions by weight, each against the highest NL of every normal case
    EV_FROC_WAFROC1,    // the same against every case's highest NL
    EV_FROC_AFROC,      // lesions alike, normal cases
    EV_FROC_AFROC1,     // lesions alike, every case
    EV_FROC_HRAUC,      // highest rating of a case, diseased against normal: inferred ROC
    EV_FROC_HRSE,       // diseased cases with any mark
    EV_FROC_HRSP,       // normal cases without one
    EV_FROC_MAXLLF,     // lesions marked
    EV_FROC_MAXNLF,     // NL per normal case
    EV_FROC_MAXNLF_ALL, // NL per case
    EV_FROC_MERITS
};

struct ev_froc {
    unsigned treatments, readers, cases, lesions, diseased;
    struct str *treatment, *reader, *subject;
    uint32_t *first; // lesion of each case; cases + 1 of them
    double *weight;  // of lesions; those of a case add to 1
    uint32_t *lesion_case;
    double *highest; // (treatment * readers + reader) * cases + case: rating of the highest NL; -infinity: none
    uint32_t *nl;    // as highest: their number
    double *rating;  // (treatment * readers + reader) * lesions + lesion: -infinity: not marked
};

// marks: modality, reader, case, kind (NL or LL), lesion (from 1, of LL), rating; truth: case, n_lesions, weights (parted by ';'; empty: alike). More marks of one lesion count as the highest. A truth in the marks must agree.
// Refused with the line: a mark of a case that the truth has not, a lesion that it has not, weights that do not add to 1 (2 %; they are scaled then).
bool ev_froc_read(struct arena *a, const struct csv *marks, const struct csv *truth, struct ev_froc *out, struct err *e);
// "wAFROC", "HrAuc", ... as above, whatever the case of letters; -1: none.
int ev_froc_merit_named(struct str name);
const char *ev_froc_merit_name(enum ev_froc_merit m);
// Of one reader in one modality. NaN when there is no case to tell it.
double ev_froc_merit(struct arena *a, const struct ev_froc *f, enum ev_froc_merit m, unsigned treatment, unsigned reader, struct err *e);
// Of all, with jackknife covariances: over all cases, but of HrSe and MaxLLF over the diseased, of HrSp and MaxNLF over the normal ones.
bool ev_froc_merits(struct arena *a, const struct ev_froc *f, enum ev_froc_merit m, struct ev_merit *out, struct err *e);

#endif

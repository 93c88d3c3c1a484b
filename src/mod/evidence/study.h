// A multi-reader multi-case study as numbers: who scored which case how, in which modality, and what the truth is.
#ifndef GANTRY_MOD_EVIDENCE_STUDY_H
#define GANTRY_MOD_EVIDENCE_STUDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "text/csv.h"

// What is crossed with what (Hillis 2014).
enum ev_design {
    EV_DESIGN_DETECT,
    EV_DESIGN_CROSSED,             // every reader in every modality; cases are shared, or partly: the covariances follow who shares what
    EV_DESIGN_CASES_IN_READER,     // each reader reads cases of his own, in every modality
    EV_DESIGN_CASES_IN_TREATMENT,  // each modality has cases of its own
    EV_DESIGN_READERS_IN_TREATMENT // each reader works in one modality only
};

// Names of columns; NULL: the usual names are looked for (reader, readerID, rdr; treatment, modality, modalityID, mod, test; case, caseID; truth; rating, score).
// A table without a column of modalities is of one modality.
struct ev_study_columns {
    const char *reader, *treatment, *subject, *truth, *rating;
    const char *positive; // the truth that means diseased; NULL: the one that does not say "normal", "negative", "no" and the like, else the greater of the two
};

struct ev_study {
    unsigned treatments, readers, cases;
    struct str *treatment, *reader, *subject; // names; sorted by value when all are numbers, else by their bytes
    uint8_t *diseased;                        // by case
    unsigned diseased_count;
    double *score; // (treatment * readers + reader) * cases + case; NaN: not read
    struct str positive, negative;
    enum ev_design design;
};

static inline const double *ev_study_scores(const struct ev_study *s, unsigned treatment, unsigned reader) {
    return s->score + ((size_t)treatment * s->readers + reader) * s->cases;
}

// Two forms of table are taken: a column of truth beside each score, or rows of a reader named "truth" whose score is the truth (0, 1), as iMRMC has them. Cases that nobody read are left out; a score that is missing
// was not read. Of a nested design, the same name of a case under two readers (modalities) is two cases. Refused with the line: no truth or two truths for a case, the same reading twice, more than two truths.
bool ev_study_read(struct arena *a, const struct csv *t, const struct ev_study_columns *columns, enum ev_design design, struct ev_study *out, struct err *e);
// True when every reader read every case in every modality.
bool ev_study_complete(const struct ev_study *s);
// Index of the name, or -1.
int ev_study_treatment(const struct ev_study *s, struct str name);
int ev_study_reader(const struct ev_study *s, struct str name);
// The column with one of the names (ended by NULL), or -1.
int ev_study_column(const struct csv *t, const char *const *names);

#endif

// The table made of data/evidence_terms.tsv.
#ifndef GANTRY_MOD_EVIDENCE_TERMS_H
#define GANTRY_MOD_EVIDENCE_TERMS_H

struct ev_term_row {
    const char *key, *zh;
};
extern const struct ev_term_row EV_TERMS[]; // sorted by the bytes of key
extern const unsigned EV_TERM_COUNT;
extern const char EV_VERSION[]; // of the product

#endif

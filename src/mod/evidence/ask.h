// What the rows of reference tables say in half-sentences ("alpha=.05 two-sided", "TP670 FP202"), and the cases of a ROC analysis that they mean.
#ifndef GANTRY_MOD_EVIDENCE_ASK_H
#define GANTRY_MOD_EVIDENCE_ASK_H

#include "mod/evidence/roc.h"
#include "mod/evidence/verify.h"

// The number after the word: "power=.8", "power .8", "TP670"; the word's case does not matter. false when the word, or a number after it, is not there.
bool ev_ask_number(struct str text, const char *word, double *out);
// The word stands there (not as a part of another).
bool ev_ask_word(struct str text, const char *word);
// The word stands there with no number and no '=' behind it: what is asked, not what is given.
bool ev_ask_bare(struct str text, const char *word);
// "95%" or level=0.95; 0.95 when nothing is said.
double ev_ask_level(struct str text);
// Numbers in order, whatever is between them; "1-0.9" is two. Returns how many, at most max.
unsigned ev_ask_numbers(struct str text, double *out, unsigned max);
// The error of a row that lacks something.
bool ev_ask_lacks(const struct ev_question *q, const char *what, struct err *e);

// Cases as a row describes them: a column of outcomes (two values; positive=... or the greater one), rows where the named columns have the named values (reader=1), one or more
// columns of scores (predictor=, pair=a,b), or the layout of iMRMC (readerID, caseID, modalityID, score, with the truth as a reader of its own).
struct ev_cases {
    unsigned tests;
    size_t n;
    const uint8_t *positive;
    const double *const *score; // by test: greater speaks for the condition
    bool turned[EV_TESTS_MAX];  // scores were negated for that
    double n0, n1;
};
// names: columns of scores; none (tests 0): the row's predictor, or the one column that looks like it. Cases that lack one of them are left out.
bool ev_ask_cases(const struct ev_question *q, const struct str *names, unsigned tests, struct ev_cases *out, struct err *e);
// "pair=a,b" or "a vs b"; when the row names none, the two columns of numbers whose areas differ most (a column that separates the classes is the outcome in other words, and left out).
bool ev_ask_pair(const struct ev_question *q, struct str pair[2], struct err *e);

#endif

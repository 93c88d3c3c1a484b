// What an analysis answers, in one shape for the table, the JSON, the methods paragraph and the plots.
//
// An analysis is a function on typed data with a typed result (roc.h, mrmc.h, ...); beside it stands one that tells the result as a report. Names of values and sentences of methods are English
// keys of data/evidence_terms.tsv, which has their Chinese: every visible text exists in both.
#ifndef GANTRY_MOD_EVIDENCE_REPORT_H
#define GANTRY_MOD_EVIDENCE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct ev_entry {
    struct str group; // heading under which rows belong together: "reader 1", "A - B"; may be empty; translated when it is a key of the terms
    const char *name; // "AUC"; a key of the terms
    const char *unit; // "mm", "min"; NULL: none
    double value;     // NaN: not a number, with the reason as text
    double se;        // standard error; NaN: none
    double lo, hi;    // interval at the report's level; NaN: none
    struct str text;  // a value that is words, or why the value is none
};

struct ev_sentence {
    const char *text;      // key of the terms; may hold {0} .. {9}
    struct str values[10]; // for them
};

struct ev_report {
    struct arena *arena;
    const char *title; // key of the terms: "ROC analysis"
    double level;      // of the intervals: 0.95
    struct ev_entry *entries;
    struct ev_sentence *methods;  // what was done, in order: the methods paragraph
    struct ev_sentence *warnings; // where a method may not hold what it says
    const char **sources;         // "DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845"
    unsigned entry_count, method_count, warning_count, source_count;
    struct str group; // of entries to come
    bool failed;      // memory; ev_report_ok says so
};

void ev_report_init(struct ev_report *r, struct arena *a, const char *title, double level);
void ev_report_group(struct ev_report *r, const char *format, ...) __attribute__((format(printf, 2, 3))); // of the entries that follow
void ev_report_value(struct ev_report *r, const char *name, double value);
void ev_report_in(struct ev_report *r, const char *name, double value, const char *unit);
void ev_report_text(struct ev_report *r, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
void ev_report_estimate(struct ev_report *r, const char *name, double value, double se, double lo, double hi);
// A value that there is not, with the reason (a key of the terms).
void ev_report_none(struct ev_report *r, const char *name, const char *why);
// Sentences; values for {0}, {1} ... are texts that stay alive, ended by NULL.
void ev_report_method(struct ev_report *r, const char *sentence, ...) __attribute__((sentinel));
void ev_report_warn(struct ev_report *r, const char *sentence, ...) __attribute__((sentinel));
void ev_report_source(struct ev_report *r, const char *source); // once each
bool ev_report_ok(const struct ev_report *r, struct err *e);

enum ev_language { EV_EN, EV_ZH };
// A table for a terminal; the columns fit their content, wide characters count two.
void ev_report_table(const struct ev_report *r, enum ev_language language, struct buf *out);
// {"title", "level", "entries": [{"group", "name", "value", "se", "lo", "hi", "unit", "text"}], "methods", "warnings", "sources", "version"}; names stay English keys, sentences are in the language.
void ev_report_json(const struct ev_report *r, enum ev_language language, struct buf *out);
// The methods paragraph with its sources, ready for a paper or a dossier.
void ev_report_methods(const struct ev_report *r, enum ev_language language, struct buf *out);
// The sentence in the language, with its values.
void ev_sentence_add(struct buf *out, const struct ev_sentence *s, enum ev_language language);
// The term in the language; the key itself when English.
const char *ev_term(const char *key, enum ev_language language);

#endif

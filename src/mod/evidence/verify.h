// Tables of reference values (dataset, statistic, parameters, value, abs_tolerance, source): each row is computed anew and compared.
#ifndef GANTRY_MOD_EVIDENCE_VERIFY_H
#define GANTRY_MOD_EVIDENCE_VERIFY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "text/csv.h"

// One row to be answered. What a row asks is told by its statistic and parameters and by the columns of its data, never by the name of a file:
// tables of other people's data have the same form.
struct ev_question {
    struct arena *arena;                                                                        // of the row
    const struct csv *data;                                                                     // the dataset's table; NULL: inline, or several files
    const struct csv *(*table)(const struct ev_question *q, const char *suffix, struct err *e); // "<dataset><suffix>.csv" of the folder: "_marks", "_truth"
    void *folder;                                                                               // for table
    struct str dataset, statistic, parameters;
    struct str earlier; // parameters of the rows above about the same data set and statistic, the nearest first: what they said need not be said again
};

// What stands for "a row that this function does not answer": then the next function of that name is asked.
#define EV_NOT_MINE ERR_UNSUPPORTED

// Parameters are pieces parted by ';' outside of brackets: "key=value" or words.
bool ev_parameter(const struct ev_question *q, const char *key, struct str *value); // key's ASCII case matters not
// false with the error when absent or no number; words that follow the number after a space ("0.05 two-sided") are no fault.
bool ev_parameter_number(const struct ev_question *q, const char *key, double *value, struct err *e);
bool ev_has_word(const struct ev_question *q, const char *word); // a piece that is the word alone
struct str ev_piece(const struct ev_question *q, unsigned i);    // {NULL, 0} beyond the last

// Each part of the module lists what it can answer.
struct ev_statistic {
    const char *name;                                                          // as in the table's column: "delong_var"; a '*' at its end stands for any ending
    bool (*answer)(const struct ev_question *q, double *value, struct err *e); // an infinite or NaN value is an answer too
};

extern const struct ev_statistic EV_STATISTICS_ROC[], EV_STATISTICS_PROPORTION[], EV_STATISTICS_MRMC[], EV_STATISTICS_FROC[], EV_STATISTICS_AGREEMENT[],
    EV_STATISTICS_CALIBRATION[], EV_STATISTICS_MONITORING[], EV_STATISTICS_SEGMENTATION[], EV_STATISTICS_QUEUE[]; // each ends with {0}

// ---- a whole table ----

struct ev_verdict {
    uint32_t line; // of the table's file
    struct str dataset, statistic, parameters, source;
    double ours, expected, tolerance;
    bool answered;     // ours is there
    bool pass;         // |ours - expected| <= tolerance, or both are not numbers, or the same infinity
    const char *words; // why not; NULL when it passes
};

struct ev_verification {
    // The text of the data folder's file, the arena's; ERR_NOT_FOUND when it is not there. Names hold no folder.
    bool (*read)(void *ctx, const char *file, struct arena *a, struct str *text, struct err *e);
    void (*each)(void *ctx, const struct ev_verdict *v); // in the order of the table
    void *ctx;
    const struct ev_statistic *const *statistics; // lists of what can be answered, ended by NULL; NULL: all that the module has
    size_t rows, passed, unanswered;              // set by ev_verify; rows - passed failed, unanswered of them without a number of ours
};

// Each row of the table (columns dataset, statistic, parameters, value, abs_tolerance; source may be absent). A row that cannot be answered fails with the reason.
// False only when the table itself is none, or memory ends.
bool ev_verify(struct arena *a, const struct csv *table, struct ev_verification *v, struct err *e);

#endif

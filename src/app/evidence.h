// The subcommands of `gantry evidence`, one file each (evidence_<name>.c), and what they share.
#ifndef GANTRY_APP_EVIDENCE_H
#define GANTRY_APP_EVIDENCE_H

#include <stdbool.h>

#include "app/cli.h"
#include "mod/evidence/plot.h"
#include "mod/evidence/report.h"
#include "text/csv.h"

extern const struct cli_command EVIDENCE_ROC, EVIDENCE_DIAGNOSTIC, EVIDENCE_MRMC, EVIDENCE_FROC, EVIDENCE_AGREE, EVIDENCE_SEG, EVIDENCE_DETECT, EVIDENCE_CALIB,
    EVIDENCE_DRIFT, EVIDENCE_QUEUE, EVIDENCE_POWER, EVIDENCE_SIMULATE, EVIDENCE_RECORDS, EVIDENCE_VERIFY;

// Options that every analysis takes; they stand first in its own list.
// clang-format off
#define EVIDENCE_OPTIONS \
    {"level", "0.95", "confidence level of the intervals"}, \
    {"json", NULL, "JSON instead of a table"}, \
    {"methods", NULL, "add the methods paragraph"}, \
    {"plot", "FILE", "draw it: FILE ends in .svg, .pdf or .png"}, \
    {"lang", "en|zh-CN", "language of the words (default: that of the locale)"}
// clang-format on

// The confidence level, in (0.5, 1).
bool evidence_level(const struct cli_args *args, double *level, struct err *e);
// A number; "name: ..." is the message when it is none or outside [min, max]. Absent: fallback.
bool evidence_number(const struct cli_args *args, const char *name, double fallback, double min, double max, double *out, struct err *e);
// The table of the file ("-": standard input; by its first byte CSV, or JSON: an array of objects or an object of arrays).
bool evidence_read(struct cli_args *args, const char *file, struct csv *out, struct err *e);
// The bytes of the file, the arena's.
bool evidence_text(struct arena *a, const char *file, struct str *text, struct err *e);
// Of --lang, else of the locale.
bool evidence_language(const struct cli_args *args, enum ev_language *language, struct err *e);
// Prints as the options say, and draws a forest of the intervals when --plot is given; the exit code. Warnings go with the report, not to standard error.
int evidence_print(const struct cli_args *args, const struct ev_report *r);
// The same with a figure of its own.
int evidence_print_plot(const struct cli_args *args, const struct ev_report *r, const struct ev_plot *plot);
// Whether to make one.
static inline bool evidence_plots(const struct cli_args *args) {
    return cli_flag(args, "plot");
}

#endif

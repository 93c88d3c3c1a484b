// What the subcommands of reader studies share.
#ifndef GANTRY_APP_EVIDENCE_MRMC_H
#define GANTRY_APP_EVIDENCE_MRMC_H

#include <stdbool.h>

#include "app/cli.h"
#include "mod/evidence/mrmc_report.h"

// clang-format off
#define EVIDENCE_MRMC_OPTIONS \
    {"generalise", "RRRC|FRRC|RRFC|all", "random readers and cases, these readers, these cases (default: all)"}, \
    {"plan", NULL, "power of a study like this one, and the readers and cases it needs"}, \
    {"readers", "J", "readers of the planned study (default: as here)"}, \
    {"cases", "K", "cases of the planned study (default: as here)"}, \
    {"effect", "D", "difference to be found (default: the one seen here)"}, \
    {"alpha", "0.05", "significance level of the planned study"}, \
    {"power", "0.8", "power that the planned study should have"}
// clang-format on

// Level, inferences and plan, as the options say.
bool evidence_mrmc_request(const struct cli_args *args, struct ev_mrmc_request *r, struct err *e);
// As evidence_print; its forest is of differences alone where there are any: they do not share an axis with what they are differences of.
int evidence_mrmc_print(const struct cli_args *args, const struct ev_report *r);

#endif

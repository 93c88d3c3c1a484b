// gantry evidence: the statistics of readers, algorithms and monitoring.
#include "app/commands.h"
#include "app/evidence.h"

// In the order of the help; one name a line.
static const struct cli_command *const SUBCOMMANDS[] = {
    // Accuracy
    &EVIDENCE_ROC,
    &EVIDENCE_DIAGNOSTIC,
    // Readers
    &EVIDENCE_MRMC,
    &EVIDENCE_FROC,
    // Agreement
    &EVIDENCE_AGREE,
    // Images
    &EVIDENCE_SEG,
    &EVIDENCE_DETECT,
    // In use
    &EVIDENCE_CALIB,
    &EVIDENCE_DRIFT,
    &EVIDENCE_QUEUE,
    &EVIDENCE_RECORDS,
    // Design
    &EVIDENCE_SIMULATE,
    &EVIDENCE_POWER,
    // Qualification
    &EVIDENCE_VERIFY,
    NULL,
};

const struct cli_command CMD_EVIDENCE = {
    .name = "evidence",
    .synopsis = "COMMAND [options] FILE",
    .summary = "Statistics of readers, algorithms and their monitoring",
    .permission = ACCESS_LOCAL,
    .group = "Evidence",
    .details = "Each command reads one table (CSV, or JSON as an array of objects or an object of arrays; - is standard input) and prints what it finds with "
               "its intervals,\n"
               "the methods it used and where they may not hold. --json prints the same for programs; --methods adds a paragraph for a paper or a dossier.\n"
               "What cannot be computed is refused with the reason and the row.",
    .subcommands = SUBCOMMANDS,
};

// What the DIMSE commands share: the target, our AE title, attribute keys, and how answers and results are printed.
#ifndef GANTRY_APP_DIMSE_CLI_H
#define GANTRY_APP_DIMSE_CLI_H

#include <stdbool.h>

#include "app/cli.h"
#include "app/tls_cli.h"
#include "dicom/dataset.h"
#include "dimse/scu.h"

// For every command's option table.
#define DIMSE_CLI_OPTIONS \
    {"calling", "AET", "our AE title (default: GANTRY)"}, {"timeout", "SECONDS", "to connect, and for each answer (default: 15, 600)"}, TLS_CLI_OPTIONS
#define DIMSE_CLI_QUERY_OPTIONS                                                                                   \
    {"level", "LEVEL", "patient, study, series or image (default: the deepest unique key, else study)"},          \
        {"model", "MODEL", "patient, study or patient-study: the information model (default: study)"}, {          \
        "key", "NAME=VALUE", "an attribute by keyword or tag, in sequences A.B=value; no value asks for it", true \
    }

struct dimse_cli {
    struct scu_target to;
    const char *calling;
    struct ul_timers timers;
};
// positional[0] and the options above.
bool dimse_cli_read(const struct cli_args *args, struct dimse_cli *out, struct err *e);

enum dimse_cli_operation { DIMSE_CLI_FIND, DIMSE_CLI_MOVE, DIMSE_CLI_GET };
// The SOP class of --model for an operation.
bool dimse_cli_model(const struct cli_args *args, enum dimse_cli_operation op, const char **sop_class_uid, struct err *e);
// The identifier of --level and --key, in UTF-8.
bool dimse_cli_identifier(const struct cli_args *args, struct dcm_dataset **out, struct err *e);

// Asks for the unique keys of the identifier's level and above that it does not have.
bool dimse_cli_ask_unique_keys(struct dcm_dataset *identifier, struct err *e);

// Connects with one context for each class (uncompressed), extended negotiation info for the first (may be {NULL, 0}).
bool dimse_cli_open(const struct dimse_cli *c, struct dimse *d, struct arena *a, const char *const *classes, struct str extended, struct err *e);

// The final status of an operation to a result: success or warning is true, failure ERR_PEER with status and comment.
bool dimse_cli_result(const struct scu_result *r, const char *what, struct err *e);

#endif

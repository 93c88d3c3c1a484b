// The list of subcommands, in the order of the help.
#include "app/commands.h"

#include <stddef.h>

const struct cli_command *const COMMANDS[] = {
    // clang-format off
    &CMD_SERVE,
    &CMD_CLUSTER,
    &CMD_CAPABILITIES,
    &CMD_CERT,
    &CMD_DOCTOR,
    &CMD_AUDIT,
    &CMD_IMPORT,
    &CMD_EXPORT,
    &CMD_FSCK,
    &CMD_REINDEX,
    &CMD_COMPACT,
    &CMD_RESTORE,
    &CMD_HOLD,
    &CMD_KEY,
    &CMD_MIGRATE,
    &CMD_INDEX_ATTRIBUTE,
    &CMD_SYNTH,
    &CMD_DUMP,
    &CMD_JSON,
    &CMD_VALIDATE,
    &CMD_RENDER,
    &CMD_TRANSCODE,
    &CMD_FRAMES,
    &CMD_ECHO,
    &CMD_FIND,
    &CMD_STORE,
    &CMD_MOVE,
    &CMD_GET,
    &CMD_EVIDENCE,
    NULL,
    // clang-format on
};

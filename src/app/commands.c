// The list of subcommands, in the order of the help.
#include "app/commands.h"

#include <stddef.h>

const struct cli_command *const COMMANDS[] = {
    &CMD_SERVE, &CMD_DUMP, &CMD_JSON, &CMD_VALIDATE, &CMD_SYNTH, NULL,
};

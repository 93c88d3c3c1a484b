// The list of subcommands, in the order of the help.
#include "app/commands.h"

#include <stddef.h>

const struct cli_command *const COMMANDS[] = {
    &CMD_SERVE, &CMD_DUMP, &CMD_JSON, &CMD_VALIDATE, &CMD_RENDER, &CMD_SYNTH, &CMD_ECHO, &CMD_FIND, &CMD_STORE, &CMD_MOVE, &CMD_GET, &CMD_INDEX_ATTRIBUTE, NULL,
};

// The list of subcommands.
#include "app/commands.h"

#include <stddef.h>

extern const struct cli_command CMD_SERVE;

const struct cli_command *const COMMANDS[] = {
    &CMD_SERVE,
    NULL,
};

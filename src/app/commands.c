// The list of subcommands.
#include "app/commands.h"

#include <stddef.h>

const struct cli_command *const COMMANDS[] = {
    NULL,
};

// The commands of administration, made from its tables: gantry user, role, token, site, ...
#ifndef GANTRY_APP_CMD_ADMIN_H
#define GANTRY_APP_CMD_ADMIN_H

#include "app/cli.h"

// The list of commands with those of administration: each noun a command with its verbs as subcommands; where a command of that name is there already and has
// subcommands, the verbs join them. Ends with NULL; in a. NULL: no memory, or names that cannot be joined.
const struct cli_command *const *admin_commands(struct arena *a, const struct cli_command *const *others);

#endif

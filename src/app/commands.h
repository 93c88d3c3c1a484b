// Every subcommand, one file each (cmd_<name>.c).
#ifndef GANTRY_APP_COMMANDS_H
#define GANTRY_APP_COMMANDS_H

#include "app/cli.h"

extern const struct cli_command CMD_AUDIT;
extern const struct cli_command CMD_CAPABILITIES;
extern const struct cli_command CMD_CERT;
extern const struct cli_command CMD_CLUSTER;
extern const struct cli_command CMD_COMPACT;
extern const struct cli_command CMD_DOCTOR;
extern const struct cli_command CMD_DUMP;
extern const struct cli_command CMD_ECHO;
extern const struct cli_command CMD_EVIDENCE;
extern const struct cli_command CMD_EXPORT;
extern const struct cli_command CMD_FIND;
extern const struct cli_command CMD_FRAMES;
extern const struct cli_command CMD_FSCK;
extern const struct cli_command CMD_GET;
extern const struct cli_command CMD_IMPORT;
extern const struct cli_command CMD_INDEX_ATTRIBUTE;
extern const struct cli_command CMD_JSON;
extern const struct cli_command CMD_MIGRATE;
extern const struct cli_command CMD_MOVE;
extern const struct cli_command CMD_REINDEX;
extern const struct cli_command CMD_RENDER;
extern const struct cli_command CMD_RESTORE;
extern const struct cli_command CMD_HOLD;
extern const struct cli_command CMD_KEY;
extern const struct cli_command CMD_SERVE;
extern const struct cli_command CMD_STORE;
extern const struct cli_command CMD_SYNTH;
extern const struct cli_command CMD_TRANSCODE;
extern const struct cli_command CMD_VALIDATE;

// Ends with NULL.
extern const struct cli_command *const COMMANDS[];

#endif

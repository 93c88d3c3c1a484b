// The command line: declarative options, git-like help, exit codes from the error table.
#ifndef GANTRY_APP_CLI_H
#define GANTRY_APP_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "core/access.h"

struct cli_option {
    const char *name;  // long name without dashes
    const char *value; // what the help calls its value; NULL for a flag
    const char *help;  // one line
    bool repeat;       // may be given more than once
};

enum { CLI_VALUES_MAX = 256 };

struct cli_args {
    struct arena *arena; // of the command; deinitialised after run
    const struct cli_command *command;
    const char *within; // of a subcommand, the command that it belongs to: "evidence"; else NULL
    const struct cli_option *given[CLI_VALUES_MAX];
    const char *values[CLI_VALUES_MAX];
    unsigned given_count;
    char **positional;
    unsigned positional_count;
};

struct cli_command {
    const char *name;
    const char *synopsis;                    // what follows the name: "[--json] FILE..."
    const char *summary;                     // one line for the list
    const char *group;                       // heading in the list: "Server", "Files", "Network", "Keeping"
    enum permission permission;              // what whoever runs it is, by running it, taken to have; ACCESS_LOCAL: it touches no archive of ours
    const char *details;                     // paragraphs for --help; may be NULL
    const struct cli_option *options;        // ends with {0}
    unsigned positional_min, positional_max; // max UINT32_MAX: any number
    // Exit code. Failures that carry an error return cli_fail(&e).
    int (*run)(struct cli_args *args);
    // Ends with NULL: the first word after the name is one of these, and has its own options and help; the members above from options on are then unused.
    const struct cli_command *const *subcommands;
};

bool cli_flag(const struct cli_args *args, const char *name);
// The (last) value, or fallback.
const char *cli_text(const struct cli_args *args, const char *name, const char *fallback);
// The i-th value of a repeated option, or NULL.
const char *cli_text_at(const struct cli_args *args, const char *name, unsigned i);
// Whole number within [min, max]; prints what is wrong and returns false otherwise.
bool cli_int(const struct cli_args *args, const char *name, int64_t fallback, int64_t min, int64_t max, int64_t *out);

// "gantry dump: message" on standard error; returns the error kind's exit code.
int cli_fail(const struct cli_args *args, const struct err *e);

// Progress on standard error when that is a terminal: "import 120/900". Nothing otherwise. done == total ends the line.
void cli_progress(const char *what, uint64_t done, uint64_t total);

int cli_main(int argc, char **argv, const struct cli_command *const *commands);

#endif

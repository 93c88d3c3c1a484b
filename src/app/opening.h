// The archive that a command works on: named by --data DIR, or by --config FILE as a server has it.
#ifndef GANTRY_APP_OPENING_H
#define GANTRY_APP_OPENING_H

#include "app/settings.h"

#define OPENING_OPTIONS                                                                                                         \
    {"data", "DIR", "data directory (default: gantry under XDG data); no server may be using it"}, {                            \
        "config", "FILE", "a server's configuration: its data directory, or the database and the bucket that its nodes work on" \
    }

enum opening_how {
    OPENING_MAY_BE_NEW = 1, // made when it is not there
    OPENING_INDEX_ONLY = 2, // nothing is stored
    OPENING_BESIDE = 4,     // looked at, also while a server has it
};

struct opening {
    struct archive *archive;
    const char *scratch; // of an archive of several nodes: this command's own directory, which goes with it
    int lock_fd;
};

// What a command says of its archive. Everything is in args' arena.
bool opening_settings(struct cli_args *args, struct settings **out, struct err *e);
// Opens it. An archive of several nodes is opened beside its servers, with a scratch directory under the data directory.
bool opening_begin(struct cli_args *args, enum opening_how how, struct opening *out, struct err *e);
// For a command with more than one archive: what `where`, a data directory or a configuration file, says of one; what: its name among them. Nothing is
// opened but the scratch directory, which goes with opening_end.
bool opening_place(struct cli_args *args, const char *what, const char *where, struct opening *out, struct archive_options *o, struct err *e);
void opening_end(struct opening *o);

#endif

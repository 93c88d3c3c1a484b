// The archive: one data directory with its volumes, its index and its event log. Every door calls the services of core/ with it.
//
// Data directory: index.db (SQLite), volumes/, staging/, and lock (one server at a time). An archive of several nodes has its index in PostgreSQL and its
// volumes in a bucket; each node's directory then holds staging/ and cache/ and can be thrown away.
#ifndef GANTRY_CORE_ARCHIVE_H
#define GANTRY_CORE_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct archive;
struct db_pool;
struct principal;
struct vol_set;
struct vol_encryption;
struct vol_remote;
struct sys_file_ops;

enum door { DOOR_DIMSE, DOOR_DICOMWEB, DOOR_COMMAND, DOOR_PAGE, DOOR_JOB };

// Who asks: passed first-hand from each door to every service, which decides and audits by it.
struct actor {
    enum door door;
    struct str aet;                    // calling AE title, of DIMSE
    struct str called;                 // called AE title
    struct str address;                // peer's address without port
    struct str user;                   // its name, where it has one that somebody checked; empty when none
    const struct principal *principal; // core/access.h; NULL: nobody (of DOOR_COMMAND and DOOR_JOB: the system)
    struct str purpose;                // why, where it was said (a broken glass); empty else
    struct str trace;                  // W3C trace id of the request, 32 hexadecimal digits; empty when there is none
};

struct archive_options {
    const char *dir;
    const char *database_url;                // PostgreSQL; NULL: index.db in dir
    const char *database_schema;             // NULL: "gantry"
    unsigned database_connections;           // readers of the pool; 0: default
    unsigned database_statement_ms;          // deadline of a statement; 0: default
    const struct vol_remote *remote;         // bucket of the volumes; NULL: in dir. With one the database is PostgreSQL, and the other way round
    const char *node;                        // this process's name among the nodes; NULL: none, a command
    const struct vol_encryption *encryption; // of the volumes; NULL: none
    uint64_t volume_bytes;                   // 0: default
    bool read_only;                          // query, fsck without repair
    bool must_exist;                         // do not create
    bool beside;                             // with read_only: looked at beside the process that has it; nothing is locked, replayed or put right
    bool arriving;                           // one that is being moved in (core/migrate.h), as it is; others are refused it
    const struct sys_file_ops *files;        // test seam under the volumes; NULL: the system's
};

// Opens or creates; replays what the index has not seen. ERR_BUSY when another process has it, naming its pid.
bool archive_open(const struct archive_options *o, struct archive **out, struct err *e);
void archive_close(struct archive *a);

// Name of the setting that an archive has while it is being moved in.
#define ARCHIVE_ARRIVING "arriving"
bool archive_is_arriving(struct archive *a, bool *arriving, struct err *e);

struct db_pool *archive_db(struct archive *a);
struct vol_set *archive_volumes(struct archive *a);

#endif

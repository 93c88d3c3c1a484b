// Numbered migrations: what they are, and applying those that a database has not seen.
#ifndef GANTRY_DB_MIGRATE_H
#define GANTRY_DB_MIGRATE_H

#include "db/db.h"

struct db_migration {
    int number; // from 1, without gaps
    const char *name;
    const char *sql;
};

// Generated at build from sql/NNNN_name.sql.
extern const struct db_migration DB_MIGRATIONS[];
extern const unsigned DB_MIGRATION_COUNT;

// Each in its own transaction. A schema more than one newer than the program is ERR_UNSUPPORTED.
bool db_migrate(struct db *writer, struct err *e);

#endif

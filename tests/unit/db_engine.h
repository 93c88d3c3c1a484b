// The engines that a test runs on: SQLite in a directory, and PostgreSQL when GANTRY_TEST_POSTGRES names a server.
#ifndef GANTRY_TESTS_DB_ENGINE_H
#define GANTRY_TESTS_DB_ENGINE_H

#include "db/db.h"

// False: there is no server to test with.
bool engine_there(enum db_engine engine);
// Options of an empty database of its own: a file in a new directory, or a new schema. Borrowed until engine_remove.
struct db_options engine_make(enum db_engine engine);
void engine_remove(void);
const char *engine_dir(void); // SQLite's
const char *engine_schema(void);

#endif

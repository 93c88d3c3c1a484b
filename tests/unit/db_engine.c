// A database of its own for a test: made empty, removed behind it.
#include "db_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[64], path[96], schema[64];
static enum db_engine made;
static unsigned count;

bool engine_there(enum db_engine engine) {
    return engine == DB_SQLITE || getenv("GANTRY_TEST_POSTGRES");
}

struct db_options engine_make(enum db_engine engine) {
    made = engine;
    if (engine == DB_POSTGRES) {
        snprintf(schema, sizeof schema, "test_%d_%u", (int)getpid(), count++);
        return (struct db_options){.url = getenv("GANTRY_TEST_POSTGRES"), .schema = schema, .connections = 4};
    }
    snprintf(dir, sizeof dir, "/tmp/gantry-db-XXXXXX");
    if (!mkdtemp(dir)) abort();
    snprintf(path, sizeof path, "%s/index.db", dir);
    return (struct db_options){.path = path, .cache_kib = 512, .connections = 4};
}

// By psql: a pool would refuse the schema that a test has broken.
static void drop_schema(void) {
    char command[200];
    snprintf(command, sizeof command, "PGOPTIONS='-c client_min_messages=error' psql -qX \"$GANTRY_TEST_POSTGRES\" -c 'DROP SCHEMA IF EXISTS %s CASCADE'",
             schema);
    if (system(command) != 0) fprintf(stderr, "schema %s remains\n", schema);
}

static void remove_dir(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command) != 0) fprintf(stderr, "%s remains\n", dir);
}

void engine_remove(void) {
    if (made == DB_POSTGRES)
        drop_schema();
    else
        remove_dir();
}

const char *engine_dir(void) {
    return dir;
}

const char *engine_schema(void) {
    return schema;
}

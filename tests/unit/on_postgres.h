// Unit tests that run on PostgreSQL when GANTRY_TEST_POSTGRES names a server: each with a schema of its own.
#ifndef GANTRY_TESTS_ON_POSTGRES_H
#define GANTRY_TESTS_ON_POSTGRES_H

enum { POSTGRES_SCHEMA_BYTES = 64 };

// NULL: on SQLite.
const char *postgres_url(void);
// A name that nobody else has.
void postgres_new_schema(char out[POSTGRES_SCHEMA_BYTES]);
void postgres_drop_schema(const char *schema);

// For what is of the file index.db alone.
#define SQLITE_ONLY()               \
    do {                            \
        if (postgres_url()) skip(); \
    } while (0)

#endif

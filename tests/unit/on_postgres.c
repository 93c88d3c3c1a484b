// Schemas of unit tests on PostgreSQL.
#include "on_postgres.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "db/db.h"

const char *postgres_url(void) {
    const char *url = getenv("GANTRY_TEST_POSTGRES");
    return url && *url ? url : NULL;
}

void postgres_new_schema(char out[POSTGRES_SCHEMA_BYTES]) {
    static unsigned made;
    snprintf(out, POSTGRES_SCHEMA_BYTES, "test_%ld_%u", (long)getpid(), made++);
}

void postgres_drop_schema(const char *schema) {
    struct db_pool *p = NULL;
    struct err e = {0};
    char sql[128];
    if (!db_pool_open(&(struct db_options){.url = postgres_url(), .schema = schema, .connections = 1}, &p, &e)) fail_msg("%s", e.message);
    struct db *w = db_writer(p, &e);
    snprintf(sql, sizeof sql, "DROP SCHEMA \"%s\" CASCADE", schema);
    if (!w || !db_exec(w, sql, &e)) fail_msg("%s", e.message);
    db_return(p, w);
    db_pool_close(p);
}

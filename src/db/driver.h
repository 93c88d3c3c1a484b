// What a driver does for the pool and the statement cache (db.c): one struct of functions for each engine.
#ifndef GANTRY_DB_DRIVER_H
#define GANTRY_DB_DRIVER_H

#include <pthread.h>

#include "db/db.h"

enum { DB_STATEMENTS_MAX = 128 }; // prepared per connection

// What a connection is lent for.
enum db_role { DB_FOR_READING, DB_FOR_WRITING, DB_FOR_SIDE, DB_ROLE_COUNT };

struct db_stmt {
    struct db *db;
    void *native; // the driver's
    char *sql;    // as it was asked for
    uint64_t used;
    bool busy;
    struct db_kept *kept; // until the statement is done
};

struct db {
    const struct db_driver *driver;
    struct db_pool *pool;
    void *native; // NULL: not connected
    enum db_role role;
    bool lent;
    int64_t returned_ms;
    uint64_t tick, transaction;
    unsigned statement_count;
    struct db_stmt statements[DB_STATEMENTS_MAX];
};

struct db_driver {
    enum db_engine engine;
    unsigned readers;                        // when nobody says how many
    unsigned connections_max[DB_ROLE_COUNT]; // 0: those for writing serve
    // Of the pool, before the first connection and after the migrations; close also after a failed open.
    bool (*open)(struct db_pool *p, const struct db_options *o, struct err *e);
    bool (*start)(struct db_pool *p, struct err *e);
    void (*hurry)(struct db_pool *p); // may be NULL
    void (*stop)(struct db_pool *p);  // threads, before the connections are closed
    void (*close)(struct db_pool *p);
    // Of a connection.
    bool (*connect)(struct db *d, struct err *e);
    void (*disconnect)(struct db *d); // its statements are finalized already
    bool (*usable)(struct db *d);     // false: to be made anew before it is lent
    bool (*in_transaction)(const struct db *d);
    bool (*begin)(struct db *d, struct err *e);
    bool (*commit)(struct db *d, struct err *e);
    void (*rollback)(struct db *d); // only called in a transaction
    bool (*exec)(struct db *d, const char *sql, struct err *e);
    bool (*lost)(const struct db *d);
    bool (*notify)(struct db *d, const char *channel, struct err *e);
    int64_t (*last_id)(struct db *d);
    int64_t (*changes)(struct db *d);
    bool (*listen)(struct db_pool *p, const char *channel, void (*on_news)(void *ctx), void *ctx, void **out, struct err *e);
    void (*unlisten)(void *l);
    // Only one process at a time is between these two, which are in the transaction of a migration.
    bool (*migrate_begin)(struct db *d, struct err *e);
    // Of a statement. sql: in the engine's words.
    bool (*prepare)(struct db_stmt *s, const char *sql, struct err *e);
    void (*finalize)(struct db_stmt *s);
    void (*bind_int)(struct db_stmt *s, int i, int64_t v);
    void (*bind_double)(struct db_stmt *s, int i, double v);
    void (*bind_text)(struct db_stmt *s, int i, struct str v);
    void (*bind_blob)(struct db_stmt *s, int i, struct str v);
    enum db_step (*next)(struct db_stmt *s, struct err *e);
    int64_t (*get_int)(struct db_stmt *s, int column);
    double (*get_double)(struct db_stmt *s, int column);
    struct str (*get_text)(struct db_stmt *s, int column);
    struct str (*get_blob)(struct db_stmt *s, int column);
    bool (*is_null)(struct db_stmt *s, int column);
    void (*done)(struct db_stmt *s);
};

extern const struct db_driver DB_DRIVER_SQLITE;
extern const struct db_driver DB_DRIVER_POSTGRES;

// Memory that lasts until the statement is done; NULL when there is none.
char *db_keep(struct db_stmt *s, size_t n);

// The texts of all statements that the pool's connections have prepared; nobody else uses the pool meanwhile. For tests of their plans.
void db_pool_statements(struct db_pool *p, void (*visit)(void *ctx, const char *sql), void *ctx);

// What the driver keeps of the pool.
void *db_pool_native(const struct db_pool *p);
void db_pool_set_native(struct db_pool *p, void *native);

#endif

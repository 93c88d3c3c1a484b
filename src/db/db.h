// SQL access: one small interface for SQLite (embedded default) and, later, PostgreSQL; and numbered migrations.
//
// SQL is written once, with ?1 parameters. A connection belongs to one thread at a time; db_pool lends them.
#ifndef GANTRY_DB_DB_H
#define GANTRY_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct db;      // a connection
struct db_stmt; // a prepared statement, cached by the connection
struct db_pool;

struct db_options {
    const char *path;     // SQLite file
    unsigned cache_kib;   // per connection
    unsigned connections; // readers of the pool
};

// Opens the database, applies the migrations that it has not seen (each in its own transaction). A schema newer than the program is refused with what to do.
bool db_pool_open(const struct db_options *o, struct db_pool **out, struct err *e);
void db_pool_close(struct db_pool *p);
// A connection for reading, or the one for writing (waits for it). Never NULL unless *e is set.
struct db *db_reader(struct db_pool *p, struct err *e);
struct db *db_writer(struct db_pool *p, struct err *e);
void db_return(struct db_pool *p, struct db *d);

bool db_begin(struct db *d, struct err *e); // of a reader: a stable snapshot
bool db_commit(struct db *d, struct err *e);
void db_rollback(struct db *d);
bool db_exec(struct db *d, const char *sql, struct err *e);

// The statement for this text, prepared once per connection, reset and unbound. Borrowed until db_done.
struct db_stmt *db_prepare(struct db *d, const char *sql, struct err *e);
void db_bind_int(struct db_stmt *s, int i, int64_t v);
void db_bind_double(struct db_stmt *s, int i, double v);
void db_bind_text(struct db_stmt *s, int i, struct str v); // {NULL, 0} is NULL; borrowed until the statement is done
void db_bind_blob(struct db_stmt *s, int i, struct str v);
enum db_step { DB_ROW, DB_END, DB_FAIL };
enum db_step db_next(struct db_stmt *s, struct err *e);
int64_t db_int(struct db_stmt *s, int column); // 0 for NULL
double db_double(struct db_stmt *s, int column);
struct str db_text(struct db_stmt *s, int column); // borrowed until the next step
struct str db_blob(struct db_stmt *s, int column);
bool db_is_null(struct db_stmt *s, int column);
void db_done(struct db_stmt *s);
int64_t db_last_id(struct db *d);
int64_t db_changes(struct db *d);

#endif

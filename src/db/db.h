// SQL access: one small interface for SQLite (embedded default) and PostgreSQL; and numbered migrations.
//
// SQL is written once, for both engines, with ?1 parameters. What they do not share is a word in braces, which the driver replaces when it
// prepares the statement (db/dialect.c has the table):
//   {each ?1}            the values of a JSON array of texts, as the one column `value` of a table: SELECT value FROM {each ?1}
//   {in ?1}              behind an expression: it is one of the numbers of a JSON array, WHERE id {in ?1}
//   {join}               a join whose sides are visited as they are written
//   {greatest} {least}   the larger, the smaller of their arguments, none of them NULL
//   {lock}               at the end of a SELECT: the rows are locked, rows that another has locked are passed over
//   {last}               the own id of the row that this connection inserted last
//   {now}                milliseconds since 1970 by the engine's clock
// Names that an engine reserves are quoted ("offset"); an order says NULLS FIRST or LAST wherever NULLs may be; rows with an own id
// are inserted with RETURNING id. A connection belongs to one thread at a time; db_pool lends them.
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
    const char *path;          // SQLite file
    const char *url;           // PostgreSQL, as libpq takes it (URL or key=value); NULL: SQLite
    const char *schema;        // PostgreSQL: schema of the tables, made when it is not there; NULL: "gantry"
    const char *password_file; // PostgreSQL: its first line is the password when url has none; NULL: libpq's ways (PGPASSFILE, ~/.pgpass)
    const char *node;          // PostgreSQL: seen in pg_stat_activity; NULL: none
    unsigned cache_kib;        // SQLite: per connection
    unsigned connections;      // readers of the pool; 0: default
    unsigned statement_ms;     // PostgreSQL: deadline of a statement; 0: default
};

enum db_engine { DB_SQLITE, DB_POSTGRES };

// Opens the database, applies the migrations that it has not seen (each in its own transaction, whichever process comes first). A schema one
// version newer than the program is worked with (rolling upgrade); a newer one is refused with what to do. PostgreSQL that cannot be reached: ERR_NET.
bool db_pool_open(const struct db_options *o, struct db_pool **out, struct err *e);
void db_pool_close(struct db_pool *p);
// The process ends: from now on nobody waits longer than two seconds for the engine to answer, and who waits is woken. Any thread.
void db_pool_hurry(struct db_pool *p);
// A connection for reading, or the one for writing (waits for it). Never NULL unless *e is set.
struct db *db_reader(struct db_pool *p, struct err *e);
struct db *db_writer(struct db_pool *p, struct err *e);
// One for short writes of their own that need no place in the archive's order (leases, heartbeats, what can be made again). SQLite: the writer.
struct db *db_side(struct db_pool *p, struct err *e);
enum db_engine db_pool_engine(const struct db_pool *p);
enum db_engine db_engine_of(const struct db *d);
void db_return(struct db_pool *p, struct db *d);
// Asked each time before a connection is lent for writing; *e when it refuses. Set before the pool is used by others.
void db_pool_set_gate(struct db_pool *p, bool (*may_write)(void *ctx, struct err *e), void *ctx);

struct db_figures {
    unsigned connections, lent;
    uint64_t lost, refused; // connections that were lost in use, and that could not be made
};
void db_figures_get(struct db_pool *p, struct db_figures *out);

// Of a reader: a stable snapshot. Of the writer: the one writing transaction of the whole archive, whichever process asks; what others committed
// before is seen (SQLite: BEGIN IMMEDIATE; PostgreSQL: an advisory lock, READ COMMITTED, which is asked for with the first statement that is waited for: that
// one waits for those who write, and fails when it took too long). Of a side connection: an ordinary transaction.
bool db_begin(struct db *d, struct err *e);
// Of the last db_begin: no other transaction of this process has the same.
uint64_t db_transaction(const struct db *d);
// ERR_NET when the connection was lost while committing: it may or may not have happened.
bool db_commit(struct db *d, struct err *e);
void db_rollback(struct db *d);
bool db_exec(struct db *d, const char *sql, struct err *e);
// True when the connection was lost since it was lent (the transaction with it); it is made anew for the next one who asks.
bool db_lost(const struct db *d);

// The statement for this text, prepared once per connection, reset and unbound. Borrowed until db_done.
struct db_stmt *db_prepare(struct db *d, const char *sql, struct err *e);
void db_bind_int(struct db_stmt *s, int i, int64_t v);
void db_bind_double(struct db_stmt *s, int i, double v);
// {NULL, 0} is NULL; borrowed until the statement is done. What is no UTF-8, and NUL, becomes U+FFFD: PostgreSQL keeps neither.
void db_bind_text(struct db_stmt *s, int i, struct str v);
void db_bind_blob(struct db_stmt *s, int i, struct str v);
enum db_step { DB_ROW, DB_END, DB_FAIL };
enum db_step db_next(struct db_stmt *s, struct err *e);
int64_t db_int(struct db_stmt *s, int column); // 0 for NULL
double db_double(struct db_stmt *s, int column);
struct str db_text(struct db_stmt *s, int column); // borrowed until the next step
struct str db_blob(struct db_stmt *s, int column);
bool db_is_null(struct db_stmt *s, int column);
void db_done(struct db_stmt *s);
int64_t db_last_id(struct db *d); // of the INSERT before; SQLite only: goes when all say RETURNING
int64_t db_changes(struct db *d);

// Inside a writer's or side connection's transaction a statement without rows is sent and not waited for on PostgreSQL: what it fails with is told by
// a later call that waits (db_exec, a query, db_changes, db_commit), and the transaction is lost with it.

// Told to all processes that listen when the open transaction commits. SQLite: nothing.
bool db_notify(struct db *d, const char *channel, struct err *e);
// Calls back on a thread of its own for each notification, and after each time when some may have been missed (start, reconnection, every few seconds).
// SQLite: never calls. The callback must not block for long.
struct db_listener;
bool db_listen(struct db_pool *p, const char *channel, void (*on_news)(void *ctx), void *ctx, struct db_listener **out, struct err *e);
void db_unlisten(struct db_listener *l); // NULL is fine

#endif

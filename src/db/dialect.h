// What the two engines say differently: words in braces and parameters in statements, and types in migrations.
#ifndef GANTRY_DB_DIALECT_H
#define GANTRY_DB_DIALECT_H

#include "base/buf.h"
#include "db/db.h"

enum { DIALECT_SQL_BYTES_MAX = 1024 * 1024 };

// Whether the text reads the same for the engine, as most do.
bool dialect_is_plain(enum db_engine engine, const char *sql);
// Appends sql as the engine takes it, with a NUL behind it. The words of db/db.h, outside of quotes and comments; an unknown one is ERR_INTERNAL.
bool dialect_statement(enum db_engine engine, const char *sql, struct buf *out, struct err *e);
// The same for a migration: its types too, and the lines that are written for one engine alone ("--postgres ALTER ...;", "--sqlite ...").
bool dialect_migration(enum db_engine engine, const char *sql, struct buf *out, struct err *e);

#endif

// Values as PostgreSQL's binary format has them: what is bound becomes the type that the server expects, what comes is read as what is asked for.
#ifndef GANTRY_DB_PG_VALUES_H
#define GANTRY_DB_PG_VALUES_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum pg_bound_kind { PG_BOUND_NULL, PG_BOUND_INT, PG_BOUND_DOUBLE, PG_BOUND_TEXT, PG_BOUND_BLOB };

struct pg_bound {
    enum pg_bound_kind kind;
    union {
        int64_t i;
        double d;
        struct str s; // borrowed
    };
};

enum { PG_SCRATCH_BYTES = 32 };

// A parameter as it is sent. p NULL: SQL's NULL. binary false: text that the server reads, NUL behind it.
struct pg_sent {
    const char *p;
    int n;
    bool binary;
};

// type: OID of the type of parameter number i (for messages). scratch: where it may be put. A value that the type cannot hold is ERR_INTERNAL:
// the statement's text should cast it.
bool pg_encode(uint32_t type, int i, const struct pg_bound *v, char scratch[PG_SCRATCH_BYTES], struct pg_sent *out, struct err *e);

// Whether a JSON text has escapes that PostgreSQL refuses (\u0000); they are overwritten in place by U+FFFD's.
bool pg_type_is_json(uint32_t type);
bool pg_clean_json(struct str v, char *writable);

// An array of integers as it is sent, from the same in JSON: out has room for pg_int_array_bytes of it.
bool pg_type_is_int_array(uint32_t type);
size_t pg_int_array_bytes(struct str json);
struct str pg_int_array(struct str json, char *out);

// Of a value that is not NULL. Text that is a number is read as one, as far as it goes.
int64_t pg_read_int(uint32_t type, struct str v);
double pg_read_double(uint32_t type, struct str v);
// The value itself, or its number in scratch.
struct str pg_read_text(uint32_t type, struct str v, char scratch[PG_SCRATCH_BYTES]);

#endif

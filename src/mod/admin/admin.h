// Administration: one table of operations behind `gantry user|role|token|peer|site|audit ...` and the JSON API under /api/admin.
//
// GET (of those that only read) or POST /api/admin/<noun>/<verb>, parameters in the query or in a JSON object; the command has them as options. Both check the
// fields by this table, ask core/access for the permission, and run the same function. What changes something appends its event.
#ifndef GANTRY_MOD_ADMIN_ADMIN_H
#define GANTRY_MOD_ADMIN_ADMIN_H

#include "base/arena.h"
#include "core/access.h"
#include "core/archive.h"
#include "text/json.h"

struct accounts;
struct peers;

enum admin_type {
    ADMIN_TEXT,
    ADMIN_NUMBER,
    ADMIN_FLAG,
    ADMIN_LIST /* of texts */,
    ADMIN_SECRET /* never on a command line: from a file, standard input or the terminal */
};

struct admin_field {
    const char *name; // "scope"; an option "--scope" of the command
    enum admin_type type;
    bool required, positional; // positional: stands without its option's name
    const char *help, *help_zh;
};

struct admin_call {
    struct archive *archive;
    struct accounts *accounts;
    struct peers *peers;
    const struct actor *who;
    struct arena *arena;
    const struct json *in;   // an object whose members were checked by the table
    struct json_writer *out; // one value is written
};

struct admin_operation {
    const char *noun, *verb; // "user", "add"
    enum permission permission;
    bool reads; // GET too: nothing changes
    const char *help, *help_zh;
    const struct admin_field *fields; // ends with {.name = NULL}
    bool (*run)(struct admin_call *c, struct err *e);
    // It keeps to what the asker's own grants reach, by itself. What does not is of the whole server: for who has the permission everywhere.
    bool scoped;
};

// One table per noun, each ending with {.noun = NULL}; the list ends with NULL.
extern const struct admin_operation *const ADMIN_TABLES[];

// Checks, decides, runs: the one way in. in may be NULL (no parameters).
bool admin_run(const struct admin_operation *op, struct admin_call *c, struct err *e);
const struct admin_operation *admin_find(struct str noun, struct str verb);

#endif

// The tables of operations, one per noun, each in a file of its own; and what their functions share.
#ifndef GANTRY_MOD_ADMIN_TABLES_H
#define GANTRY_MOD_ADMIN_TABLES_H

#include "mod/admin/admin.h"

extern const struct admin_operation ADMIN_USER[], ADMIN_ROLE[], ADMIN_TOKEN[], ADMIN_SITE[], ADMIN_SESSION[];
extern const struct admin_operation ADMIN_PEER[], ADMIN_GLASS[], ADMIN_LABEL[], ADMIN_ASSIGN[], ADMIN_AUDIT[];

// Members of the call, by the types that the table says; absent: {NULL, 0}, false, otherwise.
struct str admin_text(const struct admin_call *c, const char *name);
bool admin_flag(const struct admin_call *c, const char *name);
int64_t admin_number(const struct admin_call *c, const char *name, int64_t otherwise);
bool admin_list(const struct admin_call *c, const char *name, const struct str **out, unsigned *count, struct err *e);
// What stands in "scope", or the scope that the asker has the permission within: everywhere, or the first of its own.
bool admin_scope(const struct admin_call *c, enum permission what, struct str *out, struct err *e);
// {"done":true}, for those that have nothing to tell. Gives ok back.
bool admin_done(struct admin_call *c, bool ok);

#endif

// The accounts of a server: opened before its doors, closed after them.
#ifndef GANTRY_APP_SERVE_ACCOUNTS_H
#define GANTRY_APP_SERVE_ACCOUNTS_H

#include "app/modules.h"

// Opens them; of an archive without users makes the administrator, and takes over the token of earlier versions. What must be shown once is in *s then.
bool serve_accounts_open(struct server *s, struct err *e);
void serve_accounts_close(struct server *s);
// The lines for the terminal.
void serve_accounts_print(const struct server *s);

#endif

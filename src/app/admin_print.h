// What an operation of administration answered, for people.
#ifndef GANTRY_APP_ADMIN_PRINT_H
#define GANTRY_APP_ADMIN_PRINT_H

#include <stdbool.h>

#include "text/json.h"

// A list of objects as a table, an object as lines "name: value"; as JSON when asked for.
void admin_print(const struct json *answer, bool as_json);

#endif

// The configuration file: YAML, every key known, errors with their line.
#ifndef GANTRY_APP_CONFIG_H
#define GANTRY_APP_CONFIG_H

#include "app/settings.h"

// Puts what the file says over *s. Text is copied into a.
bool config_read(const char *path, struct arena *a, struct settings *s, struct err *e);

#endif

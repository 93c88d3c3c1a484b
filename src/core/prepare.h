// Preparing in the background: the metadata of a series is made once it has been quiet for a while, so that the first who asks finds it there.
#ifndef GANTRY_CORE_PREPARE_H
#define GANTRY_CORE_PREPARE_H

#include "core/archive.h"

struct preparer;

// Of an archive of several nodes each series is prepared by one of them.

// A thread that follows the event log from now on. quiet_ms: how long nothing must have come to a series; 0: the default.
bool prepare_start(struct archive *ar, int quiet_ms, struct preparer **out, struct err *e);
void prepare_stop(struct preparer *p); // NULL is taken

#endif

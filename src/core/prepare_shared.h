// Preparing on an archive of several nodes: one of them follows the event log, under a lease, and puts a job per series; all of them work.
#ifndef GANTRY_CORE_PREPARE_SHARED_H
#define GANTRY_CORE_PREPARE_SHARED_H

#include "core/archive.h"

struct follower;
bool follower_start(struct archive *ar, int quiet_ms, struct follower **out, struct err *e);
void follower_stop(struct follower *f); // NULL is taken

#endif

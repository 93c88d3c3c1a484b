// Child processes that work for this one in shared memory: starting, bounding, ending them, and the box in which they put themselves.
#ifndef GANTRY_SYS_CHILD_H
#define GANTRY_SYS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

// Runs program with one argument. fds become its descriptors 3, 4, ...; standard input and output are /dev/null, standard error is ours, nothing else is open;
// of our environment it gets what sanitizers and the loader need.
// Signals are as a new process expects them, but that SIGTERM, SIGINT and SIGHUP end it no sooner than its parent does.
bool child_start(const char *program, const char *argument, const int *fds, unsigned n, pid_t *pid, struct err *e);
// Ends it at once.
void child_kill(pid_t pid);
// Waits for its end: no zombie stays.
void child_reap(pid_t pid);
// Address space of a running child from now on; one that has more keeps it but gets nothing new. Only a bound, no failure is told.
void child_bound_memory(pid_t pid, uint64_t bytes);

// A pair of connected descriptors for short messages, and memory that both sides map; both above the standard ones and closed on exec.
bool child_channel(int ends[2], struct err *e);
// bytes long for ever: no side can shrink it below the other's feet. Takes room only where it is written.
bool child_memory(size_t bytes, int *fd, struct err *e);
void *child_map(int fd, size_t bytes, struct err *e);
void child_unmap(void *p, size_t bytes);
// Gives the room of [p, p + n) back; it reads as zeros again.
void child_forget(void *p, size_t n);

// ---- in the child ----

// Ends with its parent, gains no privileges, opens no files, leaves no core. Before box_close.
void box_prepare(void);
// From here on nothing but computing, memory, threads of this process, and reading and writing of descriptors 2 and 3: anything else ends the process, opening a
// file fails. false: the kernel refused. Sanitizer builds keep most calls, which their run time needs.
bool box_close(void);

#endif

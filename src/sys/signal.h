// Signals, taken by one thread that waits for them: no handler code runs anywhere.
#ifndef GANTRY_SYS_SIGNAL_H
#define GANTRY_SYS_SIGNAL_H

// Before the first thread starts: SIGTERM, SIGINT and SIGHUP wait for signal_wait, a closed pipe is an error of write(2).
void signal_block(void);
// Blocks until SIGTERM, SIGINT or SIGHUP comes, and says which.
int signal_wait(void);
// From here on SIGTERM and SIGINT end the process at once: for who will not wait for a slow end. SIGHUP, which may ask for certificates to be read again, does
// nothing any more.
void signal_unblock(void);

#endif

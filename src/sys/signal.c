// Signals.
#include "sys/signal.h"

#include <signal.h>
#include <stddef.h>

static void ending_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

static void awaited_signals(sigset_t *set) {
    ending_signals(set);
    sigaddset(set, SIGHUP);
}

void signal_block(void) {
    sigset_t set;
    awaited_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int signal_wait(void) {
    sigset_t set;
    int number = 0;
    awaited_signals(&set);
    while (sigwait(&set, &number) != 0) continue;
    return number;
}

void signal_unblock(void) {
    sigset_t set;
    ending_signals(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

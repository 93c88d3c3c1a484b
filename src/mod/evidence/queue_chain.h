// Inside of the queue theory: phases fitted to moments, and the chain of one class beside a process of free servers.
#ifndef GANTRY_MOD_EVIDENCE_QUEUE_CHAIN_H
#define GANTRY_MOD_EVIDENCE_QUEUE_CHAIN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

// Erlang-Coxian: with probability `enter` into `erlang` stages of one rate, then a stage of rate first, then with probability `on` one of rate second; else at once at the end.
struct queue_phases {
    unsigned erlang;
    double enter, erlang_rate, first, second, on;
};

// Three raw moments (Osogami and Harchol-Balter 2006, the simple solution); false when no such distribution has them in at most QUEUE_STAGES_MAX stages.
enum { QUEUE_STAGES_MAX = 64 };
bool queue_phases_fit(const double moments[3], struct queue_phases *out);

// Moments of the time that one server with this arrival and service rate takes to be idle again after one arrival.
void queue_busy_moments(double arrivals, double service, double moments[3]);

// A process of n states with rates between them (diagonal unused) and, in each state, servers that a lower class may use.
struct queue_process {
    unsigned n;
    double *rate; // n * n
    unsigned *free;
};

bool queue_process_init(struct arena *a, struct queue_process *p, unsigned n, struct err *e);
// Lays the phases at states from .. ; they are entered from state `by` at the rate and leave to `to`. Returns the first state after them.
unsigned queue_process_put(struct queue_process *p, unsigned from, const struct queue_phases *phases, unsigned by, double rate, unsigned to);

// Mean number in the system of a class that the process's free servers serve. false: singular, that is, no steady state.
bool queue_process_mean(struct arena *scratch, const struct queue_process *p, unsigned servers, double arrivals, double service, double *mean, struct err *e);

// For levels of a chain that repeat: G of U (up), L (within, with the diagonal) and D (down), n x n each.
bool queue_first_passage(struct arena *scratch, const double *up, const double *within, const double *down, unsigned n, double *g, struct err *e);

#endif

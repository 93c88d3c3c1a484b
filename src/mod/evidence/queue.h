// Waiting for a radiologist, and what a computer-aided triage device (CADt) changes of it: theory where there is one, and a simulator of events for the rest.
//
// Patients come as a Poisson stream and are read by `radiologists` in the order of their class, first come first served within it; a higher class interrupts a lower
// one, whose reading goes on later where it stopped (preemptive resume). Without the device there are interrupting patients and all others; with it the others are split by the
// device's answer, positive before negative. The wait is the time in the system less the patient's own reading. Times are in minutes.
//
// Sources: Thompson Y L E et al. Evaluation of wait time saving effectiveness of triage algorithms, arXiv 2303.07050 (the model and its classes);
// Kleinrock L. Queueing Systems II, 1976, 3.6 (one reader: preemptive resume, M/G/1); Harchol-Balter M, Osogami T, Scheller-Wolf A, Wierman A. Queueing Systems 2005;51:331-360 (several
// readers: recursive dimensionality reduction); Osogami T, Harchol-Balter M. Performance Evaluation 2006;63:524-552 (three moments matched by Erlang-Coxian phases);
// Latouche G, Ramaswami V. J Appl Prob 1993;30:650-674 (logarithmic reduction).
#ifndef GANTRY_MOD_EVIDENCE_QUEUE_H
#define GANTRY_MOD_EVIDENCE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "mod/evidence/report.h"
#include "text/csv.h"

enum {
    QUEUE_READERS_MAX = 64,      // radiologists
    QUEUE_READERS_THREE_MAX = 8, // for the theory of three classes: its chain grows by their square
    QUEUE_LENGTH_MAX = 1 << 22,  // patients that wait at once in a simulation
};
#define QUEUE_PATIENTS_MAX 10000000000LL

// ---- building blocks; rates per minute (or any other unit), answers in that unit; NaN where there is no steady state ----

// Mean wait before service of M/M/c (Erlang C).
double queue_mmc_wait(unsigned servers, double arrivals, double service);
// Mean waits (time in system less own service) of classes 0 (highest) .. count-1 of one server with preemptive resume: service by mean and second moment.
void queue_one_server_waits(unsigned count, const double *arrivals, const double *mean, const double *second, double *wait);
// Mean waits of classes of M/M/c that all have one service rate, with preemption: class 0 .. k together are an M/M/c.
void queue_same_rate_waits(unsigned servers, unsigned count, const double *arrivals, double service, double *wait);

struct queue_class {
    double arrivals, service; // rates
};

// How the lengths of busy periods are fitted. As published is what QuCAD does: it keeps at most one Erlang stage and that of two of its six periods only, so that its values differ where a
// fit wants more (by up to 0.04 min in its own table); it is here to reproduce that table.
enum queue_fit { QUEUE_FIT_FULL, QUEUE_FIT_AS_PUBLISHED };

// Mean wait of the lowest of two or three classes (high first) with preemption at `servers`, each class with a rate of its own.
// Two classes: exact but for the busy period of the first, of which three moments are kept; relative error is below 1e-4 (tests compare with the whole chain).
// ERR_UNSUPPORTED beyond QUEUE_READERS_MAX (three classes: QUEUE_READERS_THREE_MAX); ERR_BAD_INPUT when there is no steady state.
bool queue_lowest_wait(struct arena *scratch, unsigned servers, const struct queue_class *classes, unsigned count, enum queue_fit fit, double *wait,
                       struct err *e);

// ---- triage ----

struct queue_triage {
    unsigned radiologists;
    double interrupting;  // fraction of all patients that interrupt, [0, 1)
    double traffic;       // offered work / radiologists, (0, 1)
    double prevalence;    // of disease among the others
    double sensitivity;   // of the device
    double specificity;   // of the device
    double read_diseased; // mean reading times, min, > 0
    double read_nondiseased;
    double read_interrupting;
};

struct queue_waits {
    double interrupting;
    double without;                                   // all that do not interrupt, without the device
    double positive, negative, diseased, nondiseased; // with it
};
// With less without: negative is time saved.
static inline double queue_change(const struct queue_waits *w, double with) {
    return with - w->without;
}

// Names what is out of its range.
bool queue_triage_check(const struct queue_triage *t, struct err *e);
// The published theory: each class has exponential reading times of its mean. A group that nobody is in is NaN. ERR_UNSUPPORTED: more readers than the theory takes.
bool queue_triage_theory(struct arena *scratch, const struct queue_triage *t, enum queue_fit fit, struct queue_waits *out, struct err *e);
// One radiologist, reading times exponential by truth (a class is then a mixture): exact, by M/G/1.
void queue_triage_one_reader(const struct queue_triage *t, struct queue_waits *out);

// ---- simulation ----

struct queue_estimate {
    double mean;
    double se;     // Monte Carlo error, by batch means; NaN when there are too few
    double lo, hi; // 2.5 and 97.5 % of single waits
    uint64_t n;
};

struct queue_simulated {
    struct queue_estimate interrupting, without, positive, negative, diseased, nondiseased;
    struct queue_estimate change_positive, change_negative, change_diseased, change_nondiseased; // by pairs: the same patients in both queues
    uint64_t events; // arrivals, beginnings after an interruption, and ends, of both queues
    uint64_t interruptions;
};

enum queue_reading {
    QUEUE_READING_BY_TRUTH,
    QUEUE_READING_BY_CLASS
}; // exponential with the mean of the patient's truth, or of the device's class (as the theory has it)

struct queue_plan {
    uint64_t patients; // counted; a tenth more go before them and are not
    uint64_t seed;
    enum queue_reading reading;
    enum queue_fit fit;     // of the theory beside it
    bool wait_for_end;      // a higher class does not interrupt: it is only taken first
    const double *arrivals; // minutes, ascending: in place of the Poisson stream; patients many. NULL: none
};

// The same patients go through both queues. With times of arrival given, all are counted, and traffic says nothing. ERR_BAD_INPUT; ERR_NOMEM; ERR_TOO_LARGE when a queue grows beyond QUEUE_LENGTH_MAX.
bool queue_triage_simulate(struct arena *scratch, const struct queue_triage *t, const struct queue_plan *plan, struct queue_simulated *out, struct err *e);

// The setting of a row of a table: columns n_radiologists, fraction_interrupting, traffic, prevalence, sens, spec (or fpf), read_min_dis, read_min_nondis, read_min_int, and other usual
// names of these. ERR_BAD_INPUT with the line and what is missing or out of its range.
bool queue_triage_row(const struct csv *table, size_t row, struct queue_triage *out, struct err *e);

// Theory beside simulation (patients 0: none), with the simulation's error and the difference in it.
bool queue_triage_report(struct ev_report *r, const struct queue_triage *t, const struct queue_plan *plan, struct err *e);

#endif

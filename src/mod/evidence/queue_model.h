// Inside of the triage queue: its groups as streams with the moments of their reading times.
#ifndef GANTRY_MOD_EVIDENCE_QUEUE_MODEL_H
#define GANTRY_MOD_EVIDENCE_QUEUE_MODEL_H

#include "mod/evidence/queue.h"

struct queue_group {
    double arrivals;     // per minute
    double mean, second; // moments of the reading time
};

struct queue_model {
    double arrivals; // of all, per minute
    struct queue_group interrupting, all, positive, negative;
};

void queue_model_of(const struct queue_triage *t, struct queue_model *m);

#endif

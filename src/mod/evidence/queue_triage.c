// A device's triage as classes of the queue: what its theory says of each group's wait.
#include <math.h>

#include "mod/evidence/queue.h"
#include "mod/evidence/queue_model.h"

static bool in_range(double x, double lo, double hi, const char *what, struct err *e) {
    return (x >= lo && x <= hi) || err_set(e, ERR_BAD_INPUT, "queue", "%s is %g: it must be from %g to %g", what, x, lo, hi);
}

bool queue_triage_check(const struct queue_triage *t, struct err *e) {
    if (t->radiologists < 1 || t->radiologists > QUEUE_READERS_MAX) {
        return err_set(e, ERR_BAD_INPUT, "queue", "%u radiologists: it must be from 1 to %d", t->radiologists, QUEUE_READERS_MAX);
    }
    if (!(t->traffic > 0 && t->traffic < 1))
        return err_set(e, ERR_BAD_INPUT, "queue", "traffic is %g: without a limit to the queue it must be above 0 and below 1", t->traffic);
    if (!(t->interrupting >= 0 && t->interrupting < 1))
        return err_set(e, ERR_BAD_INPUT, "queue", "the interrupting fraction is %g: it must be from 0 to below 1", t->interrupting);
    return in_range(t->prevalence, 0, 1, "prevalence", e) && in_range(t->sensitivity, 0, 1, "sensitivity", e) &&
           in_range(t->specificity, 0, 1, "specificity", e) && in_range(t->read_diseased, 1e-6, 1e6, "reading time of the diseased", e) &&
           in_range(t->read_nondiseased, 1e-6, 1e6, "reading time of the non-diseased", e) &&
           (t->interrupting == 0 || in_range(t->read_interrupting, 1e-6, 1e6, "reading time of the interrupting", e));
}

// A mixture of diseased and non-diseased: mean and second moment of exponential reading times.
static struct queue_group group_of(const struct queue_triage *t, double arrivals, double diseased, double nondiseased) {
    double share = diseased + nondiseased, d = share > 0 ? diseased / share : 0;
    struct queue_group g = {.arrivals = arrivals * share};
    g.mean = d * t->read_diseased + (1 - d) * t->read_nondiseased;
    g.second = 2 * (d * t->read_diseased * t->read_diseased + (1 - d) * t->read_nondiseased * t->read_nondiseased);
    return g;
}

void queue_model_of(const struct queue_triage *t, struct queue_model *m) {
    double pi = t->prevalence;
    struct queue_group one = group_of(t, 1, pi, 1 - pi);
    double work = t->interrupting * (t->interrupting > 0 ? t->read_interrupting : 0) + (1 - t->interrupting) * one.mean;
    m->arrivals = t->traffic * t->radiologists / work;
    double others = m->arrivals * (1 - t->interrupting);
    m->interrupting = (struct queue_group){m->arrivals * t->interrupting, t->read_interrupting, 2 * t->read_interrupting * t->read_interrupting};
    m->all = group_of(t, others, pi, 1 - pi);
    m->positive = group_of(t, others, pi * t->sensitivity, (1 - pi) * (1 - t->specificity));
    m->negative = group_of(t, others, pi * (1 - t->sensitivity), (1 - pi) * t->specificity);
}

// Of what the device says of a group's patients.
static double mixed(double positive_share, const struct queue_waits *w) {
    double p = positive_share > 0 ? positive_share * w->positive : 0;
    return positive_share < 1 ? p + (1 - positive_share) * w->negative : p;
}

static void groups_by_truth(const struct queue_triage *t, struct queue_waits *w) {
    w->diseased = t->prevalence > 0 ? mixed(t->sensitivity, w) : NAN;
    w->nondiseased = t->prevalence < 1 ? mixed(1 - t->specificity, w) : NAN;
}

// The lowest of those of the classes that have patients.
static bool lowest(struct arena *scratch, const struct queue_triage *t, const struct queue_group *const *groups, unsigned count, enum queue_fit fit,
                   double *wait, struct err *e) {
    struct queue_class classes[3];
    unsigned n = 0;
    *wait = NAN;
    if (!(groups[count - 1]->arrivals > 0)) return true;
    for (unsigned i = 0; i < count; i++) {
        if (groups[i]->arrivals > 0) classes[n++] = (struct queue_class){groups[i]->arrivals, 1 / groups[i]->mean};
    }
    return queue_lowest_wait(scratch, t->radiologists, classes, n, fit, wait, e);
}

bool queue_triage_theory(struct arena *scratch, const struct queue_triage *t, enum queue_fit fit, struct queue_waits *out, struct err *e) {
    struct queue_model m;
    if (!queue_triage_check(t, e)) return false;
    queue_model_of(t, &m);
    const struct queue_group *without[] = {&m.interrupting, &m.all}, *with[] = {&m.interrupting, &m.positive, &m.negative};
    if (!lowest(scratch, t, without, 1, fit, &out->interrupting, e) || !lowest(scratch, t, without, 2, fit, &out->without, e)) return false;
    if (!lowest(scratch, t, with, 2, fit, &out->positive, e) || !lowest(scratch, t, with, 3, fit, &out->negative, e)) return false;
    groups_by_truth(t, out);
    return true;
}

// A class of one server with preemption: a reading of x minutes waits base + slope x (Kleinrock 3.6).
struct line {
    double base, slope;
};

static struct line line_of(const struct queue_group *const *groups, unsigned count) {
    double load = 0, above = 0, rest = 0;
    for (unsigned i = 0; i < count; i++) {
        above = load;
        if (!(groups[i]->arrivals > 0)) continue;
        load += groups[i]->arrivals * groups[i]->mean;
        rest += groups[i]->arrivals * groups[i]->second / 2;
    }
    bool nobody = !(groups[count - 1]->arrivals > 0);
    return (struct line){nobody ? NAN : rest / ((1 - above) * (1 - load)), above / (1 - above)};
}

static double wait_on(const struct line *l, double reading) {
    return l->base + l->slope * reading;
}

// A truth's patients, of whom the device calls a share positive.
static double truth_wait(const struct line *positive, const struct line *negative, double share, double reading) {
    double w = share > 0 ? share * wait_on(positive, reading) : 0;
    return share < 1 ? w + (1 - share) * wait_on(negative, reading) : w;
}

void queue_triage_one_reader(const struct queue_triage *t, struct queue_waits *out) {
    struct queue_model m;
    queue_model_of(t, &m);
    const struct queue_group *without[] = {&m.interrupting, &m.all}, *with[] = {&m.interrupting, &m.positive, &m.negative};
    struct line first = line_of(without, 1), all = line_of(without, 2), positive = line_of(with, 2), negative = line_of(with, 3);
    out->interrupting = wait_on(&first, m.interrupting.mean);
    out->without = wait_on(&all, m.all.mean);
    out->positive = wait_on(&positive, m.positive.mean);
    out->negative = wait_on(&negative, m.negative.mean);
    out->diseased = t->prevalence > 0 ? truth_wait(&positive, &negative, t->sensitivity, t->read_diseased) : NAN;
    out->nondiseased = t->prevalence < 1 ? truth_wait(&positive, &negative, 1 - t->specificity, t->read_nondiseased) : NAN;
}

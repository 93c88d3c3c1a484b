// The triage queue told as a report: theory beside simulation, with the simulation's own error.
#include <math.h>
#include <stdio.h>

#include "math/dist.h"
#include "mod/evidence/queue.h"

struct told {
    struct ev_report *r;
    double z; // of the level
    const struct queue_triage *t;
    const struct queue_waits *theory, *exact; // NULL: none
    const struct queue_simulated *simulated;  // NULL: none
    const char *none;                         // why there is no theory
};

static void tell_estimate(const struct told *t, const char *name, const struct queue_estimate *s) {
    if (!isnan(s->se))
        ev_report_estimate(t->r, name, s->mean, s->se, s->mean - t->z * s->se, s->mean + t->z * s->se);
    else
        ev_report_in(t->r, name, s->mean, "min");
}

// The difference in errors of the simulation: beyond 3 or so the theory's assumptions tell.
static void tell_difference(const struct told *t, const char *name, const struct queue_estimate *s, double theory) {
    if (s->se > 0 && !isnan(theory)) ev_report_value(t->r, name, (s->mean - theory) / s->se);
}

struct names {
    const char *theory, *exact, *simulation, *difference;
};

static const struct names WITHOUT = {"Mean wait without the device, theory (min)", "Mean wait without the device, exact (min)",
                                     "Mean wait without the device, simulation (min)", "Without the device: simulation less theory, in its errors"};
static const struct names WITH = {"Mean wait with the device, theory (min)", "Mean wait with the device, exact (min)",
                                  "Mean wait with the device, simulation (min)", "With the device: simulation less theory, in its errors"};
static const struct names CHANGE = {"Change of the wait by the device, theory (min)", "Change of the wait by the device, exact (min)",
                                    "Change of the wait by the device, simulation (min)", "Change: simulation less theory, in its errors"};

static void tell(const struct told *t, const struct names *n, double theory, double exact, const struct queue_estimate *s) {
    if (t->theory)
        ev_report_value(t->r, n->theory, theory);
    else
        ev_report_none(t->r, n->theory, t->none);
    if (t->exact) ev_report_value(t->r, n->exact, exact);
    if (!s || !s->n) return;
    tell_estimate(t, n->simulation, s);
    tell_difference(t, n->difference, s, t->exact ? exact : t->theory ? theory : NAN);
}

static void tell_range(const struct told *t, const struct queue_estimate *s) {
    if (s && s->n) ev_report_text(t->r, "Single waits, 2.5 to 97.5 % (min)", "%.2f \u2013 %.2f", s->lo, s->hi);
}

// Members of a group by their places in the structs of waits and of estimates.
#define MEMBER(w, name) ((w) ? (w)->name : NAN)
#define ESTIMATE(t, name) ((t)->simulated ? &(t)->simulated->name : NULL)
#define CHANGE_OF(w, name) ((w) ? queue_change((w), (w)->name) : NAN)
#define TELL_GROUP(t, heading, name)                                                                                 \
    do {                                                                                                             \
        ev_report_group((t)->r, "%s", heading);                                                                      \
        tell((t), &WITH, MEMBER((t)->theory, name), MEMBER((t)->exact, name), ESTIMATE((t), name));                  \
        tell_range((t), ESTIMATE((t), name));                                                                        \
        tell((t), &CHANGE, CHANGE_OF((t)->theory, name), CHANGE_OF((t)->exact, name), ESTIMATE((t), change_##name)); \
    } while (0)

static void tell_groups(const struct told *t) {
    ev_report_group(t->r, "Not interrupting");
    tell(t, &WITHOUT, MEMBER(t->theory, without), MEMBER(t->exact, without), ESTIMATE(t, without));
    tell_range(t, ESTIMATE(t, without));
    if (t->t->prevalence > 0) TELL_GROUP(t, "Diseased", diseased);
    if (t->t->prevalence < 1) TELL_GROUP(t, "Non-diseased", nondiseased);
    TELL_GROUP(t, "AI positive", positive);
    TELL_GROUP(t, "AI negative", negative);
    if (t->t->interrupting == 0) return;
    ev_report_group(t->r, "Interrupting");
    tell(t, &WITH, MEMBER(t->theory, interrupting), MEMBER(t->exact, interrupting), ESTIMATE(t, interrupting));
}

// ---- how it was done ----

static const char *number(struct ev_report *r, double value) {
    const char *text = arena_printf(r->arena, NULL, "%.0f", value);
    if (!text) r->failed = true;
    return text ? text : "";
}

static void methods_theory(const struct told *t, enum queue_fit fit) {
    if (!t->theory) return;
    ev_report_method(t->r,
                     "Mean waits were computed for Poisson arrivals, exponential reading times with the mean of each class, and preemptive resume priority in "
                     "the order interrupting, AI "
                     "positive, AI negative.",
                     NULL);
    ev_report_source(t->r, "Thompson YLE, Levine GM, Chen W, et al. Evaluation of wait time saving effectiveness of triage algorithms. arXiv 2303.07050");
    if (t->t->radiologists == 1) {
        ev_report_method(t->r, "For one radiologist the formulas of one server with preemptive resume priority were used.", NULL);
        ev_report_source(t->r, "Kleinrock L. Queueing Systems, volume II. Wiley 1976, section 3.6");
        return;
    }
    ev_report_method(
        t->r, "For {0} radiologists the chain of each class was reduced to one dimension; three moments of the busy periods of the classes above it are kept.",
        number(t->r, t->t->radiologists), NULL);
    ev_report_source(t->r, "Harchol-Balter M, Osogami T, Scheller-Wolf A, Wierman A. Queueing Systems 2005;51:331-360");
    ev_report_source(t->r, "Osogami T, Harchol-Balter M. Performance Evaluation 2006;63:524-552");
    if (fit == QUEUE_FIT_AS_PUBLISHED && t->t->radiologists == 2 && t->t->interrupting > 0) {
        ev_report_warn(t->r,
                       "Stages are left out of the fit of busy periods as QuCAD does, to reproduce its figures: waits of AI negative patients may be off by "
                       "some hundredths of a minute.",
                       NULL);
    }
}

static void methods_exact(const struct told *t) {
    if (t->exact)
        ev_report_method(t->r, "Exact values take the reading times as exponential by truth, so that a class is a mixture (M/G/1 with preemptive resume).",
                         NULL);
    bool differ = t->t->read_diseased != t->t->read_nondiseased;
    if (t->theory && differ && !t->exact) {
        ev_report_warn(t->r,
                       "Diseased and non-diseased cases take different times to read: the theory takes one exponential time for each class, which the "
                       "simulation does not; their "
                       "difference is this approximation.",
                       NULL);
    }
}

static void methods_simulation(const struct told *t, const struct queue_plan *plan) {
    if (!t->simulated) return;
    ev_report_method(t->r, "{0} patients were simulated event by event through both queues (seed {1}); errors are from 64 batches in the order of arrival.",
                     number(t->r, (double)plan->patients), number(t->r, (double)plan->seed), NULL);
    if (plan->arrivals) ev_report_method(t->r, "Patients arrived at the given times; the groups were drawn by the stated fractions.", NULL);
    if (plan->wait_for_end)
        ev_report_method(t->r, "A reading that has begun was not interrupted: a higher class was taken first when a radiologist became free.", NULL);
    if (isnan(t->simulated->without.se)) ev_report_warn(t->r, "The simulation is too short for an error of its means.", NULL);
}

static bool is_poisson_preemptive(const struct queue_plan *plan) {
    return !plan->arrivals && !plan->wait_for_end;
}

bool queue_triage_report(struct ev_report *r, const struct queue_triage *t, const struct queue_plan *plan, struct err *e) {
    struct queue_waits theory, exact;
    struct queue_simulated simulated;
    struct err why = {0};
    struct told told = {.r = r, .z = dist_norm_two_sided(r->level), .t = t};
    if (!queue_triage_check(t, e)) return false;
    if (!is_poisson_preemptive(plan))
        told.none = "the theory is of Poisson arrivals and readings that are interrupted";
    else if (queue_triage_theory(r->arena, t, plan->fit, &theory, &why))
        told.theory = &theory;
    else if (why.kind == ERR_UNSUPPORTED)
        told.none = "the theory is of fewer radiologists";
    else {
        *e = why;
        return false;
    }
    if (told.theory && t->radiologists == 1 && plan->reading == QUEUE_READING_BY_TRUTH && t->read_diseased != t->read_nondiseased) {
        queue_triage_one_reader(t, &exact);
        told.exact = &exact;
    }
    if (plan->patients) {
        if (!queue_triage_simulate(r->arena, t, plan, &simulated, e)) return false;
        told.simulated = &simulated;
    }
    tell_groups(&told);
    methods_theory(&told, plan->fit);
    methods_exact(&told);
    methods_simulation(&told, plan);
    return ev_report_ok(r, e);
}

// Events of a reading room: the same patients through the queue without and the queue with the device.
#include <math.h>
#include <string.h>

#include "math/rng.h"
#include "mod/evidence/queue.h"
#include "mod/evidence/queue_model.h"

enum { CLASSES = 3, BATCHES = 64, RING_FIRST = 1024 };

// What is known of a patient: interrupting, or truth and answer of the device.
enum cell { INTERRUPTING, TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_NEGATIVE, CELLS };

struct job {
    double arrived, reading, rest; // minutes
    uint32_t batch;                // BATCHES: not counted
    uint8_t class, cell;
};

struct ring {
    struct job *jobs;
    uint64_t first, count, room; // room is a power of two
};

// Waits are counted in bins of equal ratio: exponent and 7 bits of the mantissa, from 2^-20 to 2^30 minutes.
enum { MANTISSA_BITS = 7, LOWEST_EXPONENT = -20, EXPONENTS = 50, BINS = EXPONENTS << MANTISSA_BITS };

struct tally {
    double sum[BATCHES][CELLS];
    uint64_t count[BATCHES][CELLS];
    uint32_t bins[CELLS][BINS + 1];
};

struct room {
    struct arena *arena;
    unsigned servers, busy, next; // next: whose reading ends first
    bool wait_for_end;
    double ends[QUEUE_READERS_MAX];
    struct job serving[QUEUE_READERS_MAX];
    struct ring waiting[CLASSES];
    uint64_t events, interruptions;
    struct tally *tally;
};

// ---- rings ----

static bool ring_grow(struct arena *a, struct ring *r, struct err *e) {
    uint64_t room = r->room ? 2 * r->room : RING_FIRST;
    if (room > QUEUE_LENGTH_MAX) return err_set(e, ERR_TOO_LARGE, "queue", "more than %d patients wait: the queue grows without end", QUEUE_LENGTH_MAX);
    struct job *jobs = arena_alloc(a, room * sizeof *jobs, e);
    if (!jobs) return false;
    for (uint64_t i = 0; i < r->count; i++) jobs[i] = r->jobs[(r->first + i) & (r->room - 1)];
    *r = (struct ring){jobs, 0, r->count, room};
    return true;
}

static bool put_last(struct room *m, const struct job *j, struct err *e) {
    struct ring *r = &m->waiting[j->class];
    if (r->count == r->room && !ring_grow(m->arena, r, e)) return false;
    r->jobs[(r->first + r->count++) & (r->room - 1)] = *j;
    return true;
}

static bool put_first(struct room *m, const struct job *j, struct err *e) {
    struct ring *r = &m->waiting[j->class];
    if (r->count == r->room && !ring_grow(m->arena, r, e)) return false;
    r->first = (r->first + r->room - 1) & (r->room - 1);
    r->jobs[r->first] = *j;
    r->count++;
    return true;
}

// ---- events ----

static unsigned bin_of(double wait) {
    if (!(wait >= ldexp(1, LOWEST_EXPONENT))) return 0;
    uint64_t bits;
    memcpy(&bits, &wait, sizeof bits);
    uint64_t bin = (bits >> (52 - MANTISSA_BITS)) - ((uint64_t)(1023 + LOWEST_EXPONENT) << MANTISSA_BITS) + 1;
    return bin > BINS ? BINS : (unsigned)bin;
}

static void count_wait(struct tally *t, const struct job *j, double now) {
    if (j->batch >= BATCHES) return;
    double wait = fmax(now - j->arrived - j->reading, 0); // rounding of sums of times
    t->sum[j->batch][j->cell] += wait;
    t->count[j->batch][j->cell]++;
    t->bins[j->cell][bin_of(wait)]++;
}

static void find_next(struct room *m) {
    m->next = 0;
    for (unsigned i = 1; i < m->busy; i++) {
        if (m->ends[i] < m->ends[m->next]) m->next = i;
    }
}

static void serve(struct room *m, unsigned server, const struct job *j, double now) {
    m->serving[server] = *j;
    m->ends[server] = now + j->rest;
}

// The reading that ends first: its patient leaves, the first of the highest class takes the place.
static void leave(struct room *m) {
    unsigned server = m->next;
    double now = m->ends[server];
    m->events++;
    count_wait(m->tally, &m->serving[server], now);
    unsigned class = 0;
    while (class < CLASSES && m->waiting[class].count == 0) class ++;
    if (class < CLASSES) {
        struct ring *r = &m->waiting[class];
        serve(m, server, &r->jobs[r->first & (r->room - 1)], now);
        r->first = (r->first + 1) & (r->room - 1);
        r->count--;
    } else {
        m->busy--;
        m->serving[server] = m->serving[m->busy];
        m->ends[server] = m->ends[m->busy];
    }
    find_next(m);
}

// The server whose patient is of the lowest class, the latest come of these; none that is not below `class`: the number of servers.
static unsigned victim(const struct room *m, unsigned class) {
    unsigned worst = m->servers;
    for (unsigned i = 0; i < m->busy; i++) {
        const struct job *j = &m->serving[i];
        if (j->class <= class) continue;
        if (worst == m->servers || j->class > m->serving[worst].class || (j->class == m->serving[worst].class && j->arrived > m->serving[worst].arrived))
            worst = i;
    }
    return worst;
}

static bool arrive(struct room *m, const struct job *j, struct err *e) {
    double now = j->arrived;
    while (m->busy && m->ends[m->next] <= now) leave(m);
    m->events++;
    if (m->busy < m->servers) {
        serve(m, m->busy++, j, now);
    } else {
        unsigned server = m->wait_for_end ? m->servers : victim(m, j->class);
        if (server == m->servers) return put_last(m, j, e);
        struct job out = m->serving[server];
        out.rest = m->ends[server] - now;
        if (!put_first(m, &out, e)) return false;
        m->interruptions++;
        m->events++;
        serve(m, server, j, now);
    }
    find_next(m);
    return true;
}

// ---- patients ----

struct stream {
    const struct queue_triage *t;
    const struct queue_plan *plan;
    struct queue_model model;
    struct rng rng;
    double now;
};

// A patient's own draws; `unit` is the reading time in units of its mean.
static enum cell next_patient(struct stream *s, uint64_t index, double *unit) {
    s->now = s->plan->arrivals ? s->plan->arrivals[index] : s->now + rng_exponential(&s->rng) / s->model.arrivals;
    *unit = rng_exponential(&s->rng);
    double u = rng_uniform(&s->rng);
    if (u < s->t->interrupting) return INTERRUPTING;
    u = (u - s->t->interrupting) / (1 - s->t->interrupting); // uniform again
    bool diseased = u < s->t->prevalence, positive = rng_uniform(&s->rng) < (diseased ? s->t->sensitivity : 1 - s->t->specificity);
    return diseased ? (positive ? TRUE_POSITIVE : FALSE_NEGATIVE) : positive ? FALSE_POSITIVE : TRUE_NEGATIVE;
}

static bool is_positive(enum cell c) {
    return c == TRUE_POSITIVE || c == FALSE_POSITIVE;
}

static double reading_mean(const struct stream *s, enum cell c, bool device) {
    if (c == INTERRUPTING) return s->t->read_interrupting;
    if (s->plan->reading == QUEUE_READING_BY_TRUTH) return c == TRUE_POSITIVE || c == FALSE_NEGATIVE ? s->t->read_diseased : s->t->read_nondiseased;
    return !device ? s->model.all.mean : is_positive(c) ? s->model.positive.mean : s->model.negative.mean;
}

static bool run(struct stream *s, struct room rooms[2], struct err *e) {
    uint64_t warm = s->plan->arrivals ? 0 : s->plan->patients / 10, all = warm + s->plan->patients;
    double means[2][CELLS];
    for (unsigned i = 0; i < 2 * CELLS; i++) means[i / CELLS][i % CELLS] = reading_mean(s, (enum cell)(i % CELLS), i / CELLS);
    for (uint64_t i = 0; i < all; i++) {
        double unit;
        enum cell c = next_patient(s, i, &unit);
        uint32_t batch = i < warm ? BATCHES : (uint32_t)((i - warm) * BATCHES / s->plan->patients);
        for (unsigned device = 0; device < 2; device++) {
            double reading = unit * means[device][c];
            uint8_t class = c == INTERRUPTING ? 0 : !device || is_positive(c) ? 1 : 2;
            struct job j = {s->now, reading, reading, batch, class, (uint8_t)c};
            if (!arrive(&rooms[device], &j, e)) return false;
        }
    }
    for (unsigned device = 0; device < 2; device++) {
        while (rooms[device].busy) leave(&rooms[device]);
    }
    return true;
}

// ---- estimates ----

// Cells of a group as bits.
enum {
    G_INTERRUPTING = 1 << INTERRUPTING,
    G_POSITIVE = 1 << TRUE_POSITIVE | 1 << FALSE_POSITIVE,
    G_NEGATIVE = 1 << TRUE_NEGATIVE | 1 << FALSE_NEGATIVE,
    G_DISEASED = 1 << TRUE_POSITIVE | 1 << FALSE_NEGATIVE,
    G_NONDISEASED = 1 << TRUE_NEGATIVE | 1 << FALSE_POSITIVE,
    G_OTHERS = G_POSITIVE | G_NEGATIVE,
};

static void batch_of(const struct tally *t, unsigned batch, unsigned group, double *sum, uint64_t *count) {
    *sum = 0;
    *count = 0;
    for (unsigned c = 0; c < CELLS; c++) {
        if (!(group >> c & 1)) continue;
        *sum += t->sum[batch][c];
        *count += t->count[batch][c];
    }
}

// Mean of a group's waits (with minus: less those of the other room) and its error from the batches' own means.
static void estimate(const struct tally *t, const struct tally *minus, unsigned group, struct queue_estimate *out) {
    double means[BATCHES], total = 0, spread = 0;
    unsigned batches = 0;
    *out = (struct queue_estimate){.se = NAN, .lo = NAN, .hi = NAN};
    for (unsigned b = 0; b < BATCHES; b++) {
        double sum, other = 0;
        uint64_t count;
        batch_of(t, b, group, &sum, &count);
        if (minus) batch_of(minus, b, group, &other, &count);
        out->n += count;
        total += sum - other;
        if (count) means[batches++] = (sum - other) / (double)count;
    }
    out->mean = out->n ? total / (double)out->n : NAN;
    if (batches < BATCHES / 2 || out->n < 2 * BATCHES) return;
    for (unsigned b = 0; b < batches; b++) spread += (means[b] - out->mean) * (means[b] - out->mean);
    out->se = sqrt(spread / batches / (batches - 1));
}

static double bin_value(unsigned bin) {
    if (bin == 0) return 0;
    double at = bin - 0.5; // its middle
    unsigned exponent = (unsigned)at >> MANTISSA_BITS;
    return ldexp(1 + (at - (exponent << MANTISSA_BITS)) / (1 << MANTISSA_BITS), LOWEST_EXPONENT + (int)exponent);
}

static double percentile(const struct tally *t, unsigned group, uint64_t n, double p) {
    uint64_t below = 0;
    for (unsigned bin = 0; bin <= BINS; bin++) {
        for (unsigned c = 0; c < CELLS; c++) below += group >> c & 1 ? t->bins[c][bin] : 0;
        if ((double)below >= p * (double)n && below) return bin_value(bin);
    }
    return NAN;
}

static void group_estimate(const struct tally *t, unsigned group, struct queue_estimate *out) {
    estimate(t, NULL, group, out);
    if (!out->n) return;
    out->lo = percentile(t, group, out->n, 0.025);
    out->hi = percentile(t, group, out->n, 0.975);
}

static void estimates(const struct room rooms[2], struct queue_simulated *out) {
    const struct tally *without = rooms[0].tally, *with = rooms[1].tally;
    group_estimate(with, G_INTERRUPTING, &out->interrupting);
    group_estimate(without, G_OTHERS, &out->without);
    group_estimate(with, G_POSITIVE, &out->positive);
    group_estimate(with, G_NEGATIVE, &out->negative);
    group_estimate(with, G_DISEASED, &out->diseased);
    group_estimate(with, G_NONDISEASED, &out->nondiseased);
    estimate(with, without, G_POSITIVE, &out->change_positive);
    estimate(with, without, G_NEGATIVE, &out->change_negative);
    estimate(with, without, G_DISEASED, &out->change_diseased);
    estimate(with, without, G_NONDISEASED, &out->change_nondiseased);
    out->events = rooms[0].events + rooms[1].events;
    out->interruptions = rooms[0].interruptions + rooms[1].interruptions;
}

static bool plan_check(const struct queue_plan *p, struct err *e) {
    if (p->patients < 1 || p->patients > QUEUE_PATIENTS_MAX)
        return err_set(e, ERR_BAD_INPUT, "queue", "a simulation takes 1 to %lld patients", QUEUE_PATIENTS_MAX);
    for (uint64_t i = 1; p->arrivals && i < p->patients; i++) {
        if (!(p->arrivals[i] >= p->arrivals[i - 1]))
            return err_set(e, ERR_BAD_INPUT, "queue", "arrival %llu is earlier than the one before", (unsigned long long)i + 1);
    }
    return true;
}

bool queue_triage_simulate(struct arena *scratch, const struct queue_triage *t, const struct queue_plan *plan, struct queue_simulated *out, struct err *e) {
    if (!queue_triage_check(t, e) || !plan_check(plan, e)) return false;
    struct stream s = {.t = t, .plan = plan};
    struct arena_mark mark = arena_mark(scratch);
    struct room *rooms = arena_zero(scratch, 2, sizeof *rooms, e);
    if (!rooms) return false;
    queue_model_of(t, &s.model);
    rng_seed(&s.rng, plan->seed);
    for (unsigned i = 0; i < 2; i++) {
        rooms[i].arena = scratch;
        rooms[i].servers = t->radiologists;
        rooms[i].wait_for_end = plan->wait_for_end;
        rooms[i].tally = arena_zero(scratch, 1, sizeof *rooms[i].tally, e);
        if (!rooms[i].tally) return false;
    }
    bool ok = run(&s, rooms, e);
    if (ok) estimates(rooms, out);
    arena_rewind(scratch, mark);
    return ok;
}

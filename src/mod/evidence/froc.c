// Figures of merit of free-response marks: those that are areas as sums over pairs, the others as shares.
#include "mod/evidence/froc.h"

#include <math.h>

#include "mod/evidence/pairs.h"

static const char *const NAMES[EV_FROC_MERITS] = {"wAFROC", "wAFROC1", "AFROC", "AFROC1", "HrAuc", "HrSe", "HrSp", "MaxLLF", "MaxNLF", "MaxNLFAllCases"};

int ev_froc_merit_named(struct str name) {
    for (int i = 0; i < EV_FROC_MERITS; i++)
        if (str_eq_nocase(name, str_of(NAMES[i]))) return i;
    return -1;
}

const char *ev_froc_merit_name(enum ev_froc_merit m) {
    return NAMES[m];
}

struct reading {
    struct arena *a;
    const struct ev_froc *f;
    enum ev_froc_merit merit;
    const double *highest, *rating; // of one reader in one modality
    const uint32_t *nl;
    struct err *e;
};

static struct reading reading_of(struct arena *a, const struct ev_froc *f, enum ev_froc_merit m, unsigned treatment, unsigned reader, struct err *e) {
    size_t g = (size_t)treatment * f->readers + reader;
    return (struct reading){a, f, m, f->highest + g * f->cases, f->rating + g * f->lesions, f->nl + g * f->cases, e};
}

static bool is_diseased(const struct ev_froc *f, unsigned c) {
    return f->first[c + 1] > f->first[c];
}

static double highest_of_case(const struct reading *r, unsigned c) {
    double x = r->highest[c];
    for (unsigned l = r->f->first[c]; l < r->f->first[c + 1]; l++) x = fmax(x, r->rating[l]);
    return x;
}

static bool is_area(enum ev_froc_merit m) {
    return m <= EV_FROC_HRAUC;
}

static bool every_case(enum ev_froc_merit m) {
    return m == EV_FROC_WAFROC1 || m == EV_FROC_AFROC1;
}

static void fill_false(const struct reading *r, struct ev_pairs *p) {
    unsigned n = 0;
    for (unsigned c = 0; c < r->f->cases; c++) {
        if (is_diseased(r->f, c) && !every_case(r->merit)) continue;
        p->f[n] = r->highest[c];
        p->f_case[n++] = c;
    }
}

static void fill_true(const struct reading *r, struct ev_pairs *p) {
    const struct ev_froc *f = r->f;
    unsigned n = 0;
    for (unsigned c = 0; r->merit == EV_FROC_HRAUC && c < f->cases; c++) {
        if (!is_diseased(f, c)) continue;
        p->t[n] = highest_of_case(r, c);
        p->t_case[n++] = c;
    }
    for (unsigned l = 0; r->merit != EV_FROC_HRAUC && l < f->lesions; l++) {
        p->t[l] = r->rating[l];
        p->t_case[l] = f->lesion_case[l];
        if (p->weight) p->weight[l] = f->weight[l];
    }
}

static bool pairs_of(const struct reading *r, struct ev_pairs *p) {
    unsigned f = every_case(r->merit) ? r->f->cases : r->f->cases - r->f->diseased, t = r->merit == EV_FROC_HRAUC ? r->f->diseased : r->f->lesions;
    if (!ev_pairs_make(r->a, f, t, r->merit == EV_FROC_WAFROC || r->merit == EV_FROC_WAFROC1, p, r->e)) return false;
    fill_false(r, p);
    fill_true(r, p);
    return ev_pairs_sum(r->a, p, r->e);
}

// Whether the share counts this case, what it adds below the line, and above it.
static bool share_of(const struct reading *r, unsigned c, double *over, double *under) {
    bool diseased = is_diseased(r->f, c), wanted = r->merit == EV_FROC_MAXNLF_ALL || diseased == (r->merit == EV_FROC_HRSE || r->merit == EV_FROC_MAXLLF);
    *over = 0;
    *under = 1;
    switch (r->merit) {
    case EV_FROC_HRSE:
        *over = highest_of_case(r, c) > -INFINITY;
        break;
    case EV_FROC_HRSP:
        *over = !(highest_of_case(r, c) > -INFINITY);
        break;
    case EV_FROC_MAXLLF:
        *under = r->f->first[c + 1] - r->f->first[c];
        for (unsigned l = r->f->first[c]; l < r->f->first[c + 1]; l++) *over += r->rating[l] > -INFINITY;
        break;
    default:
        *over = r->nl[c];
        break;
    }
    return wanted;
}

static double share(const struct reading *r, double *over, double *under) {
    double x, y;
    *over = *under = 0;
    for (unsigned c = 0; c < r->f->cases; c++) {
        if (!share_of(r, c, &x, &y)) continue;
        *over += x;
        *under += y;
    }
    return *under > 0 ? *over / *under : NAN;
}

// How many cases the jackknife leaves out in turn.
static unsigned jackknife_cases(const struct ev_froc *f, enum ev_froc_merit m) {
    if (is_area(m) || m == EV_FROC_MAXNLF_ALL) return f->cases;
    return m == EV_FROC_HRSE || m == EV_FROC_MAXLLF ? f->diseased : f->cases - f->diseased;
}

static void jackknife_share(const struct reading *r, double *out, unsigned stride, double *whole) {
    double over, under, x, y;
    *whole = share(r, &over, &under);
    size_t k = 0;
    for (unsigned c = 0; c < r->f->cases; c++)
        if (share_of(r, c, &x, &y)) out[k++ * stride] = under > y ? (over - x) / (under - y) : NAN;
}

static bool jackknife(const struct reading *r, double *out, unsigned stride, double *whole) {
    if (!is_area(r->merit)) {
        jackknife_share(r, out, stride, whole);
        return true;
    }
    struct ev_pairs p;
    if (!pairs_of(r, &p)) return false;
    *whole = ev_pairs_area(&p);
    return ev_pairs_jackknife(r->a, &p, r->f->cases, out, stride, r->e);
}

double ev_froc_merit(struct arena *a, const struct ev_froc *f, enum ev_froc_merit m, unsigned treatment, unsigned reader, struct err *e) {
    struct reading r = reading_of(a, f, m, treatment, reader, e);
    double over, under;
    if (!is_area(m)) return share(&r, &over, &under);
    struct ev_pairs p;
    return pairs_of(&r, &p) ? ev_pairs_area(&p) : NAN;
}

bool ev_froc_merits(struct arena *a, const struct ev_froc *f, enum ev_froc_merit m, struct ev_merit *out, struct err *e) {
    unsigned groups = f->treatments * f->readers;
    *out = (struct ev_merit){.treatments = f->treatments, .readers = f->readers, .cases = jackknife_cases(f, m), .design = EV_DESIGN_CROSSED};
    if (f->diseased < 2 || f->cases - f->diseased < 2)
        return err_set(e, ERR_BAD_INPUT, "evidence", "%u cases with lesions and %u without: two of each are needed", f->diseased, f->cases - f->diseased);
    double *value = arena_zero(a, (size_t)out->cases * groups, sizeof *value, e);
    out->theta = arena_zero(a, groups, sizeof *out->theta, e);
    out->cov = arena_zero(a, (size_t)groups * groups, sizeof *out->cov, e);
    if (!value || !out->theta || !out->cov) return false;
    for (unsigned i = 0; i < f->treatments; i++) {
        for (unsigned j = 0; j < f->readers; j++) {
            struct reading r = reading_of(a, f, m, i, j, e);
            unsigned g = i * f->readers + j;
            if (!jackknife(&r, value + g, groups, &out->theta[g])) return false;
        }
    }
    return ev_jackknife_covariance(a, value, out->cases, groups, out->cov, e);
}

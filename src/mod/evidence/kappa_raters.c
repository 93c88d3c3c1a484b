// Agreement beyond chance of many raters, some ratings missing (Gwet 2014, ch. 5), and Krippendorff's alpha at its levels of measurement.
#include <math.h>

#include "math/dist.h"
#include "mod/evidence/kappa.h"

// A subject's ratings, gathered.
struct row {
    unsigned ratings, distinct;
    int32_t *category; // of the distinct ones
    double *count;     // by category; zero but for those
};

static void gather(const struct ev_ratings *r, size_t subject, struct row *row) {
    const int32_t *of = r->of + subject * r->raters;
    for (unsigned i = 0; i < row->distinct; i++) row->count[row->category[i]] = 0;
    row->ratings = row->distinct = 0;
    for (unsigned j = 0; j < r->raters; j++) {
        if (of[j] < 0) continue;
        if (row->count[of[j]]++ == 0) row->category[row->distinct++] = of[j];
        row->ratings++;
    }
}

// The sum over ordered pairs of two ratings of the subject of their weight.
static double pair_weight(const struct row *row, const double *w, unsigned q) {
    double sum = 0;
    for (unsigned i = 0; i < row->distinct; i++) {
        double to = 0;
        for (unsigned j = 0; j < row->distinct; j++) to += w[(size_t)row->category[i] * q + (size_t)row->category[j]] * row->count[row->category[j]];
        sum += row->count[row->category[i]] * (to - 1);
    }
    return sum;
}

struct study {
    enum ev_agreement_kind kind;
    const struct ev_ratings *r;
    const double *w;
    struct row row;
    double subjects, pairable, ratings; // that count; with two ratings or more; ratings in all
    double observed, chance, total_weight;
    double *share;       // of each category
    double *of_category; // what a rating adds to the chance agreement, by category
    double *of_rater;    // Conger: raters x categories, shares and then what a rating adds
    double *rated_by;    // Conger: subjects of each rater
    double mean_ratings; // Krippendorff
};

static bool counts(const struct study *s, const struct row *row) {
    return row->ratings >= (s->kind == EV_AGREE_KRIPPENDORFF ? 2 : 1);
}

// First pass: how much agreement, and the shares of the categories.
static bool first_pass(struct study *s, struct err *e) {
    const struct ev_ratings *r = s->r;
    double sum = 0, sum_by_mean = 0;
    for (size_t i = 0; i < r->subjects; i++) {
        gather(r, i, &s->row);
        if (!counts(s, &s->row)) continue;
        double m = s->row.ratings;
        s->subjects++;
        s->ratings += m;
        for (unsigned j = 0; j < s->row.distinct; j++) {
            int32_t k = s->row.category[j];
            s->share[k] += s->row.count[k] / (s->kind == EV_AGREE_KRIPPENDORFF ? 1 : m);
        }
        if (m < 2) continue;
        double pairs = pair_weight(&s->row, s->w, r->categories);
        s->pairable++;
        sum += pairs / (m * (m - 1));
        sum_by_mean += pairs / (m - 1);
    }
    if (s->pairable == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "no subject was rated by two raters");
    s->mean_ratings = s->ratings / s->subjects;
    s->observed = s->kind == EV_AGREE_KRIPPENDORFF ? sum_by_mean / s->ratings : sum / s->pairable;
    for (unsigned k = 0; k < r->categories; k++) s->share[k] /= s->kind == EV_AGREE_KRIPPENDORFF ? s->ratings : s->subjects;
    return true;
}

static void chance_by_category(struct study *s) {
    unsigned q = s->r->categories;
    for (unsigned k = 0; k < q; k++) {
        double to = 0;
        for (unsigned l = 0; l < q; l++) to += (s->w[(size_t)k * q + l] + s->w[(size_t)l * q + k]) / 2 * s->share[l];
        if (s->kind == EV_AGREE_GWET) to = q > 1 ? s->total_weight * (1 - s->share[k]) / q / (q - 1) : 1;
        if (s->kind == EV_AGREE_BRENNAN) to = s->total_weight / q / q;
        if (s->kind == EV_AGREE_PERCENT) to = 0;
        s->of_category[k] = to;
        s->chance += s->share[k] * to;
    }
}

// Conger: each rater has margins of his own; chance is the mean over ordered pairs of different raters.
static bool chance_by_rater(struct study *s, struct arena *a, struct err *e) {
    const struct ev_ratings *r = s->r;
    unsigned q = r->categories, seen = 0;
    s->of_rater = arena_zero(a, (size_t)r->raters * q, sizeof *s->of_rater, e);
    s->rated_by = s->of_rater ? arena_zero(a, r->raters, sizeof *s->rated_by, e) : NULL;
    double *sum = s->rated_by ? arena_zero(a, q, sizeof *sum, e) : NULL;
    double *own = sum ? arena_zero(a, q, sizeof *own, e) : NULL;
    if (!own) return false;
    for (size_t i = 0; i < r->subjects * r->raters; i++) {
        size_t j = i % r->raters;
        if (r->of[i] < 0) continue;
        s->rated_by[j]++;
        s->of_rater[j * q + (size_t)r->of[i]]++;
    }
    for (unsigned j = 0; j < r->raters; j++) {
        seen += s->rated_by[j] > 0;
        for (unsigned k = 0; k < q && s->rated_by[j] > 0; k++) sum[k] += s->of_rater[(size_t)j * q + k] /= s->rated_by[j];
    }
    for (unsigned j = 0; j < r->raters; j++) {
        double *mine = s->of_rater + (size_t)j * q, of_mine = 0;
        for (unsigned k = 0; k < q; k++) {
            own[k] = 0;
            for (unsigned l = 0; l < q; l++) own[k] += (s->w[(size_t)k * q + l] + s->w[(size_t)l * q + k]) / 2 * (sum[l] - mine[l]);
            own[k] /= (double)seen * (seen - 1);
            of_mine += mine[k] * own[k];
        }
        s->chance += of_mine;
        for (unsigned k = 0; k < q; k++) mine[k] = own[k] - of_mine;
    }
    return true;
}

// How far the subject's share of the chance agreement lies from the mean.
static double chance_of_subject(const struct study *s, size_t subject) {
    double sum = 0, m = s->row.ratings;
    if (s->kind == EV_AGREE_COHEN) {
        const int32_t *of = s->r->of + subject * s->r->raters;
        for (unsigned j = 0; j < s->r->raters; j++)
            if (of[j] >= 0) sum += s->of_rater[(size_t)j * s->r->categories + (size_t)of[j]] * s->subjects / s->rated_by[j];
        return sum;
    }
    for (unsigned j = 0; j < s->row.distinct; j++) sum += s->row.count[s->row.category[j]] * s->of_category[s->row.category[j]];
    if (s->kind == EV_AGREE_KRIPPENDORFF) return sum / s->mean_ratings - s->chance * (m - s->mean_ratings) / s->mean_ratings - s->chance;
    return sum / m - s->chance;
}

static double observed_of_subject(const struct study *s) {
    double m = s->row.ratings, pairs = pair_weight(&s->row, s->w, s->r->categories);
    if (s->kind == EV_AGREE_KRIPPENDORFF) {
        double corrected = s->observed + (1 - s->observed) / s->ratings;
        return pairs / (s->mean_ratings * (m - 1)) - corrected * (m - s->mean_ratings) / s->mean_ratings - s->chance;
    }
    return m < 2 ? 0 : s->subjects / s->pairable * (pairs / (m * (m - 1)) - s->chance);
}

// Second pass: the variance of the subjects' linearised shares (Gwet 2014, eq. 5.12 ff.).
static double standard_error(struct study *s, double plain) {
    double sum = 0;
    if (s->subjects < 2) return NAN;
    for (size_t i = 0; i < s->r->subjects; i++) {
        gather(s->r, i, &s->row);
        if (!counts(s, &s->row)) continue;
        double of_subject = (observed_of_subject(s) - 2 * (1 - plain) * chance_of_subject(s, i)) / (1 - s->chance) - plain;
        sum += of_subject * of_subject;
    }
    return sqrt(sum / (s->subjects * (s->subjects - 1)));
}

bool ev_agreement_raters(struct arena *a, enum ev_agreement_kind kind, const struct ev_ratings *r, const double *w, double level, struct ev_agreement *out,
                         struct err *e) {
    struct study s = {.kind = kind, .r = r, .w = w};
    unsigned q = r->categories;
    s.row.category = arena_zero(a, q, sizeof *s.row.category, e);
    s.row.count = s.row.category ? arena_zero(a, q, sizeof *s.row.count, e) : NULL;
    s.share = s.row.count ? arena_zero(a, q, sizeof *s.share, e) : NULL;
    s.of_category = s.share ? arena_zero(a, q, sizeof *s.of_category, e) : NULL;
    if (!s.of_category) return false;
    for (size_t i = 0; i < (size_t)q * q; i++) s.total_weight += w[i];
    if (!first_pass(&s, e)) return false;
    if (kind != EV_AGREE_COHEN) chance_by_category(&s);
    if (kind == EV_AGREE_COHEN && !chance_by_rater(&s, a, e)) return false;
    if (!(1 - s.chance > 1e-14)) return err_set(e, ERR_BAD_INPUT, "evidence", "every rating falls into one category: agreement beyond chance is not defined");
    double observed = s.observed, plain = (s.observed - s.chance) / (1 - s.chance);
    if (kind == EV_AGREE_KRIPPENDORFF) observed += (1 - observed) / s.ratings;
    *out = (struct ev_agreement){.n = s.subjects, .observed = observed, .chance = s.chance, .value = (observed - s.chance) / (1 - s.chance)};
    out->se_null = out->z = out->p = NAN;
    out->se = standard_error(&s, plain);
    double t = s.subjects >= 2 ? dist_t_quantile((1 - level) / 2, s.subjects - 1, true) : NAN;
    out->lo = out->value - t * out->se;
    out->hi = isnan(t) ? NAN : fmin(1, out->value + t * out->se);
    return true;
}

// ---- Krippendorff's levels of measurement ----

static void ordinal_weights(const struct ev_ratings *r, double *share, double *w) {
    unsigned q = r->categories;
    double most = 0;
    for (size_t i = 0; i < r->subjects; i++) {
        const int32_t *of = r->of + i * r->raters;
        unsigned m = 0;
        for (unsigned j = 0; j < r->raters; j++) m += of[j] >= 0;
        for (unsigned j = 0; j < r->raters && m >= 2; j++)
            if (of[j] >= 0) share[of[j]]++;
    }
    for (unsigned k = 0; k < q; k++) {
        double between = 0;
        w[(size_t)k * q + k] = 0;
        for (unsigned l = k + 1; l < q; l++) {
            double d = share[k] / 2 + between + share[l] / 2;
            w[(size_t)k * q + l] = w[(size_t)l * q + k] = d * d;
            if (d * d > most) most = d * d;
            between += share[l];
        }
    }
    for (size_t i = 0; i < (size_t)q * q; i++) w[i] = most > 0 ? 1 - w[i] / most : 1;
}

bool ev_krippendorff(struct arena *a, enum ev_level measured, const struct ev_ratings *r, double level, struct ev_agreement *out, struct err *e) {
    static const enum ev_weighting WEIGHTING[] = {EV_WEIGHT_IDENTITY, EV_WEIGHT_ORDINAL, EV_WEIGHT_QUADRATIC, EV_WEIGHT_RATIO};
    unsigned q = r->categories;
    if (measured >= EV_LEVEL_INTERVAL && !r->numeric)
        return err_set(e, ERR_BAD_INPUT, "evidence", "'%.*s' is a word: interval and ratio levels need numbers", STR_FMT(r->names[0]));
    if (measured == EV_LEVEL_RATIO && r->scores[0] < 0)
        return err_set(e, ERR_BAD_INPUT, "evidence", "%g is below 0: the ratio level has a natural zero", r->scores[0]);
    double *w = arena_zero(a, (size_t)q * q, sizeof *w, e);
    double *share = w ? arena_zero(a, q, sizeof *share, e) : NULL;
    if (!share) return false;
    if (measured == EV_LEVEL_ORDINAL)
        ordinal_weights(r, share, w);
    else
        ev_weights(WEIGHTING[measured], r->scores, q, w);
    return ev_agreement_raters(a, EV_AGREE_KRIPPENDORFF, r, w, level, out, e);
}

// Rows of reference values about reader studies.
#include <math.h>

#include "mod/evidence/mrmc.h"
#include "mod/evidence/question.h"
#include "mod/evidence/ustat.h"

static bool says(struct str text, const char *word) {
    struct str w = str_of(word);
    for (size_t i = 0; i + w.n <= text.n; i++)
        if (str_eq_nocase(str_sub(text, i, w.n), w)) return true;
    return false;
}

static bool either_says(const struct ev_question *q, const char *word) {
    return says(q->statistic, word) || says(q->parameters, word);
}

static bool study_of(const struct ev_question *q, enum ev_design design, struct ev_study *s, struct err *e) {
    if (!q->data) return err_set(e, ERR_BAD_INPUT, "evidence", "the row names no data set");
    return ev_study_read(q->arena, q->data, NULL, design, s, e);
}

static enum ev_design design_of(const struct ev_question *q) {
    if (either_says(q, "cases_nested_in_reader")) return EV_DESIGN_CASES_IN_READER;
    if (either_says(q, "cases_nested_in_t") || either_says(q, "cases_nested_in_mod")) return EV_DESIGN_CASES_IN_TREATMENT;
    return EV_DESIGN_DETECT;
}

// "(rating>=3)": the cut behind the sign; of ">" the next number above.
static bool cut_of(const struct ev_question *q, double *cut, struct err *e) {
    size_t at = str_find(q->statistic, '>', 0);
    bool equal = at + 1 < q->statistic.n && q->statistic.p[at + 1] == '=';
    size_t from = at + 1 + equal;
    struct str number = str_sub(q->statistic, from, str_find(q->statistic, ')', from) - from);
    if (at < q->statistic.n && str_to_f64(number, cut)) {
        if (!equal) *cut = nextafter(*cut, INFINITY);
        return true;
    }
    return ev_parameter_number(q, "cut", cut, e);
}

static bool options_of(const struct ev_question *q, struct ev_merit_options *o, struct err *e) {
    *o = (struct ev_merit_options){.metric = EV_METRIC_AUC, .covariance = EV_COV_JACKKNIFE};
    if (either_says(q, "delong")) o->covariance = EV_COV_DELONG;
    if (either_says(q, "unbiased")) o->covariance = EV_COV_UNBIASED;
    if (says(q->statistic, "sens")) o->metric = EV_METRIC_SENSITIVITY;
    if (says(q->statistic, "spec")) o->metric = EV_METRIC_SPECIFICITY;
    return o->metric == EV_METRIC_AUC || cut_of(q, &o->cut, e);
}

static bool analyse(const struct ev_question *q, struct ev_study *s, struct ev_merit *m, struct ev_or *o, struct err *e) {
    struct ev_merit_options options;
    return study_of(q, design_of(q), s, e) && options_of(q, &options, e) && ev_merit_of(q->arena, s, &options, m, e) && ev_or_analyse(q->arena, m, o, e);
}

static bool answer_or(const struct ev_question *q, double *value, struct err *e) {
    struct ev_study s;
    struct ev_merit m;
    struct ev_or o;
    struct ev_asked a;
    return analyse(q, &s, &m, &o, e) && ev_asked_of(q, s.treatment, s.treatments, s.reader, s.readers, &a, e) &&
           ev_or_answer(&o, ev_generalise_of(q), &a, false, value, e);
}

static bool dbm_value(const struct ev_dbm *d, const char *what, double *value) {
    const struct {
        const char *name;
        double value;
    } table[] = {{"mst", d->ms_t},     {"msr", d->ms_r},     {"msc", d->ms_c},         {"mstr", d->ms_tr},         {"mstc", d->ms_tc},
                 {"msrc", d->ms_rc},   {"mstrc", d->ms_trc}, {"varr", d->var_r},       {"varc", d->var_c},         {"vartr", d->var_tr},
                 {"vartc", d->var_tc}, {"varrc", d->var_rc}, {"varerr", d->var_error}, {"varerror", d->var_error}, {"vartrc", d->var_error}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(what, table[i].name) == 0) return *value = table[i].value, true;
    return false;
}

// The test of DBM is that of OR with jackknife covariances; its own are the mean squares and components of pseudovalues.
static bool answer_dbm(const struct ev_question *q, double *value, struct err *e) {
    struct ev_study s;
    struct ev_merit m;
    struct ev_or o;
    struct ev_asked a;
    if (!analyse(q, &s, &m, &o, e) || !ev_asked_of(q, s.treatment, s.treatments, s.reader, s.readers, &a, e)) return false;
    struct ev_dbm d = ev_dbm_of(&o);
    if (a.treatment < 0 && a.reader < 0 && !a.difference && dbm_value(&d, a.quantity, value)) return true;
    return ev_or_answer(&o, ev_generalise_of(q), &a, false, value, e);
}

static bool answer_power(const struct ev_question *q, double *value, struct err *e) {
    struct ev_study s;
    struct ev_merit m;
    struct ev_or o;
    return analyse(q, &s, &m, &o, e) && ev_power_answer(q, &o, value, e);
}

// U-statistics of the modality, or of two and their covariance.
struct ustats {
    struct ev_ustat x, y, xy;
    bool two;
};

static bool ustats_of(const struct ev_question *q, const struct ev_study *s, const struct ev_asked *a, struct ustats *u, struct err *e) {
    unsigned i = a->treatment >= 0 ? (unsigned)a->treatment : 0, k = a->other >= 0 ? (unsigned)a->other : 1;
    u->two = a->difference || (a->treatment < 0 && s->treatments > 1);
    if (!ev_ustat_pair(q->arena, s, i, i, &u->x, e)) return false;
    return !u->two || (ev_ustat_pair(q->arena, s, k, k, &u->y, e) && ev_ustat_pair(q->arena, s, i, k, &u->xy, e));
}

// "var MLE", "df BDG", "p normal": the words without those that tell the method.
static void strip(char *text, const char *word) {
    char *at = strstr(text, word);
    if (at) memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
}

// iMRMC's own names of columns: "AUCA", "varAUCB", "AUCAminusAUCB".
static void take_columns(struct ev_asked *a, unsigned treatments) {
    static const struct {
        const char *name;
        int treatment;
        bool difference;
    } NAMED[] = {{"aucaminusaucb", 0, true}, {"auc1minusauc2", 0, true}, {"auca", 0, false}, {"aucb", 1, false}};
    for (size_t i = 0; i < sizeof NAMED / sizeof *NAMED; i++) {
        char *at = strstr(a->quantity, NAMED[i].name);
        if (!at || a->treatment >= 0 || (NAMED[i].treatment || NAMED[i].difference ? 2u : 1u) > treatments) continue;
        strip(at, NAMED[i].name);
        a->treatment = NAMED[i].treatment;
        a->other = 1;
        a->difference = NAMED[i].difference;
    }
}

static bool ustat_value(const struct ev_ustat_result *r, const char *what, bool normal, double *value) {
    if (strcmp(what, "df") == 0)
        *value = r->df;
    else if (strcmp(what, "p") == 0 || strcmp(what, "pvalue") == 0)
        *value = normal ? r->p_normal : r->p;
    else if (strcmp(what, "cilo") == 0 || strcmp(what, "botci") == 0 || strcmp(what, "cilower") == 0)
        *value = normal ? r->lo_normal : r->lo;
    else if (strcmp(what, "cihi") == 0 || strcmp(what, "topci") == 0 || strcmp(what, "ciupper") == 0)
        *value = normal ? r->hi_normal : r->hi;
    else if (strcmp(what, "var") == 0 || strcmp(what, "varauc") == 0 || strcmp(what, "variance") == 0)
        *value = r->variance;
    else if (strcmp(what, "se") == 0)
        *value = sqrt(r->variance);
    else if (strcmp(what, "") == 0 || strcmp(what, "auc") == 0 || strcmp(what, "estimate") == 0)
        *value = r->value;
    else
        return false;
    return true;
}

static bool answer_ustat(const struct ev_question *q, double *value, struct err *e) {
    struct ev_study s;
    struct ev_asked a;
    struct ustats u;
    if (!study_of(q, EV_DESIGN_CROSSED, &s, e) || !ev_asked_of(q, s.treatment, s.treatments, s.reader, s.readers, &a, e)) return false;
    take_columns(&a, s.treatments);
    if (!ustats_of(q, &s, &a, &u, e)) return false;
    bool mle = either_says(q, "MLE"), normal = says(q->parameters, "normal");
    static const char *const METHOD[] = {"bdg", "mle", "ustat", "normal"};
    for (size_t i = 0; i < sizeof METHOD / sizeof *METHOD; i++) strip(a.quantity, METHOD[i]);
    if (strcmp(a.quantity, "cov") == 0 || strcmp(a.quantity, "covauc") == 0)
        return u.two ? (*value = mle ? u.xy.variance_mle : u.xy.variance, true) : err_set(e, ERR_BAD_INPUT, "evidence", "a covariance needs two modalities");
    struct ev_ustat_result r = u.two ? ev_ustat_difference(&u.x, &u.y, &u.xy, mle, a.level) : ev_ustat_single(&u.x, mle, a.level);
    return ustat_value(&r, a.quantity, normal, value) || err_set(e, ERR_UNSUPPORTED, "evidence", "\"%s\" is no quantity of a U-statistic", a.quantity);
}

// "N", "RND" of BCK_component and BCK_coeff(icient), "M1" .. "M8" of BDG_component (moment) and BDG_coeff; of one modality, or of two with each other.
static bool answer_component(const struct ev_question *q, double *value, struct err *e) {
    static const char *const BCK[EV_BCK_COUNT] = {"n", "d", "nd", "r", "nr", "dr", "rnd"};
    struct ev_study s;
    struct ev_asked a;
    struct ustats u;
    if (!study_of(q, EV_DESIGN_CROSSED, &s, e) || !ev_asked_of(q, s.treatment, s.treatments, s.reader, s.readers, &a, e)) return false;
    if (a.treatment < 0) a.treatment = 0;
    if (!ustats_of(q, &s, &a, &u, e)) return false;
    bool mle = either_says(q, "MLE"), coefficient = either_says(q, "coeff");
    const struct ev_ustat *x = u.two ? &u.xy : &u.x;
    for (unsigned i = 0; says(q->statistic, "BCK") && i < EV_BCK_COUNT; i++)
        if (strcmp(a.quantity, BCK[i]) == 0) return *value = coefficient ? x->component_coefficient[i] : mle ? x->component_mle[i] : x->component[i], true;
    if (says(q->statistic, "BDG") && a.quantity[0] == 'm' && a.quantity[1] >= '1' && a.quantity[1] <= '8' && a.quantity[2] == 0) {
        unsigned i = (unsigned)(a.quantity[1] - '1');
        return *value = coefficient ? x->coefficient[i] : mle ? x->moment_mle[i] : x->moment[i], true;
    }
    return err_set(e, ERR_UNSUPPORTED, "evidence", "\"%s\" is no component: N, D, ND, R, NR, DR, RND of BCK, M1 to M8 of BDG", a.quantity);
}

const struct ev_statistic EV_STATISTICS_MRMC[] = {
    {"mrmc_OR_*", answer_or},
    {"mrmc_DBM*", answer_dbm},
    {"mrmc_power*", answer_power},
    {"mrmc_MLE*", answer_ustat},
    {"mrmc_Ustat*", answer_ustat},
    {"mrmc_single_modality*", answer_ustat},
    {"BCK_*", answer_component},
    {"BDG_*", answer_component},

    {0},
};

// gantry evidence simulate: data with known truth.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/evidence.h"
#include "app/input.h"
#include "mod/evidence/simulate_studies.h"

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"seed", "N", "the same seed makes the same data (default: 1)"},
    {"out", "FILE", "the table; then the truth is printed (default: the table on standard output)"},
    {"studies", "N", "readers and tests: draw and analyse N studies, and tell how often intervals cover and tests reject"},
    {"covariance", "jackknife|delong|unbiased", "with --studies: of Obuchowski and Rockette's analysis (default: jackknife)"},
    {"truth-out", "FILE", "froc: the table of lesions"},
    {"readers", "N", "readers or raters (default: 5; tests: 1)"},
    {"normals", "N", "cases without the condition (default: 100)"},
    {"diseased", "N", "cases with it (default: 100)"},
    {"cases", "N", "cases or subjects of drift, calibration, ratings and categories (default: 1000)"},
    {"auc", "A,B,...", "true areas of modalities or tests (default: 0.85,0.90); drift: before,after (default: 0.9,0.85)"},
    {"variances", "R,TR,C,TC,RC,E",
     "readers and tests: of reader, reader x modality, case, case x modality, case x reader, rest (default: 0.03,0.03,0.3,0.3,0.2,0.2; tests: "
     "0,0,0.5,0.5,0,0)"},
    {"ratio", "B", "readers and tests: deviation of normal over that of diseased cases (default: 1)"},
    {"categories", "K", "readers and tests: ratings 1 to K instead of scores"},
    {"change", "N", "drift: cases before the change (default: half)"},
    {"over", "N", "drift: cases that the change takes (default: 0)"},
    {"prevalence", "P,Q", "drift: before and after (default: 0.2,0.2)"},
    {"shift", "S", "drift: of all scores after the change, in standard deviations (default: 0)"},
    {"specificity", "P", "drift: of the threshold before the change (default: 0.9)"},
    {"intercept", "A", "calibration: of the risk's logit (default: 0)"},
    {"slope", "B", "calibration: of the risk's logit (default: 1)"},
    {"logit", "MEAN,SD", "calibration: of the probability's logit (default: -1,1.5)"},
    {"components", "S,R,E", "ratings: variances of subject, rater and rest (default: 1,0.1,0.3)"},
    {"shares", "P,Q,...", "categories: their shares (default: 0.5,0.3,0.2)"},
    {"sure", "P", "categories: probability that a rater sees the true one (default: 0.8)"},
    {"mu", "M,N,...", "froc: separations of modalities (default: 1.5,2)"},
    {"noise", "L", "froc: noise marks per case (default: 0.8)"},
    {"found", "P", "froc: probability that a lesion is found (default: 0.7)"},
    {"lesions", "N", "froc: most lesions of a case (default: 2)"},
    {"reader-sd", "S", "froc: deviation of readers' separations (default: 0.2)"},
    {0},
};

// What one command makes.
struct work {
    struct cli_args *args;
    uint64_t seed;
    struct buf table, second;
    struct ev_report *report;
    bool told; // the report is the answer, there is no table
};

// ---- options ----

// "0.85,0.9" into numbers; *count: at most max, at least min of them.
static bool take_list(const struct cli_args *args, const char *name, const char *fallback, unsigned min, unsigned max, double *out, unsigned *count,
                      struct err *e) {
    struct str rest = str_of(cli_text(args, name, fallback));
    unsigned n = 0;
    for (; rest.p; n++) {
        struct str part = str_split(&rest, ',');
        if (n == max || !str_to_f64(part, &out[n]))
            return err_set(e, ERR_USAGE, "app", "--%s takes from %u to %u numbers parted by commas, not '%s'", name, min, max, cli_text(args, name, fallback));
    }
    if (count) *count = n;
    return n >= min || err_set(e, ERR_USAGE, "app", "--%s takes at least %u numbers parted by commas, not '%s'", name, min, cli_text(args, name, fallback));
}

static bool take_whole(const struct cli_args *args, const char *name, unsigned fallback, unsigned min, unsigned max, unsigned *out, struct err *e) {
    double v = fallback;
    if (!evidence_number(args, name, fallback, min, max, &v, e)) return false;
    *out = (unsigned)v;
    return v == floor(v) || err_set(e, ERR_USAGE, "app", "--%s takes a whole number", name);
}

static bool take_sizes(const struct cli_args *args, unsigned fallback, unsigned *readers, unsigned *normals, unsigned *diseased, struct err *e) {
    return take_whole(args, "readers", fallback, 1, EV_SIM_READERS_MAX, readers, e) && take_whole(args, "normals", 100, 1, EV_SIM_CASES_MAX, normals, e) &&
           take_whole(args, "diseased", 100, 1, EV_SIM_CASES_MAX, diseased, e);
}

static bool take_cases(const struct cli_args *args, size_t *cases, struct err *e) {
    unsigned n = 0;
    bool ok = take_whole(args, "cases", 1000, 1, EV_SIM_CASES_MAX, &n, e);
    *cases = n;
    return ok;
}

// ---- models ----

static bool take_scores(const struct cli_args *args, bool tests, struct ev_sim_readers *m, struct err *e) {
    double v[6];
    *m = (struct ev_sim_readers){0};
    if (!take_sizes(args, tests ? 1 : 5, &m->readers, &m->normals, &m->diseased, e) ||
        !take_list(args, "auc", "0.85,0.90", 1, EV_SIM_TREATMENTS_MAX, m->auc, &m->treatments, e) ||
        !take_list(args, "variances", tests ? "0,0,0.5,0.5,0,0" : "0.03,0.03,0.3,0.3,0.2,0.2", 6, 6, v, NULL, e) ||
        !evidence_number(args, "ratio", 1, 1e-3, 1e3, &m->ratio, e) || !take_whole(args, "categories", 0, 0, EV_SIM_CATEGORIES_MAX, &m->categories, e))
        return false;
    m->var_r = v[0];
    m->var_tr = v[1];
    m->var_c = v[2];
    m->var_tc = v[3];
    m->var_rc = v[4];
    m->var_e = v[5];
    if (tests && m->readers != 1) return err_set(e, ERR_USAGE, "app", "tests have no readers; the model 'readers' has");
    return ev_sim_readers_check(m, e);
}

static bool take_covariance(const struct cli_args *args, enum ev_covariance *out, struct err *e) {
    static const char *const NAMES[] = {[EV_COV_JACKKNIFE] = "jackknife", [EV_COV_DELONG] = "delong", [EV_COV_UNBIASED] = "unbiased"};
    const char *name = cli_text(args, "covariance", "jackknife");
    for (int i = 0; i < 3; i++) {
        *out = (enum ev_covariance)i;
        if (strcmp(NAMES[i], name) == 0) return true;
    }
    return err_set(e, ERR_USAGE, "app", "--covariance takes jackknife, delong or unbiased, not '%s'", name);
}

static bool analyse_studies(struct work *w, const struct ev_sim_readers *m, bool tests, struct err *e) {
    struct ev_sim_studies s = {.seed = w->seed, .level = w->report->level};
    struct ev_sim_tally tally[EV_SIM_ANALYSES];
    if (cli_text(w->args, "out", NULL)) return err_set(e, ERR_USAGE, "app", "--studies prints what it finds; --out writes one study's table");
    if (!take_whole(w->args, "studies", 0, 1, EV_SIM_STUDIES_MAX, &s.studies, e) || !take_covariance(w->args, &s.covariance, e)) return false;
    bool two = m->treatments > 1;
    s.wanted[EV_SIM_AUC_WALD] = s.wanted[EV_SIM_AUC_LOGIT] = tests;
    s.wanted[EV_SIM_PAIRED] = tests && two;
    s.wanted[EV_SIM_RRRC] = s.wanted[EV_SIM_FRRC] = s.wanted[EV_SIM_RRFC] = s.wanted[EV_SIM_USTAT] = !tests && two;
    s.wanted[EV_SIM_RRRC_FIRST] = s.wanted[EV_SIM_USTAT_FIRST] = !tests;
    if (!ev_sim_studies_run(w->args->arena, m, &s, tally, e)) return false;
    ev_sim_studies_report(w->report, m, &s, tally);
    w->report->title = "Simulated studies";
    return w->told = true;
}

static bool simulate_readers(struct work *w, struct err *e) {
    struct ev_sim_readers m;
    if (!take_scores(w->args, false, &m, e)) return false;
    if (cli_text(w->args, "studies", NULL)) return analyse_studies(w, &m, false, e);
    if (!ev_sim_readers_table(w->args->arena, &m, w->seed, &w->table, e)) return false;
    ev_sim_readers_report(w->report, &m);
    return true;
}

static bool simulate_tests(struct work *w, struct err *e) {
    struct ev_sim_readers m;
    if (!take_scores(w->args, true, &m, e)) return false;
    if (cli_text(w->args, "studies", NULL)) return analyse_studies(w, &m, true, e);
    if (!ev_sim_tests_table(w->args->arena, &m, w->seed, &w->table, e)) return false;
    ev_sim_readers_report(w->report, &m);
    return true;
}

static bool simulate_drift(struct work *w, struct err *e) {
    struct ev_sim_drift m = {0};
    unsigned before = 0, over = 0;
    if (!take_cases(w->args, &m.cases, e) || !take_list(w->args, "auc", "0.9,0.85", 2, 2, m.auc, NULL, e) ||
        !take_list(w->args, "prevalence", "0.2,0.2", 2, 2, m.prevalence, NULL, e) || !evidence_number(w->args, "shift", 0, -1e6, 1e6, &m.shift, e) ||
        !evidence_number(w->args, "specificity", 0.9, 0, 1, &m.specificity, e) ||
        !take_whole(w->args, "change", (unsigned)(m.cases / 2), 0, EV_SIM_CASES_MAX, &before, e) ||
        !take_whole(w->args, "over", 0, 0, EV_SIM_CASES_MAX, &over, e))
        return false;
    m.before = before;
    m.over = over;
    if (!ev_sim_drift_check(&m, e)) return false;
    ev_sim_drift_table(&m, w->seed, &w->table);
    ev_sim_drift_report(w->report, &m);
    return true;
}

static bool simulate_calibration(struct work *w, struct err *e) {
    struct ev_sim_calibration m = {0};
    double logit[2];
    if (!take_cases(w->args, &m.cases, e) || !evidence_number(w->args, "intercept", 0, -100, 100, &m.intercept, e) ||
        !evidence_number(w->args, "slope", 1, -100, 100, &m.slope, e) || !take_list(w->args, "logit", "-1,1.5", 2, 2, logit, NULL, e))
        return false;
    m.mean = logit[0];
    m.sd = logit[1];
    if (!ev_sim_calibration_check(&m, e)) return false;
    ev_sim_calibration_table(&m, w->seed, &w->table);
    ev_sim_calibration_report(w->report, &m);
    return true;
}

static bool simulate_ratings(struct work *w, struct err *e) {
    struct ev_sim_ratings m = {0};
    double v[3];
    size_t cases;
    if (!take_cases(w->args, &cases, e) || !take_whole(w->args, "readers", 5, 1, EV_SIM_READERS_MAX, &m.raters, e) ||
        !take_list(w->args, "components", "1,0.1,0.3", 3, 3, v, NULL, e))
        return false;
    m.subjects = (unsigned)cases;
    m.var_subject = v[0];
    m.var_rater = v[1];
    m.var_error = v[2];
    if (!ev_sim_ratings_check(&m, e) || !ev_sim_ratings_table(w->args->arena, &m, w->seed, &w->table, e)) return false;
    ev_sim_ratings_report(w->report, &m);
    return true;
}

static bool simulate_categories(struct work *w, struct err *e) {
    struct ev_sim_categories m = {0};
    size_t cases;
    if (!take_cases(w->args, &cases, e) || !take_whole(w->args, "readers", 5, 1, EV_SIM_READERS_MAX, &m.raters, e) ||
        !take_list(w->args, "shares", "0.5,0.3,0.2", 2, EV_SIM_CATEGORIES_MAX, m.share, &m.categories, e) ||
        !evidence_number(w->args, "sure", 0.8, 0, 1, &m.sure, e))
        return false;
    m.subjects = (unsigned)cases;
    if (!ev_sim_categories_check(&m, e) || !ev_sim_categories_table(w->args->arena, &m, w->seed, &w->table, e)) return false;
    ev_sim_categories_report(w->report, &m);
    return true;
}

static bool simulate_froc(struct work *w, struct err *e) {
    struct ev_sim_froc m = {0};
    if (!take_sizes(w->args, 5, &m.readers, &m.normals, &m.diseased, e) ||
        !take_list(w->args, "mu", "1.5,2", 1, EV_SIM_TREATMENTS_MAX, m.mu, &m.treatments, e) || !evidence_number(w->args, "noise", 0.8, 0, 100, &m.noise, e) ||
        !evidence_number(w->args, "found", 0.7, 0, 1, &m.found, e) || !take_whole(w->args, "lesions", 2, 1, EV_SIM_LESIONS_MAX, &m.lesions_max, e) ||
        !evidence_number(w->args, "reader-sd", 0.2, 0, 100, &m.reader_sd, e) || !ev_sim_froc_check(&m, e))
        return false;
    if (!cli_text(w->args, "out", NULL) || !cli_text(w->args, "truth-out", NULL))
        return err_set(e, ERR_USAGE, "app", "froc writes two tables: --out FILE for the marks and --truth-out FILE for the lesions");
    ev_sim_froc_table(&m, w->seed, &w->table, &w->second);
    ev_sim_froc_report(w->report, &m);
    return true;
}

static const struct model {
    const char *name;
    bool (*make)(struct work *w, struct err *e);
} MODELS[] = {
    {"readers", simulate_readers}, {"tests", simulate_tests},           {"drift", simulate_drift}, {"calibration", simulate_calibration},
    {"ratings", simulate_ratings}, {"categories", simulate_categories}, {"froc", simulate_froc},
};

// ---- the command ----

static bool make(struct work *w, struct err *e) {
    const char *name = w->args->positional[0], *second = cli_text(w->args, "truth-out", NULL), *out = cli_text(w->args, "out", NULL);
    const struct model *m = MODELS, *end = MODELS + sizeof MODELS / sizeof *MODELS;
    while (m < end && strcmp(m->name, name) != 0) m++;
    if (m == end)
        return err_set(e, ERR_USAGE, "app", "there is no model '%s': readers, tests, drift, calibration, ratings, categories and froc are simulated", name);
    if (cli_text(w->args, "studies", NULL) && m->make != simulate_readers && m->make != simulate_tests)
        return err_set(e, ERR_USAGE, "app", "--studies analyses the models readers and tests");
    if (!m->make(w, e) || !buf_ok(&w->table, e) || !buf_ok(&w->second, e)) return false;
    if (second && w->second.n && !output_file(second, buf_str(&w->second), e)) return false;
    return !out || output_file(out, buf_str(&w->table), e);
}

static bool take_seed(const struct cli_args *args, uint64_t *seed, struct err *e) {
    const char *text = cli_text(args, "seed", "1");
    return str_to_u64(str_of(text), seed) || err_set(e, ERR_USAGE, "app", "--seed takes a whole number, not '%s'", text);
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct ev_report report;
    struct work w = {.args = args, .report = &report};
    int code = 0;
    args->arena->ceiling = (size_t)4 << 30; // ten million readings and what is drawn for them
    double level = 0.95;
    bool ok = evidence_level(args, &level, &e);
    ev_report_init(&report, args->arena, "Simulated data", level);
    buf_init(&w.table, (size_t)4 << 30);
    buf_init(&w.second, (size_t)1 << 30);
    if (!ok || !take_seed(args, &w.seed, &e) || !make(&w, &e))
        code = cli_fail(args, &e);
    else if (w.told || cli_text(args, "out", NULL))
        code = evidence_print(args, &report);
    else if (fwrite(w.table.p, 1, w.table.n, stdout) != w.table.n || fflush(stdout) != 0)
        code = cli_fail(args, (err_errno(&e, ERR_IO, "app", "standard output"), &e));
    buf_deinit(&w.table);
    buf_deinit(&w.second);
    return code;
}

const struct cli_command EVIDENCE_SIMULATE = {
    .name = "simulate",
    .synopsis = "[options] readers|tests|drift|calibration|ratings|categories|froc",
    .summary = "Data with known truth: readers, tests, drift, calibration, agreement, marks",
    .permission = ACCESS_LOCAL,
    .group = "Design",
    .details = "readers: several readers, modalities and cases, as 'mrmc' reads them (Roe and Metz's model). tests: scores of several tests on the same cases, "
               "as 'roc' reads them.\n"
               "drift: an algorithm whose scores, prevalence or accuracy change, as 'drift' reads them. calibration: probabilities and outcomes, as 'calib' "
               "reads them.\n"
               "ratings and categories: raters of the same subjects, as 'agree' reads them. froc: marks on lesions and off them, as 'froc' reads them.\n"
               "With --out the table goes to a file and what is true of the model is printed: areas, their standard errors in studies of this size, "
               "agreements, distances.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};

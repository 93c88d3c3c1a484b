// gantry evidence mrmc: reader studies of several readers, modalities and cases.
#include <math.h>
#include <string.h>

#include "app/evidence.h"
#include "app/evidence_mrmc.h"

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"reader", "COLUMN", "the reader (default: reader, readerID, ...)"},
    {"treatment", "COLUMN", "the modality (default: treatment, modality, modalityID, ...; none: one modality)"},
    {"case", "COLUMN", "the case (default: case, caseID, ...)"},
    {"truth", "COLUMN", "the truth (default: truth, ...; or rows whose reader is \"truth\")"},
    {"rating", "COLUMN", "the rating (default: rating, score, ...)"},
    {"positive", "VALUE", "the truth that means disease (default: the greater of the two)"},
    {"method", "or|dbm|ustat|all", "Obuchowski-Rockette, pseudovalues, U-statistics (default: or and ustat)"},
    {"metric", "auc|sensitivity|specificity", "the figure of merit (default: auc)"},
    {"cut", "RATING", "a rating from here on is positive; for sensitivity and specificity"},
    {"covariance", "jackknife|delong|unbiased", "how covariances are estimated (default: jackknife)"},
    {"design", "NAME", "crossed, cases-in-reader, cases-in-treatment or readers-in-treatment (default: seen from the data)"},
    EVIDENCE_MRMC_OPTIONS,
    {0},
};

// A word and what it stands for; lists end with {0}.
struct choice {
    const char *word;
    int value;
};

static bool choose(const struct cli_args *args, const char *option, const struct choice *of, int fallback, int *out, struct err *e) {
    const char *word = cli_text(args, option, NULL);
    *out = fallback;
    if (!word) return true;
    for (; of->word; of++) {
        if (strcmp(of->word, word) != 0) continue;
        *out = of->value;
        return true;
    }
    return err_set(e, ERR_USAGE, "evidence", "--%s: no such choice as \"%s\"", option, word);
}

static bool take_generalise(const struct cli_args *args, bool generalise[3], struct err *e) {
    static const struct choice OF[] = {{"RRRC", EV_RRRC}, {"FRRC", EV_FRRC}, {"RRFC", EV_RRFC}, {"all", -1}, {0}};
    int g;
    if (!choose(args, "generalise", OF, -1, &g, e)) return false;
    for (int i = 0; i < 3; i++) generalise[i] = g < 0 || g == i;
    return true;
}

static bool take_plan(const struct cli_args *args, struct ev_plan_request *p, struct err *e) {
    p->wanted = cli_flag(args, "plan");
    return evidence_number(args, "readers", 0, 2, 10000, &p->readers, e) && evidence_number(args, "cases", 0, 2, 1e7, &p->cases, e) &&
           evidence_number(args, "effect", NAN, -1000, 1000, &p->effect, e) && evidence_number(args, "alpha", 0.05, 1e-12, 0.5, &p->alpha, e) &&
           evidence_number(args, "power", 0.8, 0.01, 0.999999, &p->power, e);
}

bool evidence_mrmc_request(const struct cli_args *args, struct ev_mrmc_request *r, struct err *e) {
    *r = (struct ev_mrmc_request){0};
    return evidence_level(args, &r->level, e) && take_generalise(args, r->generalise, e) && take_plan(args, &r->plan, e);
}

static bool take_methods(const struct cli_args *args, struct ev_mrmc_request *r, struct err *e) {
    static const struct choice METHODS[] = {{"or", 1}, {"dbm", 2}, {"ustat", 4}, {"all", 7}, {0}};
    int methods;
    if (!evidence_mrmc_request(args, r, e) || !choose(args, "method", METHODS, 5, &methods, e)) return false;
    r->rockette = methods & 1;
    r->dbm = methods & 2;
    r->ustat = methods & 4;
    return true;
}

static bool take_merit(const struct cli_args *args, struct ev_merit_options *m, struct ev_mrmc_request *r, struct err *e) {
    static const struct choice METRICS[] = {{"auc", EV_METRIC_AUC}, {"sensitivity", EV_METRIC_SENSITIVITY}, {"specificity", EV_METRIC_SPECIFICITY}, {0}};
    static const struct choice COVARIANCES[] = {{"jackknife", EV_COV_JACKKNIFE}, {"delong", EV_COV_DELONG}, {"unbiased", EV_COV_UNBIASED}, {0}};
    int metric, covariance;
    if (!choose(args, "metric", METRICS, EV_METRIC_AUC, &metric, e) || !choose(args, "covariance", COVARIANCES, EV_COV_JACKKNIFE, &covariance, e)) return false;
    *m = (struct ev_merit_options){.metric = (enum ev_metric)metric, .covariance = (enum ev_covariance)covariance};
    if (metric == EV_METRIC_AUC) return true;
    if (!cli_text(args, "cut", NULL)) return err_set(e, ERR_USAGE, "evidence", "--cut RATING says from which rating on a reading is positive");
    if (!cli_text(args, "method", NULL)) r->ustat = false; // they are of areas
    return evidence_number(args, "cut", 0, -INFINITY, INFINITY, &m->cut, e);
}

static bool take_design(const struct cli_args *args, enum ev_design *out, struct err *e) {
    static const struct choice OF[] = {{"crossed", EV_DESIGN_CROSSED},
                                       {"cases-in-reader", EV_DESIGN_CASES_IN_READER},
                                       {"cases-in-treatment", EV_DESIGN_CASES_IN_TREATMENT},
                                       {"readers-in-treatment", EV_DESIGN_READERS_IN_TREATMENT},
                                       {0}};
    int design;
    if (!choose(args, "design", OF, EV_DESIGN_DETECT, &design, e)) return false;
    *out = (enum ev_design)design;
    return true;
}

static bool report(struct cli_args *args, struct ev_report *r, struct err *e) {
    struct ev_study_columns columns = {
        .reader = cli_text(args, "reader", NULL),
        .treatment = cli_text(args, "treatment", NULL),
        .subject = cli_text(args, "case", NULL),
        .truth = cli_text(args, "truth", NULL),
        .rating = cli_text(args, "rating", NULL),
        .positive = cli_text(args, "positive", NULL),
    };
    struct ev_mrmc_request request;
    struct ev_merit_options merit;
    enum ev_design design;
    struct csv t;
    struct ev_study s;
    return take_methods(args, &request, e) && take_merit(args, &merit, &request, e) && take_design(args, &design, e) &&
           evidence_read(args, args->positional[0], &t, e) && ev_study_read(args->arena, &t, &columns, design, &s, e) &&
           ev_mrmc_report(args->arena, &s, &merit, &request, r, e);
}

int evidence_mrmc_print(const struct cli_args *args, const struct ev_report *r) {
    struct ev_report differences = *r;
    struct ev_plot plot;
    struct err e = {0};
    if (!evidence_plots(args)) return evidence_print(args, r);
    differences.entry_count = 0;
    differences.entries = arena_zero(args->arena, r->entry_count, sizeof *r->entries, &e);
    if (!differences.entries) return cli_fail(args, &e);
    for (unsigned i = 0; i < r->entry_count; i++)
        if (strcmp(r->entries[i].name, "Difference") == 0) differences.entries[differences.entry_count++] = r->entries[i];
    if (differences.entry_count == 0 || !ev_plot_of_report(&plot, args->arena, &differences)) return evidence_print(args, r);
    return evidence_print_plot(args, r, &plot);
}

static int run(struct cli_args *args) {
    struct ev_report r;
    struct err e = {0};
    if (!report(args, &r, &e)) return cli_fail(args, &e);
    return evidence_mrmc_print(args, &r);
}

const struct cli_command EVIDENCE_MRMC = {
    .name = "mrmc",
    .synopsis = "[options] FILE",
    .summary = "Reader studies: several readers, modalities and cases",
    .permission = ACCESS_LOCAL,
    .group = "Readers",
    .details = "A row of FILE is one reading: reader, modality, case, truth and rating; or, as iMRMC has it, readerID, caseID, modalityID and score, where "
               "rows of the reader \"truth\"\n"
               "hold the truth (0 or 1). Readings that are missing are allowed: U-statistics are made for them.\n"
               "Differences of modalities, their intervals and tests come for random readers and cases (RRRC), these readers (FRRC) and these cases (RRFC).",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};

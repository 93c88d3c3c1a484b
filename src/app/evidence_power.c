// gantry evidence power: how many cases a study needs, or what power it has.
#include <math.h>
#include <string.h>

#include "app/evidence.h"
#include "mod/evidence/mrmc.h"
#include "mod/evidence/power.h"

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"power", "P", "power wanted (default: 0.8)"},
    {"alpha", "A", "level of the test (default: 0.05)"},
    {"sides", "1|2", "sides of the test (default: 2; noninferior and equivalent: 1)"},
    {"n", "N", "cases with the condition, or of the first group, or pairs: the power of that many instead"},
    {"ratio", "R", "cases without the condition (or of the other group) for each of those (default: 1)"},
    {"auc", "A", "expected area; of the first test"},
    {"auc2", "A", "expected area of the second test"},
    {"null", "A", "area or proportion of the null hypothesis (default: 0.5)"},
    {"correlation", "R", "of the two tests' scores, in either class (default: 0)"},
    {"p1", "P", "a proportion; of the first group, or positive by the first test only"},
    {"p2", "P", "the other"},
    {"margin", "M", "of noninferiority or equivalence"},
    {"half-width", "W", "of the interval wanted"},
    {"prevalence", "P", "share of the cases that count (default: 1)"},
    {"readers", "J", "mrmc: readers"},
    {"cases", "K", "mrmc: cases"},
    {"effect", "D", "mrmc: difference of the figures of merit"},
    {"var-tr", "V", "mrmc, of a pilot: variance of treatments by readers"},
    {"var-error", "V", "mrmc, of a pilot: error variance"},
    {"cov1", "V", "mrmc, of a pilot: covariance of treatments within a reader"},
    {"cov2", "V", "mrmc, of a pilot: covariance of readers within a treatment"},
    {"cov3", "V", "mrmc, of a pilot: covariance of both different"},
    {"pilot-cases", "K", "mrmc: cases of the pilot"},
    {"generalise", "RRRC|FRRC|RRFC", "mrmc: to random readers and cases, these readers, these cases (default: RRRC)"},
    {0},
};

struct asked {
    const struct cli_args *args;
    double power, alpha, n, ratio; // n NaN: the number is asked
    int sides;
    struct ev_report *r;
    struct err *e;
};

static bool take(const struct asked *x, const char *name, double min, double max, double *out) {
    if (!cli_text(x->args, name, NULL)) return err_set(x->e, ERR_USAGE, "evidence", "--%s is needed for this design", name);
    return evidence_number(x->args, name, NAN, min, max, out, x->e);
}

static bool take_common(struct asked *x, const struct cli_args *args, int sides) {
    int64_t n;
    if (!cli_int(args, "sides", sides, 1, 2, &n)) return err_set(x->e, ERR_USAGE, "evidence", "--sides takes 1 or 2");
    x->sides = (int)n;
    return evidence_number(args, "power", 0.8, 0.01, 0.999999, &x->power, x->e) && evidence_number(args, "alpha", 0.05, 1e-12, 0.5, &x->alpha, x->e) &&
           evidence_number(args, "n", NAN, 2, 1e12, &x->n, x->e) && evidence_number(args, "ratio", 1, 1e-6, 1e6, &x->ratio, x->e);
}

static const char *number(const struct asked *x, double value) {
    const char *z = arena_printf(x->args->arena, NULL, "%g", value);
    return z ? z : "";
}

static void tell_test(struct asked *x) {
    if (x->sides == 2)
        ev_report_method(x->r, "Two-sided test at the level {0}.", number(x, x->alpha), NULL);
    else
        ev_report_method(x->r, "One-sided test at the level {0}.", number(x, x->alpha), NULL);
}

// The two groups' numbers, rounded up each, or the power of the number given.
static void tell_groups(struct asked *x, const char *first, const char *second, double n, double power) {
    tell_test(x);
    if (!isnan(x->n)) {
        ev_report_value(x->r, "Power", power);
        return;
    }
    ev_report_value(x->r, "Power", x->power);
    ev_report_value(x->r, first, ceil(n));
    if (second) ev_report_value(x->r, second, ceil(n * x->ratio));
    if (second) ev_report_value(x->r, "Cases in all", ceil(n) + ceil(n * x->ratio));
    ev_report_value(x->r, "Before rounding up", n);
}

static void tell_effect(struct asked *x, const struct ev_effect *f, const char *first, const char *second) {
    tell_groups(x, first, second, ev_effect_size(f, x->power, x->alpha), ev_effect_power(f, x->n, x->alpha));
}

static bool plan_auc(struct asked *x) {
    double auc, null;
    if (!take(x, "auc", 0.001, 0.999, &auc) || !evidence_number(x->args, "null", 0.5, 0.001, 0.999, &null, x->e)) return false;
    if (auc == null) return err_set(x->e, ERR_USAGE, "evidence", "--auc and --null are the same: no number of cases shows a difference");
    struct ev_effect f = ev_effect_auc(auc, null, x->ratio, x->sides);
    ev_report_method(x->r, "An area was planned against {0} by the binormal variance of Obuchowski.", number(x, null), NULL);
    ev_report_source(x->r, "Obuchowski NA, Lieber ML, Wians FH. Clin Chem 2004;50:1118-1125");
    tell_effect(x, &f, "Positive cases", "Negative cases");
    return true;
}

static bool two_areas(struct asked *x, struct ev_binormal *one, struct ev_binormal *two, double *difference, double *r) {
    double a1, a2;
    if (!take(x, "auc", 0.001, 0.999, &a1) || !take(x, "auc2", 0.001, 0.999, &a2) || !evidence_number(x->args, "correlation", 0, -0.999, 0.999, r, x->e))
        return false;
    *one = ev_binormal_of_area(a1);
    *two = ev_binormal_of_area(a2);
    *difference = a1 - a2;
    ev_report_method(x->r, "Two areas of the same cases were planned by binormal curves of equal variances whose scores correlate by {0}.", number(x, *r),
                     NULL);
    ev_report_source(x->r, "Obuchowski NA, McClish DK. Stat Med 1997;16:1529-1542");
    return true;
}

static bool plan_two_aucs(struct asked *x) {
    struct ev_binormal one, two;
    double d, r;
    if (!two_areas(x, &one, &two, &d, &r)) return false;
    if (d == 0)
        return err_set(x->e, ERR_USAGE, "evidence", "--auc and --auc2 are the same: no number of cases shows a difference (noninferiority: auc-noninferior)");
    struct ev_effect f = ev_effect_binormal(&one, &two, d, r, r, x->ratio, x->sides);
    tell_effect(x, &f, "Positive cases", "Negative cases");
    return true;
}

// The first test is no worse than the second by the margin.
static bool plan_auc_noninferior(struct asked *x) {
    struct ev_binormal one, two;
    double d, r, margin;
    if (!two_areas(x, &one, &two, &d, &r) || !take(x, "margin", 1e-9, 1, &margin)) return false;
    if (d + margin <= 0) return err_set(x->e, ERR_USAGE, "evidence", "the first area is worse by the margin or more: no number of cases shows otherwise");
    struct ev_effect f = ev_effect_binormal(&one, &two, d + margin, r, r, x->ratio, x->sides);
    f.null = f.alternative;
    tell_effect(x, &f, "Positive cases", "Negative cases");
    return true;
}

static bool plan_proportion(struct asked *x) {
    double p, null;
    if (!take(x, "p1", 0, 1, &p) || !take(x, "null", 0, 1, &null)) return false;
    if (p == null) return err_set(x->e, ERR_USAGE, "evidence", "--p1 and --null are the same: no number of cases shows a difference");
    struct ev_effect f = {p - null, null * (1 - null), p * (1 - p), x->sides};
    ev_report_method(x->r, "A proportion was planned against a fixed one by the normal test.", NULL);
    tell_effect(x, &f, "Cases", NULL);
    return true;
}

static bool plan_two_proportions(struct asked *x) {
    double p1, p2;
    if (!take(x, "p1", 0, 1, &p1) || !take(x, "p2", 0, 1, &p2)) return false;
    if (p1 == p2) return err_set(x->e, ERR_USAGE, "evidence", "--p1 and --p2 are the same: no number of cases shows a difference");
    if (x->ratio != 1) return err_set(x->e, ERR_USAGE, "evidence", "--ratio: this design has groups of the same size");
    ev_report_method(x->r, "Two independent proportions were planned by the normal test, with the common proportion under the null hypothesis.", NULL);
    tell_groups(x, "First group", "Second group", ev_size_two_proportions(p1, p2, x->power, x->alpha, x->sides),
                ev_power_two_proportions(p1, p2, x->n, x->alpha, x->sides));
    return true;
}

static bool plan_paired(struct asked *x) {
    double b, c;
    if (!take(x, "p1", 0, 1, &b) || !take(x, "p2", 0, 1, &c)) return false;
    if (b == c || b + c > 1)
        return err_set(x->e, ERR_USAGE, "evidence", "--p1 and --p2 are the shares of pairs that only one test calls: different, together at most 1");
    ev_report_method(x->r, "Paired proportions were planned by McNemar's test.", NULL);
    ev_report_source(x->r, "Connor RJ. Biometrics 1987;43:207-211");
    tell_groups(x, "Pairs", NULL, ev_size_paired_proportions(b, c, x->power, x->alpha, x->sides), ev_power_paired_proportions(b, c, x->n, x->alpha, x->sides));
    return true;
}

static bool plan_precision(struct asked *x) {
    double p, half, share, level;
    if (!take(x, "p1", 0, 1, &p) || !take(x, "half-width", 1e-6, 0.5, &half) || !evidence_number(x->args, "prevalence", 1, 1e-9, 1, &share, x->e)) return false;
    if (!evidence_level(x->args, &level, x->e)) return false;
    double n = ev_size_precision(p, half, share, level);
    ev_report_method(x->r, "A proportion's interval was planned to reach {0} to either side.", number(x, half), NULL);
    ev_report_source(x->r, "Buderer NM. Acad Emerg Med 1996;3:895-900");
    ev_report_value(x->r, "Cases in all", ceil(n));
    ev_report_value(x->r, "Before rounding up", n);
    return true;
}

static bool plan_margin(struct asked *x, double (*size)(double, double, double, double, double, double)) {
    double p1, p2, margin;
    if (!take(x, "p1", 0, 1, &p1) || !take(x, "p2", 0, 1, &p2) || !take(x, "margin", 1e-9, 1, &margin)) return false;
    if (!isnan(x->n)) return err_set(x->e, ERR_USAGE, "evidence", "--n: this design answers with the number of cases only");
    double n = size(p1, p2, margin, x->power, x->alpha, 1 / x->ratio); // of the second group, controls; ours is a ratio to the first
    if (isnan(n)) return err_set(x->e, ERR_USAGE, "evidence", "the proportions differ by the margin or more: no number of cases shows otherwise");
    ev_report_source(x->r, "Chow SC, Shao J, Wang H. Sample size calculations in clinical research. 2nd ed. Chapman & Hall 2008");
    tell_groups(x, "First group", "Second group", n / x->ratio, NAN);
    return true;
}

static bool plan_noninferior(struct asked *x) {
    ev_report_method(x->r, "The first proportion was planned to be no worse than the second by the margin.", NULL);
    return plan_margin(x, ev_size_noninferior);
}

static bool plan_equivalent(struct asked *x) {
    ev_report_method(x->r, "Two proportions were planned to differ by less than the margin, by two one-sided tests.", NULL);
    return plan_margin(x, ev_size_equivalent);
}

static bool take_generalise(const struct asked *x, enum ev_generalise *g) {
    const char *word = cli_text(x->args, "generalise", "RRRC");
    *g = strcmp(word, "FRRC") == 0 ? EV_FRRC : strcmp(word, "RRFC") == 0 ? EV_RRFC : EV_RRRC;
    if (*g != EV_RRRC || strcmp(word, "RRRC") == 0) return true;
    return err_set(x->e, ERR_USAGE, "evidence", "--generalise: no such choice as \"%s\"", word);
}

static bool tell_mrmc(struct asked *x, const struct ev_or_plan *p, enum ev_generalise g, double readers, double effect) {
    double cases;
    tell_test(x);
    if (!cli_text(x->args, "cases", NULL)) {
        unsigned k = ev_or_cases(p, g, readers, effect, x->alpha, x->power);
        ev_report_value(x->r, "Power", x->power);
        if (k)
            ev_report_value(x->r, "Cases", k);
        else
            ev_report_none(x->r, "Cases", "no number of cases gives that power with so few readers");
        return true;
    }
    if (!take(x, "cases", 2, 1e7, &cases)) return false;
    struct ev_power power = ev_or_power(p, g, readers, cases, effect, x->alpha);
    ev_report_value(x->r, "Power", power.power);
    ev_report_value(x->r, "Noncentrality", power.ncp);
    ev_report_value(x->r, "df", power.df2);
    return true;
}

static bool plan_mrmc(struct asked *x) {
    struct ev_or_plan p;
    enum ev_generalise g;
    double readers, effect;
    if (!take(x, "var-tr", -1e6, 1e6, &p.var_tr) || !take(x, "var-error", 0, 1e6, &p.var_error) || !take(x, "cov1", -1e6, 1e6, &p.cov1) ||
        !take(x, "cov2", -1e6, 1e6, &p.cov2) || !take(x, "cov3", -1e6, 1e6, &p.cov3) || !take(x, "pilot-cases", 2, 1e7, &p.cases) ||
        !take(x, "readers", 2, 1e4, &readers) || !take(x, "effect", -1e3, 1e3, &effect) || !take_generalise(x, &g))
        return false;
    if (x->sides != 2) return err_set(x->e, ERR_USAGE, "evidence", "--sides: the test of reader studies is two-sided");
    ev_report_method(x->r, "A reader study was planned by the F test of Obuchowski and Rockette with Hillis' degrees of freedom.", NULL);
    ev_report_source(x->r, "Hillis SL, Obuchowski NA, Berbaum KS. Acad Radiol 2011;18:129-142");
    return tell_mrmc(x, &p, g, readers, effect);
}

static const struct {
    const char *name;
    int sides;
    bool (*plan)(struct asked *x);
} DESIGNS[] = {
    {"auc", 2, plan_auc},
    {"two-aucs", 2, plan_two_aucs},
    {"auc-noninferior", 1, plan_auc_noninferior},
    {"proportion", 2, plan_proportion},
    {"two-proportions", 2, plan_two_proportions},
    {"paired-proportions", 2, plan_paired},
    {"precision", 2, plan_precision},
    {"noninferior", 1, plan_noninferior},
    {"equivalent", 1, plan_equivalent},
    {"mrmc", 2, plan_mrmc},
};

static bool plan(struct asked *x, const struct cli_args *args, const char *name) {
    double level;
    if (!evidence_level(args, &level, x->e)) return false;
    ev_report_init(x->r, args->arena, "Power and sample size", level);
    for (size_t i = 0; i < sizeof DESIGNS / sizeof DESIGNS[0]; i++)
        if (strcmp(DESIGNS[i].name, name) == 0) return take_common(x, args, DESIGNS[i].sides) && DESIGNS[i].plan(x);
    return err_set(x->e, ERR_USAGE, "evidence", "there is no design of the name '%s'", name);
}

static int run(struct cli_args *args) {
    struct ev_report r = {0};
    struct err e = {0};
    struct asked x = {.args = args, .r = &r, .e = &e};
    if (!plan(&x, args, args->positional[0])) return cli_fail(args, &e);
    return evidence_print(args, &r);
}

const struct cli_command EVIDENCE_POWER = {
    .name = "power",
    .synopsis = "DESIGN [options]",
    .summary = "Power and sample size of studies of accuracy and of readers",
    .permission = ACCESS_LOCAL,
    .group = "Design",
    .details = "DESIGN  what it needs\n"
               "  auc                 --auc [--null]: one area against a fixed one\n"
               "  two-aucs            --auc --auc2 [--correlation]: two tests on the same cases\n"
               "  auc-noninferior     --auc --auc2 --margin [--correlation]: the first is no worse\n"
               "  proportion          --p1 --null: sensitivity or specificity against a fixed one\n"
               "  two-proportions     --p1 --p2: of two groups\n"
               "  paired-proportions  --p1 --p2: shares that only the first, only the second test calls\n"
               "  precision           --p1 --half-width [--prevalence]: width of an interval\n"
               "  noninferior         --p1 --p2 --margin [--ratio]: the first is no worse\n"
               "  equivalent          --p1 --p2 --margin [--ratio]: within the margin\n"
               "  mrmc                --readers --effect and a pilot's components [--cases]: a reader study\n"
               "With --n (mrmc: --cases) the answer is the power, else the number of cases.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};

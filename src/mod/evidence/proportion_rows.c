// Reference rows of proportions, two by two tables, McNemar's test and sample sizes of proportions.
#include <math.h>

#include "mod/evidence/ask.h"
#include "mod/evidence/power.h"
#include "mod/evidence/table2x2.h"

// The statistic's name without what it begins with, and which end of the interval it asks for.
struct asked {
    struct str name;
    char which; // 'v' value, 'l', 'h'
};

static struct asked asked_of(struct str statistic, size_t prefix) {
    struct asked out = {str_sub(statistic, prefix, statistic.n), 'v'};
    if (str_ends(out.name, STR_LIT("_lo"))) out.which = 'l';
    if (str_ends(out.name, STR_LIT("_hi"))) out.which = 'h';
    if (out.which != 'v') out.name.n -= 3;
    return out;
}

static double pick(struct ev_interval x, char which) {
    return which == 'l' ? x.lo : which == 'h' ? x.hi : x.value;
}

static bool proportion(const struct ev_question *q, double *value, struct err *e) {
    struct asked asked = asked_of(q->statistic, 0);
    enum ev_proportion_method method;
    double number[2];
    struct str piece = ev_piece(q, 0);
    if (!ev_proportion_method(asked.name, &method))
        return err_set(e, ERR_UNSUPPORTED, "evidence", "%.*s: no interval of a proportion is called so", STR_FMT(q->statistic));
    if (str_find(piece, '/', 0) == piece.n || ev_ask_numbers(piece, number, 2) != 2) return ev_ask_lacks(q, "a proportion \"k/n\"", e);
    struct ev_interval x = ev_proportion(number[0], number[1], method, ev_ask_level(q->parameters));
    if (isnan(x.value)) return err_set(e, ERR_BAD_INPUT, "evidence", "%.*s is no proportion", STR_FMT(piece));
    *value = pick(x, asked.which);
    return true;
}

static bool table(const struct ev_question *q, double *value, struct err *e) {
    struct asked asked = asked_of(q->statistic, sizeof "diag2x2_" - 1);
    enum ev_measure measure;
    enum ev_proportion_method method = EV_CLOPPER_PEARSON;
    struct ev_table2x2 t;
    struct str p = q->parameters, named;
    if (!ev_measure_of(asked.name, &measure))
        return err_set(e, ERR_UNSUPPORTED, "evidence", "%.*s: no measure of a two by two table is called so", STR_FMT(q->statistic));
    if (!ev_ask_number(p, "TP", &t.tp) || !ev_ask_number(p, "FP", &t.fp) || !ev_ask_number(p, "FN", &t.fn) || !ev_ask_number(p, "TN", &t.tn))
        return ev_ask_lacks(q, "one of the counts TP, FP, FN, TN", e);
    if (ev_parameter(q, "method", &named) && !ev_proportion_method(named, &method))
        return err_set(e, ERR_UNSUPPORTED, "evidence", "method=%.*s: no interval of a proportion is called so", STR_FMT(named));
    *value = pick(ev_table2x2_measure(&t, measure, method, ev_ask_level(p)), asked.which);
    return true;
}

// "discordant 86 vs 150", "b=86;c=150", or the four cells "(794,86,150,570)".
static bool discordant(const struct ev_question *q, double *b, double *c, struct err *e) {
    struct str p = q->parameters;
    double number[6];
    if (ev_ask_number(p, "discordant", b) && ev_ask_number(p, "vs", c)) return true;
    if (ev_ask_number(p, "b", b) && ev_ask_number(p, "c", c)) return true;
    if (ev_ask_numbers(p, number, 6) != 4) return ev_ask_lacks(q, "the two numbers of discordant pairs", e);
    *b = number[1];
    *c = number[2];
    return true;
}

static bool mcnemar(const struct ev_question *q, double *value, struct err *e) {
    double b = 0, c = 0;
    if (!discordant(q, &b, &c, e)) return false;
    struct ev_mcnemar m = ev_mcnemar(b, c);
    const struct {
        const char *name;
        double value;
    } of[] = {{"chi2", m.chi2},       {"p", m.p},        {"chi2_cc", m.chi2_cc}, {"p_cc", m.p_cc},   {"exact_p", m.p_exact},
              {"p_exact", m.p_exact}, {"midp", m.p_mid}, {"mid_p", m.p_mid},     {"p_mid", m.p_mid}, {"midp_p", m.p_mid}};
    struct str name = str_sub(q->statistic, sizeof "mcnemar_" - 1, q->statistic.n);
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++)
        if (str_eqz(name, of[i].name)) {
            *value = of[i].value;
            return true;
        }
    return err_set(e, ERR_UNSUPPORTED, "evidence", "%.*s: McNemar's test has no such value", STR_FMT(q->statistic));
}

struct plan {
    double power, alpha, ratio;
    int sides;
    bool total;
};

static struct plan plan_of(struct str p, int sides) {
    struct plan out = {0.8, 0.05, 1, sides, ev_ask_word(p, "total")};
    if (ev_ask_number(p, "power", &out.power) && out.power > 1) out.power /= 100;
    if (!ev_ask_number(p, "alpha", &out.alpha)) ev_ask_number(p, "sig.level", &out.alpha);
    if (!ev_ask_number(p, "r", &out.ratio)) ev_ask_number(p, "ratio", &out.ratio);
    if (ev_ask_word(p, "one-sided") || ev_ask_word(p, "one.sided")) out.sides = 1;
    if (ev_ask_word(p, "two-sided") || ev_ask_word(p, "two.sided")) out.sides = 2;
    return out;
}

static bool two_groups(const struct ev_question *q, double *value, struct err *e) {
    struct str p = q->parameters;
    struct plan plan = plan_of(p, 2);
    double p1, p2, n;
    if (!ev_ask_number(p, "p1", &p1) || !ev_ask_number(p, "p2", &p2)) return ev_ask_lacks(q, "p1 or p2", e);
    if (ev_ask_number(p, "n", &n)) {
        *value = ev_power_two_proportions(p1, p2, n, plan.alpha, plan.sides);
        return true;
    }
    *value = ev_size_two_proportions(p1, p2, plan.power, plan.alpha, plan.sides) * (plan.total ? 2 : 1);
    return true;
}

// Precision of a sensitivity or specificity.
static bool precision(const struct ev_question *q, double *value, struct err *e) {
    struct str p = q->parameters;
    bool sensitivity = str_eqz(q->statistic, "sample_size_se");
    double rate, prevalence = NAN, half;
    if (!ev_ask_number(p, sensitivity ? "Se" : "Sp", &rate)) return ev_ask_lacks(q, sensitivity ? "Se" : "Sp", e);
    if (!ev_ask_number(p, "precision", &half) && !ev_ask_number(p, "epsilon", &half)) return ev_ask_lacks(q, "the precision", e);
    if (!ev_ask_number(p, "prev", &prevalence) && !ev_ask_number(p, "prevalence", &prevalence)) return ev_ask_lacks(q, "prev", e);
    if (ev_ask_word(p, "rel") || ev_ask_word(p, "relative")) half *= rate;
    bool counted = ev_ask_word(p, "diseased") || ev_ask_word(p, "cases") || ev_ask_word(p, "non-diseased");
    *value = ev_size_precision(rate, half, counted ? 1 : sensitivity ? prevalence : 1 - prevalence, ev_ask_level(p));
    return true;
}

static bool margin(const struct ev_question *q, double *value, struct err *e) {
    struct str p = q->parameters;
    struct plan plan = plan_of(p, 1);
    double treated, control, delta;
    if (!ev_ask_number(p, "treat", &treated) && !ev_ask_number(p, "treated", &treated)) return ev_ask_lacks(q, "treat", e);
    if (!ev_ask_number(p, "control", &control)) return ev_ask_lacks(q, "control", e);
    if (!ev_ask_number(p, "delta", &delta) && !ev_ask_number(p, "margin", &delta)) return ev_ask_lacks(q, "delta", e);
    double n = str_starts(q->statistic, STR_LIT("sample_size_noninferiority"))
                   ? ev_size_noninferior(treated, control, delta, plan.power, plan.alpha, plan.ratio)
                   : ev_size_equivalent(treated, control, delta, plan.power, plan.alpha, plan.ratio);
    bool of_treated = !plan.total && (ev_ask_bare(p, "n.treat") || ev_ask_bare(p, "treated"));
    bool per_group = !plan.total && (of_treated || ev_ask_bare(p, "n.control") || ev_ask_word(p, "group"));
    *value = per_group ? n * (of_treated ? plan.ratio : 1) : n * (1 + plan.ratio);
    return true;
}

const struct ev_statistic EV_STATISTICS_PROPORTION[] = {
    {"wilson_*", proportion},
    {"clopper_pearson_*", proportion},
    {"exact_*", proportion},
    {"agresti_coull_*", proportion},
    {"jeffreys_*", proportion},
    {"mid_p_*", proportion},
    {"wald_*", proportion},
    {"diag2x2_*", table},
    {"mcnemar_*", mcnemar},
    {"sample_size_two_prop*", two_groups},
    {"power_two_prop*", two_groups},
    {"sample_size_se", precision},
    {"sample_size_sp", precision},
    {"sample_size_noninferiority*", margin},
    {"sample_size_equivalence*", margin},
    {0},
};

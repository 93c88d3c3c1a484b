// Rows of reference values about free-response studies.
#include "mod/evidence/froc.h"
#include "mod/evidence/question.h"

static bool froc_of(const struct ev_question *q, struct ev_froc *f, struct err *e) {
    const struct csv *marks = q->table(q, "_marks", e), *truth = marks ? q->table(q, "_truth", e) : NULL;
    return truth && ev_froc_read(q->arena, marks, truth, f, e);
}

// The figure of merit in "froc_fom_<name>" or "mrmc_<name>_RRRC"; what stands in brackets behind it is a remark, but "all cases" of MaxNLF.
static int merit_of(struct str statistic, const char *prefix) {
    struct str name = str_sub(statistic, strlen(prefix), statistic.n);
    size_t end = 0;
    while (end < name.n && !strchr("_( ", name.p[end])) end++;
    int m = ev_froc_merit_named(str_sub(name, 0, end));
    for (size_t i = end; m == EV_FROC_MAXNLF && i + 3 <= name.n; i++)
        if (str_eq_nocase(str_sub(name, i, 3), STR_LIT("all"))) return EV_FROC_MAXNLF_ALL;
    return m;
}

static bool unknown(const struct ev_question *q, struct err *e) {
    return err_set(e, ERR_UNSUPPORTED, "evidence", "\"%.*s\" names no known figure of merit", STR_FMT(q->statistic));
}

static bool answer_merit(const struct ev_question *q, double *value, struct err *e) {
    struct ev_froc f;
    struct ev_asked a;
    int m = merit_of(q->statistic, "froc_fom_");
    if (m < 0) return unknown(q, e);
    if (!froc_of(q, &f, e) || !ev_asked_of(q, f.treatment, f.treatments, f.reader, f.readers, &a, e)) return false;
    if (a.reader < 0 || (a.treatment < 0 && f.treatments > 1)) return err_set(e, ERR_BAD_INPUT, "evidence", "a reader and a modality must be named");
    struct err failed = {0};
    *value = ev_froc_merit(q->arena, &f, (enum ev_froc_merit)m, a.treatment >= 0 ? (unsigned)a.treatment : 0, (unsigned)a.reader, &failed);
    if (failed.kind == ERR_NONE) return true;
    *e = failed;
    return false;
}

static bool answer_or(const struct ev_question *q, double *value, struct err *e) {
    struct ev_froc f;
    struct ev_asked a;
    struct ev_merit merit;
    struct ev_or o;
    int m = merit_of(q->statistic, "mrmc_");
    if (m < 0) return unknown(q, e);
    return froc_of(q, &f, e) && ev_asked_of(q, f.treatment, f.treatments, f.reader, f.readers, &a, e) &&
           ev_froc_merits(q->arena, &f, (enum ev_froc_merit)m, &merit, e) && ev_or_analyse(q->arena, &merit, &o, e) &&
           ev_or_answer(&o, ev_generalise_of(q), &a, true, value, e);
}

const struct ev_statistic EV_STATISTICS_FROC[] = {
    {"froc_fom_*", answer_merit}, {"mrmc_wAFROC*", answer_or}, {"mrmc_AFROC*", answer_or}, {"mrmc_Hr*", answer_or}, {"mrmc_Max*", answer_or}, {0},
};

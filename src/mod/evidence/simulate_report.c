// What is true of simulated data, as reports.
#include <math.h>

#include "math/dist.h"
#include "mod/evidence/simulate.h"

void ev_sim_readers_report(struct ev_report *r, const struct ev_sim_readers *m) {
    struct ev_sim_readers_truth t;
    ev_sim_readers_truth(m, &t);
    for (unsigned i = 0; i < m->treatments; i++) {
        ev_report_group(r, "%u", i + 1);
        ev_report_estimate(r, "True AUC", t.auc[i], sqrt(t.cov[i][i]), NAN, NAN);
    }
    for (unsigned i = 0; i < m->treatments; i++)
        for (unsigned k = i + 1; k < m->treatments; k++) {
            ev_report_group(r, "%u - %u", i + 1, k + 1);
            ev_report_estimate(r, "True difference", t.auc[i] - t.auc[k], sqrt(t.cov[i][i] + t.cov[k][k] - 2 * t.cov[i][k]), NAN, NAN);
        }
    ev_report_method(r, "Scores were drawn from the model of Roe and Metz: normal effects of readers, cases and their interactions with the modality.",
                     (const char *)NULL);
    if (m->categories)
        ev_report_method(r, "Scores were cut into categories; the true areas are those of the categories.", (const char *)NULL);
    else
        ev_report_method(r, "Standard errors are the true ones of the empirical area averaged over the readers, of studies of this size.", (const char *)NULL);
    ev_report_source(r, "Roe CA, Metz CE. Acad Radiol 1997;4:298-303");
    ev_report_source(r, "Gallas BD, Hillis SL. J Med Imaging 2014;1:031006");
}

void ev_sim_drift_report(struct ev_report *r, const struct ev_sim_drift *m) {
    static const char *const WHEN[] = {"before", "after"};
    struct ev_sim_drift_truth t;
    ev_sim_drift_truth(m, &t);
    ev_report_value(r, "Threshold", t.threshold);
    ev_report_value(r, "First changed case", (double)m->before + 1);
    for (int w = 0; w < 2; w++) {
        ev_report_group(r, "%s", ev_term(WHEN[w], EV_EN));
        ev_report_value(r, "True AUC", m->auc[w]);
        ev_report_value(r, "True prevalence", m->prevalence[w]);
        ev_report_value(r, "True sensitivity", t.sensitivity[w]);
        ev_report_value(r, "True specificity", t.specificity[w]);
        ev_report_value(r, "True share of positive calls", t.positive[w]);
        ev_report_value(r, "True mean of scores", t.mean[w]);
        ev_report_value(r, "True SD of scores", t.sd[w]);
    }
    ev_report_group(r, "%s", "");
    ev_report_value(r, "True PSI over tenths", t.psi);
    ev_report_value(r, "True KS distance", t.ks);
    ev_report_method(r, "Scores were drawn from normal distributions of each class whose places, and the prevalence, change.", (const char *)NULL);
}

void ev_sim_calibration_report(struct ev_report *r, const struct ev_sim_calibration *m) {
    struct ev_sim_calibration_truth t;
    ev_sim_calibration_truth(m, &t);
    ev_report_value(r, "True calibration intercept", m->intercept);
    ev_report_value(r, "True calibration slope", m->slope);
    ev_report_value(r, "True prevalence", t.prevalence);
    ev_report_value(r, "True Brier score", t.brier);
    ev_report_value(r, "True log loss", t.log_loss);
    ev_report_value(r, "True ECE without bins", t.ece);
    ev_report_value(r, "True AUC", t.auc);
    ev_report_method(r, "Logits of probabilities were drawn from a normal distribution; the logit of the risk is a line in them.", (const char *)NULL);
}

void ev_sim_ratings_report(struct ev_report *r, const struct ev_sim_ratings *m) {
    double total = m->var_subject + m->var_rater + m->var_error, k = m->raters, within = sqrt(m->var_error);
    ev_report_value(r, "True ICC(1,1) and ICC(2,1)", m->var_subject / total);
    ev_report_value(r, "True ICC(3,1)", m->var_subject / (m->var_subject + m->var_error));
    ev_report_value(r, "True ICC(1,k) and ICC(2,k)", m->var_subject / (m->var_subject + (m->var_rater + m->var_error) / k));
    ev_report_value(r, "True ICC(3,k)", m->var_subject / (m->var_subject + m->var_error / k));
    ev_report_value(r, "True within-subject SD", within);
    ev_report_value(r, "True repeatability coefficient", dist_norm_quantile(0.025, true) * M_SQRT2 * within);
    ev_report_method(r, "Ratings are sums of normal effects of subject, rater and rest.", (const char *)NULL);
    ev_report_source(r, "Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428");
}

void ev_sim_categories_report(struct ev_report *r, const struct ev_sim_categories *m) {
    double squares = 0, q = m->categories, kappa = m->sure * m->sure;
    for (unsigned k = 0; k < m->categories; k++) squares += m->share[k] * m->share[k];
    double observed = kappa + (1 - kappa) * squares, gwet = (1 - squares) / (q - 1);
    ev_report_value(r, "True agreement", observed);
    ev_report_value(r, "True kappa", kappa);
    ev_report_value(r, "True AC1", (observed - gwet) / (1 - gwet));
    ev_report_value(r, "True Brennan-Prediger", (observed - 1 / q) / (1 - 1 / q));
    ev_report_method(r, "A rater sees a subject's category with a fixed probability and else draws one from the shares.", (const char *)NULL);
}

void ev_sim_froc_report(struct ev_report *r, const struct ev_sim_froc *m) {
    struct ev_sim_froc_truth t;
    ev_sim_froc_truth(m, &t);
    for (unsigned i = 0; i < m->treatments; i++) {
        ev_report_group(r, "%u", i + 1);
        ev_report_value(r, "True wAFROC", t.wafroc[i]);
    }
    ev_report_group(r, "%s", "");
    ev_report_value(r, "True share of lesions marked", t.llf);
    ev_report_value(r, "True noise marks per case", t.nlf);
    ev_report_value(r, "True share of diseased cases with a mark", t.hr_sensitivity);
    ev_report_value(r, "True share of normal cases without a mark", t.hr_specificity);
    ev_report_method(r, "Marks were drawn from the radiological search model.", (const char *)NULL);
    ev_report_source(r, "Chakraborty DP. Phys Med Biol 2006;51:3449-3462");
}

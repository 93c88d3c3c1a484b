// Times of the heavy statistics, in this process and without reading files where the work is the computation: bench_evidence delong CASES OUT | mrmc FILE TIMES | surface | queue PATIENTS.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mod/evidence/mrmc_report.h"
#include "mod/evidence/queue.h"
#include "mod/evidence/roc.h"
#include "mod/evidence/seg.h"
#include "mod/evidence/simulate.h"
#include "text/csv.h"

static struct arena arena;
static struct err err;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int failed(void) {
    fprintf(stderr, "bench_evidence: %s\n", err.message);
    return 1;
}

// ---- two tests on the same cases ----

// Truths (double) and the two scores go to the file, for the peer.
static bool hand_over(const char *path, const struct ev_sim_readers *m, const double *score) {
    size_t n = (size_t)m->normals + m->diseased;
    FILE *f = fopen(path, "wb");
    for (size_t i = 0; f && i < n; i++) {
        double truth = i >= m->normals;
        fwrite(&truth, sizeof truth, 1, f);
    }
    return f && fwrite(score, sizeof *score, 2 * n, f) == 2 * n && fclose(f) == 0;
}

static int delong(unsigned cases, const char *path) {
    struct ev_sim_readers m = {2, 1, cases / 2, cases - cases / 2, {0.85, 0.851}, 0, 0, 0.5, 0.5, 0, 0, 1, 0};
    struct ev_sim_readers_truth truth;
    struct rng r;
    struct ev_delong d;
    double *score = malloc(2 * (size_t)cases * sizeof *score);
    uint8_t *positive = calloc(cases, 1);
    if (!score || !positive) return 1;
    ev_sim_readers_truth(&m, &truth);
    rng_seed(&r, 1);
    if (!ev_sim_readers_draw(&arena, &m, &truth, &r, score, &err)) return failed();
    memset(positive + m.normals, 1, m.diseased);
    if (!hand_over(path, &m, score)) return 1;
    const double *tests[] = {score, score + cases};
    double start = now();
    if (!ev_delong(&arena, 2, tests, positive, cases, &d, &err)) return failed();
    struct ev_auc_test t = ev_auc_paired(&d, 0, 1, 0.95);
    printf("%.6f %.17g %.17g %.17g\n", now() - start, d.auc[0], d.auc[1], t.statistic);
    free(score);
    free(positive);
    return 0;
}

// ---- a reader study, from its text to its report ----

static bool whole_study(struct str text, struct buf *out) {
    const struct ev_study_columns columns = {0};
    const struct ev_merit_options merit = {.metric = EV_METRIC_AUC, .covariance = EV_COV_JACKKNIFE};
    const struct ev_mrmc_request request = {.rockette = true, .dbm = true, .ustat = true, .generalise = {true, true, true}, .level = 0.95};
    struct csv t;
    struct ev_study s;
    struct ev_report r;
    ev_report_init(&r, &arena, "Reader study", 0.95);
    if (!csv_read(&arena, text, &t, &err) || !ev_study_read(&arena, &t, &columns, EV_DESIGN_DETECT, &s, &err) ||
        !ev_mrmc_report(&arena, &s, &merit, &request, &r, &err))
        return false;
    ev_report_table(&r, EV_EN, out);
    return ev_report_ok(&r, &err);
}

static int mrmc(const char *path, unsigned times) {
    static char text[1 << 22];
    FILE *f = fopen(path, "rb");
    if (!f) return 1;
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    struct buf out;
    buf_init(&out, 1 << 24);
    for (unsigned i = 0; i < times; i++) {
        double start = now();
        if (!whole_study((struct str){text, n}, &out)) return failed();
        printf("%.6f\n", now() - start);
        buf_clear(&out);
        arena_reset(&arena);
    }
    buf_deinit(&out);
    return 0;
}

// ---- two masks of 256^3 ----

static void blob(uint8_t *mask, double x, double y, double z, double radius) {
    for (int i = 0; i < 256; i++)
        for (int j = 0; j < 256; j++)
            for (int k = 0; k < 256; k++) {
                double u = i - x, v = j - y, w = k - z, bump = 6 * sin(u / 7) * cos(v / 9) * sin(w / 8);
                mask[(i * 256 + j) * 256 + k] = u * u + v * v + w * w < (radius + bump) * (radius + bump);
            }
}

static int surface(void) {
    const struct seg_grid grid = {3, {256, 256, 256}, {1, 0.8, 0.8}};
    uint8_t *a = malloc(1 << 24), *b = malloc(1 << 24);
    if (!a || !b) return 1;
    blob(a, 120, 125, 130, 90);
    blob(b, 126, 121, 133, 86);
    for (int i = 0; i < 2; i++) {
        struct seg_distances d;
        double start = now();
        if (!seg_distances(&arena, &grid, a, b, i ? SEG_BORDERS : SEG_SURFELS, &d, &err)) return failed();
        double hd95 = seg_hausdorff(&d, 95), assd = seg_assd(&d), dice = seg_surface_dice(&d, 1);
        printf("%.6f %.10g %.10g %.10g\n", now() - start, hd95, assd, dice);
        arena_reset(&arena);
    }
    free(a);
    free(b);
    return 0;
}

// ---- a queue ----

static int queue(uint64_t patients) {
    const struct queue_triage t = {1, 0.1, 0.8, 0.1, 0.95, 0.9, 10, 10, 5};
    const struct queue_plan plan = {.patients = patients, .seed = 1};
    struct queue_simulated out;
    double start = now();
    if (!queue_triage_simulate(&arena, &t, &plan, &out, &err)) return failed();
    double s = now() - start;
    printf("%.6f %.0f\n", s, (double)out.events);
    return 0;
}

int main(int argc, char **argv) {
    arena_init(&arena, (size_t)6 << 30);
    if (argc == 4 && strcmp(argv[1], "delong") == 0) return delong((unsigned)atoi(argv[2]), argv[3]);
    if (argc == 4 && strcmp(argv[1], "mrmc") == 0) return mrmc(argv[2], (unsigned)atoi(argv[3]));
    if (argc == 2 && strcmp(argv[1], "surface") == 0) return surface();
    if (argc == 3 && strcmp(argv[1], "queue") == 0) return queue((uint64_t)atoll(argv[2]));
    fprintf(stderr, "bench_evidence delong CASES OUT | mrmc FILE TIMES | surface | queue PATIENTS\n");
    return 2;
}

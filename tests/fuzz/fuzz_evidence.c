// Any bytes as a table of scores (CSV or JSON), then as a table of reference values with its parameters: read or refused, and every field in its place.
#include <stdint.h>
#include <stdlib.h>

#include "mod/evidence/table.h"
#include "mod/evidence/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16, ARENA_BYTES = 1 << 26 };

static void read_columns(struct arena *a, const struct csv *t) {
    for (unsigned c = 0; c < t->columns; c++) {
        struct csv_levels levels;
        double *numbers;
        if (csv_levels(t, c, &levels, NULL))
            for (size_t i = 0; i < t->rows; i++)
                if (levels.of[i] < -1 || levels.of[i] >= (int32_t)levels.count) abort();
        if (csv_find(t, "score") == (int)c && !str_eq_nocase(t->names[c], STR_LIT("score"))) abort();
        (void)csv_numbers(t, c, &numbers, NULL);
    }
    (void)a;
}

// Pieces are in the order and within the bounds of the parameters.
static void read_pieces(struct str parameters) {
    struct ev_question q = {.parameters = parameters};
    const char *from = parameters.p;
    struct str piece;
    double v;
    for (unsigned i = 0; i < 64 && (piece = ev_piece(&q, i)).p; i++) {
        if (piece.p < from || piece.p + piece.n > parameters.p + parameters.n) abort();
        from = piece.p + piece.n;
    }
    (void)ev_parameter_number(&q, "k", &v, NULL);
    (void)ev_has_word(&q, "threshold");
}

// Answers with what it was asked for: the engine alone is driven here.
static bool echo(const struct ev_question *q, double *value, struct err *e) {
    if (q->data) return *value = (double)q->data->rows, true;
    if (q->table(q, "_marks", e)) return *value = 1, true;
    return ev_parameter_number(q, "value", value, e);
}

static const struct ev_statistic ECHO[] = {{"*", echo}, {0}};
static const struct ev_statistic *const STATISTICS[] = {ECHO, NULL};

static bool same_bytes(void *ctx, const char *file, struct arena *a, struct str *text, struct err *e) {
    (void)a;
    if (strchr(file, '/')) abort(); // names of data sets hold no folder
    *text = *(struct str *)ctx;
    return text->n % 2 || err_set(e, ERR_NOT_FOUND, "fuzz", "is not there");
}

static void count(void *ctx, const struct ev_verdict *v) {
    (void)ctx;
    if (v->pass && !v->answered) abort();
    if (!v->pass && (!v->words || !*v->words)) abort(); // never without a reason
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = {(const char *)data, size};
    struct ev_verification v = {.read = same_bytes, .each = count, .ctx = &text, .statistics = STATISTICS};
    struct arena a;
    struct csv t;
    if (size > INPUT_MAX) return 0;
    arena_init(&a, ARENA_BYTES);
    if (ev_table_read(&a, text, &t, NULL)) {
        read_columns(&a, &t);
        if (ev_verify(&a, &t, &v, NULL) && v.rows != t.rows) abort();
    }
    read_pieces(text);
    arena_deinit(&a);
    return 0;
}

// Figures as data: gathering series and rows; axes.
#include <math.h>
#include <stdio.h>

#include "mod/evidence/plot_part.h"

void ev_plot_init(struct ev_plot *p, struct arena *a, const char *title, const char *x_label, const char *y_label) {
    *p = (struct ev_plot){
        .arena = a, .title = title, .x_label = x_label, .y_label = y_label, .x_lo = NAN, .x_hi = NAN, .y_lo = NAN, .y_hi = NAN, .reference = NAN};
}

// A list that grows by doubling: room for one more.
static void *room(struct ev_plot *p, void *list, unsigned count, size_t size) {
    if (p->failed || (count && (count & (count - 1)))) return p->failed ? NULL : list;
    void *grown = arena_alloc(p->arena, (size_t)(count ? 2 * count : 1) * size, NULL);
    if (grown && count) memcpy(grown, list, count * size);
    p->failed = !grown;
    return grown;
}

void ev_plot_add(struct ev_plot *p, const struct ev_series *s) {
    struct ev_series *list = room(p, p->series, p->series_count, sizeof *list);
    if (!list) return;
    p->series = list;
    list[p->series_count++] = *s;
}

void ev_plot_level(struct ev_plot *p, const char *label, double y, unsigned colour, bool dashed) {
    double *at = p->failed ? NULL : arena_alloc(p->arena, sizeof *at, NULL);
    if (!at) {
        p->failed = true;
        return;
    }
    *at = y;
    ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_LEVEL, .label = str_of(label), .y = at, .n = 1, .colour = colour, .dashed = dashed});
}

void ev_plot_zone(struct ev_plot *p, double lo, double hi, unsigned colour) {
    double *at = p->failed ? NULL : arena_alloc(p->arena, 2 * sizeof *at, NULL);
    p->failed |= !at;
    if (!at || !isfinite(lo) || !isfinite(hi)) return;
    at[0] = lo;
    at[1] = hi;
    ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_ZONE, .y = at, .y2 = at + 1, .n = 1, .colour = colour});
}

void ev_plot_signals(struct ev_plot *p, const double *x, const double *y, size_t n, double lo, double hi) {
    double *at = p->failed ? NULL : arena_zero(p->arena, n, 2 * sizeof *at, NULL);
    size_t signals = 0;
    p->failed |= !at;
    for (size_t i = 0; at && i < n; i++) {
        if (!(y[i] > hi) && !(y[i] < lo)) continue;
        at[signals] = x[i];
        at[n + signals++] = y[i];
    }
    if (!at || signals == 0) return;
    ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_DOTS, .label = STR_LIT("Signal"), .x = at, .y = at + n, .n = signals, .colour = EV_COLOUR_ALARM});
}

void ev_plot_row(struct ev_plot *p, const struct ev_forest_row *row) {
    struct ev_forest_row *list = room(p, p->rows, p->row_count, sizeof *list);
    if (!list) return;
    p->rows = list;
    list[p->row_count++] = *row;
}

// ---- forests of reports ----

static bool has_interval(const struct ev_entry *en) {
    return isfinite(en->value) && isfinite(en->lo) && isfinite(en->hi);
}

// What is compared with nothing stands about 0.
static double reference_of(const struct ev_plot *p) {
    for (unsigned i = 0; i < p->row_count; i++)
        if (p->rows[i].lo < 0) return 0;
    return NAN;
}

static unsigned count_named(const struct ev_report *r, const char *name) {
    unsigned n = 0;
    for (unsigned i = 0; i < r->entry_count; i++) n += has_interval(&r->entries[i]) && strcmp(r->entries[i].name, name) == 0;
    return n;
}

static bool same_unit(const struct ev_entry *a, const struct ev_entry *b) {
    return a->unit == b->unit || (a->unit && b->unit && strcmp(a->unit, b->unit) == 0);
}

bool ev_plot_of_entries(struct ev_plot *p, struct arena *a, const struct ev_report *r, const char *name) {
    ev_plot_init(p, a, r->title, name, NULL);
    for (unsigned i = 0; i < r->entry_count; i++) {
        const struct ev_entry *en = &r->entries[i];
        if (!has_interval(en) || strcmp(en->name, name) != 0) continue;
        ev_plot_row(p, &(struct ev_forest_row){.label = en->group.n ? en->group : str_of(en->name), .value = en->value, .lo = en->lo, .hi = en->hi});
    }
    p->reference = reference_of(p);
    return p->row_count > 0;
}

bool ev_plot_of_report(struct ev_plot *p, struct arena *a, const struct ev_report *r) {
    const struct ev_entry *first = NULL;
    struct str group = {NULL, 0};
    for (unsigned i = 0; i < r->entry_count && !first; i++)
        if (has_interval(&r->entries[i])) first = &r->entries[i];
    if (first && count_named(r, first->name) > 1) return ev_plot_of_entries(p, a, r, first->name);
    ev_plot_init(p, a, r->title, first ? first->unit : NULL, NULL);
    for (unsigned i = 0; first && i < r->entry_count; i++) {
        const struct ev_entry *en = &r->entries[i];
        if (!has_interval(en) || !same_unit(first, en)) continue;
        if (en->group.n && !str_eq(en->group, group)) ev_plot_row(p, &(struct ev_forest_row){.label = en->group, .heading = true});
        group = en->group;
        ev_plot_row(p, &(struct ev_forest_row){.label = str_of(en->name), .value = en->value, .lo = en->lo, .hi = en->hi});
    }
    p->reference = reference_of(p);
    return first != NULL;
}

// ---- axes ----

// 1, 2 or 5 times a power of ten.
static double nice_step(double span, unsigned ticks) {
    double raw = span / ticks, power = pow(10, floor(log10(raw))), m = raw / power;
    return power * (m <= 1.0000001 ? 1 : m <= 2.0000001 ? 2 : m <= 5.0000001 ? 5 : 10);
}

void ev_axis_fit(struct ev_axis *axis, double lo, double hi, bool lo_told, bool hi_told, unsigned ticks) {
    if (!(hi > lo)) { // one value: some room about it
        double about = lo == 0 ? 1 : fabs(lo) / 2;
        if (!lo_told) lo -= about;
        if (!hi_told) hi += about;
        if (!(hi > lo)) hi = lo + about;
    }
    if (!isfinite(hi - lo)) { // beyond what a double can span
        lo = fmax(lo, -1e307);
        hi = fmin(hi, 1e307);
    }
    axis->step = nice_step(hi - lo, ticks);
    axis->lo = lo_told ? lo : axis->step * floor(lo / axis->step + 1e-9);
    axis->hi = hi_told ? hi : axis->step * ceil(hi / axis->step - 1e-9);
}

void ev_plot_minus(const char *number, char out[64]) {
    size_t n = 0;
    for (; *number && n < 60; number++) {
        if (*number == '-')
            memcpy(out + n, "\xE2\x88\x92", 3), n += 3; // U+2212
        else
            out[n++] = *number;
    }
    out[n] = '\0';
}

bool ev_axis_tick(const struct ev_axis *axis, unsigned i, double *v, char text[64]) {
    char plain[32];
    double k = ceil(axis->lo / axis->step - 1e-9) + i;
    *v = k * axis->step;
    if (!(*v <= axis->hi + 1e-9 * axis->step) || i > 100) return false;
    if (fabs(*v) < 1e-9 * axis->step) *v = 0;
    int decimals = (int)ceil(-log10(axis->step) - 1e-9);
    if (fabs(*v) >= 1e7 || axis->step < 1e-6)
        snprintf(plain, sizeof plain, "%.4g", *v);
    else
        snprintf(plain, sizeof plain, "%.*f", decimals < 0 ? 0 : decimals, *v);
    ev_plot_minus(plain, text);
    return true;
}

// ---- colours and words ----

// The colours of Okabe and Ito (2008), which people of every colour vision tell apart; without the yellow.
uint32_t ev_plot_colour(unsigned colour) {
    static const uint32_t palette[] = {0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9, 0x000000};
    if (colour == EV_COLOUR_GREY) return 0x8A8A8A;
    if (colour == EV_COLOUR_ALARM) return 0xC1121F;
    if (colour == EV_COLOUR_INK) return 0x333333;
    return palette[colour % (sizeof palette / sizeof *palette)];
}

struct str ev_plot_words(struct arena *a, struct str label, enum ev_language language) {
    const char *z = language == EV_EN || !label.n ? NULL : arena_strz(a, label, NULL);
    return z ? str_of(ev_term(z, language)) : label;
}

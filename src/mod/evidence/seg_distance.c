// Exact distances from the places of one surface to the nearest of another: axis by axis, lower envelopes of parabolas.
#include <math.h>
#include <string.h>

#include "mod/evidence/seg_field.h"

enum { NOWHERE = UINT16_MAX };

// After two axes: in its own plane z, the nearest marked place of (z, y, x) is in row `site`, `step` away along it.
struct map {
    uint32_t n[3];
    double spacing[3];
    uint16_t *step;  // along the last axis to the nearest marked place of the row
    uint16_t *site;  // row of the nearest in the plane
    float *squared;  // its squared distance, to choose by; what is near the best is compared exactly
    bool *row_has;   // by (z, y)
    bool *plane_has; // by z
};

// ---- along rows ----

static bool scan_row(const uint8_t *code, uint32_t n, uint16_t *step) {
    uint32_t since = NOWHERE;
    for (uint32_t x = 0; x < n; x++) {
        since = code[x] ? 0 : since + (since < NOWHERE);
        step[x] = (uint16_t)since;
    }
    if (since == NOWHERE) return false;
    since = NOWHERE;
    for (uint32_t x = n; x-- > 0;) {
        since = code[x] ? 0 : since + (since < NOWHERE);
        if (since < step[x]) step[x] = (uint16_t)since;
    }
    return true;
}

static void scan_rows(struct map *m, const uint8_t *code) {
    for (size_t z = 0; z < m->n[0]; z++) {
        for (size_t y = 0; y < m->n[1]; y++) {
            size_t row = z * m->n[1] + y;
            m->row_has[row] = scan_row(code + row * m->n[2], m->n[2], m->step + row * m->n[2]);
            if (m->row_has[row]) m->plane_has[z] = true;
        }
    }
}

// ---- lower envelopes ----

// Parabolas height + (spacing (i - at))^2, by ascending `at`; envelope[k] is lowest from from[k] on.
struct envelope {
    uint32_t count;
    uint16_t *at;
    double *height, *from;
};

static void envelope_add(struct envelope *v, double spacing2, uint32_t at, double height) {
    double crossing = -HUGE_VAL;
    while (v->count > 0) {
        uint32_t k = v->count - 1, other = v->at[k];
        crossing = ((height - v->height[k]) / spacing2 + ((double)at * at - (double)other * other)) / (2.0 * (at - other));
        if (crossing > v->from[k]) break;
        v->count--;
        crossing = -HUGE_VAL;
    }
    v->at[v->count] = (uint16_t)at;
    v->height[v->count] = height;
    v->from[v->count++] = crossing;
}

static double square(double x) {
    return x * x;
}

// One column of a plane: for each row, the row of the nearest place.
static void plane_column(const struct map *m, size_t z, size_t x, struct envelope *v) {
    double s2 = square(m->spacing[1]), x2 = square(m->spacing[2]);
    size_t base = z * m->n[1] * m->n[2] + x, width = m->n[2];
    v->count = 0;
    for (uint32_t y = 0; y < m->n[1]; y++) {
        if (m->row_has[z * m->n[1] + y]) envelope_add(v, s2, y, x2 * square(m->step[base + y * width]));
    }
    uint32_t k = 0;
    for (uint32_t y = 0; y < m->n[1]; y++) {
        while (k + 1 < v->count && v->from[k + 1] <= y) k++;
        m->site[base + y * width] = v->at[k];
        m->squared[base + y * width] = (float)(v->height[k] + s2 * square((double)y - v->at[k]));
    }
}

// The exact squared distance of (z, y, x) to the place that plane `other` has nearest, from whole steps.
static double exact(const struct map *m, size_t z, size_t y, size_t x, size_t other) {
    size_t at = (other * m->n[1] + y) * m->n[2] + x, site = m->site[at];
    double dz = ((double)z - (double)other) * m->spacing[0], dy = ((double)y - (double)site) * m->spacing[1];
    double dx = m->step[(other * m->n[1] + site) * m->n[2] + x] * m->spacing[2];
    return dz * dz + dy * dy + dx * dx;
}

// ---- across planes, where somebody asks ----

// Outwards from z until no plane can be nearer.
static double search(const struct map *m, size_t z, size_t y, size_t x) {
    double best = HUGE_VAL;
    for (size_t d = 0; d < m->n[0] && square((double)d * m->spacing[0]) <= best; d++) {
        double away = square((double)d * m->spacing[0]);
        for (unsigned side = 0; side < (d ? 2U : 1U); side++) {
            if (side ? z + d >= m->n[0] : d > z) continue;
            size_t other = side ? z + d : z - d;
            if (!m->plane_has[other]) continue;
            if (away + (double)m->squared[(other * m->n[1] + y) * m->n[2] + x] * (1 - 1e-6) <= best) best = fmin(best, exact(m, z, y, x, other));
        }
    }
    return best;
}

struct asked {
    uint16_t *z; // by column x: room for n[0] each
    uint32_t *count;
};

static void gather(const struct seg_field *from, size_t y, struct asked *q) {
    memset(q->count, 0, from->n[2] * sizeof *q->count);
    for (size_t z = 0; z < from->n[0]; z++) {
        const uint8_t *row = from->code + (z * from->n[1] + y) * from->n[2];
        for (size_t x = 0; x < from->n[2]; x++) {
            if (row[x]) q->z[x * from->n[0] + q->count[x]++] = (uint16_t)z;
        }
    }
}

enum { SEARCHED = 4 }; // this many of a column are searched one by one; more are worth an envelope

struct answers {
    size_t n;
    double *distance;
    uint8_t *code;
};

// The envelope's heights are rounded, so neighbours of the plane that it names may be nearer by that little: all that could be are compared exactly.
static void column_envelope(const struct map *m, size_t y, size_t x, const uint16_t *z, uint32_t count, struct envelope *v, double *best) {
    double s2 = square(m->spacing[0]);
    v->count = 0;
    for (uint32_t p = 0; p < m->n[0]; p++) {
        if (m->plane_has[p]) envelope_add(v, s2, p, exact(m, p, y, x, p));
    }
    uint32_t k = 0;
    for (uint32_t i = 0; i < count; i++) {
        best[i] = HUGE_VAL;
        if (v->count == 0) continue;
        while (k + 1 < v->count && v->from[k + 1] <= z[i]) k++;
        for (uint32_t near = k ? k - 1 : 0; near <= k + 1 && near < v->count; near++) best[i] = fmin(best[i], exact(m, z[i], y, x, v->at[near]));
    }
}

static void answer_column(const struct map *m, const struct seg_field *from, size_t y, size_t x, const struct asked *q, struct envelope *v,
                          struct answers *out) {
    const uint16_t *z = q->z + x * from->n[0];
    uint32_t count = q->count[x];
    double *best = out->distance + out->n;
    if (count > SEARCHED) column_envelope(m, y, x, z, count, v, best);
    for (uint32_t i = 0; i < count; i++) {
        if (count <= SEARCHED) best[i] = search(m, z[i], y, x);
        best[i] = sqrt(best[i]);
        out->code[out->n++] = from->code[((size_t)z[i] * from->n[1] + y) * from->n[2] + x];
    }
}

// ---- all of it ----

static bool map_init(struct arena *a, const struct seg_field *f, struct map *m, struct err *e) {
    size_t rows = (size_t)f->n[0] * f->n[1], places = rows * f->n[2];
    memcpy(m->n, f->n, sizeof m->n);
    memcpy(m->spacing, f->spacing, sizeof m->spacing);
    m->step = arena_alloc(a, places * sizeof *m->step, e);
    m->site = m->step ? arena_alloc(a, places * sizeof *m->site, e) : NULL;
    m->squared = m->site ? arena_alloc(a, places * sizeof *m->squared, e) : NULL;
    m->row_has = m->squared ? arena_zero(a, rows, sizeof *m->row_has, e) : NULL;
    m->plane_has = m->row_has ? arena_zero(a, f->n[0], sizeof *m->plane_has, e) : NULL;
    return m->plane_has != NULL;
}

static bool envelope_init(struct arena *a, uint32_t n, struct envelope *v, struct err *e) {
    v->at = arena_alloc(a, n * sizeof *v->at, e);
    v->height = v->at ? arena_alloc(a, n * sizeof *v->height, e) : NULL;
    v->from = v->height ? arena_alloc(a, n * sizeof *v->from, e) : NULL;
    return v->from != NULL;
}

static bool asked_init(struct arena *a, const struct seg_field *from, struct asked *q, struct err *e) {
    q->z = arena_alloc(a, (size_t)from->n[0] * from->n[2] * sizeof *q->z, e);
    q->count = q->z ? arena_alloc(a, from->n[2] * sizeof *q->count, e) : NULL;
    return q->count != NULL;
}

static size_t places_of(const struct seg_field *f) {
    size_t all = (size_t)f->n[0] * f->n[1] * f->n[2], marked = 0;
    for (size_t i = 0; i < all; i++) marked += f->code[i] != 0;
    return marked;
}

static bool answer_all(struct arena *a, const struct seg_field *from, const struct seg_field *to, struct answers *out, struct err *e) {
    struct map m;
    struct envelope v;
    struct asked q;
    uint32_t longest = from->n[0] > from->n[1] ? from->n[0] : from->n[1];
    if (!map_init(a, to, &m, e) || !envelope_init(a, longest, &v, e) || !asked_init(a, from, &q, e)) return false;
    scan_rows(&m, to->code);
    for (size_t z = 0; z < m.n[0]; z++) {
        for (size_t x = 0; m.plane_has[z] && x < m.n[2]; x++) plane_column(&m, z, x, &v);
    }
    for (size_t y = 0; y < from->n[1]; y++) {
        gather(from, y, &q);
        for (size_t x = 0; x < from->n[2]; x++) {
            if (q.count[x]) answer_column(&m, from, y, x, &q, &v, out);
        }
    }
    return true;
}

bool seg_field_distances(struct arena *a, const struct seg_field *from, const struct seg_field *to, size_t *count, double **distance, uint8_t **code,
                         struct err *e) {
    size_t places = places_of(from);
    struct answers out = {.distance = arena_alloc(a, places * sizeof(double), e)};
    out.code = out.distance ? arena_alloc(a, places ? places : 1, e) : NULL;
    if (!out.code) return false;
    struct arena_mark mark = arena_mark(a);
    bool ok = places == 0 || answer_all(a, from, to, &out, e);
    arena_rewind(a, mark);
    *count = out.n;
    *distance = out.distance;
    *code = out.code;
    return ok;
}

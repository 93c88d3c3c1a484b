// Masks told in words: shapes drawn into a grid.
#include "mod/evidence/seg_case.h"

#include <math.h>
#include <string.h>

enum { CASE_VOXELS_MAX = 1 << 26 };

// ---- drawing ----

// Coordinates of a plane are its rows and columns.
static unsigned axis_of(const struct seg_grid *g, unsigned coordinate) {
    return coordinate + 3 - g->dims;
}

void seg_draw_ball(const struct seg_grid *g, uint8_t *mask, const double center[3], double radius) {
    for (uint32_t z = 0; z < g->n[0]; z++) {
        for (uint32_t y = 0; y < g->n[1]; y++) {
            for (uint32_t x = 0; x < g->n[2]; x++, mask++) {
                const uint32_t at[3] = {z, y, x};
                double sum = 0;
                for (unsigned i = 0; i < g->dims; i++) sum += pow((at[axis_of(g, i)] - center[i]) * g->spacing[axis_of(g, i)], 2);
                if (sum <= radius * radius) *mask = 1;
            }
        }
    }
}

void seg_draw_box(const struct seg_grid *g, uint8_t *mask, const double lo[3], const double hi[3]) {
    for (uint32_t z = 0; z < g->n[0]; z++) {
        for (uint32_t y = 0; y < g->n[1]; y++) {
            for (uint32_t x = 0; x < g->n[2]; x++, mask++) {
                const uint32_t at[3] = {z, y, x};
                bool in = true;
                for (unsigned i = 0; i < g->dims; i++) in = in && at[axis_of(g, i)] >= lo[i] && at[axis_of(g, i)] < hi[i];
                if (in) *mask = 1;
            }
        }
    }
}

// ---- reading ----

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
    return (c >= '0' && c <= '9') || c == '.';
}

static void skip(struct str *s, const char *chars) {
    while (s->n && strchr(chars, s->p[0])) *s = str_sub(*s, 1, s->n);
}

// A number at the beginning; false when there is none.
static bool take_number(struct str *s, double *out) {
    size_t n = 0;
    if (n < s->n && (s->p[n] == '-' || s->p[n] == '+')) n++;
    while (n < s->n && (is_digit(s->p[n]) || (n && (s->p[n] == 'e' || s->p[n] == 'E') && n + 1 < s->n && (is_digit(s->p[n + 1]) || s->p[n + 1] == '-')) ||
                        (n && s->p[n] == '-' && (s->p[n - 1] == 'e' || s->p[n - 1] == 'E'))))
        n++;
    if (!n || !str_to_f64(str_sub(*s, 0, n), out)) return false;
    *s = str_sub(*s, n, s->n);
    return true;
}

// "(1,2,3)", "1,2,3" or "1 2 3": as many numbers as there are, at most 3.
static unsigned take_numbers(struct str *s, double out[3]) {
    unsigned n = 0;
    skip(s, " =");
    bool bracket = s->n && s->p[0] == '(';
    if (bracket) *s = str_sub(*s, 1, s->n);
    for (struct str rest = *s; n < 3;) {
        skip(&rest, n ? " ,x" : " ");
        if (!take_number(&rest, &out[n])) break;
        n++;
        *s = rest;
    }
    skip(s, " ");
    if (bracket) skip(s, ")");
    return n;
}

// The shape's own bracket; those of its places are theirs.
static void open_bracket(struct str *s) {
    skip(s, " ");
    if (s->n && s->p[0] == '(') *s = str_sub(*s, 1, s->n);
}

struct reader {
    struct str rest;
    struct seg_case *c;
    unsigned mask; // that is being drawn
    bool points;   // bare brackets are single voxels
    bool drawn[2];
    struct err *e;
};

static bool bad(struct reader *r, const char *what) {
    return err_set(r->e, ERR_BAD_INPUT, "seg", "%s is not understood at \"%.*s\"", what, STR_FMT(str_sub(r->rest, 0, 40)));
}

// ---- the grid comes first: two passes over the words ----

static bool grid_shape(struct seg_grid *g, const double n[3], unsigned count, struct err *e) {
    if (count < 2) return err_set(e, ERR_BAD_INPUT, "seg", "a mask has 2 or 3 axes");
    g->dims = count;
    g->n[0] = 1;
    for (unsigned i = 0; i < count; i++) {
        if (!(n[i] >= 1 && n[i] <= SEG_AXIS_MAX)) return err_set(e, ERR_BAD_INPUT, "seg", "an axis of %g voxels", n[i]);
        g->n[i + 3 - count] = (uint32_t)n[i];
    }
    return true;
}

// "128x128" or "100^3" at a digit.
static unsigned take_extent(struct str *s, double out[3]) {
    struct str rest = *s;
    double power;
    if (!take_number(&rest, &out[0])) return 0;
    if (rest.n > 1 && rest.p[0] == '^') {
        rest = str_sub(rest, 1, rest.n);
        if (!take_number(&rest, &power) || (power != 2 && power != 3)) return 0;
        *s = rest;
        out[1] = out[2] = out[0];
        return (unsigned)power;
    }
    unsigned n = 1;
    while (n < 3 && rest.n > 1 && rest.p[0] == 'x' && is_digit(rest.p[1])) {
        rest = str_sub(rest, 1, rest.n);
        if (!take_number(&rest, &out[n])) break;
        n++;
    }
    *s = rest;
    return n;
}

static struct str take_word(struct str *s) {
    size_t n = 0;
    while (n < s->n && is_letter(s->p[n])) n++;
    struct str word = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->n);
    return word;
}

// Past "(...)" with brackets inside, or one character.
static void step_over(struct str *s) {
    size_t depth = 0, i = 0;
    do {
        if (s->p[i] == '(' || s->p[i] == '[') depth++;
        if ((s->p[i] == ')' || s->p[i] == ']') && depth) depth--;
        i++;
    } while (i < s->n && depth);
    *s = str_sub(*s, i, s->n);
}

static bool read_grid(struct str s, struct seg_grid *g, double spacing[3], unsigned *spacings, struct err *e) {
    double n[3];
    while (s.n) {
        if (is_letter(s.p[0])) {
            struct str word = take_word(&s);
            if (str_eqz(word, "spacing")) *spacings = take_numbers(&s, spacing);
            if (str_eqz(word, "shape") && !grid_shape(g, n, take_numbers(&s, n), e)) return false;
        } else if (is_digit(s.p[0])) {
            struct str at = s;
            unsigned count = take_extent(&s, n);
            if (count >= 2 && !grid_shape(g, n, count, e)) return false;
            if (s.n == at.n || (count == 1 && s.n && is_letter(s.p[0]))) step_over(&s); // "2D"
        } else {
            step_over(&s);
        }
    }
    return g->dims || err_set(e, ERR_BAD_INPUT, "seg", "the words tell no shape of the masks");
}

// ---- shapes ----

static bool take_point(struct reader *r, double out[3]) {
    return take_numbers(&r->rest, out) == r->c->grid.dims || bad(r, "a place with as many coordinates as the mask has axes");
}

static uint8_t *drawn(struct reader *r) {
    r->drawn[r->mask] = true;
    return r->c->masks[r->mask];
}

static bool draw_ball(struct reader *r) {
    double center[3], radius;
    open_bracket(&r->rest);
    if (!take_point(r, center)) return false;
    skip(&r->rest, " ,");
    if (!take_number(&r->rest, &radius)) return bad(r, "a ball's radius");
    skip(&r->rest, " )");
    seg_draw_ball(&r->c->grid, drawn(r), center, radius);
    return true;
}

static bool draw_box(struct reader *r) {
    double lo[3], hi[3];
    open_bracket(&r->rest);
    if (!take_point(r, lo)) return false;
    skip(&r->rest, " ,");
    if (!take_point(r, hi)) return false;
    skip(&r->rest, " )");
    seg_draw_box(&r->c->grid, drawn(r), lo, hi);
    return true;
}

static bool draw_point(struct reader *r) {
    double at[3], next[3];
    if (!take_point(r, at)) return false;
    for (unsigned i = 0; i < 3; i++) next[i] = at[i] + 1;
    seg_draw_box(&r->c->grid, drawn(r), at, next);
    return true;
}

// "[a:b,c:d]": of the leading axes; a side left out is the mask's.
static bool draw_slices(struct reader *r) {
    const struct seg_grid *g = &r->c->grid;
    double lo[3], hi[3];
    r->rest = str_sub(r->rest, 1, r->rest.n);
    for (unsigned i = 0; i < 3; i++) {
        lo[i] = 0;
        hi[i] = i < g->dims ? g->n[axis_of(g, i)] : 1;
    }
    for (unsigned i = 0; i < g->dims; i++) {
        skip(&r->rest, " ");
        take_number(&r->rest, &lo[i]);
        if (!r->rest.n || r->rest.p[0] != ':') return bad(r, "a slice");
        r->rest = str_sub(r->rest, 1, r->rest.n);
        take_number(&r->rest, &hi[i]);
        if (hi[i] < 0) hi[i] += g->n[axis_of(g, i)];
        if (!r->rest.n || r->rest.p[0] != ',') break;
        r->rest = str_sub(r->rest, 1, r->rest.n);
    }
    if (!r->rest.n || r->rest.p[0] != ']') return bad(r, "a slice's end");
    r->rest = str_sub(r->rest, 1, r->rest.n);
    seg_draw_box(g, drawn(r), lo, hi);
    return true;
}

static bool draw_word(struct reader *r) {
    struct str word = take_word(&r->rest);
    double ignored[3];
    if (str_eqz(word, "ball")) return draw_ball(r);
    if (str_eqz(word, "box")) return draw_box(r);
    if (str_eqz(word, "empty")) return drawn(r) != NULL;
    if (str_eqz(word, "pixel") || str_eqz(word, "voxel") || str_eqz(word, "pixels") || str_eqz(word, "voxels")) r->points = true;
    if (str_eqz(word, "gt") || str_eqz(word, "reference")) r->mask = 0;
    if (str_eqz(word, "pred") || str_eqz(word, "predicted") || str_eqz(word, "vs")) r->mask = 1;
    if (str_eqz(word, "spacing") || str_eqz(word, "shape")) {
        take_numbers(&r->rest, ignored);
        r->points = false;
    }
    return true;
}

static bool draw_all(struct reader *r) {
    while (r->rest.n) {
        char c = r->rest.p[0];
        if (is_letter(c)) {
            if (!draw_word(r)) return false;
        } else if (c == '[') {
            if (!draw_slices(r)) return false;
        } else if (c == '(' && r->points) {
            if (!draw_point(r)) return false;
        } else {
            step_over(&r->rest);
        }
    }
    return (r->drawn[0] && r->drawn[1]) || err_set(r->e, ERR_BAD_INPUT, "seg", "the words tell of no %s mask", r->drawn[0] ? "predicted" : "reference");
}

bool seg_case_make(struct arena *a, struct str words, struct str spacing_given, struct seg_case *out, struct err *e) {
    double spacing[3];
    unsigned spacings = 0;
    *out = (struct seg_case){.grid.spacing = {1, 1, 1}};
    if (!read_grid(words, &out->grid, spacing, &spacings, e)) return false;
    if (spacing_given.n) spacings = take_numbers(&spacing_given, spacing);
    if (spacings && spacings != out->grid.dims) return err_set(e, ERR_BAD_INPUT, "seg", "%u spacings for a mask of %u axes", spacings, out->grid.dims);
    for (unsigned i = 0; i < spacings; i++) out->grid.spacing[axis_of(&out->grid, i)] = spacing[i];
    if (!seg_grid_check(&out->grid, e)) return false;
    if (seg_voxels(&out->grid) > CASE_VOXELS_MAX)
        return err_set(e, ERR_TOO_LARGE, "seg", "masks of %zu voxels: words may tell of %d", seg_voxels(&out->grid), CASE_VOXELS_MAX);
    for (unsigned i = 0; i < 2; i++) {
        out->masks[i] = arena_zero(a, seg_voxels(&out->grid), 1, e);
        if (!out->masks[i]) return false;
    }
    struct reader r = {.rest = words, .c = out, .e = e};
    return draw_all(&r);
}

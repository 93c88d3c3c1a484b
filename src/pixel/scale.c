// One separable filter: each output sample is a weighted mean of the input samples under it (down) or of the two around it (up).
#include "pixel/scale.h"

#include <math.h>
#include <string.h>

// Input samples [first, first + count) of an output sample, and their weights, which sum to 1.
struct taps {
    uint32_t first, count;
    const float *weight;
};

// Shrinking in height: sums of the output rows under way, at most RING of them, of the input's width: rows are summed as they lie, many samples at once, and
// scaled in width when they are whole. Enlarging: the last two input rows, scaled in width.
enum { RING = 4 };

struct px_scaler {
    unsigned channels;
    uint32_t in_width, in_height, out_width, out_height;
    struct taps *columns, *rows;
    float *line[RING];
    uint32_t y;          // input row that comes next
    uint32_t begun;      // output rows whose sums were cleared
    uint32_t done;       // output rows that are whole
    uint32_t from, span; // columns of the input that count
    float *across;       // the part of a row that counts (enlarging), or a whole sum scaled in width (shrinking)
    bool shrinks;        // in height
    uint8_t *out;
    size_t stride;
};

// Where output samples lie in input samples.
struct axis {
    uint32_t in;
    double start, step;
};

static bool make_taps(struct arena *a, const struct axis *axis, struct taps *t, uint32_t i, struct err *e) {
    // an interval of at least one sample's width, so that enlarging interpolates
    double middle = axis->start + (i + 0.5) * axis->step, half = axis->step > 1 ? axis->step / 2 : 0.5, from = middle - half, to = middle + half;
    uint32_t in = axis->in;
    int64_t first = (int64_t)floor(from + 1e-9), last = (int64_t)ceil(to - 1e-9) - 1;
    if (first < 0) first = 0;
    if (last >= in) last = (int64_t)in - 1;
    if (first >= in) first = (int64_t)in - 1;
    if (last < first) last = first;
    float *weight = arena_alloc(a, (size_t)(last - first + 1) * sizeof *weight, e);
    if (!weight) return false;
    double sum = 0;
    for (int64_t k = first; k <= last; k++) {
        double under = fmin(to, (double)k + 1) - fmax(from, (double)k);
        weight[k - first] = (float)(under > 0 ? under : 0);
        sum += weight[k - first];
    }
    for (int64_t k = first; k <= last; k++) weight[k - first] = sum > 0 ? (float)(weight[k - first] / sum) : k == first;
    *t = (struct taps){(uint32_t)first, (uint32_t)(last - first + 1), weight};
    return true;
}

static struct taps *all_taps(struct arena *a, struct axis axis, uint32_t out, struct err *e) {
    struct taps *t = arena_alloc(a, (size_t)out * sizeof *t, e);
    for (uint32_t i = 0; t && i < out; i++)
        if (!make_taps(a, &axis, &t[i], i, e)) return NULL;
    return t;
}

struct px_scaler *px_scaler_new(struct arena *a, unsigned channels, uint32_t in_width, uint32_t in_height, uint32_t out_width, uint32_t out_height,
                                uint8_t *out, struct err *e) {
    const struct px_part whole = {0, 0, (double)in_width / out_width, (double)in_height / out_height};
    return px_scaler_part(a, channels, in_width, in_height, &whole, out_width, out_height, out, (size_t)out_width * channels, e);
}

static bool make_lines(struct arena *a, struct px_scaler *s, struct err *e) {
    const struct taps *last = &s->columns[s->out_width - 1];
    s->from = s->columns[0].first;
    s->span = last->first + last->count - s->from;
    s->y = s->rows[0].first;
    uint32_t width = s->shrinks ? s->span : s->out_width, other = s->shrinks ? s->out_width : s->span;
    s->across = arena_alloc(a, (size_t)other * s->channels * sizeof *s->across, e);
    for (unsigned i = 0; i < RING; i++)
        if (!s->across || !(s->line[i] = arena_alloc(a, (size_t)width * s->channels * sizeof *s->line[i], e))) return false;
    return true;
}

struct px_scaler *px_scaler_part(struct arena *a, unsigned channels, uint32_t in_width, uint32_t in_height, const struct px_part *part, uint32_t out_width,
                                 uint32_t out_height, uint8_t *out, size_t stride, struct err *e) {
    struct px_scaler *s = arena_zero(a, 1, sizeof *s, e);
    if (!s) return NULL;
    *s = (struct px_scaler){.channels = channels, .in_width = in_width, .in_height = in_height, .out_width = out_width, .out_height = out_height};
    s->out = out;
    s->stride = stride;
    s->shrinks = part->step_y > 1;
    s->columns = all_taps(a, (struct axis){in_width, part->x, part->step_x}, out_width, e);
    s->rows = s->columns ? all_taps(a, (struct axis){in_height, part->y, part->step_y}, out_height, e) : NULL;
    return s->rows && make_lines(a, s, e) ? s : NULL;
}

uint32_t px_scaler_first(const struct px_scaler *s) {
    return s->rows[0].first;
}

bool px_scaler_done(const struct px_scaler *s) {
    return s->done == s->out_height;
}

// row: from the first column that counts.
static void scale_across(const struct px_scaler *s, const float *row, float *to) {
    for (uint32_t x = 0; x < s->out_width; x++) {
        const struct taps *t = &s->columns[x];
        const float *from = row + (size_t)(t->first - s->from) * s->channels;
        for (unsigned c = 0; c < s->channels; c++) {
            float sum = 0;
            for (uint32_t k = 0; k < t->count; k++) sum += t->weight[k] * from[(size_t)k * s->channels + c];
            to[(size_t)x * s->channels + c] = sum;
        }
    }
}

static uint8_t to_byte(float v) {
    return (uint8_t)(v + 0.5f > 255 ? 255 : v + 0.5f);
}

static void add_line(struct px_scaler *s, uint32_t y, float weight, const uint8_t *restrict row) {
    size_t n = (size_t)s->span * s->channels;
    float *restrict line = s->line[y % RING];
    if (y >= s->begun) {
        memset(line, 0, n * sizeof *line);
        s->begun = y + 1;
    }
    for (size_t i = 0; i < n; i++) line[i] += weight * row[i];
}

static void finish_line(struct px_scaler *s, uint32_t y) {
    size_t n = (size_t)s->out_width * s->channels;
    scale_across(s, s->line[y % RING], s->across);
    for (size_t i = 0; i < n; i++) s->out[y * s->stride + i] = to_byte(s->across[i]);
    s->done = y + 1;
}

static void shrink_row(struct px_scaler *s, const uint8_t *row) {
    for (uint32_t y = s->done; y < s->out_height && s->rows[y].first <= s->y; y++) {
        const struct taps *t = &s->rows[y];
        if (s->y < t->first + t->count) add_line(s, y, t->weight[s->y - t->first], row);
        if (s->y + 1 == t->first + t->count) finish_line(s, y);
    }
}

// Enlarging: an output row lies between two input rows at most.
static void enlarge_row(struct px_scaler *s, const uint8_t *row) {
    size_t n = (size_t)s->out_width * s->channels;
    for (size_t i = 0; i < (size_t)s->span * s->channels; i++) s->across[i] = row[i];
    scale_across(s, s->across, s->line[s->y % 2]);
    for (; s->done < s->out_height && s->rows[s->done].first + s->rows[s->done].count <= s->y + 1; s->done++) {
        const struct taps *t = &s->rows[s->done];
        const float *upper = s->line[t->first % 2], *lower = s->line[(t->first + t->count - 1) % 2];
        float below = t->count > 1 ? t->weight[1] : 0;
        for (size_t i = 0; i < n; i++) s->out[s->done * s->stride + i] = to_byte(t->weight[0] * upper[i] + below * lower[i]);
    }
}

void px_scaler_row(struct px_scaler *s, const uint8_t *row) {
    row += (size_t)s->from * s->channels;
    if (s->shrinks)
        shrink_row(s, row);
    else
        enlarge_row(s, row);
    s->y++;
}

void px_fit(uint32_t width, uint32_t height, uint32_t max_width, uint32_t max_height, uint32_t *out_width, uint32_t *out_height) {
    double by_width = (double)max_width / width, by_height = (double)max_height / height, scale = fmin(by_width, by_height);
    double w = floor(width * scale + 0.5), h = floor(height * scale + 0.5);
    *out_width = w < 1 ? 1 : (uint32_t)w;
    *out_height = h < 1 ? 1 : (uint32_t)h;
}

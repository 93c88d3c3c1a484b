// Surfaces of masks as marked places of a lattice.
#include "mod/evidence/seg_field.h"

#include <string.h>

static bool row_any(const uint8_t *row, uint32_t n) {
    uint32_t i = 0;
    for (uint64_t word; i + 8 <= n; i += 8) {
        memcpy(&word, row + i, 8);
        if (word) return true;
    }
    for (; i < n; i++) {
        if (row[i]) return true;
    }
    return false;
}

static void stretch(struct seg_box *b, unsigned axis, uint32_t at) {
    if (at < b->lo[axis]) b->lo[axis] = at;
    if (at + 1 > b->hi[axis]) b->hi[axis] = at + 1;
}

static void stretch_row(struct seg_box *b, const uint8_t *row, uint32_t z, uint32_t y, uint32_t n) {
    uint32_t first = 0, last = n - 1;
    stretch(b, 0, z);
    stretch(b, 1, y);
    while (first < b->lo[2] && !row[first]) first++;
    while (last + 1 > b->hi[2] && !row[last]) last--;
    if (row[first]) stretch(b, 2, first);
    if (row[last]) stretch(b, 2, last);
}

void seg_box(const struct seg_grid *g, const uint8_t *const masks[2], struct seg_box *out) {
    *out = (struct seg_box){.lo = {UINT32_MAX, UINT32_MAX, UINT32_MAX}};
    for (unsigned m = 0; m < 2; m++) {
        const uint8_t *row = masks[m];
        for (uint32_t z = 0; z < g->n[0]; z++) {
            for (uint32_t y = 0; y < g->n[1]; y++, row += g->n[2]) {
                if (row_any(row, g->n[2])) stretch_row(out, row, z, y, g->n[2]);
            }
        }
    }
    out->empty = out->hi[0] == 0;
}

static bool field_init(struct arena *a, const struct seg_grid *g, const struct seg_box *box, unsigned more, struct seg_field *out, struct err *e) {
    size_t places = 1;
    for (unsigned i = 0; i < 3; i++) {
        bool flat = g->dims == 2 && i == 0;
        out->n[i] = box->empty ? 0 : flat ? 1 : box->hi[i] - box->lo[i] + more;
        out->spacing[i] = flat ? 1 : g->spacing[i];
        places *= out->n[i];
    }
    out->code = arena_zero(a, places ? places : 1, 1, e);
    return out->code != NULL;
}

// A row of the mask that begins at the box, or NULL outside.
static const uint8_t *row_at(const struct seg_grid *g, const uint8_t *mask, const struct seg_box *b, int64_t z, int64_t y) {
    if (z < 0 || y < 0 || z >= (int64_t)b->hi[0] - b->lo[0] || y >= (int64_t)b->hi[1] - b->lo[1]) return NULL;
    return mask + (((size_t)z + b->lo[0]) * g->n[1] + (size_t)y + b->lo[1]) * g->n[2] + b->lo[2];
}

static void add_bits(uint8_t *column, const uint8_t *row, uint32_t n, unsigned shift) {
    if (!row) return;
    for (uint32_t x = 0; x < n; x++) column[x] |= (uint8_t)((row[x] != 0) << shift);
}

// Codes of one row of corners: the four rows about it, each two bits apart, then the columns left and right.
static void code_row(uint8_t *out, uint32_t n, const uint8_t *const rows[4], uint8_t full, uint8_t *column) {
    memset(column, 0, (size_t)n + 2);
    for (unsigned i = 0; i < 4; i++) add_bits(column + 1, rows[i], n, 6 - 2 * i);
    for (uint32_t x = 0; x <= n; x++) {
        uint8_t code = (uint8_t)(column[x] << 1 | column[x + 1]);
        out[x] = code == full ? 0 : code;
    }
}

bool seg_field_surfels(struct arena *a, const struct seg_grid *g, const uint8_t *mask, const struct seg_box *box, struct seg_field *out, struct err *e) {
    if (!field_init(a, g, box, 1, out, e)) return false;
    if (box->empty) return true;
    uint32_t n = box->hi[2] - box->lo[2];
    uint8_t *column = arena_alloc(a, (size_t)n + 2, e), *to = out->code;
    if (!column) return false;
    bool plane = g->dims == 2;
    for (int64_t z = 0; z < out->n[0]; z++) {
        int64_t behind = plane ? -1 : z - 1;
        for (int64_t y = 0; y < out->n[1]; y++, to += out->n[2]) {
            const uint8_t *rows[4] = {row_at(g, mask, box, behind, y - 1), row_at(g, mask, box, behind, y), row_at(g, mask, box, z, y - 1),
                                      row_at(g, mask, box, z, y)};
            code_row(to, n, rows, plane ? 15 : 255, column);
        }
    }
    return true;
}

static bool inside(const uint8_t *row, uint32_t x) {
    return row && row[x] != 0;
}

static void border_row(uint8_t *out, uint32_t n, const uint8_t *row, const uint8_t *const around[4], bool plane) {
    for (uint32_t x = 0; x < n; x++) {
        if (!row[x]) continue;
        bool within = x > 0 && x + 1 < n && row[x - 1] && row[x + 1] && inside(around[2], x) && inside(around[3], x);
        out[x] = !(within && (plane || (inside(around[0], x) && inside(around[1], x))));
    }
}

bool seg_field_borders(struct arena *a, const struct seg_grid *g, const uint8_t *mask, const struct seg_box *box, struct seg_field *out, struct err *e) {
    if (!field_init(a, g, box, 0, out, e)) return false;
    uint8_t *to = out->code;
    for (int64_t z = 0; z < out->n[0]; z++) {
        for (int64_t y = 0; y < out->n[1]; y++, to += out->n[2]) {
            const uint8_t *row = row_at(g, mask, box, z, y);
            const uint8_t *around[4] = {row_at(g, mask, box, z - 1, y), row_at(g, mask, box, z + 1, y), row_at(g, mask, box, z, y - 1),
                                        row_at(g, mask, box, z, y + 1)};
            border_row(to, out->n[2], row, around, g->dims == 2);
        }
    }
    return true;
}

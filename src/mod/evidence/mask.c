// Label maps: numbers of a file become labels, two maps come onto one grid.
#include "mod/evidence/mask.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "mod/evidence/mask_part.h"
#include "text/gzip.h"

// ---- values ----

static double number_at(const struct mask_values *v, size_t index) {
    const uint8_t *p = (const uint8_t *)v->bytes.p + index * v->size;
    uint64_t bits = 0;
    for (unsigned i = 0; i < v->size; i++) bits |= (uint64_t)p[v->big_endian ? v->size - 1 - i : i] << (8 * i);
    if (v->kind == MASK_FLOAT && v->size == 4) {
        uint32_t half = (uint32_t)bits;
        float f;
        memcpy(&f, &half, sizeof f);
        return (double)f;
    }
    if (v->kind == MASK_FLOAT) {
        double d;
        memcpy(&d, &bits, sizeof d);
        return d;
    }
    if (v->kind == MASK_SIGNED && bits >> (8 * v->size - 1)) return -1;
    return (double)bits;
}

static bool is_label(double x) {
    return x >= 0 && x <= MASK_LABEL_MAX && x == floor(x);
}

// Where a voxel of the file's order belongs.
static size_t place_of(const struct mask_values *v, size_t index) {
    if (!v->first_fastest) return index;
    size_t i = index % v->n[0], j = index / v->n[0] % v->n[1], k = index / v->n[0] / v->n[1];
    return (i * v->n[1] + j) * v->n[2] + k;
}

bool mask_take_values(struct arena *a, const struct mask_values *v, struct mask *out, struct err *e) {
    out->grid.dims = v->dims;
    memcpy(out->grid.n, v->n, sizeof out->grid.n);
    if (!seg_grid_check(&out->grid, e)) return false;
    size_t voxels = seg_voxels(&out->grid);
    if (v->bytes.n / v->size < voxels)
        return err_set(e, ERR_BAD_INPUT, "mask", "the file is cut short: %zu of %zu voxels are there", v->bytes.n / v->size, voxels);
    out->labels = arena_alloc(a, voxels * sizeof *out->labels, e);
    if (!out->labels) return false;
    for (size_t i = 0; i < voxels; i++) {
        double x = v->size == 1 && v->kind == MASK_UNSIGNED ? (uint8_t)v->bytes.p[i] : number_at(v, i);
        if (!is_label(x)) return err_set(e, ERR_BAD_INPUT, "mask", "voxel %zu is %g: labels are whole numbers from 0 to %d", i, x, MASK_LABEL_MAX);
        out->labels[place_of(v, i)] = (uint16_t)x;
    }
    return true;
}

// ---- formats ----

static bool unpack(struct arena *a, struct str packed, struct str *out, struct err *e) {
    struct buf b;
    buf_init(&b, (size_t)MASK_BYTES_MAX);
    bool ok = gzip_unpack(packed, &b, e) && arena_dup(a, buf_str(&b), out, e);
    buf_deinit(&b);
    return ok;
}

bool mask_read(struct arena *a, struct str bytes, struct mask *out, struct err *e) {
    struct str plain = bytes;
    if (bytes.n > 2 && memcmp(bytes.p, "\x1f\x8b", 2) == 0 && !unpack(a, bytes, &plain, e)) return false;
    if (plain.n >= 6 && memcmp(plain.p, "\x93NUMPY", 6) == 0) return mask_read_npy(a, plain, out, e);
    if (plain.n >= 348 && (memcmp(plain.p + 344, "n+1", 4) == 0 || memcmp(plain.p + 4, "n+2", 4) == 0)) return mask_read_nifti(a, plain, out, e);
    if (plain.n >= 348 && memcmp(plain.p + 344, "ni1", 4) == 0)
        return err_set(e, ERR_UNSUPPORTED, "mask", "NIfTI in two files is not taken: convert it to one (.nii)");
    return err_set(e, ERR_UNSUPPORTED, "mask", "neither a NumPy array, nor NIfTI, nor a DICOM segmentation");
}

// ---- one grid ----

// Index i of the other runs along index to[i] of the reference, backwards when flip; offset: of its first voxel (in steps of the reference).
struct fit {
    unsigned to[3];
    bool flip[3];
    int64_t offset[3]; // by axis of the reference
    uint32_t n[3];     // of the other, by axis of the reference
};

static bool axes_fit(const struct mask *r, const struct mask *p, struct fit *f, struct err *e) {
    bool taken[3] = {false, false, false};
    for (unsigned i = 0; i < 3; i++) {
        unsigned best = 3;
        for (unsigned k = 0; k < 3; k++) {
            if (fabs(mask_dot(p->axis[i], r->axis[k])) > 0.9998) best = k; // within 1.1 degrees
        }
        if (best == 3 || taken[best])
            return err_set(e, ERR_BAD_INPUT, "mask", "the masks lie at an angle to each other: resample one to the grid of the other");
        double ratio = p->grid.spacing[i] / r->grid.spacing[best];
        if (!(fabs(ratio - 1) < 2e-3)) {
            return err_set(e, ERR_BAD_INPUT, "mask", "the spacing differs: %g mm in the reference, %g mm in the predicted mask: resample one",
                           r->grid.spacing[best], p->grid.spacing[i]);
        }
        taken[best] = true;
        f->to[i] = best;
        f->flip[i] = mask_dot(p->axis[i], r->axis[best]) < 0;
        f->n[best] = p->grid.n[i];
    }
    return true;
}

static bool offsets_fit(const struct mask *r, const struct mask *p, struct fit *f, struct err *e) {
    double away[3];
    for (unsigned k = 0; k < 3; k++) away[k] = p->origin[k] - r->origin[k];
    for (unsigned i = 0; i < 3; i++) {
        unsigned k = f->to[i];
        double steps = mask_dot(away, r->axis[k]) / r->grid.spacing[k], whole = round(steps);
        if (!(fabs(steps) < 1e6)) return err_set(e, ERR_BAD_INPUT, "mask", "the masks lie %g voxels apart", steps);
        if (fabs(steps - whole) > 0.02) {
            return err_set(e, ERR_BAD_INPUT, "mask", "the voxels of the masks do not fall on each other: they are %.3f of a voxel apart: resample one",
                           fabs(steps - whole));
        }
        f->offset[k] = (int64_t)whole - (f->flip[i] ? (int64_t)p->grid.n[i] - 1 : 0);
    }
    return true;
}

// The map of m laid into a larger grid; index i of m goes to axis to[i], from offset on.
static bool lay(struct arena *a, struct mask *m, const struct fit *f, const struct seg_grid *grid, const int64_t lo[3], struct err *e) {
    uint16_t *labels = arena_zero(a, seg_voxels(grid), sizeof *labels, e);
    if (!labels) return false;
    size_t stride[3] = {(size_t)grid->n[1] * grid->n[2], grid->n[2], 1}, i = 0;
    uint32_t at[3];
    for (at[0] = 0; at[0] < m->grid.n[0]; at[0]++) {
        for (at[1] = 0; at[1] < m->grid.n[1]; at[1]++) {
            for (at[2] = 0; at[2] < m->grid.n[2]; at[2]++, i++) {
                size_t to = 0;
                for (unsigned k = 0; k < 3; k++) {
                    unsigned axis = f->to[k];
                    to += (size_t)(f->offset[axis] - lo[axis] + (f->flip[k] ? m->grid.n[k] - 1 - at[k] : at[k])) * stride[axis];
                }
                labels[to] = m->labels[i];
            }
        }
    }
    m->labels = labels;
    m->grid = *grid;
    return true;
}

static bool same_shape(const struct mask *r, const struct mask *p) {
    return r->grid.dims == p->grid.dims && memcmp(r->grid.n, p->grid.n, sizeof r->grid.n) == 0;
}

static bool unplaced(struct mask *r, struct mask *p, struct err *e) {
    if (!same_shape(r, p)) {
        return err_set(e, ERR_BAD_INPUT, "mask", "the shapes differ: %u x %u x %u and %u x %u x %u voxels, and not both files tell where they lie",
                       r->grid.n[0], r->grid.n[1], r->grid.n[2], p->grid.n[0], p->grid.n[1], p->grid.n[2]);
    }
    struct mask *known = r->spaced ? r : p, *other = r->spaced ? p : r;
    for (unsigned i = 0; i < 3 && other->spaced; i++) {
        if (fabs(other->grid.spacing[i] / known->grid.spacing[i] - 1) > 2e-3)
            return err_set(e, ERR_BAD_INPUT, "mask", "the spacing differs: %g and %g mm", r->grid.spacing[i], p->grid.spacing[i]);
    }
    memcpy(other->grid.spacing, known->grid.spacing, sizeof other->grid.spacing);
    other->spaced = known->spaced;
    return true;
}

bool mask_align(struct arena *a, struct mask *reference, struct mask *predicted, struct err *e) {
    if (!reference->placed || !predicted->placed || reference->grid.dims != 3 || predicted->grid.dims != 3) return unplaced(reference, predicted, e);
    struct fit own = {.to = {0, 1, 2}}, f = {.to = {0, 1, 2}};
    if (!axes_fit(reference, predicted, &f, e) || !offsets_fit(reference, predicted, &f, e)) return false;
    struct seg_grid grid = reference->grid;
    int64_t lo[3];
    bool moved = false;
    for (unsigned k = 0; k < 3; k++) {
        int64_t end = f.offset[k] + f.n[k];
        lo[k] = f.offset[k] < 0 ? f.offset[k] : 0;
        int64_t n = (end > grid.n[k] ? end : grid.n[k]) - lo[k];
        if (n > SEG_AXIS_MAX) return err_set(e, ERR_TOO_LARGE, "mask", "the masks lie too far apart: %lld voxels along one axis", (long long)n);
        moved = moved || lo[k] != 0 || n != grid.n[k];
        grid.n[k] = (uint32_t)n;
    }
    if (!seg_grid_check(&grid, e)) return false;
    return lay(a, predicted, &f, &grid, lo, e) && (!moved || lay(a, reference, &own, &grid, lo, e));
}

// ---- labels ----

uint8_t *mask_select(struct arena *a, const struct mask *m, unsigned label, struct err *e) {
    size_t voxels = seg_voxels(&m->grid);
    uint8_t *out = arena_alloc(a, voxels, e);
    for (size_t i = 0; out && i < voxels; i++) out[i] = label ? m->labels[i] == label : m->labels[i] != 0;
    return out;
}

bool mask_labels(struct arena *a, const struct mask *const *masks, unsigned count, uint16_t **labels, unsigned *n, struct err *e) {
    bool *seen = arena_zero(a, MASK_LABEL_MAX + 1, sizeof *seen, e);
    if (!seen) return false;
    for (unsigned k = 0; k < count; k++) {
        size_t voxels = seg_voxels(&masks[k]->grid);
        for (size_t i = 0; i < voxels; i++) seen[masks[k]->labels[i]] = true;
    }
    *n = 0;
    for (unsigned label = 1; label <= MASK_LABEL_MAX; label++) *n += seen[label];
    *labels = arena_alloc(a, *n * sizeof **labels, e);
    if (!*labels) return false;
    for (unsigned label = 1, at = 0; label <= MASK_LABEL_MAX; label++) {
        if (seen[label]) (*labels)[at++] = (uint16_t)label;
    }
    return true;
}

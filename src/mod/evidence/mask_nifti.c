// NIfTI-1 and NIfTI-2 volumes in one file.
#include <math.h>
#include <string.h>

#include "mod/evidence/mask.h"
#include "mod/evidence/mask_part.h"

// Where the fields of the two versions lie (nifti1.h, nifti2.h).
struct layout {
    const char *name;
    size_t header, dim, datatype, pixdim, offset, slope, inter, qform, sform, quatern, qoffset, srow, units;
    unsigned dim_size, float_size, code_size; // bytes
};

static const struct layout NIFTI1 = {"NIfTI-1", 348, 40, 70, 76, 108, 112, 116, 252, 254, 256, 268, 280, 123, 2, 4, 2};
static const struct layout NIFTI2 = {"NIfTI-2", 540, 16, 12, 104, 168, 176, 184, 344, 348, 352, 376, 400, 500, 8, 8, 4};

struct header {
    const uint8_t *p;
    const struct layout *at;
    bool big;
};

static uint64_t bits_at(const struct header *h, size_t at, unsigned size) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < size; i++) bits |= (uint64_t)h->p[at + (h->big ? size - 1 - i : i)] << (8 * i);
    return bits;
}

static int64_t integer_at(const struct header *h, size_t at, unsigned size) {
    uint64_t bits = bits_at(h, at, size);
    unsigned unused = 64 - 8 * size;
    return (int64_t)(bits << unused) >> unused;
}

static double real_at(const struct header *h, size_t at) {
    uint64_t bits = bits_at(h, at, h->at->float_size);
    if (h->at->float_size == 4) {
        uint32_t half = (uint32_t)bits;
        float f;
        memcpy(&f, &half, sizeof f);
        return (double)f;
    }
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static bool type_of(const struct header *h, struct mask_values *v, struct err *e) {
    static const struct {
        int64_t code;
        enum mask_kind kind;
        unsigned size;
    } TYPES[] = {{2, MASK_UNSIGNED, 1}, {4, MASK_SIGNED, 2},     {8, MASK_SIGNED, 4},     {16, MASK_FLOAT, 4},    {64, MASK_FLOAT, 8},
                 {256, MASK_SIGNED, 1}, {512, MASK_UNSIGNED, 2}, {768, MASK_UNSIGNED, 4}, {1024, MASK_SIGNED, 8}, {1280, MASK_UNSIGNED, 8}};
    int64_t code = integer_at(h, h->at->datatype, 2);
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        if (TYPES[i].code != code) continue;
        v->kind = TYPES[i].kind;
        v->size = TYPES[i].size;
        double slope = real_at(h, h->at->slope), inter = real_at(h, h->at->inter);
        bool scaled = slope != 0 && isfinite(slope) && (slope != 1 || inter != 0);
        return !scaled || err_set(e, ERR_UNSUPPORTED, "mask", "scaled values (slope %g, intercept %g) are no labels", slope, inter);
    }
    return err_set(e, ERR_UNSUPPORTED, "mask", "NIfTI data type %lld is no type of labels", (long long)code);
}

// The first index of NIfTI runs fastest: it becomes our last.
static bool shape_of(const struct header *h, struct mask_values *v, struct err *e) {
    int64_t axes = integer_at(h, h->at->dim, h->at->dim_size);
    if (axes < 2 || axes > 7) return err_set(e, ERR_BAD_INPUT, "mask", "NIfTI declares %lld axes", (long long)axes);
    for (unsigned i = 1; i <= 7; i++) {
        int64_t n = i <= axes ? integer_at(h, h->at->dim + i * h->at->dim_size, h->at->dim_size) : 1;
        if (n < 1 || n > SEG_AXIS_MAX) return err_set(e, ERR_TOO_LARGE, "mask", "axis %u has %lld voxels: 1 to %d are taken", i, (long long)n, SEG_AXIS_MAX);
        if (i > 3 && n != 1) return err_set(e, ERR_UNSUPPORTED, "mask", "a volume of %u axes: take one volume out of it", i);
        if (i <= 3) v->n[3 - i] = (uint32_t)n;
    }
    v->dims = 3;
    return true;
}

// ---- where it lies: columns of a matrix from indexes to mm, right anterior superior ----

static void from_sform(const struct header *h, double m[3][4]) {
    for (unsigned r = 0; r < 3; r++) {
        for (unsigned c = 0; c < 4; c++) m[r][c] = real_at(h, h->at->srow + (r * 4 + c) * h->at->float_size);
    }
}

// nifti1.h, method 2: a quaternion without its first part.
static void from_qform(const struct header *h, double m[3][4]) {
    double q[3], pixdim[4];
    for (unsigned i = 0; i < 3; i++) {
        q[i] = real_at(h, h->at->quatern + i * h->at->float_size);
        m[i][3] = real_at(h, h->at->qoffset + i * h->at->float_size);
    }
    for (unsigned i = 0; i < 4; i++) pixdim[i] = real_at(h, h->at->pixdim + i * h->at->float_size);
    double b = q[0], c = q[1], d = q[2], a = sqrt(fmax(1 - b * b - c * c - d * d, 0)), last = pixdim[0] < 0 ? -1 : 1;
    const double r[3][3] = {{a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
                            {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
                            {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c}};
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < 3; k++) m[i][k] = r[i][k] * pixdim[k + 1] * (k == 2 ? last : 1);
    }
}

static bool placed_by(const double m[3][4], double unit, struct mask *out, struct err *e) {
    for (unsigned k = 0; k < 3; k++) {
        double column[3] = {-m[0][k] * unit, -m[1][k] * unit, m[2][k] * unit}, length = sqrt(mask_dot(column, column)); // to left posterior superior
        if (!(length >= 1e-6 && length <= 1e6)) return err_set(e, ERR_BAD_INPUT, "mask", "the matrix of the volume's place has a column of length %g", length);
        out->grid.spacing[2 - k] = length;
        for (unsigned i = 0; i < 3; i++) out->axis[2 - k][i] = column[i] / length;
    }
    for (unsigned i = 0; i < 3; i++) {
        out->origin[i] = m[i][3] * unit * (i < 2 ? -1 : 1);
        if (!isfinite(out->origin[i])) return err_set(e, ERR_BAD_INPUT, "mask", "the volume's place is no number");
        for (unsigned k = 0; k < i; k++) {
            if (fabs(mask_dot(out->axis[i], out->axis[k])) > 1e-3) return err_set(e, ERR_UNSUPPORTED, "mask", "the axes of the volume are not at right angles");
        }
    }
    out->placed = out->spaced = true;
    return true;
}

static bool place_of(const struct header *h, struct mask *out, struct err *e) {
    double m[3][4], unit = 1;
    int64_t units = integer_at(h, h->at->units, h->at->code_size == 2 ? 1 : 4) & 7;
    if (units == 1) unit = 1000; // metres
    if (units == 3) unit = 0.001;
    if (integer_at(h, h->at->sform, h->at->code_size) > 0)
        from_sform(h, m);
    else if (integer_at(h, h->at->qform, h->at->code_size) > 0)
        from_qform(h, m);
    else {
        for (unsigned i = 0; i < 3; i++) {
            double d = fabs(real_at(h, h->at->pixdim + (i + 1) * h->at->float_size)) * unit;
            out->grid.spacing[2 - i] = d > 0 && isfinite(d) ? d : 1;
        }
        out->spaced = true;
        return true;
    }
    return placed_by((const double(*)[4])m, unit, out, e);
}

bool mask_read_nifti(struct arena *a, struct str bytes, struct mask *out, struct err *e) {
    struct header h = {.p = (const uint8_t *)bytes.p, .at = bytes.n >= 8 && memcmp(bytes.p + 4, "n+2", 4) == 0 ? &NIFTI2 : &NIFTI1};
    if (bytes.n < h.at->header) return err_set(e, ERR_BAD_INPUT, "mask", "the header of the NIfTI file is cut short");
    h.big = bits_at(&h, 0, 4) != h.at->header;
    if (bits_at(&h, 0, 4) != h.at->header) return err_set(e, ERR_BAD_INPUT, "mask", "not a NIfTI file");
    struct mask_values v = {.big_endian = h.big};
    *out = (struct mask){.format = h.at->name, .grid.spacing = {1, 1, 1}};
    double from = h.at->float_size == 4 ? real_at(&h, h.at->offset) : (double)integer_at(&h, h.at->offset, 8);
    if (!(from >= (double)h.at->header && from <= (double)bytes.n))
        return err_set(e, ERR_BAD_INPUT, "mask", "the voxels begin at %g of %zu bytes", from, bytes.n);
    v.bytes = str_sub(bytes, (size_t)from, bytes.n);
    return type_of(&h, &v, e) && shape_of(&h, &v, e) && place_of(&h, out, e) && mask_take_values(a, &v, out, e);
}

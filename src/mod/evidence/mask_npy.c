// Arrays of NumPy: a line of Python that tells type, order and shape, then the numbers.
#include <math.h>
#include <string.h>

#include "mod/evidence/mask.h"
#include "mod/evidence/mask_part.h"

// What stands after 'key': in the header.
static struct str value_of(struct str header, const char *key) {
    const char *at = memmem(header.p, header.n, key, strlen(key));
    if (!at) return (struct str){NULL, 0};
    struct str rest = str_sub(header, (size_t)(at - header.p) + strlen(key), header.n);
    while (rest.n && (rest.p[0] == ' ' || rest.p[0] == ':')) rest = str_sub(rest, 1, rest.n);
    return rest;
}

static bool type_of(struct str header, struct mask_values *v, struct err *e) {
    struct str descr = value_of(header, "'descr'");
    if (descr.n < 5 || descr.p[0] != '\'') return err_set(e, ERR_UNSUPPORTED, "mask", "the array's type is not a plain number");
    char order = descr.p[1], kind = descr.p[2], size = descr.p[3];
    v->big_endian = order == '>';
    v->size = (unsigned)(size - '0');
    v->kind = kind == 'f' ? MASK_FLOAT : kind == 'i' ? MASK_SIGNED : MASK_UNSIGNED;
    bool known = strchr("<>|=", order) && strchr("biuf", kind) && strchr(kind == 'f' ? "48" : kind == 'b' ? "1" : "1248", size) && descr.p[4] == '\'';
    return known ||
           err_set(e, ERR_UNSUPPORTED, "mask", "the array's type %.*s is not taken: bool, integers and float32 or 64 are", STR_FMT(str_sub(descr, 0, 8)));
}

static bool shape_of(struct str header, struct mask_values *v, struct err *e) {
    struct str rest = value_of(header, "'shape'");
    struct str list = rest.n && rest.p[0] == '(' ? str_sub(rest, 1, str_find(rest, ')', 0) - 1) : (struct str){NULL, 0};
    uint64_t n[8];
    unsigned axes = 0;
    while (list.p && axes < 8) {
        struct str one = str_trim(str_split(&list, ','));
        if (one.n == 0) continue;
        if (!str_to_u64(one, &n[axes]) || n[axes] < 1 || n[axes] > SEG_AXIS_MAX)
            return err_set(e, ERR_TOO_LARGE, "mask", "an axis of %.*s voxels: 1 to %d are taken", STR_FMT(one), SEG_AXIS_MAX);
        axes++;
    }
    if (axes != 2 && axes != 3) return err_set(e, ERR_UNSUPPORTED, "mask", "an array of %u axes: masks have 2 or 3", axes);
    for (unsigned i = 0; i < 3; i++) v->n[i] = i + axes < 3 ? 1 : (uint32_t)n[i + axes - 3];
    v->dims = axes;
    return true;
}

bool mask_read_npy(struct arena *a, struct str bytes, struct mask *out, struct err *e) {
    const uint8_t *p = (const uint8_t *)bytes.p;
    if (bytes.n < 12 || memcmp(p, "\x93NUMPY", 6) != 0) return err_set(e, ERR_BAD_INPUT, "mask", "not an array of NumPy");
    bool wide = p[6] >= 2;
    size_t length = wide ? (size_t)p[8] | (size_t)p[9] << 8 | (size_t)p[10] << 16 | (size_t)p[11] << 24 : (size_t)p[8] | (size_t)p[9] << 8,
           from = wide ? 12 : 10;
    if (length > bytes.n - from) return err_set(e, ERR_BAD_INPUT, "mask", "the array's header is cut short");
    struct str header = str_sub(bytes, from, length), fortran = value_of(header, "'fortran_order'");
    struct mask_values v = {.bytes = str_sub(bytes, from + length, bytes.n), .first_fastest = str_starts(fortran, STR_LIT("True"))};
    *out = (struct mask){.format = "NumPy", .grid.spacing = {1, 1, 1}};
    return type_of(header, &v, e) && shape_of(header, &v, e) && mask_take_values(a, &v, out, e);
}

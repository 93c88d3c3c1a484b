// A POSIX ustar archive of objects (POSIX.1-2017 pax, "ustar Interchange Format").
#include <stdio.h>

#include "mod/dicomweb/package.h"

enum { BLOCK = 512, NAME_AT = 0, NAME_MAX_BYTES = 100, SIZE_AT = 124, CHECK_AT = 148, PREFIX_AT = 345 };

#define OCTAL_SIZE_MAX 077777777777ULL // eleven digits

static void put_octal(char *to, size_t digits, uint64_t v) {
    to[digits] = '\0';
    while (digits-- > 0) {
        to[digits] = (char)('0' + (v & 7));
        v >>= 3;
    }
}

// Beyond eleven octal digits: base 256 with the first bit set, which every tar program of today reads.
static void put_size(char *to, uint64_t v) {
    if (v <= OCTAL_SIZE_MAX) {
        put_octal(to, 11, v);
        return;
    }
    memset(to, 0, 12);
    to[0] = (char)0x80;
    for (int i = 11; i > 3; i--, v >>= 8) to[i] = (char)(v & 0xFF);
}

static void make_header(const struct instance_ref *ref, char to[BLOCK]) {
    unsigned sum = 0;
    memset(to, 0, BLOCK);
    snprintf(to + NAME_AT, NAME_MAX_BYTES, "%.*s.dcm", STR_FMT(ref->sop_instance_uid));
    snprintf(to + PREFIX_AT, 155, "%.*s/%.*s", STR_FMT(ref->study_uid), STR_FMT(ref->series_uid));
    put_octal(to + 100, 7, 0644);
    put_octal(to + 108, 7, 0);
    put_octal(to + 116, 7, 0);
    put_size(to + SIZE_AT, ref->loc.length);
    put_octal(to + 136, 11, ref->received_ms > 0 ? (uint64_t)ref->received_ms / 1000 : 0);
    to[156] = '0';
    memcpy(to + 257, "ustar", sizeof "ustar");
    to[263] = to[264] = '0';
    memset(to + CHECK_AT, ' ', 8);
    for (unsigned i = 0; i < BLOCK; i++) sum += (unsigned char)to[i];
    put_octal(to + CHECK_AT, 6, sum);
}

// Pieces come in threes: header, object, padding; the padding may be missing, so that the header finds its object behind it.
static bool write_header(struct dw_body *b, size_t piece, char *to, size_t length, struct err *e) {
    (void)length, (void)e;
    make_header(b->pieces[piece + 1].ref, to);
    return true;
}

bool dw_tar_body(struct dw_body *b, struct arena *a, struct archive *ar, const struct instance_list *list, struct err *e) {
    static const char zeros[2 * BLOCK];
    if (!dw_body_init(b, a, ar, 3 * list->count + 1, e)) return false;
    for (size_t i = 0; i < list->count; i++) {
        const struct instance_ref *ref = &list->refs[i];
        dw_body_add(b, &(struct dw_piece){.kind = DW_MADE, .make = write_header, .length = BLOCK});
        dw_body_object(b, ref, 0, ref->loc.length);
        dw_body_text(b, (struct str){zeros, (size_t)((BLOCK - ref->loc.length % BLOCK) % BLOCK)});
    }
    dw_body_text(b, (struct str){zeros, sizeof zeros});
    return true;
}

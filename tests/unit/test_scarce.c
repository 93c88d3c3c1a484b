// Every parser in every amount of memory: over the fuzz corpora, with an arena that ends anywhere and allocations that fail at any point, an input
// is either read as it would be with plenty, or refused for want of memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dicom/charset.h"
#include "dicom/json.h"
#include "dicom/read.h"
#include "dicom/uids.h"
#include "dimse/command.h"
#include "dimse/pdu.h"
#include "failing_memory.h"
#include "http/media.h"
#include "http/multipart.h"
#include "text/gzip.h"
#include "text/xml.h"

enum { PLENTY = 64 << 20, INPUT_MAX = 3000, STEPS = 48, ALLOCATIONS_MAX = 40 };

// ---- the parsers ----

static bool read_dataset(struct arena *a, struct str in, struct err *e) {
    static const char *const syntaxes[] = {DCM_UID_ImplicitVRLittleEndian, DCM_UID_ExplicitVRLittleEndian, DCM_UID_ExplicitVRBigEndian,
                                           DCM_UID_DeflatedExplicitVRLittleEndian};
    struct dcm_object o;
    if (in.n == 0) return true;
    return dcm_read_memory(a, in.p + 1, in.n - 1, dcm_ts_find(str_of(syntaxes[in.p[0] & 3])), DCM_STOP_NOWHERE, &o, e);
}

// From a descriptor, as files are read, where values are copied rather than borrowed.
static bool read_part10(struct arena *a, struct str in, struct err *e) {
    struct dcm_object o;
    int fd = memfd_create("scarce", 0);
    assert_true(fd >= 0 && write(fd, in.p ? in.p : "", in.n) == (ssize_t)in.n);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    bool ok = dcm_read_fd(a, fd, DCM_STOP_NOWHERE, &o, e);
    close(fd);
    return ok;
}

static bool read_json(struct arena *a, struct str in, struct err *e) {
    struct dcm_dataset *ds;
    return dcm_json_read(a, in, NULL, NULL, &ds, e);
}

static bool read_pdu(struct arena *a, struct str in, struct err *e) {
    struct pdu_associate out;
    return in.n == 0 || pdu_associate_decode(a, str_sub(in, 1, in.n), in.p[0] & 1, &out, e);
}

static bool read_media(struct arena *a, struct str in, struct err *e) {
    struct http_media *list;
    unsigned n;
    return http_media_parse_list(a, in, &list, &n, e);
}

static bool read_xml(struct arena *a, struct str in, struct err *e) {
    struct str text;
    const struct xml *root = xml_read(a, in, 0, e);
    return root && xml_content(a, root, &text, e);
}

static bool inflate_and_pack(struct arena *a, struct str in, struct err *e) {
    struct buf packed, back;
    buf_init(&packed, 1 << 16);
    buf_init(&back, a->ceiling); // the ceiling that the arena would have
    bool ok = gzip_pack(in, GZIP_FAST, &packed, e) && gzip_unpack(buf_str(&packed), &back, e);
    if (ok) assert_true(str_eq(buf_str(&back), in));
    a->used = back.n;
    buf_deinit(&packed);
    buf_deinit(&back);
    return ok;
}

static bool part_begins(void *context, const struct multipart_headers *h, struct err *e) {
    (void)context, (void)h, (void)e;
    return true;
}
static bool part_has(void *context, const void *p, size_t n, struct err *e) {
    (void)context, (void)p, (void)n, (void)e;
    return true;
}
static bool part_ends(void *context, struct err *e) {
    (void)context, (void)e;
    return true;
}

static bool read_multipart(struct arena *a, struct str in, struct err *e) {
    static const struct multipart_events on = {part_begins, part_has, part_ends, NULL};
    struct multipart m;
    (void)a;
    bool ok = in.n > 0 && multipart_init(&m, STR_LIT("B"), &on, e);
    if (!ok) return in.n == 0;
    ok = multipart_feed(&m, in.p + 1, in.n - 1, e) && multipart_finish(&m, e);
    multipart_deinit(&m);
    return ok;
}

static bool decode_text(struct arena *a, struct str in, struct err *e) {
    struct str rest = in, out;
    struct dcm_charset cs;
    unsigned flags;
    dcm_charset_parse(str_split(&rest, '\n'), &cs);
    return dcm_charset_decode(a, &cs, DCM_VR_PN, rest, true, &out, &flags, e);
}

static bool out_of_memory(const struct err *e) {
    return e->kind == ERR_NOMEM || e->kind == ERR_TOO_LARGE;
}

typedef bool parser(struct arena *a, struct str in, struct err *e);

static void try_ceilings(parser *parse, struct str in, bool readable, size_t need) {
    size_t step = need / STEPS < 16 ? 16 : need / STEPS;
    for (size_t ceiling = 0; ceiling < need; ceiling += step) {
        struct arena a;
        struct err e = {0};
        arena_init(&a, ceiling);
        bool ok = parse(&a, in, &e);
        if (readable && !ok && !out_of_memory(&e)) fail_msg("with %zu bytes: %s", ceiling, e.message);
        if (!readable) assert_false(ok);
        arena_deinit(&a);
    }
}

static void try_allocations(parser *parse, struct str in, bool readable) {
    failed = true;
    for (int n = 1; failed && n <= ALLOCATIONS_MAX; n++) {
        struct arena a;
        struct err e = {0};
        arena_init(&a, PLENTY);
        failed = false;
        fail_in = n;
        bool ok = parse(&a, in, &e);
        fail_in = 0;
        if (readable && !ok && !out_of_memory(&e)) fail_msg("allocation %d: %s", n, e.message);
        if (!readable) assert_false(ok);
        arena_deinit(&a);
    }
}

static void in_any_memory(parser *parse, struct str in) {
    struct arena a;
    struct err e = {0};
    arena_init(&a, PLENTY);
    bool readable = parse(&a, in, &e);
    size_t need = a.used;
    arena_deinit(&a);
    try_ceilings(parse, in, readable, need);
    try_allocations(parse, in, readable);
}

static const char *corpora; // the folder of the fuzz targets' corpora

static void over_corpus(parser *parse, const char *name) {
    char path[4096], bytes[INPUT_MAX];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/%s", corpora, name);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_name[0] == '.') continue;
        int fd = openat(dirfd(d), entry->d_name, O_RDONLY);
        ssize_t n = read(fd, bytes, sizeof bytes);
        close(fd);
        assert_true(fd >= 0 && n >= 0);
        in_any_memory(parse, (struct str){bytes, (size_t)n});
        count++;
    }
    closedir(d);
    assert_true(count > 4);
}

static void data_sets(void **state) {
    (void)state;
    over_corpus(read_dataset, "dataset");
}

static void files(void **state) {
    (void)state;
    over_corpus(read_part10, "part10");
}

static void dicom_json(void **state) {
    (void)state;
    over_corpus(read_json, "json");
}

static void association_requests(void **state) {
    (void)state;
    over_corpus(read_pdu, "pdu");
}

static void multipart_bodies(void **state) {
    (void)state;
    over_corpus(read_multipart, "multipart");
}

static void text_of_every_character_set(void **state) {
    (void)state;
    over_corpus(decode_text, "charset");
}

static void what_is_packed(void **state) {
    (void)state;
    over_corpus(inflate_and_pack, "json");
}

static void accept_headers(void **state) {
    (void)state;
    in_any_memory(read_media, STR_LIT("multipart/related; type=\"application/\\\"dicom\"; transfer-syntax=*;q=0.5, application/dicom+json, */*;q=0.1"));
}

static void documents(void **state) {
    (void)state;
    in_any_memory(read_xml, STR_LIT("<?xml version='1.0'?><a xmlns='urn:x' b='1' c='&#x4e2d;'>text <b>more</b><!-- no --> of <c d='2'/>it</a>"));
}

int main(int argc, char **argv) {
    corpora = argc > 1 ? argv[1] : "tests/fuzz/corpus";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_sets),      cmocka_unit_test(files),
        cmocka_unit_test(dicom_json),     cmocka_unit_test(association_requests),
        cmocka_unit_test(what_is_packed), cmocka_unit_test(multipart_bodies),
        cmocka_unit_test(accept_headers), cmocka_unit_test(text_of_every_character_set),
        cmocka_unit_test(documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

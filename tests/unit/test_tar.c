// The headers of an entry: what goes in comes out, any change is refused, sizes beyond eleven octal digits work.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "store/tar.h"
#include "sys/digest.h"
#include "sys/file.h"

static struct vol_entry sample(enum vol_kind kind) {
    struct vol_entry en = {.kind = kind,
                           .study = STR_LIT("1.2.840.113619.2.55.3.604688119.971.1268231235.264"),
                           .series = STR_LIT("1.2.840.113619.2.55.3.604688119.971.1268231235.265"),
                           .sop = STR_LIT("1.2.840.113619.2.55.3.604688119.971.1268231235.266"),
                           .ts = STR_LIT("1.2.840.10008.1.2.4.90"),
                           .source = STR_LIT("CT1@10.1.2.3"),
                           .note = STR_LIT("一 reason"),
                           .received_ms = 1732212345678,
                           .loc.length = 526000};
    for (unsigned i = 0; i < VOL_DIGEST_BYTES; i++) en.digest[i] = (uint8_t)(i * 9 + 1);
    if (kind == VOL_TOMBSTONE || kind == VOL_RECORD) en.sop = STR_LIT("0123-4567-89ab-cdef");
    return en;
}

static void every_kind_comes_back_with_all_its_facts(void **state) {
    (void)state;
    for (int kind = VOL_OBJECT; kind <= VOL_RECORD; kind++) {
        struct vol_entry en = sample((enum vol_kind)kind);
        char head[TAR_HEAD_MAX];
        struct tar_head back;
        for (size_t n = tar_head_min(&en); n <= 4096 + 512; n += TAR_BLOCK) {
            assert_true(tar_encode(&en, 40960, 36864, n, head, NULL));
            assert_int_equal(tar_decode(head, n, 40960, &back), TAR_ENTRY);
            assert_int_equal(back.entry.kind, kind);
            assert_int_equal(back.durable, 36864);
            assert_int_equal(back.entry.loc.offset, 40960 + n);
            assert_int_equal(back.entry.loc.length, en.loc.length);
            assert_int_equal(back.entry.end, 40960 + n + 526336);
            assert_memory_equal(back.entry.digest, en.digest, VOL_DIGEST_BYTES);
            assert_true(str_eq(back.entry.ts, en.ts) && str_eq(back.entry.source, en.source) && str_eq(back.entry.note, en.note));
            assert_int_equal(back.entry.received_ms, en.received_ms);
            assert_true(kind == VOL_QUARANTINE || str_eq(back.entry.sop, en.sop));
            assert_true(kind > VOL_CONFLICT || (str_eq(back.entry.study, en.study) && str_eq(back.entry.series, en.series)));
        }
    }
}

static void the_longest_names_fit(void **state) {
    (void)state;
    char uid[65];
    memset(uid, '2', 64);
    uid[64] = '\0';
    struct vol_entry en = sample(VOL_CONFLICT);
    char head[TAR_HEAD_MAX];
    struct tar_head back;
    en.study = en.series = en.sop = str_of(uid);
    assert_true(tar_entry_check(&en, NULL));
    assert_true(tar_encode(&en, 0, 0, tar_head_min(&en), head, NULL));
    assert_int_equal(tar_decode(head, sizeof head, 0, &back), TAR_ENTRY);
    assert_true(str_eqz(back.entry.study, uid) && str_eqz(back.entry.series, uid) && str_eqz(back.entry.sop, uid));
}

static void sizes_beyond_8_gib_are_kept_in_the_pax_header(void **state) {
    (void)state;
    const uint64_t sizes[] = {077777777777, 0100000000000, (uint64_t)STORE_OBJECT_BYTES_MAX};
    for (unsigned i = 0; i < 3; i++) {
        struct vol_entry en = sample(VOL_OBJECT);
        char head[TAR_HEAD_MAX];
        struct tar_head back;
        en.loc.length = sizes[i];
        assert_true(tar_encode(&en, 0, 0, tar_head_min(&en), head, NULL));
        assert_int_equal(tar_decode(head, sizeof head, 0, &back), TAR_ENTRY);
        assert_int_equal(back.entry.loc.length, sizes[i]);
    }
    struct vol_entry en = sample(VOL_OBJECT);
    en.loc.length = (uint64_t)STORE_OBJECT_BYTES_MAX + 1;
    assert_false(tar_entry_check(&en, NULL));
}

static void any_flipped_bit_and_any_cut_is_refused(void **state) {
    (void)state;
    struct vol_entry en = sample(VOL_OBJECT);
    char head[TAR_HEAD_MAX];
    struct tar_head back;
    size_t n = tar_head_min(&en) + 512;
    assert_true(tar_encode(&en, 512, 0, n, head, NULL));
    for (size_t bit = 0; bit < n * 8; bit++) {
        head[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(tar_decode(head, n, 512, &back), TAR_BAD);
        head[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < n; cut += 128) {
        char *copy = malloc(cut + 1); // its own block, so that a read behind it is seen
        memcpy(copy, head, cut);
        assert_int_equal(tar_decode(copy, cut, 512, &back), TAR_BAD);
        free(copy);
    }
    assert_int_equal(tar_decode(head, n, 1024, &back), TAR_BAD); // an entry that lies elsewhere
    assert_int_equal(tar_decode(head, n, 512, &back), TAR_ENTRY);
}

// Puts other text of the same length in the place of some, and makes sums and check right again, as a writer that lies would.
static void forge(char *head, size_t n, const char *from, const char *to) {
    enum { SUM_AT = 148, CHECK_DIGITS_AT = TAR_BLOCK + 34 };
    uint8_t digest[DIGEST_BYTES];
    char *at = memmem(head, n, from, strlen(from));
    if (!at) fail_msg("%s is not there", from);
    memcpy(at, to, strlen(from));
    for (size_t block = 0; block < n; block += n - TAR_BLOCK) {
        unsigned sum = 8 * ' ';
        for (size_t i = 0; i < TAR_BLOCK; i++) sum += i - SUM_AT < 8 ? 0 : (unsigned char)head[block + i];
        snprintf(head + block + SUM_AT, 8, "%06o", sum);
        head[block + SUM_AT + 7] = ' ';
    }
    memset(head + CHECK_DIGITS_AT, '0', 16);
    assert_true(digest_of(head, n, digest, NULL));
    hex_encode(digest, 8, head + CHECK_DIGITS_AT);
}

static void an_entry_that_checks_but_lies_is_refused(void **state) {
    (void)state;
    static const char *const LIES[][2] = {
        {"kind=object", "kind=obiect"},
        {"sha256=01", "sha256=0x"},
        {"gantry.sha256", "gantry.sha257"},
        {"at=00000000000000040960", "at=00000000000000040961"},
        {"at=00000000000000040960", "at=0000000000000004096x"},
        {"durable=00000000000000036864", "durable=00000000000000040961"},
        {"durable=00000000000000036864", "durable=-0000000000000036864"},
        {"time=1732212345678", "time=173221234567x"},
        {"gantry.time", "gantry.tide"},
        {"ts=1.2.840", "ts=1./.840"},
        {"gantry.source", "gantry.kind=x"},
        {" SCHILY.xattr.user.gantry.kind=", "9SCHILY.xattr.user.gantry.kind="},
        {"40 SCHILY.xattr.user.gantry.kind", "99 SCHILY.xattr.user.gantry.kind"},
        {"40 SCHILY.xattr.user.gantry.kind", "02 SCHILY.xattr.user.gantry.kind"},
        {"40 SCHILY.xattr.user.gantry.kind", "x4 SCHILY.xattr.user.gantry.kind"},
        {"SCHILY.xattr.user.gantry.kind=object", "SCHILY.xattr.user.gantry.kind object"},
        {"ustar", "ustbr"},
    };
    struct vol_entry en = sample(VOL_OBJECT);
    size_t n = tar_head_min(&en);
    for (size_t i = 0; i < sizeof LIES / sizeof *LIES; i++) {
        char head[TAR_HEAD_MAX];
        struct tar_head back;
        assert_true(tar_encode(&en, 40960, 36864, n, head, NULL));
        forge(head, n, LIES[i][0], LIES[i][0]);
        assert_int_equal(tar_decode(head, n, 40960, &back), TAR_ENTRY); // forging itself is not what is found out
        forge(head, n, LIES[i][0], LIES[i][1]);
        if (tar_decode(head, n, 40960, &back) != TAR_BAD) fail_msg("%s is believed", LIES[i][1]);
    }
}

static void records_of_a_later_version_are_passed_over(void **state) {
    (void)state;
    struct vol_entry en = sample(VOL_OBJECT);
    char head[TAR_HEAD_MAX];
    struct tar_head back;
    size_t n = tar_head_min(&en);
    assert_true(tar_encode(&en, 0, 0, n, head, NULL));
    forge(head, n, "gantry.note", "gantry.nota");
    assert_int_equal(tar_decode(head, n, 0, &back), TAR_ENTRY);
    assert_int_equal(back.entry.note.n, 0);
}

static void the_name_must_be_that_of_the_kind_and_the_digest(void **state) {
    (void)state;
    static const struct {
        enum vol_kind kind;
        const char *from, *to;
    } LIES[] = {
        {VOL_CONFLICT, "conflict/", "conflicd/"},
        {VOL_OBJECT, "266.dcm", "266.dcn"},
        {VOL_OBJECT, "266.dcm", "../.dcm"},
        {VOL_CONFLICT, "266.010a131c.dcm", "266.010a131d.dcm"},
        {VOL_QUARANTINE, "010a131c252e3740", "010a131c252e3741"},
        {VOL_QUARANTINE, "quarantine", "quarantino"},
        {VOL_TOMBSTONE, ".json", ".jsom"},
        {VOL_RECORD, "89ab-cdef.json", "89ab/cdef.json"},
        {VOL_RECORD, "record", "tecord"},
    };
    for (size_t i = 0; i < sizeof LIES / sizeof *LIES; i++) {
        struct vol_entry en = sample(LIES[i].kind);
        char head[TAR_HEAD_MAX];
        struct tar_head back;
        size_t n = tar_head_min(&en);
        assert_true(tar_encode(&en, 0, 0, n, head, NULL));
        char *name = head + n - TAR_BLOCK; // the second header: the first one names the records
        if (!memmem(name, TAR_BLOCK, LIES[i].from, strlen(LIES[i].from))) fail_msg("%s is not in '%.100s' of '%.155s'", LIES[i].from, name, name + 345);
        char *at = memmem(name, TAR_BLOCK, LIES[i].from, strlen(LIES[i].from));
        memcpy(at, LIES[i].to, strlen(LIES[i].to));
        forge(head, n, "gantry.check", "gantry.check");
        if (tar_decode(head, n, 0, &back) != TAR_BAD) fail_msg("%s is believed", LIES[i].to);
    }
}

static void headers_that_do_not_fit_are_not_written(void **state) {
    (void)state;
    struct vol_entry en = sample(VOL_OBJECT);
    char head[TAR_HEAD_MAX];
    size_t least = tar_head_min(&en);
    struct err e = {0};
    assert_false(tar_encode(&en, 0, 0, least - TAR_BLOCK, head, &e));
    assert_int_equal(e.kind, ERR_INTERNAL);
    assert_false(tar_encode(&en, 0, 0, least + 1, head, &e));
    assert_false(tar_encode(&en, 0, 0, TAR_HEAD_MAX + TAR_BLOCK, head, &e));
    en.ts = STR_LIT("1.2/3");
    assert_false(tar_entry_check(&en, &e));
}

static void free_text_stays_one_line_of_whole_characters(void **state) {
    (void)state;
    struct vol_entry en = sample(VOL_OBJECT);
    char head[TAR_HEAD_MAX], note[STORE_NOTE_BYTES_MAX + 3];
    struct tar_head back;
    memset(note, 'x', sizeof note);
    memcpy(note + STORE_NOTE_BYTES_MAX - 1, "\xE4\xB8\x80", 3); // the cut falls inside of it
    en.note = (struct str){note, sizeof note};
    en.source = STR_LIT("A\nB\x7f\tC");
    assert_true(tar_encode(&en, 0, 0, tar_head_min(&en), head, NULL));
    assert_int_equal(tar_decode(head, sizeof head, 0, &back), TAR_ENTRY);
    assert_int_equal(back.entry.note.n, STORE_NOTE_BYTES_MAX - 1);
    assert_true(str_eqz(back.entry.source, "A B  C"));
}

static void zeros_are_an_end(void **state) {
    (void)state;
    char head[TAR_BLOCK] = {0};
    struct tar_head back;
    assert_int_equal(tar_decode(head, sizeof head, 0, &back), TAR_END);
    assert_int_equal(tar_decode(head, sizeof head - 1, 0, &back), TAR_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_with_all_its_facts),         cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(sizes_beyond_8_gib_are_kept_in_the_pax_header),    cmocka_unit_test(any_flipped_bit_and_any_cut_is_refused),
        cmocka_unit_test(an_entry_that_checks_but_lies_is_refused),         cmocka_unit_test(records_of_a_later_version_are_passed_over),
        cmocka_unit_test(the_name_must_be_that_of_the_kind_and_the_digest), cmocka_unit_test(headers_that_do_not_fit_are_not_written),
        cmocka_unit_test(free_text_stays_one_line_of_whole_characters),     cmocka_unit_test(zeros_are_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// The headers of an entry: what goes in comes out, any change is refused, sizes beyond eleven octal digits work.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "store/tar.h"

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

static void zeros_are_an_end(void **state) {
    (void)state;
    char head[TAR_BLOCK] = {0};
    struct tar_head back;
    assert_int_equal(tar_decode(head, sizeof head, 0, &back), TAR_END);
    assert_int_equal(tar_decode(head, sizeof head - 1, 0, &back), TAR_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_with_all_its_facts),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(sizes_beyond_8_gib_are_kept_in_the_pax_header),
        cmocka_unit_test(any_flipped_bit_and_any_cut_is_refused),
        cmocka_unit_test(zeros_are_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// Behaviour of Specific Character Set: the examples of PS3.5 annexes H, I, J and K, repair of mislabelled text, and encoding back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdlib.h>

#include "base/buf.h"
#include "dicom/charset.h"
#include "dicom/vr.h"
#include "text/utf8.h"

#define ESC "\x1b"

struct sample {
    const char *charset;
    const char *bytes;
    const char *utf8;
};

// PS3.5 H.3.1, H.3.2, I.2, J.3, J.4, K.2, and one for each set of one byte a character.
static const struct sample STANDARD[] = {
    {"\\ISO 2022 IR 87", "Yamada^Tarou=" ESC "$B;3ED" ESC "(B^" ESC "$BB@O:" ESC "(B=" ESC "$B$d$^$@" ESC "(B^" ESC "$B$?$m$&" ESC "(B",
     "Yamada^Tarou=山田^太郎=やまだ^たろう"},
    {"ISO 2022 IR 13\\ISO 2022 IR 87",
     "\xd4\xcf\xc0\xde^\xc0\xdb\xb3=" ESC "$B;3ED" ESC "(J^" ESC "$BB@O:" ESC "(J=" ESC "$B$d$^$@" ESC "(J^" ESC "$B$?$m$&" ESC "(J",
     "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
    {"\\ISO 2022 IR 149", "Hong^Gildong=" ESC "$)C\xfb\xf3^" ESC "$)C\xd1\xce\xd4\xd7=" ESC "$)C\xc8\xab^" ESC "$)C\xb1\xe6\xb5\xbf",
     "Hong^Gildong=洪^吉洞=홍^길동"},
    {"ISO_IR 192", "Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=", "Wang^XiaoDong=王^小東="},
    {"GB18030", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="},
    {"GBK", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="},
    {"\\ISO 2022 IR 58", "Zhang^XiaoDong=" ESC "$)A\xd5\xc5^" ESC "$)A\xd0\xa1\xb6\xab=", "Zhang^XiaoDong=张^小东="},
    {"ISO_IR 100", "M\xfcller^J\xfcrgen", "Müller^Jürgen"},
    {"ISO_IR 101", "Dvo\xf8\xe1k^\xa3ukasz", "Dvořák^Łukasz"},
    {"ISO_IR 109",
     "\xd8u\xf8i^\xde"
     "ar\xe6o",
     "Ĝuĝi^Ŝarĉo"},
    {"ISO_IR 110", "B\xbarzi\xf1\xb9^J\xe0nis", "Bērziņš^Jānis"},
    {"ISO_IR 126", "\xd0\xe1\xf0\xdc\xf2^\xcd\xdf\xea\xef\xf2", "Παπάς^Νίκος"},
    {"ISO_IR 127", "\xe2\xc7\xd3\xe5^\xd9\xe5\xd1", "قاسم^عمر"},
    {"ISO_IR 13", "\xc0\xc5\xb6^\xca\xc5\xba", "ﾀﾅｶ^ﾊﾅｺ"},
    {"ISO_IR 138", "\xeb\xe4\xef^\xe3\xe5\xe3", "כהן^דוד"},
    {"ISO_IR 144", "\xb8\xd2\xd0\xdd\xde\xd2^\xbf\xf1\xe2\xe0", "Иванов^Пётр"},
    {"ISO_IR 148", "Y\xfdlmaz^\xdeule", "Yılmaz^Şule"},
    {"ISO_IR 166", "\xca\xc1\xaa\xd2\xc2^\xe3\xa8\xb4\xd5", "สมชาย^ใจดี"},
    {"ISO_IR 203",
     "\xbcuvre^\xb4"
     "ana",
     "Œuvre^Žana"},
    {"\\ISO 2022 IR 159", "x=" ESC "$(D0!" ESC "(B^y", "x=丂^y"},
    {"ISO 2022 IR 6\\ISO 2022 IR 144", ESC "-L\xb8\xd2\xd0\xdd", "Иван"},
    // common misspellings
    {"ISO-IR 100", "Buc^J\xe9r\xf4me", "Buc^Jérôme"},
    {"utf-8", "Buc^J\xc3\xa9r\xc3\xb4me", "Buc^Jérôme"},
    {"ISO 2022-IR 6\\iso_2022_ir_58", ESC "$)A\xd5\xc5", "张"},
    // second bytes that look like delimiters
    {"GB18030", "Trap=\x81\x5c\x82\x5e\x83\x7c", "Trap=乗俕億"},
};

static struct str decode(struct arena *a, const char *charset, uint16_t vr, struct str bytes, bool repair, unsigned *flags) {
    struct dcm_charset cs;
    struct str out = {0};
    struct err e = {0};
    dcm_charset_parse(str_of(charset), &cs);
    assert_true(dcm_charset_decode(a, &cs, vr, bytes, repair, &out, flags, &e));
    assert_true(utf8_valid(out));
    return out;
}

static void expect(const char *charset, const char *bytes, const char *utf8, bool repair, unsigned expected_flags) {
    struct arena a;
    unsigned flags;
    arena_init(&a, 1 << 20);
    struct str out = decode(&a, charset, DCM_VR_PN, str_of(bytes), repair, &flags);
    assert_string_equal(out.p, utf8);
    if (flags != expected_flags) fail_msg("%s: flags %u instead of %u", utf8, flags, expected_flags);
    arena_deinit(&a);
}

static void every_set_of_the_standard_decodes_and_is_not_repaired_to_death(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof STANDARD / sizeof STANDARD[0]; i++) {
        expect(STANDARD[i].charset, STANDARD[i].bytes, STANDARD[i].utf8, false, DCM_DECODE_CLEAN);
        expect(STANDARD[i].charset, STANDARD[i].bytes, STANDARD[i].utf8, true, DCM_DECODE_CLEAN);
    }
}

static void code_extensions_end_at_delimiters_and_lines(void **state) {
    (void)state;
    struct arena a;
    unsigned flags;
    arena_init(&a, 1 << 20);
    // after ^ value 1 is active again: ISO 8859-1, not GB 2312
    struct str out = decode(&a, "ISO 2022 IR 100\\ISO 2022 IR 58", DCM_VR_PN, STR_LIT(ESC "$)A\xd5\xc5^M\xfcller"), false, &flags);
    assert_string_equal(out.p, "张^Müller");
    out = decode(&a, "ISO 2022 IR 100\\ISO 2022 IR 58", DCM_VR_LO, STR_LIT(ESC "$)A\xd5\xc5\\M\xfcller"), false, &flags);
    assert_string_equal(out.p, "张\\Müller");
    // in text of one value neither ^ nor \ is a delimiter, the end of the line is (PS3.5 K.3)
    out = decode(&a, "\\ISO 2022 IR 58", DCM_VR_ST, STR_LIT("a " ESC "$)A\xd6\xd0^\xce\xc4\\\xd6\xd0\r\n" ESC "$)A\xce\xc4."), false, &flags);
    assert_string_equal(out.p, "a 中^文\\中\r\n文.");
    // a pair may contain the codes of ^ and \, which then delimit nothing
    out = decode(&a, "\\ISO 2022 IR 87", DCM_VR_PN, STR_LIT(ESC "$B0^0\\" ESC "(B^A"), false, &flags);
    assert_int_equal(flags, DCM_DECODE_CLEAN);
    assert_true(str_ends(out, STR_LIT("^A")) && out.n == 8);
    arena_deinit(&a);
}

static void genuine_latin_names_are_left_alone(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"M\xfcller^J\xfcrgen", "Müller^Jürgen"},
        {"Buc^J\xe9r\xf4me", "Buc^Jérôme"},
        {"Garc\xed"
         "a^Jos\xe9",
         "García^José"},
        {"M\xe4\xe4tt\xe4^P\xe4ivi", "Määttä^Päivi"},
        {"\xc4neas^R\xfc"
         "diger",
         "Äneas^Rüdiger"},
        {"Pe\xf1"
         "a^M\xaa Jes\xfas",
         "Peña^Mª Jesús"},
        {"\xd8stergaard^S\xf8ren", "Østergaard^Søren"},
        {"\xc5ngstr\xf6m^\xc5ke", "Ångström^Åke"},
        {"Fran\xe7ois^No\xebl", "François^Noël"},
        {"\xdeorsteinsd\xf3ttir^\xc6sa", "Þorsteinsdóttir^Æsa"},
        {"GRO\xdf^J\xd6RG", "GROß^JÖRG"},
        {"D\xb4"
         "Angelo^Nicol\xf2",
         "D´Angelo^Nicolò"},
        {"Conceic\xe3o^Jo\xe3o", "Conceicão^João"},
        {"Concei\xe7\xe3o^In\xeas", "Conceição^Inês"},
        {"\xd6zt\xfcrk^\xdcmit", "Öztürk^Ümit"},
        {"L\xf6\xf6v^\xc9va", "Lööv^Éva"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) expect("ISO_IR 100", names[i][0], names[i][1], true, DCM_DECODE_CLEAN);
}

static void mislabelled_names_are_decoded_by_what_they_are(void **state) {
    (void)state;
    expect("ISO_IR 100", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东", true, DCM_DECODE_DETECTED);
    expect("", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东", true, DCM_DECODE_DETECTED);
    expect("GB18030", "Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe4\xb8\x9c", "Wang^XiaoDong=王^小东", true, DCM_DECODE_DETECTED);
    expect("ISO_IR 100",
           "Wang=\xa4\xfd\xa4p\xaa"
           "F",
           "Wang=王小東", true, DCM_DECODE_DETECTED);
    expect("ISO_IR 100", "M\xc3\xbcller^J\xc3\xbcrgen", "Müller^Jürgen", true, DCM_DECODE_DETECTED);
    expect("ISO_IR 192", "M\xfcller^J\xfcrgen", "Müller^Jürgen", true, DCM_DECODE_DETECTED);
    expect("", "M\xfcller^J\xfcrgen", "Müller^Jürgen", true, DCM_DECODE_DETECTED);
    expect("GB18030", "M\xc3\xbcller", "Müller", true, DCM_DECODE_DETECTED);
    expect("ISO_IR 192", "\xcd\xf5^\xd0\xa1\xb6\xab", "王^小东", true, DCM_DECODE_DETECTED);
    expect("ISO_IR 100", "\xc0\xee\xc3\xf7", "李明", true, DCM_DECODE_DETECTED);
    expect("ISO_IR 100", "\xd5\xc5^\xe6\xc3\xe6\xc3", "张^婷婷", true, DCM_DECODE_DETECTED);
    expect("ISO_IR 100", "\xb1\xe8\xb9\xce\xc1\xd8", "김민준", true, DCM_DECODE_DETECTED);
    expect("ISO_IR 13",
           "\x8eR\x93"
           "c^\x91\xbe\x98Y",
           "山田^太郎", true, DCM_DECODE_DETECTED);
    expect("ISO_IR 100", ESC "$B;3ED" ESC "(B", "山田", true, DCM_DECODE_DETECTED);
    expect("ISO_IR 999", "\xcd\xf5^\xd0\xa1\xb6\xab", "王^小东", true, DCM_DECODE_DETECTED);
    expect("\\ISO 2022 IR 58", "\xcd\xf5^\xd0\xa1\xb6\xab", "王^小东", true, DCM_DECODE_DETECTED);
    expect("\\ISO 2022 IR 58", "\xe7\x8e\x8b^\xe5\xb0\x8f", "王^小", true, DCM_DECODE_DETECTED);
    expect("ISO_IR 100",
           "D\x92"
           "Angelo",
           "D’Angelo", true, DCM_DECODE_DETECTED);
}

static void what_is_declared_is_shown_when_repair_is_not_wanted(void **state) {
    (void)state;
    expect("ISO_IR 100", "\xcd\xf5^\xd0\xa1\xb6\xab", "Íõ^Ð¡¶«", false, DCM_DECODE_CLEAN);
    expect("", "\xcd\xf5", "Íõ", false, DCM_DECODE_DETECTED);
    expect("ISO_IR 192", "a\xff^\xe7\x8e", "a\uFFFD^\uFFFD", false, DCM_DECODE_REPLACED);
    expect("\\ISO 2022 IR 58", "Zhang^San=" ESC "$) ", "Zhang^San=\uFFFD$) ", false, DCM_DECODE_REPLACED);
    expect("GB18030", "Wang^X=\x81\x30\x81", "Wang^X=\uFFFD0\uFFFD", false, DCM_DECODE_REPLACED);
}

// Every pair of bytes under every set of two bytes a character, at the end of an allocation of its own: sanitizer builds see a read beyond it.
static void no_pair_of_bytes_is_read_beyond_its_end(void **state) {
    (void)state;
    static const char *const sets[] = {"GB18030", "GBK", "ISO 2022 IR 149", "ISO 2022 IR 58", "ISO 2022 IR 13", ""};
    for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++)
        for (unsigned pair = 0x8000; pair <= 0xFFFF; pair++) {
            struct arena a;
            unsigned flags;
            char *bytes = malloc(2);
            bytes[0] = (char)(pair >> 8);
            bytes[1] = (char)pair;
            arena_init(&a, 4096);
            struct str out = decode(&a, sets[s], DCM_VR_LO, (struct str){bytes, 2}, pair & 1, &flags);
            assert_true(out.n >= 1 && out.n <= 6);
            arena_deinit(&a);
            free(bytes);
        }
}

static void encoding_gives_the_bytes_back_or_says_that_they_do_not_fit(void **state) {
    (void)state;
    struct arena a;
    struct err e = {0};
    struct dcm_charset cs;
    struct str out;
    bool fits;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof STANDARD / sizeof STANDARD[0]; i++) {
        unsigned flags;
        dcm_charset_parse(str_of(STANDARD[i].charset), &cs);
        assert_true(dcm_charset_encode(&a, &cs, DCM_VR_PN, str_of(STANDARD[i].utf8), &out, &fits, &e));
        assert_true(fits);
        struct str again = decode(&a, STANDARD[i].charset, DCM_VR_PN, out, false, &flags);
        assert_string_equal(again.p, STANDARD[i].utf8);
        assert_int_equal(flags, DCM_DECODE_CLEAN);
    }
    dcm_charset_parse(STR_LIT("\\ISO 2022 IR 149"), &cs);
    assert_true(dcm_charset_encode(&a, &cs, DCM_VR_PN, str_of(STANDARD[2].utf8), &out, &fits, &e));
    assert_string_equal(out.p, STANDARD[2].bytes); // as PS3.5 I.2 writes it
    dcm_charset_parse(STR_LIT("\\ISO 2022 IR 87"), &cs);
    assert_true(dcm_charset_encode(&a, &cs, DCM_VR_PN, str_of(STANDARD[0].utf8), &out, &fits, &e));
    assert_string_equal(out.p, STANDARD[0].bytes); // as PS3.5 H.3.1 writes it
    static const char *const refusals[][2] = {{"", "ü"}, {"ISO_IR 100", "王"}, {"GBK", "𠮷"}, {"\\ISO 2022 IR 58", "東"}, {"ISO_IR 13", "山"}};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        dcm_charset_parse(str_of(refusals[i][0]), &cs);
        assert_true(dcm_charset_encode(&a, &cs, DCM_VR_PN, str_of(refusals[i][1]), &out, &fits, &e));
        assert_false(fits);
    }
    arena_deinit(&a);
}

static void delimiters_inside_characters_are_no_delimiters(void **state) {
    (void)state;
    struct dcm_charset cs;
    dcm_charset_parse(STR_LIT("GB18030"), &cs);
    assert_int_equal(dcm_charset_find(&cs, DCM_VR_LO, STR_LIT("\x81\x5c\\a"), '\\', 0), 2);
    dcm_charset_parse(STR_LIT("\\ISO 2022 IR 87"), &cs);
    assert_int_equal(dcm_charset_find(&cs, DCM_VR_LO, STR_LIT(ESC "$B0\\" ESC "(B\\a"), '\\', 0), 8);
    dcm_charset_parse(STR_LIT("ISO_IR 100"), &cs);
    assert_int_equal(dcm_charset_find(&cs, DCM_VR_LO, STR_LIT("\x81\x5c\\a"), '\\', 0), 1);
}

static void terms_are_spelled_as_the_standard_does(void **state) {
    (void)state;
    struct arena a;
    struct dcm_charset cs;
    arena_init(&a, 1 << 16);
    dcm_charset_parse(STR_LIT("\\ISO2022 IR 58"), &cs);
    assert_string_equal(dcm_charset_name(&a, &cs, NULL), "\\ISO 2022 IR 58");
    assert_true(cs.extended && !cs.unknown);
    dcm_charset_parse(STR_LIT("ISO 2022 B2312"), &cs);
    assert_true(cs.unknown);
    dcm_charset_parse((struct str){0}, &cs);
    assert_int_equal(cs.count, 1);
    assert_string_equal(dcm_charset_name(&a, &cs, NULL), "");
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_set_of_the_standard_decodes_and_is_not_repaired_to_death),
        cmocka_unit_test(code_extensions_end_at_delimiters_and_lines),
        cmocka_unit_test(genuine_latin_names_are_left_alone),
        cmocka_unit_test(mislabelled_names_are_decoded_by_what_they_are),
        cmocka_unit_test(what_is_declared_is_shown_when_repair_is_not_wanted),
        cmocka_unit_test(no_pair_of_bytes_is_read_beyond_its_end),
        cmocka_unit_test(encoding_gives_the_bytes_back_or_says_that_they_do_not_fit),
        cmocka_unit_test(delimiters_inside_characters_are_no_delimiters),
        cmocka_unit_test(terms_are_spelled_as_the_standard_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// Behaviour of person names: parts, folding, pinyin, matching with wild cards, fuzzy matching, index keys.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "dicom/name.h"

static int setup(void **state) {
    static struct arena a;
    arena_init(&a, 64 << 20);
    *state = &a;
    return 0;
}

static int teardown(void **state) {
    arena_deinit(*state);
    return 0;
}

static void a_name_has_groups_and_components(void **state) {
    (void)state;
    struct pn n;
    pn_parse(STR_LIT("Yamada^Tarou=山田^太郎=やまだ^たろう"), &n);
    assert_true(str_eqz(n.component[PN_ALPHABETIC][PN_GIVEN], "Tarou"));
    assert_true(str_eqz(n.component[PN_IDEOGRAPHIC][PN_FAMILY], "山田"));
    assert_true(str_eqz(n.group[PN_PHONETIC], "やまだ^たろう"));
    pn_parse(STR_LIT("=王^小东"), &n);
    assert_int_equal(n.group[PN_ALPHABETIC].n, 0);
    assert_true(str_eqz(n.group[PN_IDEOGRAPHIC], "王^小东"));
    assert_null(n.group[PN_PHONETIC].p);
    pn_parse(STR_LIT("Adams^John Robert Quincy^^Rev.^B.A. M.Div."), &n); // PS3.5 6.2.1.1
    assert_true(str_eqz(n.component[0][PN_SUFFIX], "B.A. M.Div.") && str_eqz(n.component[0][PN_PREFIX], "Rev."));
}

static void folding_makes_one_spelling_of_what_looks_the_same(void **state) {
    static const char *const pairs[][2] = {
        {"Müller", "muller"},
        {"JOSÉ", "jose"},
        {"Ｗａｎｇ＾ＸＩＡＯ", "wang^xiao"},
        {"Straße", "strasse"},
        {"Łukasz Ørsted", "lukasz orsted"},
        {"  a \t b ", "a b"},
        {"ﾀﾅｶ", "タナカ"},
        {"ガ", "ガ"},
        {"김민준", "김민준"},
        {"İstanbul Işık", "istanbul isik"},
        {"Παπάς", "παπασ"},
        {"Пётр", "петр"},
        {"\xff", "\uFFFD"},
        {"王　小东", "王 小东"},
        {"Lü", "lu"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct str out;
        assert_true(text_fold(*state, str_of(pairs[i][0]), &out, NULL));
        assert_string_equal(out.p, pairs[i][1]);
    }
}

static void pinyin_knows_family_names(void **state) {
    static const char *const names[][2] = {
        {"陈^伟", "chen^wei"},
        {"曾^伟", "zeng^wei"},
        {"单^伟", "shan^wei"},
        {"仇^英", "qiu^ying"},
        {"解^晓东", "xie^xiaodong"},
        {"朴^志星", "piao^zhixing"},
        {"查^良镛", "zha^liangyong"},
        {"区^小红", "ou^xiaohong"},
        {"盖^叫天", "ge^jiaotian"},
        {"任^正", "ren^zheng"},
        {"尉迟^恭", "yuchi^gong"},
        {"万俟^卨", "moqi^xie"},
        {"长孙^无忌", "zhangsun^wuji"},
        {"欧阳^修", "ouyang^xiu"},
        {"欧阳修", "ouyang^xiu"},
        {"司马相如", "sima^xiangru"},
        {"诸葛亮", "zhuge^liang"},
        {"上官^婉儿", "shangguan^waner"},
        {"王小东", "wang^xiaodong"},
        {"=王^小东", "wang^xiaodong"},
        {"吕^布", "lv^bu"},
        {"李^𠮷", "li^ji"},
        {"㐆^䶮", "yin^yan"},
        {"陳^偉", "chen^wei"},
        {"乐^嘉", "yue^jia"},
        {"翟^天临", "zhai^tianlin"},
        {"冼^星海", "xian^xinghai"},
        {"覃^海洋", "qin^haiyang"},
        {"夏侯^惇", "xiahou^dun"},
        {"李明", "li^ming"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct pn n;
        struct str out;
        pn_parse(str_of(names[i][0]), &n);
        assert_true(pn_pinyin_group(*state, &n, &out, NULL));
        assert_string_equal(out.p, names[i][1]);
    }
    struct pn own;
    struct str out;
    pn_parse(STR_LIT("Chan^Tai Man=陳^大文"), &own);
    assert_true(pn_pinyin_group(*state, &own, &out, NULL));
    assert_null(out.p);
    assert_true(text_pinyin(*state, STR_LIT("曾小东 A"), true, true, &out, NULL));
    assert_string_equal(out.p, "zeng xiao dong a");
    assert_true(text_pinyin(*state, STR_LIT("重庆"), false, false, &out, NULL));
    assert_string_equal(out.p, "zhongqing");
}

struct question {
    const char *pattern, *value;
    bool expected;
};

static const struct question EXACT[] = {
    {"MULLER^*", "Müller^Jürgen", true},
    {"Müller^Jurgen", "MUELLER^X", false},
    {"Smith", "Smith^John", false},
    {"Smith*", "Smith^John", true},
    {"Smith^", "Smith", true},
    {"Smith", "Smith^^", true},
    {"Smith^*", "Smith", true},
    {"*john*", "Smith^John", true},
    {"Sm?th^J*n", "SMITH^JOHN", true},
    {"Sm?th", "Smiith", false},
    {"王*", "Wang^XiaoDong=王^小东", true},
    {"王^小东", "Wang^XiaoDong=王^小东", true},
    {"王^小?", "Wang^XiaoDong=王^小东", true},
    {"Wang^XiaoDong=王^小东", "Wang^XiaoDong=王^小东", true},
    {"Wang^XiaoDong=李*", "Wang^XiaoDong=王^小东", false},
    {"=王*", "Wang^XiaoDong=王^小东", true},
    {"やまだ*", "Yamada^Tarou=山田^太郎=やまだ^たろう", true},
    {"김*", "Kim=김^민준", true},
    {"Chen*", "陈^伟", true},
    {"Chen^Wei", "=陈^伟", true},
    {"chen", "陈^伟", false},
    {"Lu^Bu", "吕^布", true},
    {"Lv^Bu", "吕^布", true},
    {"LÜ^Bu", "吕^布", true},
    {"Dan^*", "单^伟", true},
    {"Shan^*", "单^伟", true},
    {"Wang^XiaoDong", "王小东", true},
    {"Ｃｈｅｎ*", "陈^伟", true},
    {"", "Anybody", true},
    {"*", "", true},
    {"Chen*", "Chan^Tai Man=陳^大文", false}, // it has its own alphabetic group
};

static const struct question FUZZY[] = {
    {"john smith", "Smith^John", true},
    {"smi joh", "Smith^John", true},
    {"js", "Smith^John", true},
    {"jane smith", "Smith^John", false},
    {"cw", "陈^伟", true},
    {"cw", "Chen^Wei", true},
    {"wei chen", "陈^伟", true},
    {"chenwei", "陈^伟", true},
    {"wang xiao dong", "王^小东", true},
    {"xiaodong wang", "王小东", true},
    {"wxd", "王^小东", true},
    {"小东", "王小东", true},
    {"王小东", "Wang^XiaoDong=王^小东", true},
    {"chen", "Chan^Tai Man=陳^大文", true},
    {"lu bu", "吕^布", true},
    {"lvbu", "吕^布", true},
    {"jerome", "Buc^Jérôme", true},
    {"luc picard", "Picard^Jean-Luc", true},
    {"买买提", "Abdurahman^Mamat=阿卜杜热合曼·买买提", true},
    {"ouyang", "欧阳娜娜", true},
    {"zz", "Smith^John", false},
    {"yamada", "=山田^太郎", false}, // read as Chinese
    {"smith*", "Smith^John", true},
};

static void names_match_by_any_group_and_by_pinyin(void **state) {
    for (size_t i = 0; i < sizeof EXACT / sizeof EXACT[0]; i++) {
        bool match;
        assert_true(pn_match(*state, str_of(EXACT[i].pattern), str_of(EXACT[i].value), &match, NULL));
        if (match != EXACT[i].expected) fail_msg("%s against %s", EXACT[i].pattern, EXACT[i].value);
    }
}

static void fuzzy_takes_words_in_any_order_and_initials(void **state) {
    for (size_t i = 0; i < sizeof FUZZY / sizeof FUZZY[0]; i++) {
        bool match;
        assert_true(pn_match_fuzzy(*state, str_of(FUZZY[i].pattern), str_of(FUZZY[i].value), &match, NULL));
        if (match != FUZZY[i].expected) fail_msg("%s against %s", FUZZY[i].pattern, FUZZY[i].value);
    }
}

static void keys_are_each_once_and_bounded(void **state) {
    struct str keys[PN_KEYS_MAX];
    unsigned n;
    static const char *const wanted[] = {"wang xiaodong", "wangxiaodong", "wang", "xiaodong", "xiao", "dong", "wxd", "王 小东", "王小东", "王", "小东", "wx"};
    assert_true(pn_keys(*state, STR_LIT("Wang^XiaoDong=王^小东"), keys, &n, NULL));
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        bool found = false;
        for (unsigned k = 0; k < n; k++) found = found || str_eqz(keys[k], wanted[i]);
        if (!found) fail_msg("no key %s", wanted[i]);
    }
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < i; k++) assert_false(str_eq(keys[i], keys[k]));
    char *huge = malloc(1 << 20);
    for (size_t i = 0; i < (1 << 20); i += 4) memcpy(huge + i, "\xe4\xb9\x90^", 4);
    assert_true(pn_keys(*state, (struct str){huge, 1 << 20}, keys, &n, NULL));
    assert_true(n <= PN_KEYS_MAX);
    free(huge);
    assert_true(pn_keys(*state, (struct str){0}, keys, &n, NULL));
    assert_int_equal(n, 0);
}

// Runs at every ingest: the figure is printed, and only something grossly wrong fails (sanitizer builds are slow).
static void keys_are_cheap(void **state) {
    enum { ROUNDS = 2000 };
    struct str keys[PN_KEYS_MAX];
    unsigned n;
    int64_t start = clock_mono_us();
    for (int i = 0; i < ROUNDS; i++) {
        struct arena_mark m = arena_mark(*state);
        assert_true(pn_keys(*state, STR_LIT("Wang^XiaoDong=王^小东"), keys, &n, NULL));
        arena_rewind(*state, m);
    }
    double us = (double)(clock_mono_us() - start) / ROUNDS;
    printf("pn_keys: %.1f us, %u keys\n", us, n);
    assert_true(us < 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_groups_and_components),
        cmocka_unit_test_setup_teardown(folding_makes_one_spelling_of_what_looks_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(pinyin_knows_family_names, setup, teardown),
        cmocka_unit_test_setup_teardown(names_match_by_any_group_and_by_pinyin, setup, teardown),
        cmocka_unit_test_setup_teardown(fuzzy_takes_words_in_any_order_and_initials, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_each_once_and_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_cheap, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

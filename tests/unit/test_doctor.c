// The texts of `gantry doctor`: every finding has its words in both languages, with the same values, and what a peer says cannot move a terminal's cursor.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "app/doctor.h"

// Which of {0} to {3} a text names, as bits.
static unsigned values_of(const char *text) {
    unsigned bits = 0;
    for (const char *p = strchr(text, '{'); p; p = strchr(p + 1, '{'))
        if (p[1] >= '0' && p[1] < '0' + DOCTOR_VALUES && p[2] == '}') bits |= 1U << (p[1] - '0');
    return bits;
}

static bool has_chinese(const char *text) {
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p >= 0xE4 && (unsigned char)*p <= 0xE9) return true; // most of U+4000 to U+9FFF
    return false;
}

static void every_finding_has_its_words_in_both_languages(void **state) {
    (void)state;
    for (unsigned i = 0; i < DOC_CODE_COUNT; i++) {
        const struct doctor_text *t = &DOCTOR_TEXTS[i];
        if (!t->name || !t->en || !t->zh) fail_msg("finding %u after '%s' has no text", i, i ? DOCTOR_TEXTS[i - 1].name : "");
        assert_true(has_chinese(t->zh) && !has_chinese(t->en));
        if (values_of(t->en) != values_of(t->zh)) fail_msg("%s: the values differ", t->name);
        if (!t->en_fix != !t->zh_fix) fail_msg("%s: what to do is told in one language only", t->name);
        if (t->en_fix && (values_of(t->en_fix) & ~values_of(t->zh_fix) & ~values_of(t->en)))
            fail_msg("%s: a value of what to do is missing in Chinese", t->name);
    }
}

static void whatever_is_wrong_comes_with_what_to_do(void **state) {
    (void)state;
    for (unsigned i = 0; i < DOC_CODE_COUNT; i++)
        if (DOCTOR_TEXTS[i].level >= DOCTOR_WARNING && !DOCTOR_TEXTS[i].en_fix) fail_msg("%s has no fix", DOCTOR_TEXTS[i].name);
}

static void names_are_unique(void **state) {
    (void)state;
    for (unsigned i = 0; i < DOC_CODE_COUNT; i++)
        for (unsigned k = i + 1; k < DOC_CODE_COUNT; k++) assert_string_not_equal(DOCTOR_TEXTS[i].name, DOCTOR_TEXTS[k].name);
}

static void a_peers_words_are_put_in_without_their_control_characters(void **state) {
    (void)state;
    struct arena a;
    struct doctor *d = calloc(1, sizeof *d);
    arena_init(&a, 1 << 20);
    d->arena = &a;
    SAY(d, DOC_NOT_DICOM, "\033[2J{0}\r\n");
    assert_non_null(strstr(doctor_words(d, &d->findings[0], false), "?[2J{0}??"));
    d->chinese = true;
    SAY(d, DOC_CONNECTED, "主机", "104");
    assert_string_equal(doctor_words(d, &d->findings[1], false), "主机 的端口 104 可以连接。");
    assert_string_equal(doctor_words(d, &d->findings[1], true), "");
    arena_deinit(&a);
    free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_finding_has_its_words_in_both_languages),
        cmocka_unit_test(whatever_is_wrong_comes_with_what_to_do),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(a_peers_words_are_put_in_without_their_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

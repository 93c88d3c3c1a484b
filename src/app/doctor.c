// What was found: gathered, put into words, printed for people and for programs.
#include "app/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app/cert.h"
#include "base/buf.h"
#include "text/json.h"

enum { VALUE_BYTES = 1024, WORDS_BYTES_MAX = 8192, PRINTED_BYTES_MAX = 4 * 1024 * 1024 };

void doctor_say(struct doctor *d, enum doctor_code code, const char *const values[DOCTOR_VALUES]) {
    if (d->count == DOCTOR_FINDINGS_MAX) return;
    struct doctor_finding *f = &d->findings[d->count++];
    f->code = code;
    for (unsigned i = 0; i < DOCTOR_VALUES; i++) f->values[i] = values[i] ? arena_strz(d->arena, str_of(values[i]), NULL) : NULL;
}

const char *doctor_value(struct doctor *d, const char *format, ...) {
    char text[VALUE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *kept = arena_strz(d->arena, str_of(text), NULL);
    return kept ? kept : "?";
}

const char *doctor_day(struct doctor *d, int64_t ms) {
    char day[16];
    cert_day(ms, day);
    return doctor_value(d, "%s", day);
}

// What a peer said of itself may hold anything: control characters would move a terminal's cursor.
static void put_value(struct buf *b, const char *value) {
    for (const char *p = value ? value : "-"; *p; p++) buf_addc(b, (unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p);
}

const char *doctor_words(struct doctor *d, const struct doctor_finding *f, bool fix) {
    const struct doctor_text *t = &DOCTOR_TEXTS[f->code];
    const char *text = d->chinese ? (fix ? t->zh_fix : t->zh) : (fix ? t->en_fix : t->en);
    struct buf b;
    buf_init(&b, WORDS_BYTES_MAX);
    for (const char *p = text ? text : ""; *p; p++) {
        if (p[0] == '{' && p[1] >= '0' && p[1] < '0' + DOCTOR_VALUES && p[2] == '}') {
            put_value(&b, f->values[p[1] - '0']);
            p += 2;
        } else {
            buf_addc(&b, *p);
        }
    }
    const char *out = buf_ok(&b, NULL) ? arena_strz(d->arena, buf_str(&b), NULL) : NULL;
    buf_deinit(&b);
    return out ? out : "?";
}

static unsigned count(const struct doctor *d, enum doctor_level level) {
    unsigned n = 0;
    for (unsigned i = 0; i < d->count; i++) n += DOCTOR_TEXTS[d->findings[i].code].level == level;
    return n;
}

static void print_words(struct doctor *d) {
    static const char *const EN[] = {"ok  ", "note", "warn", "FAIL"}, *const ZH[] = {"正常", "提示", "注意", "故障"};
    for (unsigned i = 0; i < d->count; i++) {
        const struct doctor_finding *f = &d->findings[i];
        const char *fix = doctor_words(d, f, true);
        printf("%s  %s\n", (d->chinese ? ZH : EN)[DOCTOR_TEXTS[f->code].level], doctor_words(d, f, false));
        if (*fix) printf("      > %s\n", fix);
    }
    unsigned faults = count(d, DOCTOR_FAULT), warnings = count(d, DOCTOR_WARNING);
    if (d->chinese && faults + warnings == 0)
        printf("一切正常。\n");
    else if (d->chinese)
        printf("共 %u 处故障，%u 处需要注意。\n", faults, warnings);
    else if (faults + warnings == 0)
        printf("All is well.\n");
    else
        printf("%u to mend, %u to look at.\n", faults, warnings);
}

static void put_finding(struct doctor *d, const struct doctor_finding *f, struct json_writer *j) {
    static const char *const LEVELS[] = {"ok", "note", "warning", "fault"};
    const struct doctor_text *t = &DOCTOR_TEXTS[f->code];
    unsigned n = DOCTOR_VALUES;
    while (n > 0 && !f->values[n - 1]) n--;
    json_begin_object(j);
    json_put_strz(j, "code", t->name);
    json_put_strz(j, "level", LEVELS[t->level]);
    json_put_strz(j, "text", doctor_words(d, f, false));
    json_put_strz(j, "fix", doctor_words(d, f, true));
    json_key(j, "values");
    json_begin_array(j);
    for (unsigned i = 0; i < n; i++) json_strz(j, f->values[i] ? f->values[i] : "");
    json_end_array(j);
    json_end_object(j);
}

static void print_json(struct doctor *d, const char *subject) {
    struct buf b;
    struct json_writer j;
    buf_init(&b, PRINTED_BYTES_MAX);
    json_init(&j, &b, false);
    json_begin_object(&j);
    json_put_strz(&j, "subject", subject);
    json_put_uint(&j, "faults", count(d, DOCTOR_FAULT));
    json_put_uint(&j, "warnings", count(d, DOCTOR_WARNING));
    json_key(&j, "findings");
    json_begin_array(&j);
    for (unsigned i = 0; i < d->count; i++) put_finding(d, &d->findings[i], &j);
    json_end_array(&j);
    json_end_object(&j);
    printf("%.*s\n", STR_FMT(buf_str(&b)));
    buf_deinit(&b);
}

int doctor_print(struct doctor *d, const char *subject, bool json) {
    if (json)
        print_json(d, subject);
    else
        print_words(d);
    return count(d, DOCTOR_FAULT) ? 1 : 0;
}

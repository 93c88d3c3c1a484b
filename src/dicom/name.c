// Person names: parts, pinyin, and matching with wild cards.
#include "dicom/name.h"

#include "base/limits.h"
#include "dicom/name_spell.h"
#include "text/utf8.h"

// SPELLED: PN_GLYPHS_MAX characters in pinyin. What is longer than these is no name (PS3.5 6.2: 64 characters a group), and wild cards cost the product.
enum { SPELLED_BYTES_MAX = 4096, PATTERN_BYTES_MAX = 1024, VALUE_BYTES_MAX = 4096 };

void pn_parse(struct str utf8, struct pn *out) {
    *out = (struct pn){0};
    struct str rest = utf8;
    for (unsigned g = 0; g < PN_GROUPS && rest.p; g++) {
        struct str group = str_split(&rest, '=');
        out->group[g] = str_trim(group);
        for (unsigned c = 0; c < PN_COMPONENTS && group.p; c++) out->component[g][c] = str_trim(str_split(&group, '^'));
    }
}

static bool take_spelled(struct arena *a, struct buf *b, struct str *out, struct err *e) {
    bool ok = buf_ok(b, e) && arena_dup(a, buf_str(b), out, e);
    buf_deinit(b);
    return ok;
}

// One character of text_pinyin's output.
static void add_pinyin(struct buf *to, uint32_t c, struct str raw, bool surname, bool separate, bool *after_syllable) {
    const char *reading[PINYIN_READINGS_MAX];
    bool known = pinyin_is_han(c) && pinyin_readings(c, surname, reading);
    if (separate && to->n && to->p[to->n - 1] != ' ' && c != ' ' && (known || *after_syllable) && !pn_is_separator(c)) buf_addc(to, ' ');
    if (known)
        buf_addz(to, reading[0]);
    else
        buf_add_str(to, raw);
    *after_syllable = known;
}

bool text_pinyin(struct arena *a, struct str utf8, bool surname, bool separate, struct str *out, struct err *e) {
    struct str folded;
    if (!text_fold(a, utf8, &folded, e)) return false;
    struct buf to;
    buf_init(&to, folded.n * 8 + 64);
    bool after_syllable = false, first = true;
    while (folded.n) {
        struct str before = folded, second;
        uint32_t c, next = 0;
        const char *pair[2];
        utf8_take(&folded, &c);
        second = folded;
        if (first && surname && utf8_take(&second, &next) && pinyin_compound_surname(c, next, pair)) {
            buf_addf(&to, "%s%s%s", pair[0], separate ? " " : "", pair[1]);
            after_syllable = true;
            folded = second;
        } else {
            add_pinyin(&to, c, str_sub(before, 0, before.n - folded.n), first && surname, separate, &after_syllable);
        }
        first = false;
    }
    return take_spelled(a, &to, out, e);
}

static bool has_han(struct str s) {
    uint32_t c;
    while (utf8_take(&s, &c))
        if (pinyin_is_han(c)) return true;
    return false;
}

// The group whose pinyin serves as the missing alphabetic group, or {NULL, 0}.
static struct str group_to_spell(const struct pn *name) {
    if (name->group[PN_ALPHABETIC].n) return has_han(name->group[PN_ALPHABETIC]) ? name->group[PN_ALPHABETIC] : (struct str){NULL, 0};
    return has_han(name->group[PN_IDEOGRAPHIC]) ? name->group[PN_IDEOGRAPHIC] : (struct str){NULL, 0};
}

static bool spell_group(struct arena *a, const struct pn_spelling *s, unsigned variant, unsigned umlaut, struct str *out, struct err *e) {
    struct buf to;
    buf_init(&to, SPELLED_BYTES_MAX);
    pn_spell(s, variant, umlaut, "^", "", &to);
    return take_spelled(a, &to, out, e);
}

bool pn_pinyin_group(struct arena *a, const struct pn *name, struct str *out, struct err *e) {
    struct str group = group_to_spell(name), folded;
    struct pn_spelling spelling;
    *out = (struct str){NULL, 0};
    if (!group.p) return true;
    if (!text_fold(a, group, &folded, e) || !pn_tidy_group(a, folded, &folded, e)) return false;
    pn_spelling_of(folded, &spelling);
    return !spelling.han || spell_group(a, &spelling, 0, 0, out, e);
}

// ---- wild cards ----

// * any run, ? one character. Goes back only to the last *, so the time is bounded by the product of the lengths.
static bool wild(struct str pattern, struct str text) {
    struct str after_star = {NULL, 0}, retry = {NULL, 0};
    while (text.n || pattern.n) {
        uint32_t p = 0, t = 0;
        struct str pattern_next = pattern, text_next = text;
        bool more = utf8_take(&pattern_next, &p);
        if (more && p == '*') {
            after_star = pattern = pattern_next;
            retry = text;
            if (!after_star.n) return true;
            continue;
        }
        if (more && utf8_take(&text_next, &t) && (p == '?' || p == t)) {
            pattern = pattern_next;
            text = text_next;
            continue;
        }
        if (!after_star.p || !retry.n) return false;
        utf8_take(&retry, &t);
        text = retry;
        pattern = after_star;
    }
    return true;
}

static unsigned carets(struct str s) {
    unsigned n = 0;
    for (size_t i = 0; i < s.n; i++) n += s.p[i] == '^';
    return n;
}

// Trailing empty components do not count: "Smith" is "Smith^^" when the pattern speaks of components.
static bool wild_group(struct arena *a, struct str pattern, struct str group, bool *match, struct err *e) {
    *match = wild(pattern, group);
    unsigned wanted = carets(pattern), have = carets(group);
    if (*match || !group.n || wanted <= have || wanted >= PN_COMPONENTS) return true;
    char *padded = arena_printf(a, e, "%.*s%.*s", STR_FMT(group), (int)(wanted - have), "^^^^");
    if (!padded) return false;
    *match = wild(pattern, str_of(padded));
    return true;
}

static bool match_spelled(struct arena *a, struct str pattern, struct str group, bool *match, struct err *e) {
    struct pn_spelling s;
    struct str spelled;
    pn_spelling_of(group, &s);
    for (unsigned v = 0; s.han && v < s.variants && !*match; v++)
        for (unsigned u = 0; u < s.umlauts && !*match; u++)
            if (!spell_group(a, &s, v, u, &spelled, e) || !wild_group(a, pattern, spelled, match, e)) return false;
    return true;
}

// Folded and tidied groups.
static bool fold_name(struct arena *a, struct str utf8, struct pn *out, struct err *e) {
    struct str folded;
    if (!text_fold(a, utf8, &folded, e)) return false;
    pn_parse(folded, out);
    for (unsigned g = 0; g < PN_GROUPS; g++)
        if (out->group[g].p && !pn_tidy_group(a, out->group[g], &out->group[g], e)) return false;
    return true;
}

static bool match_group(struct arena *a, struct str pattern, const struct pn *value, unsigned g, bool *match, struct err *e) {
    *match = false;
    if (value->group[g].n && !wild_group(a, pattern, value->group[g], match, e)) return false;
    if (*match || g != PN_ALPHABETIC) return true;
    struct str spelled = group_to_spell(value);
    return !spelled.p || match_spelled(a, pattern, spelled, match, e);
}

static bool says_nothing(struct str pattern) {
    for (size_t i = 0; i < pattern.n; i++)
        if (pattern.p[i] != '*') return false;
    return true;
}

bool pn_match(struct arena *a, struct str pattern, struct str value, bool *match, struct err *e) {
    struct pn p, v;
    *match = false;
    if (pattern.n > PATTERN_BYTES_MAX || value.n > VALUE_BYTES_MAX) return true;
    if (!fold_name(a, pattern, &p, e) || !fold_name(a, value, &v, e)) return false;
    bool grouped = p.group[PN_IDEOGRAPHIC].n || p.group[PN_PHONETIC].n;
    bool all = true, any = says_nothing(p.group[PN_ALPHABETIC]) && !grouped;
    for (unsigned g = 0; g < PN_GROUPS; g++) {
        struct str wanted = p.group[grouped ? g : PN_ALPHABETIC];
        bool hit = says_nothing(wanted);
        if (!hit && !match_group(a, wanted, &v, g, &hit, e)) return false;
        all = all && hit;
        any = any || hit;
    }
    *match = grouped ? all : any;
    return true;
}

// Spelling of Chinese names in pinyin.
#include "dicom/name_spell.h"

#include "text/utf8.h"

bool pn_is_separator(uint32_t c) {
    return c == ' ' || c == '^' || c == '=' || c == ',' || c == '.' || c == '-' || c == '*' || c == '?' || c == 0xB7 || c == 0x2022 || c == 0x2027 ||
           c == 0x30FB;
}

struct str pn_next_word(struct str *rest) {
    struct str before = *rest;
    uint32_t c;
    while (utf8_take(rest, &c) && pn_is_separator(c)) before = *rest;
    while (rest->n) {
        struct str here = *rest;
        utf8_take(rest, &c);
        if (pn_is_separator(c)) return str_sub(before, 0, before.n - here.n);
    }
    return before.n ? before : (struct str){NULL, 0};
}

// "王小东" has its family name in front, one character or a known pair; longer ones are transliterations and stay whole.
static void divide(struct pn_spelling *s) {
    if (s->count < 2 || s->count > 4) return;
    for (unsigned i = 0; i < s->count; i++)
        if (!pinyin_is_han(s->glyph[i].code_point)) return;
    const char *readings[2];
    unsigned family = s->count > 2 && pinyin_compound_surname(s->glyph[0].code_point, s->glyph[1].code_point, readings) ? 2 : 1;
    for (unsigned i = family; i < s->count; i++) s->glyph[i].component = PN_GIVEN;
}

static void look_up(struct pn_spelling *s) {
    const char *pair[2];
    bool compound = s->count >= 2 && s->glyph[1].component == PN_FAMILY && pinyin_compound_surname(s->glyph[0].code_point, s->glyph[1].code_point, pair);
    for (unsigned i = 0; i < s->count; i++) {
        struct pn_glyph *g = &s->glyph[i];
        if (!pinyin_is_han(g->code_point)) continue;
        if (compound && i < 2) {
            g->reading[0] = pair[i];
            g->readings = 1;
        } else {
            g->readings = pinyin_readings(g->code_point, i == 0 && g->component == PN_FAMILY, g->reading);
        }
    }
}

static void count_variants(struct pn_spelling *s) {
    s->variants = s->umlauts = 1;
    for (unsigned i = 0; i < s->count; i++) {
        const struct pn_glyph *g = &s->glyph[i];
        if (g->readings) s->han = true;
        if (g->readings > 1) s->variants += g->readings - 1;
        for (unsigned k = 0; k < g->readings; k++)
            if (strchr(g->reading[k], 'v')) s->umlauts = PN_UMLAUTS;
    }
    if (s->variants > PN_VARIANTS_MAX) s->variants = PN_VARIANTS_MAX;
}

void pn_spelling_of(struct str group, struct pn_spelling *out) {
    out->count = 0;
    out->han = false;
    unsigned component = PN_FAMILY;
    while (group.n && out->count < PN_GLYPHS_MAX) {
        struct str before = group;
        uint32_t c;
        utf8_take(&group, &c);
        if (c == '^') {
            if (component + 1 < PN_COMPONENTS) component++;
            continue;
        }
        out->glyph[out->count++] = (struct pn_glyph){.raw = str_sub(before, 0, before.n - group.n), .code_point = c, .component = component};
    }
    if (component == PN_FAMILY) divide(out);
    look_up(out);
    count_variants(out);
}

// Variant 0 takes every first reading; each other one changes a single character.
static unsigned reading_of(const struct pn_glyph *g, unsigned *alternatives) {
    unsigned others = g->readings - 1;
    if (*alternatives > 0 && *alternatives <= others) {
        unsigned reading = *alternatives;
        *alternatives = 0;
        return reading;
    }
    *alternatives = *alternatives > others ? *alternatives - others : 0;
    return 0;
}

static void add_reading(struct buf *to, const char *reading, unsigned umlaut) {
    static const char *const UMLAUT[PN_UMLAUTS] = {"v", "u", "yu"};
    for (; *reading; reading++) {
        if (*reading == 'v')
            buf_addz(to, UMLAUT[umlaut]);
        else
            buf_addc(to, *reading);
    }
}

void pn_spell(const struct pn_spelling *s, unsigned variant, unsigned umlaut, const char *between_components, const char *between_syllables, struct buf *to) {
    bool joined = between_components[0] == '\0';
    for (unsigned i = 0; i < s->count; i++) {
        const struct pn_glyph *g = &s->glyph[i];
        unsigned before = i ? s->glyph[i - 1].component : PN_FAMILY;
        for (unsigned c = before; c < g->component; c++) buf_addz(to, between_components);
        if (g->readings) {
            if (i && before == g->component) buf_addz(to, between_syllables);
            add_reading(to, g->reading[reading_of(g, &variant)], umlaut);
        } else if (!joined || !pn_is_separator(g->code_point)) {
            buf_add_str(to, g->raw);
        }
    }
}

void pn_spell_initials(const struct pn_spelling *s, unsigned variant, struct buf *to) {
    for (unsigned i = 0; i < s->count; i++)
        if (s->glyph[i].readings) buf_addc(to, s->glyph[i].reading[reading_of(&s->glyph[i], &variant)][0]);
}

bool pn_tidy_group(struct arena *a, struct str group, struct str *out, struct err *e) {
    char *p = arena_alloc(a, group.n + 1, e);
    if (!p) return false;
    size_t n = 0, whole = 0;
    for (struct str rest = group; rest.p;) {
        struct str c = str_trim(str_split(&rest, '^'));
        if (c.n) memcpy(p + n, c.p, c.n);
        n += c.n;
        if (c.n) whole = n;
        if (rest.p) p[n++] = '^';
    }
    p[whole] = '\0';
    *out = (struct str){p, whole};
    return true;
}

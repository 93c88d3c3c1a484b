// The keys under which a name is found, and fuzzy matching by them.
#include "base/limits.h"
#include "dicom/name_spell.h"
#include "text/utf8.h"

enum { KEY_BYTES_MAX = 192, SCRATCH_BYTES_MAX = 64 * 1024 };

struct keys {
    struct arena *arena;
    struct str *key;
    unsigned count;
    bool ok;
    struct err *e;
    struct buf scratch;
};

static void add_key(struct keys *k, struct str s) {
    s = str_trim(s);
    if (s.n == 0 || s.n > KEY_BYTES_MAX || k->count == PN_KEYS_MAX || !k->ok) return;
    for (unsigned i = 0; i < k->count; i++)
        if (str_eq(k->key[i], s)) return;
    k->ok = arena_dup(k->arena, s, &k->key[k->count], k->e);
    if (k->ok) k->count++;
}

static void add_words(struct keys *k, struct str s) {
    for (struct str w; (w = pn_next_word(&s)).p;) add_key(k, w);
}

// Components with spaces for separators, and everything together.
static void add_group(struct keys *k, struct str group) {
    buf_clear(&k->scratch);
    for (size_t i = 0; i < group.n; i++) buf_addc(&k->scratch, group.p[i] == '^' ? ' ' : group.p[i]);
    add_key(k, buf_str(&k->scratch));
    buf_clear(&k->scratch);
    for (struct str w, rest = group; (w = pn_next_word(&rest)).p;) buf_add_str(&k->scratch, w);
    add_key(k, buf_str(&k->scratch));
    add_words(k, group);
}

static struct str first_character(struct str s) {
    uint32_t c;
    struct str rest = s;
    return utf8_take(&rest, &c) ? str_sub(s, 0, s.n - rest.n) : s;
}

// Initials of the words as they stand and, for those who put the given name first, with the family name last.
static void add_initials(struct keys *k, struct str group) {
    struct str family = {NULL, 0};
    unsigned words = 0;
    buf_clear(&k->scratch);
    for (struct str w, rest = group; (w = pn_next_word(&rest)).p; words++) {
        if (words == 0) family = first_character(w);
        buf_add_str(&k->scratch, first_character(w));
    }
    if (words < 2) return;
    add_key(k, buf_str(&k->scratch));
    buf_add_str(&k->scratch, family);
    add_key(k, str_sub(buf_str(&k->scratch), family.n, k->scratch.n));
}

static void add_spelled(struct keys *k, const struct pn_spelling *s, unsigned variant, unsigned umlaut) {
    struct buf *b = &k->scratch;
    buf_clear(b);
    pn_spell(s, variant, umlaut, " ", "", b);
    add_key(k, buf_str(b));
    add_words(k, buf_str(b));
    buf_clear(b);
    pn_spell(s, variant, umlaut, "", "", b);
    add_key(k, buf_str(b));
    buf_clear(b);
    pn_spell_initials(s, variant, b);
    if (b->n > 1) add_key(k, buf_str(b));
    buf_clear(b);
    pn_spell(s, variant, umlaut, " ", " ", b);
    add_words(k, buf_str(b));
}

// "王小东" is also found by "小东".
static void add_divided(struct keys *k, const struct pn_spelling *s) {
    for (unsigned c = PN_FAMILY; c <= PN_GIVEN; c++) {
        buf_clear(&k->scratch);
        for (unsigned i = 0; i < s->count; i++)
            if (s->glyph[i].component == c) buf_add_str(&k->scratch, s->glyph[i].raw);
        add_words(k, buf_str(&k->scratch));
    }
}

static void add_group_keys(struct keys *k, struct str group) {
    struct pn_spelling s;
    add_group(k, group);
    if (utf8_is_ascii(group)) return add_initials(k, group);
    pn_spelling_of(group, &s);
    if (!s.han) return add_initials(k, group);
    add_divided(k, &s);
    for (unsigned v = 0; v < s.variants; v++)
        for (unsigned u = 0; u < s.umlauts; u++) add_spelled(k, &s, v, u);
}

bool pn_keys(struct arena *a, struct str value, struct str keys[PN_KEYS_MAX], unsigned *count, struct err *e) {
    struct keys k = {.arena = a, .key = keys, .ok = true, .e = e};
    struct str folded;
    struct pn name;
    *count = 0;
    if (value.n > SCRATCH_BYTES_MAX / 8) value.n = SCRATCH_BYTES_MAX / 8;
    if (!text_fold(a, value, &folded, e)) return false;
    pn_parse(folded, &name);
    buf_init(&k.scratch, SCRATCH_BYTES_MAX);
    for (unsigned g = 0; g < PN_GROUPS && k.ok; g++) add_group_keys(&k, name.group[g]);
    bool ok = k.ok && buf_ok(&k.scratch, e);
    buf_deinit(&k.scratch);
    *count = k.count;
    return ok;
}

static bool is_prefix_of_a_key(struct str word, const struct str *keys, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (keys[i].p && str_starts(keys[i], word)) return true;
    return false;
}

bool pn_match_fuzzy(struct arena *a, struct str query, struct str value, bool *match, struct err *e) {
    struct str keys[PN_KEYS_MAX], folded;
    unsigned count;
    *match = false;
    if (!pn_keys(a, value, keys, &count, e) || !text_fold(a, query, &folded, e)) return false;
    char *together = arena_alloc(a, folded.n + 1, e);
    if (!together) return false;
    size_t n = 0;
    *match = true;
    for (struct str w, rest = folded; (w = pn_next_word(&rest)).p;) {
        if (!is_prefix_of_a_key(w, keys, count)) *match = false;
        memcpy(together + n, w.p, w.n);
        n += w.n;
    }
    if (!*match) *match = n > 0 && is_prefix_of_a_key((struct str){together, n}, keys, count);
    return true;
}

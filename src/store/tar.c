// Encoding and decoding of an entry's tar headers.
#include "store/tar.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "store/seal.h"
#include "sys/digest.h"

// POSIX.1-2017, pax, ustar Header Block
struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag, linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8],
        devminor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a ustar header is one block");

#define USTAR_SIZE_MAX 077777777777ULL // eleven octal digits; above it the pax record "size" counts
#define KEY "SCHILY.xattr.user.gantry."

// The check comes first and has a fixed length, so that its digits lie at a known place.
#define CHECK_RECORD "51 " KEY "check="
enum { CHECK_DIGITS = 16, CHECK_AT = sizeof(CHECK_RECORD) - 1, CHECK_LENGTH = CHECK_AT + CHECK_DIGITS + 1 };
_Static_assert(CHECK_LENGTH == 51, "the length of the record is written in it");

static const char *const KINDS[] = {
    [VOL_OBJECT] = "object", [VOL_CONFLICT] = "conflict", [VOL_QUARANTINE] = "quarantine", [VOL_TOMBSTONE] = "tombstone", [VOL_RECORD] = "record"};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

bool tar_uid_ok(struct str uid) {
    if (uid.n == 0 || uid.n > DCM_UID_MAX || uid.p[0] == '.' || uid.p[uid.n - 1] == '.') return false;
    for (size_t i = 0; i < uid.n; i++) {
        bool dot = uid.p[i] == '.';
        if (!dot && (uid.p[i] < '0' || uid.p[i] > '9')) return false;
        if (dot && uid.p[i - 1] == '.') return false;
    }
    return true;
}

// Stems of what is not an object: identifiers that we made.
static bool stem_ok(struct str s) {
    if (s.n == 0 || s.n > DCM_UID_MAX) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-')) return false;
    }
    return true;
}

static bool names_ok(const struct vol_entry *entry) {
    switch (entry->kind) {
    case VOL_OBJECT:
    case VOL_CONFLICT:
        return tar_uid_ok(entry->study) && tar_uid_ok(entry->series) && tar_uid_ok(entry->sop);
    case VOL_QUARANTINE:
        return true; // its name is its digest
    case VOL_TOMBSTONE:
    case VOL_RECORD:
        return stem_ok(entry->sop);
    }
    return false;
}

bool tar_entry_check(const struct vol_entry *entry, struct err *e) {
    if (!names_ok(entry)) return err_set(e, ERR_BAD_INPUT, "store", "an identifier of the object may not stand in a file name: not stored");
    if (entry->loc.length > (uint64_t)STORE_OBJECT_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "store", "object above %lld bytes", STORE_OBJECT_BYTES_MAX);
    if (entry->ts.n && !tar_uid_ok(entry->ts)) return err_set(e, ERR_BAD_INPUT, "store", "the transfer syntax is not a UID: not stored");
    return true;
}

// Names: prefix and name of the ustar header

static void put_names(const struct vol_entry *en, char prefix[160], char name[104]) {
    char hex[33] = "";
    hex_encode(en->digest, 16, hex);
    switch (en->kind) {
    case VOL_OBJECT:
        snprintf(prefix, 160, "%.*s/%.*s", STR_FMT(en->study), STR_FMT(en->series));
        snprintf(name, 104, "%.*s.dcm", STR_FMT(en->sop));
        break;
    case VOL_CONFLICT:
        snprintf(prefix, 160, "conflict/%.*s/%.*s", STR_FMT(en->study), STR_FMT(en->series));
        snprintf(name, 104, "%.*s.%.8s.dcm", STR_FMT(en->sop), hex);
        break;
    case VOL_QUARANTINE:
        snprintf(prefix, 160, "quarantine");
        snprintf(name, 104, "%s.dcm", hex);
        break;
    case VOL_TOMBSTONE:
    case VOL_RECORD:
        snprintf(prefix, 160, "%s", KINDS[en->kind]);
        snprintf(name, 104, "%.*s.json", STR_FMT(en->sop));
        break;
    }
}

static bool cut_end(struct str *s, struct str tail) {
    if (!str_ends(*s, tail)) return false;
    s->n -= tail.n;
    return true;
}

static bool take_names(struct vol_entry *en, struct str prefix, struct str name) {
    bool object = en->kind == VOL_OBJECT, conflict = en->kind == VOL_CONFLICT;
    if (!cut_end(&name, object || conflict || en->kind == VOL_QUARANTINE ? STR_LIT(".dcm") : STR_LIT(".json"))) return false;
    if (!object) {
        struct str first = str_split(&prefix, '/');
        if (!str_eqz(first, KINDS[en->kind])) return false;
    }
    if (object || conflict) {
        en->study = str_split(&prefix, '/');
        en->series = str_split(&prefix, '/');
    }
    if (prefix.p) return false;
    char hex[2 * 16 + 1] = ".";
    hex_encode(en->digest, 16, hex + 1);
    if (conflict && !cut_end(&name, (struct str){hex, 9})) return false;
    if (en->kind == VOL_QUARANTINE && !str_eq(name, (struct str){hex + 1, 32})) return false;
    en->sop = name;
    return names_ok(en);
}

// pax records: "length key=value\n", the length counting itself

static unsigned digits_of(size_t n) {
    unsigned d = 1;
    for (; n >= 10; n /= 10) d++;
    return d;
}

static size_t record_length(size_t key_n, size_t value_n) {
    size_t base = key_n + value_n + 3; // space, '=', newline
    size_t n = base + digits_of(base);
    return base + digits_of(n);
}

struct pax_out {
    char *p; // NULL: only counts
    size_t n;
    const char *prefix; // of keys
};

static void put_record(struct pax_out *o, const char *key, struct str value) {
    size_t key_n = strlen(o->prefix) + strlen(key), n = record_length(key_n, value.n);
    if (o->p) {
        int k = sprintf(o->p + o->n, "%zu %s%s=", n, o->prefix, key);
        if (value.n) memcpy(o->p + o->n + k, value.p, value.n);
        o->p[o->n + n - 1] = '\n';
    }
    o->n += n;
}

static void put_number(struct pax_out *o, const char *key, uint64_t v, bool fixed) {
    char digits[24];
    int n = snprintf(digits, sizeof digits, fixed ? "%020llu" : "%llu", (unsigned long long)v);
    put_record(o, key, (struct str){digits, (size_t)n});
}

// Free text from outside: one line, cut at a whole UTF-8 character.
static struct str tidy(struct str s, size_t max, char *out) {
    if (s.n > max) {
        s.n = max;
        while (s.n && ((unsigned char)s.p[s.n] & 0xC0) == 0x80) s.n--;
    }
    for (size_t i = 0; i < s.n; i++) out[i] = (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? ' ' : s.p[i];
    return (struct str){out, s.n};
}

static void put_facts(struct pax_out *o, const struct vol_entry *en) {
    char hex[DIGEST_HEX], text[STORE_NOTE_BYTES_MAX + 1];
    put_record(o, "kind", str_of(KINDS[en->kind]));
    hex_encode(en->digest, VOL_DIGEST_BYTES, hex);
    put_record(o, "sha256", (struct str){hex, sizeof hex});
    put_number(o, "time", en->received_ms > 0 ? (uint64_t)en->received_ms : 0, false);
    if (en->ts.n) put_record(o, "ts", en->ts);
    if (en->source.n) put_record(o, "source", tidy(en->source, STORE_SOURCE_BYTES_MAX, text));
    if (en->realm.n) put_record(o, "realm", tidy(en->realm, STORE_REALM_BYTES_MAX, text));
    if (en->note.n) put_record(o, "note", tidy(en->note, STORE_NOTE_BYTES_MAX, text));
}

// What is encrypted: the facts and the names that they would have in the open.
static void put_sealed_facts(struct pax_out *o, const struct vol_entry *en) {
    char prefix[160] = "", name[104] = "";
    put_facts(o, en);
    put_names(en, prefix, name);
    put_record(o, "prefix", str_of(prefix));
    put_record(o, "name", str_of(name));
}

static size_t sealed_bytes(const struct vol_entry *en) {
    struct pax_out facts = {.prefix = ""};
    put_sealed_facts(&facts, en);
    return CIPHER_NONCE_BYTES + facts.n + CIPHER_TAG_BYTES;
}

// sealed: of an entry that is, the bytes of that record.
static void put_records(struct pax_out *o, const struct vol_entry *en, uint64_t at, uint64_t durable, struct str sealed) {
    uint64_t stored = tar_stored(en);
    o->prefix = KEY;
    put_record(o, "check", STR_LIT("0000000000000000"));
    // Of fixed width: the length of the headers must not hang on where they lie.
    put_number(o, "at", at, true);
    put_number(o, "durable", durable, true);
    if (en->sealed)
        put_record(o, "sealed", sealed);
    else
        put_facts(o, en);
    o->prefix = "";
    if (stored > USTAR_SIZE_MAX) put_number(o, "size", stored, false);
}

// Fills the records up to n bytes with a comment. n - o->n is 0 or at least a block.
static void put_filler(struct pax_out *o, size_t n) {
    size_t length = n - o->n;
    if (length == 0) return;
    int k = sprintf(o->p + o->n, "%zu comment=", length);
    memset(o->p + o->n + k, ' ', length - (size_t)k - 1);
    o->p[n - 1] = '\n';
    o->n = n;
}

uint64_t tar_stored(const struct vol_entry *entry) {
    return entry->sealed ? TAR_ENVELOPE + seal_bytes(entry->loc.length) : entry->loc.length;
}

size_t tar_head_min(const struct vol_entry *entry) {
    struct pax_out o = {0};
    put_records(&o, entry, 0, 0, (struct str){NULL, entry->sealed ? sealed_bytes(entry) : 0});
    return (size_t)tar_round(o.n) + 2 * TAR_BLOCK;
}

static void octal(char *field, size_t n, uint64_t v) {
    field[n - 1] = '\0';
    for (size_t i = n - 1; i-- > 0; v >>= 3) field[i] = (char)('0' + (v & 7));
}

static unsigned checksum_of(const struct ustar *h) {
    const unsigned char *p = (const unsigned char *)h;
    size_t from = offsetof(struct ustar, chksum);
    unsigned sum = 8 * ' ';
    for (size_t i = 0; i < TAR_BLOCK; i++) sum += i < from || i >= from + 8 ? p[i] : 0;
    return sum;
}

static void put_ustar(char *block, const char *prefix, const char *name, char typeflag, uint64_t size, int64_t time_ms) {
    struct ustar h = {.typeflag = typeflag, .magic = "ustar", .version = {'0', '0'}};
    memcpy(h.prefix, prefix, strlen(prefix));
    memcpy(h.name, name, strlen(name));
    octal(h.mode, sizeof h.mode, 0640);
    octal(h.uid, sizeof h.uid, 0);
    octal(h.gid, sizeof h.gid, 0);
    octal(h.size, sizeof h.size, size);
    octal(h.mtime, sizeof h.mtime, time_ms > 0 ? (uint64_t)time_ms / 1000 : 0);
    octal(h.devmajor, sizeof h.devmajor, 0);
    octal(h.devminor, sizeof h.devminor, 0);
    octal(h.chksum, 7, checksum_of(&h));
    h.chksum[7] = ' ';
    memcpy(block, &h, sizeof h);
}

// First half of the SHA-256 over both headers with the check's own digits as zeros, which is how out holds them now.
static bool check_of(const char *head, size_t head_bytes, char digits[CHECK_DIGITS], struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    if (!digest_of(head, head_bytes, digest, e)) return false;
    hex_encode(digest, CHECK_DIGITS / 2, digits);
    return true;
}

// Where the entry's bytes come to lie, which the sealed facts are bound to.
static void bind_to(uint64_t bytes_at, uint8_t aad[8]) {
    for (int i = 7; i >= 0; i--, bytes_at >>= 8) aad[i] = (uint8_t)bytes_at;
}

static bool seal_facts(const struct vol_key *key, const struct vol_entry *en, uint64_t bytes_at, char *out, struct str *sealed, struct err *e) {
    uint8_t aad[8], *nonce = (uint8_t *)out;
    struct pax_out facts = {.p = out + CIPHER_NONCE_BYTES, .prefix = ""};
    put_sealed_facts(&facts, en);
    bind_to(bytes_at, aad);
    struct cipher *c = cipher_random(nonce, CIPHER_NONCE_BYTES, e) ? cipher_new(key->kind, key->bytes, true, e) : NULL;
    bool ok = c && cipher_begin(c, nonce, aad, sizeof aad, e) && cipher_add(c, facts.p, facts.n, facts.p, e) && cipher_end(c, (uint8_t *)facts.p + facts.n, e);
    cipher_free(c);
    *sealed = (struct str){out, CIPHER_NONCE_BYTES + facts.n + CIPHER_TAG_BYTES};
    return ok;
}

static void put_sealed_names(struct str sealed, char prefix[160], char name[104]) {
    char hex[2 * CIPHER_NONCE_BYTES + 1] = "";
    hex_encode((const uint8_t *)sealed.p, CIPHER_NONCE_BYTES, hex);
    snprintf(prefix, 160, "sealed");
    snprintf(name, 104, "%s", hex);
}

bool tar_encode_with(const struct vol_key *key, const struct vol_entry *entry, uint64_t at, uint64_t durable, size_t head_bytes, char *out, struct err *e) {
    char prefix[160] = "", name[104] = "", digits[CHECK_DIGITS], facts[TAR_HEAD_MAX];
    struct str sealed = {0};
    size_t least = tar_head_min(entry);
    uint64_t stored = tar_stored(entry);
    int64_t time_ms = entry->sealed ? 0 : entry->received_ms;
    if (head_bytes < least || head_bytes > TAR_HEAD_MAX || head_bytes % TAR_BLOCK)
        return err_set(e, ERR_INTERNAL, "store", "headers of %zu bytes do not fit in %zu", least, head_bytes);
    if (entry->sealed && !key) return err_set(e, ERR_INTERNAL, "store", "no key is given for an encrypted entry");
    if (entry->sealed && !seal_facts(key, entry, at + head_bytes + TAR_ENVELOPE, facts, &sealed, e)) return false;
    memset(out, 0, head_bytes);
    if (entry->sealed)
        put_sealed_names(sealed, prefix, name);
    else
        put_names(entry, prefix, name);
    struct pax_out o = {.p = out + TAR_BLOCK};
    put_records(&o, entry, at, durable, sealed);
    if (head_bytes > least) put_filler(&o, head_bytes - 2 * TAR_BLOCK);
    put_ustar(out, "pax", name, 'x', o.n, time_ms);
    put_ustar(out + head_bytes - TAR_BLOCK, prefix, name, '0', stored > USTAR_SIZE_MAX ? 0 : stored, time_ms);
    if (!check_of(out, head_bytes, digits, e)) return false;
    memcpy(out + TAR_BLOCK + CHECK_AT, digits, sizeof digits);
    return true;
}

// Decoding

struct pax_in {
    struct str check, kind, sha256, at, durable, time, ts, source, realm, note, size, sealed, prefix, name;
};

#define FIELD(name) \
    { #name, offsetof(struct pax_in, name) }
struct record {
    const char *key;
    size_t field;
};
// In the open under KEY, but for size, which is tar's own; and the encrypted ones.
static const struct record OPEN[] = {FIELD(check), FIELD(kind),   FIELD(sha256), FIELD(at),   FIELD(durable), FIELD(time),
                                     FIELD(ts),    FIELD(source), FIELD(realm),  FIELD(note), FIELD(sealed),  {NULL, 0}};
static const struct record TARS[] = {FIELD(size), {NULL, 0}};
static const struct record SEALED[] = {FIELD(kind),  FIELD(sha256), FIELD(time),   FIELD(ts),   FIELD(source),
                                       FIELD(realm), FIELD(note),   FIELD(prefix), FIELD(name), {NULL, 0}};

// Unknown keys are passed over: a later version may know more. A key twice is refused.
static bool take_record(struct pax_in *in, const struct record *known, struct str key, struct str value) {
    for (; known->key; known++) {
        if (!str_eqz(key, known->key)) continue;
        struct str *field = (struct str *)(void *)((char *)in + known->field);
        if (field->p) return false;
        *field = value;
    }
    return true;
}

static bool take_open(struct pax_in *in, struct str key, struct str value) {
    if (!str_starts(key, STR_LIT(KEY))) return take_record(in, TARS, key, value);
    return take_record(in, OPEN, str_sub(key, sizeof KEY - 1, key.n), value);
}

static bool take_records(struct pax_in *in, bool sealed, struct str rest) {
    while (rest.n) {
        size_t space = str_find(rest, ' ', 0);
        uint64_t length;
        if (space > 5 || !str_to_u64(str_sub(rest, 0, space), &length)) return false;
        if (length > rest.n || length < space + 4 || rest.p[length - 1] != '\n') return false;
        struct str body = str_sub(rest, space + 1, (size_t)length - space - 2);
        size_t equals = str_find(body, '=', 0);
        if (equals == body.n) return false;
        struct str key = str_sub(body, 0, equals), value = str_sub(body, equals + 1, body.n);
        if (!(sealed ? take_record(in, SEALED, key, value) : take_open(in, key, value))) return false;
        rest = str_sub(rest, (size_t)length, rest.n);
    }
    return true;
}

static bool is_zero(const char *p, size_t n) {
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static bool take_octal(const char *field, size_t n, uint64_t *out) {
    *out = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (field[i] < '0' || field[i] > '7') return false;
        *out = *out << 3 | (uint64_t)(field[i] - '0');
    }
    return field[n - 1] == '\0';
}

static bool ustar_ok(const struct ustar *h, char typeflag, uint64_t *size) {
    uint64_t sum;
    if (memcmp(h->magic, "ustar", sizeof h->magic) != 0 || memcmp(h->version, "00", sizeof h->version) != 0 || h->typeflag != typeflag) return false;
    if (!take_octal(h->chksum, 7, &sum) || h->chksum[7] != ' ' || sum != checksum_of(h)) return false;
    return take_octal(h->size, sizeof h->size, size);
}

static bool check_ok(const char *p, size_t head_bytes, size_t pax_bytes) {
    char copy[TAR_HEAD_MAX], digits[CHECK_DIGITS];
    if (pax_bytes < CHECK_LENGTH || memcmp(p + TAR_BLOCK, CHECK_RECORD, CHECK_AT) != 0) return false;
    memcpy(copy, p, head_bytes);
    memset(copy + TAR_BLOCK + CHECK_AT, '0', CHECK_DIGITS);
    return check_of(copy, head_bytes, digits, NULL) && memcmp(digits, p + TAR_BLOCK + CHECK_AT, CHECK_DIGITS) == 0;
}

static bool take_kind(struct str word, enum vol_kind *out) {
    for (int i = 0; i < KIND_COUNT; i++) {
        if (!str_eqz(word, KINDS[i])) continue;
        *out = (enum vol_kind)i;
        return true;
    }
    return false;
}

static bool take_place(const struct pax_in *in, uint64_t at, uint64_t size, struct tar_head *out) {
    uint64_t own_at, stored = size;
    if (!str_to_u64(in->at, &own_at) || own_at != at || !str_to_u64(in->durable, &out->durable) || out->durable > at) return false;
    if (in->size.p && !str_to_u64(in->size, &stored)) return false;
    out->entry.sealed = in->sealed.p;
    out->entry.loc.length = stored;
    if (in->sealed.p && (stored < TAR_ENVELOPE || !seal_length(stored - TAR_ENVELOPE, &out->entry.loc.length))) return false;
    return out->entry.loc.length <= (uint64_t)STORE_OBJECT_BYTES_MAX;
}

static bool take_facts(const struct pax_in *in, struct vol_entry *en) {
    uint64_t time;
    if (!take_kind(in->kind, &en->kind)) return false;
    if (in->sha256.n != DIGEST_HEX || !hex_decode(in->sha256.p, VOL_DIGEST_BYTES, en->digest)) return false;
    if (!str_to_u64(in->time, &time) || time > INT64_MAX) return false;
    if (in->ts.n && !tar_uid_ok(in->ts)) return false;
    if (in->source.n > STORE_SOURCE_BYTES_MAX || in->note.n > STORE_NOTE_BYTES_MAX || in->realm.n > STORE_REALM_BYTES_MAX) return false;
    en->received_ms = (int64_t)time;
    en->ts = in->ts;
    en->source = in->source;
    en->realm = in->realm;
    en->note = in->note;
    return true;
}

static struct str field_text(const char *field, size_t n) {
    return (struct str){field, strnlen(field, n)};
}

enum tar_result tar_decode(const char *p, size_t n, uint64_t at, struct tar_head *out) {
    uint64_t pax_bytes, size;
    *out = (struct tar_head){0};
    if (n < TAR_BLOCK) return TAR_BAD;
    if (is_zero(p, TAR_BLOCK)) return TAR_END;
    if (!ustar_ok((const struct ustar *)(const void *)p, 'x', &pax_bytes)) return TAR_BAD;
    if (pax_bytes > TAR_HEAD_MAX - 2 * TAR_BLOCK) return TAR_BAD;
    size_t head_bytes = 2 * TAR_BLOCK + (size_t)tar_round(pax_bytes);
    if (head_bytes > n || !check_ok(p, head_bytes, (size_t)pax_bytes)) return TAR_BAD;
    const struct ustar *h = (const struct ustar *)(const void *)(p + head_bytes - TAR_BLOCK);
    struct pax_in in = {0};
    if (!ustar_ok(h, '0', &size) || !take_records(&in, false, (struct str){p + TAR_BLOCK, (size_t)pax_bytes})) return TAR_BAD;
    if (!take_place(&in, at, size, out)) return TAR_BAD;
    out->entry.loc.offset = at + head_bytes + (in.sealed.p ? TAR_ENVELOPE : 0);
    out->entry.end = at + head_bytes + tar_round(tar_stored(&out->entry));
    out->sealed = in.sealed;
    if (in.sealed.p) return in.sealed.n > CIPHER_NONCE_BYTES + CIPHER_TAG_BYTES ? TAR_SEALED : TAR_BAD;
    if (!take_facts(&in, &out->entry)) return TAR_BAD;
    bool named = take_names(&out->entry, field_text(h->prefix, sizeof h->prefix), field_text(h->name, sizeof h->name));
    return named ? TAR_ENTRY : TAR_BAD;
}

static bool open_facts(const struct vol_key *key, const struct tar_head *head, char *text, size_t n, struct err *e) {
    uint8_t aad[8], tag[CIPHER_TAG_BYTES];
    const uint8_t *nonce = (const uint8_t *)head->sealed.p;
    bind_to(head->entry.loc.offset, aad);
    memcpy(tag, nonce + CIPHER_NONCE_BYTES + n, sizeof tag);
    struct cipher *c = cipher_new(key->kind, key->bytes, false, e);
    bool ok = c && cipher_begin(c, nonce, aad, sizeof aad, e) && cipher_add(c, nonce + CIPHER_NONCE_BYTES, n, text, e) && cipher_end(c, tag, e);
    cipher_free(c);
    return ok;
}

bool tar_unseal(const struct vol_key *key, struct tar_head *head, char *text, enum tar_result *result, struct err *e) {
    struct pax_in in = {0};
    struct err why = {0};
    size_t n = head->sealed.n - CIPHER_NONCE_BYTES - CIPHER_TAG_BYTES;
    *result = TAR_BAD;
    if (n > TAR_HEAD_MAX) return true;
    if (!open_facts(key, head, text, n, &why)) {
        if (why.kind == ERR_CORRUPT) return true;
        if (e) *e = why;
        return false;
    }
    bool whole = take_records(&in, true, (struct str){text, n}) && take_facts(&in, &head->entry) && take_names(&head->entry, in.prefix, in.name);
    if (whole) *result = TAR_ENTRY;
    return true;
}

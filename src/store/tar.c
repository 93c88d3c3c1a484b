// Encoding and decoding of an entry's tar headers.
#include "store/tar.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
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
};

static void put_record(struct pax_out *o, const char *key, struct str value) {
    size_t key_n = strlen(key), n = record_length(key_n, value.n);
    if (o->p) {
        int k = sprintf(o->p + o->n, "%zu %s=", n, key);
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

static void put_records(struct pax_out *o, const struct vol_entry *en, uint64_t at, uint64_t durable) {
    char hex[DIGEST_HEX], text[STORE_NOTE_BYTES_MAX + 1];
    put_record(o, KEY "check", STR_LIT("0000000000000000"));
    put_record(o, KEY "kind", str_of(KINDS[en->kind]));
    hex_encode(en->digest, VOL_DIGEST_BYTES, hex);
    put_record(o, KEY "sha256", (struct str){hex, sizeof hex});
    // Of fixed width: the length of the headers must not hang on where they lie.
    put_number(o, KEY "at", at, true);
    put_number(o, KEY "durable", durable, true);
    put_number(o, KEY "time", en->received_ms > 0 ? (uint64_t)en->received_ms : 0, false);
    if (en->ts.n) put_record(o, KEY "ts", en->ts);
    if (en->source.n) put_record(o, KEY "source", tidy(en->source, STORE_SOURCE_BYTES_MAX, text));
    if (en->note.n) put_record(o, KEY "note", tidy(en->note, STORE_NOTE_BYTES_MAX, text));
    if (en->loc.length > USTAR_SIZE_MAX) put_number(o, "size", en->loc.length, false);
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

size_t tar_head_min(const struct vol_entry *entry) {
    struct pax_out o = {0};
    put_records(&o, entry, 0, 0);
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

bool tar_encode(const struct vol_entry *entry, uint64_t at, uint64_t durable, size_t head_bytes, char *out, struct err *e) {
    char prefix[160] = "", name[104] = "", digits[CHECK_DIGITS];
    size_t least = tar_head_min(entry);
    if (head_bytes < least || head_bytes > TAR_HEAD_MAX || head_bytes % TAR_BLOCK)
        return err_set(e, ERR_INTERNAL, "store", "headers of %zu bytes do not fit in %zu", least, head_bytes);
    memset(out, 0, head_bytes);
    put_names(entry, prefix, name);
    struct pax_out o = {.p = out + TAR_BLOCK};
    put_records(&o, entry, at, durable);
    if (head_bytes > least) put_filler(&o, head_bytes - 2 * TAR_BLOCK);
    put_ustar(out, "pax", name, 'x', o.n, entry->received_ms);
    put_ustar(out + head_bytes - TAR_BLOCK, prefix, name, '0', entry->loc.length > USTAR_SIZE_MAX ? 0 : entry->loc.length, entry->received_ms);
    if (!check_of(out, head_bytes, digits, e)) return false;
    memcpy(out + TAR_BLOCK + CHECK_AT, digits, sizeof digits);
    return true;
}

// Decoding

struct pax_in {
    struct str check, kind, sha256, at, durable, time, ts, source, note, size;
};

static const struct {
    const char *key;
    size_t field;
} RECORDS[] = {
    {KEY "check", offsetof(struct pax_in, check)}, {KEY "kind", offsetof(struct pax_in, kind)},       {KEY "sha256", offsetof(struct pax_in, sha256)},
    {KEY "at", offsetof(struct pax_in, at)},       {KEY "durable", offsetof(struct pax_in, durable)}, {KEY "time", offsetof(struct pax_in, time)},
    {KEY "ts", offsetof(struct pax_in, ts)},       {KEY "source", offsetof(struct pax_in, source)},   {KEY "note", offsetof(struct pax_in, note)},
    {"size", offsetof(struct pax_in, size)},
};

// Unknown keys are passed over: a later version may know more. A key twice is refused.
static bool take_record(struct pax_in *in, struct str key, struct str value) {
    for (size_t i = 0; i < sizeof RECORDS / sizeof *RECORDS; i++) {
        if (!str_eqz(key, RECORDS[i].key)) continue;
        struct str *field = (struct str *)(void *)((char *)in + RECORDS[i].field);
        if (field->p) return false;
        *field = value;
    }
    return true;
}

static bool take_records(struct pax_in *in, struct str rest) {
    while (rest.n) {
        size_t space = str_find(rest, ' ', 0);
        uint64_t length;
        if (space > 5 || !str_to_u64(str_sub(rest, 0, space), &length)) return false;
        if (length > rest.n || length < space + 4 || rest.p[length - 1] != '\n') return false;
        struct str body = str_sub(rest, space + 1, (size_t)length - space - 2);
        size_t equals = str_find(body, '=', 0);
        if (equals == body.n || !take_record(in, str_sub(body, 0, equals), str_sub(body, equals + 1, body.n))) return false;
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

static bool take_facts(const struct pax_in *in, uint64_t at, uint64_t size, struct tar_head *out) {
    struct vol_entry *en = &out->entry;
    uint64_t own_at, time;
    if (!take_kind(in->kind, &en->kind)) return false;
    if (in->sha256.n != DIGEST_HEX || !hex_decode(in->sha256.p, VOL_DIGEST_BYTES, en->digest)) return false;
    if (!str_to_u64(in->at, &own_at) || own_at != at || !str_to_u64(in->durable, &out->durable) || out->durable > at) return false;
    if (!str_to_u64(in->time, &time) || time > INT64_MAX) return false;
    if (in->ts.n && !tar_uid_ok(in->ts)) return false;
    if (in->source.n > STORE_SOURCE_BYTES_MAX || in->note.n > STORE_NOTE_BYTES_MAX) return false;
    en->loc.length = size;
    if (in->size.p && !str_to_u64(in->size, &en->loc.length)) return false;
    en->received_ms = (int64_t)time;
    en->ts = in->ts;
    en->source = in->source;
    en->note = in->note;
    return en->loc.length <= (uint64_t)STORE_OBJECT_BYTES_MAX;
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
    if (!ustar_ok(h, '0', &size) || !take_records(&in, (struct str){p + TAR_BLOCK, (size_t)pax_bytes})) return TAR_BAD;
    if (!take_facts(&in, at, size, out)) return TAR_BAD;
    if (!take_names(&out->entry, field_text(h->prefix, sizeof h->prefix), field_text(h->name, sizeof h->name))) return TAR_BAD;
    out->entry.loc.offset = at + head_bytes;
    out->entry.end = at + head_bytes + tar_round(out->entry.loc.length);
    return TAR_ENTRY;
}

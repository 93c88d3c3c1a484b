// Encrypting an entry's bytes on their way into a volume, and back.
#include "store/seal.h"

#include <stdlib.h>
#include <string.h>

#include "store/set.h"

enum {
    NONCE_AT = 4, // after MARK
    KEY_AT = NONCE_AT + CIPHER_NONCE_BYTES,
    TAG_AT = KEY_AT + CIPHER_KEY_MAX,
    READ_UNITS = 2, // read at once
};
_Static_assert(TAG_AT + CIPHER_TAG_BYTES == TAR_ENVELOPE, "an envelope is full");

static const uint8_t MARK[NONCE_AT] = {'G', 'S', 'E', '1'};

bool seal_length(uint64_t n, uint64_t *length) {
    uint64_t units = n / SEAL_UNIT, rest = n % SEAL_UNIT;
    *length = units * SEAL_SEGMENT + (rest > CIPHER_TAG_BYTES ? rest - CIPHER_TAG_BYTES : 0);
    return seal_bytes(*length) == n;
}

size_t seal_segment_bytes(uint64_t length, uint64_t number) {
    uint64_t left = length - number * SEAL_SEGMENT;
    return left < SEAL_SEGMENT ? (size_t)left : SEAL_SEGMENT;
}

static void put_u64(uint8_t *p, uint64_t v) {
    for (int i = 7; i >= 0; i--, v >>= 8) p[i] = (uint8_t)v;
}

static void nonce_of(uint64_t number, bool last, uint8_t out[CIPHER_NONCE_BYTES]) {
    memset(out, 0, CIPHER_NONCE_BYTES);
    put_u64(out, number);
    out[8] = last;
}

// ---- writing ----

bool sealing_begin(struct sealing *s, enum cipher_kind kind, struct err *e) {
    *s = (struct sealing){.kind = kind};
    if (!cipher_random(s->key, sizeof s->key, e)) return false;
    s->cipher = cipher_new(kind, s->key, true, e);
    return s->cipher;
}

void sealing_end(struct sealing *s) {
    cipher_free(s->cipher);
    s->cipher = NULL;
    cipher_wipe(s->key, sizeof s->key);
}

bool sealing_add(struct sealing *s, const struct iovec *parts, int n, bool last, uint8_t *out, struct err *e) {
    uint8_t nonce[CIPHER_NONCE_BYTES];
    nonce_of(s->next++, last, nonce);
    if (!cipher_begin(s->cipher, nonce, NULL, 0, e)) return false;
    for (int i = 0; i < n; i++) {
        if (!cipher_add(s->cipher, parts[i].iov_base, parts[i].iov_len, out, e)) return false;
        out += parts[i].iov_len;
    }
    return cipher_end(s->cipher, out, e);
}

// The next bytes of a list, without moving them.
static int take_parts(struct iovec **from, int *left, size_t bytes, struct iovec out[2], int max) {
    int n = 0;
    while (bytes && *left && n < max) {
        struct iovec *v = *from;
        size_t k = v->iov_len < bytes ? v->iov_len : bytes;
        if (k) out[n++] = (struct iovec){v->iov_base, k};
        v->iov_base = (char *)v->iov_base + k;
        v->iov_len -= k;
        bytes -= k;
        if (v->iov_len == 0) ++*from, --*left;
    }
    return n;
}

bool sealing_all(struct sealing *s, struct iovec *parts, int n, uint64_t length, uint8_t *out, struct err *e) {
    uint64_t segments = seal_segments(length);
    for (uint64_t i = 0; i < segments; i++) {
        struct iovec some[2];
        size_t bytes = seal_segment_bytes(length, i);
        int count = take_parts(&parts, &n, bytes, some, 2);
        if (!sealing_add(s, some, count, i + 1 == segments, out, e)) return false;
        out += bytes + CIPHER_TAG_BYTES;
    }
    return true;
}

bool seal_envelope(const struct vol_key *key, const struct sealing *s, uint64_t at, uint8_t out[TAR_ENVELOPE], struct err *e) {
    uint8_t aad[8];
    put_u64(aad, at);
    memcpy(out, MARK, sizeof MARK);
    if (!cipher_random(out + NONCE_AT, CIPHER_NONCE_BYTES, e)) return false;
    struct cipher *c = cipher_new(key->kind, key->bytes, true, e);
    bool ok =
        c && cipher_begin(c, out + NONCE_AT, aad, sizeof aad, e) && cipher_add(c, s->key, CIPHER_KEY_MAX, out + KEY_AT, e) && cipher_end(c, out + TAG_AT, e);
    cipher_free(c);
    return ok;
}

// ---- reading ----

static bool open_envelope(const struct vol_key *key, struct vol_loc loc, const uint8_t envelope[TAR_ENVELOPE], struct seal_slot *out, struct err *e) {
    uint8_t aad[8], tag[CIPHER_TAG_BYTES];
    put_u64(aad, loc.offset);
    memcpy(tag, envelope + TAG_AT, sizeof tag);
    *out = (struct seal_slot){.loc = loc, .kind = key->kind};
    if (memcmp(envelope, MARK, sizeof MARK) != 0)
        return err_set(e, ERR_CORRUPT, "store", "no envelope of an entry lies before byte %llu of volume %u", (unsigned long long)loc.offset, loc.volume);
    struct cipher *c = cipher_new(key->kind, key->bytes, false, e);
    bool ok =
        c && cipher_begin(c, envelope + NONCE_AT, aad, sizeof aad, e) && cipher_add(c, envelope + KEY_AT, CIPHER_KEY_MAX, out->key, e) && cipher_end(c, tag, e);
    cipher_free(c);
    return ok || err_wrap(e, "volume %u before byte %llu", loc.volume, (unsigned long long)loc.offset);
}

static bool unwrap(struct vol_set *vs, struct vol_loc loc, const uint8_t envelope[TAR_ENVELOPE], struct seal_slot *out, struct err *e) {
    struct vol_key key;
    bool ok = keys_find(vs, loc.volume, &key, e) && open_envelope(&key, loc, envelope, out, e);
    cipher_wipe(&key, sizeof key);
    return ok;
}

static struct seal_slot *slot_of(struct vol_set *vs, struct vol_loc loc) {
    uint64_t h = (loc.offset / TAR_BLOCK + loc.volume * 7919ULL) * 0x9E3779B97F4A7C15ULL;
    return &vs->entry_keys->slots[(h >> 32) % SEAL_KEYS_MAX];
}

static bool same_loc(struct vol_loc a, struct vol_loc b) {
    return a.volume == b.volume && a.offset == b.offset && a.length == b.length;
}

static bool remembered(struct vol_set *vs, struct vol_loc loc, struct seal_slot *out) {
    pthread_mutex_lock(&vs->entry_keys->lock);
    *out = *slot_of(vs, loc);
    pthread_mutex_unlock(&vs->entry_keys->lock);
    return same_loc(out->loc, loc);
}

static void remember(struct vol_set *vs, const struct seal_slot *one) {
    pthread_mutex_lock(&vs->entry_keys->lock);
    *slot_of(vs, one->loc) = *one;
    pthread_mutex_unlock(&vs->entry_keys->lock);
}

bool unseal_begin(struct vol_set *vs, struct vol_loc loc, const uint8_t envelope[TAR_ENVELOPE], struct cipher **out, struct err *e) {
    struct seal_slot one;
    if (!unwrap(vs, loc, envelope, &one, e)) return false;
    *out = cipher_new(one.kind, one.key, false, e);
    cipher_wipe(&one, sizeof one);
    return *out;
}

bool unseal_segment(struct cipher *c, uint64_t length, uint64_t number, const uint8_t *unit, uint8_t *out, struct err *e) {
    uint8_t nonce[CIPHER_NONCE_BYTES], tag[CIPHER_TAG_BYTES];
    size_t n = seal_segment_bytes(length, number);
    nonce_of(number, number + 1 == seal_segments(length), nonce);
    memcpy(tag, unit + n, sizeof tag);
    return cipher_begin(c, nonce, NULL, 0, e) && cipher_add(c, unit, n, out, e) && cipher_end(c, tag, e);
}

// ---- through the driver ----

// Whether the volume's first headers open by the key that is kept for it: what does not open elsewhere is then damage, and no other key.
static bool key_fits(struct vol_set *vs, uint32_t volume, bool *fits, struct err *e) {
    struct volume_reader r = {.vs = vs, .volume = volume};
    char head[TAR_HEAD_MAX], text[TAR_HEAD_MAX];
    struct tar_head first;
    struct vol_key key;
    size_t got = 0;
    enum tar_result result = TAR_BAD;
    *fits = true;
    if (!vs->driver->reader_open(&r, e)) return false;
    bool ok = vs->driver->reader_read(&r, head, sizeof head, 0, &got, e);
    vs->driver->reader_close(&r);
    if (!ok || tar_decode(head, got, 0, &first) != TAR_SEALED) return ok;
    ok = keys_find(vs, volume, &key, e) && tar_unseal(&key, &first, text, &result, e);
    cipher_wipe(&key, sizeof key);
    *fits = result == TAR_ENTRY;
    return ok;
}

static bool read_envelope(struct vol_set *vs, struct vol_loc loc, struct seal_slot *out, struct err *e) {
    const struct vol_loc raw = {loc.volume, loc.offset - TAR_ENVELOPE, TAR_ENVELOPE + seal_bytes(loc.length)};
    uint8_t envelope[TAR_ENVELOPE];
    struct err why = {0};
    bool fits = true;
    if (!vs->driver->read(vs, raw, 0, envelope, sizeof envelope, e)) return false;
    if (unwrap(vs, loc, envelope, out, &why)) return true;
    if (why.kind == ERR_CORRUPT && !key_fits(vs, loc.volume, &fits, e)) return false;
    if (!fits) return err_set(e, ERR_BUSY, "store", "volume %u was encrypted under another key than the one that is kept for it", loc.volume);
    if (e) *e = why;
    return false;
}

static bool open_entry(struct vol_set *vs, struct vol_loc loc, struct cipher **out, struct err *e) {
    struct seal_slot one;
    if (!remembered(vs, loc, &one)) {
        if (!read_envelope(vs, loc, &one, e)) return false;
        remember(vs, &one);
    }
    *out = cipher_new(one.kind, one.key, false, e);
    cipher_wipe(&one, sizeof one);
    return *out;
}

// A segment straight to where it is wanted, or the wanted part of one.
static bool take_segment(struct cipher *c, struct vol_loc loc, uint64_t number, const uint8_t *unit, uint64_t from, uint8_t *to, size_t n, struct err *e) {
    uint64_t begin = number * SEAL_SEGMENT;
    size_t have = seal_segment_bytes(loc.length, number);
    size_t skip = from > begin ? (size_t)(from - begin) : 0, end = from + n < begin + have ? (size_t)(from + n - begin) : have;
    if (skip == 0 && end == have) return unseal_segment(c, loc.length, number, unit, to + (begin - from), e);
    uint8_t *whole = malloc(SEAL_SEGMENT);
    if (!whole) return err_nomem(e, "store");
    bool ok = unseal_segment(c, loc.length, number, unit, whole, e);
    if (ok) memcpy(to + (begin + skip - from), whole + skip, end - skip);
    free(whole);
    return ok;
}

static bool read_segments(struct vol_set *vs, struct cipher *c, struct vol_loc loc, uint64_t from, uint8_t *to, size_t n, uint8_t *units, struct err *e) {
    const struct vol_loc raw = {loc.volume, loc.offset, seal_bytes(loc.length)};
    uint64_t last = (from + n - 1) / SEAL_SEGMENT;
    for (uint64_t i = from / SEAL_SEGMENT; i <= last; i += READ_UNITS) {
        uint64_t end = i + READ_UNITS <= last + 1 ? i + READ_UNITS : last + 1, at = i * SEAL_UNIT;
        uint64_t bytes = (end - 1) * SEAL_UNIT + seal_segment_bytes(loc.length, end - 1) + CIPHER_TAG_BYTES - at;
        if (!vs->driver->read(vs, raw, at, units, (size_t)bytes, e)) return false;
        for (uint64_t k = i; k < end; k++)
            if (!take_segment(c, loc, k, units + (k - i) * SEAL_UNIT, from, to, n, e)) return false;
    }
    return true;
}

bool sealed_read(struct vol_set *vs, struct vol_loc loc, uint64_t from, void *p, size_t n, struct err *e) {
    struct cipher *c = NULL;
    if (n == 0) return true;
    bool one = from / SEAL_SEGMENT == (from + n - 1) / SEAL_SEGMENT; // as most readers ask
    uint8_t *units = malloc((one ? 1 : READ_UNITS) * SEAL_UNIT);
    if (!units) return err_nomem(e, "store");
    bool ok = open_entry(vs, loc, &c, e) && read_segments(vs, c, loc, from, p, n, units, e);
    cipher_free(c);
    free(units);
    return ok;
}

// ---- through a reader ----

static bool read_raw(struct payload *p, void *to, size_t n, uint64_t at, size_t *got, struct err *e) {
    return p->reader->vs->driver->reader_read(p->reader, to, n, at, got, e);
}

bool payload_open(struct payload *p, struct volume_reader *r, struct vol_loc loc, struct err *e) {
    uint8_t envelope[TAR_ENVELOPE];
    size_t got;
    *p = (struct payload){.reader = r, .loc = loc};
    if (!vol_is_encrypted(loc)) return true;
    p->loc.volume = r->volume;
    p->unit = malloc(SEAL_UNIT);
    if (!p->unit) return err_nomem(e, "store");
    if (!read_raw(p, envelope, sizeof envelope, loc.offset - TAR_ENVELOPE, &got, e)) return false;
    if (got < sizeof envelope) return err_set(e, ERR_CORRUPT, "store", "volume %u ends within an entry", r->volume);
    return unseal_begin(r->vs, p->loc, envelope, &p->cipher, e);
}

void payload_close(struct payload *p) {
    cipher_free(p->cipher);
    free(p->unit);
    p->cipher = NULL;
    p->unit = NULL;
}

bool payload_read(struct payload *p, uint64_t from, void *to, size_t n, size_t *got, struct err *e) {
    if (!p->cipher) return read_raw(p, to, n, p->loc.offset + from, got, e);
    for (*got = 0; *got < n;) {
        uint64_t number = (from + *got) / SEAL_SEGMENT;
        size_t have = seal_segment_bytes(p->loc.length, number), raw;
        if (!read_raw(p, p->unit, have + CIPHER_TAG_BYTES, p->loc.offset + number * SEAL_UNIT, &raw, e)) return false;
        if (raw < have + CIPHER_TAG_BYTES) return true;
        if (!unseal_segment(p->cipher, p->loc.length, number, p->unit, (uint8_t *)to + *got, e)) return false;
        *got += have;
    }
    return true;
}

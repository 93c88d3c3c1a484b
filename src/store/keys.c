// Keys of volumes: making, finding, destroying them, and wrapping them under another master key.
#include "store/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/set.h"
#include "sys/digest.h"

#define TITLE "gantry volume keys 1"
enum { HEAD_MAX = 256 };

// ---- a run and its text ----

// All that is known without the keys: authenticated with them.
static size_t put_head(const struct key_run *r, const char *master, char out[HEAD_MAX]) {
    int n = snprintf(out, HEAD_MAX, TITLE "\nvolumes %u %u\nmaster %s\ncipher %s\n", r->first, r->n, master, cipher_name(r->kind));
    return (size_t)n;
}

static bool keys_write(struct keys *k, struct key_run *r, struct buf *to, struct err *e) {
    char head[HEAD_MAX], hex[2 * (sizeof r->keys + CIPHER_TAG_BYTES)];
    uint8_t nonce[CIPHER_NONCE_BYTES], wrapped[sizeof r->keys + CIPHER_TAG_BYTES];
    size_t keys_n = r->n * sizeof r->keys[0];
    if (k->master_count == 0) return err_set(e, ERR_USAGE, "keys", "there is no master key: name one under encryption: in the configuration");
    size_t head_n = put_head(r, master_id(k->masters[0]), head);
    if (!master_wrap(k->masters[0], head, head_n, r->keys[0], keys_n, nonce, wrapped, e)) return false;
    buf_clear(to);
    buf_add(to, head, head_n);
    buf_addz(to, "nonce ");
    hex_encode(nonce, sizeof nonce, hex);
    buf_add(to, hex, 2 * sizeof nonce);
    buf_addz(to, "\nkeys ");
    hex_encode(wrapped, keys_n + CIPHER_TAG_BYTES, hex);
    buf_add(to, hex, 2 * (keys_n + CIPHER_TAG_BYTES));
    buf_addc(to, '\n');
    return buf_ok(to, e);
}

struct run_text {
    struct key_run head; // without its keys
    uint8_t nonce[CIPHER_NONCE_BYTES];
    uint8_t wrapped[sizeof((struct key_run *)NULL)->keys + CIPHER_TAG_BYTES];
    char raw[HEAD_MAX];
    size_t raw_n;
};

static bool take_line(struct str *rest, const char *name, struct str *out) {
    struct str line = str_split(rest, '\n'), key = str_split(&line, ' ');
    *out = line;
    return str_eqz(key, name) && line.p;
}

static bool take_head(struct str *rest, struct run_text *t) {
    struct str value;
    uint64_t first, n;
    char name[32];
    const char *begin = rest->p;
    if (!str_eqz(str_split(rest, '\n'), TITLE) || !take_line(rest, "volumes", &value)) return false;
    struct str number = str_split(&value, ' ');
    if (!str_to_u64(number, &first) || !str_to_u64(value, &n) || first == 0 || first > UINT32_MAX || n == 0 || n > KEYS_RUN) return false;
    if (!take_line(rest, "master", &value) || value.n != MASTER_ID) return false;
    memcpy(t->head.master, value.p, MASTER_ID);
    if (!take_line(rest, "cipher", &value) || value.n >= sizeof name || !rest->p) return false;
    memcpy(name, value.p, value.n);
    name[value.n] = '\0';
    t->head.first = (uint32_t)first;
    t->head.n = (unsigned)n;
    t->raw_n = (size_t)(rest->p - begin);
    if (t->raw_n > sizeof t->raw || !cipher_of_name(name, &t->head.kind)) return false;
    memcpy(t->raw, begin, t->raw_n);
    return true;
}

static bool parse(struct str text, struct run_text *out, struct err *e) {
    struct str value;
    *out = (struct run_text){0};
    bool ok = take_head(&text, out) && take_line(&text, "nonce", &value) && value.n == 2 * sizeof out->nonce &&
              hex_decode(value.p, sizeof out->nonce, out->nonce) && take_line(&text, "keys", &value);
    size_t n = out->head.n * sizeof out->head.keys[0] + CIPHER_TAG_BYTES;
    ok = ok && value.n == 2 * n && hex_decode(value.p, n, out->wrapped);
    return ok || err_set(e, ERR_CORRUPT, "keys", "not a whole text of volume keys");
}

static struct master *find_master(const struct keys *k, const char *id) {
    for (unsigned i = 0; i < k->master_count; i++)
        if (strcmp(master_id(k->masters[i]), id) == 0) return k->masters[i];
    return NULL;
}

static bool unwrap(struct keys *k, const struct run_text *t, struct key_run *out, struct err *e) {
    struct master *m = find_master(k, t->head.master);
    struct err why = {0};
    *out = t->head;
    if (!m)
        return err_set(e, ERR_BUSY, "keys", "the keys of volumes %u to %u are wrapped under the master key %s, which is not given%s", t->head.first,
                       t->head.first + t->head.n - 1, t->head.master,
                       k->master_count ? ": name it under encryption: older-keys" : ": name it under encryption: master-key");
    if (master_unwrap(m, t->raw, t->raw_n, t->nonce, t->wrapped, out->n * sizeof out->keys[0], out->keys[0], &why)) return true;
    if (e) *e = why;
    return err_wrap(e, "the keys of volumes %u to %u", t->head.first, t->head.first + t->head.n - 1);
}

static bool is_zero(const uint8_t key[CIPHER_KEY_MAX]) {
    static const uint8_t zero[CIPHER_KEY_MAX];
    return memcmp(key, zero, sizeof zero) == 0;
}

// ---- in memory; all under the lock ----

static struct key_run *in_memory(const struct keys *k, uint32_t volume) {
    size_t low = 0, high = k->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (k->runs[middle]->first <= volume)
            low = middle + 1;
        else
            high = middle;
    }
    struct key_run *r = low ? k->runs[low - 1] : NULL;
    return r && volume - r->first < r->n ? r : NULL;
}

static bool keep(struct keys *k, const struct key_run *run, struct key_run **out, struct err *e) {
    if (k->count == k->cap) {
        size_t cap = k->cap ? 2 * k->cap : 16;
        struct key_run **p = realloc(k->runs, cap * sizeof(struct key_run *));
        if (!p) return err_nomem(e, "keys");
        k->runs = p;
        k->cap = cap;
    }
    struct key_run *r = malloc(sizeof *r);
    if (!r) return err_nomem(e, "keys");
    *r = *run;
    size_t i = k->count++;
    for (; i > 0 && k->runs[i - 1]->first > r->first; i--) k->runs[i] = k->runs[i - 1];
    k->runs[i] = r;
    *out = r;
    return true;
}

// ---- where they lie ----

// Either copy will do, the first one that is whole. Of a run that this set has no master key for the text is read, but nothing is opened.
static bool fetch_text(struct vol_set *vs, uint32_t first, struct run_text *out, bool *beside, struct err *e) {
    struct buf text;
    struct err why[KEYS_COPIES] = {{0}};
    bool ok = false;
    int copy = 0;
    buf_init(&text, KEYS_TEXT_MAX);
    for (; !ok && copy < KEYS_COPIES; copy++) {
        buf_clear(&text);
        ok = vs->keys.place->get(vs, first, copy, &text, &why[copy]) && parse(buf_str(&text), out, &why[copy]) &&
             (out->head.first == first || err_set(&why[copy], ERR_CORRUPT, "keys", "it is of volume %u on", out->head.first));
        if (!ok && why[copy].kind != ERR_NOT_FOUND) log_err(&why[copy], "keys of volume %u on, copy %d", first, copy + 1);
    }
    buf_deinit(&text);
    *beside = copy == KEYS_COPIES; // the second was read
    if (ok) return true;
    for (int i = 0; i < KEYS_COPIES; i++) {
        if (why[i].kind == ERR_NOT_FOUND || why[i].kind == ERR_CORRUPT) continue;
        if (e) *e = why[i];
        return false;
    }
    bool gone = why[0].kind == ERR_NOT_FOUND && why[1].kind == ERR_NOT_FOUND;
    return err_set(e, ERR_BUSY, "keys", "the keys of volume %u on cannot be read: %s; put them back from their backup", first,
                   gone ? "they are not there" : why[why[0].kind == ERR_NOT_FOUND].message);
}

static bool fetch(struct vol_set *vs, uint32_t first, struct key_run *out, struct err *e) {
    struct run_text *t = malloc(sizeof *t);
    bool beside = false;
    if (!t) return err_nomem(e, "keys");
    bool ok = fetch_text(vs, first, t, &beside, e) && unwrap(&vs->keys, t, out, e);
    if (ok) out->beside = beside;
    free(t);
    return ok;
}

static bool store_run(struct vol_set *vs, struct key_run *r, bool all, struct err *e) {
    struct buf text;
    buf_init(&text, KEYS_TEXT_MAX);
    bool ok = keys_write(&vs->keys, r, &text, e);
    for (int copy = 0; ok && copy < (all ? KEYS_COPIES : 1); copy++) ok = vs->keys.place->put(vs, r->first, copy, buf_str(&text), e);
    buf_deinit(&text);
    if (ok && all) r->beside = true;
    return ok || err_wrap(e, "keys of volumes %u to %u", r->first, r->first + r->n - 1);
}

// The run of a volume, from memory or from where it lies; *out NULL: there is none.
static bool find_run(struct vol_set *vs, uint32_t volume, struct key_run **out, struct err *e) {
    struct key_run run;
    uint32_t first = 0;
    *out = in_memory(&vs->keys, volume);
    if (*out) return true;
    if (!vs->keys.place->run_of(vs, volume, &first, e)) return false;
    if (first == 0 || volume - first >= KEYS_RUN || in_memory(&vs->keys, first)) return true;
    bool ok = fetch(vs, first, &run, e);
    if (ok && volume - run.first < run.n) ok = keep(&vs->keys, &run, out, e);
    cipher_wipe(&run, sizeof run);
    return ok;
}

// ---- keys ----

static void give(const struct key_run *r, uint32_t volume, struct vol_key *out) {
    *out = (struct vol_key){.volume = volume, .kind = r->kind};
    memcpy(out->bytes, r->keys[volume - r->first], sizeof out->bytes);
}

bool keys_find(struct vol_set *vs, uint32_t volume, struct vol_key *out, struct err *e) {
    struct key_run *r;
    pthread_mutex_lock(&vs->keys.lock);
    bool ok = find_run(vs, volume, &r, e);
    if (ok && !r) ok = err_set(e, ERR_BUSY, "keys", "volume %u is encrypted and its key is not there: put it back from the backup of the keys", volume);
    if (ok) give(r, volume, out);
    pthread_mutex_unlock(&vs->keys.lock);
    if (!ok || !is_zero(out->bytes)) return ok;
    return err_set(e, ERR_NOT_FOUND, "keys", "the key of volume %u was destroyed: nobody can read it any more", volume);
}

// Under the lock.
static bool make_run(struct vol_set *vs, uint32_t first, unsigned n, struct key_run **out, struct err *e) {
    struct key_run run = {.first = first, .n = n, .kind = vs->keys.kind};
    bool ok = cipher_random(run.keys, n * sizeof run.keys[0], e) && store_run(vs, &run, !vs->keys.place->later, e) && keep(&vs->keys, &run, out, e);
    cipher_wipe(&run, sizeof run);
    return ok;
}

bool keys_make_run(struct vol_set *vs, uint32_t first, unsigned n, struct err *e) {
    struct key_run *r;
    pthread_mutex_lock(&vs->keys.lock);
    bool ok = make_run(vs, first, n, &r, e);
    pthread_mutex_unlock(&vs->keys.lock);
    return ok;
}

// A key of zeros within a run: another set's volumes were taken before.
static bool fill(struct vol_set *vs, struct key_run *r, uint32_t volume, const uint8_t *key, struct err *e) {
    uint8_t *slot = r->keys[volume - r->first];
    if (key)
        memcpy(slot, key, CIPHER_KEY_MAX);
    else if (!cipher_random(slot, CIPHER_KEY_MAX, e))
        return false;
    if (store_run(vs, r, !vs->keys.place->later || r->beside, e)) return true;
    memset(slot, 0, CIPHER_KEY_MAX);
    return false;
}

static bool make(struct vol_set *vs, uint32_t volume, struct key_run **out, struct err *e) {
    uint32_t end;
    if (!find_run(vs, volume, out, e)) return false;
    if (*out) return !is_zero((*out)->keys[volume - (*out)->first]) || fill(vs, *out, volume, NULL, e);
    return vs->keys.place->end_of(vs, volume, &end, e) && make_run(vs, volume, end - volume, out, e);
}

bool keys_make(struct vol_set *vs, uint32_t volume, struct vol_key *out, struct err *e) {
    struct key_run *r;
    pthread_mutex_lock(&vs->keys.lock);
    bool ok = make(vs, volume, &r, e);
    if (ok) give(r, volume, out);
    pthread_mutex_unlock(&vs->keys.lock);
    return ok || err_wrap(e, "a key for volume %u", volume);
}

// The lock is let go meanwhile: whoever reads does not wait for a bucket.
bool keys_beside(struct vol_set *vs, uint32_t volume, struct err *e) {
    struct key_run *r = NULL;
    struct buf text;
    uint32_t first = 0;
    if (vs->keys.master_count == 0) return true;
    buf_init(&text, KEYS_TEXT_MAX);
    pthread_mutex_lock(&vs->keys.lock);
    bool ok = find_run(vs, volume, &r, e);
    if (ok && r && !r->beside) first = r->first;
    ok = ok && (!first || keys_write(&vs->keys, r, &text, e));
    pthread_mutex_unlock(&vs->keys.lock);
    bool put = ok && first && vs->keys.place->put(vs, first, 1, buf_str(&text), e);
    pthread_mutex_lock(&vs->keys.lock);
    if (put && (r = in_memory(&vs->keys, first))) r->beside = true;
    pthread_mutex_unlock(&vs->keys.lock);
    buf_deinit(&text);
    return ok && (!first || put);
}

bool keys_take(struct vol_set *vs, const struct vol_key *key, struct err *e) {
    struct key_run *r;
    uint32_t end = 0;
    pthread_mutex_lock(&vs->keys.lock);
    bool ok = find_run(vs, key->volume, &r, e);
    if (ok && !r) ok = vs->keys.place->end_of(vs, key->volume, &end, e);
    if (ok && !r) {
        const struct key_run empty = {.first = key->volume, .n = end - key->volume, .kind = key->kind};
        ok = keep(&vs->keys, &empty, &r, e);
    }
    if (ok && r->kind != key->kind) ok = err_set(e, ERR_UNSUPPORTED, "keys", "volume %u and those beside it are encrypted with different ciphers", key->volume);
    ok = ok && fill(vs, r, key->volume, key->bytes, e);
    pthread_mutex_unlock(&vs->keys.lock);
    return ok || err_wrap(e, "the key of volume %u", key->volume);
}

static bool all_zero(const struct key_run *r) {
    for (unsigned i = 0; i < r->n; i++)
        if (!is_zero(r->keys[i])) return false;
    return true;
}

// What another node destroyed meanwhile stays destroyed: the run is read anew.
static bool destroy(struct vol_set *vs, uint32_t volume, struct err *e) {
    struct key_run *r, fresh;
    if (!find_run(vs, volume, &r, e)) return false;
    if (!r) return true;
    bool ok = fetch(vs, r->first, &fresh, e);
    if (ok) {
        cipher_wipe(fresh.keys[volume - fresh.first], CIPHER_KEY_MAX);
        ok = store_run(vs, &fresh, true, e);
    }
    if (ok) *r = fresh;
    cipher_wipe(&fresh, sizeof fresh);
    return ok;
}

bool keys_destroy(struct vol_set *vs, uint32_t volume, struct err *e) {
    pthread_mutex_lock(&vs->keys.lock);
    bool ok = destroy(vs, volume, e);
    pthread_mutex_unlock(&vs->keys.lock);
    return ok || err_wrap(e, "destroy the key of volume %u", volume);
}

// ---- all of them ----

struct walk {
    struct vol_set *vs;
    vol_key_visit *visit;
    void *ctx;
    struct vol_key_report *report;
};

static bool tell_one(void *ctx, uint32_t first, struct err *e) {
    struct walk *w = ctx;
    struct run_text *t = malloc(sizeof *t);
    bool beside;
    if (!t) return err_nomem(e, "keys");
    bool ok = fetch_text(w->vs, first, t, &beside, e);
    if (ok) {
        struct vol_key_info info = {.first = t->head.first, .n = t->head.n, .cipher = cipher_name(t->head.kind)};
        snprintf(info.master, sizeof info.master, "%s", t->head.master);
        const struct master *m = find_master(&w->vs->keys, t->head.master);
        info.master_place = m ? master_place(m) : NULL;
        ok = w->visit(w->ctx, &info, e);
    }
    free(t);
    return ok;
}

bool vol_keys_each(struct vol_set *vs, vol_key_visit *visit, void *ctx, struct err *e) {
    struct walk w = {.vs = vs, .visit = visit, .ctx = ctx};
    return vs->keys.place->each(vs, tell_one, &w, e);
}

static void count(const struct key_run *r, struct vol_key_report *to) {
    to->runs++;
    for (unsigned i = 0; i < r->n; i++) to->keys += !is_zero(r->keys[i]);
}

// Both copies are written, whatever their state was: what one of them kept of a destroyed key goes, and so does a run without keys.
static bool rewrap_one(void *ctx, uint32_t first, struct err *e) {
    struct walk *w = ctx;
    struct key_run run;
    struct keys *k = &w->vs->keys;
    pthread_mutex_lock(&k->lock);
    bool ok = fetch(w->vs, first, &run, e);
    bool mine = ok && strcmp(run.master, master_id(k->masters[0])) == 0, empty = ok && all_zero(&run);
    if (ok) count(&run, w->report);
    if (ok && !empty) ok = store_run(w->vs, &run, true, e);
    for (int copy = 0; ok && empty && copy < KEYS_COPIES; copy++) ok = k->place->remove(w->vs, first, copy, e);
    if (ok) w->report->rewrapped += !mine;
    pthread_mutex_unlock(&k->lock);
    cipher_wipe(&run, sizeof run);
    return ok;
}

bool vol_keys_rotate(struct vol_set *vs, struct vol_key_report *out, struct err *e) {
    struct walk w = {.vs = vs, .report = out};
    *out = (struct vol_key_report){0};
    if (vs->keys.master_count == 0) return err_set(e, ERR_USAGE, "keys", "there is no master key: name one under encryption: in the configuration");
    return set_writable(vs, e) && vs->keys.place->each(vs, rewrap_one, &w, e);
}

static bool erase_one(void *ctx, uint32_t first, struct err *e) {
    struct walk *w = ctx;
    for (int copy = 0; copy < KEYS_COPIES; copy++)
        if (!w->vs->keys.place->remove(w->vs, first, copy, e)) return false;
    w->report->runs++;
    return true;
}

bool vol_keys_erase(struct vol_set *vs, struct vol_key_report *out, struct err *e) {
    struct walk w = {.vs = vs, .report = out};
    *out = (struct vol_key_report){0};
    return set_writable(vs, e) && vs->keys.place->each(vs, erase_one, &w, e);
}

// ---- life ----

// An archive that has keys is not written to by who cannot open them: what came next would lie in the open unseen, beside what cannot be read.
bool keys_known(struct vol_set *vs, struct err *e) {
    struct key_run *r;
    uint32_t last = 0;
    pthread_mutex_lock(&vs->keys.lock);
    bool ok = vs->keys.place->last(vs, &last, e) && (last == 0 || find_run(vs, last, &r, e));
    pthread_mutex_unlock(&vs->keys.lock);
    return ok || err_wrap(e, "the archive is encrypted");
}

bool keys_open(struct vol_set *vs, const struct key_place *place, const struct vol_encryption *o, struct err *e) {
    struct keys *k = &vs->keys;
    k->place = place;
    if (!o) return true;
    for (unsigned i = 0; i < o->master_count; i++) {
        if (k->master_count == KEYS_MASTERS_MAX) return err_set(e, ERR_USAGE, "keys", "more than %d master keys", KEYS_MASTERS_MAX);
        if (!master_open(o->masters[i], &k->masters[k->master_count], e)) return false;
        k->master_count++;
    }
    if (o->cipher && !cipher_of_name(o->cipher, &k->kind)) return err_set(e, ERR_USAGE, "keys", "'%s' is no cipher: aes-256-gcm and sm4-gcm are", o->cipher);
    k->writes = k->master_count > 0 && !o->plain;
    return true;
}

void keys_close(struct vol_set *vs) {
    struct keys *k = &vs->keys;
    for (unsigned i = 0; i < k->master_count; i++) master_close(k->masters[i]);
    for (size_t i = 0; i < k->count; i++) {
        cipher_wipe(k->runs[i], sizeof *k->runs[i]);
        free(k->runs[i]);
    }
    free(k->runs);
    *k = (struct keys){.lock = k->lock};
}

// Token and sessions.
#include "mod/web/session.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/access.h"
#include "mod/web/shared.h"
#include "sys/digest.h"
#include "sys/file.h"

#define COOKIE "gantry_session"

enum { BELIEVE_MS = 5 * 1000 }; // what another node may have changed is believed for so long

struct session {
    uint8_t digest[DIGEST_BYTES]; // of its secret; all zero: free
    int64_t until_ms;             // monotonic; of a shared one until it is asked for again
};

struct sessions {
    bool required;
    struct archive *shared; // other nodes have the same token and sessions; NULL: only here
    pthread_mutex_t lock;   // everything below
    uint8_t token[DIGEST_BYTES];
    int64_t token_ms; // when it was read, monotonic
    struct session all[SESSIONS_MAX];
};

// Same time wherever they differ.
static bool equal(const uint8_t *a, const uint8_t *b) {
    unsigned difference = 0;
    for (int i = 0; i < DIGEST_BYTES; i++) difference |= (unsigned)(a[i] ^ b[i]);
    return difference == 0;
}

// 256 random bits as hex, and their digest.
static bool make_secret(char hex[TOKEN_HEX + 1], uint8_t digest[DIGEST_BYTES], struct err *e) {
    uint8_t random[TOKEN_HEX / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return err_errno(e, ERR_IO, "web", "no random bytes for a token");
    hex_encode(random, sizeof random, hex);
    hex[TOKEN_HEX] = '\0';
    return digest_of(hex, TOKEN_HEX, digest, e);
}

// ---- the token's file ----

static bool read_digest(const char *path, uint8_t digest[DIGEST_BYTES], bool *there, struct err *e) {
    char text[DIGEST_HEX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *there = fd >= 0;
    if (fd < 0) return errno == ENOENT || err_errno(e, ERR_IO, "web", "open %s", path);
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    if (n == (ssize_t)sizeof text && hex_decode(text, DIGEST_BYTES, digest)) return true;
    return err_set(e, ERR_CORRUPT, "web", "%s does not hold a SHA-256 digest; remove it, and the next start makes a new token", path);
}

static bool write_digest(const char *path, const uint8_t digest[DIGEST_BYTES], struct err *e) {
    char text[DIGEST_HEX + 1];
    int fd;
    hex_encode(digest, DIGEST_BYTES, text);
    text[DIGEST_HEX] = '\n';
    if (!sys_open(&sys_files, path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, e)) return false;
    bool ok = sys_write_at(&sys_files, fd, text, sizeof text, 0, e) && sys_flush(&sys_files, fd, e);
    sys_close(&sys_files, fd);
    return ok;
}

static bool load_token(const char *dir, uint8_t digest[DIGEST_BYTES], char made[TOKEN_HEX + 1], struct err *e) {
    char path[4096];
    bool there;
    snprintf(path, sizeof path, "%s/admin-token.sha256", dir);
    if (!read_digest(path, digest, &there, e)) return false;
    if (there) return true;
    if (!make_secret(made, digest, e) || !write_digest(path, digest, e)) return false;
    return sys_flush_dir(&sys_files, dir, e);
}

static bool load_shared(struct archive *ar, uint8_t digest[DIGEST_BYTES], char made[TOKEN_HEX + 1], struct err *e) {
    bool there, kept;
    if (!shared_token_read(ar, digest, &there, e)) return false;
    if (there) return true;
    if (!make_secret(made, digest, e) || !shared_token_once(ar, digest, &kept, e)) return false;
    if (!kept) made[0] = '\0'; // another node was quicker
    return true;
}

bool sessions_new_token(struct archive *ar, char made[TOKEN_HEX + 1], struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    if (!shared_is(ar))
        return err_set(e, ERR_UNSUPPORTED, "web", "this archive has one node: stop it, remove admin-token.sha256, and its next start prints a new token");
    return make_secret(made, digest, e) && shared_token_replace(ar, digest, e);
}

bool sessions_open(struct archive *ar, const char *dir, bool required, char made[TOKEN_HEX + 1], struct sessions **out, struct err *e) {
    struct sessions *s = calloc(1, sizeof *s);
    made[0] = '\0';
    if (!s) return err_nomem(e, "web");
    s->required = required;
    if (shared_is(ar)) s->shared = ar;
    if (required && !(s->shared ? load_shared(ar, s->token, made, e) : load_token(dir, s->token, made, e))) {
        free(s);
        return false;
    }
    s->token_ms = clock_mono_ms();
    pthread_mutex_init(&s->lock, NULL);
    *out = s;
    return true;
}

void sessions_close(struct sessions *s) {
    pthread_mutex_destroy(&s->lock);
    free(s);
}

bool sessions_required(const struct sessions *s) {
    return s->required;
}

// ---- asking ----

// Reads it again now and then; while the database does not answer the last one counts.
static void refresh_token(struct sessions *s) {
    uint8_t digest[DIGEST_BYTES];
    bool there;
    struct err e = {0};
    if (!s->shared) return;
    pthread_mutex_lock(&s->lock);
    bool old = clock_mono_ms() - s->token_ms > BELIEVE_MS;
    if (old) s->token_ms = clock_mono_ms();
    pthread_mutex_unlock(&s->lock);
    if (!old) return;
    if (!shared_token_read(s->shared, digest, &there, &e)) {
        log_err(&e, "the administrator's token");
        return;
    }
    pthread_mutex_lock(&s->lock);
    if (there) memcpy(s->token, digest, sizeof digest);
    pthread_mutex_unlock(&s->lock);
}

static bool is_token(struct sessions *s, struct str token) {
    uint8_t digest[DIGEST_BYTES];
    if (token.n != TOKEN_HEX || !digest_of(token.p, token.n, digest, NULL)) return false;
    refresh_token(s);
    pthread_mutex_lock(&s->lock);
    bool same = equal(digest, s->token);
    pthread_mutex_unlock(&s->lock);
    return same;
}

static bool cookie_digest(const struct http_request *rq, uint8_t digest[DIGEST_BYTES]) {
    struct str secret = http_cookie(rq, COOKIE);
    return secret.n == TOKEN_HEX && digest_of(secret.p, secret.n, digest, NULL);
}

// The live session of a digest, or NULL. Under the lock.
static struct session *find_session(struct sessions *s, const uint8_t digest[DIGEST_BYTES]) {
    int64_t now = clock_mono_ms();
    for (int i = 0; i < SESSIONS_MAX; i++)
        if (s->all[i].until_ms > now && equal(s->all[i].digest, digest)) return &s->all[i];
    return NULL;
}

static struct session *free_place(struct sessions *s) {
    struct session *oldest = &s->all[0];
    for (int i = 1; i < SESSIONS_MAX; i++)
        if (s->all[i].until_ms < oldest->until_ms) oldest = &s->all[i];
    return oldest;
}

static void remember(struct sessions *s, const uint8_t digest[DIGEST_BYTES], int64_t for_ms) {
    pthread_mutex_lock(&s->lock);
    struct session *place = free_place(s);
    memcpy(place->digest, digest, DIGEST_BYTES);
    place->until_ms = clock_mono_ms() + for_ms;
    pthread_mutex_unlock(&s->lock);
}

// One that began at another node, or was not asked for lately.
static bool ask_others(struct sessions *s, const uint8_t digest[DIGEST_BYTES]) {
    struct err e = {0};
    int64_t left_ms;
    if (!shared_session_left(s->shared, digest, &left_ms, &e)) log_err(&e, "a session");
    if (left_ms) remember(s, digest, left_ms < BELIEVE_MS ? left_ms : BELIEVE_MS);
    return left_ms > 0;
}

static bool has_session(struct sessions *s, const struct http_request *rq) {
    uint8_t digest[DIGEST_BYTES];
    if (!cookie_digest(rq, digest)) return false;
    pthread_mutex_lock(&s->lock);
    bool found = find_session(s, digest) != NULL;
    pthread_mutex_unlock(&s->lock);
    return found || (s->shared && ask_others(s, digest));
}

static struct str bearer_of(const struct http_request *rq) {
    struct str header = http_header(rq, "Authorization");
    if (!str_eq_nocase(str_sub(header, 0, 7), STR_LIT("Bearer "))) return (struct str){0};
    return str_trim(str_sub(header, 7, header.n));
}

bool sessions_authorise(void *context, struct http_request *rq, unsigned permission, struct err *e) {
    struct sessions *s = context;
    struct str bearer = bearer_of(rq);
    bool known = !s->required || is_token(s, bearer) || has_session(s, rq);
    if (known) rq->user = s->required ? STR_LIT("administrator") : STR_LIT("local");
    if (known) rq->principal = &PRINCIPAL_OF_LOCAL;
    if (access_decide(rq->principal, permission, NULL, clock_wall_ms(), NULL) == ACCESS_ALLOWED) return true;
    return err_set(e, ERR_UNAUTHORIZED, "web",
                   bearer.p ? "this token is not the administrator's"
                            : "send the administrator's token (Authorization: Bearer ...), or sign in at the page; the server printed it at its first start");
}

bool sessions_sign_in(struct sessions *s, struct http_request *rq, struct str token, struct str *cookie, struct err *e) {
    char secret[TOKEN_HEX + 1];
    uint8_t digest[DIGEST_BYTES];
    if (!s->required) return err_set(e, ERR_USAGE, "web", "this server asks for no token");
    if (!is_token(s, str_trim(token))) return err_set(e, ERR_UNAUTHORIZED, "web", "this token is not the administrator's");
    if (!make_secret(secret, digest, e) || (s->shared && !shared_session_add(s->shared, digest, SESSION_S * 1000LL, e))) return false;
    remember(s, digest, s->shared ? BELIEVE_MS : SESSION_S * 1000LL);
    bool tls = str_starts(http_base(rq), STR_LIT("https://"));
    char *text = arena_printf(rq->arena, e, COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d%s", secret, SESSION_S, tls ? "; Secure" : "");
    *cookie = str_of(text);
    return text != NULL;
}

void sessions_sign_out(struct sessions *s, struct http_request *rq, struct str *cookie) {
    uint8_t digest[DIGEST_BYTES];
    struct err e = {0};
    *cookie = STR_LIT(COOKIE "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    if (!cookie_digest(rq, digest)) return;
    pthread_mutex_lock(&s->lock);
    struct session *found = find_session(s, digest);
    if (found) *found = (struct session){0};
    pthread_mutex_unlock(&s->lock);
    if (s->shared && !shared_session_end(s->shared, digest, &e)) log_err(&e, "the end of a session");
}

// Single sign-on: what was configured, somebody's way to the provider and back, and out again.
#include "core/oidc.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/limits.h"
#include "base/log.h"
#include "core/oidc_part.h"
#include "http/sigv4.h"
#include "http/uri.h"
#include "sys/digest.h"
#include "text/base64.h"
#include "text/base64url.h"

enum { CONFIG_BYTES_MAX = 1024 * 1024, FORM_BYTES_MAX = 32 * 1024, CODE_MAX = 4096 };

// ---- open and close ----

static void take_defaults(struct oidc_options *o) {
    if (!o->scopes) o->scopes = "openid profile";
    if (!o->groups_claim) o->groups_claim = "groups";
    if (!o->name_claim) o->name_claim = "preferred_username";
    if (!o->title) o->title = "";
    if (!o->algorithms) o->algorithms = JWT_ALL;
    if (!o->skew_s) o->skew_s = JWT_SKEW_S;
}

static bool has_openid(struct str scopes) {
    while (scopes.p)
        if (str_eqz(str_split(&scopes, ' '), "openid")) return true;
    return false;
}

// An issuer is an https URL without query and fragment (Discovery 1.0, 3). Without TLS only on this machine, where a provider is tried out.
static bool issuer_fits(struct oidc *o, struct err *e) {
    struct str issuer = str_of(o->o.issuer);
    bool tls = str_starts(issuer, STR_LIT("https://"));
    struct str rest = str_sub(issuer, tls ? 8 : 7, issuer.n), host = str_sub(rest, 0, str_find(rest, '/', 0));
    o->plain = str_starts(issuer, STR_LIT("http://")) && http_host_is_loopback(host);
    bool clean = host.n && str_find(issuer, '?', 0) == issuer.n && str_find(issuer, '#', 0) == issuer.n && str_find(host, '@', 0) == host.n;
    if (clean && (tls || o->plain)) return true;
    return err_set(e, ERR_USAGE, "oidc", "oidc: issuer is the https address of the identity provider, without '?' and '#' (http only on this machine)");
}

static bool map_roles(struct oidc *o, struct err *e) {
    o->mapped = arena_zero(&o->arena, o->o.role_count + 1, sizeof *o->mapped, e);
    for (unsigned i = 0; i < o->o.role_count && o->mapped; i++) {
        const struct oidc_role *r = &o->o.roles[i];
        const struct access_role *shipped = access_role_find(str_of(r->role));
        o->mapped[i] = (struct access_grant){.role = str_of(r->role), .permissions = shipped ? shipped->permissions : 0};
        if (!access_scope_parse(str_of(r->scope ? r->scope : "*"), &o->mapped[i].scope, e)) return err_wrap(e, "oidc: roles: entry %u", i + 1);
    }
    return o->mapped != NULL;
}

static bool options_fit(struct oidc *o, struct err *e) {
    if (!o->o.client_id || !o->o.client_id[0])
        return err_set(e, ERR_USAGE, "oidc", "oidc: client-id is the name that the identity provider knows this server by");
    if (o->o.audience && strcmp(o->o.audience, o->o.client_id) == 0)
        return err_set(e, ERR_USAGE, "oidc", "oidc: audience must not be the client-id: an ID token would open what an access token does");
    if (!has_openid(str_of(o->o.scopes))) return err_set(e, ERR_USAGE, "oidc", "oidc: scopes must hold 'openid'");
    if (!o->o.role_count) log_line(LOG_WARN, "oidc", "no group of the identity provider has a role (oidc: roles): nobody can sign in by it");
    return issuer_fits(o, e) && map_roles(o, e);
}

bool oidc_open(struct archive *ar, const struct oidc_options *options, struct oidc **out, struct err *e) {
    struct oidc *o = calloc(1, sizeof *o);
    if (!o) return err_nomem(e, "oidc");
    o->archive = ar;
    o->o = *options;
    arena_init(&o->arena, CONFIG_BYTES_MAX);
    pthread_mutex_init(&o->fetching, NULL);
    pthread_rwlock_init(&o->lock, NULL);
    take_defaults(&o->o);
    const struct http_pool_options pool = {.ca_file = o->o.ca_file, .proxy = o->o.proxy ? o->o.proxy : ""};
    if (options_fit(o, e) && http_pool_open(&pool, &o->pool, e)) {
        *out = o;
        return true;
    }
    oidc_close(o);
    return false;
}

void oidc_close(struct oidc *o) {
    if (!o) return;
    provider_free(o->provider);
    http_pool_close(o->pool);
    pthread_rwlock_destroy(&o->lock);
    pthread_mutex_destroy(&o->fetching);
    arena_deinit(&o->arena);
    free(o);
}

const char *oidc_title(const struct oidc *o) {
    return o->o.title;
}

const char *oidc_issuer(const struct oidc *o) {
    return o->o.issuer;
}

// ---- there ----

bool oidc_secret(char out[OIDC_SECRET_HEX + 1], struct err *e) {
    uint8_t random[OIDC_SECRET_HEX / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return err_errno(e, ERR_IO, "oidc", "no random bytes for a sign-in");
    hex_encode(random, sizeof random, out);
    out[OIDC_SECRET_HEX] = '\0';
    return true;
}

struct derived {
    char text[DIGEST_HEX + 1];
};

// Three values that tell nothing of each other nor of the secret.
static bool derive(struct str secret, const char *what, struct derived *out, struct err *e) {
    uint8_t code[DIGEST_BYTES];
    if (secret.n != OIDC_SECRET_HEX) return err_set(e, ERR_UNAUTHORIZED, "oidc", "this browser has begun no sign-in, or too long ago");
    if (!digest_hmac(secret.p, secret.n, what, strlen(what), code, e)) return false;
    hex_encode(code, sizeof code, out->text);
    out->text[DIGEST_HEX] = '\0';
    return true;
}

static void add_param(struct buf *to, const char *name, struct str value) {
    char last = to->n ? to->p[to->n - 1] : '&';
    if (last != '?' && last != '&') buf_addc(to, '&');
    buf_addf(to, "%s=", name);
    sigv4_encode(to, value, false);
}

static void begin_query(struct buf *to, struct str url) {
    buf_add_str(to, url);
    buf_addc(to, str_find(url, '?', 0) < url.n ? '&' : '?');
}

static bool take_text(struct arena *a, struct buf *from, struct str *out, struct err *e) {
    bool ok = buf_ok(from, e) && arena_dup(a, buf_str(from), out, e);
    buf_deinit(from);
    return ok;
}

static bool add_challenge(struct buf *to, const struct derived *verifier, struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    struct buf text;
    if (!digest_of(verifier->text, DIGEST_HEX, digest, e)) return false;
    buf_init(&text, 128);
    base64url_encode(digest, sizeof digest, &text);
    add_param(to, "code_challenge", buf_str(&text));
    add_param(to, "code_challenge_method", STR_LIT("S256"));
    buf_deinit(&text);
    return true;
}

bool oidc_begin(struct oidc *o, struct arena *a, struct str secret, struct str redirect, struct str *url, struct err *e) {
    struct derived state, nonce, verifier;
    struct buf b;
    if (!derive(secret, "state", &state, e) || !derive(secret, "nonce", &nonce, e) || !derive(secret, "verifier", &verifier, e)) return false;
    buf_init(&b, FORM_BYTES_MAX);
    const struct provider *p = provider_get(o, e);
    if (!p) return false;
    begin_query(&b, p->authorization);
    provider_done(o);
    add_param(&b, "response_type", STR_LIT("code"));
    add_param(&b, "client_id", str_of(o->o.client_id));
    add_param(&b, "redirect_uri", redirect);
    add_param(&b, "scope", str_of(o->o.scopes));
    add_param(&b, "state", str_of(state.text));
    add_param(&b, "nonce", str_of(nonce.text));
    bool ok = add_challenge(&b, &verifier, e);
    return take_text(a, &b, url, e) && ok;
}

// ---- and back ----

static bool same(struct str a, struct str b) {
    unsigned difference = a.n != b.n;
    for (size_t i = 0; i < a.n && i < b.n; i++) difference |= (unsigned)(a.p[i] ^ b.p[i]);
    return difference == 0;
}

// The answer must be to the question of this browser, and of this provider (RFC 9207 2.4).
static bool answer_fits(const struct oidc *o, const struct provider *p, struct str secret, const struct oidc_answer *answer, struct err *e) {
    struct derived state;
    if (!derive(secret, "state", &state, e)) return false;
    if (!same(answer->state, str_of(state.text)))
        return err_set(e, ERR_UNAUTHORIZED, "oidc", "this is not the answer to the sign-in that this browser has begun");
    bool silent = !answer->issuer.p && !p->answers_issuer;
    if (!silent && !(answer->issuer.p && str_eqz(answer->issuer, o->o.issuer)))
        return err_set(e, ERR_UNAUTHORIZED, "oidc", "the answer is of another identity provider");
    if (answer->error.n) return err_set(e, ERR_UNAUTHORIZED, "oidc", "the identity provider refused: %.*s", STR_FMT(str_sub(answer->error, 0, 64)));
    return (answer->code.n && answer->code.n <= CODE_MAX) || err_set(e, ERR_UNAUTHORIZED, "oidc", "the answer of the identity provider has no code");
}

// client_secret_basic: both parts percent-encoded before they are joined (RFC 6749 2.3.1).
static bool basic(const struct oidc *o, struct arena *a, struct str *out, struct err *e) {
    struct buf plain, b;
    buf_init(&plain, FORM_BYTES_MAX);
    buf_init(&b, FORM_BYTES_MAX);
    sigv4_encode(&plain, str_of(o->o.client_id), false);
    buf_addc(&plain, ':');
    sigv4_encode(&plain, str_of(o->o.client_secret), false);
    buf_addz(&b, "Basic ");
    base64_encode(plain.p, plain.n, &b);
    bool ok = buf_ok(&plain, e);
    buf_deinit(&plain);
    return take_text(a, &b, out, e) && ok;
}

static bool token_call(const struct oidc *o, const struct provider *p, struct arena *a, struct str secret, struct str redirect, struct str code,
                       struct provider_call *out, struct err *e) {
    struct derived verifier;
    struct buf b;
    *out = (struct provider_call){.closest = p->place};
    if (!arena_dup(a, p->token, &out->url, e) || !derive(secret, "verifier", &verifier, e)) return false;
    if (o->o.client_secret && !p->secret_in_body && !basic(o, a, &out->authorization, e)) return false;
    buf_init(&b, FORM_BYTES_MAX);
    add_param(&b, "grant_type", STR_LIT("authorization_code"));
    add_param(&b, "code", code);
    add_param(&b, "redirect_uri", redirect);
    add_param(&b, "code_verifier", str_of(verifier.text));
    if (!out->authorization.n) add_param(&b, "client_id", str_of(o->o.client_id));
    if (o->o.client_secret && p->secret_in_body) add_param(&b, "client_secret", str_of(o->o.client_secret));
    return take_text(a, &b, &out->form, e);
}

// What else is known of somebody, where the ID token itself does not tell (Core 1.0, 5.3): of the same subject, or it does not count.
static bool ask_more(struct oidc *o, struct arena *a, struct str access_token, struct str subject, const struct json **out, struct err *e) {
    struct provider_call c = {0};
    const struct provider *p = provider_get(o, e);
    bool ok = p && arena_dup(a, p->userinfo, &c.url, e);
    if (p) c.closest = p->place;
    if (p) provider_done(o);
    *out = NULL;
    if (!ok || !c.url.n || !access_token.n || access_token.n > JWT_BYTES_MAX) return ok;
    char *authorization = arena_printf(a, e, "Bearer %.*s", STR_FMT(access_token));
    c.authorization = str_of(authorization);
    if (!authorization || !provider_ask(o, a, &c, out, NULL, e)) return false;
    return str_eq(json_text(json_get(*out, "sub")), subject) || err_set(e, ERR_PEER, "oidc", "the provider tells of somebody else than who signed in");
}

static struct str told(const struct json *claims, const struct json *more, const char *name) {
    struct str text = json_text(claim_get(claims, name));
    return text.n ? text : json_text(claim_get(more, name));
}

static bool identify(struct oidc *o, struct arena *a, const struct jwt *t, struct str access_token, struct oidc_identity *out, struct err *e) {
    const struct json *more = NULL;
    bool enough = claim_get(t->claims, o->o.groups_claim) && claim_get(t->claims, o->o.name_claim);
    if (!enough && !ask_more(o, a, access_token, t->subject, &more, e)) return false;
    out->subject = t->subject;
    out->sid = t->sid;
    out->name = told(t->claims, more, o->o.name_claim);
    out->display = told(t->claims, more, "name");
    const struct json *groups = claim_get(t->claims, o->o.groups_claim) ? t->claims : more;
    struct access_grant *grants;
    if (!claims_grants(o, a, groups, &grants, &out->grant_count, e)) return false;
    out->grants = grants;
    return true;
}

bool oidc_finish(struct oidc *o, struct arena *a, struct str secret, struct str redirect, const struct oidc_answer *answer, struct oidc_identity *out,
                 struct err *e) {
    struct provider_call c;
    struct derived nonce;
    struct jwt t;
    const struct json *said;
    *out = (struct oidc_identity){0};
    const struct provider *p = provider_get(o, e);
    if (!p) return false;
    bool ok = answer_fits(o, p, secret, answer, e) && token_call(o, p, a, secret, redirect, answer->code, &c, e);
    provider_done(o);
    if (!ok || !derive(secret, "nonce", &nonce, e) || !provider_ask(o, a, &c, &said, NULL, e)) return false;
    out->id_token = json_text(json_get(said, "id_token"));
    if (!out->id_token.n) return err_set(e, ERR_PEER, "oidc", "the provider gave no ID token: is 'openid' among the client's scopes?");
    return provider_verify(o, a, out->id_token, JWT_ID_TOKEN, str_of(nonce.text), &t, e) &&
           identify(o, a, &t, json_text(json_get(said, "access_token")), out, e);
}

// ---- out ----

bool oidc_logout_url(struct oidc *o, struct arena *a, struct str id_token, struct str return_to, struct str *url, struct err *e) {
    struct buf b;
    *url = (struct str){0};
    const struct provider *p = provider_get(o, e);
    if (!p) return false;
    bool offered = p->end_session.n > 0;
    buf_init(&b, FORM_BYTES_MAX);
    if (offered) begin_query(&b, p->end_session);
    provider_done(o);
    if (!offered) return true;
    add_param(&b, "client_id", str_of(o->o.client_id));
    if (id_token.n) add_param(&b, "id_token_hint", id_token);
    add_param(&b, "post_logout_redirect_uri", return_to);
    return take_text(a, &b, url, e);
}

bool oidc_logout_token(struct oidc *o, struct arena *a, struct str token, struct str *subject, struct str *sid, struct err *e) {
    struct jwt t;
    if (!provider_verify(o, a, token, JWT_LOGOUT_TOKEN, (struct str){0}, &t, e)) return false;
    *subject = t.subject;
    *sid = t.sid;
    return true;
}

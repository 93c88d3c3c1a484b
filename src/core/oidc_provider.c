// The provider: what it says of itself, its keys, and asking it.
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/oidc_part.h"
#include "http/uri.h"

enum { PROVIDER_BYTES_MAX = 1024 * 1024, URL_MAX = 2048 };

#define WELL_KNOWN "/.well-known/openid-configuration"

// ---- asking ----

struct answer {
    struct buf text;
    struct str form;
    size_t form_at;
};

static bool on_text(void *context, const void *p, size_t n) {
    struct answer *x = context;
    buf_add(&x->text, p, n);
    return buf_ok(&x->text, NULL);
}

static int64_t give_form(void *context, void *p, size_t n) {
    struct answer *x = context;
    size_t now = x->form.n - x->form_at < n ? x->form.n - x->form_at : n;
    memcpy(p, x->form.p + x->form_at, now);
    x->form_at += now;
    return (int64_t)now;
}

static bool rewind_form(void *context) {
    ((struct answer *)context)->form_at = 0;
    return true;
}

// An error that the provider tells (RFC 6749 5.2): its own short word, never what else it says.
static bool refused(const struct provider_call *c, unsigned status, const struct json *said, struct err *e) {
    struct str word = str_sub(json_text(json_get(said, "error")), 0, 64);
    return err_set(e, ERR_PEER, "oidc", "%.*s answered %u %.*s", STR_FMT(c->url), status, STR_FMT(word));
}

static bool call(struct oidc *o, struct arena *a, const struct provider_call *c, struct answer *x, struct http_result *r, struct err *e) {
    struct net_guard guard = o->o.guard;
    if (c->closest < guard.closest) guard.closest = c->closest;
    struct http_call k = {.method = c->form.p ? "POST" : "GET",
                          .url = arena_strz(a, c->url, e),
                          .headers = {"Accept: application/json"},
                          .write = on_text,
                          .context = x,
                          .connect_ms = OIDC_CALL_MS / 2,
                          .whole_ms = OIDC_CALL_MS,
                          .guard = o->o.proxy ? NULL : &guard,
                          .pool = o->pool};
    unsigned n = 1;
    if (c->form.p) {
        k.headers[n++] = "Content-Type: application/x-www-form-urlencoded";
        k.read = give_form;
        k.rewind = rewind_form;
        k.body_length = (int64_t)c->form.n;
    }
    if (c->authorization.n && !(k.headers[n++] = arena_printf(a, e, "Authorization: %.*s", STR_FMT(c->authorization)))) return false;
    return k.url && http_call(&k, r, e);
}

bool provider_ask(struct oidc *o, struct arena *a, const struct provider_call *c, const struct json **out, enum net_place *where, struct err *e) {
    struct answer x = {.form = c->form};
    struct http_result r;
    struct str text = {0};
    buf_init(&x.text, OIDC_ANSWER_BYTES_MAX);
    bool ok = call(o, a, c, &x, &r, e) && arena_dup(a, buf_str(&x.text), &text, e);
    buf_deinit(&x.text);
    if (!ok) return false;
    *out = json_read(a, text, JWT_DEPTH_MAX, NULL);
    if (r.status != 200) return refused(c, r.status, *out, e);
    if (!*out || (*out)->kind != JSON_OBJECT) return err_set(e, ERR_PEER, "oidc", "%.*s answered something that is no JSON object", STR_FMT(c->url));
    if (where) *where = net_place_of(str_of(r.address));
    return true;
}

// ---- metadata ----

// An address that the metadata name: of the same kind as the issuer's own.
static bool take_url(const struct oidc *o, struct provider *p, const struct json *said, const char *name, bool needed, struct str *out, struct err *e) {
    struct str url = json_text(json_get(said, name));
    bool fits = url.n && url.n <= URL_MAX && (str_starts(url, STR_LIT("https://")) || (o->plain && str_starts(url, STR_LIT("http://"))));
    for (size_t i = 0; i < url.n && fits; i++) fits = url.p[i] > ' ' && url.p[i] < 0x7f && url.p[i] != '"' && url.p[i] != '\\';
    if (fits) return arena_dup(&p->arena, url, out, e);
    return (!url.n && !needed) || err_set(e, ERR_PEER, "oidc", "the provider's metadata have no usable '%s'", name);
}

static bool lists(const struct json *said, const char *name, const char *value) {
    const struct json *list = json_get(said, name);
    for (const struct json *one = list && list->kind == JSON_ARRAY ? list->first : NULL; one; one = one->next)
        if (str_eqz(json_text(one), value)) return true;
    return false;
}

static bool take_metadata(const struct oidc *o, struct provider *p, const struct json *said, struct err *e) {
    static const char METHODS[] = "token_endpoint_auth_methods_supported";
    struct str issuer = json_text(json_get(said, "issuer"));
    const struct json *answers = json_get(said, "authorization_response_iss_parameter_supported");
    if (!str_eqz(issuer, o->o.issuer))
        return err_set(e, ERR_PEER, "oidc", "the provider calls itself '%.*s', not '%s': set oidc: issuer to exactly that", STR_FMT(str_sub(issuer, 0, 200)),
                       o->o.issuer);
    p->answers_issuer = answers && answers->kind == JSON_TRUE;
    p->secret_in_body = lists(said, METHODS, "client_secret_post") && !lists(said, METHODS, "client_secret_basic");
    return take_url(o, p, said, "authorization_endpoint", true, &p->authorization, e) && take_url(o, p, said, "token_endpoint", true, &p->token, e) &&
           take_url(o, p, said, "jwks_uri", true, &p->keys, e) && take_url(o, p, said, "userinfo_endpoint", false, &p->userinfo, e) &&
           take_url(o, p, said, "end_session_endpoint", false, &p->end_session, e);
}

static bool take_keys(struct oidc *o, struct arena *a, struct provider *p, struct err *e) {
    struct answer x = {0};
    struct http_result r;
    const struct provider_call c = {.url = p->keys, .closest = p->place};
    buf_init(&x.text, JWKS_BYTES_MAX);
    bool ok = call(o, a, &c, &x, &r, e) && (r.status == 200 || refused(&c, r.status, NULL, e)) && jwks_read(buf_str(&x.text), &p->jwks, e);
    buf_deinit(&x.text);
    return ok;
}

static bool read_provider(struct oidc *o, struct arena *a, struct provider *p, struct err *e) {
    const struct json *said;
    struct str issuer = str_of(o->o.issuer);
    while (issuer.n && issuer.p[issuer.n - 1] == '/') issuer.n--;
    struct provider_call c = {.url = str_of(arena_printf(a, e, "%.*s" WELL_KNOWN, STR_FMT(issuer))), .closest = o->o.guard.closest};
    p->at_ms = clock_mono_ms();
    return c.url.p && provider_ask(o, a, &c, &said, &p->place, e) && take_metadata(o, p, said, e) && take_keys(o, a, p, e);
}

void provider_free(struct provider *p) {
    if (!p) return;
    jwks_free(p->jwks);
    arena_deinit(&p->arena);
    free(p);
}

// ---- keeping ----

// Under fetching.
static bool fetch(struct oidc *o, struct err *e) {
    struct arena a;
    struct provider *p = calloc(1, sizeof *p);
    if (!p) return err_nomem(e, "oidc");
    arena_init(&p->arena, PROVIDER_BYTES_MAX);
    arena_init(&a, PROVIDER_BYTES_MAX);
    o->asked_ms = clock_mono_ms();
    bool ok = read_provider(o, &a, p, e);
    arena_deinit(&a);
    if (ok) {
        pthread_rwlock_wrlock(&o->lock);
        struct provider *old = o->provider;
        o->provider = p;
        pthread_rwlock_unlock(&o->lock);
        p = old;
    }
    provider_free(p);
    return ok;
}

static int64_t age_ms(struct oidc *o) {
    pthread_rwlock_rdlock(&o->lock);
    int64_t age = o->provider ? clock_mono_ms() - o->provider->at_ms : INT64_MAX;
    pthread_rwlock_unlock(&o->lock);
    return age;
}

bool provider_renew(struct oidc *o, struct err *e) {
    int64_t before = age_ms(o);
    pthread_mutex_lock(&o->fetching);
    bool other = age_ms(o) < before; // somebody else did while we waited
    bool again = !other && (!o->asked_ms || clock_mono_ms() - o->asked_ms >= OIDC_PAUSE_MS);
    bool ok = other || (again && fetch(o, e));
    pthread_mutex_unlock(&o->fetching);
    if (!ok && !again) err_set(e, ERR_BUSY, "oidc", "the identity provider was asked moments ago");
    return ok;
}

const struct provider *provider_get(struct oidc *o, struct err *e) {
    struct err why = {0};
    int64_t age = age_ms(o);
    if (age > OIDC_KEEP_MS && !provider_renew(o, &why)) {
        if (age > OIDC_LAST_MS) {
            if (e) *e = why;
            return NULL;
        }
        if (why.kind != ERR_BUSY) log_err(&why, "the identity provider; what was known of it counts on");
    }
    pthread_rwlock_rdlock(&o->lock);
    return o->provider;
}

void provider_done(struct oidc *o) {
    pthread_rwlock_unlock(&o->lock);
}

static bool verify_once(struct oidc *o, struct arena *a, struct str token, const struct jwt_rules *r, struct jwt *out, struct err *e) {
    const struct provider *p = provider_get(o, e);
    if (!p) return false;
    bool ok = jwt_verify(a, p->jwks, token, r, out, e);
    provider_done(o);
    return ok;
}

bool provider_verify(struct oidc *o, struct arena *a, struct str token, enum jwt_use use, struct str nonce, struct jwt *out, struct err *e) {
    const struct jwt_rules r = {.use = use,
                                .algorithms = o->o.algorithms,
                                .issuer = str_of(o->o.issuer),
                                .audience = str_of(use == JWT_ACCESS_TOKEN ? o->o.audience : o->o.client_id),
                                .nonce = nonce,
                                .now_s = clock_wall_ms() / 1000,
                                .skew_s = o->o.skew_s};
    struct err why = {0};
    if (verify_once(o, a, token, &r, out, &why)) return true;
    bool unknown_key = why.kind == ERR_NOT_FOUND;
    if (unknown_key && provider_renew(o, NULL) && verify_once(o, a, token, &r, out, &why)) return true;
    if (e) *e = why;
    if (e && why.kind == ERR_NOT_FOUND) e->kind = ERR_UNAUTHORIZED;
    return false;
}

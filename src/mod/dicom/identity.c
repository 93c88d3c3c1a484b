// User identity of an association (PS3.7 D.3.3.7): a user name with its passcode (or an API token in its place), or a signed token. What nobody has checked is none.
#include <stdio.h>

#include "core/accounts.h"
#include "core/peers.h"
#include "mod/dicom/internal.h"
#include "net/resolve.h"
#include "net/tls.h"

enum { AGENT_BYTES = 64 };

static bool refuse(struct err *e, const char *why) {
    return err_set(e, ERR_UNAUTHORIZED, "dicom", "%s", why);
}

static bool in_secret(const struct scp_session *s) {
    return net_tls_info(&s->d.ul.conn) || net_is_loopback(str_of(s->d.ul.conn.address));
}

// ---- name and passcode ----

static bool outcome_of(const struct signed_in *in, struct err *e) {
    switch (in->outcome) {
    case SIGN_IN_DONE:
        return !in->must_change || refuse(e, "the user's password is a first one: change it at the page before you use it here");
    case SIGN_IN_CODE_NEEDED:
        return refuse(e, "the user signs in with a second factor, for which DICOM has no place: make an API token and give it as the passcode");
    case SIGN_IN_WAIT:
        return err_set(e, ERR_UNAUTHORIZED, "dicom", "too many failures: the user name is taken again in %u s", in->wait_s);
    default:
        return refuse(e, "the user name or the passcode is wrong");
    }
}

static bool sign_in(const struct dicom_module *m, const struct scp_session *s, struct dicom_user *out, struct err *e) {
    char agent[AGENT_BYTES];
    struct signed_in in = {0};
    snprintf(agent, sizeof agent, "DICOM %s", s->d.ul.calling);
    const struct sign_in how = {
        .name = s->identity_primary, .password = s->identity_secondary, .code = {"", 0}, .address = str_of(s->d.ul.conn.address), .agent = str_of(agent)};
    if (!account_sign_in(m->config->accounts, &how, &in, e)) return false;
    if (in.outcome == SIGN_IN_DONE) snprintf(out->secret, sizeof out->secret, "%s", in.secret);
    if (outcome_of(&in, e)) return out->how = DICOM_USER_SESSION, true;
    dicom_user_end(m, out);
    return false;
}

static bool by_passcode(const struct dicom_module *m, const struct scp_session *s, struct dicom_user *out, struct err *e) {
    const struct principal *token = NULL;
    if (!m->config->accounts) return refuse(e, "this server has no accounts");
    if (!in_secret(s)) return refuse(e, "a passcode came in plain text from another machine: it is taken over TLS alone");
    if (s->identity_secondary.n == ACCOUNT_SECRET_HEX && !account_by_token(m->config->accounts, &out->arena, s->identity_secondary, &token, e)) return false;
    if (!token) return sign_in(m, s, out, e) && dicom_user_now(m, out, e);
    snprintf(out->secret, sizeof out->secret, "%.*s", STR_FMT(s->identity_secondary));
    out->how = DICOM_USER_TOKEN;
    out->principal = token;
    return true;
}

// ---- signed tokens ----

static bool by_jwt(const struct dicom_module *m, const struct scp_session *s, struct dicom_user *out, struct err *e) {
    if (!m->config->verify) return refuse(e, "this server takes no signed tokens (JWT): no OpenID provider is configured");
    if (!in_secret(s)) return refuse(e, "a token came in plain text from another machine: it is taken over TLS alone");
    if (!m->config->verify(m->config->verify_context, &out->arena, s->identity_primary, &out->principal, e)) return false;
    out->how = DICOM_USER_JWT;
    return out->principal || refuse(e, "the signed token is nobody's");
}

// ---- all of them ----

bool dicom_identify(const struct dicom_module *m, const struct scp_session *s, struct dicom_user *out, struct err *e) {
    switch (s->identity_type) {
    case PDU_IDENTITY_NONE:
    case PDU_IDENTITY_USERNAME: // a name alone proves nothing, and opens nothing
        return true;
    case PDU_IDENTITY_PASSCODE:
        return by_passcode(m, s, out, e);
    case PDU_IDENTITY_JWT:
        return by_jwt(m, s, out, e);
    case PDU_IDENTITY_KERBEROS:
        return refuse(e, "a user identity by Kerberos is not taken: user name and passcode are, and signed tokens (JWT)");
    case PDU_IDENTITY_SAML:
        return refuse(e, "a user identity by SAML is not taken: user name and passcode are, and signed tokens (JWT)");
    default:
        return err_set(e, ERR_UNAUTHORIZED, "dicom", "a user identity of type %u is not taken", s->identity_type);
    }
}

// A session or a token that was ended opens nothing from the next request on.
bool dicom_user_now(const struct dicom_module *m, struct dicom_user *u, struct err *e) {
    struct account_session session = {0};
    bool on = true;
    if (u->how == DICOM_USER_NONE) return true;
    if (u->how == DICOM_USER_JWT) // its end is in its grants
        return !m->config->accounts || (account_is_on(m->config->accounts, u->principal, &on, e) && (on || refuse(e, "this account is switched off")));
    arena_reset(&u->arena);
    u->principal = NULL;
    if (u->how == DICOM_USER_TOKEN) {
        if (!account_by_token(m->config->accounts, &u->arena, str_of(u->secret), &u->principal, e)) return false;
    } else {
        if (!account_by_session(m->config->accounts, &u->arena, str_of(u->secret), &session, e)) return false;
        u->principal = session.must_change ? NULL : session.principal;
    }
    return u->principal || refuse(e, "the user's session is over");
}

void dicom_user_end(const struct dicom_module *m, struct dicom_user *u) {
    if (u->secret[0] && u->how != DICOM_USER_TOKEN) account_session_end(m->config->accounts, str_of(u->secret), NULL);
    explicit_bzero(u->secret, sizeof u->secret);
    u->how = DICOM_USER_NONE;
    u->principal = NULL;
}

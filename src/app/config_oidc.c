// Single sign-on and the networks that may be connected to, from the configuration file into the settings.
#include <string.h>

#include "app/config_file.h"
#include "app/secret.h"
#include "net/network.h"

static bool take_algorithms(const struct file_oidc *f, unsigned *out, struct err *e) {
    static const struct {
        const char *name;
        unsigned bit;
    } KNOWN[] = {{"RS256", JWT_RS256}, {"PS256", JWT_PS256}, {"ES256", JWT_ES256}};
    for (unsigned i = 0; i < f->algorithms_count; i++) {
        unsigned bit = 0;
        for (size_t k = 0; k < sizeof KNOWN / sizeof *KNOWN; k++)
            if (strcmp(KNOWN[k].name, f->algorithms[i]) == 0) bit = KNOWN[k].bit;
        if (!bit) return err_set(e, ERR_USAGE, "settings", "oidc: algorithms: '%s' is not RS256, PS256 or ES256", f->algorithms[i]);
        *out |= bit;
    }
    return true;
}

static bool take_roles(const struct file_oidc *f, struct arena *a, struct oidc_options *o, struct err *e) {
    struct oidc_role *roles = arena_zero(a, f->roles_count + 1, sizeof *roles, e);
    for (unsigned i = 0; i < f->roles_count && roles; i++) {
        const struct file_oidc_role *r = &f->roles[i];
        if (!config_take_text(a, r->group, &roles[i].group, e) || !config_take_text(a, r->role, &roles[i].role, e) ||
            !config_take_text(a, r->scope, &roles[i].scope, e))
            return false;
    }
    o->roles = roles;
    o->role_count = f->roles_count;
    return roles != NULL;
}

static bool take_words(const struct file_oidc *f, struct arena *a, struct oidc_options *o, struct err *e) {
    return config_take_text(a, f->issuer, &o->issuer, e) && config_take_text(a, f->client_id, &o->client_id, e) &&
           config_take_text(a, f->title, &o->title, e) && config_take_text(a, f->scopes, &o->scopes, e) &&
           config_take_text(a, f->groups_claim, &o->groups_claim, e) && config_take_text(a, f->name_claim, &o->name_claim, e) &&
           config_take_text(a, f->audience, &o->audience, e) && config_take_text(a, f->ca_file, &o->ca_file, e) && config_take_text(a, f->proxy, &o->proxy, e);
}

bool config_take_oidc(const struct file_oidc *f, struct arena *a, struct settings *s, struct err *e) {
    if (!f) return true;
    if (f->skew_seconds) s->oidc.skew_s = *f->skew_seconds;
    if (s->oidc.skew_s > SETTINGS_SKEW_MAX_S) return err_set(e, ERR_USAGE, "settings", "oidc: skew-seconds is at most %d", SETTINGS_SKEW_MAX_S);
    return take_words(f, a, &s->oidc, e) && take_algorithms(f, &s->oidc.algorithms, e) && take_roles(f, a, &s->oidc, e) &&
           secret_read(a, "oidc: client-secret", f->client_secret, f->client_secret_file, &s->oidc.client_secret, e);
}

bool config_take_outgoing(const struct file_outgoing *f, struct arena *a, struct settings *s, struct err *e) {
    for (unsigned i = 0; f && i < f->networks_count && i < SETTINGS_LIST_MAX; i++) {
        if (!net_network_valid(f->networks[i]))
            return err_set(e, ERR_USAGE, "settings", "outgoing: networks: '%s' is neither an address nor a network such as 10.0.0.0/8", f->networks[i]);
        if (!config_take_text(a, f->networks[i], &s->outgoing.all[s->outgoing.count++], e)) return false;
    }
    return true;
}

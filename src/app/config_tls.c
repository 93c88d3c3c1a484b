// TLS, and what is taken without it, of the configuration.
#include "app/config_file.h"
#include "app/secret.h"

enum { PER_SECOND_MAX = 100 * 1000 };

bool config_take_tls(const struct file_tls *f, struct arena *a, struct settings *s, struct err *e) {
    struct net_tls_options *o = &s->tls;
    if (!f) return true;
    const struct {
        const char *from;
        const char **to;
    } texts[] = {{f->cert, &o->cert},       {f->key, &o->key},       {f->ca, &o->ca},        {f->crl, &o->crl},
                 {f->ciphers, &o->ciphers}, {f->suites, &o->suites}, {f->groups, &o->groups}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!config_take_text(a, texts[i].from, texts[i].to, e)) return false;
    if (!secret_read(a, "tls: key-password", f->key_password, f->key_password_file, &o->key_password, e)) return false;
    if (f->profile && !net_tls_profile_find(str_of(f->profile), &o->profile))
        return err_set(e, ERR_USAGE, "settings", "tls: profile takes bcp195, bcp195-modified or gm, not '%s'", f->profile);
    return true;
}

bool config_take_plaintext(char *const *names, unsigned count, struct settings *s, struct err *e) {
    for (unsigned i = 0; i < count; i++)
        if (!settings_allow_plaintext(s, names[i])) return err_set(e, ERR_USAGE, "settings", "plaintext: takes dicom and http, not '%s'", names[i]);
    return true;
}

bool config_take_door(const struct file_door *f, const char *name, struct setting_door *to, struct err *e) {
    to->plain_too = f->plain_port != NULL;
    if (f->plain_port) to->plain_port = *f->plain_port;
    to->clients_told = f->clients != NULL;
    if (f->clients) to->clients = *f->clients;
    if (!f->per_second) return true;
    to->per_second = *f->per_second;
    if (to->per_second > 0 && to->per_second <= PER_SECOND_MAX) return true;
    return err_set(e, ERR_USAGE, "settings", "%s: connections-per-second is a number from 1 to %d", name, PER_SECOND_MAX);
}

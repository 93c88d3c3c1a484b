// From the options to a context.
#include "app/tls_cli.h"

// A command makes one context and calls with it until the process ends.
static struct net_tls *context;

bool tls_cli_open(const struct cli_args *args, struct net_tls **out, struct err *e) {
    const char *profile = cli_text(args, "tls-profile", NULL), *name = cli_text(args, "tls-name", NULL);
    struct net_tls_options o = {.cert = cli_text(args, "tls-cert", NULL), .key = cli_text(args, "tls-key", NULL), .ca = cli_text(args, "tls-ca", NULL)};
    *out = NULL;
    if (!cli_flag(args, "tls") && !o.cert && !o.key && !o.ca && !profile && !name) return true;
    if (profile && !net_tls_profile_find(str_of(profile), &o.profile))
        return err_set(e, ERR_USAGE, "tls", "--tls-profile takes bcp195, bcp195-modified or gm, not '%s'", profile);
    if (o.key && !o.cert) return err_set(e, ERR_USAGE, "tls", "--tls-key is the key of a certificate: give it with --tls-cert");
    if (!context && !net_tls_open(&o, &context, e)) return false;
    *out = context;
    return true;
}

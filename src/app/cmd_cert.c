// gantry cert: a private authority and its certificates, for those who have none.
#include "app/cert.h"
#include "app/commands.h"

static const struct cli_command *const SUBCOMMANDS[] = {
    &CERT_CA, &CERT_SERVER, &CERT_CLIENT, &CERT_SIGN, &CERT_RENEW, &CERT_SHOW, NULL,
};

const struct cli_command CMD_CERT = {
    .name = "cert",
    .synopsis = "COMMAND [options]",
    .summary = "Make, renew and show certificates for TLS",
    .permission = ACCESS_LOCAL,
    .group = "Server",
    .details = "A certificate shows who a machine is; an authority is the one that signed it. A hospital without an authority of its own makes one here, once, "
               "gives its\n"
               "ca.crt to every machine that is to trust this server, and signs certificates for the server and for each modality.\n"
               "Keys are written with access for their owner alone and never printed; ca.key belongs on a machine that few can reach, and in a safe.",
    .subcommands = SUBCOMMANDS,
};

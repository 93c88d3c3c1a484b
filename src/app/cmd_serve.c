// gantry serve: the server, in the foreground.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/modules.h"
#include "app/serve_accounts.h"
#include "app/serve_audit.h"
#include "app/serve_node.h"
#include "app/serve_oidc.h"
#include "app/serve_peers.h"
#include "app/settings.h"
#include "app/version.h"
#include "base/log.h"
#include "codec/pool.h"
#include "core/archive.h"
#include "core/audit.h"
#include "db/db.h"
#include "sys/file.h"
#include "sys/signal.h"

static void print_address(const char *before, const char *address, uint16_t port, const char *after) {
    if (port) printf(strchr(address, ':') ? "%s[%s]:%u%s" : "%s%s:%u%s", before, address, port, after);
}

// The one line that scripts wait for.
static void print_ready(const struct server *s) {
    const char *bind = s->settings->bind;
    printf("ready dicom=%s@", s->settings->aet);
    print_address("", bind, s->dicom_port, s->tls.dicom ? " dicom-tls=yes" : "");
    print_address(s->tls.http ? " http=https://" : " http=http://", bind, s->http_port, "/");
    print_address(" dicom-plain=", bind, s->dicom_plain_port, "");
    print_address(" http-plain=http://", bind, s->http_plain_port, "/");
    printf("\n");
    fflush(stdout);
}

// Configuration that opens a door counts as changed with the start that uses it.
static bool note(struct server *s, const char *type, struct err *e) {
    static const struct actor WHO = {.door = DOOR_COMMAND, .user = STR_LIT("serve")};
    const struct settings *o = s->settings;
    char detail[300];
    snprintf(detail, sizeof detail, "\"version\":\"%s\",\"auth\":%s,\"bind\":\"%.60s\",\"tls\":%s,\"plaintext\":[%s%s%s],\"uid\":%ld", GANTRY_VERSION,
             o->auth ? "true" : "false", o->bind, o->tls.cert ? "true" : "false", o->dicom.plaintext ? "\"dicom\"" : "",
             o->dicom.plaintext && o->http.plaintext ? "," : "", o->http.plaintext ? "\"http\"" : "", (long)getuid());
    return audit_note(s->archive, &WHO, &(struct audit_note){.type = type, .detail = str_of(detail)}, e);
}

// A hang-up reads certificates again where there are any; where not, it is the terminal that goes, and an end.
static int wait_for_end(const struct server *s) {
    int number = signal_wait();
    while (number == SIGHUP && serve_tls_reload(&s->tls)) number = signal_wait();
    return number;
}

static int serve(struct cli_args *args, struct server *s) {
    struct err e = {0};
    if (!note(s, "server.started", &e) || !modules_start(s, &e)) return cli_fail(args, &e);
    serve_accounts_print(s);
    serve_node_ready(s);
    print_ready(s);
    log_line(LOG_INFO, "serve", "stopping on %s", strsignal(wait_for_end(s)));
    signal_unblock(); // a second one ends at once
    serve_node_drain(s);
    db_pool_hurry(archive_db(s->archive)); // one that does not answer keeps nobody from ending
    modules_stop(s);
    if (!note(s, "server.stopped", &e)) log_err(&e, "the end is not noted");
    return 0;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct settings settings;
    if (!settings_read(args, args->arena, &settings, &e)) return cli_fail(args, &e);
    signal_block();
    sys_raise_descriptors();
    struct server s = {.settings = &settings};
    const struct archive_options o = settings_archive(&settings);
    if (!archive_open(&o, &s.archive, &e)) return cli_fail(args, &e);
    bool works = serve_tls_open(&settings, &s.tls, &e) && serve_node_join(&s, &e) && serve_audit_open(&s, &e) && serve_peers_open(&s, &e) &&
                 serve_accounts_open(&s, &e) && serve_oidc_open(&s, &e) && codec_pool_start("/proc/self/exe", 0, &e);
    int code = works ? serve(args, &s) : cli_fail(args, &e);
    codec_pool_stop(); // when nobody asks any more
    serve_node_leave(&s);
    serve_oidc_close(&s);
    serve_accounts_close(&s);
    serve_peers_close(&s);
    archive_close(s.archive);
    serve_tls_close(&s.tls);
    return code;
}

const struct cli_command CMD_SERVE = {
    .name = "serve",
    .synopsis = "[--config FILE] [--data DIR] [--bind ADDR] [--dicom-port N] [--http-port N] [--aet NAME] [--peer AET@HOST:PORT]... [--tls-cert FILE --tls-key "
                "FILE --tls-ca FILE] [--auth none]",
    .summary = "Start the archive: DICOM and HTTP, in the foreground",
    .permission = ACCESS_SERVE,
    .group = "Server",
    .details =
        "Prints one line 'ready dicom=AET@ADDR:PORT http=URL' when it takes requests. SIGTERM finishes what is under way and exits 0: /readyz says 503\n"
        "at once, after drain-seconds new associations are rejected, after deadline-seconds more what is left is cut. A second SIGTERM ends at once.\n"
        "With a certificate both ports speak TLS only; SIGHUP, or a change of its files, has them read again. Without one, addresses that are not loopback\n"
        "are refused unless plaintext is allowed by name.\n"
        "The first start prints, once, a one-time password of the administrator for the page's sign-in, and a token for programs (Authorization: Bearer "
        "TOKEN).",
    .options = SETTINGS_OPTIONS,
    .run = run,
};

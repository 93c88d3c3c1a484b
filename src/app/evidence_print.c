// What the subcommands of `gantry evidence` print.
#include <sysexits.h>

#include "app/evidence.h"
#include "app/input.h"
#include "base/limits.h"

static void write_report(const struct cli_args *args, const struct ev_report *r, enum ev_language language, struct buf *b) {
    if (cli_flag(args, "json")) {
        ev_report_json(r, language, b);
        return;
    }
    ev_report_table(r, language, b);
    if (!cli_flag(args, "methods")) return;
    buf_addc(b, '\n');
    ev_report_methods(r, language, b);
}

int evidence_print(const struct cli_args *args, const struct ev_report *r) {
    struct err e = {0};
    struct buf b;
    enum ev_language language;
    if (!evidence_language(args, &language, &e) || !ev_report_ok(r, &e)) return cli_fail(args, &e);
    buf_init(&b, (size_t)EV_INPUT_BYTES_MAX);
    write_report(args, r, language, &b);
    if (b.n && b.p[b.n - 1] != '\n') buf_addc(&b, '\n');
    bool ok = output_drain(NULL, &b, &e);
    buf_deinit(&b);
    return ok ? EX_OK : cli_fail(args, &e);
}

// What the subcommands of `gantry evidence` print.
#include <string.h>
#include <strings.h>
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

static bool kind_of(const char *file, enum px_page_kind *kind, struct err *e) {
    static const struct {
        const char *ending;
        enum px_page_kind kind;
    } kinds[] = {{".svg", PX_PAGE_SVG}, {".pdf", PX_PAGE_PDF}, {".png", PX_PAGE_PNG}};
    size_t n = strlen(file);
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (n > 4 && strcasecmp(file + n - 4, kinds[i].ending) == 0) return *kind = kinds[i].kind, true;
    return err_set(e, ERR_USAGE, "app", "--plot takes a file that ends in .svg, .pdf or .png, not '%s'", file);
}

static bool draw(const struct cli_args *args, const struct ev_report *r, const struct ev_plot *plot, enum ev_language language, struct err *e) {
    const char *file = cli_text(args, "plot", NULL);
    enum px_page_kind kind;
    struct ev_plot forest;
    struct buf b;
    if (!file) return true;
    if (!kind_of(file, &kind, e)) return false;
    if (!plot && !ev_plot_of_report(&forest, args->arena, r)) return err_set(e, ERR_USAGE, "app", "--plot: nothing of this result can be drawn");
    buf_init(&b, (size_t)EV_FIGURE_BYTES_MAX);
    bool ok = ev_plot_draw(plot ? plot : &forest, language, kind, &b, e) && output_file(file, buf_str(&b), e);
    buf_deinit(&b);
    return ok;
}

int evidence_print_plot(const struct cli_args *args, const struct ev_report *r, const struct ev_plot *plot) {
    struct err e = {0};
    struct buf b;
    enum ev_language language;
    if (!evidence_language(args, &language, &e) || !ev_report_ok(r, &e) || !draw(args, r, plot, language, &e)) return cli_fail(args, &e);
    buf_init(&b, (size_t)EV_INPUT_BYTES_MAX);
    write_report(args, r, language, &b);
    if (b.n && b.p[b.n - 1] != '\n') buf_addc(&b, '\n');
    bool ok = output_drain(NULL, &b, &e);
    buf_deinit(&b);
    return ok ? EX_OK : cli_fail(args, &e);
}

int evidence_print(const struct cli_args *args, const struct ev_report *r) {
    return evidence_print_plot(args, r, NULL);
}

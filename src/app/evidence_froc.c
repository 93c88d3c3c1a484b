// gantry evidence froc: free-response studies, where readers mark places.
#include "app/evidence.h"
#include "app/evidence_mrmc.h"

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"merit", "NAME", "wAFROC (default), wAFROC1, AFROC, AFROC1, HrAuc, HrSe, HrSp, MaxLLF, MaxNLF or MaxNLFAllCases"},
    EVIDENCE_MRMC_OPTIONS,
    {0},
};

static bool report(struct cli_args *args, struct ev_report *r, struct err *e) {
    struct ev_mrmc_request request;
    struct csv marks, truth;
    struct ev_froc f;
    const char *name = cli_text(args, "merit", "wAFROC");
    int merit = ev_froc_merit_named(str_of(name));
    if (merit < 0) return err_set(e, ERR_USAGE, "evidence", "--merit: no such figure of merit as \"%s\"", name);
    if (!evidence_mrmc_request(args, &request, e)) return false;
    request.rockette = true;
    return evidence_read(args, args->positional[0], &marks, e) && evidence_read(args, args->positional[1], &truth, e) &&
           ev_froc_read(args->arena, &marks, &truth, &f, e) && ev_froc_report(args->arena, &f, (enum ev_froc_merit)merit, &request, r, e);
}

static int run(struct cli_args *args) {
    struct ev_report r;
    struct err e = {0};
    if (!report(args, &r, &e)) return cli_fail(args, &e);
    return evidence_mrmc_print(args, &r);
}

const struct cli_command EVIDENCE_FROC = {
    .name = "froc",
    .synopsis = "[options] MARKS TRUTH",
    .summary = "Free-response studies: readers mark lesions",
    .permission = ACCESS_LOCAL,
    .group = "Readers",
    .details =
        "MARKS has a row per mark: mod, rdr, case, kind (LL on a lesion, NL off every lesion), lesion (from 1) and rating. TRUTH has a row per case: case,\n"
        "n_lesions (0: normal) and weights (parted by ';', adding to 1; empty: alike). A case without a mark has the rating minus infinity.",
    .options = OPTIONS,
    .positional_min = 2,
    .positional_max = 2,
    .run = run,
};

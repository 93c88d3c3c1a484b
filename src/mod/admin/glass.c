// gantry glass: access in an emergency, and its review.
#include "core/accounts.h"
#include "core/glass.h"
#include "mod/admin/tables.h"

static bool break_glass(struct admin_call *c, struct err *e) {
    int64_t until_ms, minutes = admin_number(c, "minutes", 0);
    if (minutes < 0 || minutes > GLASS_MINUTES_MAX) return err_set(e, ERR_USAGE, "admin", "minutes: 1 to %d", GLASS_MINUTES_MAX);
    const struct glass_ask ask = {.reason = str_trim(admin_text(c, "reason")), .scope = admin_text(c, "scope"), .minutes = (unsigned)minutes};
    if (!glass_break(c->archive, c->who, &ask, &until_ms, e)) return false;
    if (c->accounts) accounts_forget(c->accounts); // it counts from the next request on
    json_begin_object(c->out);
    json_put_int(c->out, "until_ms", until_ms);
    json_end_object(c->out);
    return true;
}

static bool close_glass(struct admin_call *c, struct err *e) {
    bool closed = glass_close(c->archive, c->who, e);
    if (c->accounts) accounts_forget(c->accounts);
    return admin_done(c, closed);
}

static bool list(struct admin_call *c, struct err *e) {
    return glasses_json(c->archive, c->who, !admin_flag(c, "all"), c->out, e);
}

static bool review(struct admin_call *c, struct err *e) {
    return admin_done(c, glass_review(c->archive, c->who, admin_number(c, "id", 0), admin_text(c, "verdict"), str_trim(admin_text(c, "remark")), e));
}

static const struct admin_field BREAK[] = {
    {.name = "reason", .type = ADMIN_TEXT, .required = true, .help = "why, for whoever reviews it", .help_zh = "理由，供复核人员查阅"},
    {.name = "scope", .type = ADMIN_TEXT, .help = "tenant:T, site:T/S or department:T/S/D (default: the own tenant)", .help_zh = "范围（默认：本租户）"},
    {.name = "minutes", .type = ADMIN_NUMBER, .help = "for how long (default: 60)", .help_zh = "时长，分钟（默认：60）"},
    {.name = NULL},
};
static const struct admin_field LIST[] = {{.name = "all", .type = ADMIN_FLAG, .help = "reviewed ones, too", .help_zh = "含已复核的"}, {.name = NULL}};
static const struct admin_field REVIEW[] = {
    {.name = "id", .type = ADMIN_NUMBER, .required = true, .positional = true, .help = "number in the list", .help_zh = "列表中的编号"},
    {.name = "verdict", .type = ADMIN_TEXT, .required = true, .help = "'justified' or 'not justified'", .help_zh = "结论：justified 或 not justified"},
    {.name = "remark", .type = ADMIN_TEXT, .help = "a remark", .help_zh = "备注"},
    {.name = NULL},
};

const struct admin_operation ADMIN_GLASS[] = {
    {"glass", "break", ACCESS_BREAK_GLASS, false, "See for a while, for a reason, what is else not in reach", "紧急访问：说明理由后限时查阅", BREAK,
     break_glass, .scoped = true},
    {"glass", "close", ACCESS_SELF, false, "End the own emergency access", "结束自己的紧急访问", NULL, close_glass, .scoped = true},
    {"glass", "list", ACCESS_REVIEW, true, "List emergency accesses that wait for review", "列出待复核的紧急访问", LIST, list, .scoped = true},
    {"glass", "review", ACCESS_REVIEW, false, "Judge an emergency access", "复核紧急访问", REVIEW, review, .scoped = true},
    {.noun = NULL},
};

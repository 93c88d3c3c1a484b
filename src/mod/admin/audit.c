// gantry audit search|report|checkpoint|retain: the event log by the table of administration.
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "core/audit.h"
#include "core/audit_cursor.h"
#include "core/audit_retain.h"
#include "core/audit_search.h"
#include "core/audit_watch.h"
#include "mod/admin/tables.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 10000, TIME_BYTES = 32, PEOPLE_MAX = 2000, DAYS_MAX = 36500 };
#define DAY_MS (24LL * 3600 * 1000)

// ---- what the log's types are called ----

static const struct words {
    const char *type, *en, *zh;
} WORDS[] = {
    {"study.read", "opened or retrieved", "调阅或获取"},
    {"study.queried", "searched", "查询"},
    {"study.sent", "sent to another system", "发送到其他系统"},
    {"study.exported", "exported as files", "导出为文件"},
    {"study.verified", "asked whether it is kept", "核对是否已保存"},
    {"study.deleted", "deleted the study", "删除检查"},
    {"series.deleted", "deleted a series", "删除序列"},
    {"instance.deleted", "deleted an object", "删除对象"},
    {"instance.stored", "sent in", "送入"},
    {"instance.known", "sent in again", "重复送入"},
    {"instance.conflict", "sent in other bytes under a UID that was taken", "送入与已有UID冲突的对象"},
    {"instance.refused", "tried to send in", "送入被拒绝"},
    {"study.held", "put under legal hold", "设置法律保留"},
    {"study.released", "released from legal hold", "解除法律保留"},
    {"audit.read", "looked up in the audit trail", "查阅审计记录"},
    {"audit.exported", "exported from the audit trail", "导出审计记录"},
    {"audit.verified", "verified the audit trail", "校验审计记录"},
    {"access.denied", "was refused", "访问被拒绝"},
    {"glass.broken", "broke the glass", "紧急越权访问"},
};

static struct str word_of(struct str type, bool chinese) {
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (str_eqz(type, WORDS[i].type)) return str_of(chinese ? WORDS[i].zh : WORDS[i].en);
    return type;
}

static void put_time(struct json_writer *w, const char *key, int64_t ms) {
    char text[TIME_BYTES];
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03dZ", (int)(ms % 1000));
    json_put_strz(w, key, text);
}

static void put_if(struct json_writer *w, const char *key, struct str value) {
    if (value.n) json_put_str(w, key, value);
}

// ---- filters ----

static bool take_time(const struct admin_call *c, const char *name, int64_t *out, struct err *e) {
    struct str text = admin_text(c, name);
    char z[TIME_BYTES];
    struct tm tm = {0};
    if (!text.n) return true;
    snprintf(z, sizeof z, "%.*s", STR_FMT(str_sub(text, 0, TIME_BYTES - 1)));
    const char *end = strptime(z, "%Y-%m-%d", &tm);
    if (end && *end == 'T') end = strptime(end, "T%H:%M:%S", &tm);
    if (!end || (*end && strcmp(end, "Z") != 0)) return err_set(e, ERR_USAGE, "audit", "'%s' takes 2026-11-22 or 2026-11-22T08:00:00 (UTC)", name);
    *out = (int64_t)timegm(&tm) * 1000;
    return true;
}

static bool take_filter(const struct admin_call *c, struct audit_filter *f, struct err *e) {
    int64_t limit = admin_number(c, "limit", LIMIT_DEFAULT);
    if (limit < 1 || limit > LIMIT_MAX) return err_set(e, ERR_USAGE, "audit", "'limit' is a number from 1 to %d", LIMIT_MAX);
    *f = (struct audit_filter){.patient_id = admin_text(c, "patient"),
                               .issuer = admin_text(c, "issuer"),
                               .study_uid = admin_text(c, "study"),
                               .user = admin_text(c, "user"),
                               .type = admin_text(c, "type"),
                               .outcome = admin_text(c, "outcome"),
                               .after = admin_number(c, "after", 0),
                               .limit = (unsigned)limit};
    return take_time(c, "from", &f->from_ms, e) && take_time(c, "to", &f->to_ms, e);
}

// ---- search ----

static bool put_hit(void *ctx, const struct audit_hit *h, struct err *e) {
    struct json_writer *w = ((struct admin_call *)ctx)->out;
    const struct event *ev = h->event;
    (void)e;
    json_begin_object(w);
    json_put_int(w, "seq", ev->seq);
    put_time(w, "time", ev->time_ms);
    json_put_str(w, "type", ev->type);
    put_if(w, "user", audit_user_of(ev, h->detail));
    put_if(w, "address", audit_address_of(ev, h->detail));
    put_if(w, "outcome", json_text(json_get(h->detail, "outcome")));
    put_if(w, "study", ev->study_uid);
    put_if(w, "series", ev->series_uid);
    put_if(w, "instance", ev->sop_instance_uid);
    json_key(w, "detail");
    if (h->detail)
        json_raw(w, ev->detail);
    else
        json_str(w, ev->detail);
    json_end_object(w);
    return true;
}

static bool search(struct admin_call *c, struct err *e) {
    struct audit_filter f;
    if (!take_filter(c, &f, e)) return false;
    json_begin_array(c->out);
    bool ok = audit_search(c->archive, &f, put_hit, c, NULL, e);
    json_end_array(c->out);
    return ok;
}

// ---- a patient's report ----

struct person {
    struct str user;
    uint64_t times;
    int64_t first_ms, last_ms;
};

struct report {
    struct admin_call *c;
    bool chinese;
    struct person people[PEOPLE_MAX];
    unsigned count;
};

static bool count_person(struct report *r, struct str user, int64_t at_ms, struct err *e) {
    struct person *p = r->people;
    while (p < r->people + r->count && !str_eq(p->user, user)) p++;
    if (p == r->people + PEOPLE_MAX) return true;
    if (p == r->people + r->count) {
        r->count++;
        p->first_ms = at_ms;
        if (!arena_dup(r->c->arena, user, &p->user, e)) return false;
    }
    p->times++;
    p->last_ms = at_ms;
    return true;
}

static bool put_access(void *ctx, const struct audit_hit *h, struct err *e) {
    struct report *r = ctx;
    struct json_writer *w = r->c->out;
    const struct event *ev = h->event;
    struct str user = audit_user_of(ev, h->detail);
    int64_t count;
    json_begin_object(w);
    put_time(w, "time", ev->time_ms);
    json_put_str(w, "who", user);
    put_if(w, "role", json_text(json_get(h->detail, "role")));
    put_if(w, "from", audit_address_of(ev, h->detail));
    json_put_str(w, "what", word_of(ev->type, r->chinese));
    put_if(w, "study", ev->study_uid);
    if (json_to_i64(json_get(h->detail, "count"), &count)) json_put_int(w, "objects", count);
    put_if(w, "outcome", json_text(json_get(h->detail, "outcome")));
    put_if(w, "purpose", json_text(json_get(h->detail, "purpose")));
    json_put_int(w, "event", ev->seq);
    json_end_object(w);
    return count_person(r, user, ev->time_ms, e);
}

static void put_people(struct report *r) {
    struct json_writer *w = r->c->out;
    json_key(w, "people");
    json_begin_array(w);
    for (unsigned i = 0; i < r->count; i++) {
        json_begin_object(w);
        json_put_str(w, "who", r->people[i].user);
        json_put_uint(w, "times", r->people[i].times);
        put_time(w, "first", r->people[i].first_ms);
        put_time(w, "last", r->people[i].last_ms);
        json_end_object(w);
    }
    json_end_array(w);
}

static bool report(struct admin_call *c, struct err *e) {
    struct audit_filter f;
    struct report *r = arena_zero(c->arena, 1, sizeof *r, e);
    bool more = false;
    if (!r || !take_filter(c, &f, e)) return false;
    f.limit = (unsigned)admin_number(c, "limit", LIMIT_MAX);
    r->c = c;
    r->chinese = str_starts(admin_text(c, "lang"), STR_LIT("zh"));
    json_begin_object(c->out);
    json_put_str(c->out, "patient", f.patient_id);
    put_if(c->out, "issuer", f.issuer);
    json_key(c->out, "accesses");
    json_begin_array(c->out);
    bool ok = audit_search(c->archive, &f, put_access, r, &more, e);
    json_end_array(c->out);
    put_people(r);
    json_put_bool(c->out, "more", more);
    json_end_object(c->out);
    return ok;
}

// ---- marks ----

static bool checkpoint(struct admin_call *c, struct err *e) {
    struct audit_mark m;
    struct buf line;
    buf_init(&line, 4096);
    const struct audit_note note = {.type = "audit.checkpoint", .outcome = AUDIT_SUCCESS};
    bool ok = audit_checkpoint(c->archive, &m, &line, e) && audit_note(c->archive, c->who, &note, e);
    if (ok) {
        json_begin_object(c->out);
        json_put_int(c->out, "seq", m.seq);
        put_time(c->out, "time", m.time_ms);
        json_put_str(c->out, "checkpoint", str_trim(buf_str(&line)));
        json_end_object(c->out);
    }
    buf_deinit(&line);
    return ok;
}

static bool retain(struct admin_call *c, struct err *e) {
    struct audit_cut cut;
    int64_t before_ms = 0, days = admin_number(c, "keep-days", 0);
    if (!take_time(c, "before", &before_ms, e)) return false;
    if (!before_ms == !days) return err_set(e, ERR_USAGE, "audit", "say either 'before' or 'keep-days'");
    if (days < 0 || days > DAYS_MAX) return err_set(e, ERR_USAGE, "audit", "'keep-days' is a number from 1 to %d", DAYS_MAX);
    if (days) before_ms = clock_wall_ms() - days * DAY_MS;
    if (!audit_retain(c->archive, c->who, before_ms, NULL, &cut, e)) return false;
    json_begin_object(c->out);
    json_put_int(c->out, "taken", cut.last ? cut.last - cut.first + 1 : 0);
    if (cut.last) {
        json_put_int(c->out, "first", cut.first);
        json_put_int(c->out, "last", cut.last);
        put_time(c->out, "until", cut.time_ms);
    }
    if (cut.waits_for[0]) json_put_strz(c->out, "waits_for", cut.waits_for);
    json_end_object(c->out);
    return true;
}

static bool forget(struct admin_call *c, struct err *e) {
    if (!audit_cursor_forget(c->archive, c->who, admin_text(c, "collector"), e)) return false;
    json_begin_object(c->out);
    json_put_bool(c->out, "forgotten", true);
    json_end_object(c->out);
    return true;
}

// ---- the table ----

#define TIMES                                                                                                                                                        \
    {.name = "from", .type = ADMIN_TEXT, .help = "from this day or time on (UTC)", .help_zh = "起始日期或时间（UTC）"},                                              \
        {.name = "to", .type = ADMIN_TEXT, .help = "before this day or time", .help_zh = "截止日期或时间（不含）"},                                                  \
        {.name = "after", .type = ADMIN_NUMBER, .help = "events after this number", .help_zh = "在此编号之后的事件"}, {                                              \
        .name = "limit", .type = ADMIN_NUMBER, .help = "at most so many (default 100; of a report 10000)", .help_zh = "最多条数（默认100，报告为10000）" \
    }

static const struct admin_field SEARCH[] = {
    {.name = "patient", .type = ADMIN_TEXT, .help = "Patient ID", .help_zh = "患者编号"},
    {.name = "issuer", .type = ADMIN_TEXT, .help = "who issued that ID", .help_zh = "患者编号的签发者"},
    {.name = "study", .type = ADMIN_TEXT, .help = "Study Instance UID", .help_zh = "检查UID"},
    {.name = "user", .type = ADMIN_TEXT, .help = "a user, token, peer or AE title", .help_zh = "用户、令牌、对端或AE标题"},
    {.name = "type", .type = ADMIN_TEXT, .help = "study.read, or study. for all that begin so", .help_zh = "事件类型，如study.read；study.表示全部以此开头"},
    {.name = "outcome", .type = ADMIN_TEXT, .help = "success, denied or failed", .help_zh = "结果：success、denied或failed"},
    TIMES,
    {.name = NULL},
};
static const struct admin_field REPORT[] = {
    {.name = "patient", .type = ADMIN_TEXT, .required = true, .positional = true, .help = "Patient ID", .help_zh = "患者编号"},
    {.name = "issuer", .type = ADMIN_TEXT, .help = "who issued that ID", .help_zh = "患者编号的签发者"},
    {.name = "lang", .type = ADMIN_TEXT, .help = "en or zh-CN", .help_zh = "en或zh-CN"},
    TIMES,
    {.name = NULL},
};
static const struct admin_field RETAIN[] = {
    {.name = "before", .type = ADMIN_TEXT, .help = "events before this day or time (UTC) go", .help_zh = "清除此日期或时间（UTC）之前的事件"},
    {.name = "keep-days", .type = ADMIN_NUMBER, .help = "events older than so many days go", .help_zh = "清除早于该天数的事件"},
    {.name = NULL},
};
static const struct admin_field FORGET[] = {
    {.name = "collector", .type = ADMIN_TEXT, .required = true, .positional = true, .help = "its host:port", .help_zh = "其主机:端口"},
    {.name = NULL},
};

const struct admin_operation ADMIN_AUDIT[] = {
    {"audit", "search", ACCESS_AUDIT_READ, true, "Find events", "查找审计事件", SEARCH, search},
    {"audit", "report", ACCESS_AUDIT_READ, true, "Tell who had access to a patient's data, when, from where and why", "患者数据访问报告", REPORT, report},
    {"audit", "checkpoint", ACCESS_AUDIT_WRITE, false, "Sign how far the log has come; keep the line elsewhere", "签署检查点（请另行保存）", NULL, checkpoint},
    {"audit", "retain", ACCESS_AUDIT_WRITE, false, "Take old events away, with proof of what was taken", "清除旧事件并保留证明", RETAIN, retain},
    {"audit", "forget", ACCESS_AUDIT_WRITE, false, "Wait no longer for a collector that is no more", "不再等待已停用的收集器", FORGET, forget},
    {.noun = NULL},
};

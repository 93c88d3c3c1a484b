// gantry label and gantry assign: what lets others see a study beside those of its place.
#include "core/accounts_manage.h"
#include "core/mark.h"
#include "mod/admin/tables.h"

enum { NAME_BYTES_MAX = 64 * 1024 };

static bool set(struct admin_call *c, enum mark_kind kind, const char *name, bool on, struct err *e) {
    return admin_done(c, mark_set(c->archive, c->who, kind, str_trim(admin_text(c, "study")), admin_text(c, name), on, e));
}

static bool add_label(struct admin_call *c, struct err *e) {
    return set(c, MARK_LABEL, "label", true, e);
}

static bool remove_label(struct admin_call *c, struct err *e) {
    return set(c, MARK_LABEL, "label", false, e);
}

static bool add_assignment(struct admin_call *c, struct err *e) {
    struct arena arena;
    struct str name;
    arena_init(&arena, NAME_BYTES_MAX);
    bool ok = account_user_name(c->accounts, c->who, &arena, admin_text(c, "user"), &name, e) &&
              mark_set(c->archive, c->who, MARK_ASSIGNMENT, str_trim(admin_text(c, "study")), name, true, e);
    arena_deinit(&arena);
    return admin_done(c, ok);
}

static bool remove_assignment(struct admin_call *c, struct err *e) {
    return set(c, MARK_ASSIGNMENT, "user", false, e);
}

struct listing {
    struct json_writer *out;
    const char *member;
};

static bool put_mark(void *ctx, const struct mark *m, struct err *e) {
    const struct listing *l = ctx;
    (void)e;
    json_begin_object(l->out);
    json_put_str(l->out, "study", m->study_uid);
    json_put_str(l->out, "tenant", m->tenant);
    json_put_str(l->out, l->member, m->name);
    json_put_int(l->out, "since_ms", m->at_ms);
    json_put_str(l->out, "by", m->source);
    json_end_object(l->out);
    return true;
}

static bool list(struct admin_call *c, enum mark_kind kind, const char *member, struct err *e) {
    struct listing l = {c->out, member};
    json_begin_array(c->out);
    bool ok = mark_each(c->archive, c->who, kind, str_trim(admin_text(c, "study")), put_mark, &l, e);
    json_end_array(c->out);
    return ok;
}

static bool list_labels(struct admin_call *c, struct err *e) {
    return list(c, MARK_LABEL, "label", e);
}

static bool list_assignments(struct admin_call *c, struct err *e) {
    return list(c, MARK_ASSIGNMENT, "user", e);
}

#define STUDY \
    { .name = "study", .type = ADMIN_TEXT, .required = true, .positional = true, .help = "Study Instance UID", .help_zh = "检查实例 UID" }
static const struct admin_field OF_STUDY[] = {
    {.name = "study", .type = ADMIN_TEXT, .positional = true, .help = "of one study (default: all)", .help_zh = "某个检查（默认：全部）"},
    {.name = NULL},
};
static const struct admin_field LABEL[] = {
    STUDY,
    {.name = "label", .type = ADMIN_TEXT, .required = true, .positional = true, .help = "such as the name of a trial", .help_zh = "标签，例如临床试验名称"},
    {.name = NULL},
};
static const struct admin_field USER[] = {
    STUDY,
    {.name = "user", .type = ADMIN_TEXT, .required = true, .positional = true, .help = "who is to read it", .help_zh = "阅片用户"},
    {.name = NULL},
};

const struct admin_operation ADMIN_LABEL[] = {
    {"label", "add", ACCESS_STUDY_LABEL, false, "Label a study: who has the scope label:TENANT/LABEL sees it",
     "为检查添加标签：拥有 label:租户/标签 范围的用户可见", LABEL, add_label, .scoped = true},
    {"label", "remove", ACCESS_STUDY_LABEL, false, "Take a label away", "去除标签", LABEL, remove_label, .scoped = true},
    {"label", "list", ACCESS_STUDY_LABEL, true, "List labels", "列出标签", OF_STUDY, list_labels, .scoped = true},
    {.noun = NULL},
};

const struct admin_operation ADMIN_ASSIGN[] = {
    {"assign", "add", ACCESS_STUDY_ASSIGN, false, "Assign a study to a user with the scope 'assigned'", "将检查分派给拥有 assigned 范围的用户", USER,
     add_assignment, .scoped = true},
    {"assign", "remove", ACCESS_STUDY_ASSIGN, false, "End an assignment", "取消分派", USER, remove_assignment, .scoped = true},
    {"assign", "list", ACCESS_STUDY_ASSIGN, true, "List assignments", "列出分派", OF_STUDY, list_assignments, .scoped = true},
    {.noun = NULL},
};

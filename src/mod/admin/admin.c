// The way in to every operation: found by noun and verb, its fields checked by the table, the permission asked for, then run.
#include "mod/admin/admin.h"

#include <stdio.h>

#include "core/audit.h"
#include "core/charge.h"
#include "core/scope.h"
#include "mod/admin/tables.h"
#include "text/json.h"

enum { NAMED_BYTES_MAX = 255, NOTE_BYTES_MAX = 8 * 1024 };

const struct admin_operation *const ADMIN_TABLES[] = {
    // clang-format off
    ADMIN_USER,
    ADMIN_ROLE,
    ADMIN_TOKEN,
    ADMIN_SITE,
    ADMIN_SESSION,
    ADMIN_PEER,
    ADMIN_GLASS,
    ADMIN_LABEL,
    ADMIN_ASSIGN,
    ADMIN_AUDIT,
    NULL,
    // clang-format on
};

const struct admin_operation *admin_find(struct str noun, struct str verb) {
    for (const struct admin_operation *const *table = ADMIN_TABLES; *table; table++)
        for (const struct admin_operation *op = *table; op->noun; op++)
            if (str_eqz(noun, op->noun) && str_eqz(verb, op->verb)) return op;
    return NULL;
}

static const struct admin_field *find_field(const struct admin_operation *op, struct str name) {
    for (const struct admin_field *f = op->fields; f && f->name; f++)
        if (str_eqz(name, f->name)) return f;
    return NULL;
}

static bool is_texts(const struct json *v) {
    if (v->kind != JSON_ARRAY) return false;
    for (const struct json *one = v->first; one; one = one->next)
        if (one->kind != JSON_STRING) return false;
    return true;
}

static bool fits(const struct admin_field *f, const struct json *v, struct err *e) {
    static const char *const KINDS[] = {[ADMIN_TEXT] = "a text",
                                        [ADMIN_NUMBER] = "a whole number",
                                        [ADMIN_FLAG] = "true or false",
                                        [ADMIN_LIST] = "a list of texts",
                                        [ADMIN_SECRET] = "a text"};
    int64_t number;
    bool ok = false;
    switch (f->type) {
    case ADMIN_TEXT:
    case ADMIN_SECRET:
        ok = v->kind == JSON_STRING;
        break;
    case ADMIN_NUMBER:
        ok = json_to_i64(v, &number);
        break;
    case ADMIN_FLAG:
        ok = v->kind == JSON_TRUE || v->kind == JSON_FALSE;
        break;
    case ADMIN_LIST:
        ok = is_texts(v);
        break;
    }
    return ok || err_set(e, ERR_USAGE, "admin", "'%s' is %s", f->name, KINDS[f->type]);
}

static bool check(const struct admin_operation *op, const struct json *in, struct err *e) {
    if (in && in->kind != JSON_OBJECT) return err_set(e, ERR_USAGE, "admin", "the parameters are a JSON object");
    for (const struct json *v = in ? in->first : NULL; v; v = v->next) {
        const struct admin_field *f = find_field(op, v->key);
        if (!f) return err_set(e, ERR_USAGE, "admin", "%s %s takes no '%.*s'", op->noun, op->verb, STR_FMT(str_sub(v->key, 0, 64)));
        if (json_get(in, f->name) != v) return err_set(e, ERR_USAGE, "admin", "'%s' stands there twice", f->name);
        if (!fits(f, v, e)) return false;
    }
    for (const struct admin_field *f = op->fields; f && f->name; f++) {
        const struct json *v = json_get(in, f->name);
        bool empty = !v || (v->kind == JSON_STRING && v->text.n == 0);
        if (f->required && empty) return err_set(e, ERR_USAGE, "admin", "%s %s needs '%s' (%s)", op->noun, op->verb, f->name, f->help);
    }
    return true;
}

// ---- the audit trail: a change that was made is its own event, everything else is noted here ----

static const char *read_type(enum permission p) {
    if (p == ACCESS_AUDIT_READ) return "audit.read";
    return p == ACCESS_AUDIT_EXPORT ? "audit.exported" : "accounts.read";
}

static struct str named(const struct admin_call *c, const char *field) {
    struct str text = admin_text(c, field);
    return text.n <= NAMED_BYTES_MAX ? text : (struct str){0};
}

// What was asked for: of the log's search and reports, where it is somebody's data that was looked up.
static void put_asked(const struct admin_operation *op, const struct admin_call *c, struct buf *to) {
    struct json_writer j;
    char name[160];
    snprintf(name, sizeof name, "%s %s", op->noun, op->verb);
    json_init(&j, to, false);
    json_begin_object(&j);
    json_put_strz(&j, "operation", name);
    if (op->permission == ACCESS_AUDIT_READ && named(c, "user").n) json_put_str(&j, "of_user", named(c, "user"));
    json_end_object(&j);
}

static bool note(const struct admin_operation *op, const struct admin_call *c, const char *type, enum audit_outcome outcome, struct err *e) {
    struct buf detail;
    struct audit_note n = {.type = type, .outcome = outcome};
    buf_init(&detail, NOTE_BYTES_MAX);
    put_asked(op, c, &detail);
    if (buf_ok(&detail, NULL)) n.detail = str_sub(buf_str(&detail), 1, detail.n - 2);
    if (op->permission == ACCESS_AUDIT_READ) {
        n.patient_id = named(c, "patient");
        n.issuer = named(c, "issuer");
        n.study_uid = named(c, "study");
    }
    bool ok = audit_note(c->archive, c->who, &n, e);
    buf_deinit(&detail);
    return ok;
}

static bool may_run(const struct admin_operation *op, const struct actor *who, struct err *e) {
    return op->scoped ? access_require(who, op->permission, e) : scope_everywhere(who, op->permission, e);
}

bool admin_run(const struct admin_operation *op, struct admin_call *c, struct err *e) {
    if (!may_run(op, c->who, e)) {
        note(op, c, "access.denied", AUDIT_DENIED, NULL);
        return false;
    }
    bool ok = check(op, c->in, e) && op->run(c, e);
    if (op->reads) return note(op, c, read_type(op->permission), ok ? AUDIT_SUCCESS : AUDIT_FAILED, ok ? e : NULL) && ok;
    if (!ok) note(op, c, "change.failed", AUDIT_FAILED, NULL);
    return ok;
}

struct str admin_text(const struct admin_call *c, const char *name) {
    return json_text(json_get(c->in, name));
}

bool admin_flag(const struct admin_call *c, const char *name) {
    const struct json *v = json_get(c->in, name);
    return v && v->kind == JSON_TRUE;
}

int64_t admin_number(const struct admin_call *c, const char *name, int64_t otherwise) {
    const struct json *v = json_get(c->in, name);
    int64_t n;
    return v && json_to_i64(v, &n) ? n : otherwise;
}

bool admin_list(const struct admin_call *c, const char *name, const struct str **out, unsigned *count, struct err *e) {
    const struct json *v = json_get(c->in, name);
    *count = 0;
    struct str *all = arena_zero(c->arena, v ? v->count + 1 : 1, sizeof *all, e);
    if (!all) return false;
    for (const struct json *one = v ? v->first : NULL; one; one = one->next) all[(*count)++] = json_text(one);
    *out = all;
    return true;
}

bool admin_scope(const struct admin_call *c, enum permission what, struct str *out, struct err *e) {
    *out = admin_text(c, "scope");
    return out->n || charge_own_scope(c->arena, c->who, what, out, e);
}

bool admin_done(struct admin_call *c, bool ok) {
    if (!ok) return false;
    json_begin_object(c->out);
    json_put_bool(c->out, "done", true);
    json_end_object(c->out);
    return true;
}

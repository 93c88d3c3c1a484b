// The operations over HTTP: GET (what only reads) and POST /api/admin/<noun>/<verb>, and GET /api/admin, which lists them.
#include "mod/admin/http.h"

enum { ANSWER_BYTES_MAX = 64 << 20 };

static bool put_fields(struct json_writer *w, const struct admin_field *f) {
    static const char *const TYPES[] = {
        [ADMIN_TEXT] = "text", [ADMIN_NUMBER] = "number", [ADMIN_FLAG] = "flag", [ADMIN_LIST] = "list", [ADMIN_SECRET] = "secret"};
    json_key(w, "fields");
    json_begin_array(w);
    for (; f && f->name; f++) {
        json_begin_object(w);
        json_put_strz(w, "name", f->name);
        json_put_strz(w, "type", TYPES[f->type]);
        json_put_bool(w, "required", f->required);
        json_put_strz(w, "help", f->help);
        json_put_strz(w, "help_zh", f->help_zh);
        json_end_object(w);
    }
    json_end_array(w);
    return true;
}

static bool reply(struct http_response *rs, struct buf *b, bool ok, struct err *e) {
    rs->compress = true;
    return http_reply_json(rs, b, ok, e);
}

static bool list(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct buf b;
    struct json_writer w;
    (void)rq;
    buf_init(&b, ANSWER_BYTES_MAX);
    json_init(&w, &b, false);
    json_begin_array(&w);
    for (const struct admin_operation *const *table = ADMIN_TABLES; *table; table++)
        for (const struct admin_operation *op = *table; op->noun; op++) {
            json_begin_object(&w);
            json_put_strz(&w, "noun", op->noun);
            json_put_strz(&w, "verb", op->verb);
            json_put_strz(&w, "permission", access_permission_name(op->permission));
            json_put_bool(&w, "reads", op->reads);
            json_put_strz(&w, "help", op->help);
            json_put_strz(&w, "help_zh", op->help_zh);
            put_fields(&w, op->fields);
            json_end_object(&w);
        }
    json_end_array(&w);
    return reply(rs, &b, true, e);
}

static bool run(struct http_request *rq, struct http_response *rs, const struct admin_operation *op, const struct json *in, struct err *e) {
    const struct admin_door *door = rq->context;
    const struct actor who = {.door = DOOR_PAGE, .address = rq->address, .user = rq->user, .principal = rq->principal, .trace = rq->trace};
    struct buf b;
    struct json_writer w;
    buf_init(&b, ANSWER_BYTES_MAX);
    json_init(&w, &b, false);
    struct admin_call c = {.archive = door->archive, .accounts = door->accounts, .peers = door->peers, .who = &who, .arena = rq->arena, .in = in, .out = &w};
    return reply(rs, &b, admin_run(op, &c, e), e);
}

static const struct admin_operation *operation(const struct http_request *rq, struct err *e) {
    const struct admin_operation *op = admin_find(http_capture(rq, "noun"), http_capture(rq, "verb"));
    if (!op) err_set(e, ERR_NOT_FOUND, "admin", "there is no such operation: GET /api/admin lists them");
    return op;
}

// A parameter of the query as the JSON value that its field wants.
static bool put_value(struct json_writer *w, const struct admin_field *f, struct str value, struct err *e) {
    int64_t n;
    switch (f->type) {
    case ADMIN_NUMBER:
        if (!str_to_i64(value, &n)) return err_set(e, ERR_USAGE, "admin", "'%s' is a whole number", f->name);
        json_int(w, n);
        return true;
    case ADMIN_FLAG:
        json_bool(w, !str_eqz(value, "false"));
        return true;
    case ADMIN_LIST:
        json_begin_array(w);
        while (value.p) json_str(w, str_split(&value, ','));
        json_end_array(w);
        return true;
    case ADMIN_TEXT:
        json_str(w, value);
        return true;
    case ADMIN_SECRET:
        break;
    }
    return err_set(e, ERR_USAGE, "admin", "'%s' is a secret, and those stand in no address: POST it", f->name);
}

static bool query_json(struct http_request *rq, const struct admin_operation *op, struct json_writer *w, struct err *e) {
    json_begin_object(w);
    for (unsigned i = 0; i < rq->uri.param_count; i++) {
        struct str name = rq->uri.params[i].name;
        const struct admin_field *f = op->fields;
        while (f && f->name && !str_eqz(name, f->name)) f++;
        json_key_str(w, name);
        if (!f || !f->name)
            json_null(w); // refused by its name
        else if (!put_value(w, f, rq->uri.params[i].value, e))
            return false;
    }
    json_end_object(w);
    return true;
}

static bool get(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct admin_operation *op = operation(rq, e);
    struct buf b;
    struct json_writer w;
    if (!op) return false;
    if (!op->reads) return err_set(e, ERR_USAGE, "admin", "%s %s changes something: POST it", op->noun, op->verb);
    buf_init(&b, ANSWER_BYTES_MAX);
    json_init(&w, &b, false);
    bool ok = query_json(rq, op, &w, e) && buf_ok(&b, e);
    const struct json *in = ok ? json_read(rq->arena, buf_str(&b), 0, e) : NULL;
    ok = in && run(rq, rs, op, in, e);
    buf_deinit(&b);
    return ok;
}

static bool post(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct admin_operation *op = operation(rq, e);
    const struct json *in = op && rq->body.n ? json_read(rq->arena, rq->body, 0, e) : NULL;
    return op && (in || !rq->body.n) && run(rq, rs, op, in, e);
}

// Each operation asks for its own permission.
const struct http_route ADMIN_ROUTES[] = {
    {HTTP_GET, ACCESS_SELF, "/api/admin", list},
    {HTTP_GET, ACCESS_SELF, "/api/admin/{noun}/{verb}", get},
    {HTTP_POST, ACCESS_SELF, "/api/admin/{noun}/{verb}", post},
    {.pattern = NULL},
};

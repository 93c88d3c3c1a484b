// One event for each use of the event log by a command.
#include "app/audit_used.h"

#include <stdlib.h>

#include "app/control.h"
#include "app/opening.h"
#include "core/audit.h"

enum { REQUEST_BYTES_MAX = 16 * 1024, NAMED_BYTES_MAX = 255 };

static const char *const TYPES[] = {"audit.exported", "audit.verified"};

static void put_if(struct json_writer *w, const char *key, struct str value) {
    if (value.n) json_put_str(w, key, str_sub(value, 0, NAMED_BYTES_MAX));
}

static void put_use(struct json_writer *w, const struct audit_use *u) {
    json_begin_object(w);
    json_put_strz(w, "type", u->type);
    json_put_bool(w, "failed", u->failed);
    put_if(w, "patient", u->patient);
    put_if(w, "issuer", u->issuer);
    put_if(w, "study", u->study);
    put_if(w, "user", u->user);
    json_put_uint(w, "faults", u->faults);
    json_end_object(w);
}

// Members without the braces.
static struct str detail_of(const struct json *in, const char *type, struct buf *b) {
    struct json_writer w;
    int64_t faults = 0;
    json_init(&w, b, false);
    json_begin_object(&w);
    json_put_strz(&w, "operation", type == TYPES[0] ? "audit export" : "audit verify");
    put_if(&w, "of_user", json_text(json_get(in, "user")));
    if (json_to_i64(json_get(in, "faults"), &faults) && faults > 0) json_put_int(&w, "faults", faults);
    json_end_object(&w);
    return buf_ok(b, NULL) ? str_sub(buf_str(b), 1, b->n - 2) : (struct str){0};
}

bool audit_used_note(struct archive *ar, const struct actor *who, const struct json *in, struct err *e) {
    const struct json *failed = json_get(in, "failed");
    const char *type = NULL;
    struct buf b;
    for (unsigned i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (str_eqz(json_text(json_get(in, "type")), TYPES[i])) type = TYPES[i];
    if (!type) return err_set(e, ERR_USAGE, "audit", "the log is exported or verified");
    buf_init(&b, REQUEST_BYTES_MAX);
    const struct audit_note n = {.type = type,
                                 .outcome = failed && failed->kind == JSON_TRUE ? AUDIT_FAILED : AUDIT_SUCCESS,
                                 .patient_id = json_text(json_get(in, "patient")),
                                 .issuer = json_text(json_get(in, "issuer")),
                                 .study_uid = json_text(json_get(in, "study")),
                                 .detail = detail_of(in, type, &b)};
    bool ok = audit_note(ar, who, &n, e);
    buf_deinit(&b);
    return ok;
}

// No server is there.
static bool note_here(struct cli_args *args, const struct json *in, struct err *e) {
    const char *user = getenv("USER");
    const struct actor who = {.door = DOOR_COMMAND, .user = str_of(user ? user : "")};
    struct opening o;
    if (!opening_begin(args, 0, &o, e)) return false;
    bool ok = audit_used_note(o.archive, &who, in, e);
    opening_end(&o);
    return ok;
}

bool audit_used(struct cli_args *args, const struct audit_use *u, bool alone, struct err *e) {
    struct settings *s;
    struct json_writer w;
    struct buf request;
    const struct json *out;
    bool there = false;
    buf_init(&request, REQUEST_BYTES_MAX);
    json_init(&w, &request, false);
    put_use(&w, u);
    bool ok = buf_ok(&request, e) && opening_settings(args, &s, e) &&
              control_ask(s->data_dir, args->arena, "audit", AUDIT_USED_VERB, buf_str(&request), &there, &out, e);
    if (ok && !there && !alone) ok = err_set(e, ERR_CONFLICT, "audit", "the log is not whole, and no server writes it: it is left as it was found");
    const struct json *in = ok && !there ? json_read(args->arena, buf_str(&request), 0, e) : NULL;
    if (ok && !there) ok = in && note_here(args, in, e);
    buf_deinit(&request);
    return ok;
}

// What is done to an object that lies there, another storage class, restoring, legal hold; and to the bucket.
#include "base/limits.h"
#include "http/s3_wire.h"
#include "text/xml.h"

#define NAMESPACE "http://s3.amazonaws.com/doc/2006-03-01/"

static bool send_text(struct s3 *c, const char *method, const char *key, const char *param, struct buf *text, struct s3_answer *a, struct err *e) {
    struct s3_memory m;
    if (!buf_ok(text, e)) return false;
    s3_memory(&m, buf_str(text));
    struct s3_request r = {.op = S3_OP_OTHER, .method = method, .key = key, .body = &m.body, .body_n = text->n, .md5 = true};
    s3_param(&r, param, (struct str){"", 0});
    return s3_do(c, &r, a, e);
}

bool s3_restore(struct s3 *c, const char *key, unsigned days, struct err *e) {
    struct buf text;
    struct s3_answer a;
    struct err why = {0};
    buf_init(&text, 4096);
    buf_addf(&text,
             "<RestoreRequest xmlns=\"" NAMESPACE "\"><Days>%u</Days><GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters></RestoreRequest>",
             days);
    s3_answer_init(&a);
    bool ok = send_text(c, "POST", key, "restore", &text, &a, &why);
    if (!ok && (strcmp(a.error.code, "RestoreAlreadyInProgress") == 0 || strcmp(a.error.code, "ObjectAlreadyInActiveTierError") == 0)) ok = true; // as wished
    if (!ok && e) *e = why;
    s3_answer_deinit(&a);
    buf_deinit(&text);
    return ok;
}

bool s3_needs_lock(struct s3 *c, struct err *e) {
    struct s3_request r = {.op = S3_OP_OTHER, .method = "GET"};
    struct s3_answer a;
    struct err why = {0};
    char enabled[32] = "";
    int known = atomic_load(&c->locks);
    if (known == 0) {
        s3_param(&r, "object-lock", (struct str){"", 0});
        s3_answer_init(&a);
        bool ok = s3_do(c, &r, &a, &why);
        // Another answer than that of the question: the service does not know it.
        known = ok && s3_xml_value(buf_str(&a.text), "ObjectLockConfiguration", "ObjectLockEnabled", enabled, sizeof enabled, NULL) &&
                        strcmp(enabled, "Enabled") == 0
                    ? 1
                    : 2;
        bool unclear = !ok && err_class_of(why.kind)->retry;
        s3_answer_deinit(&a);
        if (unclear) return e ? (*e = why, false) : false;
        atomic_store(&c->locks, known);
    }
    return known == 1 || err_set(e, ERR_USAGE, "s3",
                                 "bucket %s has no object lock: nothing can be locked in it (make the bucket with object lock, or lock nothing)", c->o.bucket);
}

bool s3_legal_hold(struct s3 *c, const char *key, bool on, struct err *e) {
    struct buf text;
    struct s3_answer a;
    if (!s3_key_fits(key, e)) return false;
    if (!s3_needs_lock(c, e)) {
        if (e && atomic_load(&c->locks) == 2) e->kind = ERR_UNSUPPORTED;
        return false;
    }
    buf_init(&text, 4096);
    buf_addf(&text, "<LegalHold xmlns=\"" NAMESPACE "\"><Status>%s</Status></LegalHold>", on ? "ON" : "OFF");
    s3_answer_init(&a);
    bool ok = send_text(c, "PUT", key, "legal-hold", &text, &a, e);
    s3_answer_deinit(&a);
    buf_deinit(&text);
    return ok;
}

bool s3_make_bucket(struct s3 *c, struct err *e) {
    struct buf text;
    struct s3_memory m;
    struct s3_answer a;
    struct err why = {0};
    struct s3_request r = {.op = S3_OP_OTHER, .method = "PUT"};
    buf_init(&text, 4096);
    if (strcmp(c->o.region, "us-east-1") != 0) { // there it must not be named
        buf_addf(&text, "<CreateBucketConfiguration xmlns=\"" NAMESPACE "\"><LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>",
                 c->o.region);
        s3_memory(&m, buf_str(&text));
        r.body = &m.body;
        r.body_n = text.n;
    }
    s3_answer_init(&a);
    bool ok = buf_ok(&text, &why) && s3_do(c, &r, &a, &why);
    if (!ok && strcmp(a.error.code, "BucketAlreadyOwnedByYou") == 0) ok = true;
    if (!ok && e) *e = why;
    s3_answer_deinit(&a);
    buf_deinit(&text);
    return ok;
}

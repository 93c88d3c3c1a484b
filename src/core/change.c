// A change and its event in one transaction.
#include "core/change.h"

#include "core/audit.h"
#include "core/events.h"
#include "core/state.h"
#include "text/json.h"

enum { DETAIL_BYTES_MAX = 64 * 1024, ACTOR_BYTES = 256 };

struct db *change_begin(struct archive *ar, struct err *e) {
    struct db *w = db_writer(ar->db, e);
    if (w && archive_begin(ar, w, e)) return w;
    if (w) change_end(ar, w, false, e);
    return NULL;
}

bool change_end(struct archive *ar, struct db *w, bool ok, struct err *e) {
    ok = ok && db_commit(w, e);
    if (!ok) db_rollback(w);
    events_settle(ar, ok);
    db_return(ar->db, w);
    return ok;
}

bool change_tell(struct archive *ar, struct db *w, const struct actor *who, const char *type, struct str more, struct err *e) {
    char actor[ACTOR_BYTES];
    struct buf detail;
    struct json_writer j;
    buf_init(&detail, DETAIL_BYTES_MAX);
    json_init(&j, &detail, false);
    json_begin_object(&j);
    audit_put_actor(&j, who);
    json_put_strz(&j, "outcome", "success");
    if (more.n) buf_addc(&detail, ',');
    buf_add_str(&detail, more);
    json_end_object(&j);
    actor_text(who, actor);
    struct event ev = {.type = str_of(type), .actor = str_of(actor), .detail = buf_str(&detail)};
    bool ok = buf_ok(&detail, e) && event_append(ar, w, &ev, e);
    buf_deinit(&detail);
    return ok;
}

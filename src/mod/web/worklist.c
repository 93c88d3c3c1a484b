// /api/worklist: a page of the list of studies as JSON.
#include "base/limits.h"
#include "core/worklist.h"
#include "mod/web/handlers.h"
#include "mod/web/web.h"
#include "text/json.h"

enum { PAGE_DEFAULT = 50 };

static void add_row(struct json_writer *w, const struct worklist_row *r) {
    json_begin_object(w);
    json_put_str(w, "study", r->study_uid);
    json_put_str(w, "patient_id", r->patient_id);
    json_put_str(w, "issuer", r->issuer);
    json_put_str(w, "name", r->patient_name);
    json_put_str(w, "birth_date", r->birth_date);
    json_put_str(w, "sex", r->sex);
    json_put_str(w, "age", r->patient_age);
    json_put_str(w, "date", r->study_date);
    json_put_str(w, "time", r->study_time);
    json_put_str(w, "accession", r->accession_number);
    json_put_str(w, "description", r->description);
    json_put_str(w, "modalities", r->modalities);
    json_put_str(w, "institution", r->institution);
    json_put_int(w, "series_count", r->series_count);
    json_put_int(w, "instance_count", r->instance_count);
    json_put_int(w, "bytes", r->bytes);
    json_put_int(w, "received_ms", r->received_ms);
    json_put_bool(w, "text_repaired", r->text_flags != 0);
    json_put_bool(w, "patient_conflict", r->patient_conflict);
    json_end_object(w);
}

static void write_page(struct buf *b, const struct worklist_page *page) {
    struct json_writer w;
    json_init(&w, b, false);
    json_begin_object(&w);
    json_key(&w, "rows");
    json_begin_array(&w);
    for (unsigned i = 0; i < page->count; i++) add_row(&w, &page->rows[i]);
    json_end_array(&w);
    json_put_strz(&w, "next", page->next);
    if (page->counted) json_put_uint(&w, "total", page->total);
    if (page->counted) json_put_bool(&w, "more_than_total", page->more);
    json_end_object(&w);
}

bool web_worklist(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    struct worklist_filter filter = {
        .text = http_query(rq, "q"), .date_from = http_query(rq, "from"), .date_to = http_query(rq, "to"), .modality = http_query(rq, "modality")};
    const struct actor who = session_actor(rq);
    struct worklist_page page;
    struct buf b;
    uint64_t limit = PAGE_DEFAULT;
    struct str text = http_query(rq, "limit");
    if (text.n && (!str_to_u64(text, &limit) || limit == 0 || limit > WORKLIST_PAGE_MAX))
        return err_set(e, ERR_BAD_INPUT, "web", "limit takes a number from 1 to %d", WORKLIST_PAGE_MAX);
    if (!worklist_read(web->archive, &who, rq->arena, &filter, http_query(rq, "after"), (unsigned)limit, &page, e)) return false;
    buf_init(&b, HTTP_JSON_BYTES_MAX);
    write_page(&b, &page);
    http_reply_buf(rs, 200, "application/json", &b);
    rs->compress = true;
    return true;
}

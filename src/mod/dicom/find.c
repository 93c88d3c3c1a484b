// C-FIND (PS3.4 C.4.1): the archive's query, answered in the asker's character set.
#include "core/query.h"
#include "dicom/charset.h"
#include "dimse/scu.h"
#include "mod/dicom/internal.h"

static const char *const LEVELS[] = {"PATIENT", "STUDY", "SERIES", "IMAGE"};

static uint16_t status_of(const struct err *e) {
    switch (e->kind) {
    case ERR_BAD_INPUT:
    case ERR_USAGE:
    case ERR_UNSUPPORTED:
        return DIMSE_MISMATCH;
    case ERR_TOO_LARGE:
    case ERR_NOMEM:
    case ERR_BUSY:
    case ERR_FULL:
        return DIMSE_OUT_OF_RESOURCES;
    case ERR_FORBIDDEN:
    case ERR_UNAUTHORIZED:
        return DIMSE_NOT_AUTHORIZED;
    default:
        return DIMSE_CANNOT_UNDERSTAND;
    }
}

// What every answer carries beside what was asked for (PS3.4 C.4.1.1.3.2).
static bool complete(const struct dicom_module *m, struct dcm_dataset *match, enum qr_level level, struct err *e) {
    return dcm_putz(match, DCM_QueryRetrieveLevel, LEVELS[level], e) && dcm_putz(match, DCM_RetrieveAETitle, m->config->aet, e) &&
           dcm_putz(match, DCM_InstanceAvailability, "ONLINE", e);
}

static bool answer(const struct dicom_module *m, struct scp_request *rq, enum qr_level level, struct str charset, struct arena *scratch,
                   struct dcm_dataset *match, struct buf *bytes, struct err *why) {
    struct dcm_dataset *out;
    buf_clear(bytes);
    return complete(m, match, level, why) && dcm_dataset_for_asker(scratch, match, charset, &out, why) &&
           dimse_encode(out, rq->context->transfer_syntax, bytes, why);
}

// Answers until the end; *status is the final one. false: the association is over.
static bool answer_all(const struct dicom_module *m, struct scp_request *rq, struct query_cursor *cursor, enum qr_level level, struct str charset,
                       uint16_t *status, struct err *why, struct err *e) {
    struct arena scratch;
    struct buf bytes;
    bool alive = true;
    arena_init(&scratch, DICOM_REQUEST_ARENA_BYTES);
    buf_init(&bytes, DIMSE_IDENTIFIER_BYTES_MAX);
    *status = DIMSE_SUCCESS;
    while (alive && *status == DIMSE_SUCCESS) {
        struct dcm_dataset *match;
        enum query_step step = QUERY_END;
        if (scp_cancelled(rq) || scp_stopping(rq->session)) {
            *status = DIMSE_CANCEL;
            break;
        }
        step = query_next(cursor, &scratch, &match, why);
        if (step == QUERY_END) break;
        if (step == QUERY_FAIL || !answer(m, rq, level, charset, &scratch, match, &bytes, why)) {
            *status = status_of(why);
            break;
        }
        struct dimse_command rsp = dimse_response(&rq->command, DIMSE_PENDING);
        alive = scp_respond(rq, &rsp, bytes.p, bytes.n, e);
        arena_reset(&scratch);
    }
    buf_deinit(&bytes);
    arena_deinit(&scratch);
    return alive;
}

// A request that ends before it begins.
static bool refuse(const struct dicom_module *m, struct scp_request *rq, const struct dcm_dataset *identifier, const struct err *why, struct err *e) {
    bool ok = true;
    const struct dicom_noted noted = {.type = "study.queried", .keys = identifier, .status = status_of(why)};
    return dicom_note(m->archive, rq, &noted, &ok, e) ? scp_finish(rq, status_of(why), why->message, e) : ok;
}

static bool find(const struct dicom_module *m, struct scp_request *rq, struct arena *a, struct err *e) {
    struct dcm_dataset *identifier;
    struct query query = {0};
    struct query_cursor *cursor;
    struct err why = {0};
    enum qr_level level;
    uint16_t status;
    bool ok = true;
    const struct actor who = dicom_actor(rq);
    if (!dicom_identifier(rq, a, &identifier, &ok, e)) return ok;
    if (!dicom_level_of(identifier, dicom_model_of(rq->context->abstract_syntax), &level, &why) || !query_from_identifier(a, identifier, &query, &why))
        return refuse(m, rq, identifier, &why, e);
    query.asked_only = true;
    query.fuzzy = dicom_extended(rq->context, EXT_FUZZY);
    query.combined_datetime = dicom_extended(rq->context, EXT_COMBINED_DATETIME);
    if (!query_open(m->archive, &who, a, &query, &cursor, &why)) return refuse(m, rq, identifier, &why, e);
    if (!dicom_note(m->archive, rq, &(struct dicom_noted){.type = "study.queried", .keys = identifier}, &ok, e)) return query_close(cursor), ok;
    const struct dcm_element *charset = dcm_find(identifier, DCM_SpecificCharacterSet);
    struct str asked = charset && charset->value ? (struct str){(const char *)charset->value, (size_t)charset->length} : (struct str){"", 0};
    ok = answer_all(m, rq, cursor, level, asked, &status, &why, e);
    query_close(cursor);
    return ok && scp_finish(rq, status, why.kind ? why.message : NULL, e);
}

bool dicom_find(void *ctx, struct scp_request *rq, struct err *e) {
    struct arena a;
    arena_init(&a, DICOM_REQUEST_ARENA_BYTES);
    bool ok = find(ctx, rq, &a, e);
    arena_deinit(&a);
    return ok;
}

// Targets, keys and results of the DIMSE commands.
#include "app/dimse_cli.h"

#include <stdio.h>
#include <string.h>

#include "dicom/charset.h"
#include "dicom/dict.h"
#include "dicom/vr.h"

enum { TIMEOUT_MAX_S = 24 * 3600, PATH_MAX_DEPTH = 8 };

bool dimse_cli_read(const struct cli_args *args, struct dimse_cli *out, struct err *e) {
    int64_t seconds;
    *out = (struct dimse_cli){.calling = cli_text(args, "calling", "GANTRY")};
    if (!pdu_ae_valid(str_of(out->calling)))
        return err_set(e, ERR_USAGE, "dimse", "--calling '%s' is not an AE title (1 to 16 characters, no backslash)", out->calling);
    if (!cli_int(args, "timeout", 0, 1, TIMEOUT_MAX_S, &seconds)) return err_set(e, ERR_USAGE, "dimse", "--timeout");
    if (seconds) out->timers = (struct ul_timers){.connect = (int)seconds * 1000, .artim = (int)seconds * 1000, .idle = (int)seconds * 1000};
    if (!scu_target_parse(str_of(args->positional[0]), &out->to, e)) return false;
    out->to.tls_name = cli_text(args, "tls-name", NULL);
    return tls_cli_open(args, &out->to.tls, e);
}

bool dimse_cli_model(const struct cli_args *args, enum dimse_cli_operation op, const char **sop_class_uid, struct err *e) {
    static const struct {
        const char *name, *uids[3];
    } MODELS[] = {{"study", {"1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"}},
                  {"patient", {"1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.1.3"}},
                  {"patient-study", {"1.2.840.10008.5.1.4.1.2.3.1", "1.2.840.10008.5.1.4.1.2.3.2", "1.2.840.10008.5.1.4.1.2.3.3"}}};
    const char *name = cli_text(args, "model", "study");
    for (unsigned i = 0; i < sizeof MODELS / sizeof *MODELS; i++)
        if (strcmp(name, MODELS[i].name) == 0) return *sop_class_uid = MODELS[i].uids[op], true;
    return err_set(e, ERR_USAGE, "dimse", "--model takes patient, study or patient-study, not '%s'", name);
}

// ---- keys ----

static bool put_value(struct dcm_dataset *ds, uint32_t tag, struct str value, struct err *e) {
    const struct dcm_dict_entry *entry = dcm_dict_find(tag);
    const struct dcm_vr_info *vr = dcm_vr_find(entry ? entry->vr[0] : DCM_VR_LO);
    int64_t number;
    if (entry && entry->vr[0] == DCM_VR_SQ)
        return value.n == 0
                   ? dcm_put_item(ds, tag, e) != NULL
                   : err_set(e, ERR_USAGE, "dimse", "--key %s is a sequence: name an attribute in it, %s.Attribute=value", entry->keyword, entry->keyword);
    if (value.n == 0) return dcm_put_empty(ds, tag, vr ? vr->vr : DCM_VR_LO, e);
    if (!vr || vr->text) return dcm_put_text(ds, tag, vr ? vr->vr : DCM_VR_LO, value, e);
    if (!str_to_i64(value, &number))
        return err_set(e, ERR_USAGE, "dimse", "the value of (%04X,%04X) is a number, not '%.*s'", DCM_GROUP(tag), DCM_ELEMENT(tag), STR_FMT(value));
    return dcm_put_int(ds, tag, number, e);
}

// The first item of a sequence, made when absent.
static struct dcm_dataset *enter(struct dcm_dataset *ds, uint32_t tag, struct err *e) {
    const struct dcm_element *el = dcm_find(ds, tag);
    return el && el->item_count ? el->items[0] : dcm_put_item(ds, tag, e);
}

static bool put_key(struct dcm_dataset *ds, const char *text, struct err *e) {
    struct str all = str_of(text);
    size_t eq = str_find(all, '=', 0);
    struct str path = str_sub(all, 0, eq), value = str_sub(all, eq + 1, all.n);
    for (unsigned depth = 0; path.p; depth++) {
        struct str name = str_split(&path, '.');
        uint32_t tag;
        if (depth == PATH_MAX_DEPTH || !dcm_tag_parse(name, &tag))
            return err_set(e, ERR_USAGE, "dimse", "--key '%s': '%.*s' is neither an attribute's keyword nor a tag (gggg,eeee)", text, STR_FMT(name));
        if (!path.p) return put_value(ds, tag, value, e);
        ds = enter(ds, tag, e);
        if (!ds) return false;
    }
    return false;
}

static const struct {
    const char *name, *level;
    uint32_t unique_key;
} LEVELS[] = {{"patient", "PATIENT", DCM_PatientID},
              {"study", "STUDY", DCM_StudyInstanceUID},
              {"series", "SERIES", DCM_SeriesInstanceUID},
              {"image", "IMAGE", DCM_SOPInstanceUID}};

// --level, else the deepest level of the model whose unique key has a value, else STUDY. In Study Root, Patient ID is a key of the study.
static bool put_level(const struct cli_args *args, struct dcm_dataset *ds, struct err *e) {
    const char *name = cli_text(args, "level", NULL);
    unsigned level = 1;
    for (unsigned i = strcmp(cli_text(args, "model", "study"), "study") == 0; i < 4; i++)
        if (!name && dcm_text(ds, LEVELS[i].unique_key).n) level = i;
    if (name)
        for (level = 0; level < 4 && !str_eq_nocase(str_of(name), str_of(LEVELS[level].name)); level++) {
        }
    if (level == 4) return err_set(e, ERR_USAGE, "dimse", "--level takes patient, study, series or image, not '%s'", name);
    return dcm_putz(ds, DCM_QueryRetrieveLevel, LEVELS[level].level, e);
}

bool dimse_cli_identifier(const struct cli_args *args, struct dcm_dataset **out, struct err *e) {
    struct dcm_dataset *ds = dcm_dataset_new(args->arena, e);
    const char *key;
    if (!ds || !dcm_putz(ds, DCM_SpecificCharacterSet, "ISO_IR 192", e)) return false;
    for (unsigned i = 0; (key = cli_text_at(args, "key", i)); i++)
        if (!put_key(ds, key, e)) return false;
    *out = ds;
    return put_level(args, ds, e);
}

bool dimse_cli_ask_unique_keys(struct dcm_dataset *identifier, struct err *e) {
    struct str level = dcm_text(identifier, DCM_QueryRetrieveLevel);
    for (unsigned i = 0; i < 4; i++) {
        bool here = str_eqz(level, LEVELS[i].level);
        bool asked = dcm_find(identifier, LEVELS[i].unique_key) || (i == 0 && !here); // Patient ID: at its own level alone
        if (!asked && !dcm_put_empty(identifier, LEVELS[i].unique_key, DCM_VR_NONE, e)) return false;
        if (here) break;
    }
    return true;
}

// ---- association ----

bool dimse_cli_open(const struct dimse_cli *c, struct dimse *d, struct arena *a, const char *const *classes, struct str extended, struct err *e) {
    struct scu_proposal *p = arena_zero(a, 1, sizeof *p, e);
    dimse_init(d);
    if (!p) return false;
    scu_proposal_init(p, a);
    if (extended.n) scu_propose_extended(p, classes[0], extended);
    for (; *classes; classes++)
        if (!scu_propose(p, *classes, SCU_TS_PLAIN, 2, e)) return false;
    return scu_open(d, &c->to, c->calling, p, &c->timers, e);
}

bool dimse_cli_result(const struct scu_result *r, const char *what, struct err *e) {
    if (r->status == DIMSE_SUCCESS || r->status == DIMSE_CANCEL) return true;
    return err_set(e, ERR_PEER, "dimse", "%s: status %04X, %s%s%s", what, r->status, dimse_status_text(r->status), *r->comment ? ": " : "", r->comment);
}

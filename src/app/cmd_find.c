// gantry find: search a DICOM peer (C-FIND).
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/dimse_cli.h"
#include "dicom/charset.h"
#include "dicom/dict.h"
#include "dicom/json.h"
#include "dicom/vr.h"

enum { PRINT_ARENA_BYTES = 64 * 1024 * 1024, NAME_WIDTH = 34 };

struct printing {
    bool json;
    uint64_t count, limit;
};

// What asks a person something useful when no key names an attribute.
static const uint32_t USUAL[] = {DCM_PatientName,      DCM_PatientID,         DCM_PatientBirthDate, DCM_StudyDate,
                                 DCM_StudyDescription, DCM_ModalitiesInStudy, DCM_AccessionNumber,  DCM_StudyInstanceUID};

// Control characters must not reach a terminal.
static void print_text(struct str s) {
    for (size_t i = 0; i < s.n; i++) putchar((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F ? '?' : s.p[i]);
    putchar('\n');
}

static void print_element(struct arena *a, const struct dcm_dataset *ds, const struct dcm_element *el) {
    const struct dcm_dict_entry *entry = dcm_dict_find(el->tag);
    const struct dcm_vr_info *vr = dcm_vr_find(el->vr);
    char name[16];
    struct str text = {NULL, 0};
    unsigned flags;
    int64_t number;
    snprintf(name, sizeof name, "(%04X,%04X)", DCM_GROUP(el->tag), DCM_ELEMENT(el->tag));
    printf("%-*s ", NAME_WIDTH, entry ? entry->keyword : name);
    if (vr && vr->text && dcm_text_utf8(a, ds, el->tag, true, &text, &flags, NULL))
        print_text(str_trim(text));
    else if (dcm_i64(ds, el->tag, 0, &number))
        printf("%lld\n", (long long)number);
    else
        printf("[%u items]\n", el->item_count);
}

static bool print_json(struct arena *a, const struct dcm_dataset *ds, bool first, struct err *e) {
    struct buf b;
    const struct dcm_json_options o = {.repair = true};
    buf_init(&b, PRINT_ARENA_BYTES);
    bool ok = dcm_json_write(ds, &o, a, &b, e) && buf_ok(&b, e);
    if (ok) printf("%s%.*s", first ? "[" : ",\n", STR_FMT(buf_str(&b)));
    buf_deinit(&b);
    return ok;
}

static bool on_pending(void *ctx, const struct dimse_command *rsp, const struct dcm_dataset *data, struct err *e) {
    struct printing *p = ctx;
    struct arena a;
    (void)rsp;
    if (!data) return true;
    if (p->limit && p->count >= p->limit) return false; // answers that were under way when C-CANCEL was sent
    bool ok = true;
    arena_init(&a, PRINT_ARENA_BYTES);
    if (p->json) ok = print_json(&a, data, p->count == 0, e);
    for (uint32_t i = 0; !p->json && i < data->count; i++)
        if (data->elements[i].tag != DCM_SpecificCharacterSet) print_element(&a, data, &data->elements[i]);
    if (!p->json) printf("\n");
    arena_deinit(&a);
    p->count++;
    return ok && (p->limit == 0 || p->count < p->limit);
}

static bool find(struct cli_args *args, const struct dimse_cli *c, struct printing *p, struct err *e) {
    const char *classes[2] = {NULL, NULL};
    const char extended[] = {1, 1, cli_flag(args, "fuzzy"), 0, 0}; // relational, combined date-time, fuzzy (PS3.4 C.5.1.1)
    struct dcm_dataset *identifier;
    struct dimse d;
    struct scu_result result = {0};
    uint16_t id;
    if (!dimse_cli_model(args, DIMSE_CLI_FIND, &classes[0], e) || !dimse_cli_identifier(args, &identifier, e)) return false;
    if (!cli_text_at(args, "key", 0))
        for (unsigned i = 0; i < sizeof USUAL / sizeof *USUAL; i++)
            if (!dcm_put_empty(identifier, USUAL[i], DCM_VR_NONE, e)) return false;
    if (!dimse_cli_ask_unique_keys(identifier, e)) return false;
    bool ok = dimse_cli_open(c, &d, args->arena, classes, (struct str){extended, sizeof extended}, e);
    const struct ul_context *context = ok ? scu_context(&d, classes[0], e) : NULL;
    struct dimse_command rq = dimse_request(DIMSE_C_FIND, 0, classes[0]);
    ok = context && scu_send(&d, context, &rq, identifier, &id, e) &&
         scu_run(&d, context, id, &(struct scu_events){.on_pending = on_pending, .ctx = p}, &result, e) && dimse_cli_result(&result, "C-FIND", e);
    scu_close(&d);
    return ok;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct dimse_cli c;
    struct printing p = {.json = cli_flag(args, "json")};
    int64_t limit;
    if (!cli_int(args, "limit", 0, 1, INT64_MAX, &limit)) return err_class_of(ERR_USAGE)->exit;
    p.limit = (uint64_t)limit;
    bool ok = dimse_cli_read(args, &c, &e) && find(args, &c, &p, &e);
    if (p.json && (ok || p.count)) printf("%s]\n", p.count ? "" : "[");
    if (!ok) return cli_fail(args, &e);
    if (!p.json) fprintf(stderr, "%llu found\n", (unsigned long long)p.count);
    return 0;
}

static const struct cli_option OPTIONS[] = {DIMSE_CLI_QUERY_OPTIONS,
                                            {"fuzzy", NULL, "ask for fuzzy matching of names"},
                                            {"limit", "N", "cancel after so many answers"},
                                            {"json", NULL, "print a DICOM JSON array"},
                                            DIMSE_CLI_OPTIONS,
                                            {0}};

const struct cli_command CMD_FIND = {
    .name = "find",
    .synopsis = "AET@HOST:PORT [--level LEVEL] [--key NAME=VALUE]... [--json]",
    .summary = "Search a DICOM peer (C-FIND)",
    .permission = ACCESS_LOCAL,
    .group = "Network",
    .details = "Example: gantry find PACS@10.0.0.5:104 --key 'PatientName=Chen*' --key StudyDate=20260101- --key StudyInstanceUID\n"
               "Values are UTF-8, with the wild cards * and ?, ranges A-B and lists A\\B of PS3.4 C.2.2.2.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};

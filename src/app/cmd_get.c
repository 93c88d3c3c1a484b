// gantry get: fetch objects from a DICOM peer into a folder (C-GET).
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/dimse_cli.h"
#include "dicom/uid.h"
#include "dicom/write.h"

// Transfer syntaxes that are asked for beside the uncompressed ones, each in a context of its own so that every object can come as it lies.
static const char *const COMPRESSED[] = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90",  "1.2.840.10008.1.2.4.91",
                                         "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5",    "1.2.840.10008.1.2.4.51",  "1.2.840.10008.1.2.4.57",
                                         "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.102"};
enum { COMPRESSED_COUNT = sizeof COMPRESSED / sizeof *COMPRESSED, CLASSES_MAX = 120 };

struct getting {
    const char *out, *retrieve;
    const char *classes[CLASSES_MAX];
    unsigned class_count;
    struct arena *arena;
    uint64_t files;
};

// ---- which SOP classes ----

static bool add_class(struct getting *g, struct str uid, struct err *e) {
    for (unsigned i = 0; i < g->class_count; i++)
        if (str_eqz(uid, g->classes[i])) return true;
    if (g->class_count == CLASSES_MAX || !dcm_uid_valid(uid, false)) return true;
    const char *copy = arena_strz(g->arena, uid, e);
    if (copy) g->classes[g->class_count++] = copy;
    return copy != NULL;
}

static bool on_class(void *ctx, const struct dimse_command *rsp, const struct dcm_dataset *data, struct err *e) {
    (void)rsp;
    if (!data) return true;
    struct str class = dcm_text(data, DCM_SOPClassUID);
    return class.n == 0 || add_class(ctx, class, e);
}

// The peer is asked which SOP classes the objects are of. One that cannot tell leaves the list empty.
static void find_classes(struct cli_args *args, const struct dimse_cli *c, struct getting *g) {
    const char *classes[2] = {NULL, NULL};
    struct dcm_dataset *identifier;
    struct dimse d;
    struct scu_result result;
    struct err e = {0};
    uint16_t id;
    if (dimse_cli_model(args, DIMSE_CLI_FIND, &classes[0], &e) && dimse_cli_identifier(args, &identifier, &e) &&
        dcm_putz(identifier, DCM_QueryRetrieveLevel, "IMAGE", &e) && dcm_put_empty(identifier, DCM_SOPClassUID, DCM_VR_UI, &e)) {
        bool ok = dimse_cli_open(c, &d, args->arena, classes, (struct str){"\1\0\0\0\0", 5}, &e);
        const struct ul_context *context = ok ? scu_context(&d, classes[0], &e) : NULL;
        struct dimse_command rq = dimse_request(DIMSE_C_FIND, 0, classes[0]);
        if (context && scu_send(&d, context, &rq, identifier, &id, &e))
            scu_run(&d, context, id, &(struct scu_events){.on_pending = on_class, .ctx = g}, &result, &e);
        scu_close(&d);
    }
}

static bool registered_classes(struct getting *g, struct err *e) {
    size_t n;
    const struct dcm_uid_entry *all = dcm_uid_all(&n);
    for (size_t i = 0; i < n; i++)
        if (all[i].storage && !all[i].retired && !add_class(g, str_of(all[i].uid), e)) return false;
    return true;
}

// The class of the operation first, then per storage class the uncompressed syntaxes in one context, then the compressed ones as long as there is room.
static bool propose(struct getting *g, struct scu_proposal *p, struct err *e) {
    if (!scu_propose(p, g->retrieve, SCU_TS_PLAIN, 2, e)) return false;
    scu_propose_extended(p, g->retrieve, (struct str){"\1\0", 2});
    for (unsigned i = 0; i < g->class_count; i++)
        if (!scu_propose(p, g->classes[i], SCU_TS_PLAIN, 2, e) || !scu_propose_role(p, g->classes[i], false, true, e)) return false;
    for (unsigned k = 0; k < COMPRESSED_COUNT; k++)
        for (unsigned i = 0; i < g->class_count && p->context_count < UL_CONTEXTS_MAX; i++)
            if (!scu_propose(p, g->classes[i], &COMPRESSED[k], 1, e)) return false;
    return true;
}

// ---- files ----

static bool write_all(int fd, const void *p, size_t n, struct err *e) {
    const char *at = p;
    while (n) {
        ssize_t k = write(fd, at, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_errno(e, ERR_IO, "dimse", "write the object");
        at += k;
        n -= (size_t)k;
    }
    return true;
}

// Meta header and data set. *alive: the association goes on.
static bool receive(struct dimse *d, const struct ul_context *c, const struct dimse_command *rq, int fd, bool *alive, struct err *e) {
    struct buf meta;
    buf_init(&meta, 64 * 1024);
    bool ok = dcm_write_meta(str_of(rq->affected_class), str_of(rq->affected_instance), str_of(c->transfer_syntax), str_of(d->ul.called), &meta, e) &&
              buf_ok(&meta, e) && write_all(fd, meta.p, meta.n, e);
    buf_deinit(&meta);
    while (ok) {
        const uint8_t *p;
        size_t n;
        *alive = dimse_data(d, &p, &n, e);
        if (!*alive || n == 0) return *alive;
        ok = write_all(fd, p, n, e);
    }
    return false;
}

static bool on_store(void *ctx, struct dimse *d, const struct ul_context *c, const struct dimse_command *rq, uint16_t *status, struct err *e) {
    struct getting *g = ctx;
    char path[4096], part[4096 + 8];
    struct err why = {0};
    bool alive = true, ok = false;
    *status = DIMSE_INVALID_SOP_INSTANCE; // the UID becomes a file name: nothing but digits and dots may be in it
    if (!dcm_uid_valid(str_of(rq->affected_instance), false)) return true;
    snprintf(path, sizeof path, "%s/%s.dcm", g->out, rq->affected_instance);
    snprintf(part, sizeof part, "%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd >= 0) {
        ok = receive(d, c, rq, fd, &alive, &why);
        ok = close(fd) == 0 && ok && rename(part, path) == 0;
        if (!ok) unlink(part);
    } else {
        err_errno(&why, ERR_IO, "dimse", "%s", part);
    }
    *status = ok ? DIMSE_SUCCESS : DIMSE_OUT_OF_RESOURCES;
    if (ok) g->files++;
    if (!ok && *why.message) fprintf(stderr, "%s: %s\n", rq->affected_instance, why.message);
    if (!alive && e) *e = why;
    return alive;
}

static bool on_pending(void *ctx, const struct dimse_command *rsp, const struct dcm_dataset *data, struct err *e) {
    (void)ctx, (void)data, (void)e;
    if (rsp->has & DIMSE_HAS_REMAINING) {
        uint64_t done = (uint64_t)rsp->completed + rsp->failed + rsp->warning;
        cli_progress("get", done, done + rsp->remaining);
    }
    return true;
}

static bool get(struct cli_args *args, const struct dimse_cli *c, struct getting *g, struct scu_result *result, struct err *e) {
    struct dcm_dataset *identifier;
    struct dimse d;
    uint16_t id;
    struct scu_proposal *p = arena_zero(args->arena, 1, sizeof *p, e);
    if (!p || !dimse_cli_model(args, DIMSE_CLI_GET, &g->retrieve, e) || !dimse_cli_identifier(args, &identifier, e)) return false;
    if (mkdir(g->out, 0777) != 0 && errno != EEXIST) return err_errno(e, ERR_IO, "dimse", "make the folder %s", g->out);
    find_classes(args, c, g);
    if (g->class_count == 0 && !registered_classes(g, e)) return false;
    scu_proposal_init(p, args->arena);
    if (!propose(g, p, e)) return false;
    bool ok = scu_open(&d, &c->to, c->calling, p, &c->timers, e);
    const struct ul_context *context = ok ? scu_context(&d, g->retrieve, e) : NULL;
    struct dimse_command rq = dimse_request(DIMSE_C_GET, 0, g->retrieve);
    ok = context && scu_send(&d, context, &rq, identifier, &id, e) &&
         scu_run(&d, context, id, &(struct scu_events){.on_pending = on_pending, .on_store = on_store, .ctx = g}, result, e);
    scu_close(&d);
    return ok;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct dimse_cli c;
    struct scu_result r = {0};
    struct getting g = {.out = cli_text(args, "out", "."), .arena = args->arena};
    if (!dimse_cli_read(args, &c, &e) || !get(args, &c, &g, &r, &e)) return cli_fail(args, &e);
    printf("%llu files written to %s, %u failed\n", (unsigned long long)g.files, g.out, r.failed);
    return dimse_cli_result(&r, "C-GET", &e) ? 0 : cli_fail(args, &e);
}

static const struct cli_option OPTIONS[] = {{"out", "DIR", "folder for the files (default: the current one)"}, DIMSE_CLI_QUERY_OPTIONS, DIMSE_CLI_OPTIONS, {0}};

const struct cli_command CMD_GET = {
    .name = "get",
    .synopsis = "AET@HOST:PORT --key NAME=VALUE... [--out DIR] [--level LEVEL]",
    .summary = "Fetch objects from a DICOM peer into a folder (C-GET)",
    .permission = ACCESS_LOCAL,
    .group = "Network",
    .details = "Example: gantry get PACS@10.0.0.5:104 --key StudyInstanceUID=1.2.840... --out study\n"
               "Each object becomes <SOP Instance UID>.dcm in the transfer syntax in which it was sent.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};

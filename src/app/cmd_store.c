// gantry store: send files to a DICOM peer (C-STORE), each in the transfer syntax in which it lies, else converted without loss.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/dimse_cli.h"
#include "app/walk.h"
#include "dicom/read.h"
#include "dimse/send.h"

enum { HEADER_ARENA_BYTES = 128 * 1024 * 1024 };
#define MEDIA_DIRECTORY "1.2.840.10008.1.3.10"

struct file {
    const char *path, *sop_class_uid, *sop_instance_uid, *ts_uid;
    uint64_t length, dataset_offset;
    struct file *next;
};

struct sending {
    struct arena *arena;
    struct file *first, **last;
    uint64_t count, done, stored, warned, failed, skipped, converted;
    unsigned how;                         // of the round, enum send_how
    struct file *refused, **refused_last; // for the next round; NULL last: there is none
};

// ---- which files ----

static bool describe(struct sending *s, struct arena *scratch, const char *path, int fd, struct file *f, struct err *e) {
    struct dcm_object o = {0};
    struct stat st;
    if (!dcm_read_fd(scratch, fd, DCM_STOP_AT_PIXELS, &o, e) || !o.ts) return false;
    struct str class = dcm_text(o.dataset, DCM_SOPClassUID), instance = dcm_text(o.dataset, DCM_SOPInstanceUID);
    if (class.n == 0 && o.meta) class = dcm_text(o.meta, DCM_MediaStorageSOPClassUID);
    if (instance.n == 0 && o.meta) instance = dcm_text(o.meta, DCM_MediaStorageSOPInstanceUID);
    if (!dcm_uid_valid(class, false) || !dcm_uid_valid(instance, false) || str_eqz(class, MEDIA_DIRECTORY) || fstat(fd, &st) != 0) return false;
    f->path = arena_strz(s->arena, str_of(path), e);
    f->sop_class_uid = arena_strz(s->arena, class, e);
    f->sop_instance_uid = arena_strz(s->arena, instance, e);
    f->ts_uid = o.ts->uid;
    f->length = (uint64_t)st.st_size;
    f->dataset_offset = o.dataset_offset;
    return f->path && f->sop_class_uid && f->sop_instance_uid;
}

static bool on_file(void *ctx, const char *path, struct err *e) {
    struct sending *s = ctx;
    struct arena scratch;
    struct err why = {0};
    struct file *f = arena_zero(s->arena, 1, sizeof *f, e);
    if (!f) return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    arena_init(&scratch, HEADER_ARENA_BYTES);
    bool ok = fd >= 0 && describe(s, &scratch, path, fd, f, &why);
    arena_deinit(&scratch);
    if (fd >= 0) close(fd);
    if (!ok) {
        s->skipped++;
        return true;
    }
    *s->last = f;
    s->last = &f->next;
    s->count++;
    return true;
}

// ---- sending ----

static void count_one(struct sending *s, const struct file *f, bool sent, uint16_t status, const char *why) {
    if (sent && status == DIMSE_SUCCESS) {
        s->stored++;
    } else {
        bool warning = sent && dimse_is_warning(status);
        ++*(warning ? &s->warned : &s->failed);
        if (sent)
            fprintf(stderr, "%s: status %04X, %s\n", f->path, status, dimse_status_text(status));
        else
            fprintf(stderr, "%s: not sent: %s\n", f->path, why);
    }
    cli_progress("store", ++s->done, s->count);
}

// To the next round, which proposes what this one did not.
static bool put_off(struct sending *s, const struct file *f) {
    struct file *copy = arena_zero(s->arena, 1, sizeof *copy, NULL);
    if (!copy) return count_one(s, f, false, 0, "out of memory"), true;
    *copy = *f;
    copy->next = NULL;
    *s->refused_last = copy;
    s->refused_last = &copy->next;
    return true;
}

// One file; false: the association is over.
static bool send_one(struct sending *s, struct dimse *d, const struct file *f, struct err *e) {
    struct err why = {0};
    struct dimse_command rsp;
    struct send_report report;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_errno(&why, ERR_IO, "dimse", "open"), count_one(s, f, false, 0, why.message), true;
    const struct send_object o = {.sop_class_uid = f->sop_class_uid,
                                  .sop_instance_uid = f->sop_instance_uid,
                                  .ts_uid = f->ts_uid,
                                  .fd = fd,
                                  .length = f->length,
                                  .dataset_offset = f->dataset_offset};
    enum send_result r = send_object(d, &o, NULL, 0, &report, &why);
    close(fd);
    if (r == SEND_IMPOSSIBLE && s->refused_last && send_may_propose_more(&why) && send_convertible(f->ts_uid)) return put_off(s, f);
    bool answered = r == SEND_DONE && scu_response(d, report.message_id, &rsp, NULL, &why);
    count_one(s, f, answered, answered ? rsp.status : 0, why.message);
    if (answered && report.converted_to) s->converted++;
    if (!answered && r != SEND_IMPOSSIBLE && e) *e = why;
    return answered || r == SEND_IMPOSSIBLE;
}

// One association for as many of the files from *next on as its contexts allow.
static bool send_some(struct sending *s, const struct dimse_cli *c, struct file **next, struct err *e) {
    struct arena a;
    struct dimse d;
    arena_init(&a, 4 << 20);
    struct scu_proposal *p = arena_zero(&a, 1, sizeof *p, e);
    if (!p) return false;
    scu_proposal_init(p, &a);
    struct file *end = *next;
    while (end && send_propose_how(p, end->sop_class_uid, end->ts_uid, s->how, e)) end = end->next;
    bool ok = scu_open(&d, &c->to, c->calling, p, &c->timers, e);
    for (; ok && *next != end; *next = (*next)->next) ok = send_one(s, &d, *next, e);
    scu_close(&d);
    arena_deinit(&a);
    return ok;
}

// As it lies or uncompressed first; compressed for what the peer took neither way.
static bool send_all(struct sending *s, const struct dimse_cli *c, struct err *e) {
    struct file *next = s->first;
    s->how = SEND_AS_IT_LIES | SEND_CONVERTED;
    s->refused_last = &s->refused;
    while (next)
        if (!send_some(s, c, &next, e)) return false;
    s->how = SEND_COMPRESSED;
    s->refused_last = NULL;
    for (next = s->refused; next;)
        if (!send_some(s, c, &next, e)) return false;
    return true;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct dimse_cli c;
    struct sending s = {.arena = args->arena, .last = &s.first};
    if (!dimse_cli_read(args, &c, &e) || !walk_files(args->positional + 1, args->positional_count - 1, on_file, &s, &e)) return cli_fail(args, &e);
    bool ok = send_all(&s, &c, &e);
    if (!ok) s.failed += s.count - s.done;
    printf(cli_flag(args, "json") ? "{\"stored\":%llu,\"warnings\":%llu,\"failed\":%llu,\"not_dicom\":%llu,\"converted\":%llu}\n"
                                  : "%llu stored, %llu with a warning, %llu failed, %llu not DICOM, %llu converted on the way\n",
           (unsigned long long)s.stored, (unsigned long long)s.warned, (unsigned long long)s.failed, (unsigned long long)s.skipped,
           (unsigned long long)s.converted);
    if (!ok) return cli_fail(args, &e);
    if (s.count == 0)
        err_set(&e, ERR_NOT_FOUND, "dimse", "no DICOM objects are there");
    else if (s.failed)
        err_set(&e, ERR_PEER, "dimse", "%llu of %llu objects were not stored", (unsigned long long)s.failed, (unsigned long long)s.count);
    return e.kind ? cli_fail(args, &e) : 0;
}

static const struct cli_option OPTIONS[] = {{"json", NULL, "print the counts as JSON"}, DIMSE_CLI_OPTIONS, {0}};

const struct cli_command CMD_STORE = {
    .name = "store",
    .synopsis = "AET@HOST:PORT PATH... [--calling AET]",
    .summary = "Send files and folders to a DICOM peer (C-STORE)",
    .permission = ACCESS_LOCAL,
    .group = "Network",
    .details = "Each object is offered in the transfer syntax in which it lies. When the peer takes only others it is converted without loss: to an "
               "uncompressed one, else\n"
               "to a lossless compressed one.",
    .options = OPTIONS,
    .positional_min = 2,
    .positional_max = UINT32_MAX,
    .run = run,
};

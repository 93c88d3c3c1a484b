// What the audit trail costs: bench_audit DIR [EVENTS]. Microseconds of processor time for each note, for bringing it into the chain and its runs, and the
// speed of proving all of it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/access.h"
#include "core/audit_part.h"
#include "core/audit_search.h"
#include "core/audit_verify.h"

static double cpu_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(bool ok, const struct err *e) {
    if (ok) return;
    fprintf(stderr, "bench_audit: %s\n", e->message);
    exit(1);
}

int main(int argc, char **argv) {
    const struct archive_options o = {.dir = argc > 1 ? argv[1] : "/dev/shm/bench_audit"};
    const struct audit_options audit = {.elsewhere = NULL};
    const struct actor who = {.door = DOOR_DICOMWEB, .address = STR_LIT("10.1.2.3"), .user = STR_LIT("li.wei"), .principal = &PRINCIPAL_OF_LOCAL};
    unsigned events = argc > 2 ? (unsigned)atoi(argv[2]) : 100000;
    struct archive *ar;
    struct err e = {0};
    must(archive_open(&o, &ar, &e) && audit_start(ar, &audit, &e), &e);
    double from = cpu_us();
    for (unsigned i = 0; i < events; i++) {
        char study[64];
        snprintf(study, sizeof study, "1.2.826.0.1.3680043.8.498.%u", i / 300);
        const struct audit_note n = {
            .type = "study.read", .study_uid = str_of(study), .detail = STR_LIT("\"method\":\"GET\",\"route\":\"/dicom-web/studies/{study}\",\"status\":200")};
        must(audit_note(ar, &who, &n, &e), &e);
    }
    double noted = cpu_us();
    audit_stop(ar);
    double moved = cpu_us();
    bool left = true;
    while (left) must(audit_index_step(ar, 64, &left, &e), &e);
    double indexed = cpu_us();
    must(audit_watch_step(ar, true, &e), &e);
    double marked = cpu_us();
    const struct audit_verify_options how = {.dir = NULL};
    struct audit_verify_report r;
    must(audit_verify(ar, &how, &r, &e), &e);
    double verified = cpu_us();
    printf("note and what was moved meanwhile %.2f us, the rest of moving %.2f us, runs %.2f us, marks %.2f us; proven at %.0f events/s (%.0f per processor)\n",
           (noted - from) / events, (moved - noted) / events, (indexed - moved) / events, (marked - indexed) / events, (double)r.events / r.seconds,
           (double)r.events / (verified - marked) * 1e6);
    archive_close(ar);
    return r.findings ? 1 : 0;
}

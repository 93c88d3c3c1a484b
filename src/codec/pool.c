// Jobs on the caller's thread.
#include "codec/perform.h"

bool codec_job_begin(struct codec_job *job, struct err *e) {
    (void)e;
    job->slot = NULL;
    return true;
}

bool codec_job_wait(struct codec_job *job, struct arena *a, struct err *e) {
    job->ok = codec_perform(job, a, e);
    return job->ok;
}

bool codec_job_run(struct codec_job *job, struct arena *a, struct err *e) {
    return codec_job_begin(job, e) && codec_job_wait(job, a, e);
}

bool codec_pool_start(const char *program, unsigned count, struct err *e) {
    (void)program, (void)count, (void)e;
    return true;
}

void codec_pool_stop(void) {
}

unsigned codec_pool_size(void) {
    return 0;
}

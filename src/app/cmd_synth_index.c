// gantry synth --index-only: an index without objects, for benchmarks.
#include "app/cmd_synth_index.h"

#include <stdio.h>

#include "app/opening.h"
#include "base/clock.h"
#include "core/synth_index.h"

static void show(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    cli_progress("studies", done, total);
}

int cmd_synth_index(struct cli_args *args, uint64_t n, uint64_t seed) {
    struct err e = {0};
    struct opening o;
    int64_t start = clock_mono_ms();
    if (!opening_begin(args, OPENING_MAY_BE_NEW, &o, &e)) return cli_fail(args, &e);
    bool ok = synth_index_fill(o.archive, n, seed, show, NULL, &e);
    opening_end(&o);
    if (!ok) return cli_fail(args, &e);
    printf("%llu studies in the index, %.1f s\n", (unsigned long long)n, (double)(clock_mono_ms() - start) / 1000);
    return 0;
}

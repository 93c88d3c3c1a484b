// Appending what the archive itself says.
#include "core/word.h"

#include "base/clock.h"
#include "core/index.h"
#include "sys/digest.h"

enum { STEM_BYTES = 20 };

bool word_append(struct archive *ar, const struct actor *who, const struct word *word, struct err *e) {
    char source[256], stem[2 * STEM_BYTES];
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct index_put p = {.arena = &arena, .word = word};
    struct vol_put put = {.entry = {.kind = word->kind, .received_ms = clock_wall_ms()}, .body = word->json.p, .body_n = word->json.n, .user = &p};
    bool ok = digest_of(word->json.p, word->json.n, put.entry.digest, e);
    hex_encode(put.entry.digest, STEM_BYTES, stem);
    put.entry.sop = (struct str){stem, sizeof stem};
    actor_text(who, source);
    put.entry.source = str_of(source);
    ok = ok && vol_append(ar->volumes, &put, e);
    arena_deinit(&arena);
    return ok;
}

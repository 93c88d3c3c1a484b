// What the nodes of one archive must agree on about who may ask: the administrator's token and the sessions, in the index. Digests only.
#ifndef GANTRY_MOD_WEB_SHARED_H
#define GANTRY_MOD_WEB_SHARED_H

#include "core/archive.h"
#include "sys/digest.h"

// Whether the archive has other nodes at all.
bool shared_is(struct archive *ar);
// Keeps the digest when there is none yet (*kept), else gives the one that counts.
bool shared_token_once(struct archive *ar, uint8_t digest[DIGEST_BYTES], bool *kept, struct err *e);
// The digest that counts; *there false: no token was ever made.
bool shared_token_read(struct archive *ar, uint8_t digest[DIGEST_BYTES], bool *there, struct err *e);
// In its place from now on, on all nodes within seconds.
bool shared_token_replace(struct archive *ar, const uint8_t digest[DIGEST_BYTES], struct err *e);

bool shared_session_add(struct archive *ar, const uint8_t digest[DIGEST_BYTES], int64_t for_ms, struct err *e);
// How long it lasts yet; 0: there is none.
bool shared_session_left(struct archive *ar, const uint8_t digest[DIGEST_BYTES], int64_t *left_ms, struct err *e);
bool shared_session_end(struct archive *ar, const uint8_t digest[DIGEST_BYTES], struct err *e);

#endif

// A ZIP archive of objects (APPNOTE.TXT 6.3: method 0, stored), with ZIP64 fields where sizes, offsets or counts need them.
//
// The checksum of an entry is made when its header is sent: of an object that was read a moment before it is remembered, so that a resumed download does not
// read again what lies before it.
#include <pthread.h>
#include <time.h>

#include "mod/dicomweb/package.h"
#include "text/gzip.h"

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56 + 20, // with its locator
    CRC_BLOCK = 64 * 1024,
    REMEMBERED = 16384,
    VERSION = 20,
    VERSION_64 = 45,
};

#define MAX_32 0xFFFFFFFFULL
#define MAX_16 0xFFFFULL

// ---- checksums that were made ----

static struct {
    pthread_mutex_t lock;
    struct {
        uint8_t digest[16];
        uint32_t crc;
        bool used;
    } slots[REMEMBERED];
} remembered = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t slot_of(const struct instance_ref *ref) {
    return ((size_t)ref->digest[30] << 8 | ref->digest[31]) % REMEMBERED;
}

static bool recall(const struct instance_ref *ref, uint32_t *crc) {
    pthread_mutex_lock(&remembered.lock);
    size_t i = slot_of(ref);
    bool known = remembered.slots[i].used && memcmp(remembered.slots[i].digest, ref->digest, 16) == 0;
    *crc = remembered.slots[i].crc;
    pthread_mutex_unlock(&remembered.lock);
    return known;
}

static void remember(const struct instance_ref *ref, uint32_t crc) {
    pthread_mutex_lock(&remembered.lock);
    size_t i = slot_of(ref);
    memcpy(remembered.slots[i].digest, ref->digest, 16);
    remembered.slots[i].crc = crc;
    remembered.slots[i].used = true;
    pthread_mutex_unlock(&remembered.lock);
}

static bool crc_of(struct archive *ar, const struct instance_ref *ref, uint32_t *out, struct err *e) {
    char block[CRC_BLOCK]; // of THREAD_STACK_BYTES
    if (recall(ref, out)) return true;
    uint32_t crc = 0;
    for (uint64_t at = 0, n; at < ref->loc.length; at += n) {
        n = ref->loc.length - at < CRC_BLOCK ? ref->loc.length - at : CRC_BLOCK;
        if (!retrieve_read(ar, ref, at, block, (size_t)n, e)) return false;
        crc = gzip_crc32(crc, block, (size_t)n);
    }
    remember(ref, crc);
    *out = crc;
    return true;
}

// ---- records ----

struct writer {
    char *to;
    size_t n;
};

static void put(struct writer *w, uint64_t v, unsigned bytes) {
    for (; bytes > 0; bytes--, v >>= 8) w->to[w->n++] = (char)(v & 0xFF);
}

static void put_bytes(struct writer *w, const char *p, size_t n) {
    memcpy(w->to + w->n, p, n);
    w->n += n;
}

static uint64_t at_most(uint64_t v, uint64_t most) {
    return v < most ? v : most;
}

// DOS date and time, in UTC so that it is the same everywhere.
static uint32_t dos_time(int64_t ms) {
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    if (ms <= 0 || !gmtime_r(&t, &tm) || tm.tm_year < 80 || tm.tm_year > 207) return 0x00210000; // the first of January 1980
    uint32_t date = (uint32_t)(tm.tm_year - 80) << 9 | (uint32_t)(tm.tm_mon + 1) << 5 | (uint32_t)tm.tm_mday;
    return date << 16 | (uint32_t)tm.tm_hour << 11 | (uint32_t)tm.tm_min << 5 | (uint32_t)tm.tm_sec / 2;
}

static bool large(const struct instance_ref *ref) {
    return ref->loc.length >= MAX_32;
}

static size_t local_extra(const struct instance_ref *ref) {
    return large(ref) ? 4 + 16 : 0;
}

static size_t central_extra(const struct instance_ref *ref, uint64_t offset) {
    size_t n = (large(ref) ? 16 : 0) + (offset >= MAX_32 ? 8 : 0);
    return n ? 4 + n : 0;
}

// What both kinds of header have, from "version needed" to the length of the extra field.
static void put_facts(struct writer *w, const struct instance_ref *ref, uint32_t crc, size_t name_n, size_t extra_n) {
    uint64_t size = at_most(ref->loc.length, MAX_32);
    put(w, extra_n ? VERSION_64 : VERSION, 2);
    put(w, 0, 2); // flags: names are ASCII
    put(w, 0, 2); // stored
    put(w, dos_time(ref->received_ms), 4);
    put(w, crc, 4);
    put(w, size, 4);
    put(w, size, 4);
    put(w, name_n, 2);
    put(w, extra_n, 2);
}

// Of pieces: local headers and objects in turn, then the central headers, then the end.
struct zip {
    struct instance_list list;
    uint64_t *offsets; // of the local headers
};

static bool write_local(struct dw_body *b, size_t piece, char *to, size_t length, struct err *e) {
    const struct instance_ref *ref = b->pieces[piece + 1].ref;
    struct writer w = {0};
    char name[DW_ENTRY_NAME];
    size_t name_n = dw_entry_name(ref, name);
    uint32_t crc;
    (void)length;
    w.to = to;
    if (!crc_of(b->archive, ref, &crc, e)) return false;
    put(&w, 0x04034b50, 4);
    put_facts(&w, ref, crc, name_n, local_extra(ref));
    put_bytes(&w, name, name_n);
    if (!large(ref)) return true;
    put(&w, 1, 2);
    put(&w, 16, 2);
    put(&w, ref->loc.length, 8);
    put(&w, ref->loc.length, 8);
    return true;
}

static bool write_central(struct dw_body *b, size_t piece, char *to, size_t length, struct err *e) {
    const struct zip *z = b->context;
    size_t i = piece - 2 * z->list.count;
    const struct instance_ref *ref = &z->list.refs[i];
    struct writer w = {0};
    char name[DW_ENTRY_NAME];
    size_t name_n = dw_entry_name(ref, name), extra_n = central_extra(ref, z->offsets[i]);
    uint32_t crc;
    (void)length;
    w.to = to;
    if (!crc_of(b->archive, ref, &crc, e)) return false;
    put(&w, 0x02014b50, 4);
    put(&w, 3 << 8 | VERSION_64, 2); // made by: Unix, so that the mode below counts
    put_facts(&w, ref, crc, name_n, extra_n);
    put(&w, 0, 2);                // comment
    put(&w, 0, 2);                // disk
    put(&w, 0, 2);                // internal attributes
    put(&w, 0100644ULL << 16, 4); // a file that its owner may write
    put(&w, at_most(z->offsets[i], MAX_32), 4);
    put_bytes(&w, name, name_n);
    if (extra_n) {
        put(&w, 1, 2);
        put(&w, extra_n - 4, 2);
    }
    if (large(ref)) {
        put(&w, ref->loc.length, 8);
        put(&w, ref->loc.length, 8);
    }
    if (z->offsets[i] >= MAX_32) put(&w, z->offsets[i], 8);
    return true;
}

static bool add_end(struct dw_body *b, uint64_t count, uint64_t from, struct err *e) {
    char *to = arena_alloc(b->arena, END64_BYTES + END_BYTES, e);
    uint64_t size = b->length - from, end = b->length;
    if (!to) return false;
    struct writer w = {to, 0};
    if (count >= MAX_16 || size >= MAX_32 || from >= MAX_32) {
        put(&w, 0x06064b50, 4);
        put(&w, 44, 8);
        put(&w, 3 << 8 | VERSION_64, 2);
        put(&w, VERSION_64, 2);
        put(&w, 0, 8); // this disk, the one where the directory begins
        put(&w, count, 8);
        put(&w, count, 8);
        put(&w, size, 8);
        put(&w, from, 8);
        put(&w, 0x07064b50, 4);
        put(&w, 0, 4);
        put(&w, end, 8);
        put(&w, 1, 4);
    }
    put(&w, 0x06054b50, 4);
    put(&w, 0, 4);
    put(&w, at_most(count, MAX_16), 2);
    put(&w, at_most(count, MAX_16), 2);
    put(&w, at_most(size, MAX_32), 4);
    put(&w, at_most(from, MAX_32), 4);
    put(&w, 0, 2);
    dw_body_text(b, (struct str){to, w.n});
    return true;
}

bool dw_zip_body(struct dw_body *b, struct arena *a, struct archive *ar, const struct instance_list *list, struct err *e) {
    char name[DW_ENTRY_NAME];
    struct zip *z = arena_zero(a, 1, sizeof *z, e);
    if (!z || !dw_body_init(b, a, ar, 3 * list->count + 1, e)) return false;
    *z = (struct zip){*list, arena_zero(a, list->count, sizeof *z->offsets, e)};
    if (!z->offsets) return false;
    b->context = z;
    for (size_t i = 0; i < list->count; i++) {
        const struct instance_ref *ref = &list->refs[i];
        z->offsets[i] = b->length;
        dw_body_add(b, &(struct dw_piece){.kind = DW_MADE, .make = write_local, .length = LOCAL_BYTES + dw_entry_name(ref, name) + local_extra(ref)});
        dw_body_object(b, ref, 0, ref->loc.length);
    }
    uint64_t from = b->length;
    for (size_t i = 0; i < list->count; i++) {
        const struct instance_ref *ref = &list->refs[i];
        uint64_t n = CENTRAL_BYTES + dw_entry_name(ref, name) + central_extra(ref, z->offsets[i]);
        dw_body_add(b, &(struct dw_piece){.kind = DW_MADE, .make = write_central, .length = n});
    }
    return add_end(b, list->count, from, e);
}

// Encryption at rest: what can be read without keys, what a wrong one does, and that keys can be changed, lost and destroyed as they are meant to be.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "fake_bucket.h"
#include "store/seal.h"
#include "store/set.h"
#include "sys/cipher.h"
#include "sys/digest.h"

enum { OBJECTS = 5 };

struct fixture {
    char dir[64], old_key[96], new_key[96];
    const char *masters[2];
    struct vol_encryption encryption;
    struct vol_set *vs;
    struct err e;
    struct vol_put puts[OBJECTS];
    char sops[OBJECTS][32];
    char *bytes[OBJECTS];
    size_t sizes[OBJECTS];
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/gantry-sealed-XXXXXX");
    if (!mkdtemp(f->dir)) return -1;
    snprintf(f->old_key, sizeof f->old_key, "%s/old.key", f->dir);
    snprintf(f->new_key, sizeof f->new_key, "%s/new.key", f->dir);
    if (!vol_master_new(f->old_key, NULL) || !vol_master_new(f->new_key, NULL)) return -1;
    f->masters[0] = f->old_key;
    f->encryption = (struct vol_encryption){.masters = f->masters, .master_count = 1};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    char command[128];
    vol_close(f->vs);
    for (unsigned i = 0; i < OBJECTS; i++) free(f->bytes[i]);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    int code = system(command);
    free(f);
    return code;
}

static bool try_open(struct fixture *f, bool read_only) {
    const struct vol_options o = {.dir = f->dir, .volume_bytes = 4 << 20, .own_volume_bytes = 1 << 20, .encryption = &f->encryption, .read_only = read_only};
    f->e = (struct err){0};
    return vol_open(&o, &f->vs, &f->e);
}

static void open_set(struct fixture *f) {
    if (!try_open(f, false)) fail_msg("%s", f->e.message);
}

static void close_set(struct fixture *f) {
    vol_close(f->vs);
    f->vs = NULL;
}

static void fill_object(struct fixture *f, unsigned i, size_t n) {
    f->sizes[i] = n;
    f->bytes[i] = realloc(f->bytes[i], n + 1);
    for (size_t k = 0; k < n; k++) f->bytes[i][k] = (char)("Wang^XiaoDong=patient"[k % 21] + (k / 65536 % 3));
    snprintf(f->sops[i], sizeof f->sops[i], "1.2.840.99.%u", i);
    f->puts[i] = (struct vol_put){.entry = {.kind = VOL_OBJECT,
                                            .study = STR_LIT("1.2.840.77"),
                                            .series = STR_LIT("1.2.840.88"),
                                            .sop = str_of(f->sops[i]),
                                            .ts = STR_LIT("1.2.840.10008.1.2.1"),
                                            .source = STR_LIT("SECRET_CT@10.0.0.5"),
                                            .note = STR_LIT("note of Wang"),
                                            .received_ms = 1700000000000},
                                  .head = f->bytes[i],
                                  .head_n = n};
    assert_true(digest_of(f->bytes[i], n, f->puts[i].entry.digest, NULL));
}

static void store_one(struct fixture *f, unsigned i, size_t n) {
    fill_object(f, i, n);
    if (!vol_append(f->vs, &f->puts[i], &f->e)) fail_msg("%s", f->e.message);
}

// Of sizes at the edges of segments, and one large enough for a volume of its own.
static void store_all(struct fixture *f) {
    static const size_t sizes[OBJECTS] = {100, SEAL_SEGMENT, SEAL_SEGMENT + 1, 3 * SEAL_SEGMENT - 1, 17 << 20};
    for (unsigned i = 0; i < OBJECTS; i++) store_one(f, i, sizes[i]);
}

static bool reads_from(struct vol_set *vs, struct fixture *f, unsigned i) {
    size_t n = f->sizes[i], skip = n > 70000 ? 65530 : n / 2;
    char *back = malloc(n + 1);
    bool ok = vol_read_at(vs, f->puts[i].entry.loc, 0, back, n, &f->e) && memcmp(back, f->bytes[i], n) == 0;
    ok = ok && vol_read_at(vs, f->puts[i].entry.loc, skip, back, n - skip, &f->e) && memcmp(back, f->bytes[i] + skip, n - skip) == 0;
    free(back);
    return ok && vol_verify(vs, &f->puts[i].entry, &f->e);
}

static bool reads(struct fixture *f, unsigned i) {
    return reads_from(f->vs, f, i);
}

static void assert_all_there(struct fixture *f) {
    for (unsigned i = 0; i < OBJECTS; i++)
        if (f->sizes[i] && !reads(f, i)) fail_msg("object %u: %s", i, f->e.message);
}

static int shell(struct fixture *f, const char *command) {
    char line[1024];
    snprintf(line, sizeof line, "cd %s && %s", f->dir, command);
    return system(line);
}

static FILE *volume_of(struct fixture *f, uint32_t volume, const char *how) {
    char path[128];
    snprintf(path, sizeof path, "%s/volumes/v%08u.tar", f->dir, volume);
    chmod(path, 0640);
    FILE *file = fopen(path, how);
    assert_non_null(file);
    return file;
}

static void change_byte(struct fixture *f, uint32_t volume, uint64_t at) {
    FILE *file = volume_of(f, volume, "r+b");
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    int c = fgetc(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    fputc(c ^ 1, file);
    assert_int_equal(fclose(file), 0);
}

// ---- ciphers ----

static void from_hex(const char *hex, uint8_t *out) {
    assert_true(hex_decode(hex, strlen(hex) / 2, out));
}

struct vector {
    enum cipher_kind kind;
    const char *key, *nonce, *aad, *plain, *cipher, *tag;
};
static const struct vector VECTORS[] = {
    // McGrew and Viega, The Galois/Counter Mode of Operation, test case 16
    {CIPHER_AES_256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    // RFC 8998 A.1
    {CIPHER_SM4_GCM, "0123456789abcdeffedcba9876543210", "00001234567800000000abcd", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
     "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
     "83de3541e4c2b58177e065a9bf7b62ec"},
};

static void ciphers_give_what_their_standards_say(void **state) {
    (void)state;
    for (size_t v = 0; v < sizeof VECTORS / sizeof *VECTORS; v++) {
        uint8_t key[32], nonce[12], aad[64], plain[128], cipher[128], out[128], tag[16], wanted[16];
        size_t n = strlen(VECTORS[v].plain) / 2, aad_n = strlen(VECTORS[v].aad) / 2;
        from_hex(VECTORS[v].key, key), from_hex(VECTORS[v].nonce, nonce), from_hex(VECTORS[v].aad, aad);
        from_hex(VECTORS[v].plain, plain), from_hex(VECTORS[v].cipher, cipher), from_hex(VECTORS[v].tag, wanted);
        for (size_t cut = 0; cut <= n; cut += 7) { // in pieces of any size
            struct cipher *c = cipher_new(VECTORS[v].kind, key, true, NULL);
            assert_true(c && cipher_begin(c, nonce, aad, aad_n, NULL) && cipher_add(c, plain, cut, out, NULL) &&
                        cipher_add(c, plain + cut, n - cut, out + cut, NULL) && cipher_end(c, tag, NULL));
            assert_memory_equal(out, cipher, n);
            assert_memory_equal(tag, wanted, sizeof tag);
            cipher_free(c);
            c = cipher_new(VECTORS[v].kind, key, false, NULL);
            assert_true(cipher_begin(c, nonce, aad, aad_n, NULL) && cipher_add(c, cipher, n, out, NULL) && cipher_end(c, tag, NULL));
            assert_memory_equal(out, plain, n);
            tag[15] ^= 1;
            assert_true(cipher_begin(c, nonce, aad, aad_n, NULL) && cipher_add(c, cipher, n, out, NULL));
            assert_false(cipher_end(c, tag, NULL));
            cipher_free(c);
        }
    }
}

static void lengths_and_their_segments_tell_of_each_other(void **state) {
    (void)state;
    static const uint64_t lengths[] = {0, 1, 16, 17, SEAL_SEGMENT - 1, SEAL_SEGMENT, SEAL_SEGMENT + 1, 10 * SEAL_SEGMENT, 1ULL << 36};
    uint64_t back;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_true(seal_length(seal_bytes(lengths[i]), &back));
        assert_true(back == lengths[i]);
    }
    for (uint64_t n = 1; n <= CIPHER_TAG_BYTES; n++) {
        assert_false(seal_length(n, &back));
        assert_false(seal_length(3 * SEAL_UNIT + n, &back));
    }
}

// ---- what is there to be read ----

static void nothing_of_an_object_or_its_names_can_be_read_without_the_key(void **state) {
    struct fixture *f = *state;
    open_set(f);
    store_all(f);
    assert_all_there(f);
    assert_int_not_equal(shell(f, "grep -aqE 'Wang|1\\.2\\.840|SECRET_CT|object|sha256' -r volumes staging"), 0);
    assert_int_equal(
        shell(f, "for v in volumes/*.tar; do tar tf $v > list 2> err && test ! -s err || exit 1; grep -v '^sealed/[0-9a-f]*$' list && exit 1; done; true"), 0);
    assert_int_equal(shell(f, "test $(stat -c %a keys/k00000001.key) = 600"), 0);
    for (unsigned i = 0; i < OBJECTS; i++) assert_true(vol_is_encrypted(f->puts[i].entry.loc));
}

static void the_same_object_over_a_torn_tail_is_encrypted_otherwise(void **state) {
    struct fixture *f = *state;
    unsigned char first[4096], again[4096];
    open_set(f);
    store_one(f, 0, 4000);
    uint64_t at = f->puts[0].entry.loc.offset;
    close_set(f);
    FILE *file = volume_of(f, 1, "r+b");
    assert_true(fseek(file, (long)at, SEEK_SET) == 0 && fread(first, 1, 4000, file) == 4000);
    assert_true(fseek(file, (long)at - 700, SEEK_SET) == 0 && fputc('x', file) == 'x' && fclose(file) == 0); // torn: nobody was told of it
    open_set(f);
    store_one(f, 0, 4000);
    assert_int_equal(f->puts[0].entry.loc.offset, at);
    file = volume_of(f, 1, "rb");
    assert_true(fseek(file, (long)at, SEEK_SET) == 0 && fread(again, 1, 4000, file) == 4000 && fclose(file) == 0);
    size_t same = 0;
    for (unsigned i = 0; i < 4000; i++) same += first[i] == again[i];
    assert_true(same < 100); // one of 256 by chance
    assert_true(reads(f, 0));
}

static void bytes_that_were_changed_cut_or_put_elsewhere_do_not_open(void **state) {
    struct fixture *f = *state;
    open_set(f);
    store_all(f);
    close_set(f);
    struct vol_loc loc = f->puts[3].entry.loc;
    uint64_t places[] = {loc.offset, loc.offset + SEAL_SEGMENT, loc.offset + seal_bytes(loc.length) - 1, loc.offset - 1, loc.offset - 60};
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        change_byte(f, loc.volume, places[i]);
        assert_true(try_open(f, true));
        assert_false(reads(f, 3));
        assert_int_equal(f->e.kind, ERR_CORRUPT);
        assert_true(reads(f, 2));
        close_set(f);
        change_byte(f, loc.volume, places[i]);
    }
    // Its first segment in the place of the second, and the other way round.
    FILE *file = volume_of(f, loc.volume, "r+b");
    static unsigned char a[SEAL_UNIT], b[SEAL_UNIT];
    assert_true(fseek(file, (long)loc.offset, SEEK_SET) == 0 && fread(a, 1, SEAL_UNIT, file) == SEAL_UNIT && fread(b, 1, SEAL_UNIT, file) == SEAL_UNIT);
    assert_true(fseek(file, (long)loc.offset, SEEK_SET) == 0 && fwrite(b, 1, SEAL_UNIT, file) == SEAL_UNIT && fwrite(a, 1, SEAL_UNIT, file) == SEAL_UNIT);
    assert_int_equal(fclose(file), 0);
    assert_true(try_open(f, true));
    assert_false(reads(f, 3));
    assert_int_equal(f->e.kind, ERR_CORRUPT);
    // As if it were shorter, by whole segments.
    struct vol_loc shorter = f->puts[2].entry.loc;
    char back[8];
    shorter.length = SEAL_SEGMENT;
    assert_false(vol_read_at(f->vs, shorter, 0, back, 8, &f->e));
    assert_int_equal(f->e.kind, ERR_CORRUPT);
}

// ---- keys that are wrong, lost, changed ----

static void without_its_key_nothing_is_taken_for_damaged_and_nothing_is_changed(void **state) {
    struct fixture *f = *state;
    const char *right = f->masters[0];
    open_set(f);
    for (unsigned i = 0; i < 3; i++) store_one(f, i, 50000);
    close_set(f);
    assert_int_equal(shell(f, "cat volumes/* keys/* | sha256sum > before"), 0);
    f->masters[0] = f->new_key; // another one
    assert_false(try_open(f, false));
    assert_int_equal(f->e.kind, ERR_BUSY);
    assert_non_null(strstr(f->e.message, "which is not given"));
    f->encryption.master_count = 0;
    assert_false(try_open(f, false));
    assert_non_null(strstr(f->e.message, "master-key"));
    f->encryption.master_count = 1;
    f->masters[0] = right;
    assert_int_equal(shell(f, "mv keys lost-keys"), 0);
    assert_false(try_open(f, false));
    assert_non_null(strstr(f->e.message, "its key is not there"));
    assert_int_equal(shell(f, "mv lost-keys keys"), 0);
    // Another archive's keys, under the same master key.
    assert_int_equal(shell(f, "mkdir other && mv volumes other/ && mv keys other/"), 0);
    open_set(f);
    store_one(f, 3, 100);
    close_set(f);
    assert_int_equal(shell(f, "mv keys wrong && rm -r volumes && mv other/volumes other/keys . && mv keys right && mv wrong keys"), 0);
    assert_false(try_open(f, false));
    assert_int_equal(f->e.kind, ERR_BUSY);
    assert_non_null(strstr(f->e.message, "another key"));
    assert_int_equal(shell(f, "rm -r keys && mv right keys && cat volumes/* keys/* | sha256sum | cmp - before"), 0);
    f->sizes[3] = 0;
    open_set(f);
    assert_all_there(f);
}

static void either_copy_of_the_keys_will_do(void **state) {
    struct fixture *f = *state;
    open_set(f);
    store_one(f, 0, 100);
    close_set(f);
    assert_int_equal(shell(f, "echo broken > keys/k00000001.key"), 0);
    open_set(f);
    assert_true(reads(f, 0));
    close_set(f);
    assert_int_equal(shell(f, "rm keys/k00000001.key"), 0);
    open_set(f);
    assert_true(reads(f, 0));
    struct vol_key_report r;
    assert_true(vol_keys_rotate(f->vs, &r, &f->e)); // makes it whole
    close_set(f);
    assert_int_equal(shell(f, "test -s keys/k00000001.key"), 0);
    open_set(f);
    assert_true(reads(f, 0));
}

static void keys_go_under_a_new_master_key_and_the_old_one_opens_nothing_more(void **state) {
    struct fixture *f = *state;
    struct vol_key_report r;
    open_set(f);
    store_all(f);
    close_set(f);
    f->masters[0] = f->new_key, f->masters[1] = f->old_key, f->encryption.master_count = 2;
    open_set(f);
    assert_all_there(f);
    if (!vol_keys_rotate(f->vs, &r, &f->e)) fail_msg("%s", f->e.message);
    assert_int_equal(r.rewrapped, r.runs);
    if (!vol_keys_rotate(f->vs, &r, &f->e)) fail_msg("%s", f->e.message);
    assert_int_equal(r.rewrapped, 0);
    close_set(f);
    f->encryption.master_count = 1;
    open_set(f);
    assert_all_there(f);
    close_set(f);
    f->masters[0] = f->old_key;
    assert_false(try_open(f, false));
}

static void a_volume_that_was_removed_cannot_be_read_from_a_copy_either(void **state) {
    struct fixture *f = *state;
    open_set(f);
    store_all(f);
    uint32_t large = f->puts[4].entry.loc.volume;
    char command[256];
    snprintf(command, sizeof command, "cp volumes/v%08u.tar copy.tar", large);
    assert_int_equal(shell(f, command), 0);
    if (!vol_remove(f->vs, large, &f->e)) fail_msg("%s", f->e.message);
    close_set(f);
    snprintf(command, sizeof command, "cp copy.tar volumes/v%08u.tar", large);
    assert_int_equal(shell(f, command), 0);
    assert_true(try_open(f, true));
    char back[8];
    assert_false(vol_read_at(f->vs, f->puts[4].entry.loc, 0, back, 8, &f->e));
    assert_int_equal(f->e.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(f->e.message, "destroyed"));
    assert_true(reads(f, 0));
}

static void destroying_all_keys_leaves_nothing_to_be_read(void **state) {
    struct fixture *f = *state;
    struct vol_key_report r;
    open_set(f);
    store_one(f, 0, 5000);
    assert_true(vol_keys_erase(f->vs, &r, &f->e));
    close_set(f);
    assert_false(try_open(f, false));
    assert_non_null(strstr(f->e.message, "its key is not there"));
}

static void a_master_key_that_others_may_read_is_refused(void **state) {
    struct fixture *f = *state;
    chmod(f->old_key, 0644);
    assert_false(try_open(f, false));
    assert_int_equal(f->e.kind, ERR_FORBIDDEN);
    chmod(f->old_key, 0600);
    FILE *file = fopen(f->old_key, "w");
    fputs("short\n", file);
    fclose(file);
    assert_false(try_open(f, false));
    assert_int_equal(f->e.kind, ERR_USAGE);
    assert_false(vol_master_new(f->old_key, &f->e)); // nothing is written over
}

// ---- in the open ----

struct file_out {
    FILE *file;
};

static bool write_out(void *ctx, const void *p, size_t n, struct err *e) {
    (void)e;
    return fwrite(p, 1, n, ((struct file_out *)ctx)->file) == n;
}

static void an_exported_volume_is_one_that_was_never_encrypted(void **state) {
    struct fixture *f = *state;
    uint32_t *volumes;
    size_t n;
    uint64_t entries, damaged, all = 0;
    char path[128];
    open_set(f);
    store_all(f);
    assert_int_equal(shell(f, "mkdir -p plain/volumes"), 0);
    assert_true(vol_list(f->vs, &volumes, &n, &f->e));
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/plain/volumes/v%08u.tar", f->dir, volumes[i]);
        struct file_out out = {fopen(path, "wb")};
        if (!vol_export(f->vs, volumes[i], write_out, &out, &entries, &damaged, &f->e)) fail_msg("%s", f->e.message);
        fclose(out.file);
        assert_int_equal(damaged, 0);
        all += entries;
    }
    free(volumes);
    assert_int_equal(all, OBJECTS);
    close_set(f);
    assert_int_equal(shell(f, "cd plain && for v in volumes/*.tar; do tar xf $v || exit 1; done; test $(find 1.2.840.77 -name '*.dcm' | wc -l) = 5"), 0);
    for (unsigned i = 0; i < OBJECTS; i++) {
        char name[160];
        snprintf(name, sizeof name, "%s/plain/1.2.840.77/1.2.840.88/%s.dcm", f->dir, f->sops[i]);
        FILE *file = fopen(name, "rb");
        char *back = malloc(f->sizes[i] + 1);
        assert_non_null(file);
        assert_int_equal(fread(back, 1, f->sizes[i] + 1, file), f->sizes[i]);
        assert_memory_equal(back, f->bytes[i], f->sizes[i]);
        fclose(file);
        free(back);
    }
}

static void volumes_are_built_anew_into_the_open_and_back(void **state) {
    struct fixture *f = *state;
    for (int round = 0; round < 3; round++) {
        struct vol_build *b;
        struct vol_info info;
        f->encryption.plain = round == 1;
        open_set(f);
        if (round == 0) store_all(f);
        assert_true(vol_build_open(f->vs, &b, &f->e));
        for (unsigned i = 0; i < OBJECTS; i++) {
            struct vol_loc to;
            if (!vol_build_add(b, &f->puts[i].entry, &to, &f->e)) fail_msg("%s", f->e.message);
            f->puts[i].entry.loc = to;
        }
        if (!vol_build_finish(b, &info, &f->e)) fail_msg("%s", f->e.message);
        vol_build_drop(b);
        assert_all_there(f);
        assert_int_equal(vol_is_encrypted(f->puts[0].entry.loc), round != 1);
        close_set(f);
    }
}

static void a_volume_is_copied_to_another_set_with_its_key_under_that_one_s_master(void **state) {
    struct fixture *f = *state;
    struct vol_info info;
    struct vol_set *other;
    char dir[96];
    const char *masters[] = {f->new_key};
    const struct vol_encryption theirs = {.masters = masters, .master_count = 1};
    open_set(f);
    store_all(f);
    snprintf(dir, sizeof dir, "%s/other", f->dir);
    struct vol_options o = {.dir = dir, .encryption = &theirs};
    if (!vol_open(&o, &other, &f->e)) fail_msg("%s", f->e.message);
    if (!vol_copy(other, f->vs, 1, f->puts[3].entry.end, &info, &f->e)) fail_msg("%s", f->e.message);
    close_set(f);
    for (unsigned i = 0; i < 4; i++) assert_true(reads_from(other, f, i));
    vol_close(other);
    o.encryption = NULL;
    assert_false(vol_open(&o, &other, &f->e)); // it would go on in the open
    assert_non_null(strstr(f->e.message, "the archive is encrypted"));
    snprintf(dir, sizeof dir, "%s/third", f->dir);
    assert_true(vol_open(&o, &other, &f->e));
    open_set(f);
    assert_false(vol_copy(other, f->vs, 1, VOL_WHOLE, &info, &f->e)); // nowhere to keep its key
    assert_non_null(strstr(f->e.message, "no master key"));
    vol_close(other);
}

// ---- several nodes ----

static void keys_of_a_bucket_are_found_by_every_node_and_by_the_bucket_alone(void **state) {
    struct fixture *f = *state;
    static struct fake_bucket bucket;
    static struct fake_index index;
    char dirs[3][96];
    struct vol_set *nodes[3];
    fake_bucket_init(&bucket);
    fake_index_init(&index);
    const struct vol_remote remote = {.prefix = "p/", .bucket = &bucket.ops, .small_bytes = 20000};
    for (int i = 0; i < 2; i++) {
        snprintf(dirs[i], sizeof dirs[i], "%s/node%d", f->dir, i);
        const struct vol_options o = {.dir = dirs[i], .remote = &remote, .index = fake_index_of(&index), .encryption = &f->encryption};
        if (!vol_open(&o, &nodes[i], &f->e)) fail_msg("%s", f->e.message);
    }
    static const size_t sizes[OBJECTS] = {100, 5000, SEAL_SEGMENT + 5, 300000, 17 << 20}; // the first two are kept in the index
    for (unsigned i = 0; i < OBJECTS; i++) {
        fill_object(f, i, sizes[i]);
        if (!vol_append(nodes[i % 2], &f->puts[i], &f->e)) fail_msg("%s", f->e.message);
    }
    for (unsigned i = 0; i < OBJECTS; i++)
        for (int n = 0; n < 2; n++)
            if (!reads_from(nodes[n], f, i)) fail_msg("object %u by node %d: %s", i, n, f->e.message);
    assert_int_not_equal(shell(f, "grep -aqE 'Wang|1\\.2\\.840' -r node0 node1"), 0);
    vol_close(nodes[0]);
    vol_close(nodes[1]);
    fake_index_lose_keys(&index);
    snprintf(dirs[2], sizeof dirs[2], "%s/node2", f->dir);
    const struct vol_options o = {.dir = dirs[2], .remote = &remote, .index = fake_index_of(&index), .encryption = &f->encryption};
    if (!vol_open(&o, &nodes[2], &f->e)) fail_msg("%s", f->e.message);
    for (unsigned i = 2; i < OBJECTS; i++)
        if (!reads_from(nodes[2], f, i)) fail_msg("object %u by the bucket alone: %s", i, f->e.message);
    vol_close(nodes[2]);
    fake_index_deinit(&index);
    fake_bucket_deinit(&bucket);
}

static void small_groups_are_encrypted_while_the_bucket_is_away(void **state) {
    struct fixture *f = *state;
    static struct fake_bucket bucket;
    static struct fake_index index;
    fake_bucket_init(&bucket);
    fake_index_init(&index);
    bucket.silent = true;
    const struct vol_remote remote = {.prefix = "p/", .bucket = &bucket.ops, .small_bytes = 200000};
    const struct vol_options o = {.dir = f->dir, .remote = &remote, .index = fake_index_of(&index), .encryption = &f->encryption};
    if (!vol_open(&o, &f->vs, &f->e)) fail_msg("%s", f->e.message);
    for (unsigned i = 0; i < 4; i++) {
        store_one(f, i, 1000 * (i + 1));
        assert_true(reads(f, i));
    }
    close_set(f);
    fake_index_deinit(&index);
    fake_bucket_deinit(&bucket);
}

// ---- a token ----

static const char *find_module(void) {
    static const char *const places[] = {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                                         "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"};
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], R_OK) == 0) return places[i];
    return NULL;
}

static void a_master_key_stays_in_its_token(void **state) {
    struct fixture *f = *state;
    const char *module = find_module();
    char conf[96], uri[512];
    struct vol_key_report r;
    if (!module || system("softhsm2-util --version >/dev/null 2>&1") != 0) skip();
    assert_int_equal(shell(f, "mkdir tokens && echo \"directories.tokendir = $PWD/tokens\" > hsm.conf && echo 1234 > pin && chmod 600 pin && "
                              "tr -dc a-zA-Z0-9 < /dev/urandom | head -c 32 > aes && export SOFTHSM2_CONF=$PWD/hsm.conf && "
                              "softhsm2-util --init-token --free --label 'gantry test' --so-pin 4321 --pin 1234 >/dev/null && "
                              "softhsm2-util --import aes --aes --token 'gantry test' --label master --id 01 --pin 1234 >/dev/null && rm aes"),
                     0);
    snprintf(conf, sizeof conf, "%s/hsm.conf", f->dir);
    setenv("SOFTHSM2_CONF", conf, 1);
    snprintf(uri, sizeof uri, "pkcs11:token=gantry%%20test;object=master?module-path=%s&pin-source=file:%s/pin", module, f->dir);
    f->masters[0] = uri;
    open_set(f);
    store_all(f);
    close_set(f);
    open_set(f);
    assert_all_there(f);
    close_set(f);
    // From the token to a file and back.
    for (int i = 0; i < 2; i++) {
        f->masters[0] = i ? uri : f->new_key, f->masters[1] = i ? f->new_key : uri, f->encryption.master_count = 2;
        open_set(f);
        if (!vol_keys_rotate(f->vs, &r, &f->e)) fail_msg("%s", f->e.message);
        assert_int_equal(r.rewrapped, r.runs);
        close_set(f);
    }
    f->encryption.master_count = 1;
    open_set(f);
    assert_all_there(f);
    close_set(f);
    assert_int_equal(shell(f, "echo 9999 > pin"), 0);
    assert_false(try_open(f, false));
    assert_int_equal(f->e.kind, ERR_UNAUTHORIZED);
    assert_int_equal(shell(f, "echo 1234 > pin"), 0);
    snprintf(uri, sizeof uri, "pkcs11:token=gantry%%20test;object=none?module-path=%s&pin-source=file:%s/pin", module, f->dir);
    assert_false(try_open(f, false));
    assert_int_equal(f->e.kind, ERR_NOT_FOUND);
}

static void uris_of_tokens_that_say_too_little_or_too_much_are_refused(void **state) {
    struct fixture *f = *state;
    static const char *const BAD[] = {"pkcs11:token=a?module-path=/x.so",
                                      "pkcs11:object=a?module-path=/x.so",
                                      "pkcs11:token=a;object=b",
                                      "pkcs11:token=a;object=b?module-path=/x.so&pin-value=1234",
                                      "pkcs11:token=%4;object=b?module-path=/x.so",
                                      "pkcs11:token=%zz;object=b?module-path=/x.so",
                                      "pkcs11:token=a;object=b;type=private?module-path=/x.so",
                                      "pkcs11:token=a;object=b?module-path=/x.so&pin-source=env:NO_SUCH_NAME",
                                      "pkcs11:token=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;object=b?module-path=/x.so"};
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        f->masters[0] = BAD[i];
        assert_false(try_open(f, false));
        assert_int_equal(f->e.kind, ERR_USAGE);
    }
    f->masters[0] = "pkcs11:token=a;object=b?module-path=/no/such/module.so";
    assert_false(try_open(f, false));
    assert_int_equal(f->e.kind, ERR_NOT_FOUND);
}

int main(void) {
    log_set_level(LOG_ERROR + 1); // the failures are asked for
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ciphers_give_what_their_standards_say),
        cmocka_unit_test(lengths_and_their_segments_tell_of_each_other),
        T(nothing_of_an_object_or_its_names_can_be_read_without_the_key),
        T(the_same_object_over_a_torn_tail_is_encrypted_otherwise),
        T(bytes_that_were_changed_cut_or_put_elsewhere_do_not_open),
        T(without_its_key_nothing_is_taken_for_damaged_and_nothing_is_changed),
        T(either_copy_of_the_keys_will_do),
        T(keys_go_under_a_new_master_key_and_the_old_one_opens_nothing_more),
        T(a_volume_that_was_removed_cannot_be_read_from_a_copy_either),
        T(destroying_all_keys_leaves_nothing_to_be_read),
        T(a_master_key_that_others_may_read_is_refused),
        T(an_exported_volume_is_one_that_was_never_encrypted),
        T(volumes_are_built_anew_into_the_open_and_back),
        T(a_volume_is_copied_to_another_set_with_its_key_under_that_one_s_master),
        T(keys_of_a_bucket_are_found_by_every_node_and_by_the_bucket_alone),
        T(small_groups_are_encrypted_while_the_bucket_is_away),
        T(a_master_key_stays_in_its_token),
        T(uris_of_tokens_that_say_too_little_or_too_much_are_refused),
    };
    return cmocka_run_group_tests_name("encryption", tests, NULL, NULL);
}

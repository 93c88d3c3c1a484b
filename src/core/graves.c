// Entries that tombstones name, read, found and remembered.
#include "core/graves.h"

#include <string.h>

#include "core/index.h"
#include "sys/digest.h"

enum { HEX = 2 * GRAVE_DIGEST_BYTES };

static bool read_name(const struct json *received, struct grave *out) {
    const struct str hex = json_text(received->next);
    out->named = json_to_i64(received, &out->received_ms) && hex.n == HEX && hex_decode(hex.p, GRAVE_DIGEST_BYTES, out->digest);
    return out->named;
}

bool grave_read(const struct json *v, struct grave *out, struct err *e) {
    int64_t n[3];
    const struct json *part = v->kind == JSON_ARRAY && (v->count == 4 || v->count == 6) ? v->first : NULL;
    bool ok = part;
    for (int i = 0; ok && i < 3; i++) {
        ok = part && json_to_i64(part, &n[i]) && n[i] >= 0 && (i > 0 || n[i] <= UINT32_MAX);
        if (ok) part = part->next;
    }
    if (!ok || !part) return err_set(e, ERR_CORRUPT, "index", "a tombstone names no place");
    *out = (struct grave){.loc = {(uint32_t)n[0], (uint64_t)n[1], (uint64_t)n[2]}, .sop = json_text(part)};
    return v->count == 4 || read_name(part->next, out) || err_set(e, ERR_CORRUPT, "index", "a tombstone names no entry");
}

void grave_write(struct json_writer *j, struct db_stmt *row) {
    char hex[HEX];
    const struct str digest = db_blob(row, 5);
    json_begin_array(j);
    for (int i = 0; i < 3; i++) json_int(j, db_int(row, i));
    json_str(j, db_text(row, 3));
    if (digest.n >= GRAVE_DIGEST_BYTES) {
        hex_encode((const uint8_t *)digest.p, GRAVE_DIGEST_BYTES, hex);
        json_int(j, db_int(row, 4));
        json_str(j, (struct str){hex, sizeof hex});
    }
    json_end_array(j);
}

#define NAME SQL_VALUES(SQL_T(g->sop), SQL_I(g->received_ms), SQL_B(g->digest, GRAVE_DIGEST_BYTES))

bool grave_find(struct db *w, const struct grave *g, struct vol_loc *out, struct err *e) {
    static const char WHERE_IT_LIES[] =
        "SELECT volume, \"offset\", length FROM instances WHERE sop_instance_uid = ?1 AND received_ms = ?2 AND substr(digest, 1, 16) = ?3 UNION ALL "
        "SELECT volume, \"offset\", length FROM conflicts WHERE sop_instance_uid = ?1 AND kind = 'bytes' AND received_ms = ?2 AND substr(digest, 1, 16) = ?3";
    int64_t row[3];
    bool found = false;
    *out = g->loc;
    if (!g->named) return true;
    if (!sql_one(w, WHERE_IT_LIES, NAME, row, 3, &found, e)) return false;
    if (found) *out = (struct vol_loc){(uint32_t)row[0], (uint64_t)row[1], (uint64_t)row[2]};
    return true;
}

bool grave_keep(struct db *w, const struct grave *g, struct err *e) {
    return !g->named || sql_run(w, "INSERT INTO graves (sop_instance_uid, received_ms, digest) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", NAME, e);
}

bool grave_forget(struct db *w, const struct grave *g, struct err *e) {
    return !g->named || sql_run(w, "DELETE FROM graves WHERE sop_instance_uid = ?1 AND received_ms = ?2 AND digest = ?3", NAME, e);
}

bool grave_of(struct db *d, const struct vol_entry *en, bool *dead, struct err *e) {
    int64_t one;
    return sql_one(d, "SELECT 1 FROM graves WHERE sop_instance_uid = ?1 AND received_ms = ?2 AND digest = ?3",
                   SQL_VALUES(SQL_T(en->sop), SQL_I(en->received_ms), SQL_B(en->digest, GRAVE_DIGEST_BYTES)), &one, 1, dead, e);
}

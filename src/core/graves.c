// Entries that tombstones name, read, found and remembered.
#include "core/graves.h"

#include <string.h>

#include "core/index.h"
#include "core/realm.h"
#include "sys/digest.h"

enum { HEX = 2 * GRAVE_DIGEST_BYTES };

static bool read_name(const struct json *received, struct grave *out) {
    const struct str hex = json_text(received->next);
    const struct json *tenant = received->next->next;
    out->named = json_to_i64(received, &out->received_ms) && hex.n == HEX && hex_decode(hex.p, GRAVE_DIGEST_BYTES, out->digest);
    out->of_tenant = tenant;
    out->tenant = json_text(tenant);
    return out->named && out->tenant.n <= REALM_PART_BYTES;
}

bool grave_read(const struct json *v, struct grave *out, struct err *e) {
    int64_t n[3];
    const struct json *part = v->kind == JSON_ARRAY && (v->count == 4 || v->count == 6 || v->count == 7) ? v->first : NULL;
    bool ok = part;
    for (int i = 0; ok && i < 3; i++) {
        ok = part && json_to_i64(part, &n[i]) && n[i] >= 0 && (i > 0 || n[i] <= UINT32_MAX);
        if (ok) part = part->next;
    }
    if (!ok || !part) return err_set(e, ERR_CORRUPT, "index", "a tombstone names no place");
    *out = (struct grave){.loc = {(uint32_t)n[0], (uint64_t)n[1], (uint64_t)n[2]}, .sop = json_text(part)};
    return v->count == 4 || read_name(part->next, out) || err_set(e, ERR_CORRUPT, "index", "a tombstone names no entry");
}

void grave_write(struct json_writer *j, struct db_stmt *row, bool of_tenant) {
    char hex[HEX];
    const struct str digest = db_blob(row, 5);
    json_begin_array(j);
    for (int i = 0; i < 3; i++) json_int(j, db_int(row, i));
    json_str(j, db_text(row, 3));
    if (digest.n >= GRAVE_DIGEST_BYTES) {
        hex_encode((const uint8_t *)digest.p, GRAVE_DIGEST_BYTES, hex);
        json_int(j, db_int(row, 4));
        json_str(j, (struct str){hex, sizeof hex});
        if (of_tenant) json_str(j, db_text(row, 6));
    }
    json_end_array(j);
}

// What tells entries of the same object and time apart, as the index keeps it: the digest, and the tenant behind a stroke.
struct name {
    uint8_t bytes[GRAVE_NAME_BYTES];
    size_t n;
};

static struct name name_of(const uint8_t *digest, bool of_tenant, struct str tenant) {
    struct name name = {.n = GRAVE_DIGEST_BYTES};
    memcpy(name.bytes, digest, GRAVE_DIGEST_BYTES);
    if (!of_tenant || tenant.n > REALM_PART_BYTES) return name;
    name.bytes[name.n++] = '/';
    if (tenant.n) memcpy(name.bytes + name.n, tenant.p, tenant.n);
    name.n += tenant.n;
    return name;
}

// Where it was is looked at first: in tombstones that name no tenant what lies elsewhere may be another's.
#define LIES_ELSEWHERE(t) "CASE WHEN " t ".volume = ?4 AND " t ".\"offset\" = ?5 THEN 0 ELSE 1 END"
#define WHERE_IT_LIES(and_tenant)                                                                                                                         \
    "SELECT i.volume, i.\"offset\", i.length, " LIES_ELSEWHERE(                                                                                           \
        "i") " FROM instances i JOIN series se ON se.id = i.series JOIN studies st ON st.id = "                                                           \
             "se.study JOIN realms r ON r.id = st.realm WHERE i.sop_instance_uid = ?1 AND i.received_ms = ?2 AND substr(i.digest, 1, 16) = ?3" and_tenant \
             " UNION ALL SELECT c.volume, c.\"offset\", c.length, " LIES_ELSEWHERE(                                                                       \
                 "c") " FROM conflicts c JOIN realms r ON r.id = c.realm WHERE "                                                                          \
                      "c.sop_instance_uid = ?1 AND c.kind = 'bytes' AND c.received_ms = ?2 AND substr(c.digest, 1, 16) = ?3" and_tenant " ORDER BY 4 LIMIT 1"

bool grave_find(struct db *w, const struct grave *g, struct vol_loc *out, struct err *e) {
    const struct sql_value values[] = {SQL_T(g->sop),        SQL_I(g->received_ms), SQL_B(g->digest, GRAVE_DIGEST_BYTES),
                                       SQL_I(g->loc.volume), SQL_I(g->loc.offset),  SQL_T(g->tenant)};
    int64_t row[3];
    bool found = false;
    *out = g->loc;
    if (!g->named) return true;
    if (!(g->of_tenant ? sql_one(w, WHERE_IT_LIES(" AND r.tenant = ?6"), values, 6, row, 3, &found, e)
                       : sql_one(w, WHERE_IT_LIES(""), values, 5, row, 3, &found, e)))
        return false;
    if (found) *out = (struct vol_loc){(uint32_t)row[0], (uint64_t)row[1], (uint64_t)row[2]};
    return true;
}

static bool change(struct db *w, const char *sql, const struct grave *g, struct err *e) {
    const struct name name = name_of(g->digest, g->of_tenant, g->tenant);
    return !g->named || sql_run(w, sql, SQL_VALUES(SQL_T(g->sop), SQL_I(g->received_ms), SQL_B(name.bytes, name.n)), e);
}

bool grave_keep(struct db *w, const struct grave *g, struct err *e) {
    return change(w, "INSERT INTO graves (sop_instance_uid, received_ms, digest) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", g, e);
}

bool grave_forget(struct db *w, const struct grave *g, struct err *e) {
    return change(w, "DELETE FROM graves WHERE sop_instance_uid = ?1 AND received_ms = ?2 AND digest = ?3", g, e);
}

bool grave_of(struct db *d, const struct vol_entry *en, bool *dead, struct err *e) {
    const struct name own = name_of(en->digest, true, realm_tenant(en->realm));
    int64_t one;
    return sql_one(d, "SELECT 1 FROM graves WHERE sop_instance_uid = ?1 AND received_ms = ?2 AND (digest = ?3 OR digest = ?4)",
                   SQL_VALUES(SQL_T(en->sop), SQL_I(en->received_ms), SQL_B(en->digest, GRAVE_DIGEST_BYTES), SQL_B(own.bytes, own.n)), &one, 1, dead, e);
}

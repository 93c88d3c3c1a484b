// The UID registry: look-ups, checks and new UIDs.
#include "dicom/uid.h"

#include <sys/random.h>

#include "base/limits.h"
#include "dicom/tables.h"

struct str dcm_uid_trim(struct str uid) {
    while (uid.n && (uid.p[uid.n - 1] == '\0' || uid.p[uid.n - 1] == ' ')) uid.n--;
    return uid;
}

static const struct dcm_uid_entry *search(const uint16_t *order, uint32_t count, bool keyword, struct str wanted) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct dcm_uid_entry *e = &dcm_uid_entries[order[middle]];
        int c = str_cmp(str_of(keyword ? e->keyword : e->uid), wanted);
        if (c == 0) return e;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct dcm_uid_entry *dcm_uid_find(struct str uid) {
    return search(dcm_uid_by_text, dcm_uid_count, false, dcm_uid_trim(uid));
}

const struct dcm_uid_entry *dcm_uid_find_keyword(struct str keyword) {
    return search(dcm_uid_by_keyword, dcm_uid_keyword_count, true, keyword);
}

const struct dcm_uid_entry *dcm_uid_all(size_t *n) {
    *n = dcm_uid_count;
    return dcm_uid_entries;
}

bool dcm_uid_valid(struct str uid, bool strict) {
    if (uid.n == 0 || uid.n > DCM_UID_MAX) return false;
    struct str rest = uid;
    while (rest.p) {
        struct str part = str_split(&rest, '.');
        if (part.n == 0 || (strict && part.n > 1 && part.p[0] == '0')) return false;
        for (size_t i = 0; i < part.n; i++) {
            if (part.p[i] < '0' || part.p[i] > '9') return false;
        }
    }
    return true;
}

void dcm_uid_of_uuid(const unsigned char uuid[16], char out[65]) {
    unsigned __int128 value = 0;
    for (size_t i = 0; i < 16; i++) value = value << 8 | uuid[i];
    char digits[40];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value);
    memcpy(out, "2.25.", 5);
    for (size_t i = 0; i < n; i++) out[5 + i] = digits[n - 1 - i];
    out[5 + n] = '\0';
}

bool dcm_uid_make(char out[65], struct err *e) {
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return err_errno(e, ERR_IO, "dicom", "no random bytes for a new UID");
    random[6] = (unsigned char)((random[6] & 0x0F) | 0x40); // RFC 9562 5.4: version 4,
    random[8] = (unsigned char)((random[8] & 0x3F) | 0x80); // variant 10
    dcm_uid_of_uuid(random, out);
    return true;
}

// Look-ups in the generated data dictionary: a hash by tag, binary search by keyword and by private creator.
#include "dicom/dict.h"

#include "dicom/tables.h"

enum { NO_ENTRY = 0xFFFF };

// scripts/gen_dicom_tables.py fills the slots with the same hash.
static uint32_t slot_of(uint32_t tag) {
    return (tag * 0x9E3779B1u) >> (32 - DCM_DICT_SLOTS_LOG2);
}

static const struct dcm_dict_entry group_length = {0, 0x0000FFFFu, {DCM_VR_UL}, 1, 1, 1, true, "GroupLength", "Group Length"};

// The groups in which the standard ever had repeating attributes: a quick no for all others.
static bool may_repeat(uint16_t group) {
    uint16_t high = group >> 8;
    return high == 0x50 || high == 0x60 || high == 0x7F || group == 0x0020 || group == 0x0028 || group == 0x1000 || group == 0x1010;
}

static const struct dcm_dict_entry *find_repeating(uint32_t tag) {
    const struct dcm_dict_entry *e = dcm_dict_entries + dcm_dict_count;
    for (uint32_t i = 0; i < dcm_dict_repeating_count; i++, e++) {
        if ((tag & e->mask) == e->tag) return e;
    }
    return NULL;
}

const struct dcm_dict_entry *dcm_dict_find(uint32_t tag) {
    for (uint32_t at = slot_of(tag);; at = (at + 1) & ((1u << DCM_DICT_SLOTS_LOG2) - 1)) {
        uint16_t i = dcm_dict_slots[at];
        if (i == NO_ENTRY) break;
        if (dcm_dict_tags[i] == tag) return &dcm_dict_entries[i];
    }
    if (DCM_ELEMENT(tag) == 0) return &group_length;
    return dcm_tag_is_private(tag) || !may_repeat(DCM_GROUP(tag)) ? NULL : find_repeating(tag);
}

const struct dcm_dict_entry *dcm_dict_find_keyword(struct str keyword) {
    uint32_t low = 0, high = dcm_dict_keyword_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct dcm_dict_entry *e = &dcm_dict_entries[dcm_dict_by_keyword[middle]];
        int order = str_cmp(str_of(e->keyword), keyword);
        if (order == 0) return e;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static const struct dcm_private_creator_entry *find_creator(struct str creator) {
    uint32_t low = 0, high = dcm_private_creator_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = str_cmp(str_of(dcm_private_creators[middle].creator), creator);
        if (order == 0) return &dcm_private_creators[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct dcm_dict_entry *dcm_dict_find_private(struct str creator, uint32_t tag) {
    const struct dcm_private_creator_entry *c = find_creator(creator);
    if (!c) return NULL;
    uint32_t wanted = tag & 0xFFFF00FFu, low = c->first, high = c->first + c->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct dcm_dict_entry *e = &dcm_private_entries[middle];
        if (e->tag == wanted) return e;
        if (e->tag < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static bool parse_hex(struct str s, uint32_t *tag) {
    uint32_t value = 0;
    if (s.n != 8) return false;
    for (size_t i = 0; i < 8; i++) {
        int digit = hex_digit(s.p[i]);
        if (digit < 0) return false;
        value = value << 4 | (uint32_t)digit;
    }
    *tag = value;
    return true;
}

bool dcm_tag_parse(struct str text, uint32_t *tag) {
    if (text.n == 11 && text.p[0] == '(' && text.p[10] == ')') text = str_sub(text, 1, 9);
    if (text.n == 9 && text.p[4] == ',') {
        char joined[8];
        memcpy(joined, text.p, 4);
        memcpy(joined + 4, text.p + 5, 4);
        return parse_hex((struct str){joined, 8}, tag);
    }
    if (parse_hex(text, tag)) return true;
    const struct dcm_dict_entry *e = dcm_dict_find_keyword(text);
    if (e) *tag = e->tag;
    return e != NULL;
}

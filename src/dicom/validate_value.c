// The syntax of single text values (PS3.5 table 6.2-1).
#include "dicom/validate.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t digits(struct str s, size_t from) {
    size_t n = 0;
    while (from + n < s.n && is_digit(s.p[from + n])) n++;
    return n;
}

// Two digits at i within [min, max].
static bool two(struct str s, size_t i, int min, int max) {
    if (digits(s, i) < 2) return false;
    int v = (s.p[i] - '0') * 10 + (s.p[i + 1] - '0');
    return v >= min && v <= max;
}

static bool is_date(struct str s) {
    static const uint8_t DAYS[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (s.n != 8 || digits(s, 0) != 8 || !two(s, 4, 1, 12)) return false;
    int year = (s.p[0] - '0') * 1000 + (s.p[1] - '0') * 100 + (s.p[2] - '0') * 10 + (s.p[3] - '0');
    int month = (s.p[4] - '0') * 10 + (s.p[5] - '0'), last = DAYS[month - 1];
    if (month == 2 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0))) last = 28;
    return two(s, 6, 1, last);
}

// HH[MM[SS[.F{1,6}]]]; 60 seconds for a leap second.
static bool is_time(struct str s) {
    if (!two(s, 0, 0, 23)) return false;
    if (s.n == 2) return true;
    if (!two(s, 2, 0, 59)) return false;
    if (s.n == 4) return true;
    if (!two(s, 4, 0, 60)) return false;
    if (s.n == 6) return true;
    size_t fraction = digits(s, 7);
    return s.p[6] == '.' && fraction >= 1 && fraction <= 6 && 7 + fraction == s.n;
}

// YYYY[MM[DD[time]]] with [&ZZXX] cut off.
static bool is_date_time_part(struct str s) {
    if (s.n > 8) return is_date(str_sub(s, 0, 8)) && is_time(str_sub(s, 8, s.n));
    if (digits(s, 0) != s.n) return false;
    return s.n == 4 || (s.n == 6 && two(s, 4, 1, 12)) || is_date(s);
}

static bool is_date_time(struct str s) {
    for (size_t i = 4; i < s.n; i++) {
        if (s.p[i] != '+' && s.p[i] != '-') continue;
        if (s.n - i != 5 || !two(s, i + 1, 0, 14) || !two(s, i + 3, 0, 59)) return false;
        s.n = i;
        break;
    }
    return is_date_time_part(s);
}

static bool is_integer(struct str s) {
    int64_t v;
    size_t sign = s.n && (s.p[0] == '+' || s.p[0] == '-');
    return s.n > sign && digits(s, sign) == s.n - sign && str_to_i64(s, &v) && v >= INT32_MIN && v <= INT32_MAX;
}

static bool is_decimal(struct str s) {
    size_t i = s.n && (s.p[0] == '+' || s.p[0] == '-');
    size_t whole = digits(s, i), fraction = 0;
    i += whole;
    if (i < s.n && s.p[i] == '.') {
        fraction = digits(s, i + 1);
        i += 1 + fraction;
    }
    if (whole + fraction == 0) return false;
    if (i == s.n) return true;
    if (s.p[i] != 'e' && s.p[i] != 'E') return false;
    i++;
    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-')) i++;
    return i < s.n && digits(s, i) == s.n - i;
}

static bool is_age(struct str s) {
    return s.n == 4 && digits(s, 0) == 3 && strchr("DWMY", s.p[3]) && s.p[3];
}

static bool is_code_string(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'A' && c <= 'Z') || is_digit(c) || c == ' ' || c == '_')) return false;
    }
    return true;
}

static bool is_printable_ascii(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] >= 0x7F) return false;
    return true;
}

// The forms of the ACR-NEMA standard, which readers still take (PS3.5 6.2, notes to DA and TM).
static bool is_old_date(struct str s) {
    return s.n == 10 && digits(s, 0) == 4 && s.p[4] == '.' && two(s, 5, 1, 12) && s.p[7] == '.' && two(s, 8, 1, 31);
}

static bool is_old_time(struct str s) {
    if (!two(s, 0, 0, 23) || s.n < 5 || s.p[2] != ':' || !two(s, 3, 0, 59)) return false;
    return s.n == 5 || (s.n >= 8 && s.p[5] == ':' && two(s, 6, 0, 60) && (s.n == 8 || s.p[8] == '.'));
}

static bool is_uri(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7F || strchr("\"<>\\^`{|}", s.p[i])) return false;
    return true;
}

static const char *name_fault(struct str s) {
    unsigned groups = 0;
    while (s.p) {
        struct str group = str_split(&s, '=');
        unsigned components = 0;
        while (group.p) {
            str_split(&group, '^');
            components++;
        }
        if (components > 5) return "has more than five components in a component group";
        groups++;
    }
    return groups > 3 ? "has more than three component groups" : NULL;
}

const char *dcm_value_fault(uint16_t vr, struct str v, enum dcm_severity *severity) {
    *severity = DCM_SEVERITY_ERROR;
    switch (vr) {
    case DCM_VR_DA:
        if (is_date(v)) return NULL;
        *severity = is_old_date(v) ? DCM_SEVERITY_WARNING : DCM_SEVERITY_ERROR;
        return is_old_date(v) ? "is a date in the retired form YYYY.MM.DD" : "is not a date: YYYYMMDD";
    case DCM_VR_TM:
        if (is_time(v)) return NULL;
        *severity = is_old_time(v) ? DCM_SEVERITY_WARNING : DCM_SEVERITY_ERROR;
        return is_old_time(v) ? "is a time in the retired form HH:MM:SS" : "is not a time: HHMMSS.FFFFFF";
    case DCM_VR_DT:
        return is_date_time(v) ? NULL : "is not a date and time: YYYYMMDDHHMMSS.FFFFFF&ZZXX";
    case DCM_VR_IS:
        return is_integer(v) ? NULL : "is not a whole number of 32 bits";
    case DCM_VR_DS:
        return is_decimal(v) ? NULL : "is not a decimal number";
    case DCM_VR_AS:
        return is_age(v) ? NULL : "is not an age: nnnD, nnnW, nnnM or nnnY";
    case DCM_VR_CS:
        return is_code_string(v) ? NULL : "is not a code string: capitals, digits, space and underscore";
    case DCM_VR_AE:
        return is_printable_ascii(v) ? NULL : "is not an AE title: printable ASCII";
    case DCM_VR_UR:
        return is_uri(v) ? NULL : "is not a URI";
    case DCM_VR_PN:
        return name_fault(v);
    case DCM_VR_UI:
        if (dcm_uid_valid(v, true)) return NULL;
        *severity = dcm_uid_valid(v, false) ? DCM_SEVERITY_WARNING : DCM_SEVERITY_ERROR;
        return dcm_uid_valid(v, false) ? "is a UID with a leading zero in a component" : "is not a UID";
    default:
        return NULL;
    }
}

// Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1): text to UTF-8 and back, and text that is not what it declares.
#ifndef GANTRY_DICOM_CHARSET_H
#define GANTRY_DICOM_CHARSET_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "dicom/dataset.h"

enum { DCM_CHARSET_TERMS_MAX = 16 };

// A parsed Specific Character Set: the defined terms in order.
struct dcm_charset {
    uint8_t term[DCM_CHARSET_TERMS_MAX]; // index into the table of defined terms; 0 is the default repertoire
    unsigned count;                      // at least 1
    bool extended;                       // ISO 2022 code extension is in use
    bool unknown;                        // a term was not understood (its text is decoded by detection)
};

// value: the raw attribute, backslash separated. Common misspellings ("ISO-IR 100", "ISO IR 192", "UTF8") are taken.
void dcm_charset_parse(struct str value, struct dcm_charset *cs);
// Of a data set: its own (0008,0005), else its parent's, else the default.
void dcm_charset_of(const struct dcm_dataset *ds, struct dcm_charset *cs);

enum dcm_decode_flag {
    DCM_DECODE_CLEAN = 0,
    DCM_DECODE_REPLACED = 1, // bytes that mean nothing in the declared set became U+FFFD
    DCM_DECODE_DETECTED = 2, // the text was not in its declared set: decoded by what it was found to be
};

// Bytes to UTF-8 (always valid; NUL-terminated in a). vr decides delimiters at which code extensions reset (PS3.5 6.1.2.5.3: PN also at ^ and =).
// repair: when the bytes cannot be (or most probably are not) in the declared set, decode them as what they are (UTF-8, GB18030, Big5, Shift_JIS, EUC-KR);
// false shows what the file declares. *flags says what happened. false only on ERR_NOMEM / ERR_TOO_LARGE.
bool dcm_charset_decode(struct arena *a, const struct dcm_charset *cs, uint16_t vr, struct str bytes, bool repair, struct str *out, unsigned *flags,
                        struct err *e);

// Decoded text of an element, all values with their backslashes; {NULL, 0} when absent.
bool dcm_text_utf8(struct arena *a, const struct dcm_dataset *ds, uint32_t tag, bool repair, struct str *out, unsigned *flags, struct err *e);

// Index of the first delimiter at or after from that is not part of a multi-byte character of the set, or bytes.n.
size_t dcm_charset_find(const struct dcm_charset *cs, uint16_t vr, struct str bytes, char delimiter, size_t from);

// The attribute's value as the standard spells it, "\\ISO 2022 IR 58"; empty for the default repertoire. NULL on ERR_NOMEM.
char *dcm_charset_name(struct arena *a, const struct dcm_charset *cs, struct err *e);

// UTF-8 to the set cs. *fits is false (and out untouched) when a character is not in it.
bool dcm_charset_encode(struct arena *a, const struct dcm_charset *cs, uint16_t vr, struct str utf8, struct str *out, bool *fits, struct err *e);

// A deep copy of ds (whose text is UTF-8) with every text in the asker's set when all of it fits, else in ISO_IR 192; (0008,0005) says which
// (absent for the default repertoire when nothing needs more).
bool dcm_dataset_for_asker(struct arena *a, const struct dcm_dataset *ds, struct str asker_charset, struct dcm_dataset **out, struct err *e);

// A deep copy with every text repaired and in UTF-8, (0008,0005) = ISO_IR 192 where any text is beyond ASCII, and little endian. By-reference values stay so.
bool dcm_dataset_to_utf8(struct arena *a, const struct dcm_dataset *ds, bool repair, struct dcm_dataset **out, unsigned *flags, struct err *e);

#endif

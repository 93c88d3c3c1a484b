// Stored objects in another transfer syntax on their way out: what every door calls that must answer in an encoding in which the object is not stored.
//
// Lossless conversions keep the SOP Instance UID: the pixel values are those that were stored. A lossy one is another image: it is made only when asked for
// (struct convert_options), gets a SOP Instance UID of its own (made of its content: the same again when asked again), Image Type DERIVED and the source's
// reference, since PS3.3 C.7.6.1.1.5 has a compressed version "receive a new SOP Instance UID". An object that is stored lossy goes out as it is stored or
// decompressed; that adds no loss and keeps its UID.
#ifndef GANTRY_CORE_CONVERT_H
#define GANTRY_CORE_CONVERT_H

#include "codec/codec.h"
#include "core/retrieve.h"

struct convert_options {
    bool lossy;                 // the asker named a lossy transfer syntax: without it these are ERR_NOT_ACCEPTABLE
    struct codec_options codec; // quality of lossy ones
};

// Whether the object can be had in the transfer syntax, without decoding anything: from what the index knows of it and its header. true at once when it is stored
// so. ERR_NOT_ACCEPTABLE or ERR_UNSUPPORTED: the message says why not. o may be NULL.
bool convert_possible(struct archive *ar, const struct instance_ref *ref, const struct dcm_ts *to, const struct convert_options *o, struct err *e);

// The converted object as a Part 10 file into the sink. Pixels are converted before the first byte goes out: a failure (ERR_UNDECODABLE: pixels that cannot be
// decoded; ERR_CORRUPT; ...) has written nothing, only that of the sink itself can come later. Memory does not depend on the object's size.
bool convert_part10(struct archive *ar, const struct instance_ref *ref, const struct dcm_ts *to, const struct convert_options *o, struct dcm_sink sink,
                    struct err *e);

// The same into an unlinked temporary file, for those who send from descriptors or by pieces (HTTP): *length bytes from offset 0. The caller closes *fd.
bool convert_spooled(struct archive *ar, const struct instance_ref *ref, const struct dcm_ts *to, const struct convert_options *o, int *fd, uint64_t *length,
                     struct err *e);

#endif

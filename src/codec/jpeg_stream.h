// The markers of a JPEG codestream (ITU-T T.81 B): frame and scan headers, tables, and the entropy coded bytes between them.
#ifndef GANTRY_CODEC_JPEG_STREAM_H
#define GANTRY_CODEC_JPEG_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum { JPEG_COMPONENTS_MAX = 4 };
enum { JPEG_SOF_BASELINE = 0, JPEG_SOF_EXTENDED = 1, JPEG_SOF_PROGRESSIVE = 2, JPEG_SOF_LOSSLESS = 3 };

struct jpeg_component {
    uint8_t id, h, v, tq;
};

// T.81 B.2.2
struct jpeg_frame {
    bool seen;
    uint8_t process; // n of SOFn
    uint8_t precision;
    uint16_t rows, columns;
    unsigned components;
    struct jpeg_component component[JPEG_COMPONENTS_MAX];
};

// T.81 B.2.3
struct jpeg_scan {
    unsigned components;
    uint8_t component[JPEG_COMPONENTS_MAX]; // index into the frame's
    uint8_t dc[JPEG_COMPONENTS_MAX], ac[JPEG_COMPONENTS_MAX];
    uint8_t ss, se, ah, al;
};

// T.81 B.2.4.2: how many codes there are of each length, and what they stand for.
struct jpeg_huffman_spec {
    bool seen;
    uint8_t count[17];
    uint8_t symbol[256];
    unsigned symbols;
};

struct jpeg_stream {
    const uint8_t *begin, *p, *end;
    struct jpeg_frame frame;
    struct jpeg_scan scan; // the last one met
    unsigned scans;
    unsigned restart_interval; // in MCUs; 0: none
    bool quant_seen[4];
    uint16_t quant[4][64]; // in zigzag order, as sent
    struct jpeg_huffman_spec dc[4], ac[4];
    bool jfif;
    bool ended;     // an EOI marker was met
    int adobe;      // transform of an Adobe APP14 marker: 0, 1, 2; -1: no such marker
    size_t rows_at; // where the frame header has its number of rows
};

enum jpeg_event { JPEG_FAILED, JPEG_FRAME, JPEG_SCAN, JPEG_END };

// False with ERR_UNDECODABLE when p is no JPEG codestream.
bool jpeg_open(struct jpeg_stream *s, const uint8_t *p, size_t n, struct err *e);
// Goes on to just behind the next frame header, scan header or the end (the last also where the bytes end at a marker's place). Entropy coded bytes that
// nobody took are passed over.
enum jpeg_event jpeg_next(struct jpeg_stream *s, struct err *e);

// Entropy coded bytes up to the next marker without the stuffed zeros (T.81 F.1.2.3), to is as large as jpeg_segment_room says. JPEG_SEGMENT_PAD zeros follow.
enum { JPEG_SEGMENT_PAD = 16 };
size_t jpeg_segment(struct jpeg_stream *s, uint8_t *to);
size_t jpeg_segment_room(const struct jpeg_stream *s);
// After a segment that is not the scan's last: false when no RSTm with this number (0..7) comes next.
bool jpeg_restart(struct jpeg_stream *s, unsigned number, struct err *e);

#endif

// JPEG 2000 by OpenJPEG: decoding of every kind, encoding lossless and lossy.
#include "codec/jpeg2000.h"

#include <math.h>
#include <openjpeg.h>
#include <stdlib.h>

#include "base/limits.h"
#include "codec/j2k_head.h"
#include "codec/samples.h"
#include "dicom/uids.h"

// ---- what the library says ----

struct verdict {
    char message[256]; // the first error, or the first warning that means missing data
};

static void remember(const char *text, struct verdict *v) {
    if (v->message[0]) return;
    size_t n = strcspn(text, "\r\n");
    if (n > sizeof v->message - 1) n = sizeof v->message - 1;
    memcpy(v->message, text, n);
}

static void on_error(const char *text, void *ctx) {
    remember(text, ctx);
}

// The library goes on after these, with samples that the codestream does not hold.
static void on_warning(const char *text, void *ctx) {
    static const char *const lost[] = {"segment too long", "too short",    "Malformed HT", "bits are not enough", "do not support ROI",
                                       "Not enough space", "loss of data", "truncated",    "Tile part length"};
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++)
        if (strstr(text, lost[i])) remember(text, ctx);
}

static bool listen(opj_codec_t *codec, struct verdict *v) {
    return opj_set_error_handler(codec, on_error, v) && opj_set_warning_handler(codec, on_warning, v);
}

// ---- bytes in memory as the library's stream ----

struct reader {
    const uint8_t *p;
    size_t n, at;
};

static OPJ_SIZE_T reader_read(void *to, OPJ_SIZE_T n, void *ctx) {
    struct reader *r = ctx;
    if (r->at >= r->n) return (OPJ_SIZE_T)-1;
    if (n > r->n - r->at) n = r->n - r->at;
    memcpy(to, r->p + r->at, n);
    r->at += n;
    return n;
}

static OPJ_OFF_T reader_skip(OPJ_OFF_T n, void *ctx) {
    struct reader *r = ctx;
    if (n < 0 || (uint64_t)n > r->n - r->at) return -1;
    r->at += (size_t)n;
    return n;
}

static OPJ_BOOL reader_seek(OPJ_OFF_T to, void *ctx) {
    struct reader *r = ctx;
    if (to < 0 || (uint64_t)to > r->n) return OPJ_FALSE;
    r->at = (size_t)to;
    return OPJ_TRUE;
}

static opj_stream_t *open_reader(struct reader *r) {
    opj_stream_t *s = opj_stream_create(64 * 1024, OPJ_TRUE);
    if (!s) return NULL;
    opj_stream_set_user_data(s, r, NULL);
    opj_stream_set_user_data_length(s, r->n);
    opj_stream_set_read_function(s, reader_read);
    opj_stream_set_skip_function(s, reader_skip);
    opj_stream_set_seek_function(s, reader_seek);
    return s;
}

// Encoded bytes: the library goes back to write lengths.
struct writer {
    struct buf *to;
    size_t begin, at;
};

static OPJ_SIZE_T writer_write(void *from, OPJ_SIZE_T n, void *ctx) {
    struct writer *w = ctx;
    size_t have = w->to->n - w->begin;
    if (w->at + n > have) {
        size_t more = w->at + n - have;
        char *p = buf_reserve(w->to, more);
        if (!p) return (OPJ_SIZE_T)-1;
        memset(p, 0, more);
        w->to->n += more;
    }
    memcpy(w->to->p + w->begin + w->at, from, n);
    w->at += n;
    return n;
}

static OPJ_BOOL writer_seek(OPJ_OFF_T to, void *ctx) {
    struct writer *w = ctx;
    if (to < 0 || (uint64_t)to > w->to->n - w->begin) return OPJ_FALSE;
    w->at = (size_t)to;
    return OPJ_TRUE;
}

static OPJ_OFF_T writer_skip(OPJ_OFF_T n, void *ctx) {
    struct writer *w = ctx;
    return writer_seek((OPJ_OFF_T)w->at + n, w) ? n : -1;
}

static opj_stream_t *open_writer(struct writer *w) {
    opj_stream_t *s = opj_stream_create(64 * 1024, OPJ_FALSE);
    if (!s) return NULL;
    opj_stream_set_user_data(s, w, NULL);
    opj_stream_set_write_function(s, writer_write);
    opj_stream_set_skip_function(s, writer_skip);
    opj_stream_set_seek_function(s, writer_seek);
    return s;
}

// ---- decoding ----

static bool undecodable(const struct verdict *v, const char *what, struct err *e) {
    return err_set(e, ERR_UNDECODABLE, "jpeg 2000", "%s: %s", what, v->message[0] ? v->message : "the library gives no reason");
}

static bool planes_of(const opj_image_t *image, const struct px_image *declared, struct codec_plane *planes, struct codec_depth *depth, struct err *e) {
    if (image->numcomps < declared->samples)
        return err_set(e, ERR_UNDECODABLE, "jpeg 2000", "%u components came out, %u are declared", image->numcomps, declared->samples);
    for (unsigned i = 0; i < declared->samples; i++) {
        const opj_image_comp_t *c = &image->comps[i];
        if (!c->data || !c->w || !c->h || c->prec < 1 || c->prec > 31) return err_set(e, ERR_UNDECODABLE, "jpeg 2000", "component %u came out empty", i);
        if (c->prec != image->comps[0].prec || c->sgnd != image->comps[0].sgnd)
            return err_set(e, ERR_UNDECODABLE, "jpeg 2000", "components of %u and %u bits cannot be one pixel", image->comps[0].prec, c->prec);
        planes[i] = (struct codec_plane){.data = c->data, .w = c->w, .h = c->h, .x0 = c->x0, .y0 = c->y0, .dx = c->dx, .dy = c->dy};
    }
    *depth = (struct codec_depth){.precision = image->comps[0].prec, .is_signed = image->comps[0].sgnd};
    return true;
}

static void settle_colour(struct px_image *image) {
    if (image->photometric == PX_YBR_RCT || image->photometric == PX_YBR_ICT) image->photometric = PX_RGB;
    if (image->photometric == PX_YBR_FULL_422 || image->photometric == PX_YBR_PARTIAL_420 || image->photometric == PX_YBR_PARTIAL_422)
        image->photometric = PX_YBR_FULL; // components are at full size now
}

static bool run(opj_codec_t *codec, opj_stream_t *stream, unsigned threads, bool boxes, opj_image_t **image, struct verdict *v, struct err *e) {
    opj_dparameters_t p;
    opj_set_default_decoder_parameters(&p);
    if (!boxes) p.flags |= OPJ_DPARAMETERS_IGNORE_PCLR_CMAP_CDEF_FLAG;
    if (!listen(codec, v) || !opj_setup_decoder(codec, &p) || !opj_decoder_set_strict_mode(codec, OPJ_TRUE))
        return undecodable(v, "the decoder does not start", e);
    if (threads > 1) opj_codec_set_threads(codec, (int)threads); // without them it works all the same
    if (!opj_read_header(stream, codec, image)) return undecodable(v, "reading the header", e);
    if (!opj_decode(codec, stream, *image) || !opj_end_decompress(codec, stream)) return undecodable(v, "decoding", e);
    if (v->message[0]) return undecodable(v, "the codestream is damaged", e);
    return true;
}

static bool decode_stream(struct arena *a, const struct j2k_head *h, const struct px_image *declared, struct str bytes, unsigned threads, struct px_frame *out,
                          struct err *e) {
    bool boxes = h->palette && h->components < declared->samples;
    struct reader r = {.p = (const uint8_t *)bytes.p, .n = bytes.n};
    opj_codec_t *codec = opj_create_decompress(boxes ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
    opj_stream_t *stream = open_reader(&r);
    opj_image_t *image = NULL;
    struct verdict v = {{0}};
    struct codec_plane planes[3];
    struct codec_depth depth = {0};
    bool ok = codec && stream ? run(codec, stream, threads, boxes, &image, &v, e) : err_nomem(e, "jpeg 2000");
    struct px_image settled = *declared;
    settle_colour(&settled);
    ok = ok && planes_of(image, declared, planes, &depth, e) && codec_pack(a, &settled, planes, depth, h->x0, h->y0, out, e);
    if (image) opj_image_destroy(image);
    if (stream) opj_stream_destroy(stream);
    if (codec) opj_destroy_codec(codec);
    return ok;
}

bool jpeg2000_decode(struct arena *a, const struct dcm_ts *ts, const struct px_image *declared, const uint8_t *p, size_t n, const struct codec_options *o,
                     struct px_frame *out, struct err *e) {
    struct j2k_head h;
    (void)ts; // the codestream tells which of them it is
    if (!j2k_head_read(p, n, declared, &h, e)) return false;
    bool boxes = h.palette && h.components < declared->samples;
    struct str bytes = boxes ? (struct str){(const char *)p, n} : h.stream;
    return decode_stream(a, &h, declared, bytes, o ? o->threads : 1, out, e);
}

// ---- encoding ----

static bool can_encode(const struct px_image *in, bool lossy, struct err *e) {
    if (in->kind != PX_INTEGER) return err_set(e, ERR_UNSUPPORTED, "jpeg 2000", "float pixel data has no place in JPEG 2000");
    if (in->bits_stored > 24) return err_set(e, ERR_UNSUPPORTED, "jpeg 2000", "Bits Stored is %u; at most 24 are encoded", in->bits_stored);
    if (in->bits_stored == 1 && (in->is_signed || in->samples > 1))
        return err_set(e, ERR_UNSUPPORTED, "jpeg 2000", "samples of one bit take no sign and no colour");
    if (in->photometric == PX_YBR_FULL_422) return err_set(e, ERR_UNSUPPORTED, "jpeg 2000", "YBR_FULL_422 pixels are subsampled already");
    if (lossy && in->photometric == PX_PALETTE_COLOR) return err_set(e, ERR_UNSUPPORTED, "jpeg 2000", "indices of a palette cannot be encoded with loss");
    if ((uint64_t)in->rows * in->columns * in->samples <= J2K_SAMPLES_MAX) return true;
    return err_set(e, ERR_TOO_LARGE, "jpeg 2000", "%u x %u pixels of %u samples are more than %d samples", in->columns, in->rows, in->samples, J2K_SAMPLES_MAX);
}

static opj_image_t *image_of(const struct px_frame *in) {
    const struct px_image *image = &in->image;
    opj_image_cmptparm_t parameters[3];
    memset(parameters, 0, sizeof parameters);
    for (unsigned i = 0; i < image->samples; i++) {
        opj_image_cmptparm_t *c = &parameters[i];
        c->dx = c->dy = 1;
        c->w = image->columns;
        c->h = image->rows;
        c->prec = image->bits_stored;
        c->sgnd = image->is_signed;
    }
    opj_image_t *to = opj_image_create(image->samples, parameters, image->samples == 3 ? OPJ_CLRSPC_SRGB : OPJ_CLRSPC_GRAY);
    if (!to) return NULL;
    to->x1 = image->columns;
    to->y1 = image->rows;
    for (unsigned i = 0; i < image->samples; i++) codec_unpack(in, i, to->comps[i].data);
    return to;
}

// The span of the values over that of the bits: the library reckons its ratio from the latter.
static double spread(const opj_image_t *image) {
    int32_t low = INT32_MAX, high = INT32_MIN;
    for (unsigned c = 0; c < image->numcomps; c++)
        for (size_t i = 0, n = (size_t)image->comps[c].w * image->comps[c].h; i < n; i++) {
            int32_t v = image->comps[c].data[i];
            low = v < low ? v : low;
            high = v > high ? v : high;
        }
    double span = high > low ? (double)high - low : 1;
    return span / ldexp(1, (int)image->comps[0].prec);
}

static unsigned levels_of(const struct px_image *image) {
    uint32_t shorter = image->rows < image->columns ? image->rows : image->columns;
    unsigned levels = 0;
    while (levels < 5 && shorter >> (levels + 1)) levels++;
    return levels;
}

static void set_parameters(const opj_image_t *image, const struct px_image *in, bool lossy, int quality, opj_cparameters_t *p) {
    opj_set_default_encoder_parameters(p);
    p->tcp_numlayers = 1;
    p->numresolution = (int)levels_of(in) + 1;
    p->tcp_mct = in->photometric == PX_RGB;
    p->irreversible = lossy;
    if (!lossy) {
        p->cp_disto_alloc = 1;
        p->tcp_rates[0] = 0; // everything
        return;
    }
    p->cp_fixed_quality = 1;
    if (quality < 1 || quality > 100) quality = CODEC_QUALITY_DEFAULT;
    p->tcp_distoratio[0] = (float)(25 + quality / 4.0 - 20 * log10(spread(image)));
}

static bool encode_image(opj_image_t *image, const struct px_image *in, bool lossy, const struct codec_options *o, struct buf *to, struct err *e) {
    struct writer w = {.to = to, .begin = to->n};
    struct verdict v = {{0}};
    opj_cparameters_t p;
    set_parameters(image, in, lossy, o ? o->quality : 0, &p);
    opj_codec_t *codec = opj_create_compress(OPJ_CODEC_J2K);
    opj_stream_t *stream = open_writer(&w);
    bool ok = codec && stream ? listen(codec, &v) && opj_setup_encoder(codec, &p, image) : err_nomem(e, "jpeg 2000");
    if (ok && o && o->threads > 1) opj_codec_set_threads(codec, (int)o->threads);
    if (codec && stream && !(ok && opj_start_compress(codec, image, stream) && opj_encode(codec, stream) && opj_end_compress(codec, stream)))
        ok = err_set(e, ERR_UNSUPPORTED, "jpeg 2000", "the encoder refuses: %s", v.message[0] ? v.message : "no reason given");
    if (stream) opj_stream_destroy(stream);
    if (codec) opj_destroy_codec(codec);
    return ok && buf_ok(to, e);
}

static bool encode(const struct px_frame *in, const struct dcm_ts *ts, const struct codec_options *o, struct buf *to, struct px_image *image, struct err *e) {
    if (!can_encode(&in->image, ts->lossy, e)) return false;
    opj_image_t *planes = image_of(in);
    bool ok = planes ? encode_image(planes, &in->image, ts->lossy, o, to, e) : err_nomem(e, "jpeg 2000");
    if (planes) opj_image_destroy(planes);
    *image = in->image;
    image->planar = false;
    image->high_bit = image->bits_stored - 1;
    if (image->photometric == PX_RGB) image->photometric = ts->lossy ? PX_YBR_ICT : PX_YBR_RCT;
    return ok;
}

const struct codec_family codec_jpeg2000 = {.name = "JPEG 2000", .decode = jpeg2000_decode, .encode = encode};
const struct codec_family codec_jpeg2000_part2 = {.name = "JPEG 2000 Part 2", .decode = jpeg2000_decode};

// Text and graphics over a picture (the graphic annotations of presentation states, burnt-in demographics), and pages of vector graphics.
#ifndef GANTRY_PIXEL_DRAW_H
#define GANTRY_PIXEL_DRAW_H

#include "base/buf.h"
#include "pixel/render.h"

// The graphic and text objects of a presentation state that are for the image (PS3.3 C.10.5), in the order of its layers. Objects that cannot be are left
// out; what is drawn in all is bounded. The picture may become RGB.
bool px_draw_graphics(struct arena *a, const struct px_view *v, const struct dcm_dataset *ps, struct str sop_instance_uid, uint32_t frame,
                      struct px_picture *picture, struct err *e);

// Lines of UTF-8 in a corner, as large as the picture lets them be read.
enum px_corner { PX_TOP_LEFT, PX_TOP_RIGHT, PX_BOTTOM_LEFT, PX_BOTTOM_RIGHT };
bool px_draw_lines(struct px_picture *picture, enum px_corner corner, struct str text, struct err *e);

// Burns patient or technique (enum px_annotation) of a data set in.
bool px_annotate(struct arena *a, const struct dcm_dataset *ds, uint32_t frame, unsigned what, struct px_picture *picture, struct err *e);

// ---- pages ----

// A page of lines, areas and text as SVG (text as outlines: it looks the same everywhere), PDF (with its fonts) or PNG. Lengths are points of 1/72 inch from the upper
// left corner; colours are 0xRRGGBB. One thread uses a page. Failures stay in it until the close.
enum px_page_kind { PX_PAGE_SVG, PX_PAGE_PDF, PX_PAGE_PNG };
enum { PX_PAGE_POINTS_MAX = 14400 }; // longest side: that of PDF

struct px_page;
// The bytes go to out when the page is closed. title (UTF-8) is what readers of the file are told; NULL on failure.
struct px_page *px_page_open(enum px_page_kind kind, double width, double height, const char *title, struct buf *out, struct err *e);
bool px_page_close(struct px_page *page, struct err *e); // page may be NULL: false

struct px_stroke {
    uint32_t rgb;
    double alpha, width;
    double dash; // length of dashes and gaps; 0: none
};
// Through n points (x0, y0, x1, y1, ...).
void px_page_line(struct px_page *page, const double *xy, size_t n, const struct px_stroke *stroke);
void px_page_area(struct px_page *page, const double *xy, size_t n, uint32_t rgb, double alpha);
void px_page_dot(struct px_page *page, double x, double y, double radius, uint32_t rgb, double alpha);
// Only within the rectangle, until the next call; width 0: everywhere.
void px_page_clip(struct px_page *page, double x, double y, double width, double height);

struct px_type {
    double size;
    uint32_t rgb;
    bool bold;
    double turn;   // degrees, clockwise, about the point
    double anchor; // which part of the line's width stands at x: 0 the beginning, 0.5 the middle, 1 the end
};
// One line of UTF-8; y is its base line.
void px_page_text(struct px_page *page, double x, double y, struct str text, const struct px_type *type);
double px_page_text_width(struct px_page *page, struct str text, const struct px_type *type);

#endif

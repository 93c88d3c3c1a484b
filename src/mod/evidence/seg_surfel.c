// The surface through a corner between eight voxels, from its geometry: which edges of the cube it cuts, in which loops, and in which triangles.
//
// The corner's cube has the eight voxel centres as vertices. The surface cuts each edge between an inside and an outside vertex in its middle. On a face with two inside
// vertices across from each other, it runs around the inside ones; when more than four vertices are inside, around the outside ones (so that a code and its complement have one surface). The cuts join to
// loops; a loop of more than three points is cut into those triangles whose area at unit spacing is greatest, which is the triangulation of the published metric.
#include <math.h>
#include <string.h>

#include "mod/evidence/seg.h"

enum { LOOP_MAX = 12 };

struct point {
    double at[3];
};

// Vertex k of the cube is at its bits: 4 the first axis, 2 the second, 1 the third.
static struct point vertex(unsigned k) {
    return (struct point){{k >> 2 & 1, k >> 1 & 1, k & 1}};
}

struct link {
    int to[64][2]; // by edge a * 8 + b, a < b: the two edges that the surface goes on to
    int count[64];
};

static unsigned edge_of(unsigned a, unsigned b) {
    return a < b ? a * 8 + b : b * 8 + a;
}

static void join(struct link *l, unsigned a, unsigned b) {
    l->to[a][l->count[a]++] = (int)b;
    l->to[b][l->count[b]++] = (int)a;
}

// The four vertices of a face, around it: axis fixed at value.
static void face_of(unsigned axis, unsigned value, unsigned face[4]) {
    unsigned u = axis == 0 ? 1 : 0, v = axis == 2 ? 1 : 2;
    static const unsigned AROUND[4][2] = {{0, 0}, {0, 1}, {1, 1}, {1, 0}};
    for (unsigned i = 0; i < 4; i++) face[i] = value << (2 - axis) | AROUND[i][0] << (2 - u) | AROUND[i][1] << (2 - v);
}

static void join_face(struct link *l, const unsigned face[4], const bool inside[8]) {
    unsigned cut[4], n = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (inside[face[i]] != inside[face[(i + 1) % 4]]) cut[n++] = edge_of(face[i], face[(i + 1) % 4]);
    }
    if (n == 2) join(l, cut[0], cut[1]);
    for (unsigned i = 0; n == 4 && i < 4; i++) { // around each inside vertex by itself
        if (inside[face[i]]) join(l, edge_of(face[(i + 3) % 4], face[i]), edge_of(face[i], face[(i + 1) % 4]));
    }
}

static struct point middle(unsigned edge) {
    struct point a = vertex(edge / 8), b = vertex(edge % 8);
    for (unsigned i = 0; i < 3; i++) a.at[i] = (a.at[i] + b.at[i]) / 2;
    return a;
}

// Takes one loop off the links. 0: none is left.
static unsigned take_loop(struct link *l, struct point loop[LOOP_MAX]) {
    unsigned start = 0, n = 0;
    while (start < 64 && l->count[start] == 0) start++;
    if (start == 64) return 0;
    for (unsigned at = start, before = 64; n < LOOP_MAX;) {
        unsigned next = (unsigned)(l->to[at][0] == (int)before ? l->to[at][1] : l->to[at][0]);
        loop[n++] = middle(at);
        l->count[at] = 0;
        before = at;
        at = next;
        if (at == start) break;
    }
    return n;
}

// Half the cross product, by axis: the area of the triangle seen along it.
static void normal_of(const struct point *p, const struct point *q, const struct point *r, double out[3]) {
    double a[3], b[3];
    for (unsigned i = 0; i < 3; i++) {
        a[i] = q->at[i] - p->at[i];
        b[i] = r->at[i] - p->at[i];
    }
    for (unsigned i = 0; i < 3; i++) out[i] = (a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3]) / 2;
}

static double triangle_area(const struct point *p, const struct point *q, const struct point *r, const double scale[3]) {
    double normal[3];
    normal_of(p, q, r, normal);
    return sqrt(normal[0] * scale[0] * normal[0] * scale[0] + normal[1] * scale[1] * normal[1] * scale[1] + normal[2] * scale[2] * normal[2] * scale[2]);
}

// The best triangulations of all runs of a loop, by length: unit area to choose by, and the area at the spacing.
static double loop_area(const struct point *p, unsigned n, const double scale[3]) {
    static const double UNIT[3] = {1, 1, 1};
    double unit[LOOP_MAX][LOOP_MAX] = {{0}}, real[LOOP_MAX][LOOP_MAX] = {{0}};
    for (unsigned length = 2; length < n; length++) {
        for (unsigned i = 0; i + length < n; i++) {
            unsigned j = i + length;
            double best = -1;
            for (unsigned k = i + 1; k < j; k++) {
                double area = unit[i][k] + unit[k][j] + triangle_area(&p[i], &p[k], &p[j], UNIT);
                if (area <= best + 1e-9) continue;
                best = unit[i][j] = area;
                real[i][j] = real[i][k] + real[k][j] + triangle_area(&p[i], &p[k], &p[j], scale);
            }
        }
    }
    return real[0][n - 1];
}

static double code_area(unsigned code, const double scale[3]) {
    bool inside[8];
    unsigned many = (unsigned)__builtin_popcount(code);
    for (unsigned k = 0; k < 8; k++) inside[k] = (code >> (7 - k) & 1) != (many > 4);
    struct link l;
    memset(&l, 0, sizeof l);
    for (unsigned f = 0; f < 6; f++) {
        unsigned face[4];
        face_of(f / 2, f % 2, face);
        join_face(&l, face, inside);
    }
    struct point loop[LOOP_MAX];
    double area = 0;
    for (unsigned n = take_loop(&l, loop); n > 0; n = take_loop(&l, loop)) area += loop_area(loop, n, scale);
    return area;
}

void seg_surfel_areas(const double spacing[3], double area[256]) {
    double scale[3] = {spacing[1] * spacing[2], spacing[0] * spacing[2], spacing[0] * spacing[1]};
    for (unsigned code = 0; code < 256; code++) area[code] = code_area(code, scale);
}

// Neighbours: 8 4 in one row, 2 1 in the next. The line cuts the sides of their square in the middle.
void seg_surfel_lengths(double spacing_rows, double spacing_columns, double length[16]) {
    double across = hypot(spacing_rows, spacing_columns) / 2;
    for (unsigned code = 0; code < 16; code++) {
        unsigned many = (unsigned)__builtin_popcount(code);
        if (many == 0 || many == 4)
            length[code] = 0;
        else if (many != 2)
            length[code] = across;
        else if (code == 3 || code == 12)
            length[code] = spacing_columns;
        else if (code == 5 || code == 10)
            length[code] = spacing_rows;
        else
            length[code] = 2 * across;
    }
}

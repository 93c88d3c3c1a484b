// General dense matrices: product, elimination with many right-hand sides, inverse.
#include "math/dense.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

void dense_multiply(const double *a, const double *b, unsigned n, double *out) {
    memset(out, 0, (size_t)n * n * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            double f = a[i * n + k];
            if (f == 0) continue; // the chains are sparse at their edges
            for (size_t j = 0; j < n; j++) out[i * n + j] += f * b[k * n + j];
        }
    }
}

static void swap_rows(double *m, size_t width, size_t r, size_t s) {
    if (r == s) return;
    for (size_t j = 0; j < width; j++) {
        double t = m[r * width + j];
        m[r * width + j] = m[s * width + j];
        m[s * width + j] = t;
    }
}

static void take_row(double *row, const double *from, double f, size_t first, size_t width) {
    for (size_t j = first; j < width; j++) row[j] -= f * from[j];
}

static size_t pivot_of(const double *a, size_t n, size_t k) {
    size_t best = k;
    for (size_t i = k + 1; i < n; i++) {
        if (fabs(a[i * n + k]) > fabs(a[best * n + k])) best = i;
    }
    return best;
}

static double largest(const double *a, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n * n; i++) most = fmax(most, fabs(a[i]));
    return most;
}

bool dense_solve(double *a, unsigned n, double *b, unsigned columns) {
    double tiny = largest(a, n) * 1e-15;
    for (size_t k = 0; k < n; k++) {
        size_t p = pivot_of(a, n, k);
        if (!(fabs(a[p * n + k]) > tiny)) return false;
        swap_rows(a, n, k, p);
        swap_rows(b, columns, k, p);
        for (size_t i = k + 1; i < n; i++) {
            double f = a[i * n + k] / a[k * n + k];
            if (f == 0) continue;
            take_row(a + i * n, a + k * n, f, k, n);
            take_row(b + i * columns, b + k * columns, f, 0, columns);
        }
    }
    for (size_t k = n; k-- > 0;) {
        for (size_t i = k + 1; i < n; i++) take_row(b + k * columns, b + i * columns, a[k * n + i], 0, columns);
        for (size_t j = 0; j < columns; j++) b[k * columns + j] /= a[k * n + k];
    }
    return true;
}

bool dense_invert(double *a, unsigned n, double *out) {
    memset(out, 0, (size_t)n * n * sizeof *out);
    for (size_t i = 0; i < n; i++) out[i * n + i] = 1;
    return dense_solve(a, n, out, n);
}

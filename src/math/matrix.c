// Products, Cholesky, elimination with pivots and Jacobi's eigenvalues for small dense matrices.
#include "math/matrix.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define A(i, j) a[(size_t)(i)*n + (j)]

bool matrix_cholesky(double *a, unsigned n) {
    for (unsigned j = 0; j < n; j++) {
        double before = A(j, j), d = before;
        for (unsigned k = 0; k < j; k++) d -= A(j, k) * A(j, k);
        if (!(d > before * n * DBL_EPSILON) || !isfinite(d)) return false;
        A(j, j) = sqrt(d);
        for (unsigned i = j + 1; i < n; i++) {
            double s = A(i, j);
            for (unsigned k = 0; k < j; k++) s -= A(i, k) * A(j, k);
            A(i, j) = s / A(j, j);
            A(j, i) = 0;
        }
    }
    return true;
}

void matrix_cholesky_solve(const double *l, unsigned n, double *b) {
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < i; k++) b[i] -= l[(size_t)i * n + k] * b[k];
        b[i] /= l[(size_t)i * n + i];
    }
    for (unsigned i = n; i-- > 0;) {
        for (unsigned k = i + 1; k < n; k++) b[i] -= l[(size_t)k * n + i] * b[k];
        b[i] /= l[(size_t)i * n + i];
    }
}

bool matrix_inverse_spd(struct arena *scratch, double *a, unsigned n, struct err *e) {
    struct arena_mark mark = arena_mark(scratch);
    size_t cells = (size_t)n * n;
    double *l = arena_alloc(scratch, (cells + n) * sizeof *l, e);
    if (!l) return false;
    double *column = l + cells;
    memcpy(l, a, cells * sizeof *l);
    bool ok = matrix_cholesky(l, n) || err_set(e, ERR_BAD_INPUT, "math", "the matrix is not positive definite: columns may repeat or be constant");
    for (unsigned j = 0; ok && j < n; j++) {
        for (unsigned i = 0; i < n; i++) column[i] = i == j;
        matrix_cholesky_solve(l, n, column);
        for (unsigned i = 0; i < n; i++) A(i, j) = column[i];
    }
    for (unsigned i = 0; ok && i < n; i++)
        for (unsigned j = 0; j < i; j++) A(i, j) = A(j, i) = (A(i, j) + A(j, i)) / 2;
    arena_rewind(scratch, mark);
    return ok;
}

static void swap_rows(double *m, size_t width, size_t i, size_t j) {
    for (size_t k = 0; i != j && k < width; k++) {
        double t = m[i * width + k];
        m[i * width + k] = m[j * width + k];
        m[j * width + k] = t;
    }
}

static void take_row(double *row, const double *from, double f, size_t first, size_t width) {
    for (size_t k = first; k < width; k++) row[k] -= f * from[k];
}

// Rows are brought to a largest coefficient of 1, so that pivots compare.
static bool scale_rows(double *a, size_t n, double *b, size_t columns) {
    for (size_t i = 0; i < n; i++) {
        double most = 0;
        for (size_t k = 0; k < n; k++) most = fmax(most, fabs(A(i, k)));
        if (!(most > 0) || !isfinite(most)) return false;
        for (size_t k = 0; k < n; k++) A(i, k) /= most;
        for (size_t k = 0; k < columns; k++) b[i * columns + k] /= most;
    }
    return true;
}

static size_t pivot_of(const double *a, size_t n, size_t c) {
    size_t best = c;
    for (size_t i = c + 1; i < n; i++)
        if (fabs(A(i, c)) > fabs(A(best, c))) best = i;
    return best;
}

bool matrix_solve(double *a, unsigned n, double *b, unsigned columns) {
    if (!scale_rows(a, n, b, columns)) return false;
    for (size_t c = 0; c < n; c++) {
        size_t best = pivot_of(a, n, c);
        if (!(fabs(A(best, c)) > n * DBL_EPSILON)) return false;
        swap_rows(a, n, best, c);
        swap_rows(b, columns, best, c);
        for (size_t i = c + 1; i < n; i++) {
            double f = A(i, c) / A(c, c);
            if (f == 0) continue; // chains are sparse at their edges
            take_row(&A(i, 0), &A(c, 0), f, c, n);
            take_row(b + i * columns, b + c * columns, f, 0, columns);
        }
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++) take_row(b + i * columns, b + k * columns, A(i, k), 0, columns);
        for (size_t k = 0; k < columns; k++) b[i * columns + k] /= A(i, i);
    }
    return true;
}

bool matrix_invert(double *a, unsigned n, double *out) {
    memset(out, 0, (size_t)n * n * sizeof *out);
    for (size_t i = 0; i < n; i++) out[i * n + i] = 1;
    return matrix_solve(a, n, out, n);
}

void matrix_multiply(const double *a, const double *b, unsigned n, double *out) {
    memset(out, 0, (size_t)n * n * sizeof *out);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            if (A(i, k) != 0) take_row(out + i * n, b + (size_t)k * n, -A(i, k), 0, n);
}

// Turns the plane of p and q so that A(p, q) becomes 0 (Golub and Van Loan, section 8.5).
static void rotate(double *a, unsigned n, double *v, unsigned p, unsigned q) {
    double tau = (A(q, q) - A(p, p)) / (2 * A(p, q)), t = copysign(1, tau) / (fabs(tau) + hypot(1, tau)), c = 1 / hypot(1, t), s = t * c;
    for (unsigned k = 0; k < n; k++) {
        double x = A(k, p), y = A(k, q);
        A(k, p) = c * x - s * y;
        A(k, q) = s * x + c * y;
    }
    for (unsigned k = 0; k < n; k++) {
        double x = A(p, k), y = A(q, k);
        A(p, k) = c * x - s * y;
        A(q, k) = s * x + c * y;
    }
    A(p, q) = A(q, p) = 0;
    for (unsigned k = 0; v && k < n; k++) {
        double x = v[(size_t)k * n + p], y = v[(size_t)k * n + q];
        v[(size_t)k * n + p] = c * x - s * y;
        v[(size_t)k * n + q] = s * x + c * y;
    }
}

static void sort_descending(unsigned n, double *values, double *v) {
    for (unsigned i = 0; i < n; i++) {
        unsigned best = i;
        for (unsigned j = i + 1; j < n; j++)
            if (values[j] > values[best]) best = j;
        double t = values[i];
        values[i] = values[best];
        values[best] = t;
        for (unsigned k = 0; v && best != i && k < n; k++) {
            t = v[(size_t)k * n + i];
            v[(size_t)k * n + i] = v[(size_t)k * n + best];
            v[(size_t)k * n + best] = t;
        }
    }
}

void matrix_eigen_symmetric(double *a, unsigned n, double *values, double *v) {
    for (size_t i = 0; v && i < (size_t)n * n; i++) v[i] = i % (n + 1) == 0;
    for (int sweep = 0; sweep < 60; sweep++) {
        bool turned = false;
        for (unsigned p = 0; p < n; p++)
            for (unsigned q = p + 1; q < n; q++) {
                if (fabs(A(p, q)) <= 0x1p-56 * (fabs(A(p, p)) + fabs(A(q, q))) || A(p, q) == 0) continue;
                rotate(a, n, v, p, q);
                turned = true;
            }
        if (!turned) break;
    }
    for (unsigned i = 0; i < n; i++) values[i] = A(i, i);
    sort_descending(n, values, v);
}

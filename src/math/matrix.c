// Cholesky, elimination with pivots and Jacobi's eigenvalues for small dense matrices.
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

static void swap_rows(double *a, unsigned n, double *b, unsigned i, unsigned j) {
    double t = b[i];
    b[i] = b[j];
    b[j] = t;
    for (unsigned k = 0; k < n; k++) {
        t = A(i, k);
        A(i, k) = A(j, k);
        A(j, k) = t;
    }
}

// Rows are brought to a largest coefficient of 1, so that pivots compare.
static bool scale_rows(double *a, unsigned n, double *b) {
    for (unsigned i = 0; i < n; i++) {
        double most = 0;
        for (unsigned k = 0; k < n; k++) most = fmax(most, fabs(A(i, k)));
        if (!(most > 0) || !isfinite(most)) return false;
        for (unsigned k = 0; k < n; k++) A(i, k) /= most;
        b[i] /= most;
    }
    return true;
}

bool matrix_solve(double *a, unsigned n, double *b) {
    if (!scale_rows(a, n, b)) return false;
    for (unsigned c = 0; c < n; c++) {
        unsigned best = c;
        for (unsigned i = c + 1; i < n; i++)
            if (fabs(A(i, c)) > fabs(A(best, c))) best = i;
        if (!(fabs(A(best, c)) > n * DBL_EPSILON)) return false;
        if (best != c) swap_rows(a, n, b, best, c);
        for (unsigned i = c + 1; i < n; i++) {
            double f = A(i, c) / A(c, c);
            for (unsigned k = c; k < n; k++) A(i, k) -= f * A(c, k);
            b[i] -= f * b[c];
        }
    }
    for (unsigned i = n; i-- > 0;) {
        for (unsigned k = i + 1; k < n; k++) b[i] -= A(i, k) * b[k];
        b[i] /= A(i, i);
    }
    return true;
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

// CIELab (D50) to sRGB (D65, Bradford adapted).
#include "pixel/tint.h"

#include <math.h>

static double cube(double f) {
    return f > 6.0 / 29 ? f * f * f : 3 * (6.0 / 29) * (6.0 / 29) * (f - 4.0 / 29);
}

static uint8_t gamma_byte(double v) {
    v = v <= 0 ? 0 : v >= 1 ? 1 : v;
    v = v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
    return (uint8_t)(v * 255 + 0.5);
}

bool px_cielab_of(const struct dcm_dataset *ds, uint32_t tag, uint8_t rgb[3]) {
    int64_t v[3];
    for (unsigned i = 0; i < 3; i++)
        if (!dcm_i64(ds, tag, i, &v[i]) || v[i] < 0 || v[i] > 0xFFFF) return false;
    double l = (double)v[0] / 65535 * 100, a = (double)v[1] / 257 - 128, b = (double)v[2] / 257 - 128;
    double fy = (l + 16) / 116, x = 0.9642 * cube(fy + a / 500), y = cube(fy), z = 0.8249 * cube(fy - b / 200);
    rgb[0] = gamma_byte(3.1338561 * x - 1.6168667 * y - 0.4906146 * z);
    rgb[1] = gamma_byte(-0.9787684 * x + 1.9161415 * y + 0.0334540 * z);
    rgb[2] = gamma_byte(0.0719453 * x - 0.2289914 * y + 1.4052427 * z);
    return true;
}

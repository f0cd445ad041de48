/* With z_c = margin - x_y + x_c, a row costs w_y / C times the sum of z_c^p over classes c != y with z_c > 0. */
static inline double KERNEL(multi_margin_row)(REAL *restrict gradient, const REAL *restrict x, const size_t y,
                                              const size_t classes, const int squared, const REAL margin,
                                              const double factor, const double divisor)
{
    const REAL base = margin - x[y], scale = (REAL)(factor / divisor);
    REAL costs[CHUNK], slopes[CHUNK];
    double cost_lanes[LANES] = {0}, slope_lanes[LANES] = {0};
    for (size_t start = 0; start < classes; start += CHUNK) {
        const size_t count = smaller(CHUNK, classes - start);
        for (size_t i = 0; i < count; i++) {
            const REAL z = base + x[start + i];
            costs[i] = z > 0 ? (squared ? z * z : z) : 0;
            slopes[i] = z > 0 ? (squared ? 2 * z : 1) : 0;
        }
        if (y >= start && y - start < count) costs[y - start] = slopes[y - start] = 0;
        KERNEL(add_to_lanes)(cost_lanes, costs, count);
        if (!gradient) continue;
        KERNEL(add_to_lanes)(slope_lanes, slopes, count);
        for (size_t i = 0; i < count; i++) gradient[start + i] = slopes[i] * scale;
    }
    if (gradient) gradient[y] = (REAL)(-KERNEL(join_lanes)(slope_lanes) * factor / divisor);
    return KERNEL(join_lanes)(cost_lanes) * factor;
}

size_t KERNEL(multi_margin_loss)(const size_t begin, const size_t end, double *restrict block_sums,
                                 REAL *restrict values, REAL *restrict gradient, const REAL *restrict scores,
                                 const int64_t *restrict target, const REAL *restrict weight, const size_t classes,
                                 const int p, const double margin, const double divisor)
{
    for (size_t row = begin; row < end; row++) {
        const int64_t y = target[row];
        if (!KERNEL(is_class)(y, classes)) return row + 1;
        const double factor = (weight ? weight[y] : 1) / (double)classes;
        const double loss = KERNEL(multi_margin_row)(gradient ? gradient + row * classes : NULL,
                                                     scores + row * classes, (size_t)y, classes, p == 2,
                                                     (REAL)margin, factor, divisor);
        KERNEL(record_row)(block_sums, values, row, loss);
    }
    return 0;
}

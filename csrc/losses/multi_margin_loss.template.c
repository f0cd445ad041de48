/* With z_c = margin - x_y + x_c, a row costs w_y / C times the sum of z_c^p over classes c != y with z_c > 0. */
static ALWAYS_INLINE void KERNEL(margin_terms)(REAL *restrict costs, REAL *restrict slopes, const REAL *restrict x,
                                               const size_t count, const REAL base, const int squared)
{
    VECTORS_FIRST
    for (size_t i = 0; i < count; i++) {
        const REAL z = base + x[i];
        costs[i] = z > 0 ? (squared ? z * z : z) : 0;
        slopes[i] = z > 0 ? (squared ? 2 * z : 1) : 0;
    }
}

static inline double KERNEL(multi_margin_row)(REAL *restrict gradient, const REAL *restrict x, const size_t y,
                                              const size_t classes, const int squared, const REAL margin,
                                              const double factor, const double divisor)
{
    const REAL base = margin - x[y], scale = (REAL)(factor / divisor);
    REAL costs[CHUNK], slopes[CHUNK];
    double cost_lanes[LANES], slope_lanes[LANES];
    KERNEL(clear_lanes)(cost_lanes), KERNEL(clear_lanes)(slope_lanes);
    for (size_t start = 0; start < classes; start += CHUNK) {
        const size_t count = smaller(CHUNK, classes - start), whole = count - count % STRIP;
        for (size_t i = 0; i < whole; i += STRIP) { /* meanwhile memory brings what comes next */
            fetch_line(x + start + i, CHUNK * sizeof *x);
            if (gradient) fetch_line_to_write(gradient + start + i, CHUNK * sizeof *gradient);
            KERNEL(margin_terms)(costs + i, slopes + i, x + start + i, STRIP, base, squared);
        }
        KERNEL(margin_terms)(costs + whole, slopes + whole, x + start + whole, count - whole, base, squared);
        if (y >= start && y - start < count) costs[y - start] = slopes[y - start] = 0;
        KERNEL(add_to_lanes)(cost_lanes, costs, count);
        if (!gradient) continue;
        KERNEL(add_to_lanes)(slope_lanes, slopes, count);
        for (size_t i = 0; i < count; i++) gradient[start + i] = slopes[i] * scale;
    }
    if (gradient) gradient[y] = (REAL)(-KERNEL(join_lanes)(slope_lanes) * factor / divisor);
    return KERNEL(join_lanes)(cost_lanes) * factor;
}

/* The same for up to TURNED short rows. */
static inline void KERNEL(multi_margin_turned)(double *restrict losses, REAL *restrict gradient,
                                               const REAL *restrict scores, const int64_t *restrict y,
                                               const double *restrict factor, const size_t rows,
                                               const size_t classes, const int squared, const REAL margin,
                                               const double divisor)
{
    REAL x[SHORT_ROW][TURNED], costs[SHORT_ROW][TURNED], slopes[SHORT_ROW][TURNED];
    REAL base[TURNED], scale[TURNED], own_slope[TURNED];
    BITS own[TURNED];
    const double inverse = 1 / divisor;
    double share[TURNED], cost_sum[TURNED], slope_sum[TURNED];
    KERNEL(turn)(x, scores, rows, classes);
    for (size_t lane = 0; lane < TURNED; lane++) {
        own[lane] = (BITS)y[lane];
        base[lane] = margin - x[y[lane]][lane];
        share[lane] = factor[lane] * inverse;
        scale[lane] = (REAL)share[lane];
    }
    for (size_t c = 0; c < classes; c++)
        for (size_t lane = 0; lane < TURNED; lane++) {
            const REAL z = own[lane] == (BITS)c ? 0 : base[lane] + x[c][lane];
            costs[c][lane] = z > 0 ? (squared ? z * z : z) : 0;
            slopes[c][lane] = z > 0 ? (squared ? 2 * z : 1) : 0;
            x[c][lane] = slopes[c][lane] * scale[lane];
        }
    KERNEL(add_classes)(cost_sum, costs, classes);
    KERNEL(add_classes)(slope_sum, slopes, classes);
    for (size_t lane = 0; lane < TURNED; lane++) {
        losses[lane] = cost_sum[lane] * factor[lane];
        own_slope[lane] = (REAL)(-slope_sum[lane] * share[lane]);
    }
    if (!gradient) return;
    for (size_t lane = 0; lane < TURNED; lane++) x[y[lane]][lane] = own_slope[lane];
    KERNEL(transpose)(gradient, classes, x[0], TURNED, classes, rows);
}

size_t KERNEL(multi_margin_loss)(const size_t begin, const size_t end, double *restrict block_sums,
                                 REAL *restrict values, REAL *restrict gradient, const REAL *restrict scores,
                                 const int64_t *restrict target, const REAL *restrict weight, const size_t classes,
                                 const int p, const double margin, const double divisor)
{
    const size_t together = classes <= SHORT_ROW ? TURNED : 1;
    int64_t y[TURNED] = {0};
    double factor[TURNED] = {0}, losses[TURNED];
    for (size_t first = begin; first < end; first += together) {
        const size_t rows = smaller(together, end - first);
        const REAL *const x = scores + first * classes;
        REAL *const slopes = gradient ? gradient + first * classes : NULL;
        for (size_t i = 0; i < rows; i++) {
            y[i] = target[first + i];
            if (!KERNEL(is_class)(y[i], classes)) return first + i + 1;
            factor[i] = weight ? weight[y[i]] / (double)classes : 1 / (double)classes;
        }
        if (classes <= SHORT_ROW)
            KERNEL(multi_margin_turned)(losses, slopes, x, y, factor, rows, classes, p == 2, (REAL)margin, divisor);
        else
            losses[0] = KERNEL(multi_margin_row)(slopes, x, (size_t)y[0], classes, p == 2, (REAL)margin, factor[0],
                                                 divisor);
        KERNEL(record_rows)(block_sums, values, first, rows, losses);
    }
    return 0;
}

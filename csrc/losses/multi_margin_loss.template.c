/* With z_c = margin - x_y + x_c, a row costs w_y / C times the sum of z_c^p over classes c != y with z_c > 0. */

/* Classes [i, i + count) of a row: their costs and slopes go to the lanes, from the first on. Class i + own, if it is one
 * of them, is y, which costs nothing. Without `gradient`, a constant NULL then, nobody wants slopes. */
static ALWAYS_INLINE void KERNEL(some_margins)(double *restrict cost_lanes, double *restrict slope_lanes,
                                               REAL *restrict gradient, const REAL *restrict x, const size_t i,
                                               const size_t count, const size_t own, const REAL base,
                                               const REAL scale, const int squared)
{
    REAL costs[LANES], slopes[LANES];
    VECTORS_FIRST
    for (size_t lane = 0; lane < count; lane++) {
        const REAL z = base + x[i + lane];
        costs[lane] = z > 0 ? (squared ? z * z : z) : 0;
        slopes[lane] = z > 0 ? (squared ? 2 * z : 1) : 0;
    }
    if (own < count) costs[own] = slopes[own] = 0;
    VECTORS_FIRST
    for (size_t lane = 0; lane < count; lane++) {
        cost_lanes[lane] += costs[lane];
        if (!gradient) continue;
        slope_lanes[lane] += slopes[lane];
        gradient[i + lane] = slopes[lane] * scale;
    }
}

/* `gradient` may be a constant NULL; `squared` is a constant. */
static ALWAYS_INLINE double KERNEL(multi_margin_row)(REAL *const gradient, const REAL *const x, const size_t y,
                                                     const size_t classes, const int squared, const REAL margin,
                                                     const double factor, const double divisor)
{
    enum { ELSEWHERE = LANES }; /* y, for the classes that are looked at */
    const REAL base = margin - x[y], scale = (REAL)(factor / divisor);
    const size_t rest = classes % LANES, whole = classes - rest, with_y = y - y % LANES;
    double costs[LANES], slopes[LANES];
    KERNEL(clear_lanes)(costs), KERNEL(clear_lanes)(slopes);
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t line = i; line < i + LANES; line += STRIP) { /* memory brings meanwhile what comes AHEAD */
            fetch_line(x + line, AHEAD * sizeof *x);
            if (gradient) fetch_line_to_write(gradient + line, AHEAD * sizeof *gradient);
        }
        if (i == with_y)
            KERNEL(some_margins)(costs, slopes, gradient, x, i, LANES, y - i, base, scale, squared);
        else
            KERNEL(some_margins)(costs, slopes, gradient, x, i, LANES, ELSEWHERE, base, scale, squared);
    }
    KERNEL(some_margins)(costs, slopes, gradient, x, whole, rest, y < whole ? ELSEWHERE : y - whole, base, scale, squared);
    if (gradient) gradient[y] = (REAL)(-KERNEL(join_lanes)(slopes) * factor / divisor);
    return KERNEL(join_lanes)(costs) * factor;
}

static inline double KERNEL(multi_margin_any_row)(REAL *const gradient, const REAL *const x, const size_t y,
                                                  const size_t classes, const int p, const REAL margin,
                                                  const double factor, const double divisor)
{
    if (gradient)
        return p == 2 ? KERNEL(multi_margin_row)(gradient, x, y, classes, 1, margin, factor, divisor)
                      : KERNEL(multi_margin_row)(gradient, x, y, classes, 0, margin, factor, divisor);
    return p == 2 ? KERNEL(multi_margin_row)(NULL, x, y, classes, 1, margin, factor, divisor)
                  : KERNEL(multi_margin_row)(NULL, x, y, classes, 0, margin, factor, divisor);
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
            losses[0] = KERNEL(multi_margin_any_row)(slopes, x, (size_t)y[0], classes, p, (REAL)margin, factor[0],
                                                     divisor);
        KERNEL(record_rows)(block_sums, values, first, rows, losses);
    }
    return 0;
}

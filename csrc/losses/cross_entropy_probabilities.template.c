/* With t_c = w_c ((1 - e) y_c + e/C) for label_smoothing e and lse = log(sum_c exp(x_c)), a row costs
 * sum_c t_c (lse - x_c), and its derivative by x_c is softmax_c sum(t) - t_c. Slopes are scaled last: what cancels has
 * not been rounded by it. */
typedef struct {
    const REAL *weight;
    REAL keep, spread, scale; /* 1 - e, e/C, 1 / divisor */
    size_t classes;
} KERNEL(target_smoothing);

static ALWAYS_INLINE REAL KERNEL(smoothed_target)(const KERNEL(target_smoothing) *const o, const size_t c, const REAL y)
{
    return (o->keep * y + o->spread) * (o->weight ? o->weight[c] : 1);
}

/* The sums of t_c and of t_c (largest - x_c), which is never negative: so a loss near 0 keeps its digits. */
typedef struct {
    double targets[LANES], costs[LANES];
} KERNEL(target_sums);

static ALWAYS_INLINE void KERNEL(some_targets)(REAL *restrict targets, REAL *restrict costs,
                                               const KERNEL(target_smoothing) *const o, const size_t start,
                                               const size_t count, const REAL *restrict x,
                                               const REAL *restrict target, const REAL largest)
{
    VECTORS_FIRST
    for (size_t i = 0; i < count; i++) {
        targets[i] = KERNEL(smoothed_target)(o, start + i, target[start + i]);
        costs[i] = targets[i] * (largest - x[start + i]);
    }
}

/* Two of each are added before they become double: they are mostly of one sign, so that this costs no digits. */
static ALWAYS_INLINE void KERNEL(add_targets)(KERNEL(target_sums) *restrict sums,
                                              const KERNEL(target_smoothing) *const o, const size_t start,
                                              const size_t count, const REAL *restrict x,
                                              const REAL *restrict target, const REAL largest)
{
    const size_t rest = count % (2 * LANES), whole = count - rest;
    REAL targets[2 * LANES], costs[2 * LANES];
    for (size_t i = 0; i < whole; i += 2 * LANES) {
        KERNEL(some_targets)(targets, costs, o, start + i, 2 * LANES, x, target, largest);
        VECTORS_FIRST
        for (size_t lane = 0; lane < LANES; lane++) {
            sums->targets[lane] += targets[lane] + targets[LANES + lane];
            sums->costs[lane] += costs[lane] + costs[LANES + lane];
        }
    }
    KERNEL(some_targets)(targets, costs, o, start + whole, rest, x, target, largest);
    KERNEL(add_to_lanes)(sums->targets, targets, rest);
    KERNEL(add_to_lanes)(sums->costs, costs, rest);
}

static ALWAYS_INLINE double KERNEL(probabilities_row)(const KERNEL(target_smoothing) *const o, REAL *restrict gradient,
                                                      const REAL *restrict target,
                                                      const KERNEL(target_sums) *const sums, const double sum,
                                                      const REAL log_sum)
{
    const double total = KERNEL(join_lanes)(sums->targets);
    if (gradient) {
        const REAL of_exps = (REAL)(total / sum);
        for (size_t c = 0; c < o->classes; c++)
            gradient[c] = (gradient[c] * of_exps - KERNEL(smoothed_target)(o, c, target[c])) * o->scale;
    }
    return KERNEL(join_lanes)(sums->costs) + total * log_sum;
}

/* One row of more than CHUNK classes, which is read from memory only once. */
static inline double KERNEL(long_probabilities_row)(const KERNEL(target_smoothing) *const o, REAL *restrict gradient,
                                                    const REAL *restrict x, const REAL *restrict target)
{
    REAL scratch[CHUNK];
    double lanes[LANES];
    KERNEL(target_sums) sums;
    KERNEL(clear_lanes)(lanes), KERNEL(clear_lanes)(sums.targets), KERNEL(clear_lanes)(sums.costs);
    const REAL largest = KERNEL(maximum)(x, o->classes);
    for (size_t start = 0; start < o->classes; start += CHUNK) {
        const size_t count = smaller(CHUNK, o->classes - start);
        KERNEL(chunk_of_exps)(gradient ? gradient + start : scratch, lanes, x + start, count, largest, o->classes,
                              target + start);
        KERNEL(add_targets)(&sums, o, start, count, x, target, largest);
    }
    const double sum = KERNEL(join_lanes)(lanes);
    return KERNEL(probabilities_row)(o, gradient, target, &sums, sum, KERNEL(scalar_log1p)((REAL)(sum - 1)));
}

/* The same for up to TURNED short rows. */
static inline void KERNEL(probabilities_turned)(const KERNEL(target_smoothing) *const o, double *restrict losses,
                                                REAL *restrict gradient, const REAL *restrict logits,
                                                const REAL *restrict target, const size_t rows)
{
    KERNEL(turned_softmax) s;
    REAL targets[SHORT_ROW][TURNED], costs[SHORT_ROW][TURNED], of_exps[TURNED];
    double target_sum[TURNED], cost_sum[TURNED];
    KERNEL(look_at_turned)(&s, logits, rows, o->classes);
    KERNEL(turn)(targets, target, rows, o->classes);
    for (size_t c = 0; c < o->classes; c++)
        for (size_t lane = 0; lane < TURNED; lane++) {
            targets[c][lane] = KERNEL(smoothed_target)(o, c, targets[c][lane]);
            costs[c][lane] = targets[c][lane] * (s.largest[lane] - s.x[c][lane]);
        }
    KERNEL(add_classes)(target_sum, targets, o->classes);
    KERNEL(add_classes)(cost_sum, costs, o->classes);
    for (size_t lane = 0; lane < TURNED; lane++) losses[lane] = cost_sum[lane] + target_sum[lane] * s.log_sum[lane];
    if (!gradient) return;
    for (size_t lane = 0; lane < TURNED; lane++) of_exps[lane] = (REAL)(target_sum[lane] / s.sum[lane]);
    for (size_t c = 0; c < o->classes; c++)
        for (size_t lane = 0; lane < TURNED; lane++)
            s.exps[c][lane] = (s.exps[c][lane] * of_exps[lane] - targets[c][lane]) * o->scale;
    KERNEL(transpose)(gradient, o->classes, s.exps[0], TURNED, o->classes, rows);
}

void KERNEL(cross_entropy_probabilities)(const size_t begin, const size_t end, double *restrict block_sums,
                                         REAL *restrict values, REAL *restrict gradient,
                                         const REAL *restrict logits, const REAL *restrict target,
                                         const REAL *restrict weight, const size_t classes,
                                         const double label_smoothing, const double divisor)
{
    const KERNEL(target_smoothing) options = {
        weight, (REAL)(1 - label_smoothing), (REAL)(label_smoothing / (double)classes), (REAL)(1 / divisor), classes,
    };
    const size_t together = KERNEL(rows_together)(classes);
    KERNEL(softmax_of_rows) found;
    double losses[TURNED];
    for (size_t first = begin; first < end; first += together) {
        const size_t rows = smaller(together, end - first);
        const REAL *const x = logits + first * classes, *const y = target + first * classes;
        REAL *const slopes = gradient ? gradient + first * classes : NULL;
        if (classes <= SHORT_ROW) {
            KERNEL(probabilities_turned)(&options, losses, slopes, x, y, rows);
        } else if (classes <= CHUNK) {
            KERNEL(look_at_rows)(&found, slopes, x, rows, classes);
            for (size_t i = 0; i < rows; i++) {
                KERNEL(target_sums) sums;
                KERNEL(clear_lanes)(sums.targets), KERNEL(clear_lanes)(sums.costs);
                KERNEL(add_targets)(&sums, &options, 0, classes, x + i * classes, y + i * classes, found.largest[i]);
                losses[i] = KERNEL(probabilities_row)(&options, slopes ? slopes + i * classes : NULL, y + i * classes,
                                                      &sums, found.sum[i], found.log_sum[i]);
            }
        } else {
            losses[0] = KERNEL(long_probabilities_row)(&options, slopes, x, y);
        }
        KERNEL(record_rows)(block_sums, values, first, rows, losses);
    }
}

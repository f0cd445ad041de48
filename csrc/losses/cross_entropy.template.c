/* With e = label_smoothing, C classes and lse = log(sum_c exp(x_c)), a row costs
 *     (1 - e) w_y (lse - x_y) + e/C sum_c w_c (lse - x_c),
 * and its derivative by x_c is softmax_c ((1 - e) w_y + e/C sum w) - e/C w_c - [c = y] (1 - e) w_y. */
typedef struct {
    const REAL *weight;
    double hard, soft, total_weight, divisor; /* hard = 1 - e, soft = e/C */
    size_t classes;
} KERNEL(smoothing);

/* A row's slopes are exp(x_c - largest) of_exps - constant w_c, but for that of its own class. */
typedef struct {
    double loss, own_slope;
    REAL of_exps;
} KERNEL(row_cost);

/* softmax_y - 1 is minus what the others have: near 0 it keeps its digits. */
static ALWAYS_INLINE KERNEL(row_cost) KERNEL(cost_of_row)(const KERNEL(smoothing) *const o, const double own_weight,
                                                          const REAL own_x, const REAL own_exp, const REAL largest,
                                                          const double sum, const REAL log_sum)
{
    const double hard = o->hard * own_weight, scale = 1 / (o->divisor * sum);
    return (KERNEL(row_cost)){
        hard * ((double)(largest - own_x) + log_sum),
        (o->soft * (o->total_weight * own_exp - own_weight * sum) - hard * (sum - own_exp)) * scale,
        (REAL)((hard + o->soft * o->total_weight) * scale),
    };
}

static inline double KERNEL(smoothed_part)(const REAL *restrict x, const REAL *restrict weight,
                                           const size_t classes, const REAL largest, const REAL log_sum)
{
    REAL scratch[CHUNK];
    double lanes[LANES];
    KERNEL(clear_lanes)(lanes);
    for (size_t start = 0; start < classes; start += CHUNK) {
        const size_t count = smaller(CHUNK, classes - start);
        for (size_t i = 0; i < count; i++)
            scratch[i] = (weight ? weight[start + i] : 1) * ((largest - x[start + i]) + log_sum);
        KERNEL(add_to_lanes)(lanes, scratch, count);
    }
    return KERNEL(join_lanes)(lanes);
}

static inline double KERNEL(cross_entropy_row)(const KERNEL(smoothing) *const o, REAL *restrict gradient,
                                               const REAL *restrict x, const size_t y, const REAL largest,
                                               const double sum, const REAL log_sum)
{
    const KERNEL(row_cost) cost = KERNEL(cost_of_row)(o, o->weight ? o->weight[y] : 1, x[y],
                                                      gradient ? gradient[y] : 0, largest, sum, log_sum);
    if (gradient) {
        const REAL constant = (REAL)(o->soft / o->divisor);
        if (constant != 0)
            for (size_t c = 0; c < o->classes; c++)
                gradient[c] = gradient[c] * cost.of_exps - constant * (o->weight ? o->weight[c] : 1);
        else
            for (size_t c = 0; c < o->classes; c++) gradient[c] *= cost.of_exps;
        gradient[y] = (REAL)cost.own_slope;
    }
    if (o->soft == 0) return cost.loss;
    return cost.loss + o->soft * KERNEL(smoothed_part)(x, o->weight, o->classes, largest, log_sum);
}

/* The same for up to TURNED short rows; a class of -1 stands for an ignored row. */
static inline void KERNEL(cross_entropy_turned)(const KERNEL(smoothing) *const o, double *restrict losses,
                                                REAL *restrict gradient, const REAL *restrict logits,
                                                const int64_t *restrict y, const size_t rows)
{
    KERNEL(turned_softmax) s;
    KERNEL(look_at_turned)(&s, logits, rows, o->classes);
    REAL own_x[TURNED], own_exp[TURNED], own_weight[TURNED], own_slope[TURNED], of_exps[TURNED], counts[TURNED];
    for (size_t lane = 0; lane < TURNED; lane++) {
        counts[lane] = y[lane] >= 0;
        own_x[lane] = y[lane] < 0 ? 0 : s.x[y[lane]][lane];
        own_exp[lane] = y[lane] < 0 ? 0 : s.exps[y[lane]][lane];
        own_weight[lane] = y[lane] < 0 ? 0 : o->weight ? o->weight[y[lane]] : 1;
    }
    for (size_t lane = 0; lane < TURNED; lane++) {
        const KERNEL(row_cost) cost = KERNEL(cost_of_row)(o, own_weight[lane], own_x[lane], own_exp[lane],
                                                          s.largest[lane], s.sum[lane], s.log_sum[lane]);
        losses[lane] = cost.loss, own_slope[lane] = (REAL)cost.own_slope, of_exps[lane] = cost.of_exps;
    }
    if (o->soft != 0) {
        double sum[TURNED];
        for (size_t c = 0; c < o->classes; c++)
            for (size_t lane = 0; lane < TURNED; lane++)
                s.x[c][lane] = (o->weight ? o->weight[c] : 1) * ((s.largest[lane] - s.x[c][lane]) + s.log_sum[lane]);
        KERNEL(add_classes)(sum, s.x, o->classes);
        for (size_t lane = 0; lane < TURNED; lane++) losses[lane] += o->soft * sum[lane];
    }
    for (size_t lane = 0; lane < TURNED; lane++) losses[lane] = counts[lane] != 0 ? losses[lane] : 0;
    if (!gradient) return;
    for (size_t c = 0; c < o->classes; c++) {
        const REAL constant = (REAL)(o->soft / o->divisor) * (o->weight ? o->weight[c] : 1);
        for (size_t lane = 0; lane < TURNED; lane++) {
            const REAL slope = s.exps[c][lane] * of_exps[lane] - constant;
            s.exps[c][lane] = counts[lane] != 0 ? slope : 0;
        }
    }
    for (size_t lane = 0; lane < TURNED; lane++)
        if (y[lane] >= 0) s.exps[y[lane]][lane] = own_slope[lane];
    KERNEL(transpose)(gradient, o->classes, s.exps[0], TURNED, o->classes, rows);
}

size_t KERNEL(cross_entropy)(const size_t begin, const size_t end, double *restrict block_sums,
                             REAL *restrict values, REAL *restrict gradient, const REAL *restrict logits,
                             const int64_t *restrict target, const REAL *restrict weight, const size_t classes,
                             const int64_t ignore_index, const double label_smoothing, const double divisor)
{
    double lanes[LANES];
    KERNEL(clear_lanes)(lanes);
    if (weight) KERNEL(add_to_lanes)(lanes, weight, classes);
    const KERNEL(smoothing) options = {
        weight, 1 - label_smoothing, label_smoothing / (double)classes,
        weight ? KERNEL(join_lanes)(lanes) : (double)classes, divisor, classes,
    };
    const size_t together = KERNEL(rows_together)(classes);
    KERNEL(softmax_of_rows) found;
    double losses[TURNED];
    int64_t y[TURNED];
    for (size_t first = begin; first < end; first += together) {
        const size_t rows = smaller(together, end - first);
        const REAL *const x = logits + first * classes;
        REAL *const slopes = gradient ? gradient + first * classes : NULL;
        for (size_t i = 0; i < TURNED; i++) {
            y[i] = i < rows ? target[first + i] : ignore_index;
            if (y[i] == ignore_index) y[i] = -1;
            else if (!KERNEL(is_class)(y[i], classes)) return first + i + 1;
        }
        if (classes <= SHORT_ROW) {
            KERNEL(cross_entropy_turned)(&options, losses, slopes, x, y, rows);
        } else {
            KERNEL(look_at_rows)(&found, slopes, x, rows, classes);
            for (size_t i = 0; i < rows; i++) {
                REAL *const own = slopes ? slopes + i * classes : NULL;
                if (y[i] >= 0)
                    losses[i] = KERNEL(cross_entropy_row)(&options, own, x + i * classes, (size_t)y[i],
                                                          found.largest[i], found.sum[i], found.log_sum[i]);
                else {
                    losses[i] = 0;
                    if (own) memset(own, 0, classes * sizeof *own);
                }
            }
        }
        KERNEL(record_rows)(block_sums, values, first, rows, losses);
    }
    return 0;
}

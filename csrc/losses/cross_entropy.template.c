/* With e = label_smoothing, C classes and lse = log(sum_c exp(x_c)), a row costs
 *     (1 - e) w_y (lse - x_y) + e/C sum_c w_c (lse - x_c),
 * and its derivative by x_c is softmax_c ((1 - e) w_y + e/C sum w) - e/C w_c - [c = y] (1 - e) w_y. */
static inline double KERNEL(smoothed_part)(const REAL *restrict x, const REAL *restrict weight,
                                           const size_t classes, const REAL largest, const REAL log_sum)
{
    REAL scratch[CHUNK];
    double lanes[LANES] = {0};
    for (size_t start = 0; start < classes; start += CHUNK) {
        const size_t count = smaller(CHUNK, classes - start);
        for (size_t i = 0; i < count; i++)
            scratch[i] = (weight ? weight[start + i] : 1) * ((largest - x[start + i]) + log_sum);
        KERNEL(add_to_lanes)(lanes, scratch, count);
    }
    return KERNEL(join_lanes)(lanes);
}

static inline double KERNEL(cross_entropy_row)(REAL *restrict gradient, const REAL *restrict x, const size_t y,
                                               const REAL largest, const double sum, const REAL log_sum,
                                               const REAL *restrict weight, const double total_weight,
                                               const size_t classes, const double smoothing, const double divisor)
{
    const double own_weight = weight ? weight[y] : 1, hard = (1 - smoothing) * own_weight;
    const double soft = smoothing / (double)classes;
    if (gradient) {
        /* softmax_y - 1 is minus what the others have: near 0 it keeps its digits. */
        const double softmax = gradient[y] / sum, others = (sum - gradient[y]) / sum;
        const double own_slope = soft * (total_weight * softmax - own_weight) - hard * others;
        const REAL of_softmax = (REAL)((hard + soft * total_weight) / divisor / sum), constant = (REAL)(soft / divisor);
        if (smoothing != 0)
            for (size_t c = 0; c < classes; c++)
                gradient[c] = gradient[c] * of_softmax - constant * (weight ? weight[c] : 1);
        else
            for (size_t c = 0; c < classes; c++) gradient[c] *= of_softmax;
        gradient[y] = (REAL)(own_slope / divisor);
    }
    const double loss = hard * ((double)(largest - x[y]) + log_sum);
    return smoothing == 0 ? loss : loss + soft * KERNEL(smoothed_part)(x, weight, classes, largest, log_sum);
}

size_t KERNEL(cross_entropy)(const size_t begin, const size_t end, double *restrict block_sums,
                             REAL *restrict values, REAL *restrict gradient, const REAL *restrict logits,
                             const int64_t *restrict target, const REAL *restrict weight, const size_t classes,
                             const int64_t ignore_index, const double label_smoothing, const double divisor)
{
    double lanes[LANES] = {0};
    if (weight) KERNEL(add_to_lanes)(lanes, weight, classes);
    const double total_weight = weight ? KERNEL(join_lanes)(lanes) : (double)classes;

    KERNEL(softmax_of_rows) found;
    const size_t together = KERNEL(rows_together)(classes);
    for (size_t first = begin; first < end; first += together) {
        const size_t rows = smaller(together, end - first);
        KERNEL(look_at_rows)(&found, gradient ? gradient + first * classes : NULL, logits + first * classes, rows, classes);
        for (size_t i = 0, row = first; i < rows; i++, row++) {
            REAL *const slopes = gradient ? gradient + row * classes : NULL;
            const int64_t y = target[row];
            double loss = 0;
            if (y == ignore_index) {
                if (slopes) memset(slopes, 0, classes * sizeof *slopes);
            } else if (!KERNEL(is_class)(y, classes)) {
                return row + 1;
            } else {
                loss = KERNEL(cross_entropy_row)(slopes, logits + row * classes, (size_t)y,
                                                 found.largest[i], found.sum[i], found.log_sum[i], weight,
                                                 total_weight, classes, label_smoothing, divisor);
            }
            KERNEL(record_row)(block_sums, values, row, loss);
        }
    }
    return 0;
}

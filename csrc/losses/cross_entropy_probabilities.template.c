/* With t_c = w_c ((1 - e) y_c + e/C) for label_smoothing e and lse = log(sum_c exp(x_c)), a row costs
 * sum_c t_c (lse - x_c), and its derivative by x_c is softmax_c sum(t) - t_c. */
static inline double KERNEL(probabilities_row)(REAL *restrict gradient, const REAL *restrict x,
                                               const REAL *restrict target, const REAL largest, const double sum,
                                               const REAL log_sum, const REAL *restrict weight,
                                               const size_t classes, const double smoothing, const double divisor)
{
    const REAL scale = (REAL)(1 / divisor);
    const REAL keep = (REAL)(1 - smoothing), spread = (REAL)(smoothing / (double)classes);

    REAL targets[CHUNK], costs[CHUNK];
    double target_lanes[LANES] = {0}, cost_lanes[LANES] = {0};
    for (size_t start = 0; start < classes; start += CHUNK) {
        const size_t count = smaller(CHUNK, classes - start);
        for (size_t i = 0; i < count; i++) {
            const size_t c = start + i;
            targets[i] = (keep * target[c] + spread) * (weight ? weight[c] : 1);
            costs[i] = targets[i] * ((largest - x[c]) + log_sum);
        }
        KERNEL(add_to_lanes)(target_lanes, targets, count);
        KERNEL(add_to_lanes)(cost_lanes, costs, count);
    }
    if (gradient) {
        const REAL of_softmax = (REAL)(KERNEL(join_lanes)(target_lanes) / sum);
        for (size_t c = 0; c < classes; c++) /* scaled last: what cancels has not been rounded by it */
            gradient[c] = (gradient[c] * of_softmax - (keep * target[c] + spread) * (weight ? weight[c] : 1)) * scale;
    }
    return KERNEL(join_lanes)(cost_lanes);
}

void KERNEL(cross_entropy_probabilities)(const size_t begin, const size_t end, double *restrict block_sums,
                                         REAL *restrict values, REAL *restrict gradient,
                                         const REAL *restrict logits, const REAL *restrict target,
                                         const REAL *restrict weight, const size_t classes,
                                         const double label_smoothing, const double divisor)
{
    KERNEL(softmax_of_rows) found;
    const size_t together = KERNEL(rows_together)(classes);
    for (size_t first = begin; first < end; first += together) {
        const size_t rows = smaller(together, end - first);
        KERNEL(look_at_rows)(&found, gradient ? gradient + first * classes : NULL, logits + first * classes, rows, classes);
        for (size_t i = 0, row = first; i < rows; i++, row++)
            KERNEL(record_row)(block_sums, values, row,
                               KERNEL(probabilities_row)(gradient ? gradient + row * classes : NULL,
                                                         logits + row * classes, target + row * classes,
                                                         found.largest[i], found.sum[i], found.log_sum[i], weight,
                                                         classes, label_smoothing, divisor));
    }
}

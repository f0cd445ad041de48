/* -(y log x + (1 - y) log(1 - x)), each logarithm held at -100 or above, and the slope's divisor at 1e-12 or above */
static ALWAYS_INLINE KERNEL(term) KERNEL(binary_entropy)(const REAL x, const REAL y, const REAL unused)
{
    (void)unused;
    const REAL log_x = KERNEL(scalar_log)(x), log_rest = KERNEL(scalar_log1p)(-x);
    const REAL spread = (1 - x) * x;
    return (KERNEL(term)){
        (y - 1) * (log_rest < -100 ? -100 : log_rest) - y * (log_x < -100 ? -100 : log_x),
        (x - y) / (spread < (REAL)1e-12 ? (REAL)1e-12 : spread),
    };
}

size_t KERNEL(binary_cross_entropy)(const size_t begin, const size_t end, double *restrict block_sums,
                                    REAL *restrict values, REAL *restrict gradient, const REAL *restrict input,
                                    const REAL *restrict target, const REAL *restrict weight, const double divisor)
{
    int all_probabilities = 1;
    for (size_t i = begin; i < end; i++) all_probabilities &= (input[i] >= 0) & (input[i] <= 1);
    for (size_t i = begin; !all_probabilities && i < end; i++)
        if (!(input[i] >= 0 && input[i] <= 1)) return i + 1;

    KERNEL(elementwise_loss)(KERNEL(binary_entropy), 1, 0, begin, end, block_sums, values, gradient, input, target,
                             weight, NULL, 0, divisor);
    return 0;
}

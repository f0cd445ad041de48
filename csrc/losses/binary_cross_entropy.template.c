/* -(y log x + (1 - y) log(1 - x)), each logarithm held at -100 or above, and the slope's divisor at 1e-12 or above.
 * Only the logarithm of the nearer one, x or 1 - x, which is then exact, can be large. */
static ALWAYS_INLINE KERNEL(term) KERNEL(binary_entropy)(const REAL x, const REAL y, const REAL unused)
{
    (void)unused;
    const REAL rest = 1 - x, spread = rest * x;
    const int low = x < (REAL)0.5;
    const REAL small = low ? x : rest, log_small = KERNEL(finite_log)(small, 0);
    const REAL other = 1 - y, of_small = low ? y : other, of_large = low ? other : y;
    return (KERNEL(term)){
        -(of_small * (log_small < -100 ? -100 : log_small)) - of_large * KERNEL(log_near_1)(-small, 0),
        (x - y) / (spread < (REAL)1e-12 ? (REAL)1e-12 : spread),
    };
}

size_t KERNEL(binary_cross_entropy)(const size_t begin, const size_t end, double *restrict block_sums,
                                    REAL *restrict values, REAL *restrict gradient, const REAL *restrict input,
                                    const REAL *restrict target, const REAL *restrict weight, const double divisor)
{
    for (size_t start = begin; start < end; start += BLOCK) { /* checked block by block, and so fetched only once */
        const size_t stop = smaller(start + BLOCK, end);
        int all_probabilities = 1;
        for (size_t i = start; i < stop; i++) all_probabilities &= (input[i] >= 0) & (input[i] <= 1);
        for (size_t i = start; !all_probabilities && i < stop; i++)
            if (!(input[i] >= 0 && input[i] <= 1)) return i + 1;
        KERNEL(elementwise_loss)(KERNEL(binary_entropy), 0, start, stop, block_sums, values, gradient, input, target,
                                 weight, NULL, 1, divisor);
    }
    return 0;
}

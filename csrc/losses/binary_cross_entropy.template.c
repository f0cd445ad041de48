/* -(y log x + (1 - y) log(1 - x)), each logarithm held at -100 or above, and the slope's divisor at 1e-12 or above.
 * Only the logarithm of the nearer one, x or 1 - x, which is then exact, can be large. */
static ALWAYS_INLINE REAL KERNEL(log_of_nearer)(const REAL x)
{
    const REAL lifted = (x < (REAL)0.5 ? x : 1 - x) * TWO_TO_MANTISSA;
    return KERNEL(lifted_log)(ABSOLUTE(lifted), 1, 0); /* -0 is a probability, too */
}

static ALWAYS_INLINE KERNEL(term) KERNEL(binary_entropy)(const REAL x, const REAL y, const REAL unused,
                                                         const REAL log_small)
{
    (void)unused;
    const REAL rest = 1 - x, spread = rest * x;
    const int low = x < (REAL)0.5;
    const REAL small = low ? x : rest;
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
        KERNEL(elementwise_loss)(KERNEL(binary_entropy), KERNEL(log_of_nearer), KERNEL(far)(begin, end), start, stop,
                                 block_sums, values, gradient, input, target, weight, NULL, 1, divisor);
        BITS highest = 0; /* with its sign bit, a negative number is higher than 1, and so is NaN */
        for (size_t i = start; i < stop; i++)
            highest = KERNEL(to_bits)(input[i]) > highest ? KERNEL(to_bits)(input[i]) : highest;
        for (size_t i = start; highest > KERNEL(to_bits)(1) && i < stop; i++)
            if (!(input[i] >= 0 && input[i] <= 1)) return i + 1;
    }
    return 0;
}

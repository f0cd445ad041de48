/* With d = x - y and s = d held within [-delta, delta]: s (d - s/2), which is d^2 / 2 within, and delta (|d| - delta/2)
 * beyond. Its slope is s. */
static ALWAYS_INLINE KERNEL(term) KERNEL(huber_error)(const REAL x, const REAL y, const REAL delta, const REAL no_part)
{
    (void)no_part;
    const REAL difference = x - y, slope = KERNEL(held_within)(difference, delta);
    return (KERNEL(term)){ABSOLUTE(slope * (difference - (REAL)0.5 * slope)), slope}; /* 0 of -0, too */
}

void KERNEL(huber_loss)(const size_t begin, const size_t end, double *restrict block_sums, REAL *restrict values,
                        REAL *restrict gradient, const REAL *restrict input, const REAL *restrict target,
                        const double delta, const double divisor)
{
    KERNEL(elementwise_loss)(KERNEL(huber_error), NULL, KERNEL(far)(begin, end), begin, end, block_sums, values,
                             gradient, input, target, NULL, NULL, delta, divisor);
}

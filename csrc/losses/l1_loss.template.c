/* |x - y|, with slope 0 where they meet */
static ALWAYS_INLINE KERNEL(term) KERNEL(absolute_error)(const REAL x, const REAL y, const REAL unused,
                                                         const REAL no_part)
{
    (void)unused, (void)no_part;
    const REAL difference = x - y;
    return (KERNEL(term)){ABSOLUTE(difference), (REAL)((difference > 0) - (difference < 0))};
}

void KERNEL(l1_loss)(const size_t begin, const size_t end, double *restrict block_sums, REAL *restrict values,
                     REAL *restrict gradient, const REAL *restrict input, const REAL *restrict target,
                     const double divisor)
{
    KERNEL(elementwise_loss)(KERNEL(absolute_error), NULL, KERNEL(far)(begin, end), begin, end, block_sums, values,
                             gradient, input, target, NULL, NULL, 0, divisor);
}

/* d^2 / 2 for d = |x - y| < delta, delta (d - delta/2) from there on */
static ALWAYS_INLINE KERNEL(term) KERNEL(huber_error)(const REAL x, const REAL y, const REAL delta, const REAL no_part)
{
    (void)no_part;
    const REAL difference = x - y, distance = ABSOLUTE(difference);
    const REAL slope = difference > delta ? delta : difference < -delta ? -delta : difference;
    return (KERNEL(term)){
        distance < delta ? (REAL)0.5 * distance * distance : delta * (distance - (REAL)0.5 * delta),
        slope,
    };
}

void KERNEL(huber_loss)(const size_t begin, const size_t end, double *restrict block_sums, REAL *restrict values,
                        REAL *restrict gradient, const REAL *restrict input, const REAL *restrict target,
                        const double delta, const int streamed, const double divisor)
{
    KERNEL(elementwise_loss)(KERNEL(huber_error), NULL, streamed, begin, end, block_sums, values, gradient, input,
                             target, NULL, NULL, delta, divisor);
}

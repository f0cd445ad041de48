/* d^2 / (2 beta) for d = |x - y| < beta, d - beta/2 from there on; with beta = 0 the l1 loss */
static ALWAYS_INLINE KERNEL(term) KERNEL(smooth_error)(const REAL x, const REAL y, const REAL beta)
{
    const REAL difference = x - y, distance = ABSOLUTE(difference);
    const REAL sign = (REAL)((difference > 0) - (difference < 0)), slope = difference / beta;
    return (KERNEL(term)){
        distance < beta ? (REAL)0.5 * difference * slope : distance - (REAL)0.5 * beta,
        distance >= beta ? sign : slope,
    };
}

void KERNEL(smooth_l1_loss)(const size_t begin, const size_t end, double *restrict block_sums,
                            REAL *restrict values, REAL *restrict gradient, const REAL *restrict input,
                            const REAL *restrict target, const double beta, const int streamed, const double divisor)
{
    KERNEL(elementwise_loss)(KERNEL(smooth_error), streamed, begin, end, block_sums, values, gradient, input,
                             target, NULL, NULL, beta, divisor);
}

/* d^2 / (2 beta) for d = |x - y| < beta, d - beta/2 from there on; with beta = 0 the l1 loss. */
static ALWAYS_INLINE KERNEL(term) KERNEL(smooth_error)(const REAL x, const REAL y, const REAL beta, const REAL no_part)
{
    (void)no_part;
    const REAL difference = x - y, distance = ABSOLUTE(difference), square = (REAL)0.5 * distance * distance;
    const REAL sign = (REAL)((difference > 0) - (difference < 0));
    return (KERNEL(term)){
        distance < beta ? square / beta : distance - (REAL)0.5 * beta,
        distance >= beta ? sign : difference / beta,
    };
}

/* The same where products with 1 / beta are exact, as with a beta that is a power of two: it is by default. */
static ALWAYS_INLINE KERNEL(term) KERNEL(smooth_error_exact)(const REAL x, const REAL y, const REAL beta,
                                                             const REAL no_part)
{
    (void)no_part;
    const REAL difference = x - y, held = KERNEL(held_within)(difference, beta), slope = held * (1 / beta);
    return (KERNEL(term)){ABSOLUTE(slope * (difference - (REAL)0.5 * held)), slope}; /* 0 of -0, too */
}

void KERNEL(smooth_l1_loss)(const size_t begin, const size_t end, double *restrict block_sums,
                            REAL *restrict values, REAL *restrict gradient, const REAL *restrict input,
                            const REAL *restrict target, const double beta, const double divisor)
{
    int exponent;
    const REAL rounded = (REAL)beta;
    if (frexp((double)rounded, &exponent) == 0.5 && rounded * (1 / rounded) == 1)
        KERNEL(elementwise_loss)(KERNEL(smooth_error_exact), NULL, KERNEL(far)(begin, end), begin, end, block_sums,
                                 values, gradient, input, target, NULL, NULL, beta, divisor);
    else
        KERNEL(elementwise_loss)(KERNEL(smooth_error), NULL, KERNEL(far)(begin, end), begin, end, block_sums, values,
                                 gradient, input, target, NULL, NULL, beta, divisor);
}

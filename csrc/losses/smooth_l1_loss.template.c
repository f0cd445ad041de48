/* d^2 / (2 beta) for d = |x - y| < beta, d - beta/2 from there on; with beta = 0 the l1 loss.
 * With a beta that is a power of two, as it is by default, products with its inverse are exact quotients. */
static ALWAYS_INLINE KERNEL(term) KERNEL(smooth_error)(const REAL x, const REAL y, const REAL beta, const int exact)
{
    const REAL difference = x - y, distance = ABSOLUTE(difference), square = (REAL)0.5 * distance * distance;
    const REAL sign = (REAL)((difference > 0) - (difference < 0)), inverse = 1 / beta;
    return (KERNEL(term)){
        distance < beta ? (exact ? square * inverse : square / beta) : distance - (REAL)0.5 * beta,
        distance >= beta ? sign : exact ? difference * inverse : difference / beta,
    };
}

static ALWAYS_INLINE KERNEL(term) KERNEL(smooth_error_quotient)(const REAL x, const REAL y, const REAL beta,
                                                                const REAL no_part)
{
    (void)no_part;
    return KERNEL(smooth_error)(x, y, beta, 0);
}

static ALWAYS_INLINE KERNEL(term) KERNEL(smooth_error_product)(const REAL x, const REAL y, const REAL beta,
                                                               const REAL no_part)
{
    (void)no_part;
    return KERNEL(smooth_error)(x, y, beta, 1);
}

void KERNEL(smooth_l1_loss)(const size_t begin, const size_t end, double *restrict block_sums,
                            REAL *restrict values, REAL *restrict gradient, const REAL *restrict input,
                            const REAL *restrict target, const double beta, const int streamed, const double divisor)
{
    int exponent;
    const REAL rounded = (REAL)beta;
    if (frexp((double)rounded, &exponent) == 0.5 && rounded * (1 / rounded) == 1)
        KERNEL(elementwise_loss)(KERNEL(smooth_error_product), NULL, streamed, begin, end, block_sums, values,
                                 gradient, input, target, NULL, NULL, beta, divisor);
    else
        KERNEL(elementwise_loss)(KERNEL(smooth_error_quotient), NULL, streamed, begin, end, block_sums, values,
                                 gradient, input, target, NULL, NULL, beta, divisor);
}

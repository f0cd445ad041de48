/* (1 - y) x + (1 + (pos_weight - 1) y) log(1 + e^-x), which is -log of the sigmoid's side that y asks for.
 * e^-|x| never overflows, and gives both that logarithm and the sigmoid; NaN reaches the cost
 * through the first product. */
static ALWAYS_INLINE KERNEL(term) KERNEL(logit_entropy)(const REAL x, const REAL y, const REAL pos_weight)
{
    const REAL e = KERNEL(scalar_exp)(-ABSOLUTE(x));
    const REAL log_term = KERNEL(finite_log1p)(e) + (x < 0 ? -x : 0);
    const REAL sigmoid = (x < 0 ? e : 1) / (1 + e);
    const REAL positive = pos_weight * y;
    return (KERNEL(term)){
        (1 - y) * x + (1 + (pos_weight - 1) * y) * log_term,
        (positive + 1 - y) * sigmoid - positive,
    };
}

void KERNEL(binary_cross_entropy_with_logits)(const size_t begin, const size_t end, double *restrict block_sums,
                                              REAL *restrict values, REAL *restrict gradient,
                                              const REAL *restrict input, const REAL *restrict target,
                                              const REAL *restrict weight, const REAL *restrict pos_weight,
                                              const double divisor)
{
    KERNEL(elementwise_loss)(KERNEL(logit_entropy), 1, begin, end, block_sums, values, gradient, input, target,
                             weight, pos_weight, 0, divisor);
}

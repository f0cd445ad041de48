/* (1 - y) log(1 + e^x) + pos_weight y log(1 + e^-x). The side that x votes against has the weight `against`, the other
 * `in_favour`; with e = e^-|x|, which never overflows, their logarithms are log(1 + e) + |x| and log(1 + e), and their
 * slopes 1 and -e over 1 + e, turned round for x < 0. For y in [0, 1] nothing cancels but what must: losses and slopes
 * near 0 keep their digits. NaN reaches the cost through |x|. */
static ALWAYS_INLINE REAL KERNEL(exp_of_minus_size)(const REAL x) { return KERNEL(scalar_exp)(-ABSOLUTE(x)); }

static ALWAYS_INLINE KERNEL(term) KERNEL(logit_entropy)(const REAL x, const REAL y, const REAL pos_weight,
                                                        const REAL e)
{
    const REAL size = ABSOLUTE(x);
    const REAL negative = 1 - y, positive = pos_weight * y;
    const REAL against = x < 0 ? positive : negative, in_favour = x < 0 ? negative : positive;
    const REAL slope = (against - in_favour * e) / (1 + e);
    return (KERNEL(term)){(negative + positive) * KERNEL(log_near_1)(e, 0) + against * size, x < 0 ? -slope : slope};
}

void KERNEL(binary_cross_entropy_with_logits)(const size_t begin, const size_t end, double *restrict block_sums,
                                              REAL *restrict values, REAL *restrict gradient,
                                              const REAL *restrict input, const REAL *restrict target,
                                              const REAL *restrict weight, const REAL *restrict pos_weight,
                                              const double divisor)
{
    KERNEL(elementwise_loss)(KERNEL(logit_entropy), KERNEL(exp_of_minus_size), KERNEL(far)(begin, end), begin, end,
                             block_sums, values, gradient, input, target, weight, pos_weight, 1, divisor);
}

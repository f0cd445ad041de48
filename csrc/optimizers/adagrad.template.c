typedef struct {
    REAL lr, weight_decay, eps, sign;
} KERNEL(adagrad_options);

static ALWAYS_INLINE void KERNEL(adagrad_update)(const size_t count, REAL *restrict parameter, REAL *restrict sum,
                                                 REAL *restrict no_b, REAL *restrict no_c,
                                                 const REAL *restrict gradient, const void *const options)
{
    const KERNEL(adagrad_options) o = *(const KERNEL(adagrad_options) *)options;
    (void)no_b, (void)no_c;
    REAL steps[PIECE], spread[PIECE];
    VECTORS_FIRST
    for (size_t i = 0; i < count; i++) {
        REAL g = o.sign * gradient[i];
        g = o.weight_decay != 0 ? g + o.weight_decay * parameter[i] : g;
        sum[i] += g * g;
        steps[i] = o.lr * g;
        spread[i] = SQRT(sum[i]) + o.eps;
    }
    KERNEL(quotients)(count, steps, spread, o.eps);
    VECTORS_FIRST
    for (size_t i = 0; i < count; i++) parameter[i] -= steps[i];
}

void KERNEL(adagrad)(const size_t begin, const size_t end, const size_t tensors, const size_t *counts,
                     REAL *const *parameters, REAL *const *sums, const REAL *const *gradients, const double lr,
                     const double weight_decay, const double eps, const double sign)
{
    const KERNEL(adagrad_options) options = {(REAL)lr, (REAL)weight_decay, (REAL)eps, (REAL)sign};
    KERNEL(update_tensors)(KERNEL(adagrad_update), begin, end, tensors, counts, parameters, sums, NULL, NULL, gradients,
                           &options, options.eps);
}

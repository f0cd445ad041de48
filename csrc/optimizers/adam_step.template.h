/* Adam and AdamW differ in one line: where weight decay enters. */
typedef struct {
    REAL step_size, beta1, fresh1, beta2, fresh2, eps, decay, sign; /* decay: what L2 adds, or AdamW's factor */
} KERNEL(adam_options);

/* `decoupled` is a constant. */
static ALWAYS_INLINE void KERNEL(adam_elements)(const size_t count, REAL *restrict parameter, REAL *restrict exp_avg,
                                                REAL *restrict exp_avg_sq, REAL *restrict max_exp_avg_sq,
                                                const REAL *restrict gradient, const KERNEL(adam_options) o,
                                                const int decoupled)
{
    REAL steps[PIECE], spread[PIECE];
    VECTORS_FIRST
    for (size_t i = 0; i < count; i++) {
        REAL g = o.sign * gradient[i];
        if (!decoupled) g = o.decay != 0 ? g + o.decay * parameter[i] : g;
        const REAL m = exp_avg[i] = o.beta1 * exp_avg[i] + o.fresh1 * g;
        REAL v = exp_avg_sq[i] = o.beta2 * exp_avg_sq[i] + o.fresh2 * g * g;
        /* The maximum of the biased averages; NaN stays, whichever side it is on. */
        if (max_exp_avg_sq) v = max_exp_avg_sq[i] = v > max_exp_avg_sq[i] || v != v ? v : max_exp_avg_sq[i];
        steps[i] = o.step_size * m;
        spread[i] = SQRT(v) + o.eps;
    }
    KERNEL(quotients)(count, steps, spread, o.eps);
    VECTORS_FIRST
    for (size_t i = 0; i < count; i++)
        parameter[i] = (decoupled ? o.decay * parameter[i] : parameter[i]) - steps[i];
}

static ALWAYS_INLINE void KERNEL(adam_tensors)(KERNEL(update) *const update, const size_t begin, const size_t end,
                                               const size_t tensors, const size_t *const counts,
                                               REAL *const *const parameters, REAL *const *const exp_avgs,
                                               REAL *const *const exp_avg_sqs, REAL *const *const max_exp_avg_sqs,
                                               const REAL *const *const gradients, const double step_size,
                                               const double beta1, const double beta2, const double eps,
                                               const double decay, const double sign)
{
    const KERNEL(adam_options) options = {
        (REAL)step_size, (REAL)beta1, (REAL)(1 - beta1), (REAL)beta2, (REAL)(1 - beta2), (REAL)eps, (REAL)decay,
        (REAL)sign,
    };
    if (max_exp_avg_sqs)
        KERNEL(update_tensors)(update, begin, end, tensors, counts, parameters, exp_avgs, exp_avg_sqs, max_exp_avg_sqs,
                               gradients, &options, options.eps);
    else
        KERNEL(update_tensors)(update, begin, end, tensors, counts, parameters, exp_avgs, exp_avg_sqs, NULL, gradients,
                               &options, options.eps);
}

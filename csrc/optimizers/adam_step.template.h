/* Adam and AdamW differ in one line: where weight decay enters. */

/* One run; `max_exp_avg_sq` may be a constant NULL, and `decoupled` is a constant. */
static ALWAYS_INLINE void KERNEL(adam_run)(const size_t count, REAL *restrict parameter, REAL *restrict exp_avg,
                                           REAL *restrict exp_avg_sq, REAL *restrict max_exp_avg_sq,
                                           const REAL *restrict gradient, const REAL step_size, const REAL beta1,
                                           const REAL fresh1, const REAL beta2, const REAL fresh2, const REAL eps,
                                           const int decoupled, const REAL decay, const REAL sign)
{
    for (size_t i = 0; i < count; i++) {
        REAL p = parameter[i], g = sign * gradient[i];
        if (decoupled)
            p *= decay;
        else
            g = decay != 0 ? g + decay * p : g;
        const REAL m = exp_avg[i] = beta1 * exp_avg[i] + fresh1 * g;
        REAL v = exp_avg_sq[i] = beta2 * exp_avg_sq[i] + fresh2 * g * g;
        /* The maximum of the biased averages; NaN stays, whichever side it is on. */
        if (max_exp_avg_sq) v = max_exp_avg_sq[i] = v > max_exp_avg_sq[i] || v != v ? v : max_exp_avg_sq[i];
        parameter[i] = p - step_size * m / (SQRT(v) + eps);
    }
}

/* `decay` is the factor of the parameter if decoupled, else what L2 adds. */
static ALWAYS_INLINE void KERNEL(adam_step)(const size_t begin, const size_t end, const size_t tensors,
                                            const size_t *counts, REAL *const *parameters, REAL *const *exp_avgs,
                                            REAL *const *exp_avg_sqs, REAL *const *max_exp_avg_sqs,
                                            const REAL *const *gradients, const double step_size,
                                            const double beta1, const double beta2, const double eps,
                                            const int decoupled, const double decay, const double sign)
{
    const REAL fresh1 = (REAL)(1 - beta1), fresh2 = (REAL)(1 - beta2);
    for (size_t tensor = 0, offset = 0; tensor < tensors; offset += counts[tensor++]) {
        const run part = run_within(begin, end, offset, counts[tensor]);
        REAL *const p = parameters[tensor] + part.first;
        REAL *const m = exp_avgs[tensor] + part.first, *const v = exp_avg_sqs[tensor] + part.first;
        const REAL *const g = gradients[tensor] + part.first;
        if (max_exp_avg_sqs)
            KERNEL(adam_run)(part.count, p, m, v, max_exp_avg_sqs[tensor] + part.first, g, (REAL)step_size,
                             (REAL)beta1, fresh1, (REAL)beta2, fresh2, (REAL)eps, decoupled, (REAL)decay, (REAL)sign);
        else
            KERNEL(adam_run)(part.count, p, m, v, NULL, g, (REAL)step_size, (REAL)beta1, fresh1, (REAL)beta2,
                             fresh2, (REAL)eps, decoupled, (REAL)decay, (REAL)sign);
    }
}

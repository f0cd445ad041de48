static ALWAYS_INLINE void KERNEL(adamw_update)(const size_t count, REAL *restrict parameter, REAL *restrict exp_avg,
                                               REAL *restrict exp_avg_sq, REAL *restrict max_exp_avg_sq,
                                               const REAL *restrict gradient, const void *const options)
{
    KERNEL(adam_elements)(count, parameter, exp_avg, exp_avg_sq, max_exp_avg_sq, gradient,
                          *(const KERNEL(adam_options) *)options, 1);
}

void KERNEL(adamw)(const size_t begin, const size_t end, const size_t tensors, const size_t *counts,
                   REAL *const *parameters, REAL *const *exp_avgs, REAL *const *exp_avg_sqs,
                   REAL *const *max_exp_avg_sqs, const REAL *const *gradients, const double step_size,
                   const double beta1, const double beta2, const double eps, const double decay_factor,
                   const double sign)
{
    KERNEL(adam_tensors)(KERNEL(adamw_update), begin, end, tensors, counts, parameters, exp_avgs, exp_avg_sqs,
                         max_exp_avg_sqs, gradients, step_size, beta1, beta2, eps, decay_factor, sign);
}

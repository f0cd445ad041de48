void KERNEL(adamw)(const size_t begin, const size_t end, const size_t tensors, const size_t *counts,
                   REAL *const *parameters, REAL *const *exp_avgs, REAL *const *exp_avg_sqs,
                   REAL *const *max_exp_avg_sqs, const REAL *const *gradients, const double step_size,
                   const double beta1, const double beta2, const double eps,
                   const double decay_factor, const double sign)
{
    KERNEL(adam_step)(begin, end, tensors, counts, parameters, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, gradients,
                      step_size, beta1, beta2, eps, 1, decay_factor, sign);
}

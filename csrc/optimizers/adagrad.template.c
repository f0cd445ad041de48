static inline void KERNEL(adagrad_run)(const size_t count, REAL *restrict parameter, REAL *restrict sum,
                                       const REAL *restrict gradient, const REAL lr, const REAL weight_decay,
                                       const REAL eps, const REAL sign)
{
    for (size_t i = 0; i < count; i++) {
        REAL g = sign * gradient[i];
        g = weight_decay != 0 ? g + weight_decay * parameter[i] : g;
        sum[i] += g * g;
        parameter[i] -= lr * g / (SQRT(sum[i]) + eps);
    }
}

void KERNEL(adagrad)(const size_t begin, const size_t end, const size_t tensors, const size_t *counts,
                     REAL *const *parameters, REAL *const *sums, const REAL *const *gradients, const double lr,
                     const double weight_decay, const double eps, const double sign)
{
    for (size_t tensor = 0, offset = 0; tensor < tensors; offset += counts[tensor++]) {
        const run part = run_within(begin, end, offset, counts[tensor]);
        KERNEL(adagrad_run)(part.count, parameters[tensor] + part.first, sums[tensor] + part.first,
                            gradients[tensor] + part.first, (REAL)lr, (REAL)weight_decay, (REAL)eps, (REAL)sign);
    }
}

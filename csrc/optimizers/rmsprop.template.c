/* One run. Missing state is a constant NULL, so that each of the four cases has its own loop. */
static ALWAYS_INLINE void KERNEL(rmsprop_run)(const size_t count, REAL *restrict parameter,
                                              REAL *restrict square_avg, REAL *restrict grad_avg,
                                              REAL *restrict buffer, const REAL *restrict gradient, const REAL lr,
                                              const REAL alpha, const REAL fresh, const REAL eps,
                                              const REAL weight_decay, const REAL momentum, const REAL sign)
{
    for (size_t i = 0; i < count; i++) {
        REAL g = sign * gradient[i];
        g = weight_decay != 0 ? g + weight_decay * parameter[i] : g;
        REAL variance = square_avg[i] = alpha * square_avg[i] + fresh * g * g;
        if (grad_avg) {
            grad_avg[i] = alpha * grad_avg[i] + fresh * g;
            variance -= grad_avg[i] * grad_avg[i];
        }
        const REAL spread = SQRT(variance) + eps;
        if (buffer) {
            buffer[i] = momentum * buffer[i] + g / spread;
            parameter[i] -= lr * buffer[i];
        } else {
            parameter[i] -= lr * g / spread;
        }
    }
}

void KERNEL(rmsprop)(const size_t begin, const size_t end, const size_t tensors, const size_t *counts,
                     REAL *const *parameters, REAL *const *square_avgs, REAL *const *grad_avgs,
                     REAL *const *momentum_buffers, const REAL *const *gradients, const double lr,
                     const double alpha, const double eps, const double weight_decay, const double momentum,
                     const double sign)
{
    for (size_t tensor = 0, offset = 0; tensor < tensors; offset += counts[tensor++]) {
        const run part = run_within(begin, end, offset, counts[tensor]);
        const size_t count = part.count;
        REAL *const p = parameters[tensor] + part.first, *const square = square_avgs[tensor] + part.first;
        REAL *const average = grad_avgs ? grad_avgs[tensor] + part.first : NULL;
        REAL *const buffer = momentum_buffers ? momentum_buffers[tensor] + part.first : NULL;
        const REAL *const g = gradients[tensor] + part.first;
        const REAL rate = (REAL)lr, a = (REAL)alpha, fresh = (REAL)(1 - alpha), e = (REAL)eps;
        const REAL decay = (REAL)weight_decay, m = (REAL)momentum, s = (REAL)sign;
        if (average && buffer)
            KERNEL(rmsprop_run)(count, p, square, average, buffer, g, rate, a, fresh, e, decay, m, s);
        else if (average)
            KERNEL(rmsprop_run)(count, p, square, average, NULL, g, rate, a, fresh, e, decay, m, s);
        else if (buffer)
            KERNEL(rmsprop_run)(count, p, square, NULL, buffer, g, rate, a, fresh, e, decay, m, s);
        else
            KERNEL(rmsprop_run)(count, p, square, NULL, NULL, g, rate, a, fresh, e, decay, m, s);
    }
}

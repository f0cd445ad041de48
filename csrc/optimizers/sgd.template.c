/* One run. A missing buffer is a constant NULL, so that both cases have their own loop. */
static ALWAYS_INLINE void KERNEL(sgd_run)(const size_t count, REAL *restrict parameter, REAL *restrict buffer,
                                          const REAL *restrict gradient, const REAL lr, const REAL momentum,
                                          const REAL kept, const REAL weight_decay, const REAL sign,
                                          const int nesterov, const int first)
{
    for (size_t i = 0; i < count; i++) {
        REAL g = sign * gradient[i];
        g = weight_decay != 0 ? g + weight_decay * parameter[i] : g;
        if (buffer) {
            const REAL velocity = first ? g : momentum * buffer[i] + kept * g;
            buffer[i] = velocity;
            g = nesterov ? g + momentum * velocity : velocity;
        }
        parameter[i] -= lr * g;
    }
}

void KERNEL(sgd)(const size_t begin, const size_t end, const size_t tensors, const size_t *counts,
                 REAL *const *parameters, REAL *const *momentum_buffers, const REAL *const *gradients,
                 const double lr, const double momentum, const double dampening, const double weight_decay,
                 const double sign, const int nesterov, const int first)
{
    const REAL kept = (REAL)(1 - dampening);
    for (size_t tensor = 0, offset = 0; tensor < tensors; offset += counts[tensor++]) {
        const run part = run_within(begin, end, offset, counts[tensor]);
        REAL *const parameter = parameters[tensor] + part.first;
        const REAL *const gradient = gradients[tensor] + part.first;
        if (momentum_buffers)
            KERNEL(sgd_run)(part.count, parameter, momentum_buffers[tensor] + part.first, gradient, (REAL)lr,
                            (REAL)momentum, kept, (REAL)weight_decay, (REAL)sign, nesterov, first);
        else
            KERNEL(sgd_run)(part.count, parameter, NULL, gradient, (REAL)lr, (REAL)momentum, kept,
                            (REAL)weight_decay, (REAL)sign, nesterov, first);
    }
}

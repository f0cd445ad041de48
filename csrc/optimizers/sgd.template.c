typedef struct {
    REAL lr, momentum, kept, weight_decay, sign;
    int nesterov, first;
} KERNEL(sgd_options);

static ALWAYS_INLINE void KERNEL(sgd_update)(const size_t count, REAL *restrict parameter, REAL *restrict buffer,
                                             REAL *restrict no_b, REAL *restrict no_c, const REAL *restrict gradient,
                                             const void *const options)
{
    const KERNEL(sgd_options) o = *(const KERNEL(sgd_options) *)options;
    (void)no_b, (void)no_c;
    VECTORS_FIRST
    for (size_t i = 0; i < count; i++) {
        REAL g = o.sign * gradient[i];
        g = o.weight_decay != 0 ? g + o.weight_decay * parameter[i] : g;
        if (buffer) {
            const REAL velocity = o.first ? g : o.momentum * buffer[i] + o.kept * g;
            buffer[i] = velocity;
            g = o.nesterov ? g + o.momentum * velocity : velocity;
        }
        parameter[i] -= o.lr * g;
    }
}

void KERNEL(sgd)(const size_t begin, const size_t end, const size_t tensors, const size_t *counts,
                 REAL *const *parameters, REAL *const *momentum_buffers, const REAL *const *gradients,
                 const double lr, const double momentum, const double dampening, const double weight_decay,
                 const double sign, const int nesterov, const int first)
{
    const KERNEL(sgd_options) options = {
        (REAL)lr, (REAL)momentum, (REAL)(1 - dampening), (REAL)weight_decay, (REAL)sign, nesterov, first,
    };
    if (momentum_buffers)
        KERNEL(update_tensors)(KERNEL(sgd_update), begin, end, tensors, counts, parameters, momentum_buffers, NULL,
                               NULL, gradients, &options, 1);
    else
        KERNEL(update_tensors)(KERNEL(sgd_update), begin, end, tensors, counts, parameters, NULL, NULL, NULL, gradients,
                               &options, 1);
}

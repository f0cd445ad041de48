typedef struct {
    REAL lr, alpha, fresh, eps, weight_decay, momentum, sign;
} KERNEL(rmsprop_options);

static ALWAYS_INLINE void KERNEL(rmsprop_update)(const size_t count, REAL *restrict parameter,
                                                 REAL *restrict square_avg, REAL *restrict grad_avg,
                                                 REAL *restrict buffer, const REAL *restrict gradient,
                                                 const void *const options)
{
    const KERNEL(rmsprop_options) o = *(const KERNEL(rmsprop_options) *)options;
    REAL steps[PIECE], spread[PIECE];
    VECTORS_FIRST
    for (size_t i = 0; i < count; i++) {
        REAL g = o.sign * gradient[i];
        g = o.weight_decay != 0 ? g + o.weight_decay * parameter[i] : g;
        REAL variance = square_avg[i] = o.alpha * square_avg[i] + o.fresh * g * g;
        if (grad_avg) {
            grad_avg[i] = o.alpha * grad_avg[i] + o.fresh * g;
            variance -= grad_avg[i] * grad_avg[i];
        }
        steps[i] = buffer ? g : o.lr * g;
        spread[i] = SQRT(variance) + o.eps;
    }
    KERNEL(quotients)(count, steps, spread, o.eps);
    VECTORS_FIRST
    for (size_t i = 0; i < count; i++) {
        if (buffer) {
            buffer[i] = o.momentum * buffer[i] + steps[i];
            parameter[i] -= o.lr * buffer[i];
        } else {
            parameter[i] -= steps[i];
        }
    }
}

void KERNEL(rmsprop)(const size_t begin, const size_t end, const size_t tensors, const size_t *counts,
                     REAL *const *parameters, REAL *const *square_avgs, REAL *const *grad_avgs,
                     REAL *const *momentum_buffers, const REAL *const *gradients, const double lr,
                     const double alpha, const double eps, const double weight_decay, const double momentum,
                     const double sign)
{
    const KERNEL(rmsprop_options) options = {
        (REAL)lr, (REAL)alpha, (REAL)(1 - alpha), (REAL)eps, (REAL)weight_decay, (REAL)momentum, (REAL)sign,
    };
    if (grad_avgs && momentum_buffers)
        KERNEL(update_tensors)(KERNEL(rmsprop_update), begin, end, tensors, counts, parameters, square_avgs, grad_avgs,
                               momentum_buffers, gradients, &options, options.eps);
    else if (grad_avgs)
        KERNEL(update_tensors)(KERNEL(rmsprop_update), begin, end, tensors, counts, parameters, square_avgs, grad_avgs,
                               NULL, gradients, &options, options.eps);
    else if (momentum_buffers)
        KERNEL(update_tensors)(KERNEL(rmsprop_update), begin, end, tensors, counts, parameters, square_avgs, NULL,
                               momentum_buffers, gradients, &options, options.eps);
    else
        KERNEL(update_tensors)(KERNEL(rmsprop_update), begin, end, tensors, counts, parameters, square_avgs, NULL, NULL,
                               gradients, &options, options.eps);
}

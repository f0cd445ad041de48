/* Every kernel, declared once. The C files read this per REAL and level; build_kernels.py hands the same text to
 * cffi, replacing REAL and KERNEL(name) itself, so no line here may be a directive.
 *
 * A kernel works on the elements, or for row-wise losses the rows, in [begin, end), where begin is a multiple of
 * BLOCK, or ROW_BLOCK, if it adds up: threads take slices (team.h; build_kernels.py writes the function that shares a
 * call).
 * Arrays that are written come first and overlap nothing else. Kernels keep no state, never write what they read, and
 * but for matmul allocate nothing. */

/* ---- elementary functions: result = f(input) ----
 * Measured largest error in units in the last place: exp 1.05 / 1.14, log 0.95 / 0.92, log1p 1.01 / 0.98,
 * log1p_near_0 1.35 / 1.33 (float, every value / double, sampled densely: tests/kernels/sweep_elementary.py).
 * exp takes x <= 0 and underflows through the denormals; log1p_near_0 takes -1/2 <= x <= 1;
 * log and log1p are -infinity at their pole and NaN below it. */
void KERNEL(exp)(size_t begin, size_t end, REAL *restrict result, const REAL *restrict input);
void KERNEL(log)(size_t begin, size_t end, REAL *restrict result, const REAL *restrict input);
void KERNEL(log1p)(size_t begin, size_t end, REAL *restrict result, const REAL *restrict input);
void KERNEL(log1p_near_0)(size_t begin, size_t end, REAL *restrict result, const REAL *restrict input);

/* ---- losses ----
 * Written, each unless it is NULL: values[i], the loss of element or row i; block_sums[b], their sum over block b;
 * gradient, the derivative of (sum of values) / divisor by the input. The caller passes divisor = 1 for a sum.
 * Python sees (block, total) in place of block_sums: with block > 0, how many elements or rows a block has, the sum of
 * all, over the divisor, goes to `total`.
 * Each formula stands in the kernel's own file. */
void KERNEL(mse_loss)(size_t begin, size_t end, double *restrict block_sums, REAL *restrict values,
                      REAL *restrict gradient, const REAL *restrict input, const REAL *restrict target,
                      double divisor);
void KERNEL(l1_loss)(size_t begin, size_t end, double *restrict block_sums, REAL *restrict values,
                     REAL *restrict gradient, const REAL *restrict input, const REAL *restrict target,
                     double divisor);
/* beta >= 0; 0 gives the l1 loss. */
void KERNEL(smooth_l1_loss)(size_t begin, size_t end, double *restrict block_sums, REAL *restrict values,
                            REAL *restrict gradient, const REAL *restrict input, const REAL *restrict target,
                            double beta, double divisor);
/* delta > 0. */
void KERNEL(huber_loss)(size_t begin, size_t end, double *restrict block_sums, REAL *restrict values,
                        REAL *restrict gradient, const REAL *restrict input, const REAL *restrict target,
                        double delta, double divisor);
/* `weight` has an entry per element, or is NULL.
 * Returns 0, or 1 + the position of the first input outside [0, 1] or NaN, where it stops. */
size_t KERNEL(binary_cross_entropy)(size_t begin, size_t end, double *restrict block_sums, REAL *restrict values,
                                    REAL *restrict gradient, const REAL *restrict input,
                                    const REAL *restrict target, const REAL *restrict weight, double divisor);
/* `weight` and `pos_weight` have an entry per element, or are NULL. */
void KERNEL(binary_cross_entropy_with_logits)(size_t begin, size_t end, double *restrict block_sums,
                                              REAL *restrict values, REAL *restrict gradient,
                                              const REAL *restrict input, const REAL *restrict target,
                                              const REAL *restrict weight, const REAL *restrict pos_weight,
                                              double divisor);

/* Rows: logits and scores are (rows, classes), an index target is (rows), weight is (classes) or NULL. */

/* block_sums = the weights of the rows' targets, 0 for ignored rows. */
void KERNEL(target_weights)(size_t begin, size_t end, double *restrict block_sums, const int64_t *restrict target,
                            const REAL *restrict weight, size_t classes, int64_t ignore_index);
/* Rows whose target is ignore_index cost 0 and have slope 0. For Python, divisor = 0 stands for the sum of the targets'
 * weights, or NaN if that is 0.
 * Returns 0, or 1 + the first row whose target is neither ignored nor a class, where it stops. */
size_t KERNEL(cross_entropy)(size_t begin, size_t end, double *restrict block_sums, REAL *restrict values,
                             REAL *restrict gradient, const REAL *restrict logits, const int64_t *restrict target,
                             const REAL *restrict weight, size_t classes, int64_t ignore_index,
                             double label_smoothing, double divisor);
/* The target is (rows, classes). */
void KERNEL(cross_entropy_probabilities)(size_t begin, size_t end, double *restrict block_sums,
                                         REAL *restrict values, REAL *restrict gradient,
                                         const REAL *restrict logits, const REAL *restrict target,
                                         const REAL *restrict weight, size_t classes, double label_smoothing,
                                         double divisor);
/* p is 1 or 2. Returns 0, or 1 + the first row whose target is not a class, where it stops. */
size_t KERNEL(multi_margin_loss)(size_t begin, size_t end, double *restrict block_sums, REAL *restrict values,
                                 REAL *restrict gradient, const REAL *restrict scores,
                                 const int64_t *restrict target, const REAL *restrict weight, size_t classes,
                                 int p, double margin, double divisor);

/* ---- layers ---- */

/* max(input, 0), and its derivative times `upstream`, which is 0 where the result is. NaN passes both ways. */
void KERNEL(relu)(size_t begin, size_t end, REAL *restrict result, const REAL *restrict input);
void KERNEL(relu_backward)(size_t begin, size_t end, REAL *restrict gradient, const REAL *restrict upstream,
                           const REAL *restrict result);

/* The sums of the columns from begin to end of a (rows, columns) matrix. SUM_ROWS rows at a time are added as REAL, and
 * their sums as double, so that many rows cost float no digits. Any begin will do. */
void KERNEL(sum_rows)(size_t begin, size_t end, REAL *restrict sums, size_t rows, size_t columns,
                      const REAL *restrict matrix);

/* The columns from begin to end of result = left right + bias, for result (rows, columns) in C order, left (rows,
 * inner) and right (inner, columns) with strides in elements, of which one is 1, and bias (columns) or NULL. Any begin
 * will do. Returns 0, or 1 where there is no memory for its copies of the factors. Not for the baseline, which has no
 * fused multiply-add. */
size_t KERNEL(matmul)(size_t begin, size_t end, REAL *restrict result, size_t rows, size_t inner, size_t columns,
                      const REAL *restrict left, size_t left_row, size_t left_column, const REAL *restrict right,
                      size_t right_row, size_t right_column, const REAL *restrict bias);

/* ---- optimizers, in place ----
 * Tensor t has counts[t] elements; [begin, end) runs over all tensors laid end to end. Each tensor's arrays overlap
 * no other. With g = sign * gradient (sign is -1 to maximize, else 1), and weight_decay * parameter added to g
 * except in adamw. What a root plus eps divides is multiplied by the reciprocal, which is rounded. Denormals are taken
 * for 0 on x86-64, unless eps is so small (below 6e-11 for float) that they could count. */

/* b <- g if first, else momentum b + (1 - dampening) g;  p <- p - lr (nesterov ? g + momentum b : b).
 * Without momentum_buffers (NULL), p <- p - lr g. */
void KERNEL(sgd)(size_t begin, size_t end, size_t tensors, const size_t *counts, REAL *const *parameters,
                 REAL *const *momentum_buffers, const REAL *const *gradients, double lr, double momentum,
                 double dampening, double weight_decay, double sign, int nesterov, int first);

/* s <- s + g^2;  p <- p - lr g / (sqrt(s) + eps)  (Duchi, Hazan, Singer 2011). The caller decays lr. */
void KERNEL(adagrad)(size_t begin, size_t end, size_t tensors, const size_t *counts, REAL *const *parameters,
                     REAL *const *sums, const REAL *const *gradients, double lr, double weight_decay, double eps,
                     double sign);

/* v <- alpha v + (1 - alpha) g^2;  p <- p - lr g / (sqrt(v) + eps)  (Tieleman, Hinton 2012).
 * With grad_avgs: a <- alpha a + (1 - alpha) g, and v - a^2 stands under the root (Graves 2013).
 * With momentum_buffers: b <- momentum b + g / (sqrt(v) + eps);  p <- p - lr b. */
void KERNEL(rmsprop)(size_t begin, size_t end, size_t tensors, const size_t *counts, REAL *const *parameters,
                     REAL *const *square_avgs, REAL *const *grad_avgs, REAL *const *momentum_buffers,
                     const REAL *const *gradients, double lr, double alpha, double eps, double weight_decay,
                     double momentum, double sign);

/* m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2;
 * p <- p - step_size m / (sqrt(v) + eps)  (Kingma, Ba 2015, algorithm 1, in the form that ends its section 2:
 * the caller passes step_size = lr sqrt(1 - beta2^t) / (1 - beta1^t) and eps sqrt(1 - beta2^t)).
 * With max_exp_avg_sqs: x <- max(x, v) replaces v under the root (Reddi, Kale, Kumar 2018). */
void KERNEL(adam)(size_t begin, size_t end, size_t tensors, const size_t *counts, REAL *const *parameters,
                  REAL *const *exp_avgs, REAL *const *exp_avg_sqs, REAL *const *max_exp_avg_sqs,
                  const REAL *const *gradients, double step_size, double beta1, double beta2, double eps,
                  double weight_decay, double sign);
/* As adam, with p <- decay_factor p before the step in place of weight decay (Loshchilov, Hutter 2019).
 * The caller passes decay_factor = 1 - lr * weight_decay. */
void KERNEL(adamw)(size_t begin, size_t end, size_t tensors, const size_t *counts, REAL *const *parameters,
                   REAL *const *exp_avgs, REAL *const *exp_avg_sqs, REAL *const *max_exp_avg_sqs,
                   const REAL *const *gradients, double step_size, double beta1, double beta2, double eps,
                   double decay_factor, double sign);

/* ---- the machine's limit, for the benchmark ----
 * Every array is touched once, with next to no arithmetic: written = first + second, or -first if `second` is NULL,
 * unless `written` is NULL; and u <- u + first for each of up to four arrays u. With past_caches, `written` goes to
 * memory without being fetched first, where the machine can. */
void KERNEL(stream)(size_t begin, size_t end, REAL *restrict written, size_t updates, REAL *const *updated,
                    const REAL *restrict first, const REAL *restrict second, int past_caches);

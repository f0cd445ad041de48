/* All kernels, for one REAL at one LEVEL. */
#ifndef REAL
#error "kernels_f32.c and kernels_f64.c include this file through levels.h"
#endif

#include "kernels.template.h"

#include "simd.template.h"

#include "losses/elementwise.template.h"
#include "losses/mse_loss.template.c"
#include "losses/l1_loss.template.c"
#include "losses/smooth_l1_loss.template.c"
#include "losses/huber_loss.template.c"
#include "losses/binary_cross_entropy.template.c"
#include "losses/binary_cross_entropy_with_logits.template.c"

#include "losses/rows.template.h"
#include "losses/short_rows.template.h"
#include "losses/target_weights.template.c"
#include "losses/cross_entropy.template.c"
#include "losses/cross_entropy_probabilities.template.c"
#include "losses/multi_margin_loss.template.c"

#include "layers/relu.template.c"
#include "layers/sum_rows.template.c"
#ifdef VECTOR_BYTES
#include "layers/matmul.template.c"
#else /* never called: native.py leaves products to NumPy */
size_t KERNEL(matmul)(size_t begin, size_t end, REAL *restrict result, size_t rows, size_t inner, size_t columns,
                      const REAL *restrict left, size_t left_row, size_t left_column, const REAL *restrict right,
                      size_t right_row, size_t right_column, const REAL *restrict bias)
{
    return 0;
}
#endif

#include "optimizers/update.template.h"
#include "optimizers/sgd.template.c"
#include "optimizers/adagrad.template.c"
#include "optimizers/rmsprop.template.c"
#include "optimizers/adam_step.template.h"
#include "optimizers/adam.template.c"
#include "optimizers/adamw.template.c"

#include "stream.template.c"

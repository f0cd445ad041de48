/* The driver of losses that are a sum over elements: such a loss is one formula, inlined into these loops. */

/* The cost of one element and its derivative by the input. */
typedef struct {
    REAL value, derivative;
} KERNEL(term);
typedef KERNEL(term) KERNEL(formula)(REAL input, REAL target, REAL parameter);

/* One chunk; `gradient`, `weight` and `parameters` may be a constant NULL, which removes their part of the loop. */
static ALWAYS_INLINE void KERNEL(chunk_of_terms)(KERNEL(formula) *const formula, const size_t count,
                                                 REAL *restrict values, REAL *restrict gradient,
                                                 const REAL *restrict input, const REAL *restrict target,
                                                 const REAL *restrict weight, const REAL *restrict parameters,
                                                 const REAL parameter, const REAL scale)
{
    for (size_t i = 0; i < count; i++) {
        const KERNEL(term) term = formula(input[i], target[i], parameters ? parameters[i] : parameter);
        values[i] = weight ? weight[i] * term.value : term.value;
        if (gradient) gradient[i] = weight ? weight[i] * term.derivative * scale : term.derivative * scale;
    }
}

/* All chunks. `weighted` is a constant: with it, weight and parameters are arrays in which NULL stands for ones;
 * without it, every element has the one `parameter`. */
static ALWAYS_INLINE void KERNEL(chunks_of_terms)(KERNEL(formula) *const formula, const int weighted,
                                                  const int streamed, const size_t begin, const size_t end,
                                                  double *const block_sums, REAL *const values,
                                                  REAL *const gradient, const REAL *const input,
                                                  const REAL *const target, const REAL *const weight,
                                                  const REAL *const parameters, const REAL parameter,
                                                  const double divisor)
{
    const REAL scale = (REAL)(1 / divisor);
    const int streams = streamed && CAN_PASS_CACHES && gradient;
    REAL ones[CHUNK], scratch[CHUNK], slopes[CHUNK];
    double lanes[LANES] = {0};
    if (weighted)
        for (size_t i = 0; i < smaller(CHUNK, end - begin); i++) ones[i] = 1;

    for (size_t start = begin; start < end; start += CHUNK) {
        const size_t count = smaller(CHUNK, end - start);
        REAL *const terms = values ? values + start : scratch;
        const REAL *const w = !weighted ? NULL : weight ? weight + start : ones;
        const REAL *const p = !weighted ? NULL : parameters ? parameters + start : ones;
        if (streams && end - start > 3 * CHUNK) { /* or memory would rest while a chunk is computed */
            fetch(input + start + 2 * CHUNK, CHUNK * sizeof *input);
            fetch(target + start + 2 * CHUNK, CHUNK * sizeof *target);
        }
        if (gradient)
            KERNEL(chunk_of_terms)(formula, count, terms, streams ? slopes : gradient + start, input + start,
                                   target + start, w, p, parameter, scale);
        else
            KERNEL(chunk_of_terms)(formula, count, terms, NULL, input + start, target + start, w, p, parameter, scale);
        if (streams) copy_past_caches(gradient + start, slopes, count * sizeof *slopes);
        if (!block_sums) continue;
        KERNEL(add_to_lanes)(lanes, terms, count);
        if ((start + count) % BLOCK == 0 || start + count == end) {
            block_sums[start / BLOCK] = KERNEL(join_lanes)(lanes);
            memset(lanes, 0, sizeof lanes);
        }
    }
    if (streams) finish_stores();
}

/* `streamed` sends the gradient past the caches. Without weight and parameters there is the one `parameter`. */
static ALWAYS_INLINE void KERNEL(elementwise_loss)(KERNEL(formula) *const formula, const int streamed,
                                                   const size_t begin, const size_t end, double *const block_sums,
                                                   REAL *const values, REAL *const gradient,
                                                   const REAL *const input, const REAL *const target,
                                                   const REAL *const weight, const REAL *const parameters,
                                                   const double parameter, const double divisor)
{
    if (weight || parameters)
        KERNEL(chunks_of_terms)(formula, 1, streamed, begin, end, block_sums, values, gradient, input, target,
                                weight, parameters, 1, divisor);
    else
        KERNEL(chunks_of_terms)(formula, 0, streamed, begin, end, block_sums, values, gradient, input, target,
                                NULL, NULL, (REAL)parameter, divisor);
}

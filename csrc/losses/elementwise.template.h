/* The driver of losses that are a sum over elements: such a loss is one formula, inlined into these loops. */

/* The cost of one element and its derivative by the input. */
typedef struct {
    REAL value, derivative;
} KERNEL(term);
typedef KERNEL(term) KERNEL(formula)(REAL input, REAL target, REAL parameter, REAL first);

/* What a long formula computes first, of the input alone, in a loop of its own: two short chains of arithmetic per
 * element keep a processor busier than a long one. Meanwhile memory brings what comes next. */
typedef REAL KERNEL(first_part)(REAL input);

static ALWAYS_INLINE void KERNEL(first_parts)(KERNEL(first_part) *const first_part, const size_t count,
                                              REAL *restrict parts, const REAL *restrict input,
                                              const REAL *restrict target)
{
    const size_t whole = count - count % STRIP;
    for (size_t i = 0; i < whole; i += STRIP) {
        fetch_line(target + i, CHUNK * sizeof *target);
        fetch_line(input + i, 2 * CHUNK * sizeof *input);
        for (size_t j = 0; j < STRIP; j++) parts[i + j] = first_part(input[i + j]);
    }
    for (size_t i = whole; i < count; i++) parts[i] = first_part(input[i]);
}

/* `parts`, `gradient`, `weight` and `parameters` may be a constant NULL, which removes their part of the loop. */
static ALWAYS_INLINE void KERNEL(terms)(KERNEL(formula) *const formula, const size_t count, REAL *restrict values,
                                        REAL *restrict gradient, const REAL *restrict input,
                                        const REAL *restrict target, const REAL *restrict weight,
                                        const REAL *restrict parameters, const REAL parameter,
                                        const REAL *restrict parts, const REAL scale)
{
    for (size_t i = 0; i < count; i++) {
        const KERNEL(term) term =
            formula(input[i], target[i], parameters ? parameters[i] : parameter, parts ? parts[i] : 0);
        values[i] = weight ? weight[i] * term.value : term.value;
        if (gradient) gradient[i] = weight ? weight[i] * term.derivative * scale : term.derivative * scale;
    }
}

/* One chunk; `first_part` may be a constant NULL, too. */
static ALWAYS_INLINE void KERNEL(chunk_of_terms)(KERNEL(formula) *const formula, KERNEL(first_part) *const first_part,
                                                 const size_t count, REAL *const values, REAL *const gradient,
                                                 const REAL *const input, const REAL *const target,
                                                 const REAL *const weight, const REAL *const parameters,
                                                 const REAL parameter, const REAL scale)
{
    if (!first_part) {
        KERNEL(terms)(formula, count, values, gradient, input, target, weight, parameters, parameter, NULL, scale);
        return;
    }
    REAL parts[CHUNK];
    KERNEL(first_parts)(first_part, count, parts, input, target);
    for (size_t i = 0; i < count; i += STRIP) {
        REAL *const slopes = gradient ? gradient + i : NULL;
        const REAL *const w = weight ? weight + i : NULL, *const p = parameters ? parameters + i : NULL;
        if (gradient) fetch_line_to_write(slopes, CHUNK * sizeof *slopes);
        if (count - i >= STRIP)
            KERNEL(terms)(formula, STRIP, values + i, slopes, input + i, target + i, w, p, parameter, parts + i, scale);
        else
            KERNEL(terms)(formula, count - i, values + i, slopes, input + i, target + i, w, p, parameter, parts + i,
                          scale);
    }
}

/* All chunks. `weighted` is a constant: with it, weight and parameters are arrays in which NULL stands for ones;
 * without it, every element has the one `parameter`. */
static ALWAYS_INLINE void KERNEL(chunks_of_terms)(KERNEL(formula) *const formula,
                                                  KERNEL(first_part) *const first_part, const int weighted,
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
            KERNEL(chunk_of_terms)(formula, first_part, count, terms, streams ? slopes : gradient + start,
                                   input + start, target + start, w, p, parameter, scale);
        else
            KERNEL(chunk_of_terms)(formula, first_part, count, terms, NULL, input + start, target + start, w, p,
                                   parameter, scale);
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
static ALWAYS_INLINE void KERNEL(elementwise_loss)(KERNEL(formula) *const formula,
                                                   KERNEL(first_part) *const first_part, const int streamed,
                                                   const size_t begin, const size_t end, double *const block_sums,
                                                   REAL *const values, REAL *const gradient,
                                                   const REAL *const input, const REAL *const target,
                                                   const REAL *const weight, const REAL *const parameters,
                                                   const double parameter, const double divisor)
{
    if (weight || parameters)
        KERNEL(chunks_of_terms)(formula, first_part, 1, streamed, begin, end, block_sums, values, gradient, input,
                                target, weight, parameters, 1, divisor);
    else
        KERNEL(chunks_of_terms)(formula, first_part, 0, streamed, begin, end, block_sums, values, gradient, input,
                                target, NULL, NULL, (REAL)parameter, divisor);
}

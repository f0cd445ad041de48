/* The driver of losses that are a sum over elements: such a loss is one formula, inlined into these loops. */

/* The cost of one element and its derivative by the input. */
typedef struct {
    REAL value, derivative;
} KERNEL(term);
typedef KERNEL(term) KERNEL(formula)(REAL input, REAL target, REAL parameter, REAL first);

/* Whether what a slice reads and writes is far. */
static inline int KERNEL(far)(const size_t begin, const size_t end) { return is_far(3 * sizeof(REAL) * (end - begin)); }

/* x, or the nearer of -bound and bound; NaN stays NaN. */
static ALWAYS_INLINE REAL KERNEL(held_within)(const REAL x, const REAL bound)
{
    const REAL held = bound < x ? bound : x;
    return -bound > held ? -bound : held;
}

/* What a long formula computes first, of the input alone, in a loop of its own: two short chains of arithmetic per
 * element keep a processor busier than a long one. */
typedef REAL KERNEL(first_part)(REAL input);

/* Elements [i, i + count) of a chunk. `parts`, `gradient`, `weight` and `parameters` may be a constant NULL, which
 * removes their part of the loop; `values` may be NULL. */
static ALWAYS_INLINE void KERNEL(some_terms)(KERNEL(formula) *const formula, const size_t i, const size_t count,
                                             REAL *restrict costs, REAL *restrict values, REAL *restrict gradient,
                                             const REAL *restrict input, const REAL *restrict target,
                                             const REAL *restrict weight, const REAL *restrict parameters,
                                             const REAL parameter, const REAL *restrict parts, const REAL scale)
{
    VECTORS_FIRST
    for (size_t j = 0; j < count; j++) {
        const KERNEL(term) term = formula(input[i + j], target[i + j], parameters ? parameters[i + j] : parameter,
                                          parts ? parts[i + j] : 0);
        const REAL cost = weight ? weight[i + j] * term.value : term.value;
        costs[j] = cost;
        if (values) values[i + j] = cost;
        if (gradient)
            gradient[i + j] = weight ? weight[i + j] * term.derivative * scale : term.derivative * scale;
    }
}

/* One chunk; its costs go to the lanes, that of element i to lane i modulo LANES, and to `values` unless it is NULL.
 * If the arrays are `far`, memory brings meanwhile what comes AHEAD, and where `parts` will be found of all inputs of
 * the next chunk, these. */
static ALWAYS_INLINE void KERNEL(terms)(KERNEL(formula) *const formula, const size_t count, double *restrict lanes,
                                        REAL *const values, REAL *const gradient, const REAL *const input,
                                        const REAL *const target, const REAL *const weight,
                                        const REAL *const parameters, const REAL parameter, const REAL *const parts,
                                        const REAL scale, const int far)
{
    const size_t rest = count % LANES, whole = count - rest;
    double sums[LANES];
    REAL costs[LANES];
    KERNEL(copy_lanes)(sums, lanes);
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t line = i; far && line < i + LANES; line += STRIP) {
            fetch_line(input + line, (parts ? CHUNK : AHEAD) * sizeof *input);
            fetch_line(target + line, AHEAD * sizeof *target);
            if (gradient) fetch_line_to_write(gradient + line, AHEAD * sizeof *gradient);
        }
        KERNEL(some_terms)(formula, i, LANES, costs, values, gradient, input, target, weight, parameters, parameter,
                           parts, scale);
        VECTORS_FIRST
        for (size_t lane = 0; lane < LANES; lane++) sums[lane] += costs[lane];
    }
    KERNEL(some_terms)(formula, whole, rest, costs, values, gradient, input, target, weight, parameters, parameter,
                       parts, scale);
    for (size_t lane = 0; lane < rest; lane++) sums[lane] += costs[lane];
    KERNEL(copy_lanes)(lanes, sums);
}

/* All chunks. `first_part` may be a constant NULL, too. `weighted` is a constant: with it, weight and parameters are
 * arrays in which NULL stands for ones; without it, every element has the one `parameter`. */
static ALWAYS_INLINE void KERNEL(chunks_of_terms)(KERNEL(formula) *const formula,
                                                  KERNEL(first_part) *const first_part, const int weighted,
                                                  const int far, const size_t begin, const size_t end,
                                                  double *const block_sums, REAL *const values, REAL *const gradient,
                                                  const REAL *const input, const REAL *const target,
                                                  const REAL *const weight, const REAL *const parameters,
                                                  const REAL parameter, const double divisor)
{
    const REAL scale = (REAL)(1 / divisor);
    REAL ones[CHUNK], parts[CHUNK];
    double lanes[LANES];
    KERNEL(clear_lanes)(lanes);
    if (weighted)
        for (size_t i = 0; i < smaller(CHUNK, end - begin); i++) ones[i] = 1;

    for (size_t start = begin; start < end; start += CHUNK) {
        const size_t count = smaller(CHUNK, end - start);
        const REAL *const x = input + start, *const y = target + start, *const found = first_part ? parts : NULL;
        const REAL *const w = !weighted ? NULL : weight ? weight + start : ones;
        const REAL *const p = !weighted ? NULL : parameters ? parameters + start : ones;
        REAL *const costs = values ? values + start : NULL;
        for (size_t i = 0; first_part && i < count; i++) parts[i] = first_part(x[i]);
        if (gradient)
            KERNEL(terms)(formula, count, lanes, costs, gradient + start, x, y, w, p, parameter, found, scale, far);
        else
            KERNEL(terms)(formula, count, lanes, costs, NULL, x, y, w, p, parameter, found, scale, far);
        if (block_sums && ((start + count) % BLOCK == 0 || start + count == end)) {
            block_sums[start / BLOCK] = KERNEL(join_lanes)(lanes);
            KERNEL(clear_lanes)(lanes);
        }
    }
}

/* Without weight and parameters there is the one `parameter`. */
static ALWAYS_INLINE void KERNEL(elementwise_loss)(KERNEL(formula) *const formula,
                                                   KERNEL(first_part) *const first_part, const int far,
                                                   const size_t begin, const size_t end, double *const block_sums,
                                                   REAL *const values, REAL *const gradient,
                                                   const REAL *const input, const REAL *const target,
                                                   const REAL *const weight, const REAL *const parameters,
                                                   const double parameter, const double divisor)
{
    if (weight || parameters)
        KERNEL(chunks_of_terms)(formula, first_part, 1, far, begin, end, block_sums, values, gradient, input,
                                target, weight, parameters, 1, divisor);
    else
        KERNEL(chunks_of_terms)(formula, first_part, 0, far, begin, end, block_sums, values, gradient, input,
                                target, NULL, NULL, (REAL)parameter, divisor);
}

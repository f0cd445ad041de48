/* What losses over rows of classes share. */

/* The sum of exp(x - largest) over a row, which is at least 1; the exponentials stay in `exps` unless it is NULL.
 * The last few classes are filled up with -infinity, whose exp adds 0, so that short rows are vectors too. */
static inline double KERNEL(sum_of_exps)(REAL *restrict exps, const REAL *restrict row, const size_t classes,
                                         const REAL largest)
{
    REAL scratch[CHUNK];
    double lanes[LANES] = {0};
    const size_t rest = classes % LANES, whole = classes - rest;
    for (size_t start = 0; start < whole; start += CHUNK) {
        const size_t count = smaller(CHUNK, whole - start);
        REAL *const chunk = exps ? exps + start : scratch;
        for (size_t i = 0; i < count; i++) chunk[i] = KERNEL(scalar_exp)(row[start + i] - largest);
        KERNEL(add_to_lanes)(lanes, chunk, count);
    }
    if (rest > 0) {
        for (size_t i = 0; i < LANES; i++) scratch[i] = -(REAL)INFINITY;
        for (size_t i = 0; i < rest; i++) scratch[i] = row[whole + i] - largest;
        for (size_t i = 0; i < LANES; i++) scratch[i] = KERNEL(scalar_exp)(scratch[i]);
        for (size_t i = 0; i < LANES; i++) lanes[i] += scratch[i];
        for (size_t i = 0; exps && i < rest; i++) exps[whole + i] = scratch[i];
    }
    return KERNEL(join_lanes)(lanes);
}

/* log of a sum of exps. The largest adds exactly 1: a loss near 0 keeps its digits when only the rest is rounded. */
static inline double KERNEL(log_of_sum)(const double sum) { return KERNEL(scalar_log1p)((REAL)(sum - 1)); }

/* One row's loss goes to `values` and to the sum of its block. */
static ALWAYS_INLINE void KERNEL(record_row)(double *const block_sums, REAL *const values, const size_t row,
                                             const double loss)
{
    if (values) values[row] = (REAL)loss;
    if (block_sums) block_sums[row / ROW_BLOCK] = (row % ROW_BLOCK ? block_sums[row / ROW_BLOCK] : 0) + loss;
}

/* True of the classes that an array of `classes` entries has. */
static inline int KERNEL(is_class)(const int64_t index, const size_t classes)
{
    return index >= 0 && (uint64_t)index < classes;
}

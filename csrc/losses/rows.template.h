/* What losses over rows of classes share. */

/* exps = exp(x - largest) over a chunk of a long row, added to the lanes. Meanwhile memory brings the same chunk of the
 * next row, and what follows in `exps` and, unless it is NULL, in `beside`. */
static ALWAYS_INLINE void KERNEL(chunk_of_exps)(REAL *restrict exps, double *restrict lanes, const REAL *restrict x,
                                                const size_t count, const REAL largest, const size_t classes,
                                                const REAL *const beside)
{
    const size_t whole = count - count % STRIP;
    for (size_t i = 0; i < whole; i += STRIP) {
        fetch_line(x + i, classes * sizeof *x);
        fetch_line_to_write(exps + i, CHUNK * sizeof *exps);
        if (beside) fetch_line(beside + i, CHUNK * sizeof *beside);
        for (size_t j = 0; j < STRIP; j++) exps[i + j] = KERNEL(scalar_exp)(x[i + j] - largest);
    }
    for (size_t i = whole; i < count; i++) exps[i] = KERNEL(scalar_exp)(x[i] - largest);
    KERNEL(add_to_lanes)(lanes, exps, count);
}

/* The sum of exp(x - largest) over a long row; the exponentials stay in `exps` unless it is NULL. */
static inline double KERNEL(sum_of_exps)(REAL *restrict exps, const REAL *restrict row, const size_t classes,
                                         const REAL largest)
{
    REAL scratch[CHUNK];
    double lanes[LANES];
    KERNEL(clear_lanes)(lanes);
    for (size_t start = 0; start < classes; start += CHUNK)
        KERNEL(chunk_of_exps)(exps ? exps + start : scratch, lanes, row + start, smaller(CHUNK, classes - start),
                              largest, classes, NULL);
    return KERNEL(join_lanes)(lanes);
}

/* What cross-entropy needs to know of some rows. With x - largest for every logit x of a row: sum is that of the
 * exps, at least 1, and log_sum its logarithm. */
typedef struct {
    REAL largest[LANES], log_sum[LANES];
    double sum[LANES];
} KERNEL(softmax_of_rows);

/* How many rows are looked at together, so that exp and log have long loops: TURNED short ones, or up to LANES. */
static inline size_t KERNEL(rows_together)(const size_t classes)
{
    return classes <= SHORT_ROW ? TURNED : larger(CHUNK / classes, 1);
}

/* `rows`, which are not short, are at most rows_together(classes). The exps stay in `exps` unless it is NULL. */
static inline void KERNEL(look_at_rows)(KERNEL(softmax_of_rows) *const found, REAL *exps, const REAL *logits,
                                        const size_t rows, const size_t classes)
{
    REAL scratch[CHUNK], rest[LANES];
    for (size_t row = 0; row < rows; row++) found->largest[row] = KERNEL(maximum)(logits + row * classes, classes);
    if (classes > CHUNK) {
        found->sum[0] = KERNEL(sum_of_exps)(exps, logits, classes, found->largest[0]);
    } else {
        if (!exps) exps = scratch;
        for (size_t row = 0; row < rows; row++)
            for (size_t c = row * classes; c < (row + 1) * classes; c++) exps[c] = logits[c] - found->largest[row];
        for (size_t i = 0; i < rows * classes; i++) exps[i] = KERNEL(scalar_exp)(exps[i]);
        for (size_t row = 0; row < rows; row++) {
            double lanes[LANES];
            KERNEL(clear_lanes)(lanes);
            KERNEL(add_to_lanes)(lanes, exps + row * classes, classes);
            found->sum[row] = KERNEL(join_lanes)(lanes);
        }
    }
    /* The largest adds exactly 1: a loss near 0 keeps its digits when only the rest is rounded. */
    for (size_t row = 0; row < rows; row++) rest[row] = (REAL)(found->sum[row] - 1);
    for (size_t row = 0; row < rows; row++) found->log_sum[row] = KERNEL(scalar_log1p)(rest[row]);
}

/* The losses of some rows go to `values`, and to the sums of their blocks, in order. */
static ALWAYS_INLINE void KERNEL(record_rows)(double *const block_sums, REAL *const values, const size_t first,
                                              const size_t rows, const double *const losses)
{
    for (size_t i = 0; values && i < rows; i++) values[first + i] = (REAL)losses[i];
    for (size_t i = 0, count; block_sums && i < rows; i += count) {
        const size_t block = (first + i) / ROW_BLOCK, place = (first + i) % ROW_BLOCK;
        double sum = place ? block_sums[block] : 0;
        count = smaller(ROW_BLOCK - place, rows - i);
        for (size_t j = 0; j < count; j++) sum += losses[i + j];
        block_sums[block] = sum;
    }
}

/* True of the classes that an array of `classes` entries has. */
static inline int KERNEL(is_class)(const int64_t index, const size_t classes)
{
    return index >= 0 && (uint64_t)index < classes;
}

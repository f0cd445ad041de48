/* The driver of the optimizers: one is an update of up to PIECE elements, inlined into these loops. */

/* Parameters, up to three arrays of state, of which those that are missing are a constant NULL, and gradients. */
typedef void KERNEL(update)(size_t count, REAL *restrict parameter, REAL *restrict a, REAL *restrict b,
                            REAL *restrict c, const REAL *restrict gradient, const void *options);

/* Updates one stretch of memory. A long one is parted where lines begin, so that vectors lie within them: large arrays
 * mostly begin at the same place in a line. If it is `far`, memory brings meanwhile what comes AHEAD. */
static ALWAYS_INLINE void KERNEL(update_run)(KERNEL(update) *const update, const size_t count, REAL *parameter,
                                             REAL *a, REAL *b, REAL *c, const REAL *gradient,
                                             const void *const options, const int far)
{
    const size_t lead = -((uintptr_t)parameter / sizeof(REAL)) % STRIP;
    for (size_t left = count, n = count > BLOCK && lead ? lead : PIECE; left; left -= n, n = PIECE) {
        n = smaller(n, left);
        for (size_t i = 0; far && i < n; i += STRIP) {
            fetch_line_to_write(parameter + i, AHEAD * sizeof(REAL));
            if (a) fetch_line_to_write(a + i, AHEAD * sizeof(REAL));
            if (b) fetch_line_to_write(b + i, AHEAD * sizeof(REAL));
            if (c) fetch_line_to_write(c + i, AHEAD * sizeof(REAL));
            fetch_line(gradient + i, AHEAD * sizeof(REAL));
        }
        if (n == PIECE) /* the constant is for the compiler */
            update(PIECE, parameter, a, b, c, gradient, options);
        else
            update(n, parameter, a, b, c, gradient, options);
        parameter += n, gradient += n;
        if (a) a += n;
        if (b) b += n;
        if (c) c += n;
    }
}

/* Updates what [begin, end) covers of the tensors, which lie end to end. What is kept of a gradient that has become 0
 * shrinks with every step, but by rounding never to 0: denormals stay, unless they are taken for 0. So may squares be
 * where their roots, and that of a sum of a thousand, are all but lost beside eps; and what is divided by eps, unless
 * that is huge. Without roots, eps is 1. */
static ALWAYS_INLINE void KERNEL(update_tensors)(KERNEL(update) *const update, const size_t begin, const size_t end,
                                                 const size_t tensors, const size_t *const counts,
                                                 REAL *const *const parameters, REAL *const *const a,
                                                 REAL *const *const b, REAL *const *const c,
                                                 const REAL *const *const gradients, const void *const options,
                                                 const REAL eps)
{
    const int negligible = eps >= 64 * TWO_TO_MANTISSA * SQRT(SMALLEST_NORMAL) && eps <= (REAL)0x1p100;
    const unsigned modes = negligible ? denormals_are_zero() : 0;
    const int far = is_far((end - begin) * sizeof(REAL) * (2 + !!a + !!b + !!c));
    for (size_t tensor = 0, offset = 0; tensor < tensors && offset < end; offset += counts[tensor++]) {
        const size_t start = larger(begin, offset), stop = smaller(end, offset + counts[tensor]);
        if (start >= stop) continue;
        const size_t first = start - offset;
        KERNEL(update_run)(update, stop - start, parameters[tensor] + first, a ? a[tensor] + first : NULL,
                           b ? b[tensor] + first : NULL, c ? c[tensor] + first : NULL, gradients[tensor] + first,
                           options, far);
    }
    if (negligible) set_modes(modes);
}

/* What is missing is a constant NULL, so that each shape has a loop of its own. */
static ALWAYS_INLINE void KERNEL(update_all)(const size_t count, const REAL *restrict x, REAL *restrict a,
                                             REAL *restrict b, REAL *restrict c, REAL *restrict d)
{
    for (size_t i = 0; i < count; i++) {
        const REAL value = x[i];
        a[i] += value;
        if (b) b[i] += value;
        if (c) c[i] += value;
        if (d) d[i] += value;
    }
}

static ALWAYS_INLINE void KERNEL(write)(const size_t count, REAL *restrict written, const REAL *restrict first,
                                        const REAL *restrict second)
{
    for (size_t i = 0; i < count; i++) written[i] = second ? first[i] + second[i] : -first[i];
}

static ALWAYS_INLINE void KERNEL(write_past_caches)(const size_t count, REAL *restrict written,
                                                    const REAL *restrict first, const REAL *restrict second)
{
    REAL values[CHUNK];
    for (size_t i = 0; i < count; i += CHUNK) {
        const size_t now = smaller(CHUNK, count - i);
        KERNEL(write)(now, values, first + i, second ? second + i : NULL);
        copy_past_caches(written + i, values, now * sizeof *values);
    }
    finish_stores();
}

void KERNEL(stream)(const size_t begin, const size_t end, REAL *restrict written, const size_t updates,
                    REAL *const *updated, const REAL *restrict first, const REAL *restrict second,
                    const int past_caches)
{
    const size_t count = end - begin;
    REAL *u[4];
    for (size_t i = 0; i < updates; i++) u[i] = updated[i] + begin;
    if (updates == 1) KERNEL(update_all)(count, first + begin, u[0], NULL, NULL, NULL);
    if (updates == 2) KERNEL(update_all)(count, first + begin, u[0], u[1], NULL, NULL);
    if (updates == 3) KERNEL(update_all)(count, first + begin, u[0], u[1], u[2], NULL);
    if (updates == 4) KERNEL(update_all)(count, first + begin, u[0], u[1], u[2], u[3]);

    if (!written) return;
    if (second && past_caches)
        KERNEL(write_past_caches)(count, written + begin, first + begin, second + begin);
    else if (second)
        KERNEL(write)(count, written + begin, first + begin, second + begin);
    else if (past_caches)
        KERNEL(write_past_caches)(count, written + begin, first + begin, NULL);
    else
        KERNEL(write)(count, written + begin, first + begin, NULL);
}

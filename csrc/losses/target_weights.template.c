void KERNEL(target_weights)(const size_t begin, const size_t end, double *restrict block_sums,
                            const int64_t *restrict target, const REAL *restrict weight, const size_t classes,
                            const int64_t ignore_index)
{
    double own[TURNED];
    for (size_t first = begin; first < end; first += TURNED) {
        const size_t rows = smaller(TURNED, end - first);
        for (size_t i = 0; i < rows; i++) {
            const int64_t y = target[first + i]; /* read once: another thread might write it in between */
            const int counts = y != ignore_index && KERNEL(is_class)(y, classes);
            own[i] = !counts ? 0 : weight ? weight[y] : 1;
        }
        KERNEL(record_rows)(block_sums, NULL, first, rows, own);
    }
}

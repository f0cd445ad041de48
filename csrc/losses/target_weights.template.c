void KERNEL(target_weights)(const size_t begin, const size_t end, double *restrict block_sums,
                            const int64_t *restrict target, const REAL *restrict weight, const size_t classes,
                            const int64_t ignore_index)
{
    for (size_t row = begin; row < end; row++) {
        const int64_t y = target[row]; /* read once: another thread might write it in between */
        const int counts = y != ignore_index && KERNEL(is_class)(y, classes);
        const double own = !counts ? 0 : weight ? weight[y] : 1;
        KERNEL(record_rows)(block_sums, NULL, row, 1, &own);
    }
}

/* sums[j] = matrix[0, j] + matrix[1, j] + ..., for the columns j from begin to end. */
void KERNEL(sum_rows)(const size_t begin, const size_t end, REAL *restrict sums, const size_t rows,
                      const size_t columns, const REAL *restrict matrix)
{
    for (size_t start = begin; start < end; start += SUM_COLUMNS) {
        const size_t count = smaller(SUM_COLUMNS, end - start);
        double totals[SUM_COLUMNS] = {0};
        for (size_t first = 0; first < rows; first += SUM_ROWS) {
            REAL part[SUM_COLUMNS];
            for (size_t j = 0; j < count; j++) part[j] = 0;
            for (size_t i = first; i < smaller(first + SUM_ROWS, rows); i++)
                for (size_t j = 0; j < count; j++) part[j] += matrix[i * columns + start + j];
            for (size_t j = 0; j < count; j++) totals[j] += part[j];
        }
        for (size_t j = 0; j < count; j++) sums[start + j] = (REAL)totals[j];
    }
}

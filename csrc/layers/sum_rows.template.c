/* sums[j] = matrix[0, j] + matrix[1, j] + ..., in that order, for the columns j from begin to end. */
void KERNEL(sum_rows)(const size_t begin, const size_t end, REAL *restrict sums, const size_t rows, const size_t columns,
                      const REAL *restrict matrix)
{
    for (size_t j = begin; j < end; j++) sums[j] = 0;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = begin; j < end; j++) sums[j] += matrix[i * columns + j];
}

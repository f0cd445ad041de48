/* max(x, 0); NaN stays NaN. */
void KERNEL(relu)(const size_t begin, const size_t end, REAL *restrict result, const REAL *restrict input)
{
    for (size_t i = begin; i < end; i++) result[i] = input[i] < 0 ? 0 : input[i];
}

/* 0 where the result is, also where the upstream gradient is not finite; else the upstream gradient. */
void KERNEL(relu_backward)(const size_t begin, const size_t end, REAL *restrict gradient,
                           const REAL *restrict upstream, const REAL *restrict result)
{
    for (size_t i = begin; i < end; i++) gradient[i] = result[i] <= 0 ? 0 : upstream[i];
}

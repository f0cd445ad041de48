/* Rows of few classes are turned, TURNED of them at a time: then what is done to a class is done to all rows at once,
 * where a loop along a row would be shorter than a vector. */

/* to[j][i] = from[i][j]. Tiles at the ends overlap others, so that none reaches beyond. */
static inline void KERNEL(transpose)(REAL *restrict to, const size_t to_row, const REAL *restrict from,
                                     const size_t from_row, const size_t rows, const size_t columns)
{
#if HAS_SHUFFLES
    typedef REAL four __attribute__((vector_size(4 * sizeof(REAL))));
    four a, b, c, d;
    for (size_t i = 0; rows >= 4 && columns >= 4 && i < rows; i += 4)
        for (size_t j = 0; j < columns; j += 4) {
            const size_t row = smaller(i, rows - 4), column = smaller(j, columns - 4);
            const REAL *const tile = from + row * from_row + column;
            REAL *const turned = to + column * to_row + row;
            memcpy(&a, tile, sizeof a), memcpy(&b, tile + from_row, sizeof b);
            memcpy(&c, tile + 2 * from_row, sizeof c), memcpy(&d, tile + 3 * from_row, sizeof d);
            const four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
            const four after_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
            const four after_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
            a = __builtin_shufflevector(ab, cd, 0, 1, 4, 5), b = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
            c = __builtin_shufflevector(after_ab, after_cd, 0, 1, 4, 5);
            d = __builtin_shufflevector(after_ab, after_cd, 2, 3, 6, 7);
            memcpy(turned, &a, sizeof a), memcpy(turned + to_row, &b, sizeof b);
            memcpy(turned + 2 * to_row, &c, sizeof c), memcpy(turned + 3 * to_row, &d, sizeof d);
        }
    if (rows >= 4 && columns >= 4) return;
#endif
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) to[j * to_row + i] = from[i * from_row + j];
}

/* turned[c][row] = rows[row][c]; what is missing of TURNED rows is 0. */
static inline void KERNEL(turn)(REAL (*restrict turned)[TURNED], const REAL *restrict rows, const size_t count,
                                const size_t classes)
{
    if (count < TURNED) memset(turned, 0, classes * sizeof *turned);
    KERNEL(transpose)(turned[0], TURNED, rows, classes, count, classes);
}

/* The sums over classes; a loop that begins with zeros would be slower. */
static ALWAYS_INLINE void KERNEL(add_classes)(double *restrict sum, REAL (*restrict values)[TURNED],
                                              const size_t classes)
{
    for (size_t lane = 0; lane < TURNED; lane++) sum[lane] = classes ? values[0][lane] : 0;
    for (size_t c = 1; c < classes; c++)
        for (size_t lane = 0; lane < TURNED; lane++) sum[lane] += values[c][lane];
}

/* Turned logits, and what cross-entropy needs to know of them: as in softmax_of_rows. */
typedef struct {
    REAL x[SHORT_ROW][TURNED], exps[SHORT_ROW][TURNED], largest[TURNED], log_sum[TURNED];
    double sum[TURNED];
} KERNEL(turned_softmax);

static inline void KERNEL(look_at_turned)(KERNEL(turned_softmax) *restrict s, const REAL *restrict logits,
                                          const size_t rows, const size_t classes)
{
    REAL largest[TURNED];
    double sum[TURNED];
    KERNEL(turn)(s->x, logits, rows, classes);
    for (size_t lane = 0; lane < TURNED; lane++) largest[lane] = -(REAL)INFINITY;
    for (size_t c = 0; c < classes; c++)
        for (size_t lane = 0; lane < TURNED; lane++)
            largest[lane] = s->x[c][lane] > largest[lane] ? s->x[c][lane] : largest[lane];
    for (size_t c = 0; c < classes; c++)
        for (size_t lane = 0; lane < TURNED; lane++)
            s->exps[c][lane] = KERNEL(scalar_exp)(s->x[c][lane] - largest[lane]);
    KERNEL(add_classes)(sum, s->exps, classes);
    for (size_t lane = 0; lane < TURNED; lane++) s->log_sum[lane] = KERNEL(scalar_log1p)((REAL)(sum[lane] - 1));
    memcpy(s->largest, largest, sizeof largest);
    memcpy(s->sum, sum, sizeof sum);
}

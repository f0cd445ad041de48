/* result = left right (+ bias on each row): the product of a (rows, inner) and an (inner, columns) matrix.
 *
 * The scheme is that of Goto and van de Geijn (2008, "Anatomy of high-performance matrix multiplication"), cut down
 * to the sizes of small networks. A tile of the result, TILE_ROWS x TILE_COLUMNS, stays in registers while both
 * factors stream past, and each vector of `right` meets TILE_ROWS numbers of `left`. `right` is copied to a panel in
 * the first cache, in the order of use; `left` is read where it stands. So either may be transposed at little cost.
 *
 * An element of the result is one chain of fused multiply-adds per INNER_BLOCK: its bits depend neither on the tiles
 * nor on the slices. */

typedef REAL KERNEL(vector) __attribute__((vector_size(VECTOR_BYTES)));
typedef REAL KERNEL(unaligned) __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
typedef BITS KERNEL(lanes) __attribute__((vector_size(VECTOR_BYTES)));
#define VECTOR KERNEL(vector)
#define AT(pointer) (*(KERNEL(unaligned) *)(pointer))
#define WIDTH (VECTOR_BYTES / sizeof(REAL))
#define TILE_COLUMNS (TILE_VECTORS * WIDTH)

/* One panel, and the strides of what it is multiplied with. */
typedef struct {
    const REAL *panel;
    size_t inner, left_row, left_column, start_row, result_row;
    int past_caches; /* where full tiles of the result go: they are whole, aligned lines */
} KERNEL(strip);

/* result = start + left panel. `rows`, `vectors` and `past_caches` are constants where this is inlined: the sums stay
 * in registers. */
static ALWAYS_INLINE void KERNEL(multiply_tile)(const size_t rows, const size_t vectors, const int past_caches,
                                                const KERNEL(strip) *const strip, REAL *result, const REAL *start,
                                                const REAL *left)
{
    const size_t inner = strip->inner, row = strip->left_row, column = strip->left_column;
    const REAL *panel = strip->panel;
    VECTOR sums[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 3
        for (size_t j = 0; j < vectors; j++) sums[i][j] = (VECTOR){0};
    for (size_t k = 0; k < inner; k++, left += column, panel += TILE_COLUMNS) {
        VECTOR right[TILE_VECTORS];
#pragma GCC unroll 3
        for (size_t j = 0; j < vectors; j++) right[j] = AT(panel + j * WIDTH);
#pragma GCC unroll 8
        for (size_t i = 0; i < rows; i++) {
            const VECTOR number = left[i * row] - (VECTOR){0}; /* in every lane */
#pragma GCC unroll 3
            for (size_t j = 0; j < vectors; j++) sums[i][j] = MULTIPLY_ADD(number, right[j], sums[i][j]);
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 3
        for (size_t j = 0; j < vectors; j++) {
            if (start) sums[i][j] += AT(start + i * strip->start_row + j * WIDTH);
            REAL *const to = result + i * strip->result_row + j * WIDTH;
            if (past_caches)
                STORE_PAST_CACHES(to, sums[i][j]);
            else
                AT(to) = sums[i][j];
        }
}

/* One function per size: several in one function, and the compiler moves sums between registers all the time. */
#define DEFINE_TILE(name, rows, vectors, past_caches)                                                                 \
    static NOT_INLINE void KERNEL(name)(const KERNEL(strip) *strip, REAL *result, const REAL *start, const REAL *left) \
    {                                                                                                                 \
        KERNEL(multiply_tile)(rows, vectors, past_caches, strip, result, start, left);                                \
    }
DEFINE_TILE(tile_1x1, 1, 1, 0)
DEFINE_TILE(tile_1x2, 1, 2, 0)
DEFINE_TILE(tile_1x3, 1, 3, 0)
DEFINE_TILE(tile_2x1, 2, 1, 0)
DEFINE_TILE(tile_2x2, 2, 2, 0)
DEFINE_TILE(tile_2x3, 2, 3, 0)
DEFINE_TILE(tile_4x1, 4, 1, 0)
DEFINE_TILE(tile_4x2, 4, 2, 0)
DEFINE_TILE(tile_4x3, 4, 3, 0)
DEFINE_TILE(tile_nx1, TILE_ROWS, 1, 0)
DEFINE_TILE(tile_nx2, TILE_ROWS, 2, 0)
DEFINE_TILE(tile_nx3, TILE_ROWS, 3, 0)
DEFINE_TILE(full_tile_past_caches, TILE_ROWS, TILE_VECTORS, 1)
#undef DEFINE_TILE

/* All rows, for at most TILE_COLUMNS columns; the tiles of `left` lie `left_tile` apart. */
static void KERNEL(multiply_panel)(const KERNEL(strip) *const strip, const size_t rows, const size_t columns,
                                   REAL *const result, const REAL *const start, const REAL *const left,
                                   const size_t left_tile)
{
    static void (*const tiles[4][3])(const KERNEL(strip) *, REAL *, const REAL *, const REAL *) = {
        {KERNEL(tile_1x1), KERNEL(tile_1x2), KERNEL(tile_1x3)},
        {KERNEL(tile_2x1), KERNEL(tile_2x2), KERNEL(tile_2x3)},
        {KERNEL(tile_4x1), KERNEL(tile_4x2), KERNEL(tile_4x3)},
        {KERNEL(tile_nx1), KERNEL(tile_nx2), KERNEL(tile_nx3)},
    };
    const size_t vectors = (columns + WIDTH - 1) / WIDTH;
    const size_t start_row = strip->start_row, result_row = strip->result_row;
    for (size_t i = 0, height; i < rows; i += height) {
        const size_t left_rows = rows - i, kind = left_rows >= TILE_ROWS ? 3 : left_rows >= 4 ? 2 : left_rows >= 2;
        height = kind == 3 ? TILE_ROWS : (size_t)1 << kind;
        const REAL *const numbers = left + i / TILE_ROWS * left_tile + i % TILE_ROWS * strip->left_row;
        REAL *const to = result + i * result_row;
        const REAL *const from = start ? start + i * start_row : NULL;
        if (strip->past_caches && kind == 3 && columns == TILE_COLUMNS) {
            KERNEL(full_tile_past_caches)(strip, to, from, numbers);
            continue;
        }
        if (columns == vectors * WIDTH) {
            tiles[kind][vectors - 1](strip, to, from, numbers);
            continue;
        }
        /* The columns end within a vector: the tile is made beside the result. */
        REAL tile[TILE_ROWS * TILE_COLUMNS];
        const KERNEL(strip) aside = {strip->panel, strip->inner, strip->left_row, strip->left_column,
                                     0, TILE_COLUMNS, 0};
        tiles[kind][vectors - 1](&aside, tile, NULL, numbers);
        for (size_t r = 0; r < height; r++)
            for (size_t j = 0; j < columns; j++) {
                const REAL sum = tile[r * TILE_COLUMNS + j];
                to[r * result_row + j] = from ? from[r * start_row + j] + sum : sum;
            }
    }
}

/* panel = a WIDTH x WIDTH square of `right` whose columns are contiguous. Each round interleaves the first half of
 * the vectors with the second; after log2(WIDTH) rounds the square is transposed. */
static ALWAYS_INLINE void KERNEL(transpose_square)(REAL *panel, const REAL *right, const size_t right_column,
                                                   const KERNEL(lanes) low, const KERNEL(lanes) high)
{
    VECTOR square[WIDTH], mixed[WIDTH];
#pragma GCC unroll 16
    for (size_t j = 0; j < WIDTH; j++) square[j] = AT(right + j * right_column);
#pragma GCC unroll 4
    for (size_t round = 1; round < WIDTH; round *= 2) {
#pragma GCC unroll 8
        for (size_t j = 0; j < WIDTH / 2; j++) {
            mixed[2 * j] = __builtin_shuffle(square[j], square[j + WIDTH / 2], low);
            mixed[2 * j + 1] = __builtin_shuffle(square[j], square[j + WIDTH / 2], high);
        }
#pragma GCC unroll 16
        for (size_t j = 0; j < WIDTH; j++) square[j] = mixed[j];
    }
#pragma GCC unroll 16
    for (size_t k = 0; k < WIDTH; k++) AT(panel + k * TILE_COLUMNS) = square[k];
}

/* Lay out right[inner, columns] by rows of TILE_COLUMNS, the last vector filled up with zeros. */
static void KERNEL(fill_panel)(REAL *panel, const size_t inner, const size_t columns, const REAL *right,
                               const size_t right_row, const size_t right_column)
{
    const size_t full = (columns + WIDTH - 1) / WIDTH * WIDTH;
    if (right_column == 1) {
        const size_t whole = columns / WIDTH * WIDTH;
        for (size_t k = 0; k < inner; k++, panel += TILE_COLUMNS, right += right_row) {
#pragma GCC unroll 3
            for (size_t v = 0; v < TILE_VECTORS; v++) /* a loop up to `whole` would become a slow call of memcpy */
                if (v * WIDTH < whole) AT(panel + v * WIDTH) = AT(right + v * WIDTH);
            for (size_t j = whole; j < full; j++) panel[j] = j < columns ? right[j] : 0;
        }
        return;
    }
    KERNEL(lanes) low, high;
    for (size_t lane = 0; lane < WIDTH; lane++) {
        low[lane] = lane / 2 + lane % 2 * WIDTH;
        high[lane] = low[lane] + WIDTH / 2;
    }
    for (size_t j = 0; j < full; j += WIDTH)
        for (size_t k = 0; k < inner; k += WIDTH) {
            const REAL *const corner = right + k * right_row + j * right_column;
            if (right_row == 1 && k + WIDTH <= inner && j + WIDTH <= columns) {
                KERNEL(transpose_square)(panel + k * TILE_COLUMNS + j, corner, right_column, low, high);
                continue;
            }
            for (size_t a = 0; a < smaller(WIDTH, inner - k); a++)
                for (size_t b = 0; b < WIDTH; b++)
                    panel[(k + a) * TILE_COLUMNS + j + b] =
                        j + b < columns ? corner[a * right_row + b * right_column] : 0;
        }
}

/* Lay out left[rows, inner] by tiles of TILE_ROWS rows, each by columns. */
static void KERNEL(fill_tiles)(REAL *tiles, const size_t rows, const size_t inner, const REAL *left,
                               const size_t left_row, const size_t left_column)
{
    for (size_t i = 0; i < rows; i += TILE_ROWS, tiles += TILE_ROWS * inner) {
        const size_t height = smaller(rows - i, TILE_ROWS);
        for (size_t k = 0; k < inner; k++) {
            const REAL *const column = left + i * left_row + k * left_column;
            if (left_row == 1 && height == TILE_ROWS)
                memcpy(tiles + k * TILE_ROWS, column, TILE_ROWS * sizeof(REAL));
            else
                for (size_t r = 0; r < height; r++) tiles[k * TILE_ROWS + r] = column[r * left_row];
        }
    }
}

size_t KERNEL(matmul)(const size_t begin, const size_t end, REAL *restrict result, const size_t rows,
                      const size_t inner, const size_t columns, const REAL *restrict left, const size_t left_row,
                      const size_t left_column, const REAL *restrict right, const size_t right_row,
                      const size_t right_column, const REAL *restrict bias)
{
    /* Not on the stack: 300 KB are more than some threads have. */
    REAL *const panel = aligned_alloc(VECTOR_BYTES, INNER_BLOCK * (TILE_COLUMNS + MATMUL_ROWS) * sizeof *panel);
    if (!panel) return 1;
    REAL *const tiles = panel + INNER_BLOCK * TILE_COLUMNS;
    const size_t blocks = larger((inner + INNER_BLOCK - 1) / INNER_BLOCK, 1);
    const size_t step = larger((inner + 16 * blocks - 1) / (16 * blocks), 1) * 16; /* blocks of about one size */
    /* A large result that is written once, and in whole lines, as the gradient of a large weight is: or its lines would
     * be read first. */
    const int whole_lines = VECTOR_BYTES % LINE == 0 && (columns | begin | end) % WIDTH == 0 &&
                            (uintptr_t)result % LINE == 0;
    const int past_caches = whole_lines && blocks == 1 && is_far(rows * columns * sizeof *result);

    /* Rows and inner go in steps, so that the part of `left` in use stays in the second cache. */
    for (size_t i = 0; i < rows; i += MATMUL_ROWS)
        for (size_t k = 0; k == 0 || k < inner; k += step) {
            const size_t height = smaller(rows - i, MATMUL_ROWS), depth = smaller(inner - k, step);
            const REAL *numbers = left + i * left_row + k * left_column;
            KERNEL(strip) strip = {panel, depth, left_row, left_column, k ? columns : 0, columns, past_caches};
            size_t left_tile = TILE_ROWS * left_row;
            if (left_column != 1) { /* or each number would come from a page of its own */
                KERNEL(fill_tiles)(tiles, height, depth, numbers, left_row, left_column);
                numbers = tiles, strip.left_row = 1, strip.left_column = TILE_ROWS, left_tile = TILE_ROWS * depth;
            }
            for (size_t j = begin; j < end; j += TILE_COLUMNS) {
                const size_t width = smaller(end - j, TILE_COLUMNS);
                REAL *const corner = result + i * columns + j;
                const REAL *const start = k ? corner : bias ? bias + j : NULL;
                KERNEL(fill_panel)(panel, depth, width, right + k * right_row + j * right_column, right_row,
                                   right_column);
                KERNEL(multiply_panel)(&strip, height, width, corner, start, numbers, left_tile);
            }
        }
    if (past_caches) finish_stores();
    free(panel);
    return 0;
}

#undef AT
#undef VECTOR
#undef WIDTH
#undef TILE_COLUMNS

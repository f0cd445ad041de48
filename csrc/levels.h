/* Compiles every kernel once per instruction set: adam becomes adam_f32_baseline, adam_f32_v3, adam_f32_v4.
 * The same source gives the same bits at each level, as no compiler may contract or reorder it.
 * Compilers without these pragmas build the upper levels as plain copies, which levels.c never offers. */
#include "blocks.h"
#include "machine.h"
#include "past_caches.h"

#if HAS_X86_LEVELS
#include <immintrin.h>
#endif
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define JOIN_NOW(name, precision, level) name##_##precision##_##level
#define JOIN(name, precision, level) JOIN_NOW(name, precision, level)
#define KERNEL(name) JOIN(name, PRECISION, LEVEL)

/* Numbers in a line of the cache. A long loop asks memory for the lines that come next, one at a time: when many are
 * asked for at once, it waits for them. */
#define STRIP (LINE / sizeof(REAL))

/* For products of matrices, which the baseline leaves to NumPy: how wide a vector is, how many rows of sums the
 * registers hold, a b + c, rounded once, and a store that leaves the caches alone. */
#define MULTIPLY_ADD_f32_v3 _mm256_fmadd_ps
#define MULTIPLY_ADD_f64_v3 _mm256_fmadd_pd
#define MULTIPLY_ADD_f32_v4 _mm512_fmadd_ps
#define MULTIPLY_ADD_f64_v4 _mm512_fmadd_pd
#define MULTIPLY_ADD KERNEL(MULTIPLY_ADD)
#define STORE_PAST_CACHES_f32_v3 _mm256_stream_ps
#define STORE_PAST_CACHES_f64_v3 _mm256_stream_pd
#define STORE_PAST_CACHES_f32_v4 _mm512_stream_ps
#define STORE_PAST_CACHES_f64_v4 _mm512_stream_pd
#define STORE_PAST_CACHES KERNEL(STORE_PAST_CACHES)

#define LEVEL baseline
#include "kernels.template.c"
#undef LEVEL

#if HAS_X86_LEVELS
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define VECTOR_BYTES 32
#define TILE_ROWS 4
#endif
#define LEVEL v3
#include "kernels.template.c"
#undef LEVEL

#if HAS_X86_LEVELS
#undef VECTOR_BYTES
#undef TILE_ROWS
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
#define VECTOR_BYTES 64
#define TILE_ROWS 8
#endif
#define LEVEL v4
#include "kernels.template.c"
#undef LEVEL

#if HAS_X86_LEVELS
#undef VECTOR_BYTES
#undef TILE_ROWS
#pragma GCC pop_options
#endif

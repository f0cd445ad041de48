/* Every kernel for float. The constants belong to simd.template.h; the polynomials are minimax fits. */
#define PRECISION f32
#define REAL float
#define BITS uint32_t
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define SMALLEST_NORMAL 0x1p-126f
#define SQRT sqrtf
#define ABSOLUTE fabsf

#define EXP_LOWEST -104.0f /* exp of anything lower is 0 */
#define LN2_HIGH 0x1.62e4p-1f /* few enough bits that its products with exponents are exact */
#define LN2_LOW 0x1.7f7d1cp-20f
#define EXP_TERMS 0x1.6d110ap-10f, 0x1.120b6ep-7f, 0x1.55551ap-5f, 0x1.5554dcp-3f, 0.5f
#define LOG_TERMS 0x1.1e97b6p-2f, 0x1.1ecc32p-2f, 0x1.99d0e8p-2f, 0x1.555504p-1f

#define INNER_BLOCK 256 /* of a product: a panel of it and a tile's numbers fill the first cache */

#include "levels.h"

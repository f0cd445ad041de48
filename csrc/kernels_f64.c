/* Every kernel for double. The constants belong to simd.template.h; the polynomials are minimax fits. */
#define PRECISION f64
#define REAL double
#define BITS uint64_t
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define SMALLEST_NORMAL 0x1p-1022
#define SQRT sqrt
#define ABSOLUTE fabs

#define EXP_LOWEST -746.0 /* exp of anything lower is 0 */
#define LN2_HIGH 0x1.62e42fefa3p-1 /* few enough bits that its products with exponents are exact */
#define LN2_LOW 0x1.3de6af278ece6p-42
#define EXP_TERMS 0x1.af38a9b0ec855p-26, 0x1.289185613a3d6p-22, 0x1.71de0dae63bb3p-19, \
                  0x1.a019b90d2ae7ap-16, 0x1.a01a01a7c41d5p-13, 0x1.6c16c1788bd90p-10, \
                  0x1.11111111109b3p-7, 0x1.5555555553d63p-5, 0x1.5555555555556p-3, 0.5
#define LOG_TERMS 0x1.5b0ed466465ccp-3, 0x1.574f888a8f51cp-4, 0x1.ef72fb25350cfp-4, 0x1.106eaa7c26683p-3, \
                  0x1.3b1d49289028dp-3, 0x1.745cbb91ebc0bp-3, 0x1.c71c73debe9adp-3, 0x1.249249211e878p-2, \
                  0x1.999999999f12fp-2, 0x1.555555555553fp-1

#define INNER_BLOCK 128 /* of a product: a panel of it and a tile's numbers fill the first cache */

#include "levels.h"

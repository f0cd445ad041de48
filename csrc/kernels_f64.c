/* Every kernel for double. The constants belong to simd.template.h; the polynomials are minimax fits. */
#define PRECISION f64
#define REAL double
#define BITS uint64_t
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define SMALLEST_NORMAL 0x1p-1022
#define SQRT sqrt
#define ABSOLUTE fabs

#define EXP_LOWEST -746.0 /* exp of anything lower is 0, */
#define EXP_HIGHEST 710.0 /* and of anything higher is infinity */
#define LN2_HIGH 0x1.62e42fefa3p-1 /* few enough bits that its products with exponents are exact */
#define LN2_LOW 0x1.3de6af278ece6p-42
#define EXP_TERMS 0x1.af38a9b0ec855p-26, 0x1.289185613a3d6p-22, 0x1.71de0dae63bb3p-19, \
                  0x1.a019b90d2ae7ap-16, 0x1.a01a01a7c41d5p-13, 0x1.6c16c1788bd90p-10, \
                  0x1.11111111109b3p-7, 0x1.5555555553d63p-5, 0x1.5555555555556p-3, 0.5
#define LOG_TERMS 0x1.2b5bd9a316a24p-3, 0x1.39fe16ad885a7p-3, 0x1.7462b6e311a89p-3, \
                  0x1.c71c62ddb431bp-3, 0x1.2492492df7663p-2, 0x1.99999999952abp-2, \
                  0x1.5555555555558p-1

#define INNER_BLOCK 128 /* of a product: a panel of it and a tile's numbers fill the first cache */

#include "levels.h"

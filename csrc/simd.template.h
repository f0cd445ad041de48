/* Arithmetic that every kernel shares. Nothing here names an instruction: each function is straight-line code
 * that the compiler turns into vectors of whatever width the level has. */

/* ---- exp, log, log1p: measured errors stand at their declarations in kernels.template.h ---- */

static ALWAYS_INLINE BITS KERNEL(to_bits)(const REAL value)
{
    BITS bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static ALWAYS_INLINE REAL KERNEL(from_bits)(const BITS bits)
{
    REAL value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* exp(x) for x <= 0: 2^n exp(r) with n the integer nearest to x / ln 2, so |r| <= ln(2) / 2.
 * Adding the rounder, whose unit in the last place is 1, rounds to an integer; it also brings what n needs to become
 * the exponent of 2^(n + LIFT), which is never denormal. NaN falls through every step. */
static ALWAYS_INLINE REAL KERNEL(scalar_exp)(REAL x)
{
    enum { LIFT = 64 };
    static const REAL terms[] = {EXP_TERMS};
    const REAL rounder = (REAL)1.5 * (REAL)((BITS)1 << MANTISSA_BITS) + (EXPONENT_BIAS + LIFT);
    const REAL log2_e = (REAL)1.44269504088896340736;

    x = x < EXP_LOWEST ? EXP_LOWEST : x;
    const REAL rounded = x * log2_e + rounder, n = rounded - rounder;
    const REAL r = (x - n * LN2_HIGH) - n * LN2_LOW;

    REAL q = terms[0];
    for (size_t i = 1; i < sizeof terms / sizeof *terms; i++) q = q * r + terms[i];
    const REAL exp_r = 1 + (r + r * r * q);
    return exp_r * KERNEL(from_bits)(KERNEL(to_bits)(rounded) << MANTISSA_BITS) * (REAL)0x1p-64;
}

/* log(1 + f) + low for -1/2 <= f <= 1 and a small `low`. With s = f / (2 + f) it is 2 artanh(s) = 2 s + s T(s^2), and
 * as 2 s = f - s f, that is f - s (f - T): what is rounded most often is subtracted from an f that is exact. */
static ALWAYS_INLINE REAL KERNEL(log_near_1)(const REAL f, const REAL low)
{
    static const REAL terms[] = {LOG_TERMS};
    const REAL s = f / (2 + f), z = s * s;
    REAL q = terms[0];
    for (size_t i = 1; i < sizeof terms / sizeof *terms; i++) q = q * z + terms[i];
    return f - (s * (f - z * q) - low);
}

#define TWO_TO_MANTISSA ((REAL)((BITS)1 << MANTISSA_BITS))

/* log(x) - excess, for finite x > 0 and an excess far smaller than x's last place; `lifted` is x, or if `lift`,
 * x 2^MANTISSA_BITS, and not denormal. x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)).
 * For x = 0, lifted, it is near the logarithm of the least number. */
static ALWAYS_INLINE REAL KERNEL(lifted_log)(const REAL lifted, const int lift, const REAL excess)
{
    const BITS one = KERNEL(to_bits)(1), root_half = KERNEL(to_bits)((REAL)0.70710678118654752440);
    const BITS bits = KERNEL(to_bits)(lifted) + (one - root_half);
    const REAL f = KERNEL(from_bits)((bits & (((BITS)1 << MANTISSA_BITS) - 1)) + root_half) - 1;
    /* An integer below 2^MANTISSA_BITS becomes a REAL by standing in the mantissa of TWO_TO_MANTISSA. */
    const REAL exponent = KERNEL(from_bits)((bits >> MANTISSA_BITS) | KERNEL(to_bits)(TWO_TO_MANTISSA));
    const REAL k = exponent - (TWO_TO_MANTISSA + EXPONENT_BIAS + (lift ? MANTISSA_BITS : 0));
    return k * LN2_HIGH + KERNEL(log_near_1)(f, k * LN2_LOW - excess);
}

static ALWAYS_INLINE REAL KERNEL(finite_log)(const REAL x, const REAL excess)
{
    const int denormal = x < SMALLEST_NORMAL;
    return KERNEL(lifted_log)(denormal ? x * TWO_TO_MANTISSA : x, denormal, excess);
}

/* What finite_log(x) is to become at the ends of its range. */
static ALWAYS_INLINE REAL KERNEL(log_at_ends)(const REAL x, REAL logarithm)
{
    logarithm = x < (REAL)INFINITY ? logarithm : x; /* infinity and NaN */
    logarithm = x == 0 ? -(REAL)INFINITY : logarithm;
    return x < 0 ? (REAL)NAN : logarithm;
}

static ALWAYS_INLINE REAL KERNEL(scalar_log)(const REAL x) { return KERNEL(log_at_ends)(x, KERNEL(finite_log)(x, 0)); }

/* log(1 + x): 1 + x is rounded to u, and what that gained changes the logarithm by gained / u. */
static ALWAYS_INLINE REAL KERNEL(scalar_log1p)(const REAL x)
{
    const REAL u = 1 + x;
    const REAL gained = x < 1 ? (u - 1) - x : (u - x) - 1;
    return KERNEL(log_at_ends)(u, KERNEL(finite_log)(u, gained / u));
}

void KERNEL(exp)(const size_t begin, const size_t end, REAL *restrict result, const REAL *restrict input)
{
    for (size_t i = begin; i < end; i++) result[i] = KERNEL(scalar_exp)(input[i]);
}

void KERNEL(log)(const size_t begin, const size_t end, REAL *restrict result, const REAL *restrict input)
{
    for (size_t i = begin; i < end; i++) result[i] = KERNEL(scalar_log)(input[i]);
}

void KERNEL(log1p)(const size_t begin, const size_t end, REAL *restrict result, const REAL *restrict input)
{
    for (size_t i = begin; i < end; i++) result[i] = KERNEL(scalar_log1p)(input[i]);
}

void KERNEL(log1p_near_0)(const size_t begin, const size_t end, REAL *restrict result, const REAL *restrict input)
{
    for (size_t i = begin; i < end; i++) result[i] = KERNEL(log_near_1)(input[i], 0);
}

/* ---- quotients ---- */

/* a[i] /= b[i] for b = sqrt(x) + eps: unless eps is extraordinary, the reciprocal is rounded, and multiplied by a. Then
 * b is infinite, NaN, or far from the ends of the range, as the root of a finite x is.
 * For long vectors of floats the divider is slower than Newton's method. The first guess at 1 / b is a straight line
 * between powers of two, and up to an eighth too large. With e = 1 - b y, y (1 + e + e^2) is wrong by e^3, and
 * y (1 + e) by e^2: e is 2^-3, 2^-9, then less than two last places, so that it is exact, and its square too small to
 * matter. What comes from above is rounded as it should be, even where 1 / b is nearest to the middle of two floats.
 * Infinity becomes negative on the way. */
static ALWAYS_INLINE void KERNEL(quotients)(const size_t count, REAL *restrict a, const REAL *restrict b,
                                            const REAL eps)
{
    if (!(eps >= (REAL)0x1p-100 && eps <= (REAL)0x1p100)) {
        VECTORS_FIRST
        for (size_t i = 0; i < count; i++) a[i] /= b[i];
        return;
    }
    VECTORS_FIRST
    for (size_t i = 0; i < count; i++) {
#if VECTOR_BYTES == 64 && MANTISSA_BITS == 23
        REAL y = KERNEL(from_bits)(2 * KERNEL(to_bits)(1) - KERNEL(to_bits)(b[i])), e = fmaf(-b[i], y, 1);
        y = fmaf(fmaf(e, e, e), y, y);
        e = fmaf(-b[i], y, 1);
        y = fmaf(fmaf(e, e, e), y, y);
        e = fmaf(-b[i], y, 1);
        y = fmaf(e, y, y);
        a[i] *= y < 0 ? 0 : y;
#else
        a[i] *= 1 / b[i];
#endif
    }
}

/* ---- sums and maxima, in a fixed order ---- */

/* Lanes are cleared and copied in loops. Of a memset of so few bytes GCC makes a slow instruction, and with memcpy the
 * lanes stay in memory, where those who add to them should have them in registers. */
static ALWAYS_INLINE void KERNEL(clear_lanes)(double *restrict lanes)
{
    WRITTEN_OUT
    for (size_t lane = 0; lane < LANES; lane++) lanes[lane] = 0;
}

static ALWAYS_INLINE void KERNEL(copy_lanes)(double *restrict to, const double *restrict from)
{
    for (size_t lane = 0; lane < LANES; lane++) to[lane] = from[lane];
}

/* Adds value i to lane i modulo LANES. */
static inline void KERNEL(add_to_lanes)(double *restrict lanes, const REAL *restrict values, const size_t count)
{
    const size_t whole = count - count % LANES;
    double sums[LANES];
    KERNEL(copy_lanes)(sums, lanes);
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++) sums[lane] += values[i + lane];
    for (size_t i = whole; i < count; i++) sums[i - whole] += values[i];
    KERNEL(copy_lanes)(lanes, sums);
}

/* The sum of the lanes, by halves. */
static inline double KERNEL(join_lanes)(const double *lanes)
{
    double sums[LANES / 2];
    for (size_t lane = 0; lane < LANES / 2; lane++) sums[lane] = lanes[lane] + lanes[lane + LANES / 2];
    for (size_t width = LANES / 4; width > 0; width /= 2)
        for (size_t lane = 0; lane < width; lane++) sums[lane] += sums[lane + width];
    return sums[0];
}

/* The largest value, passing over NaN; -infinity of no values. */
static inline REAL KERNEL(maximum)(const REAL *restrict values, const size_t count)
{
    const size_t whole = count - count % MAXIMUM_LANES;
    REAL largest = -(REAL)INFINITY;
    if (whole > 0) {
        REAL lanes[MAXIMUM_LANES];
        for (size_t lane = 0; lane < MAXIMUM_LANES; lane++) lanes[lane] = -(REAL)INFINITY;
        for (size_t i = 0; i < whole; i += MAXIMUM_LANES)
            for (size_t lane = 0; lane < MAXIMUM_LANES; lane++)
                lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
        for (size_t width = MAXIMUM_LANES / 2; width > 0; width /= 2)
            for (size_t lane = 0; lane < width; lane++)
                lanes[lane] = lanes[lane + width] > lanes[lane] ? lanes[lane + width] : lanes[lane];
        largest = lanes[0];
    }
    for (size_t i = whole; i < count; i++) largest = values[i] > largest ? values[i] : largest;
    return largest;
}

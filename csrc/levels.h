/* Compiles every kernel once per instruction set: adam becomes adam_f32_baseline, adam_f32_v3, adam_f32_v4.
 * The same source gives the same bits at each level, as no compiler may contract or reorder it.
 * Compilers without these pragmas build the upper levels as plain copies, which levels.c never offers. */
#include "blocks.h"
#include "machine.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JOIN_NOW(name, precision, level) name##_##precision##_##level
#define JOIN(name, precision, level) JOIN_NOW(name, precision, level)
#define KERNEL(name) JOIN(name, PRECISION, LEVEL)

#define LEVEL baseline
#include "kernels.template.c"
#undef LEVEL

#if HAS_X86_LEVELS
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#endif
#define LEVEL v3
#include "kernels.template.c"
#undef LEVEL
#if HAS_X86_LEVELS
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
#endif
#define LEVEL v4
#include "kernels.template.c"
#undef LEVEL
#if HAS_X86_LEVELS
#pragma GCC pop_options
#endif

/* What was built, and what this machine can run. Levels: 0 the baseline, 1 x86-64-v3 (AVX2), 2 x86-64-v4 (AVX-512). */
#include "machine.h"

int highest_level_built(void) { return HAS_X86_LEVELS ? 2 : 0; }

int highest_level_supported(void)
{
#if HAS_X86_LEVELS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return 2;
    if (__builtin_cpu_supports("x86-64-v3")) return 1;
#endif
    return 0;
}

const char *build_compiler(void)
{
#if defined __clang__
    return "Clang " __clang_version__;
#elif defined __GNUC__
    return "GCC " __VERSION__;
#else
    return "unknown compiler";
#endif
}

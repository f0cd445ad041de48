#ifndef MACHINE_H
#define MACHINE_H

/* GCC learnt the names of the x86-64 levels in version 12. */
#if defined __x86_64__ && defined __GNUC__ && !defined __clang__ && __GNUC__ >= 12
#define HAS_X86_LEVELS 1
#else
#define HAS_X86_LEVELS 0
#endif

#if defined __x86_64__ && defined __GNUC__
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE()
#endif

/* Arithmetic on denormal numbers is very slow. From here until the modes that this returns are set
 * again, they are 0 to this thread, where the machine can. */
#if defined __SSE2__ || defined _M_X64
#include <immintrin.h>
static inline unsigned denormals_are_zero(void)
{
    const unsigned modes = _mm_getcsr();
    _mm_setcsr(modes | 0x8040);
    return modes;
}
static inline void set_modes(const unsigned modes) { _mm_setcsr(modes); }
#else
static inline unsigned denormals_are_zero(void) { return 0; }
static inline void set_modes(const unsigned modes) { (void)modes; }
#endif

#if defined __has_builtin && defined __GNUC__
#if __has_builtin(__builtin_shufflevector)
#define HAS_SHUFFLES 1
#endif
#endif

#if defined __GNUC__
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOT_INLINE __attribute__((noinline))
#else
#define ALWAYS_INLINE inline
#define NOT_INLINE
#endif

/* Before a short loop that is to become vectors: GCC would write it out first, and find fewer vectors in that. */
#if defined __GNUC__ && !defined __clang__
#define VECTORS_FIRST _Pragma("GCC unroll 4")
/* And before one that is not to become a memset. */
#define WRITTEN_OUT _Pragma("GCC unroll 16")
#else
#define VECTORS_FIRST
#define WRITTEN_OUT
#endif

#endif

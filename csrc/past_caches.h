/* Writing past the caches, and asking for lines before they are wanted. An ordinary store first reads the line that it
 * changes, and pushes another one out of the cache: for a large array that nobody reads soon, a third of the traffic of
 * two reads and a write. */
#ifndef PAST_CACHES_H
#define PAST_CACHES_H

#include "blocks.h"
#include "machine.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined __SSE2__
#include <immintrin.h>
#define CAN_PASS_CACHES 1
#else
#define CAN_PASS_CACHES 0
#endif

#if defined __GNUC__
#define FETCH(address, write) __builtin_prefetch(address, write, 2) /* into the second cache */
#else
#define FETCH(address, write) ((void)(address))
#endif

/* memcpy, past the caches but for the lines that begin or end within the array; finish_stores() once all is written. */
static ALWAYS_INLINE void copy_past_caches(void *const to, const void *const from, const size_t bytes)
{
#if CAN_PASS_CACHES
    const size_t head = smaller(-(uintptr_t)to % LINE, bytes);
    size_t i = head;
    memcpy(to, from, head);
    for (; bytes - i >= LINE; i += LINE)
        for (size_t part = i; part < i + LINE; part += sizeof(__m128i))
            _mm_stream_si128((__m128i *)((char *)to + part),
                             _mm_loadu_si128((const __m128i *)((const char *)from + part)));
    memcpy((char *)to + i, (const char *)from + i, bytes - i);
#else
    memcpy(to, from, bytes);
#endif
}

/* Ask for the line `ahead` bytes on. There need not be one: nothing is read that is not there. */
static ALWAYS_INLINE void fetch_line(const void *const from, const size_t ahead)
{
    FETCH((const void *)((uintptr_t)from + ahead), 0);
}

static ALWAYS_INLINE void fetch_line_to_write(const void *const to, const size_t ahead)
{
    FETCH((const void *)((uintptr_t)to + ahead), 1);
}

/* Before other threads may look: these stores are not ordered by the locks and atomics that order all others. */
static ALWAYS_INLINE void finish_stores(void)
{
#if CAN_PASS_CACHES
    _mm_sfence();
#endif
}

#endif

/* Stores that go to memory without first fetching what stood there: worth it for arrays far larger than the caches. */
#ifndef AROUND_CACHES_H
#define AROUND_CACHES_H

#include <stdint.h>

#if defined __x86_64__ && defined __GNUC__
#include <emmintrin.h>
typedef __m128i packet;
#define STORE_AROUND_CACHES(address, packet) _mm_stream_si128(address, packet)
#define FLUSH_STORES() _mm_sfence() /* before another thread reads what was stored */
#else
typedef struct { uint64_t bits[2]; } packet;
#define STORE_AROUND_CACHES(address, packet) (*(address) = (packet))
#define FLUSH_STORES()
#endif

#endif

/* How work is cut up. The same for every level and any number of threads, or sums would differ in their last bits. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stddef.h>

enum {
    LINE = 64,          /* bytes that caches take together */
    BLOCK = 2048,       /* elements per partial sum; slices of a call that has some start at its multiples */
    ROW_BLOCK = 4,      /* the same for kernels that work by rows */
    FEW_BLOCKS = 256,   /* whose sums have room on the stack */
    CHUNK = 512,        /* values kept in the first cache between two loops; divides BLOCK */
    SHORT_ROW = 64,     /* rows of so few classes are turned; of longer ones, CHUNK / LANES fit into a chunk */
    TURNED = 64,        /* rows that are turned together */
    PIECE = 64,         /* elements that an optimizer keeps between two loops: whole lines, where its slices start */
    AHEAD = 256,        /* elements, how far ahead lines are asked for: about 0.2 us */
    FAR_BYTES = 1 << 21, /* of a slice, of which a thread has some, or of a product: more than a core's caches hold */
    LANES = 16,         /* running sums; divides CHUNK */
    MAXIMUM_LANES = 32, /* running maxima */
    MATMUL_ROWS = 256,  /* of a left factor that is worked through at a time */
    SUM_ROWS = 64,      /* of a matrix that are added in its own precision; their sums are added in double */
    SUM_COLUMNS = 1024, /* of these sums at a time: less would break up the reading of long rows */
    TILE_VECTORS = 3,   /* width of a tile of a product, in vectors */
};

#define NO_MEMORY ((size_t)-1) /* what a call returns where there is none for its sums */

static inline size_t smaller(const size_t a, const size_t b) { return a < b ? a : b; }
static inline size_t larger(const size_t a, const size_t b) { return a > b ? a : b; }

/* Whether arrays of so many bytes lie where it pays to ask for their lines ahead, or to write past the caches. */
static inline int is_far(const size_t bytes) { return bytes >= FAR_BYTES; }

#endif

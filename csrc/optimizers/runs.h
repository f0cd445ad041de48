/* An optimizer's kernel sees many tensors laid end to end. A run is what [begin, end) covers of one of them. */
#ifndef RUNS_H
#define RUNS_H

#include "../blocks.h"

typedef struct {
    size_t first, count;
} run;

static inline run run_within(const size_t begin, const size_t end, const size_t offset, const size_t count)
{
    const size_t start = larger(begin, offset), stop = smaller(end, offset + count);
    return start < stop ? (run){start - offset, stop - start} : (run){0, 0};
}

#endif

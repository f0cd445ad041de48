/* A team of threads that work through the slices of one call together.
 *
 * The threads are Python's: each sits in team_serve(), without the interpreter's lock, and returns once there has been
 * nothing to do for a while. Waking a sleeping thread takes about 50 us; one that looks out for the next call is there
 * at once. The looking out is bounded, as it takes a core from others. */
#ifndef TEAM_H
#define TEAM_H

#include "blocks.h"

#include <stdatomic.h>
#include <stddef.h>

/* Each seat has its part of a call, the same one as long as the same threads serve, so that a thread finds in its cache
 * what it had the last time; who is done with that helps the others. */
enum { SEATS = 64 };

/* Works on [begin, end) and returns 0, or what went wrong. */
typedef size_t slice_function(size_t begin, size_t end, const void *arguments);

typedef struct {
    atomic_size_t serving; /* threads in team_serve() */
    _Atomic double rests_until; /* calls are made alone until then, in seconds */
    _Atomic double last_end; /* of a call */
    atomic_bool taken;
    char apart[LINE]; /* or threads would pass one cache line to and fro */
    atomic_bool open;
    atomic_size_t working; /* of those who serve, threads that may touch the call below */
    char from_that[LINE];
    slice_function *function;
    const void *arguments;
    size_t length, parts;
    atomic_size_t code; /* the smallest that a slice returned, 0 aside */
    _Atomic double first_done; /* when there was nothing left for one who had worked, in seconds; 0 before */
    char from_these[LINE];
    struct {
        atomic_size_t next; /* where the next slice begins */
        size_t end;
        char apart[LINE - 2 * sizeof(size_t)];
    } part[SEATS];
} team;

/* Look out for calls, from a seat of one's own (the caller's is 0); return when none came during `patience` looks. */
void team_serve(team *team, size_t seat, size_t patience);

/* Whether those who sleep should be woken for a call: not while the team is left out, as calls have lost time to other
 * processes, and for a short call only if the last one was just now, as waking takes longer than it. */
int team_is_wanted(const team *team, int is_long);

/* Call function(begin, end, arguments) on slices of [0, count) of this length, together with whoever is serving.
 * Returns when all is done: 0, or the smallest code that was not. Without a team (NULL), or with one that another
 * thread's call has taken, this thread does it all. */
size_t team_run(team *team, slice_function *function, const void *arguments, size_t count, size_t length);

#endif

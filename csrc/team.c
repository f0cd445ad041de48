#include "team.h"

#include "blocks.h"
#include "machine.h"

#include <stdbool.h>

#if defined __unix__ || defined __APPLE__
#include <sched.h>
#define GIVE_WAY() sched_yield()
#else
#define GIVE_WAY()
#endif

static void work(team *const team)
{
    size_t begin;
    while ((begin = atomic_fetch_add(&team->next, team->length)) < team->count) {
        const size_t code = team->function(begin, smaller(begin + team->length, team->count), team->arguments);
        size_t least = atomic_load(&team->code);
        while (code && (!least || code < least) && !atomic_compare_exchange_weak(&team->code, &least, code)) {}
    }
}

void team_serve(team *const team, const size_t patience)
{
    atomic_fetch_add(&team->serving, 1);
    for (size_t looks = 0; looks < patience; looks++) {
        if (atomic_load(&team->open)) {
            /* First say so, then look again: once a call is closed and nobody is working, its arguments are gone. */
            atomic_fetch_add(&team->working, 1);
            if (atomic_load(&team->open)) work(team);
            atomic_fetch_sub(&team->working, 1);
            looks = 0;
        }
        PAUSE();
        if (looks % 256 == 255) GIVE_WAY(); /* to whoever else wants this core */
    }
    atomic_fetch_sub(&team->serving, 1);
}

size_t team_run(team *const team, slice_function *const function, const void *const arguments, const size_t count,
                const size_t length)
{
    if (!team || atomic_exchange(&team->taken, true)) return function(0, count, arguments);
    team->function = function, team->arguments = arguments, team->count = count, team->length = length;
    atomic_store(&team->next, 0);
    atomic_store(&team->code, 0);
    atomic_store(&team->open, true);
    work(team);
    atomic_store(&team->open, false);
    for (size_t looks = 0; atomic_load(&team->working); looks++) {
        if (looks < 1000)
            PAUSE();
        else
            GIVE_WAY(); /* the one who is late may be waiting for this core */
    }
    const size_t code = atomic_load(&team->code);
    atomic_store(&team->taken, false);
    return code;
}

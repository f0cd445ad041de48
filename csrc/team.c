#define _POSIX_C_SOURCE 200809L
#include "team.h"

#include "blocks.h"
#include "machine.h"

#include <stdbool.h>
#include <time.h>

#if defined __unix__ || defined __APPLE__
#include <sched.h>
#define GIVE_WAY() sched_yield()
#define READ_CLOCK(now) clock_gettime(CLOCK_MONOTONIC, now)
#else
#define GIVE_WAY()
#define READ_CLOCK(now) timespec_get(now, TIME_UTC)
#endif

/* A thread that has lost its core keeps the others waiting, longer than one whose last slice is a slow one, and will
 * lose it again, while work alone takes but a few times as long. So a call that waited LATE times as long as it had
 * worked, until the first had nothing left, is followed by ALONE times that wait without the team, but no more than
 * LONGEST seconds. */
#define LATE 2
#define ALONE 4
#define LONGEST 0.1

/* Seconds. Where calls follow each other like this, the next ones will, too; threads look out for them longer. */
#define SOON 5e-4

static double now(void)
{
    struct timespec time;
    READ_CLOCK(&time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void work(team *const team, const size_t seat)
{
    const size_t length = team->length, parts = team->parts;
    bool helped = false;
    for (size_t turn = 0; turn < parts; turn++) {
        const size_t part = (seat + turn) % parts, end = team->part[part].end;
        size_t begin;
        while (atomic_load(&team->part[part].next) < end &&
               (begin = atomic_fetch_add(&team->part[part].next, length)) < end) {
            const size_t code = team->function(begin, smaller(begin + length, end), team->arguments);
            size_t least = atomic_load(&team->code);
            while (code && (!least || code < least) && !atomic_compare_exchange_weak(&team->code, &least, code)) {}
            helped = true;
        }
    }
    double nobody = 0;
    if (helped) atomic_compare_exchange_strong(&team->first_done, &nobody, now());
}

void team_serve(team *const team, const size_t seat, const size_t patience)
{
    atomic_fetch_add(&team->serving, 1);
    for (size_t looks = 0; looks < patience; looks++) {
        if (atomic_load(&team->open)) {
            /* First say so, then look again: once a call is closed and nobody is working, its arguments are gone. */
            atomic_fetch_add(&team->working, 1);
            if (atomic_load(&team->open)) work(team, seat);
            atomic_fetch_sub(&team->working, 1);
            looks = 0;
        }
        PAUSE();
        if (looks % 256 == 255) GIVE_WAY(); /* to whoever else wants this core */
    }
    atomic_fetch_sub(&team->serving, 1);
}

int team_is_wanted(const team *const team, const int is_long)
{
    const double time = now();
    return time >= atomic_load(&team->rests_until) && (is_long || time - atomic_load(&team->last_end) < SOON);
}

size_t team_run(team *const team, slice_function *const function, const void *const arguments, const size_t count,
                const size_t length)
{
    if (!team || atomic_exchange(&team->taken, true)) return function(0, count, arguments);
    if (!team_is_wanted(team, true)) {
        atomic_store(&team->taken, false);
        return function(0, count, arguments);
    }
    const size_t slices = (count + length - 1) / length, parts = smaller(atomic_load(&team->serving) + 1, SEATS);
    team->function = function, team->arguments = arguments, team->length = length, team->parts = parts;
    for (size_t i = 0; i < parts; i++) { /* relaxed: nobody looks before it is open */
        atomic_store_explicit(&team->part[i].next, slices * i / parts * length, memory_order_relaxed);
        team->part[i].end = smaller(slices * (i + 1) / parts * length, count);
    }
    atomic_store_explicit(&team->code, 0, memory_order_relaxed);
    atomic_store_explicit(&team->first_done, 0, memory_order_relaxed);
    const double start = now();
    atomic_store(&team->open, true);
    work(team, 0);
    atomic_store(&team->open, false);
    for (size_t looks = 0; atomic_load(&team->working); looks++) {
        if (looks < 1000)
            PAUSE();
        else
            GIVE_WAY(); /* the one who is late may be waiting for this core */
    }
    /* Where there are more threads than cores, one that loses its core is back in milliseconds, and loses it again. */
    const double end = now(), done = atomic_load(&team->first_done), lost = end - done;
    atomic_store_explicit(&team->last_end, end, memory_order_relaxed);
    if (done && lost > LATE * (done - start))
        atomic_store(&team->rests_until, end + (ALONE * lost < LONGEST ? ALONE * lost : LONGEST));
    const size_t code = atomic_load(&team->code);
    atomic_store(&team->taken, false);
    return code;
}

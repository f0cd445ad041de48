/* Threads that serve come and go, while several call: every slice is done once, the smallest code comes back, and nobody
 * looks at a call that is over, whose memory is freed at once. Who comes late is left out for a while, and of each call
 * a seat has the same part. Run by test_team.py under ThreadSanitizer. */
#define _POSIX_C_SOURCE 200809L
#include "team.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SERVERS = 4, CALLERS = 3, CALLS = 100000 };

static team shared;
static atomic_bool over;

typedef struct {
    int *visits;
    size_t bad; /* slices that hold an index from here on return it + 1 */
} call;

static size_t visit(const size_t begin, const size_t end, const void *arguments)
{
    const call *const this = arguments;
    for (size_t i = begin; i < end; i++) this->visits[i]++;
    return this->bad < end ? (this->bad < begin ? begin : this->bad) + 1 : 0;
}

static void *serve(void *const seed)
{
    unsigned random = (unsigned)(uintptr_t)seed;
    while (!atomic_load(&over)) team_serve(&shared, 1 + (uintptr_t)seed, (size_t)(rand_r(&random) % 2000));
    return NULL;
}

static void *make_calls(void *const seed)
{
    unsigned random = (unsigned)(uintptr_t)seed;
    for (int i = 0; i < CALLS; i++) {
        const size_t count = (size_t)(rand_r(&random) % 40), length = (size_t)(1 + rand_r(&random) % 10);
        call *const this = malloc(sizeof *this);
        *this = (call){calloc(count + 1, sizeof(int)), (size_t)(rand_r(&random) % 80)};
        const size_t code = team_run(&shared, visit, this, count, length);
        if (code != (this->bad < count ? this->bad + 1 : 0)) printf("wrong code %zu\n", code), exit(1);
        for (size_t k = 0; k < count; k++)
            if (this->visits[k] != 1) printf("index %zu was visited %d times\n", k, this->visits[k]), exit(1);
        free(this->visits);
        free(this);
    }
    return NULL;
}

static _Thread_local bool is_server;
static atomic_int begun[2]; /* slices, by the caller and by the server */

/* Both have a slice, and the server sleeps in it, or the caller: as one does that has lost its core. */
static size_t come_late(const size_t begin, const size_t end, const void *server)
{
    (void)begin, (void)end;
    atomic_fetch_add(&begun[is_server], 1);
    while (!atomic_load(&begun[!is_server])) {}
    if (is_server == *(const bool *)server) nanosleep(&(struct timespec){0, 50000000}, NULL);
    return 0;
}

static size_t count_served(const size_t begin, const size_t end, const void *arguments)
{
    (void)begin, (void)end, (void)arguments;
    atomic_fetch_add(&begun[is_server], 1);
    return 0;
}

static void *serve_late(void *const unused)
{
    is_server = true;
    while (!atomic_load(&over)) team_serve(&shared, 1, 100000);
    return unused;
}

/* Whether the server is left out once one of the two was late, and then called again. */
static bool is_left_out_for_a_while(const bool late_server)
{
    pthread_t server;
    atomic_store(&begun[0], 0), atomic_store(&begun[1], 0);
    pthread_create(&server, NULL, serve_late, NULL);
    while (!atomic_load(&shared.serving)) {}
    atomic_store(&shared.rests_until, 0); /* what came before may have been late, too */
    team_run(&shared, come_late, &late_server, 2, 1);
    const int before = atomic_load(&begun[1]);
    bool right = !team_is_wanted(&shared, true);
    for (int i = 0; i < 100; i++) team_run(&shared, count_served, NULL, 1000, 1);
    right = right && atomic_load(&begun[1]) == before;
    nanosleep(&(struct timespec){0, 150000000}, NULL);
    for (int i = 0; i < 1000000 && atomic_load(&begun[1]) == before; i++)
        team_run(&shared, count_served, NULL, 1000, 1);
    right = right && atomic_load(&begun[1]) > before;
    atomic_store(&over, true);
    pthread_join(server, NULL);
    return right;
}

enum { SLICES = 8 };

static bool was_served[SLICES];

/* Nobody is ahead of the other, and so nobody helps. */
static size_t keep_step(const size_t begin, const size_t end, const void *arguments)
{
    (void)end, (void)arguments;
    was_served[begin] = is_server;
    const int mine = atomic_fetch_add(&begun[is_server], 1) + 1;
    while (atomic_load(&begun[!is_server]) < mine) {}
    return 0;
}

/* Whether the caller has the first half of each call, and the server the second. */
static bool seats_keep_their_parts(void)
{
    pthread_t server;
    pthread_create(&server, NULL, serve_late, NULL);
    while (!atomic_load(&shared.serving)) {}
    atomic_store(&begun[0], 0), atomic_store(&begun[1], 0);
    bool right = true;
    for (int i = 0; i < 100; i++) {
        atomic_store(&shared.rests_until, 0);
        team_run(&shared, keep_step, NULL, SLICES, 1);
        for (int slice = 0; slice < SLICES; slice++) right = right && was_served[slice] == (slice >= SLICES / 2);
    }
    atomic_store(&over, true);
    pthread_join(server, NULL);
    return right;
}

/* Threads that sleep are worth waking for a long call at any time, for a short one only right after another call. */
static bool short_calls_want_it_only_soon_after_others(void)
{
    int visits[1] = {0};
    bool right = false;
    for (int i = 0; i < 100 && !right; i++) { /* the clock may go on between two lines */
        team_run(&shared, visit, &(call){visits, 1}, 1, 1);
        atomic_store(&shared.rests_until, 0);
        right = team_is_wanted(&shared, false);
    }
    nanosleep(&(struct timespec){0, 10000000}, NULL);
    return right && !team_is_wanted(&shared, false) && team_is_wanted(&shared, true);
}

int main(void)
{
    pthread_t servers[SERVERS], callers[CALLERS];
    for (uintptr_t i = 0; i < SERVERS; i++) pthread_create(&servers[i], NULL, serve, (void *)i);
    for (uintptr_t i = 0; i < CALLERS; i++) pthread_create(&callers[i], NULL, make_calls, (void *)(i + SERVERS));
    for (int i = 0; i < CALLERS; i++) pthread_join(callers[i], NULL);
    atomic_store(&over, true);
    for (int i = 0; i < SERVERS; i++) pthread_join(servers[i], NULL);
    atomic_store(&over, false);
    for (int late_server = 0; late_server < 2; late_server++) {
        if (!is_left_out_for_a_while(late_server))
            printf("%s was late: no rest, or no end of it\n", late_server ? "the server" : "the caller"), exit(1);
        atomic_store(&over, false);
    }
    atomic_store(&shared.rests_until, 0);
    if (team_run(&shared, visit, &(call){NULL, 1}, 0, 1) || !team_is_wanted(&shared, true))
        printf("who had nothing to do was late\n"), exit(1);
    if (!short_calls_want_it_only_soon_after_others()) printf("wanted at the wrong time\n"), exit(1);
    if (!seats_keep_their_parts()) printf("a seat had another's part\n"), exit(1);
    return shared.serving != 0 || shared.working != 0;
}

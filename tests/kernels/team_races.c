/* Threads that serve come and go, while several call: every slice is done once, the smallest code comes back, and nobody
 * looks at a call that is over, whose memory is freed at once. Run by test_team.py under ThreadSanitizer. */
#include "team.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

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
    while (!atomic_load(&over)) team_serve(&shared, (size_t)(rand_r(&random) % 2000));
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

int main(void)
{
    pthread_t servers[SERVERS], callers[CALLERS];
    for (uintptr_t i = 0; i < SERVERS; i++) pthread_create(&servers[i], NULL, serve, (void *)i);
    for (uintptr_t i = 0; i < CALLERS; i++) pthread_create(&callers[i], NULL, make_calls, (void *)(i + SERVERS));
    for (int i = 0; i < CALLERS; i++) pthread_join(callers[i], NULL);
    atomic_store(&over, true);
    for (int i = 0; i < SERVERS; i++) pthread_join(servers[i], NULL);
    return shared.serving != 0 || shared.working != 0;
}

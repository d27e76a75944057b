/* store_run DIR OPERATIONS THREADS — the workload: opens or makes a store and writes, one line per acknowledged
 * operation on standard output by write(2), which the recorder sees and a pipe gets whole. */
#include "store_work.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX 32u

struct worker {
    struct ms_store *store;
    unsigned place, threads;
    uint64_t operations;
};

static void *worker_main(void *arg) {
    struct worker *w = arg;
    uint64_t x = w->place + 1;

    for (uint64_t i = 0; i < w->operations; i++) {
        struct ms_error err = {0};
        uint64_t generation = 0;
        char line[64];
        unsigned slot;
        int n;

        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        slot = (unsigned)(x >> 33) % (WORK_SLOTS / w->threads) * w->threads + w->place;
        if (work_write(w->store, slot, &generation, &err) != MS_OK) {
            fprintf(stderr, "store_run: %s\n", err.message);
            exit(1);
        }
        n = snprintf(line, sizeof line, "ack %u %" PRIu64 "\n", slot, generation);
        if (write(STDOUT_FILENO, line, (size_t)n) != n)
            exit(1);
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct ms_store_options o = {.clock = ms_clock_system(), .random = ms_random_system(), .create = true,
                                 .label = "store_run", .map_bytes = 1 << 20, .map_bytes_max = 1 << 28,
                                 .feed_rows_max = 64};
    struct worker workers[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    struct ms_store *store;
    struct ms_error err;
    unsigned threads;

    if (argc != 4)
        return 64;
    o.dir = argv[1];
    threads = (unsigned)strtoul(argv[3], NULL, 10);
    if (threads < 1 || threads > THREADS_MAX)
        return 64;
    if (ms_store_open(&o, &store, &err) != MS_OK) {
        fprintf(stderr, "store_run: %s\n", err.message);
        return 1;
    }
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){store, i, threads, strtoull(argv[2], NULL, 10) / threads};
        if (pthread_create(&ids[i], NULL, worker_main, &workers[i]) != 0)
            return 1;
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    ms_store_close(store);
    return 0;
}

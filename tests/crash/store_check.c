/* store_check [--slack N] DIR ACKS — judge a store after a crash.
 *
 * 0 every acknowledged operation is there, nothing is half, the envelopes are whole, the dead can be settled and the
 * store can be written; 1 an acknowledged one is lost; 2 something is half or damaged; 3 it cannot be opened.
 * At most N operations more than acknowledged may be there: those that were under way. */
#include "store_work.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int say(int status, const char *what, const struct ms_error *err) {
    fprintf(stderr, "store_check: %s: %s\n", what, err->message);
    return status;
}

static void read_acks(const char *path, uint64_t acked[WORK_SLOTS]) {
    FILE *f = fopen(path, "r");
    uint64_t generation;
    char line[128];
    unsigned slot;

    if (!f) {
        fprintf(stderr, "store_check: cannot read %s\n", path);
        exit(64);
    }
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "ack %u %" SCNu64, &slot, &generation) == 2 && slot < WORK_SLOTS && generation > acked[slot])
            acked[slot] = generation;
    fclose(f);
}

static int compare(const struct work_slot slots[WORK_SLOTS], const uint64_t acked[WORK_SLOTS], uint64_t slack) {
    uint64_t more = 0;
    int status = 0;

    for (unsigned i = 0; i < WORK_SLOTS; i++) {
        if (slots[i].generation < acked[i]) {
            fprintf(stderr, "store_check: slot %u: %" PRIu64 " was acknowledged, %" PRIu64 " is there\n", i, acked[i],
                    slots[i].generation);
            status = 1;
        } else {
            more += slots[i].generation - acked[i];
        }
    }
    if (status == 0 && more > slack) {
        fprintf(stderr, "store_check: %" PRIu64 " operations more than acknowledged\n", more);
        status = 2;
    }
    return status;
}

static void count_damage(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)key;
    fprintf(stderr, "store_check: %s\n", err->message);
    ++*(unsigned *)priv;
}

/* Take over from the dead, as a recovery does. */
static enum ms_code settle(struct ms_store *store, struct ms_error *reterr) {
    struct ms_process_info *list = NULL;
    size_t n = 0;
    enum ms_code code = ms_store_processes(store, &list, &n, reterr);

    for (size_t i = 0; i < n && code == MS_OK; i++) {
        if (list[i].alive)
            continue;
        code = ms_store_adopt(store, list[i].instance, reterr);
        if (code == MS_OK)
            code = ms_store_forget(store, list[i].instance, reterr);
    }
    free(list);
    return code;
}

static int check(struct ms_store *store, const char *acks, uint64_t slack) {
    struct work_slot slots[WORK_SLOTS];
    uint64_t acked[WORK_SLOTS] = {0}, generation;
    struct ms_error err = {0};
    unsigned damage = 0;
    int status;

    read_acks(acks, acked);
    if (ms_store_check(store, count_damage, &damage, &err) != MS_OK || damage > 0)
        return say(2, "check", &err);
    if (work_read_all(store, slots, &err) != MS_OK)
        return say(2, "content", &err);
    status = compare(slots, acked, slack);
    if (status != 0)
        return status;
    if (settle(store, &err) != MS_OK)
        return say(2, "settling", &err);
    if (work_write(store, 0, &generation, &err) != MS_OK || work_read_all(store, slots, &err) != MS_OK)
        return say(2, "writing on", &err);
    return 0;
}

int main(int argc, char **argv) {
    struct ms_store_options o = {.clock = ms_clock_system(), .random = ms_random_system(), .create = true,
                                 .label = "store_check", .map_bytes = 1 << 28};
    uint64_t slack = UINT64_MAX;
    struct ms_store *store;
    struct ms_error err;
    char dir[4096];
    int status;

    if (argc == 5 && strcmp(argv[1], "--slack") == 0) {
        slack = strtoull(argv[2], NULL, 10);
        argv += 2;
        argc -= 2;
    }
    if (argc != 3)
        return 64;
    /* A replayed image holds the recorded folder's content: the store is "s" in it. */
    snprintf(dir, sizeof dir, "%s/s", argv[1]);
    o.dir = dir;
    if (ms_store_open(&o, &store, &err) != MS_OK)
        return say(3, "opening", &err);
    status = check(store, argv[2], slack);
    ms_store_close(store);
    return status;
}

/* wrap_disk_part.h — what wrap_disk.c (the cache: on or off, what is to be written) and wrap_disk_get.c (a GET's way)
 * share.
 *
 * Threads: reads and writes of the disk run on the cache's own pool; copying and done on the engine. wrap.mutex guards
 * what is locked; no call of the system is made under it.
 */
#ifndef MS_OBJECT_WRAP_DISK_PART_H
#define MS_OBJECT_WRAP_DISK_PART_H

#include "object/wrap.h"
#include "object/wrap_disk.h"
#include "object/wrap_disk_files.h"

/* A place in the list of those that the disk has at work, oldest first. */
struct ms_disk_turn {
    struct ms_disk_turn *older, *newer;
    int64_t since_ns; /* 0: not begun */
    struct ms_disk_files *files;
};

struct ms_disk_fill; /* a copy of a block that is to be written */

struct ms_disk {
    struct ms_wrap wrap;
    struct ms_disk_options options; /* dir is its own */
    struct ms_engine *pool;
    struct ms_timer tick;
    struct ms_task tend_task, write_task;
    pthread_cond_t idle; /* nothing is being written */
    struct {
        struct ms_disk_files *files; /* NULL: off */
        enum ms_code off_code;       /* why, as it was said last */
        int64_t retry_ns;
        struct ms_disk_turn *oldest, *newest;
        struct ms_disk_fill *first, **last, *spare;
        size_t fills, spares;
        uint64_t (*keys)[2]; /* to be dropped */
        size_t keys_n, keys_cap;
        uint64_t drops; /* grows with each */
        int64_t full_until_ns, full_said_ns;
        unsigned failures; /* of this files */
        bool writing, tending, closing, hangs;
        struct ms_disk_stats stats;
    } locked;
};

/* Take part: turn->files is a reference, or NULL when the disk is off or hangs. *ret_drops is for ms_disk_fill(). */
void ms_disk_join(struct ms_disk *d, struct ms_disk_turn *turn, uint64_t *ret_drops);
void ms_disk_begin(struct ms_disk *d, struct ms_disk_turn *turn);
/* Gives the reference back. */
void ms_disk_leave(struct ms_disk *d, struct ms_disk_turn *turn);
/* Called under the lock for a turn that has not begun while the disk hangs: true when it was taken off its queue. */
bool ms_disk_get_rescue(struct ms_disk *d, struct ms_disk_turn *turn);
/* Then, without the lock: to the store with it. */
void ms_disk_get_go_on(struct ms_disk_turn *turn);

/* Something of these files went wrong: count it, and turn the cache off when that is too much. */
void ms_disk_failed(struct ms_disk *d, struct ms_disk_files *files, const struct ms_error *err);
void ms_disk_count(struct ms_disk *d, uint64_t hits, uint64_t hit_bytes, uint64_t misses);
/* Copy a block for being written, unless there is no room for that, or a key was dropped since drops was told. */
void ms_disk_fill(struct ms_disk *d, const struct ms_disk_id *id, uint64_t size, const void *bytes,
                  size_t length, uint64_t drops);
void ms_disk_drop(struct ms_disk *d, const char *const *keys, size_t n);

void ms_disk_get(struct ms_disk *d, struct ms_obj_request *request);
void ms_disk_get_cancel(struct ms_disk *d, struct ms_obj_request *request);

#endif

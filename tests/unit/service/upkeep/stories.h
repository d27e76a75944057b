/* stories.h — files that a child writes, fsyncs and closes until it is killed; and what must be
 * there after recovery. */
#ifndef MS_TESTS_SERVICE_STORIES_H
#define MS_TESTS_SERVICE_STORIES_H

#include "child.h"

#define MIB ((size_t)1 << 20)

/* Bytes of one phase: 0 is what was there before, 1 what an fsync covers, 2 what came later. */
struct step {
    unsigned phase;
    size_t from, to;
};
struct story {
    const char *name;
    bool exists;   /* an overwrite: the base has base_bytes */
    bool truncate; /* it begins with O_TRUNC */
    size_t base_bytes;
    struct step synced[2], later[2]; /* before and after the fsync; to 0: none */
    bool sync;
};
const struct story *story_of(const char *name);

struct image {
    uint8_t *p;
    size_t n;
};

struct image image_of(const struct story *s, bool base, bool synced, bool later);

/* The works of children: each story by its name; "recover"; and "sync", "write", "orphans", which
 * do that, say 's', 'w', 'o', and wait to be killed. */
extern const struct child_work story_works[];
extern const size_t story_works_n;

void make_base(struct world *w, const struct story *s, const char *path);
/* Of what the child has said follows what may be there. */
void check_story(struct world *w, const struct story *s, const char *path,
                 const struct child_end *end);

bool is_there(struct world *w, const char *path);
/* Nothing lost, nothing deferred. */
struct ms_recover_result recover_now(struct world *w);
void collect_garbage(struct world *w);
/* After gc: no finding, nothing pending, no reservation, no journal but ours. */
void check_all_settled(struct world *w);

/* A child that has said its word and was killed then. */
void kill_after(struct world *w, const char *work, const char *path, char word);
/* What "sync" wrote. */
void check_synced(struct world *w, const char *path);

#endif

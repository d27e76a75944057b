/* An intrusive hash map for the tables of a mount's virtual folders. */
#include "service/vtree_part.h"

#include <stdlib.h>

#define FIRST_BUCKETS 64u

static struct ms_vlink **bucket_of(const struct ms_vmap *map, uint64_t hash) {
    uint64_t mixed = hash * UINT64_C(0x9e3779b97f4a7c15);
    return &map->bucket[(size_t)(mixed >> 32) & (map->buckets - 1)];
}

void ms_vmap_fini(struct ms_vmap *map) {
    free(map->bucket);
    *map = (struct ms_vmap){0};
}

static void move_to(void *priv, struct ms_vlink *link) {
    struct ms_vmap *map = priv;
    struct ms_vlink **bucket = bucket_of(map, link->hash);
    link->next = *bucket;
    *bucket = link;
    map->n++;
}

/* Doubling keeps chains short; when memory is short they just grow longer. */
static void grow(struct ms_vmap *map) {
    struct ms_vmap more = {.buckets = map->buckets ? map->buckets * 2 : FIRST_BUCKETS};
    more.bucket = calloc(more.buckets, sizeof(struct ms_vlink *));
    if (!more.bucket)
        return;
    ms_vmap_each(map, move_to, &more);
    free(map->bucket);
    *map = more;
}

enum ms_code ms_vmap_add(struct ms_vmap *map, struct ms_vlink *link, uint64_t hash,
                         struct ms_error *reterr) {
    if (map->n >= map->buckets)
        grow(map);
    if (map->buckets == 0)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a table of the virtual folders");
    struct ms_vlink **bucket = bucket_of(map, hash);
    *link = (struct ms_vlink){.next = *bucket, .hash = hash};
    *bucket = link;
    map->n++;
    return MS_OK;
}

void ms_vmap_remove(struct ms_vmap *map, struct ms_vlink *link) {
    struct ms_vlink **at = bucket_of(map, link->hash);
    while (*at != link) {
        MS_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = link->next;
    map->n--;
}

struct ms_vlink *ms_vmap_find(const struct ms_vmap *map, uint64_t hash) {
    struct ms_vlink *link = map->buckets ? *bucket_of(map, hash) : NULL;
    while (link && link->hash != hash)
        link = link->next;
    return link;
}

struct ms_vlink *ms_vmap_find_next(const struct ms_vlink *link) {
    uint64_t hash = link->hash;
    struct ms_vlink *next = link->next;
    while (next && next->hash != hash)
        next = next->next;
    return next;
}

void ms_vmap_each(struct ms_vmap *map, void (*fn)(void *priv, struct ms_vlink *link), void *priv) {
    for (size_t i = 0; i < map->buckets; i++)
        for (struct ms_vlink *link = map->bucket[i], *next; link; link = next) {
            next = link->next;
            fn(priv, link);
        }
}

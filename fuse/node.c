#include "fuse/node.h"

#include "base/assert.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A name under which the kernel may have cached a node; kept so that a foreign change can be told
 * to it. */
struct dentry {
    struct dentry *next;
    uint64_t parent;
    char name[];
};

struct node {
    uint64_t nodeid, ino, generation, lookups;
    bool current; /* the one that a lookup of ino gives */
    struct dentry *dentries;
    struct node *next_id, *next_ino; /* chains of the two hashes */
};

struct ms_nodes {
    pthread_mutex_t mutex;
    uint64_t next_nodeid, root_ino;
    size_t count, buckets;
    struct node **by_id, **by_ino;
};

#define FIRST_BUCKETS 1024u
#define ROOT_NODEID 1u

static size_t bucket_of(const struct ms_nodes *nodes, uint64_t n) {
    n *= UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(n >> 32) & (nodes->buckets - 1);
}

enum ms_code ms_nodes_new(uint64_t root_ino, struct ms_nodes **ret_nodes, struct ms_error *reterr) {
    struct ms_nodes *nodes = calloc(1, sizeof *nodes);
    if (nodes) {
        nodes->buckets = FIRST_BUCKETS;
        nodes->by_id = calloc(FIRST_BUCKETS, sizeof *nodes->by_id);
        nodes->by_ino = calloc(FIRST_BUCKETS, sizeof *nodes->by_ino);
    }
    if (!nodes || !nodes->by_id || !nodes->by_ino) {
        if (nodes) {
            free(nodes->by_id);
            free(nodes->by_ino);
        }
        free(nodes);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the mount's node table");
    }
    pthread_mutex_init(&nodes->mutex, NULL);
    nodes->next_nodeid = ROOT_NODEID + 1;
    nodes->root_ino = root_ino;
    *ret_nodes = nodes;
    return MS_OK;
}

static void free_node(struct node *n) {
    while (n->dentries) {
        struct dentry *d = n->dentries;
        n->dentries = d->next;
        free(d);
    }
    free(n);
}

void ms_nodes_free(struct ms_nodes *nodes) {
    if (!nodes)
        return;
    for (size_t i = 0; i < nodes->buckets; i++)
        while (nodes->by_id[i]) {
            struct node *n = nodes->by_id[i];
            nodes->by_id[i] = n->next_id;
            free_node(n);
        }
    free(nodes->by_id);
    free(nodes->by_ino);
    pthread_mutex_destroy(&nodes->mutex);
    free(nodes);
}

static struct node *find_id_locked(struct ms_nodes *nodes, uint64_t nodeid) {
    struct node *n = nodes->by_id[bucket_of(nodes, nodeid)];
    while (n && n->nodeid != nodeid)
        n = n->next_id;
    return n;
}

static struct node *find_ino_locked(struct ms_nodes *nodes, uint64_t ino) {
    struct node *n = nodes->by_ino[bucket_of(nodes, ino)];
    while (n && n->ino != ino)
        n = n->next_ino;
    return n;
}

/* Doubling keeps chains short; when memory is short they just grow longer. */
static void grow_locked(struct ms_nodes *nodes) {
    size_t old = nodes->buckets;
    struct node **by_id = calloc(old * 2, sizeof *by_id);
    struct node **by_ino = calloc(old * 2, sizeof *by_ino);
    if (!by_id || !by_ino) {
        free(by_id);
        free(by_ino);
        return;
    }
    struct node **was = nodes->by_id;
    free(nodes->by_ino);
    nodes->by_id = by_id;
    nodes->by_ino = by_ino;
    nodes->buckets = old * 2;
    for (size_t i = 0; i < old; i++)
        for (struct node *n = was[i], *next; n; n = next) {
            next = n->next_id;
            size_t b = bucket_of(nodes, n->nodeid);
            n->next_id = by_id[b];
            by_id[b] = n;
            if (!n->current)
                continue;
            b = bucket_of(nodes, n->ino);
            n->next_ino = by_ino[b];
            by_ino[b] = n;
        }
    free(was);
}

static struct node *add_locked(struct ms_nodes *nodes, uint64_t ino, uint64_t generation) {
    struct node *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    if (nodes->count >= nodes->buckets * 2)
        grow_locked(nodes);
    *n = (struct node){
        .nodeid = nodes->next_nodeid++, .ino = ino, .generation = generation, .current = true};
    size_t b = bucket_of(nodes, n->nodeid);
    n->next_id = nodes->by_id[b];
    nodes->by_id[b] = n;
    b = bucket_of(nodes, ino);
    n->next_ino = nodes->by_ino[b];
    nodes->by_ino[b] = n;
    nodes->count++;
    return n;
}

static void retire_locked(struct ms_nodes *nodes, struct node *n) {
    MS_ASSERT(n->current);
    struct node **at = &nodes->by_ino[bucket_of(nodes, n->ino)];
    while (*at != n)
        at = &(*at)->next_ino;
    *at = n->next_ino;
    n->current = false;
}

static void drop_locked(struct ms_nodes *nodes, struct node *n) {
    if (n->current)
        retire_locked(nodes, n);
    struct node **at = &nodes->by_id[bucket_of(nodes, n->nodeid)];
    while (*at != n)
        at = &(*at)->next_id;
    *at = n->next_id;
    nodes->count--;
    free_node(n);
}

/* Without memory the name is not kept, and its dentry lives until its timeout. */
static void note_dentry_locked(struct node *n, uint64_t parent, const char *name) {
    for (struct dentry *d = n->dentries; d; d = d->next)
        if (d->parent == parent && strcmp(d->name, name) == 0)
            return;
    size_t len = strlen(name) + 1;
    struct dentry *d = malloc(sizeof *d + len);
    if (!d)
        return;
    d->parent = parent;
    memcpy(d->name, name, len);
    d->next = n->dentries;
    n->dentries = d;
}

uint64_t ms_nodes_ino(struct ms_nodes *nodes, uint64_t nodeid) {
    if (nodeid == ROOT_NODEID)
        return nodes->root_ino;
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = find_id_locked(nodes, nodeid);
    uint64_t ino = n ? n->ino : 0;
    pthread_mutex_unlock(&nodes->mutex);
    return ino;
}

uint64_t ms_nodes_generation(struct ms_nodes *nodes, uint64_t nodeid) {
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = find_id_locked(nodes, nodeid);
    uint64_t generation = n ? n->generation : 0;
    pthread_mutex_unlock(&nodes->mutex);
    return generation;
}

uint64_t ms_nodes_lookup(struct ms_nodes *nodes, uint64_t ino, uint64_t generation,
                         uint64_t parent_nodeid, const char *name) {
    if (ino == nodes->root_ino)
        return ROOT_NODEID;
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = find_ino_locked(nodes, ino);
    if (n && generation > n->generation) {
        retire_locked(nodes, n);
        n = NULL;
    }
    if (!n)
        n = add_locked(nodes, ino, generation);
    uint64_t nodeid = 0;
    if (n) {
        n->lookups++;
        note_dentry_locked(n, parent_nodeid, name);
        nodeid = n->nodeid;
    }
    pthread_mutex_unlock(&nodes->mutex);
    return nodeid;
}

void ms_nodes_forget(struct ms_nodes *nodes, uint64_t nodeid, uint64_t lookups) {
    if (nodeid == ROOT_NODEID)
        return;
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = find_id_locked(nodes, nodeid);
    if (n) {
        MS_ASSERT(n->lookups >= lookups);
        n->lookups -= lookups;
        if (n->lookups == 0)
            drop_locked(nodes, n);
    }
    pthread_mutex_unlock(&nodes->mutex);
}

void ms_nodes_named(struct ms_nodes *nodes, uint64_t ino, uint64_t parent_nodeid,
                    const char *name) {
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = find_ino_locked(nodes, ino);
    if (n)
        note_dentry_locked(n, parent_nodeid, name);
    pthread_mutex_unlock(&nodes->mutex);
}

void ms_nodes_sealed(struct ms_nodes *nodes, uint64_t ino, uint64_t generation) {
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = find_ino_locked(nodes, ino);
    if (n && n->generation < generation)
        n->generation = generation;
    pthread_mutex_unlock(&nodes->mutex);
}

uint64_t ms_nodes_current(struct ms_nodes *nodes, uint64_t ino) {
    if (ino == nodes->root_ino)
        return ROOT_NODEID;
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = find_ino_locked(nodes, ino);
    uint64_t nodeid = n ? n->nodeid : 0;
    pthread_mutex_unlock(&nodes->mutex);
    return nodeid;
}

uint64_t ms_nodes_retire(struct ms_nodes *nodes, uint64_t ino,
                         void (*each)(void *priv, uint64_t parent_nodeid, const char *name),
                         void *priv) {
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = find_ino_locked(nodes, ino);
    uint64_t nodeid = n ? n->nodeid : 0;
    struct dentry *names = NULL;
    if (n) {
        retire_locked(nodes, n);
        names = n->dentries;
        n->dentries = NULL;
    }
    pthread_mutex_unlock(&nodes->mutex);
    while (names) {
        struct dentry *d = names;
        names = d->next;
        each(priv, d->parent, d->name);
        free(d);
    }
    return nodeid;
}

size_t ms_nodes_all(struct ms_nodes *nodes, struct ms_node_ref **ret_refs) {
    pthread_mutex_lock(&nodes->mutex);
    struct ms_node_ref *refs = malloc((nodes->count + 1) * sizeof *refs);
    size_t n = 0;
    if (refs)
        refs[n++] = (struct ms_node_ref){ROOT_NODEID, nodes->root_ino};
    for (size_t i = 0; refs && i < nodes->buckets; i++)
        for (struct node *node = nodes->by_id[i]; node; node = node->next_id)
            refs[n++] = (struct ms_node_ref){node->nodeid, node->ino};
    pthread_mutex_unlock(&nodes->mutex);
    *ret_refs = refs;
    return n;
}

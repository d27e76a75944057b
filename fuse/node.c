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
    uint64_t was;      /* the generation before our own seal: a handle may still say so */
    bool current;      /* the one that a lookup of ino gives */
    bool spoiled;      /* its pages are of bytes that are no generation's */
    bool looked_again; /* the last open of the inode did not fit: the kernel looks it up again */
    struct dentry *dentries;
    struct node *next_id, *next_ino; /* chains of the two hashes; both hold retired ones too */
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

static struct node *current_locked(struct ms_nodes *nodes, uint64_t ino) {
    struct node *n = nodes->by_ino[bucket_of(nodes, ino)];
    while (n && (n->ino != ino || !n->current))
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
    *n = (struct node){.nodeid = nodes->next_nodeid++,
                       .ino = ino,
                       .generation = generation,
                       .was = generation,
                       .current = true};
    size_t b = bucket_of(nodes, n->nodeid);
    n->next_id = nodes->by_id[b];
    nodes->by_id[b] = n;
    b = bucket_of(nodes, ino);
    n->next_ino = nodes->by_ino[b];
    nodes->by_ino[b] = n;
    nodes->count++;
    return n;
}

static void unchain(struct node **at, struct node *n, bool of_ino) {
    while (*at != n)
        at = of_ino ? &(*at)->next_ino : &(*at)->next_id;
    *at = of_ino ? n->next_ino : n->next_id;
}

static void drop_locked(struct ms_nodes *nodes, struct node *n) {
    unchain(&nodes->by_id[bucket_of(nodes, n->nodeid)], n, false);
    unchain(&nodes->by_ino[bucket_of(nodes, n->ino)], n, true);
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

static bool looked_again_locked(struct ms_nodes *nodes, uint64_t ino) {
    bool again = false;
    for (struct node *n = nodes->by_ino[bucket_of(nodes, ino)]; n; n = n->next_ino)
        again |= n->ino == ino && n->looked_again;
    return again;
}

static void note_fit_locked(struct ms_nodes *nodes, uint64_t ino, bool fits) {
    for (struct node *n = nodes->by_ino[bucket_of(nodes, ino)]; n; n = n->next_ino)
        if (n->ino == ino)
            n->looked_again = !fits;
}

static bool shows(const struct node *n, uint64_t generation) {
    return n->generation == generation || n->was == generation;
}

enum ms_node_fit ms_nodes_fit(struct ms_nodes *nodes, uint64_t nodeid, uint64_t generation) {
    enum ms_node_fit fit = MS_NODE_FITS;
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = find_id_locked(nodes, nodeid);
    if (!n || !n->current || !shows(n, generation))
        fit = n && looked_again_locked(nodes, n->ino) ? MS_NODE_GO_ROUND : MS_NODE_LOOK_AGAIN;
    if (n)
        note_fit_locked(nodes, n->ino, fit != MS_NODE_LOOK_AGAIN);
    pthread_mutex_unlock(&nodes->mutex);
    return fit;
}

/* A retired one that shows it comes back: when the file is written here while another process has
 * sealed, what is written is what this mount shows. */
static struct node *back_locked(struct ms_nodes *nodes, uint64_t ino, uint64_t generation) {
    struct node *n = nodes->by_ino[bucket_of(nodes, ino)];
    while (n && (n->ino != ino || n->spoiled || !shows(n, generation)))
        n = n->next_ino;
    if (n)
        n->current = true;
    return n;
}

uint64_t ms_nodes_lookup(struct ms_nodes *nodes, const struct ms_node_key *key,
                         uint64_t parent_nodeid, const char *name) {
    uint64_t ino = key->ino, generation = key->generation;
    if (ino == nodes->root_ino)
        return ROOT_NODEID;
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = current_locked(nodes, ino);
    if (n && (key->live ? !shows(n, generation) : generation > n->generation)) {
        n->current = false; /* its names are told to the kernel when the change's row comes */
        n = key->live ? back_locked(nodes, ino, generation) : NULL;
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
    struct node *n = current_locked(nodes, ino);
    if (n)
        note_dentry_locked(n, parent_nodeid, name);
    pthread_mutex_unlock(&nodes->mutex);
}

static void drop_dentry(struct node *n, uint64_t parent, const char *name) {
    struct dentry **at = &n->dentries;
    while (*at && ((*at)->parent != parent || strcmp((*at)->name, name) != 0))
        at = &(*at)->next;
    struct dentry *d = *at;
    if (d) {
        *at = d->next;
        free(d);
    }
}

void ms_nodes_unnamed(struct ms_nodes *nodes, uint64_t ino, uint64_t parent_nodeid,
                      const char *name) {
    pthread_mutex_lock(&nodes->mutex);
    for (struct node *n = nodes->by_ino[bucket_of(nodes, ino)]; n; n = n->next_ino)
        if (n->ino == ino)
            drop_dentry(n, parent_nodeid, name);
    pthread_mutex_unlock(&nodes->mutex);
}

void ms_nodes_sealed(struct ms_nodes *nodes, uint64_t ino, uint64_t from, uint64_t to) {
    pthread_mutex_lock(&nodes->mutex);
    for (struct node *n = nodes->by_ino[bucket_of(nodes, ino)]; n; n = n->next_ino)
        if (n->ino == ino && n->generation == from) {
            n->was = from;
            n->generation = to;
        }
    pthread_mutex_unlock(&nodes->mutex);
}

bool ms_nodes_retire(struct ms_nodes *nodes, uint64_t ino, uint64_t generation) {
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = current_locked(nodes, ino);
    bool old = n && n->generation < generation;
    if (old)
        n->current = false;
    pthread_mutex_unlock(&nodes->mutex);
    return old;
}

void ms_nodes_spoil(struct ms_nodes *nodes, uint64_t ino, uint64_t generation) {
    pthread_mutex_lock(&nodes->mutex);
    for (struct node *n = nodes->by_ino[bucket_of(nodes, ino)]; n; n = n->next_ino)
        if (n->ino == ino && shows(n, generation)) {
            n->spoiled = true;
            n->current = false;
        }
    pthread_mutex_unlock(&nodes->mutex);
}

uint64_t ms_nodes_current(struct ms_nodes *nodes, uint64_t ino) {
    if (ino == nodes->root_ino)
        return ROOT_NODEID;
    pthread_mutex_lock(&nodes->mutex);
    struct node *n = current_locked(nodes, ino);
    uint64_t nodeid = n ? n->nodeid : 0;
    pthread_mutex_unlock(&nodes->mutex);
    return nodeid;
}

bool ms_nodes_are_old(struct ms_nodes *nodes, uint64_t ino, uint64_t generation) {
    bool old = false;
    pthread_mutex_lock(&nodes->mutex);
    for (struct node *n = nodes->by_ino[bucket_of(nodes, ino)]; n; n = n->next_ino)
        if (n->ino == ino)
            old = old || (n->current ? n->generation < generation : n->dentries != NULL);
    pthread_mutex_unlock(&nodes->mutex);
    return old;
}

static struct dentry *take_names_locked(struct ms_nodes *nodes, uint64_t ino, bool all) {
    struct dentry *names = NULL;
    for (struct node *n = nodes->by_ino[bucket_of(nodes, ino)]; n; n = n->next_ino) {
        if (n->ino != ino || (n->current && !all))
            continue;
        while (n->dentries) {
            struct dentry *d = n->dentries;
            n->dentries = d->next;
            d->next = names;
            names = d;
        }
    }
    return names;
}

bool ms_nodes_take_names(struct ms_nodes *nodes, uint64_t ino, bool all,
                         void (*each)(void *priv, uint64_t parent_nodeid, const char *name),
                         void *priv) {
    pthread_mutex_lock(&nodes->mutex);
    struct dentry *names = take_names_locked(nodes, ino, all);
    pthread_mutex_unlock(&nodes->mutex);
    bool some = names != NULL;
    while (names) {
        struct dentry *d = names;
        names = d->next;
        each(priv, d->parent, d->name);
        free(d);
    }
    return some;
}

static bool is_wanted(const struct node *n, uint64_t ino_or_0) {
    return ino_or_0 == 0 || n->ino == ino_or_0;
}

/* Counted, or stored as far as there is room. */
static size_t collect_locked(const struct ms_nodes *nodes, uint64_t ino_or_0,
                             struct ms_node_ref *refs, size_t cap) {
    size_t from = ino_or_0 ? bucket_of(nodes, ino_or_0) : 0;
    size_t to = ino_or_0 ? from + 1 : nodes->buckets, count = 0;
    for (size_t i = from; i < to; i++)
        for (struct node *n = nodes->by_ino[i]; n; n = n->next_ino) {
            if (!is_wanted(n, ino_or_0))
                continue;
            if (count < cap)
                refs[count] = (struct ms_node_ref){n->nodeid, n->ino, n->current};
            count++;
        }
    return count;
}

size_t ms_nodes_all(struct ms_nodes *nodes, uint64_t ino_or_0, struct ms_node_ref **ret_refs) {
    pthread_mutex_lock(&nodes->mutex);
    size_t n = collect_locked(nodes, ino_or_0, NULL, 0);
    struct ms_node_ref *refs = calloc(n + 1, sizeof *refs);
    if (refs)
        n = collect_locked(nodes, ino_or_0, refs, n);
    if (refs && (ino_or_0 == 0 || ino_or_0 == nodes->root_ino))
        refs[n++] = (struct ms_node_ref){ROOT_NODEID, nodes->root_ino, true};
    pthread_mutex_unlock(&nodes->mutex);
    *ret_refs = refs;
    return refs ? n : 0;
}

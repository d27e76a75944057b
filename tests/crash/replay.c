/* replay — make the disks that a power cut may leave from a recorded run, and have each one judged.
 *
 *   replay --log FILE --work DIR [--images N] [--seed S] [--expect clean|loss] -- CHECKER ARGS...
 *
 * A cut is a place in the log. What was synced before it is on the disk; of the rest a random part is: of each
 * 512-byte sector any state between its last synced one and its newest, of the sizes any, of the names (made, moved,
 * removed) the first so many, unless their folder was synced. The image is written below DIR and
 *   CHECKER ARGS... IMAGE ACKS
 * is run on it, where ACKS holds what the workload had written to its standard output by then. It answers
 *   0 all there, 1 something acknowledged is lost, 2 something is half or damaged, 3 it cannot be opened.
 * Ends with 0 when the images were as expected: all clean, or at least one not. Images that were not clean are kept
 * (the first three) when clean was expected. */
#include "crash_log.h"

#include "base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECTOR 512
#define PAGE_SECTORS 8
#define CHECK_SECONDS 120
#define KEEP_FAILED 3

extern char **environ;

struct op {
    enum crash_type type; /* WRITE, SIZE, GROW, ZERO */
    uint64_t off, len;
    const uint8_t *bytes;
    uint64_t at; /* place in the log */
    bool durable;
};

struct node {
    uint64_t ino;
    enum crash_type type; /* CREATE, MKDIR, SYMLINK */
    unsigned names;       /* in the newest state */
    bool named;           /* it ever had one */
    struct node *older;   /* in its bucket */
    uint8_t *bytes;       /* durable content; the target of a symbolic link */
    uint64_t size, cap;
    struct op *ops; /* not yet durable, or behind one that is not */
    size_t n, ops_cap;
};

struct entry {
    struct node *dir, *node;
    char *name;
};

struct entries {
    struct entry *e;
    size_t n, cap;
};

struct name_op {
    enum crash_type type; /* CREATE stands for all that add a name; RENAME, UNLINK */
    struct node *dir, *dir2, *node;
    const char *name, *name2; /* in the log, not ended by NUL */
    uint32_t name_len, name2_len;
    uint64_t at;
    bool durable;
};

#define BUCKETS 4096

struct disk {
    struct node *buckets[BUCKETS];
    struct node *root;
    struct entries folded, newest; /* names: durable without gaps; all */
    struct name_op *name_ops;
    size_t name_n, name_cap;
    const char **acks;
    uint32_t *ack_lens;
    size_t acks_n, acks_cap;
};

struct counts {
    uint64_t images, clean, lost, damaged, closed, crashed;
    uint64_t acks, torn, sectors_kept, sectors_dropped, names_dropped;
};

static struct options {
    const char *log, *work;
    unsigned images;
    uint64_t seed;
    bool expect_loss;
    char **checker;
} opt = {.images = 200};

static _Noreturn void die(const char *what, const char *why) {
    fprintf(stderr, "replay: %s: %s\n", what, why);
    exit(99);
}

static void *grow(void *p, size_t n, size_t *cap, size_t each) {
    if (n < *cap)
        return p;
    *cap = *cap ? *cap * 2 : 16;
    p = reallocarray(p, *cap, each);
    if (!p)
        die("memory", "none left");
    return p;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static struct entry *find(struct entries *list, const struct node *dir, const char *name, uint32_t len) {
    for (size_t i = 0; i < list->n; i++)
        if (list->e[i].dir == dir && strlen(list->e[i].name) == len && memcmp(list->e[i].name, name, len) == 0)
            return &list->e[i];
    return NULL;
}

static void entry_remove(struct entries *list, struct entry *e) {
    free(e->name);
    *e = list->e[--list->n];
}

static void entry_set(struct entries *list, struct node *dir, const char *name, uint32_t len, struct node *node) {
    struct entry *e = find(list, dir, name, len);

    if (!e) {
        list->e = grow(list->e, list->n, &list->cap, sizeof *list->e);
        e = &list->e[list->n++];
        *e = (struct entry){dir, NULL, strndup(name, len)};
    }
    e->node = node;
}

static void entries_free(struct entries *list) {
    for (size_t i = 0; i < list->n; i++)
        free(list->e[i].name);
    free(list->e);
    *list = (struct entries){0};
}

static void entries_copy(struct entries *to, const struct entries *from) {
    for (size_t i = 0; i < from->n; i++) {
        to->e = grow(to->e, to->n, &to->cap, sizeof *to->e);
        to->e[to->n++] = (struct entry){from->e[i].dir, from->e[i].node, strdup(from->e[i].name)};
    }
}

/* What was not applied before may be missing: then a removal removes nothing, and a move still makes its new name. */
static void apply_name_op(struct entries *list, const struct name_op *o) {
    struct entry *e;

    switch ((int)o->type) {
    case CRASH_CREATE:
        entry_set(list, o->dir, o->name, o->name_len, o->node);
        return;
    case CRASH_UNLINK:
        e = find(list, o->dir, o->name, o->name_len);
        if (e)
            entry_remove(list, e);
        return;
    case CRASH_RENAME:
        e = find(list, o->dir, o->name, o->name_len);
        if (e)
            entry_remove(list, e);
        entry_set(list, o->dir2, o->name2, o->name2_len, o->node);
        return;
    default:
        die("name", "of an unknown kind");
    }
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static struct node *node_new(struct disk *d, uint64_t ino, enum crash_type type) {
    struct node *n = calloc(1, sizeof *n);

    if (!n)
        die("memory", "none left");
    n->ino = ino;
    n->type = type;
    n->older = d->buckets[ino % BUCKETS];
    d->buckets[ino % BUCKETS] = n;
    return n;
}

/* The newest one of that number: numbers of removed files come again. */
static struct node *node_of(struct disk *d, uint64_t ino) {
    struct node *n = d->buckets[ino % BUCKETS];

    while (n && n->ino != ino)
        n = n->older;
    return n;
}

static void content_resize(uint8_t **bytes, uint64_t *size, uint64_t *cap, uint64_t want) {
    if (want > *cap) {
        *cap = want + want / 2 + 4096;
        *bytes = realloc(*bytes, *cap);
        if (!*bytes)
            die("memory", "none left");
    }
    if (want > *size)
        memset(*bytes + *size, 0, want - *size);
    *size = want;
}

static uint64_t size_after(const struct op *o, uint64_t size) {
    if (o->type == CRASH_SIZE)
        return o->off;
    if (o->type == CRASH_GROW)
        return o->off > size ? o->off : size;
    return o->type == CRASH_WRITE && o->off + o->len > size ? o->off + o->len : size;
}

static void fold_op(struct node *n, const struct op *o) {
    content_resize(&n->bytes, &n->size, &n->cap, size_after(o, n->size));
    if (o->type == CRASH_WRITE)
        memcpy(n->bytes + o->off, o->bytes, o->len);
    else if (o->type == CRASH_ZERO && o->off < n->size)
        memset(n->bytes + o->off, 0, o->off + o->len < n->size ? o->len : n->size - o->off);
}

static void fold(struct node *n) {
    size_t k = 0;

    while (k < n->n && n->ops[k].durable)
        fold_op(n, &n->ops[k++]);
    if (k == 0)
        return;
    memmove(n->ops, n->ops + k, (n->n - k) * sizeof *n->ops);
    n->n -= k;
}

static void fold_names(struct disk *d) {
    size_t k = 0;

    while (k < d->name_n && d->name_ops[k].durable)
        apply_name_op(&d->folded, &d->name_ops[k++]);
    if (k == 0)
        return;
    memmove(d->name_ops, d->name_ops + k, (d->name_n - k) * sizeof *d->name_ops);
    d->name_n -= k;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void add_name_op(struct disk *d, struct name_op o) {
    struct entry *old;

    d->name_ops = grow(d->name_ops, d->name_n, &d->name_cap, sizeof o);
    d->name_ops[d->name_n++] = o;
    old = o.type == CRASH_RENAME ? find(&d->newest, o.dir2, o.name2, o.name2_len)
                                 : find(&d->newest, o.dir, o.name, o.name_len);
    if (old)
        old->node->names--;
    if (o.node)
        o.node->named = true;
    if (o.type == CRASH_CREATE)
        o.node->names++;
    if (o.type == CRASH_RENAME && !find(&d->newest, o.dir, o.name, o.name_len))
        o.node->names++;
    apply_name_op(&d->newest, &o);
}

static void add_op(struct disk *d, uint64_t ino, struct op o) {
    struct node *n = node_of(d, ino);

    if (!n)
        n = node_new(d, ino, CRASH_CREATE); /* made without a name */
    n->ops = grow(n->ops, n->n, &n->ops_cap, sizeof o);
    n->ops[n->n++] = o;
}

/* A write through O_DSYNC has returned: it is durable, and what was written before it elsewhere is not. */
static void settle(struct disk *d, const struct crash_event *e, uint64_t at) {
    struct node *n = node_of(d, e->ino);

    for (size_t i = 0; n && i < n->n; i++)
        n->ops[i].durable |= n->ops[i].at == at;
    if (n)
        fold(n);
}

static void sync_node(struct node *n, uint64_t before) {
    for (size_t i = 0; i < n->n; i++)
        n->ops[i].durable |= n->ops[i].at < before;
    fold(n);
}

/* A folder's sync covers its names; a file's sync does not cover the file's name. */
static void sync_names(struct disk *d, const struct node *dir, uint64_t before) {
    for (size_t i = 0; i < d->name_n; i++) {
        struct name_op *o = &d->name_ops[i];

        if (o->at < before && (!dir || o->dir == dir || o->dir2 == dir))
            o->durable = true;
    }
    fold_names(d);
}

static void sync_one(struct disk *d, uint64_t ino, uint64_t before) {
    struct node *n = node_of(d, ino);

    if (!n)
        return;
    if (n->type == CRASH_MKDIR)
        sync_names(d, n, before);
    else
        sync_node(n, before);
}

static void sync_all(struct disk *d, uint64_t before) {
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct node *n = d->buckets[i]; n; n = n->older)
            sync_node(n, before);
    sync_names(d, NULL, before);
}

static void add_created(struct disk *d, const struct crash_event *e, const char *name, const uint8_t *bytes,
                        uint64_t at) {
    struct node *n = node_of(d, e->ino);

    if (!n || n->names > 0) {
        if (n && n->type == CRASH_CREATE && e->type == CRASH_CREATE)
            return; /* two processes made it at the same moment */
        n = node_new(d, e->ino, e->type);
    } else if (n->named) {
        n = node_new(d, e->ino, e->type); /* the number of a removed file again */
    }
    n->type = e->type;
    if (e->type == CRASH_SYMLINK) {
        content_resize(&n->bytes, &n->size, &n->cap, e->len + 1);
        memcpy(n->bytes, bytes, e->len);
    }
    add_name_op(d, (struct name_op){.type = CRASH_CREATE, .dir = node_of(d, e->dir), .node = n, .name = name,
                                    .name_len = e->name_len, .at = at});
}

static void add_ack(struct disk *d, const char *text, uint32_t len) {
    size_t cap = d->acks_cap;

    d->acks = grow(d->acks, d->acks_n, &cap, sizeof *d->acks);
    d->ack_lens = grow(d->ack_lens, d->acks_n, &d->acks_cap, sizeof *d->ack_lens);
    d->acks[d->acks_n] = text;
    d->ack_lens[d->acks_n++] = len;
}

static void play(struct disk *d, const struct crash_event *e, uint64_t at) {
    const char *name = (const char *)(e + 1), *name2 = name + e->name_len;
    const uint8_t *bytes = (const uint8_t *)name2 + e->name2_len;
    struct op o = {(enum crash_type)e->type, e->off, e->type == CRASH_ZERO ? e->dir2 : e->len, bytes, at, false};
    struct name_op no = {.type = (enum crash_type)e->type, .dir = node_of(d, e->dir), .dir2 = node_of(d, e->dir2),
                         .node = node_of(d, e->ino), .name = name, .name2 = name2, .name_len = e->name_len,
                         .name2_len = e->name2_len, .at = at};

    switch (e->type) {
    case CRASH_START:
        if (!d->root)
            d->root = node_new(d, e->ino, CRASH_MKDIR);
        return;
    case CRASH_CREATE:
    case CRASH_MKDIR:
    case CRASH_SYMLINK:
        add_created(d, e, name, bytes, at);
        return;
    case CRASH_LINK:
        no.type = CRASH_CREATE;
        no.node = no.node ? no.node : node_new(d, e->ino, CRASH_CREATE);
        add_name_op(d, no);
        return;
    case CRASH_RENAME:
        no.node = no.node ? no.node : node_new(d, e->ino, CRASH_CREATE);
        add_name_op(d, no);
        return;
    case CRASH_UNLINK:
        no.dir2 = NULL;
        no.node = NULL;
        add_name_op(d, no);
        return;
    case CRASH_WRITE:
    case CRASH_SIZE:
    case CRASH_GROW:
    case CRASH_ZERO:
        add_op(d, e->ino, o);
        return;
    case CRASH_SYNC:
        sync_one(d, e->ino, e->off);
        return;
    case CRASH_SYNC_ALL:
        sync_all(d, e->off);
        return;
    case CRASH_ACK:
        add_ack(d, (const char *)bytes, e->len);
        return;
    default:
        die("event", "of an unknown kind");
    }
}

/* ---- one image --------------------------------------------------------------------------------------------------- */

/* How the disk chose: whole extremes, sectors or pages each for themselves, or all but one of one kind. */
enum mode { NOTHING, EVERYTHING, SECTORS, VERSIONS, PAGES, ONE_MISSING, ONE_ONLY, MODES };

struct image {
    struct ms_random *random;
    enum mode mode;
    struct counts *counts;
    uint64_t one; /* with ONE_*: the sector, of all touched ones */
};

/* The index behind the last of the ops that reaches sector s, to be applied; lowest..n. */
static size_t choose(struct image *im, uint64_t s, size_t lowest, size_t n, uint64_t page_choice) {
    switch (im->mode) {
    case NOTHING:
        return lowest;
    case EVERYTHING:
        return n;
    case SECTORS:
        return ms_random_below(im->random, 2) ? n : lowest;
    case PAGES:
        return page_choice & 1 ? n : lowest;
    case ONE_MISSING:
        return s == im->one ? lowest : n;
    case ONE_ONLY:
        return s == im->one ? n : lowest;
    case VERSIONS:
    case MODES:
    default:
        return lowest + ms_random_below(im->random, n - lowest + 1);
    }
}

static bool touches(const struct op *o, uint64_t s) {
    uint64_t from = s * SECTOR, to = from + SECTOR;

    if (o->type == CRASH_GROW)
        return false; /* no byte of it changes */
    if (o->type == CRASH_SIZE)
        return o->off < to; /* what lies behind it is zero from then on */
    return o->off < to && o->off + o->len > from;
}

static void apply_to_sector(uint8_t *bytes, uint64_t size, uint64_t s, const struct op *o) {
    uint64_t from = s * SECTOR, to = from + SECTOR < size ? from + SECTOR : size;
    uint64_t begin = o->off > from ? o->off : from, end = o->type == CRASH_SIZE ? to : o->off + o->len;

    if (end > to)
        end = to;
    if (begin >= end)
        return;
    if (o->type == CRASH_WRITE)
        memcpy(bytes + begin, o->bytes + (begin - o->off), end - begin);
    else
        memset(bytes + begin, 0, end - begin);
}

/* The size is one of those that the file had since it was last durable. */
static uint64_t choose_size(struct image *im, const struct node *n) {
    uint64_t size = n->size, chosen = n->size;
    size_t lowest = 0, upto;

    for (size_t i = 0; i < n->n; i++)
        if (n->ops[i].durable)
            lowest = i + 1;
    upto = im->mode == NOTHING ? lowest
           : im->mode == EVERYTHING || im->mode == ONE_MISSING
               ? n->n
               : lowest + ms_random_below(im->random, n->n - lowest + 1);
    for (size_t i = 0; i < upto; i++) {
        size = size_after(&n->ops[i], size);
        chosen = size;
    }
    return chosen;
}

static void mark_sectors(const struct node *n, uint8_t *marks, uint64_t sectors) {
    for (size_t i = 0; i < n->n; i++) {
        const struct op *o = &n->ops[i];
        uint64_t from = o->off / SECTOR, to = o->type == CRASH_SIZE ? sectors : (o->off + o->len + SECTOR - 1) / SECTOR;

        if (o->type == CRASH_GROW)
            continue;
        for (uint64_t s = from; s < to && s < sectors; s++)
            marks[s] = 1;
    }
}

static void make_sector(struct image *im, const struct node *n, uint8_t *bytes, uint64_t size, uint64_t s,
                        uint64_t page_choice) {
    size_t lowest = 0, upto;
    bool kept = false, dropped = false;

    for (size_t i = 0; i < n->n; i++)
        if (n->ops[i].durable && touches(&n->ops[i], s))
            lowest = i + 1;
    upto = choose(im, s, lowest, n->n, page_choice);
    for (size_t i = 0; i < n->n; i++) {
        if (!touches(&n->ops[i], s))
            continue;
        if (i < upto)
            apply_to_sector(bytes, size, s, &n->ops[i]);
        kept |= i < upto && i >= lowest;
        dropped |= i >= upto;
    }
    im->counts->sectors_kept += kept && !dropped;
    im->counts->sectors_dropped += dropped;
}

/* The content of a file as the cut leaves it; the caller's to free. */
static uint8_t *make_content(struct image *im, const struct node *n, uint64_t *ret_size) {
    uint64_t size = choose_size(im, n), cap = 0, have = 0, sectors, marked = 0, page = UINT64_MAX, choice = 0;
    uint64_t kept = im->counts->sectors_kept, dropped = im->counts->sectors_dropped;
    uint8_t *bytes = NULL, *marks;

    content_resize(&bytes, &have, &cap, size);
    if (n->size)
        memcpy(bytes, n->bytes, n->size < size ? n->size : size);
    sectors = (size + SECTOR - 1) / SECTOR;
    marks = calloc(1, sectors + 1);
    if (!marks)
        die("memory", "none left");
    mark_sectors(n, marks, sectors);
    for (uint64_t s = 0; s < sectors; s++)
        marked += marks[s];
    im->one = marked ? ms_random_below(im->random, marked) : 0;
    for (uint64_t s = 0, k = 0; s < sectors; s++) /* from the how-manieth to the number of the sector */
        if (marks[s] && k++ == im->one) {
            im->one = s;
            break;
        }
    for (uint64_t s = 0; s < sectors; s++) {
        if (!marks[s])
            continue;
        if (s / PAGE_SECTORS != page) {
            page = s / PAGE_SECTORS;
            choice = ms_random_u64(im->random);
        }
        make_sector(im, n, bytes, size, s, choice);
    }
    im->counts->torn += im->counts->sectors_kept > kept && im->counts->sectors_dropped > dropped;
    free(marks);
    *ret_size = size;
    return bytes;
}

static void write_file(int dir_fd, const char *name, const void *bytes, uint64_t size) {
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint64_t at = 0;

    while (fd >= 0 && at < size) {
        ssize_t n = write(fd, (const uint8_t *)bytes + at, size - at);

        if (n <= 0)
            die(name, strerror(errno));
        at += (uint64_t)n;
    }
    if (fd < 0 || close(fd) != 0)
        die(name, strerror(errno));
}

/* depth: a folder moved below itself by names that were not all kept must not send us round. */
static void write_tree(struct image *im, const struct entries *list, const struct node *dir, int dir_fd, int depth) {
    for (size_t i = 0; i < list->n && depth < 64; i++) {
        const struct entry *e = &list->e[i];
        uint64_t size;
        uint8_t *bytes;
        int fd;

        if (e->dir != dir)
            continue;
        if (e->node->type == CRASH_MKDIR) {
            if (mkdirat(dir_fd, e->name, 0700) != 0 || (fd = openat(dir_fd, e->name, O_RDONLY | O_DIRECTORY)) < 0)
                die(e->name, strerror(errno));
            write_tree(im, list, e->node, fd, depth + 1);
            close(fd);
        } else if (e->node->type == CRASH_SYMLINK) {
            if (symlinkat((const char *)e->node->bytes, dir_fd, e->name) != 0)
                die(e->name, strerror(errno));
        } else {
            bytes = make_content(im, e->node, &size);
            write_file(dir_fd, e->name, bytes, size);
            free(bytes);
        }
    }
}

static void make_names(struct image *im, const struct disk *d, struct entries *list) {
    size_t loose = 0, keep, seen = 0;

    for (size_t i = 0; i < d->name_n; i++)
        loose += !d->name_ops[i].durable;
    keep = im->mode == NOTHING ? 0 : im->mode == EVERYTHING ? loose : ms_random_below(im->random, loose + 1);
    entries_copy(list, &d->folded);
    for (size_t i = 0; i < d->name_n; i++)
        if (d->name_ops[i].durable || seen++ < keep)
            apply_name_op(list, &d->name_ops[i]);
    im->counts->names_dropped += loose - keep;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path) {
    if (access(path, F_OK) == 0 && nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        die(path, "cannot be removed");
}

static void write_acks(const struct disk *d, const char *path) {
    FILE *f = fopen(path, "w");

    if (!f)
        die(path, strerror(errno));
    for (size_t i = 0; i < d->acks_n; i++)
        fwrite(d->acks[i], 1, d->ack_lens[i], f);
    if (fclose(f) != 0)
        die(path, strerror(errno));
}

/* ---- judging ----------------------------------------------------------------------------------------------------- */

static int run_checker(const char *image, const char *acks) {
    char *argv[64];
    int n = 0, status = 0, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    posix_spawn_file_actions_t actions;
    pid_t pid;

    for (; opt.checker[n] && n < 60; n++)
        argv[n] = opt.checker[n];
    argv[n++] = (char *)(uintptr_t)image;
    argv[n++] = (char *)(uintptr_t)acks;
    argv[n] = NULL;
    posix_spawn_file_actions_init(&actions);
    if (opt.expect_loss) /* its complaints are what is wanted, but not to be read */
        posix_spawn_file_actions_adddup2(&actions, null, STDERR_FILENO);
    if (posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) != 0)
        die(argv[0], "cannot be started");
    posix_spawn_file_actions_destroy(&actions);
    close(null);
    for (unsigned i = 0; waitpid(pid, &status, WNOHANG) == 0; i++) {
        struct timespec nap = {0, i < 100 ? 200000 : 5000000};

        if (i > CHECK_SECONDS * 200)
            kill(pid, SIGKILL);
        nanosleep(&nap, NULL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const char *count_result(struct counts *c, int result) {
    uint64_t *which = result == 0 ? &c->clean : result == 1 ? &c->lost : result == 2 ? &c->damaged
                    : result == 3 ? &c->closed : &c->crashed;

    ++*which;
    return result == 0 ? "clean" : result == 1 ? "lost" : result == 2 ? "damaged"
         : result == 3 ? "unreadable" : "crashed";
}

static void judge(const struct disk *d, struct ms_random *random, uint64_t cut, struct counts *c) {
    static const char *const modes[] = {"nothing", "everything", "sectors", "versions", "pages", "one missing",
                                        "one only"};
    struct image im = {random, (enum mode)ms_random_below(random, MODES), c, 0};
    char image[4096], acks[4096], kept[4200];
    struct entries list = {0};
    int fd, result;

    snprintf(image, sizeof image, "%s/image", opt.work);
    snprintf(acks, sizeof acks, "%s/acks", opt.work);
    remove_tree(image);
    if (mkdir(image, 0700) != 0 || (fd = open(image, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        die(image, strerror(errno));
    make_names(&im, d, &list);
    write_tree(&im, &list, d->root, fd, 0);
    close(fd);
    entries_free(&list);
    write_acks(d, acks);
    c->images++;
    c->acks += d->acks_n;
    result = run_checker(image, acks);
    if (result != 0 && !opt.expect_loss) {
        printf("image %" PRIu64 ", cut at %" PRIu64 ", kept %s: %s (%d)\n", c->images, cut, modes[im.mode],
               count_result(&(struct counts){0}, result), result);
        if (c->images - c->clean <= KEEP_FAILED) {
            snprintf(kept, sizeof kept, "%s.bad%" PRIu64, image, c->images);
            remove_tree(kept);
            if (rename(image, kept) == 0)
                printf("  kept in %s\n", kept);
        }
    }
    count_result(c, result);
}

/* ---- cuts -------------------------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return (x > y) - (x < y);
}

/* A step of the replay: an event, or the second half of one: an O_DSYNC write is under way first, then durable. */
struct step {
    const struct crash_event *e;
    uint64_t at; /* in the file, which is what syncs refer to */
    bool settles;
};

/* Half of them anywhere, half right before or behind what makes or needs durability: syncs, acks, names. */
static size_t *choose_cuts(const struct step *steps, size_t n, struct ms_random *random) {
    size_t *cuts = calloc(opt.images, sizeof *cuts), *sharp = calloc(n, sizeof *sharp), sharp_n = 0;

    if (!cuts || !sharp)
        die("memory", "none left");
    for (size_t i = 0; i < n; i++)
        if (steps[i].settles || (steps[i].e->type != CRASH_WRITE && steps[i].e->type != CRASH_START))
            sharp[sharp_n++] = i;
    for (unsigned i = 0; i < opt.images; i++) {
        cuts[i] = ms_random_below(random, n + 1);
        if (sharp_n && i % 2)
            cuts[i] = sharp[ms_random_below(random, sharp_n)] + ms_random_below(random, 2);
    }
    free(sharp);
    qsort(cuts, opt.images, sizeof *cuts, by_size);
    return cuts;
}

static size_t event_bytes(const struct crash_event *e) {
    return sizeof *e + e->name_len + e->name2_len + (size_t)e->len;
}

/* The events are copied to where their heads are aligned. */
static size_t index_log(const uint8_t *raw, size_t size, uint8_t *aligned, struct step **ret_steps) {
    struct step *steps = NULL;
    size_t n = 0, cap = 0, pos = 0, to = 0;

    while (pos < size) {
        struct crash_event e;
        size_t len;

        if (size - pos < sizeof e)
            die(opt.log, "ends within an event");
        memcpy(&e, raw + pos, sizeof e);
        len = event_bytes(&e);
        if (e.magic != CRASH_MAGIC || len > size - pos)
            die(opt.log, "is damaged");
        memcpy(aligned + to, raw + pos, len);
        for (int half = 0; half < (e.flags & CRASH_DSYNC ? 2 : 1); half++) {
            steps = grow(steps, n, &cap, sizeof *steps);
            steps[n++] = (struct step){(const struct crash_event *)(void *)(aligned + to), pos, half == 1};
        }
        pos += len;
        to += (len + 7) & ~(size_t)7;
    }
    *ret_steps = steps;
    return n;
}

static void disk_fini(struct disk *d) {
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct node *n = d->buckets[i], *older; n; n = older) {
            older = n->older;
            free(n->bytes);
            free(n->ops);
            free(n);
        }
    entries_free(&d->folded);
    entries_free(&d->newest);
    free(d->name_ops);
    free(d->acks);
    free(d->ack_lens);
}

static const uint8_t *map_log(size_t *ret_size) {
    int fd = open(opt.log, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *p;

    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
        die(opt.log, "cannot be read, or is empty");
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        die(opt.log, strerror(errno));
    *ret_size = (size_t)st.st_size;
    return p;
}

static void run(struct counts *c) {
    size_t size, n;
    const uint8_t *raw = map_log(&size);
    uint8_t *log = malloc(size * 2 + 4096);
    struct ms_random_seeded random;
    struct disk d = {.root = NULL};
    struct step *steps = NULL;
    size_t *cuts, next = 0;

    if (!log)
        die("memory", "none left");
    n = index_log(raw, size, log, &steps);
    ms_random_seeded_init(&random, opt.seed);
    cuts = choose_cuts(steps, n, &random.random);
    for (size_t i = 0; i <= n; i++) {
        while (next < opt.images && cuts[next] == i) {
            if (d.root)
                judge(&d, &random.random, i, c);
            next++;
        }
        if (i < n && steps[i].settles)
            settle(&d, steps[i].e, steps[i].at);
        else if (i < n)
            play(&d, steps[i].e, steps[i].at);
    }
    ms_random_seeded_fini(&random);
    disk_fini(&d);
    free(cuts);
    free(steps);
    free(log);
}

static void parse(int argc, char **argv) {
    int i = 1;

    for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
        const char *value = argv[i + 1];

        if (strcmp(argv[i], "--log") == 0)
            opt.log = value;
        else if (strcmp(argv[i], "--work") == 0)
            opt.work = value;
        else if (strcmp(argv[i], "--images") == 0)
            opt.images = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            opt.seed = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "--expect") == 0)
            opt.expect_loss = strcmp(value, "loss") == 0;
        else
            die(argv[i], "is no option");
    }
    if (i >= argc - 1 || !opt.log || !opt.work || opt.images == 0)
        die("usage", "replay --log FILE --work DIR [--images N] [--seed S] [--expect clean|loss] -- CHECKER ARGS...");
    opt.checker = argv + i + 1;
}

int main(int argc, char **argv) {
    struct counts c = {0};
    uint64_t bad;

    opt.seed = ms_random_u64(ms_random_system());
    parse(argc, argv);
    printf("replay: seed %" PRIu64 "\n", opt.seed);
    fflush(stdout);
    run(&c);
    bad = c.lost + c.damaged + c.closed + c.crashed;
    printf("replay: %" PRIu64 " images: %" PRIu64 " clean, %" PRIu64 " lost, %" PRIu64 " damaged, %" PRIu64
           " unreadable, %" PRIu64 " crashed the checker\n", c.images, c.clean, c.lost, c.damaged, c.closed, c.crashed);
    printf("replay: %.1f acks per image; unsynced sectors: %" PRIu64 " kept, %" PRIu64 " dropped, %" PRIu64
           " files torn; %" PRIu64 " names dropped\n", c.images ? (double)c.acks / (double)c.images : 0, c.sectors_kept,
           c.sectors_dropped, c.torn, c.names_dropped);
    if (c.images == 0 || c.acks == 0 || c.sectors_dropped + c.names_dropped == 0) {
        printf("replay: nothing was acknowledged or nothing was cut off: this proves nothing\n");
        return 2;
    }
    return opt.expect_loss ? (bad > 0 ? 0 : 1) : (bad == 0 ? 0 : 1);
}

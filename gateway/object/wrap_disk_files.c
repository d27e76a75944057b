#include "object/wrap_disk_files.h"

#include "base/assert.h"
#include "base/clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "object/wrap_disk_folder.h"

#define MS_PER_DAY INT64_C(86400000)
#define SET_BYTES (MS_DISK_WAYS * (uint64_t)MS_DISK_BLOCK)
/* Index page, and the file system's own blocks (ext4: 16 bytes an extent): far less than 1/256. */
#define SET_COST (SET_BYTES + sizeof(struct ms_disk_page) + SET_BYTES / 256)
#define FIXED_COST (64 * MS_KB) /* marker, folder, roots of the trees */
#define RESERVE_MAX (4 * MS_GB)
#define GIVE_BACK (16 * MS_MB) /* beyond the reserve, so that not every block asks for it */

struct ms_disk_files {
    struct ms_disk_folder folder;
    uint32_t sets;
    uint64_t salt, bytes_max, reserve_bytes;
    int (*fault)(void *priv, enum ms_disk_io io);
    void *priv;
    struct ms_disk_memory *memory; /* by set; its queue's part belongs to whoever has the mutex */
    uint32_t hand, age_hand;       /* sets: where _shrink and _age go on */
    int refs;                      /* atomic */
    pthread_mutex_t mutex;         /* changes of the index */
};

static uint64_t now_ms(void) { return (uint64_t)ms_clock_now(ms_clock_system()).ms; }
static uint16_t today(void) { return (uint16_t)(now_ms() / MS_PER_DAY); }

static uint64_t salt_of(struct ms_id store_id) {
    return XXH3_64bits(store_id.b, MS_ID_BYTES);
}

static int fault(struct ms_disk_files *f, enum ms_disk_io io) {
    return f->fault ? f->fault(f->priv, io) : 0;
}

/* ---- bytes of a file ------------------------------------------------------------------------- */

/* What is behind the end reads as zero. */
static int read_at(int fd, void *into, size_t n, uint64_t at) {
    size_t got = 0;

    while (got < n) {
        ssize_t r = pread(fd, (char *)into + got, n - got, (off_t)(at + got));

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return errno;
        if (r == 0) {
            memset((char *)into + got, 0, n - got);
            return 0;
        }
        got += (size_t)r;
    }
    return 0;
}

static int write_at(int fd, const void *bytes, size_t n, uint64_t at) {
    size_t put = 0;

    while (put < n) {
        ssize_t r = pwrite(fd, (const char *)bytes + put, n - put, (off_t)(at + put));

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? errno : EIO;
        put += (size_t)r;
    }
    return 0;
}

/* Not cleaned: a search looks at the one entry that it finds. */
static enum ms_code read_page(struct ms_disk_files *f, uint32_t set, struct ms_disk_page *page,
                              struct ms_error *reterr) {
    int err = fault(f, MS_DISK_INDEX_READ);

    if (err == 0)
        err = read_at(f->folder.index_fd, page, sizeof *page, (uint64_t)set * sizeof *page);
    return err == 0 ? MS_OK : ms_fail_errno(reterr, err, "cannot read %s/index", f->folder.path);
}

static enum ms_code write_page(struct ms_disk_files *f, uint32_t set,
                               const struct ms_disk_page *page, struct ms_error *reterr) {
    int err = fault(f, MS_DISK_INDEX_WRITE);

    if (err == 0)
        err = write_at(f->folder.index_fd, page, sizeof *page, (uint64_t)set * sizeof *page);
    return err == 0 ? MS_OK : ms_fail_errno(reterr, err, "cannot write %s/index", f->folder.path);
}

static uint64_t offset_of(uint32_t set, int way) {
    return ((uint64_t)set * MS_DISK_WAYS + (uint64_t)way) * MS_DISK_BLOCK;
}

/* Give a place's room back to the file system. One that cannot do it keeps it until the place is used again. */
static void punch(struct ms_disk_files *f, uint32_t set, int way) {
    (void)!fallocate(f->folder.blocks_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     (off_t)offset_of(set, way), (off_t)MS_DISK_BLOCK);
}

/* ---- life ------------------------------------------------------------------------------------ */

static uint64_t reserve_of(const struct ms_disk_options *o, const struct ms_disk_folder *folder) {
    struct statvfs fs;

    if (o->reserve_bytes)
        return o->reserve_bytes;
    if (fstatvfs(folder->blocks_fd, &fs) != 0)
        return RESERVE_MAX;
    uint64_t part = (uint64_t)fs.f_blocks * fs.f_frsize / 20;
    return part < RESERVE_MAX ? part : RESERVE_MAX;
}

static enum ms_code open_parts(const struct ms_disk_options *o, struct ms_disk_files *f,
                               struct ms_error *reterr) {
    int err = fault(f, MS_DISK_OPEN);

    if (err != 0)
        return ms_fail_errno(reterr, err, "cannot open the disk cache %s", o->dir);
    if (o->bytes_max < FIXED_COST + SET_COST)
        return ms_fail(reterr, MS_RANGE,
                       "a disk cache has at least %" PRIu64 " bytes, not %" PRIu64,
                       FIXED_COST + SET_COST, o->bytes_max);
    uint64_t sets = (o->bytes_max - FIXED_COST) / SET_COST;
    f->sets = sets < UINT32_MAX / MS_DISK_WAYS ? (uint32_t)sets : UINT32_MAX / MS_DISK_WAYS;
    f->memory = calloc(f->sets, sizeof *f->memory);
    if (!f->memory)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a disk cache of %" PRIu64 " bytes",
                       o->bytes_max);
    MS_TRY(ms_disk_folder_open(o->dir, o->store_id, &f->folder, reterr));
    f->reserve_bytes = reserve_of(o, &f->folder);
    return ms_disk_folder_resize(&f->folder, f->sets * sizeof(struct ms_disk_page),
                                 f->sets * SET_BYTES, reterr);
}

enum ms_code ms_disk_files_open(const struct ms_disk_options *options,
                                struct ms_disk_files **ret_files, struct ms_error *reterr) {
    struct ms_disk_files *f = calloc(1, sizeof *f);
    enum ms_code code;

    if (!f)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a disk cache");
    f->folder = (struct ms_disk_folder)MS_DISK_FOLDER_NONE;
    f->fault = options->fault;
    f->priv = options->priv;
    f->bytes_max = options->bytes_max;
    f->salt = salt_of(options->store_id);
    f->refs = 1;
    pthread_mutex_init(&f->mutex, NULL);
    code = open_parts(options, f, reterr);
    if (code != MS_OK) {
        ms_disk_files_unref(f);
        return code;
    }
    *ret_files = f;
    return MS_OK;
}

void ms_disk_files_ref(struct ms_disk_files *files) {
    __atomic_add_fetch(&files->refs, 1, __ATOMIC_RELAXED);
}

void ms_disk_files_unref(struct ms_disk_files *files) {
    if (!files || __atomic_sub_fetch(&files->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    ms_disk_folder_close(&files->folder);
    pthread_mutex_destroy(&files->mutex);
    free(files->memory);
    free(files);
}

void ms_disk_key_hash(struct ms_id store_id, const char *key, uint64_t ret_hash[2]) {
    XXH128_hash_t hash = XXH3_128bits_withSeed(key, strlen(key), salt_of(store_id));

    ret_hash[0] = hash.high64;
    ret_hash[1] = hash.low64;
}

/* ---- look up and read ------------------------------------------------------------------------ */

/* Also says which block it is: right bytes in the wrong place differ. */
static uint64_t sum_of(const struct ms_disk_id *id, const void *bytes, size_t n) {
    return XXH3_64bits_withSeed(bytes, n, id->key[0] + id->block * UINT64_C(0x9e3779b97f4a7c15));
}

/* A day is noted when it is another one: one write a block and day. */
static void touch(struct ms_disk_files *f, const struct ms_disk_found *found) {
    struct ms_disk_page page;

    pthread_mutex_lock(&f->mutex);
    if (read_page(f, found->set, &page, NULL) == MS_OK &&
        ms_disk_find(&page, found->set, f->salt, &found->entry.id) == found->way) {
        page.way[found->way].day = today();
        ms_disk_seal(&page.way[found->way], found->set, found->way, f->salt);
        (void)!write_page(f, found->set, &page, NULL);
    }
    pthread_mutex_unlock(&f->mutex);
}

enum ms_code ms_disk_files_find(struct ms_disk_files *files, const struct ms_disk_id *id,
                                struct ms_disk_found *ret_found, struct ms_error *reterr) {
    struct ms_disk_page page;
    struct ms_disk_found found = {.set = ms_disk_set_of(id, files->sets)};

    MS_TRY(read_page(files, found.set, &page, reterr));
    found.way = ms_disk_find(&page, found.set, files->salt, id);
    if (found.way < 0)
        return MS_NOT_FOUND;
    found.entry = page.way[found.way];
    *ret_found = found;
    return MS_OK;
}

/* Free the way. Errors: MS_NOT_FOUND it no longer holds that entry; what the system says. */
static enum ms_code drop_same_locked(struct ms_disk_files *f, const struct ms_disk_found *found,
                                     bool bad, struct ms_error *reterr) {
    struct ms_disk_page page;

    MS_TRY(read_page(f, found->set, &page, reterr));
    if (ms_disk_find(&page, found->set, f->salt, &found->entry.id) != found->way ||
        page.way[found->way].sum != found->entry.sum)
        return MS_NOT_FOUND;
    if (bad)
        ms_disk_set_bad(&f->memory[found->set], found->way);
    ms_disk_free_way(&page, found->way);
    return write_page(f, found->set, &page, reterr);
}

static enum ms_code drop_same(struct ms_disk_files *f, const struct ms_disk_found *found, bool bad,
                              struct ms_error *reterr) {
    enum ms_code code;

    pthread_mutex_lock(&f->mutex);
    code = drop_same_locked(f, found, bad, reterr);
    pthread_mutex_unlock(&f->mutex);
    return code;
}

static enum ms_code read_whole(struct ms_disk_files *f, const struct ms_disk_found *found,
                               void *into, struct ms_error *reterr) {
    const struct ms_disk_entry *e = &found->entry;
    int err = fault(f, MS_DISK_BLOCK_READ);

    if (err == 0)
        err = read_at(f->folder.blocks_fd, into, e->length, offset_of(found->set, found->way));
    if (err != 0) {
        (void)!drop_same(f, found, true, NULL);
        return ms_fail_errno(reterr, err, "cannot read %s/blocks", f->folder.path);
    }
    if (sum_of(&e->id, into, e->length) == e->sum)
        return MS_OK;
    /* Or its place was given to another one while we read. */
    MS_TRY(drop_same(f, found, false, reterr));
    return ms_fail(reterr, MS_CORRUPT, "a block in %s/blocks differs from its checksum",
                   f->folder.path);
}

enum ms_code ms_disk_files_read(struct ms_disk_files *files, const struct ms_disk_found *found,
                                size_t from, size_t n, void *into, struct ms_error *reterr) {
    const struct ms_disk_entry *e = &found->entry;
    void *whole = into;
    enum ms_code code;

    MS_ASSERT(from <= e->length && n <= e->length - from);
    if (n < e->length)
        whole = malloc(e->length);
    if (!whole)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a block");
    code = read_whole(files, found, whole, reterr);
    if (code == MS_OK) {
        ms_disk_count_read(&files->memory[found->set], found->way);
        if (e->day != today())
            touch(files, found);
    }
    if (whole != into) {
        if (code == MS_OK)
            memcpy(into, (char *)whole + from, n);
        free(whole);
    }
    return code;
}

enum ms_code ms_disk_files_drop(struct ms_disk_files *files, const struct ms_disk_id *id,
                                struct ms_error *reterr) {
    struct ms_disk_found found;
    enum ms_code code = ms_disk_files_find(files, id, &found, reterr);

    if (code == MS_OK)
        code = drop_same(files, &found, false, reterr);
    return code == MS_NOT_FOUND ? MS_OK : code;
}

/* ---- store ----------------------------------------------------------------------------------- */

static enum ms_code free_bytes(const struct ms_disk_files *f, uint64_t *ret_bytes,
                               struct ms_error *reterr) {
    struct statvfs fs;

    if (fstatvfs(f->folder.blocks_fd, &fs) != 0)
        return ms_fail_errno(reterr, errno, "cannot see how much room %s has", f->folder.path);
    *ret_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return MS_OK;
}

/* D2 */
static enum ms_code check_room(const struct ms_disk_files *f, struct ms_error *reterr) {
    uint64_t bytes;

    MS_TRY(free_bytes(f, &bytes, reterr));
    if (bytes >= f->reserve_bytes + MS_DISK_BLOCK)
        return MS_OK;
    return ms_fail(reterr, MS_NO_SPACE,
                   "the disk of %s has %" PRIu64 " bytes left, and %" PRIu64 " are kept free",
                   f->folder.path, bytes, f->reserve_bytes);
}

/* A free way that nobody but the one storer can take. MS_EXISTS: the block is there. */
static enum ms_code make_place(struct ms_disk_files *f, struct ms_disk_found *place,
                               struct ms_error *reterr) {
    struct ms_disk_entry *e = &place->entry;
    struct ms_disk_page page;
    enum ms_disk_kind kind;
    bool was_used;

    MS_TRY(read_page(f, place->set, &page, reterr));
    ms_disk_clean(&page, place->set, f->salt);
    if (ms_disk_find(&page, place->set, f->salt, &e->id) >= 0)
        return MS_EXISTS;
    place->way = ms_disk_place(&page, &f->memory[place->set], &e->id, e->born_ms, place->set,
                               f->salt, &kind, &was_used);
    if (place->way < 0)
        return ms_fail(reterr, MS_IO, "the disk of %s cannot read a whole set of places",
                       f->folder.path);
    e->kind = (uint8_t)kind;
    if (!was_used)
        return check_room(f, reterr);
    /* Or a reader of the old block would take the new bytes for damage. */
    return write_page(f, place->set, &page, reterr);
}

static enum ms_code write_entry(struct ms_disk_files *f, const struct ms_disk_found *place,
                                struct ms_error *reterr) {
    struct ms_disk_page page;

    MS_TRY(read_page(f, place->set, &page, reterr));
    page.way[place->way] = place->entry;
    ms_disk_seal(&page.way[place->way], place->set, place->way, f->salt);
    return write_page(f, place->set, &page, reterr);
}

enum ms_code ms_disk_files_store(struct ms_disk_files *files, const struct ms_disk_id *id,
                                 uint64_t size, const void *bytes, size_t length,
                                 struct ms_error *reterr) {
    struct ms_disk_found place = {.set = ms_disk_set_of(id, files->sets),
                                  .entry = {.id = *id,
                                            .size = size,
                                            .born_ms = now_ms(),
                                            .length = (uint32_t)length,
                                            .day = today()}};
    enum ms_code code;
    int err;

    MS_ASSERT(length > 0 && length <= MS_DISK_BLOCK);
    pthread_mutex_lock(&files->mutex);
    code = make_place(files, &place, reterr);
    pthread_mutex_unlock(&files->mutex);
    if (code != MS_OK)
        return code == MS_EXISTS ? MS_OK : code;
    place.entry.sum = sum_of(id, bytes, length);
    err = fault(files, MS_DISK_BLOCK_WRITE);
    if (err == 0)
        err = write_at(files->folder.blocks_fd, bytes, length, offset_of(place.set, place.way));
    if (err != 0)
        return ms_fail_errno(reterr, err, "cannot write %s/blocks", files->folder.path);
    pthread_mutex_lock(&files->mutex);
    code = write_entry(files, &place, reterr);
    pthread_mutex_unlock(&files->mutex);
    return code;
}

/* ---- upkeep ---------------------------------------------------------------------------------- */

/* Free the ways of a set that judge() names; their room goes back once the index no longer has them. */
static void drop_ways(struct ms_disk_files *f, uint32_t set,
                      uint64_t (*judge)(struct ms_disk_files *f, uint32_t set,
                                        struct ms_disk_page *page, void *priv),
                      void *priv) {
    struct ms_disk_page page;
    uint64_t ways = 0;

    pthread_mutex_lock(&f->mutex);
    if (read_page(f, set, &page, NULL) == MS_OK) {
        ms_disk_clean(&page, set, f->salt);
        ways = judge(f, set, &page, priv);
        for (int way = 0; ways && way < MS_DISK_WAYS; way++)
            if (ways >> way & 1)
                ms_disk_free_way(&page, way);
        if (ways && write_page(f, set, &page, NULL) != MS_OK)
            ways = 0;
    }
    /* Under the lock: no other block has the places yet. */
    for (int way = 0; ways && way < MS_DISK_WAYS; way++)
        if (ways >> way & 1)
            punch(f, set, way);
    pthread_mutex_unlock(&f->mutex);
}

struct keys {
    uint64_t (*key)[2];
    size_t n;
};

static int compare_keys(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;

    if (x[0] != y[0])
        return x[0] < y[0] ? -1 : 1;
    return x[1] < y[1] ? -1 : x[1] > y[1];
}

static uint64_t judge_keys(struct ms_disk_files *f, uint32_t set, struct ms_disk_page *page,
                           void *priv) {
    const struct keys *keys = priv;
    uint64_t ways = 0;

    (void)f;
    (void)set;
    for (int way = 0; way < MS_DISK_WAYS; way++)
        if (page->way[way].kind != MS_DISK_FREE &&
            bsearch(page->way[way].id.key, keys->key, keys->n, sizeof *keys->key, compare_keys))
            ways |= UINT64_C(1) << way;
    return ways;
}

void ms_disk_files_drop_keys(struct ms_disk_files *files, uint64_t (*keys)[2], size_t n) {
    struct keys k = {keys, n};

    qsort(keys, n, sizeof *keys, compare_keys);
    for (uint32_t set = 0; set < files->sets; set++)
        drop_ways(files, set, judge_keys, &k);
}

/* A quarter of a set at a time, so that each set keeps its best. */
static uint64_t judge_useless(struct ms_disk_files *f, uint32_t set, struct ms_disk_page *page,
                              void *priv) {
    uint64_t ways = 0;
    int way;

    (void)priv;
    for (int i = 0; i < MS_DISK_WAYS / 4; i++) {
        way = ms_disk_give_up(page, &f->memory[set], now_ms(), set, f->salt);
        if (way >= 0)
            ways |= UINT64_C(1) << way;
    }
    return ways;
}

void ms_disk_files_shrink(struct ms_disk_files *files) {
    uint64_t bytes = 0;

    if (free_bytes(files, &bytes, NULL) != MS_OK || bytes >= files->reserve_bytes + MS_DISK_BLOCK)
        return;
    for (uint32_t i = 0; i < files->sets; i++) {
        drop_ways(files, files->hand, judge_useless, NULL);
        files->hand = (files->hand + 1) % files->sets;
        if (free_bytes(files, &bytes, NULL) != MS_OK || bytes >= files->reserve_bytes + GIVE_BACK)
            return;
    }
}

static uint64_t judge_age(struct ms_disk_files *f, uint32_t set, struct ms_disk_page *page,
                          void *priv) {
    const uint16_t *day = priv;
    uint64_t ways = 0;

    (void)f;
    (void)set;
    for (int way = 0; way < MS_DISK_WAYS; way++)
        if (page->way[way].kind != MS_DISK_FREE && page->way[way].day + MS_DISK_DAYS < *day)
            ways |= UINT64_C(1) << way;
    return ways;
}

void ms_disk_files_age(struct ms_disk_files *files) {
    uint16_t day = today();

    for (uint32_t n = files->sets / 86400 + 1; n > 0; n--) {
        drop_ways(files, files->age_hand, judge_age, &day);
        files->age_hand = (files->age_hand + 1) % files->sets;
    }
}

enum ms_code ms_disk_files_check(struct ms_disk_files *files, struct ms_error *reterr) {
    return ms_disk_folder_check(&files->folder, reterr);
}

uint64_t ms_disk_files_bytes(struct ms_disk_files *files) {
    return ms_disk_folder_bytes(&files->folder);
}


/* bench_content — bytes in motion against the bare limit, on the same disk, in one run.
 *
 *   bench_content [-m MiB] [-r rounds] [DIR]
 *
 *   write    128 KiB pieces in a row into a stage; bare: pwrite(2) of the same
 *   scatter  4 KiB pieces, no two of them neighbours, shuffled; bare: pwrite(2) of the same
 *   upload   a staged file into a "dir:" store, hashed, durable; bare: read, write, fdatasync
 *   read     a stored file in a row, 1 MiB pieces, verified, read ahead; bare: pread(2)
 *   hit      4 KiB out of the cache, one thread; bare: memcpy()
 *
 * Ours and bare take turns, so that a disk that slows down slows both; the figures are medians.
 * The page cache is warm in both: this measures the code, not the disk. */
#include "content/upload.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX 31
#define PIECE (128u << 10)
#define PAGE 4096u

struct bench {
    const char *dir;
    uint64_t bytes;
    struct ms_engine *engine;
    struct ms_obj *obj;
    struct ms_journal *journal;
    struct ms_stage *stage;
    struct ms_source source;
    uint8_t *piece;
    int bare; /* a file of the same size */
};

static void must(bool ok, const char *what, const struct ms_error *err) {
    if (ok)
        return;
    fprintf(stderr, "bench_content: %s: %s\n", what, err ? err->message : strerror(errno));
    exit(1);
}
#define MUST(call) must((call) == MS_OK, #call, &err)
#define MUST_SYS(e) must((e), #e, NULL)

static int bare_file(const struct bench *b, const char *name) {
    char path[4096];
    int fd;

    snprintf(path, sizeof path, "%s/%s", b->dir, name);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST_SYS(fd >= 0);
    unlink(path);
    return fd;
}

/* ---- what is measured ------------------------------------------------------------------------ */

static void write_ours(struct bench *b) {
    struct ms_error err;

    ms_stage_close(b->stage);
    MUST(ms_stage_open(b->journal, &b->stage, &err));
    for (uint64_t at = 0; at < b->bytes; at += PIECE)
        MUST(ms_stage_write(b->stage, at, b->piece, PIECE, &err));
}

static void write_bare(struct bench *b) {
    close(b->bare);
    b->bare = bare_file(b, "bare");
    for (uint64_t at = 0; at < b->bytes; at += PIECE)
        MUST_SYS(pwrite(b->bare, b->piece, PIECE, (off_t)at) == PIECE);
}

/* Every second page, in an order without any: a full period of a linear generator. */
static uint64_t next_page(const struct bench *b, uint64_t n) {
    uint64_t pages = b->bytes / PAGE / 2;

    return (n * UINT64_C(2654435761)) % pages * 2 * PAGE;
}

static void scatter_ours(struct bench *b) {
    struct ms_stage *stage;
    struct ms_error err;

    MUST(ms_stage_open(b->journal, &stage, &err));
    for (uint64_t n = 0; n < b->bytes / PAGE / 2; n++)
        MUST(ms_stage_write(stage, next_page(b, n), b->piece, PAGE, &err));
    ms_stage_close(stage);
}

static void scatter_bare(struct bench *b) {
    int fd = bare_file(b, "scatter");

    for (uint64_t n = 0; n < b->bytes / PAGE / 2; n++)
        MUST_SYS(pwrite(fd, b->piece, PAGE, (off_t)next_page(b, n)) == PAGE);
    close(fd);
}

struct waiting {
    struct ms_latch latch;
    enum ms_code code;
    struct ms_error error;
    struct ms_hashes *hashes;
};

static void finished(void *priv, enum ms_code code, const struct ms_error *err,
                     const struct ms_upload_result *result) {
    struct waiting *w = priv;

    w->code = code;
    if (err)
        w->error = *err;
    if (result && ms_hashes_resize(w->hashes, result->hashes->count, NULL) == MS_OK)
        memcpy(w->hashes->hash, result->hashes->hash, w->hashes->count * sizeof(uint64_t));
    ms_latch_open(&w->latch);
}

static void upload_ours(struct bench *b) {
    struct ms_upload_options options = {
        .obj = b->obj, .stage = b->stage, .key = b->source.key, .block_log2 = b->source.block_log2};
    struct waiting w = {.hashes = &b->source.hashes};
    struct ms_upload *upload;
    struct ms_error err;

    MUST(ms_upload_new(&options, &upload, &err));
    ms_latch_init(&w.latch);
    ms_upload_finish(upload, finished, &w);
    ms_latch_wait(&w.latch);
    must(w.code == MS_OK, "finish", &w.error);
    ms_upload_free(upload);
    b->source.size = b->bytes;
}

static void upload_bare(struct bench *b) {
    int fd = bare_file(b, "copy");

    for (uint64_t at = 0; at < b->bytes; at += MS_MB) {
        MUST_SYS(pread(b->bare, b->piece, MS_MB, (off_t)at) == (ssize_t)MS_MB);
        MUST_SYS(pwrite(fd, b->piece, MS_MB, (off_t)at) == (ssize_t)MS_MB);
    }
    MUST_SYS(fdatasync(fd) == 0);
    close(fd);
}

static void read_ours(struct bench *b) {
    struct ms_cache *cache;
    struct ms_error err;

    MUST(ms_cache_new(b->obj, NULL, 64 * MS_MB, &cache, &err));
    for (uint64_t at = 0; at < b->bytes; at += MS_MB) {
        if (at % (4 * MS_MB) == 0)
            ms_read_ahead(cache, &b->source, at + 4 * MS_MB, 8 * MS_MB);
        MUST(ms_read_run(cache, &b->source, at, MS_MB, b->piece, &err));
    }
    ms_cache_free(cache);
}

static void read_bare(struct bench *b) {
    for (uint64_t at = 0; at < b->bytes; at += MS_MB)
        MUST_SYS(pread(b->bare, b->piece, MS_MB, (off_t)at) == (ssize_t)MS_MB);
}

#define HOT (16 * MS_MB)
static void hit_ours(struct bench *b) {
    struct ms_cache *cache;
    struct ms_error err;

    MUST(ms_cache_new(b->obj, NULL, 64 * MS_MB, &cache, &err));
    for (uint64_t at = 0; at < HOT; at += MS_MB)
        MUST(ms_read_run(cache, &b->source, at, MS_MB, b->piece, &err));
    for (uint64_t n = 0; n < b->bytes / PAGE; n++)
        must(ms_read_cached(cache, &b->source, n * UINT64_C(2654435761) % (HOT / PAGE) * PAGE, PAGE,
                            b->piece),
             "hit", NULL);
    ms_cache_free(cache);
}

static void hit_bare(struct bench *b) {
    uint8_t *hot = malloc(HOT);

    MUST_SYS(hot != NULL);
    memset(hot, 1, HOT);
    for (uint64_t n = 0; n < b->bytes / PAGE; n++)
        memcpy(b->piece, hot + n * UINT64_C(2654435761) % (HOT / PAGE) * PAGE, PAGE);
    free(hot);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int64_t timed(struct bench *b, void (*work)(struct bench *)) {
    int64_t start = ms_clock_mono_ns(ms_clock_system());

    work(b);
    return ms_clock_mono_ns(ms_clock_system()) - start;
}

static void compare(struct bench *b, const char *name, unsigned rounds, uint64_t bytes,
                    void (*ours)(struct bench *), void (*bare)(struct bench *)) {
    int64_t a[ROUNDS_MAX], c[ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++) {
        a[i] = timed(b, ours);
        c[i] = timed(b, bare);
    }
    qsort(a, rounds, sizeof a[0], by_number);
    qsort(c, rounds, sizeof c[0], by_number);
    printf("%-8s ours %7" PRIu64 " MB/s   bare %7" PRIu64 " MB/s   ratio %" PRId64 " %%\n", name,
           bytes / MS_MB * 1000000000 / (uint64_t)a[rounds / 2],
           bytes / MS_MB * 1000000000 / (uint64_t)c[rounds / 2],
           c[rounds / 2] * 100 / a[rounds / 2]);
    fflush(stdout);
}

static void open_all(struct bench *b) {
    struct ms_error err;
    char url[4200], journal[4200];
    struct ms_obj_options options = {.url = url, .random = ms_random_system(), .create = true};

    snprintf(url, sizeof url, "dir:%s/store", b->dir);
    snprintf(journal, sizeof journal, "%s/journal", b->dir);
    MUST(ms_engine_new(8, &b->engine, &err));
    options.engine = b->engine;
    MUST(ms_obj_open(&options, &b->obj, &err));
    MUST(ms_journal_open(journal, UINT64_MAX, &b->journal, &err));
    b->source = (struct ms_source){.object = ms_object_id_new(ms_random_system()),
                                   .key = "bench",
                                   .block_log2 = MS_BLOCK_LOG2_DEFAULT};
    b->piece = malloc(MS_MB);
    MUST_SYS(b->piece != NULL);
    ms_random_fill(ms_random_system(), b->piece, MS_MB);
    b->bare = -1;
}

static void close_all(struct bench *b) {
    struct ms_obj_request r = {.op = MS_OBJ_DELETE, .key = "bench"};
    struct ms_error err;

    MUST(ms_obj_run(b->obj, &r, &err));
    ms_stage_close(b->stage);
    ms_journal_close(b->journal);
    ms_engine_free(b->engine);
    ms_obj_close(b->obj);
    ms_source_fini(&b->source);
    close(b->bare);
    free(b->piece);
}

int main(int argc, char **argv) {
    struct bench b = {.bytes = 1024 * MS_MB};
    char top[4096];
    unsigned rounds = 5;
    int c;

    while ((c = getopt(argc, argv, "m:r:")) != -1) {
        if (c == 'm')
            b.bytes = strtoull(optarg, NULL, 10) * MS_MB;
        else if (c == 'r')
            rounds = (unsigned)strtoul(optarg, NULL, 10);
        else
            return 64;
    }
    if (b.bytes < HOT || rounds < 1 || rounds > ROUNDS_MAX)
        return 64;
    snprintf(top, sizeof top, "%s/bench_content.XXXXXX", optind < argc ? argv[optind] : "/tmp");
    MUST_SYS(mkdtemp(top) != NULL);
    b.dir = top;
    open_all(&b);
    compare(&b, "write", rounds, b.bytes, write_ours, write_bare);
    compare(&b, "scatter", rounds, b.bytes / 2, scatter_ours, scatter_bare);
    compare(&b, "upload", rounds, b.bytes, upload_ours, upload_bare);
    compare(&b, "read", rounds, b.bytes, read_ours, read_bare);
    compare(&b, "hit", rounds, b.bytes, hit_ours, hit_bare);
    close_all(&b);
    printf("left behind: %s (the store's folder)\n", top);
    return 0;
}

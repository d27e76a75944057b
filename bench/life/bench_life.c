/* bench_life — a folder with a great many assets, into the bin and out again; a freeze of its tenant; a
 * sweep with a share of them due.
 *
 * Into the bin is one commit, and then the rows of its assets follow: both are timed, and between them what
 * is read at once: the state of one asset, and .trash/, which is read for the first time then.
 *
 *   bench_life [-n assets] [-d due] [DIR]        (1000000, 100000; /dev/shm, or /var/tmp)
 *
 * While each of them is at work, another thread makes one small durable change after the other (the
 * times of a file elsewhere). How long the longest of these took says how long the writer was held; the
 * same alone, before anything else, is what the disk takes by itself. Memory is the peak of the whole
 * process during the operation, and what it was before.
 *
 * The assets are copies of one, so they have rows and no bytes of their own. Time is a fake clock's. */
#include "bench/support/bare_lmdb.h"
#include "service/asset.h"
#include "service/copy.h"
#include "service/tenant.h"
#include "service/tree.h"
#include "service/upkeep.h"
#include "service/vtree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS 32u

static struct ms_clock_fake fake;
static struct ms_svc *svc;
static struct ms_ctx ctx = {.who = "bench", .admin = true};
static struct ms_tenant_record tenant;
static struct ms_error err;

static void must(enum ms_code code, const char *what) {
    if (code == MS_OK)
        return;
    fprintf(stderr, "bench_life: %s: %s\n", what, err.message);
    exit(1);
}

/* ---- memory ------------------------------------------------------------------------------ */

static long status_kib(const char *key) {
    char line[128];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtol(line + strlen(key), NULL, 10);
    if (f)
        (void)fclose(f);
    return kib;
}

/* Of memory that is this process's own: pages of the store are the kernel's to keep or drop. */
static void reset_peak(void) {
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "5", 1) != 1)
        fprintf(stderr, "bench_life: the peak of memory cannot be reset\n");
    if (fd >= 0)
        (void)close(fd);
}

/* ---- the other writer -------------------------------------------------------------------- */

static struct {
    pthread_t thread;
    atomic_bool stop;
    uint64_t ino, writes;
    double longest;
} other;

static void *write_small(void *arg) {
    struct ms_ctx mine = ctx;
    struct ms_error e;
    (void)arg;
    while (!atomic_load(&other.stop)) {
        struct ms_setattr set = {.ino = other.ino, .which = MS_ATTR_MTIME};
        struct ms_node node;
        double from = ms_bench_now_s();
        set.mtime.tv_sec = (time_t)other.writes;
        if (ms_tree_setattr(svc, &mine, &set, &node, &e) != MS_OK && e.code != MS_WRONG_STATE) {
            fprintf(stderr, "bench_life: the other write: %s\n", e.message);
            exit(1);
        }
        double took = ms_bench_now_s() - from;
        other.longest = took > other.longest ? took : other.longest;
        other.writes++;
    }
    return NULL;
}

static double started;
static long rss_before;

static void begin(void) {
    atomic_store(&other.stop, false);
    other.writes = 0;
    other.longest = 0;
    rss_before = status_kib("RssAnon:");
    reset_peak();
    if (pthread_create(&other.thread, NULL, write_small, NULL) != 0)
        exit(1);
    started = ms_bench_now_s();
}

static void end(const char *what, uint64_t n) {
    double took = ms_bench_now_s() - started;
    atomic_store(&other.stop, true);
    (void)pthread_join(other.thread, NULL);
    printf("%-44s %10.3f s %10" PRIu64 " done   another write: %7" PRIu64
           " of them, longest %8.2f ms   memory %ld -> %ld MiB\n",
           what, took, n, other.writes, other.longest * 1e3, rss_before / 1024,
           status_kib("RssAnon:") / 1024);
    (void)fflush(stdout);
}

/* ---- the assets -------------------------------------------------------------------------- */

struct filler {
    pthread_t thread;
    struct ms_asset_id of;
    uint64_t from, to, due;
    struct ms_instant at;
};

static void *fill(void *arg) {
    struct filler *f = arg;
    struct ms_asset_info *info = malloc(sizeof *info);
    struct ms_error e;
    char path[64];
    for (uint64_t i = f->from; info && i < f->to; i++) {
        (void)snprintf(path, sizeof path, "/big/%03" PRIu64 "/%08" PRIu64 ".txt", i / 10000, i);
        if (ms_asset_copy(svc, &ctx, f->of, path, info, &e) != MS_OK) {
            fprintf(stderr, "bench_life: %s\n", e.message);
            exit(1);
        }
        if (i >= f->due)
            continue;
        struct ms_asset_event event = {.id = {info->asset.id},
                                       .event = MS_EVENT_SCHEDULE,
                                       .at = f->at,
                                       .scheduled_op = MS_SCHEDULED_DELETE};
        if (ms_asset_apply(svc, &ctx, &event, NULL, &e) != MS_OK)
            exit(1);
    }
    free(info);
    return NULL;
}

static uint64_t make_folder(uint64_t parent, const char *name) {
    struct ms_make make = {.parent = parent, .name = name, .mode = S_IFDIR | 0755};
    struct ms_made made;
    must(ms_tree_make(svc, &ctx, &make, &made, &err), "a folder");
    return made.node.inode.ino;
}

static struct ms_asset_id put_one(const char *path) {
    static struct ms_asset_info info;
    char name[] = "/tmp/bench_life.XXXXXX", text[1000];
    struct ms_put put = {.fd = mkstemp(name), .path = path, .mode = 0644};
    memset(text, 'a', sizeof text);
    if (put.fd < 0 || unlink(name) != 0 || pwrite(put.fd, text, sizeof text, 0) != sizeof text)
        exit(1);
    must(ms_asset_put(svc, &ctx, &put, &info, &err), "the first asset");
    (void)close(put.fd);
    return (struct ms_asset_id){info.asset.id};
}

static void fill_all(uint64_t n, uint64_t due, struct ms_instant at) {
    static struct filler filler[THREADS];
    struct ms_asset_id first = put_one("/files/first.txt");
    uint64_t big = make_folder(tenant.root_ino, "big");
    for (uint64_t i = 0; i < n; i += 10000) {
        char name[24];
        (void)snprintf(name, sizeof name, "%03" PRIu64, i / 10000);
        (void)make_folder(big, name);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        filler[i] = (struct filler){
            .of = first, .from = n * i / THREADS, .to = n * (i + 1) / THREADS, .due = due, .at = at};
        if (pthread_create(&filler[i].thread, NULL, fill, &filler[i]) != 0)
            exit(1);
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(filler[i].thread, NULL);
}

/* ---- what is measured -------------------------------------------------------------------- */

static void alone(void) {
    begin();
    (void)usleep(1000000);
    end("nothing, for a second", 0);
}

static uint64_t move(struct ms_vtree *vt, uint64_t from, uint64_t to, const char *what) {
    struct ms_rename rename = {
        .parent = from, .new_parent = to, .name = "big", .new_name = "big"};
    struct ms_vmoved moved = {.done = 0};
    begin();
    must(ms_vtree_rename(vt, &ctx, &rename, &moved, &err), what);
    end(what, moved.done);
    return moved.done;
}

/* One asset of it, as a reader sees it. */
static void look(struct ms_asset_id id, enum ms_state want) {
    static struct ms_asset_info info;
    begin();
    must(ms_asset_get(svc, &ctx, id, &info, &err), "an asset of the folder");
    end("the state of an asset in it", 1);
    if (info.state != want) {
        fprintf(stderr, "bench_life: an asset of the folder is %s\n", ms_state_name(info.state));
        exit(1);
    }
}

static struct ms_asset_id first_of(const char *path) {
    struct ms_node node;
    must(ms_tree_walk(svc, &ctx, path, &node, &err), path);
    return (struct ms_asset_id){node.inode.asset};
}

static void into_the_bin(struct ms_vtree *vt, uint64_t trash) {
    struct ms_asset_id id = first_of("/big/000/00000000.txt");
    struct ms_node node;
    uint64_t ino, done;
    begin();
    must(ms_tree_bin(svc, &ctx, tenant.root_ino, "big", &ino, &err), "the folder");
    end("big is in the bin: the transaction", 1);
    look(id, MS_STATE_DELETING);
    begin();
    must(ms_vtree_lookup(vt, &ctx, trash, "big", &node, &err), ".trash/big");
    end("the first look into .trash/", 1);
    begin();
    must(ms_tree_settle(svc, &ctx, &done, &err), "the rows of its assets");
    end("the rows of its assets", done);
    look(id, MS_STATE_DELETING);
}

static void into_the_bin_and_out(void) {
    struct ms_vtree *vt;
    struct ms_node trash;
    must(ms_vtree_new(svc, ctx.tenant, tenant.root_ino, &vt, &err), "the bin");
    must(ms_vtree_lookup(vt, &ctx, tenant.root_ino, MS_TRASH_NAME, &trash, &err), ".trash");
    into_the_bin(vt, trash.inode.ino);
    ms_clock_fake_advance(&fake, MS_HOUR_MS);
    (void)move(vt, trash.inode.ino, tenant.root_ino, "mv .trash/big .");
    ms_vtree_free(vt);
}

static void hold(bool on, const char *what) {
    begin();
    must(ms_tenant_hold(svc, &ctx, MS_HOLD_ADMIN, on, "bench", &err), what);
    end(what, 1);
}

static void sweep(const char *what) {
    struct ms_sweep_result result;
    begin();
    must(ms_sweep(svc, &result, &err), what);
    end(what, result.applied);
}

static void run(uint64_t n, uint64_t due) {
    struct ms_instant at = ms_instant_add_ms(ms_clock_now(&fake.clock), 30 * MS_DAY_MS);
    struct ms_node node;
    double from = ms_bench_now_s();
    fill_all(n, due, at);
    must(ms_tree_walk(svc, &ctx, "/files/first.txt", &node, &err), "the first asset");
    other.ino = node.inode.ino;
    printf("%" PRIu64 " assets, %" PRIu64 " of them due later, made in %.1f s\n", n, due,
           ms_bench_now_s() - from);
    alone();
    into_the_bin_and_out();
    hold(true, "the tenant is frozen");
    sweep("sweep of the frozen tenant");
    hold(false, "the tenant is unfrozen");
    ms_clock_fake_set(&fake, at);
    sweep("sweep when they are due");
    sweep("sweep when nothing is due");
    ms_clock_fake_advance(&fake, 8 * MS_DAY_MS);
    sweep("sweep when the bin gives them up");
}

static void open_store(const char *dir) {
    struct ms_svc_options options = {.dir = dir,
                                     .clock = &fake.clock,
                                     .label = "bench",
                                     .cache_bytes = 16 * MS_MB,
                                     .journal_bytes_max = UINT64_C(1) << 40};
    struct ms_tenant_options t = {
        .name = "bench", .free_bytes = UINT64_C(1) << 50, .retention_ms = 7 * MS_DAY_MS};
    ms_clock_fake_init(&fake, ms_instant_of(INT64_C(1772323200000)));
    must(ms_svc_init(&options, &err), "init");
    must(ms_svc_open(&options, &svc, &err), "open");
    must(ms_tenant_add(svc, "bench", &t, &tenant, &err), "a tenant");
    ctx.tenant.id = tenant.id;
}

static void remove_store(const char *top) {
    char command[512];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", top);
    if (system(command) != 0)
        fprintf(stderr, "bench_life: %s is left behind\n", top);
}

int main(int argc, char **argv) {
    uint64_t n = 1000000, due = 100000;
    char top[256], dir[300];
    int opt;
    while ((opt = getopt(argc, argv, "n:d:")) != -1) {
        if (opt == 'n')
            n = strtoull(optarg, NULL, 10);
        else if (opt == 'd')
            due = strtoull(optarg, NULL, 10);
        else
            return 64;
    }
    if (n < THREADS || n > 10000000 || due > n)
        return 64;
    (void)snprintf(top, sizeof top, "%s/bench_life.XXXXXX",
                   optind < argc                    ? argv[optind]
                   : access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                                    : "/var/tmp");
    if (!mkdtemp(top))
        return 1;
    (void)snprintf(dir, sizeof dir, "%s/store", top);
    open_store(dir);
    run(n, due);
    ms_svc_close(svc);
    remove_store(top);
    return 0;
}

/* bench_object — the driver s3 alone against the command-line curl, on the same store in the same run.
 *
 *   tests/support/ceph.sh with build/release/bench/object/bench_object [MIB [ROUNDS]]
 *
 * Reads and writes MIB (default 512) in ranges and parts of 8 MiB, payload unsigned, 4 in flight, and PUTs of 100 KiB
 * with 1 and 16 in flight. curl gets presigned URLs in one process, with as many in parallel, and keeps its
 * connections too. The CPU is that of the client alone (user and system); the store's is not counted.
 */
#include "base/assert.h"
#include "object/s3_place.h"
#include "object/driver.h"

#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP ((uint64_t)8 << 20)
#define SMALL ((uint64_t)100 << 10)
#define FLIGHT_MAX 16
#define SMALL_N 600
#define DIR_NAME "/tmp/ms-bench-object.XXXXXX"

extern char **environ;

struct bench {
    struct ms_engine *engine;
    struct ms_obj *obj;
    char url[512], dir[sizeof DIR_NAME];
    uint64_t bytes;
    unsigned char *data;
    char upload_id[MS_UPLOAD_ID_MAX + 1];
    unsigned serial;
};

struct cost {
    int64_t ns;
    double cpu_s;
};

static void die(const char *what, const struct ms_error *err) {
    fprintf(stderr, "bench_object: %s: %s\n", what, err ? err->message : "failed");
    exit(1);
}

static int64_t mono_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

static double cpu_of(const struct rusage *u) {
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
           (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

static double own_cpu(void) {
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return cpu_of(&u);
}

static enum ms_code run_one(struct bench *b, struct ms_obj_request *r) {
    struct ms_error err = {0};

    if (ms_obj_run(b->obj, r, &err) != MS_OK)
        die(ms_obj_op_name(r->op), &err);
    return MS_OK;
}

/* ---- the driver: a fixed number in flight ------------------------------------------------------ */

struct work {
    struct bench *b;
    pthread_mutex_t mutex;
    size_t next, n, running;
    struct ms_latch done;
    void (*fill)(struct work *work, size_t i, size_t slot, struct ms_obj_request *r);
    struct slot {
        struct work *work;
        struct ms_obj_request r;
        unsigned char *into;
        char key[64];
    } slots[FLIGHT_MAX];
};

static void go(struct slot *slot);

static void on_done(struct ms_obj_request *r) {
    struct slot *slot = MS_CONTAINER_OF(r, struct slot, r);

    if (r->code != MS_OK)
        die(ms_obj_op_name(r->op), &r->error);
    go(slot);
}

static void go(struct slot *slot) {
    struct work *w = slot->work;
    size_t i;
    bool more, last;

    pthread_mutex_lock(&w->mutex);
    more = w->next < w->n;
    i = w->next;
    w->next += more;
    w->running -= !more;
    last = w->running == 0;
    pthread_mutex_unlock(&w->mutex);
    if (more) {
        slot->r = (struct ms_obj_request){.done = on_done};
        w->fill(w, i, (size_t)(slot - w->slots), &slot->r);
        ms_obj_submit(w->b->obj, &slot->r);
    } else if (last) {
        ms_latch_open(&w->done);
    }
}

static struct cost run_work(struct bench *b, size_t n, size_t flight,
                            void (*fill)(struct work *, size_t, size_t, struct ms_obj_request *)) {
    struct work w = {.b = b, .n = n, .running = flight, .fill = fill};
    struct cost cost = {.ns = mono_ns(), .cpu_s = own_cpu()};

    pthread_mutex_init(&w.mutex, NULL);
    ms_latch_init(&w.done);
    for (size_t i = 0; i < flight; i++) {
        w.slots[i].work = &w;
        w.slots[i].into = b->data + i * STEP;
        go(&w.slots[i]);
    }
    ms_latch_wait(&w.done);
    pthread_mutex_destroy(&w.mutex);
    return (struct cost){mono_ns() - cost.ns, own_cpu() - cost.cpu_s};
}

static void fill_get(struct work *w, size_t i, size_t slot, struct ms_obj_request *r) {
    r->op = MS_OBJ_GET;
    r->key = "whole";
    r->offset = i * STEP;
    r->length = STEP;
    r->into = w->slots[slot].into;
}

static void fill_part(struct work *w, size_t i, size_t slot, struct ms_obj_request *r) {
    (void)slot;
    r->op = MS_OBJ_MP_PUT;
    r->key = "parts";
    r->upload_id = w->b->upload_id;
    r->part_no = (uint32_t)i + 1;
    r->part_offset = i * STEP;
    r->body = (struct ms_obj_body){.memory = ms_view_of(w->b->data, STEP), .length = STEP};
}

static void fill_small(struct work *w, size_t i, size_t slot, struct ms_obj_request *r) {
    struct slot *s = &w->slots[slot];

    snprintf(s->key, sizeof s->key, "small/%u-%zu", w->b->serial, i);
    r->op = MS_OBJ_PUT;
    r->key = s->key;
    r->body = (struct ms_obj_body){.memory = ms_view_of(w->b->data, SMALL), .length = SMALL};
}

/* ---- curl ---------------------------------------------------------------------------------------- */

static void presign(struct bench *b, const char *method, const char *key,
                    const struct ms_s3_param *query, size_t query_n, struct ms_buf *url) {
    struct ms_s3_place place;
    struct ms_s3_keys keys;
    char path[1024];
    struct ms_error err = {0};
    struct ms_s3_param host = {"host", place.host};
    struct ms_s3_sign s = {.method = method, .path = path, .query = query, .query_n = query_n,
                           .headers = &host, .headers_n = 1, .payload = MS_S3_UNSIGNED,
                           .region = place.region, .service = "s3", .now = ms_clock_kernel_now(),
                           .keys = &keys};

    if (ms_s3_place_parse("s3", b->url + 3, &place, &err) != MS_OK ||
        ms_s3_keys_load(&place, &keys, &err) != MS_OK)
        die(b->url, &err);
    snprintf(path, sizeof path, "/%s/%s%s", place.bucket, place.prefix, key);
    if (ms_buf_addf(url, &err, "http%s://%s%s?", place.https ? "s" : "", place.host, path) != MS_OK ||
        ms_s3_presign(&s, 3600, url, &err) != MS_OK)
        die("presign", &err);
    ms_s3_keys_fini(&keys);
}

static struct cost run_curl(struct bench *b, const char *config, size_t flight) {
    char most[16];
    char *argv[] = {(char *)"curl", (char *)"-K", (char *)(uintptr_t)config, (char *)"-Z",
                    (char *)"--no-progress-meter",
                    (char *)"--parallel-max", most, NULL};
    struct cost cost = {.ns = mono_ns()};
    struct rusage u;
    int status = 0;
    pid_t pid;

    (void)b;
    snprintf(most, sizeof most, "%zu", flight);
    if (flight == 1)
        argv[3] = NULL;
    if (posix_spawnp(&pid, "curl", NULL, NULL, argv, environ) != 0)
        die("curl", NULL);
    while (wait4(pid, &status, 0, &u) != pid)
        ;
    if (status != 0)
        die("curl", NULL);
    return (struct cost){mono_ns() - cost.ns, cpu_of(&u)};
}

enum kind { GETS, PARTS, SMALLS };

static void write_config(struct bench *b, enum kind kind, size_t n, const char *path) {
    FILE *file = fopen(path, "w");

    for (size_t i = 0; file && i < n; i++) {
        MS_AUTO(ms_buf_fini) struct ms_buf url = {0};
        char key[64], no[24];
        const struct ms_s3_param query[] = {{"partNumber", no}, {"uploadId", b->upload_id}};

        snprintf(no, sizeof no, "%zu", i + 1);
        snprintf(key, sizeof key, kind == GETS ? "whole" : kind == PARTS ? "parts" : "small/c%u-%zu",
                 b->serial, i);
        presign(b, kind == GETS ? "GET" : "PUT", key, query, kind == PARTS ? 2 : 0, &url);
        fprintf(file, "%ssilent\nfail\noutput = \"/dev/null\"\nurl = \"%s\"\n", i ? "next\n" : "",
                (char *)url.data);
        if (kind == GETS)
            fprintf(file, "range = %" PRIu64 "-%" PRIu64 "\n", i * STEP, (i + 1) * STEP - 1);
        else
            fprintf(file, "upload-file = \"%s/%s\"\nheader = \"Expect:\"\n", b->dir,
                    kind == PARTS ? "part" : "small");
    }
    if (!file || fclose(file) != 0)
        die(path, NULL);
}

static void write_file(struct bench *b, const char *name, uint64_t n) {
    char path[sizeof b->dir + 32];
    int fd;

    snprintf(path, sizeof path, "%s/%s", b->dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, b->data, n) != (ssize_t)n || close(fd) != 0)
        die(path, NULL);
}

/* ---- rounds -------------------------------------------------------------------------------------- */

static void new_upload(struct bench *b, const char *key) {
    struct ms_obj_request r = {.op = MS_OBJ_MP_CREATE, .key = key};

    run_one(b, &r);
    snprintf(b->upload_id, sizeof b->upload_id, "%s", r.ret_upload_id);
}

static void drop_upload(struct bench *b, const char *key) {
    struct ms_obj_request r = {.op = MS_OBJ_MP_ABORT, .key = key, .upload_id = b->upload_id};

    run_one(b, &r);
}

static void make_whole(struct bench *b) {
    size_t n = b->bytes / STEP;
    struct ms_obj_part *parts = calloc(n, sizeof *parts);
    struct ms_obj_request done = {.op = MS_OBJ_MP_COMPLETE, .key = "whole", .upload_id = b->upload_id,
                                  .parts = parts, .parts_n = n};

    new_upload(b, "whole");
    for (size_t i = 0; i < n; i++) {
        struct ms_obj_request r = {.op = MS_OBJ_MP_PUT, .key = "whole", .upload_id = b->upload_id,
                                   .part_no = (uint32_t)i + 1, .part_offset = i * STEP,
                                   .body = {.memory = ms_view_of(b->data, STEP), .length = STEP}};

        run_one(b, &r);
        parts[i] = (struct ms_obj_part){.part_no = r.part_no, .size = STEP};
        memcpy(parts[i].etag, r.ret_etag, sizeof parts[i].etag);
    }
    run_one(b, &done);
    free(parts);
}

static void print_bytes(const char *who, const char *what, uint64_t bytes, struct cost c) {
    printf("%-7s %-22s %7.0f MiB/s  %6.3f CPU-s/GiB\n", who, what,
           (double)bytes / (1 << 20) / ((double)c.ns / 1e9), c.cpu_s / ((double)bytes / (1 << 30)));
    fflush(stdout);
}

static void print_count(const char *who, const char *what, size_t n, struct cost c) {
    printf("%-7s %-22s %7.0f /s     %6.3f CPU-ms each\n", who, what,
           (double)n / ((double)c.ns / 1e9), c.cpu_s * 1e3 / (double)n);
    fflush(stdout);
}

static void round_of(struct bench *b) {
    size_t n = b->bytes / STEP;
    char config[sizeof b->dir + 32];

    snprintf(config, sizeof config, "%s/config", b->dir);
    b->serial++;
    for (size_t flight = 1; flight <= 4; flight += 3) {
        char name[64];

        snprintf(name, sizeof name, "GET 8 MiB, %zu in flight", flight);
        write_config(b, GETS, n, config);
        print_bytes("curl", name, b->bytes, run_curl(b, config, flight));
        print_bytes("driver", name, b->bytes, run_work(b, n, flight, fill_get));
    }
    new_upload(b, "parts");
    write_config(b, PARTS, n, config);
    print_bytes("curl", "PUT 8 MiB, 4 in flight", b->bytes, run_curl(b, config, 4));
    print_bytes("driver", "PUT 8 MiB, 4 in flight", b->bytes, run_work(b, n, 4, fill_part));
    drop_upload(b, "parts");
    for (size_t flight = 1; flight <= FLIGHT_MAX; flight += FLIGHT_MAX - 1) {
        char name[64];

        snprintf(name, sizeof name, "PUT 100 KiB, %zu in flight", flight);
        write_config(b, SMALLS, SMALL_N, config);
        print_count("curl", name, SMALL_N, run_curl(b, config, flight));
        b->serial++;
        print_count("driver", name, SMALL_N, run_work(b, SMALL_N, flight, fill_small));
    }
}

static void remove_all(struct bench *b) {
    for (bool more = true; more;) {
        struct ms_obj_request list = {.op = MS_OBJ_LIST, .list_max = 1000};

        run_one(b, &list);
        for (size_t i = 0; i < list.ret_n; i++) {
            struct ms_obj_request r = {.op = MS_OBJ_DELETE, .key = list.ret_entries[i].key};

            run_one(b, &r);
        }
        more = list.ret_more;
        free(list.ret_entries);
    }
}

static void unlink_files(struct bench *b) {
    static const char *const names[] = {"part", "small", "config"};
    char path[sizeof b->dir + 32];

    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", b->dir, names[i]);
        unlink(path);
    }
    rmdir(b->dir);
}

int main(int argc, char **argv) {
    struct bench b = {.dir = DIR_NAME};
    struct ms_obj_options o = {.url = b.url, .random = ms_random_system(), .create = true};
    unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 512;
    unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    struct ms_error err = {0};

    if (!getenv("MS_CEPH_ENDPOINT") || !mkdtemp(b.dir)) {
        fprintf(stderr, "bench_object: run it by tests/support/ceph.sh with\n");
        return 64;
    }
    snprintf(b.url, sizeof b.url, "s3://%s/bench-object?endpoint=%s&payload=unsigned",
             getenv("MS_CEPH_BUCKET"), getenv("MS_CEPH_ENDPOINT"));
    b.bytes = (uint64_t)(mib / 8 ? mib / 8 : 1) * STEP;
    b.data = malloc(STEP * FLIGHT_MAX);
    memset(b.data, 0x5a, STEP * FLIGHT_MAX);
    ms_random_fill(o.random, b.data, STEP);
    if (ms_engine_new(16, &b.engine, &err) != MS_OK)
        die("engine", &err);
    o.engine = b.engine;
    if (ms_obj_open(&o, &b.obj, &err) != MS_OK)
        die(b.url, &err);
    write_file(&b, "part", STEP);
    write_file(&b, "small", SMALL);
    make_whole(&b);
    while (rounds-- > 0)
        round_of(&b);
    remove_all(&b);
    unlink_files(&b);
    ms_obj_close(b.obj);
    ms_engine_free(b.engine);
    free(b.data);
    return 0;
}

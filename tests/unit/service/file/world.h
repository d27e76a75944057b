/* world.h — one store, one tenant and their files, for tests of open files and assets.
 *
 * The object store is wrapped in a gate: requests can be counted, refused, or held until they are
 * let through. A world lives in the test's state: setup makes it, teardown takes it away, failed
 * assertion or not.
 */
#ifndef MS_TESTS_SERVICE_WORLD_H
#define MS_TESTS_SERVICE_WORLD_H

#include "support/test.h"

#include "service/asset.h"
#include "service/file.h"
#include "service/tenant.h"

#include <stdatomic.h>

struct gate {
    struct ms_obj obj;
    struct ms_obj *inner, *own; /* own: of the service */
    pthread_mutex_t mutex;
    bool hold;                   /* keep what comes until gate_release() */
    enum ms_code refuse;         /* not MS_OK: answer everything with it */
    unsigned refuse_left;        /* so many requests yet; 0: without end */
    enum ms_obj_op refuse_op;    /* MS_OBJ_OP_COUNT: of any operation */
    char refuse_key[MS_OBJECT_KEY_MAX + 1]; /* "": of any key; else the keys that begin so */
    struct ms_obj_request *held; /* by priv of the gate's list */
    unsigned held_n;
    atomic_uint requests, puts, parts;
    atomic_uint_fast64_t put_bytes;
};

struct world {
    char *tmp, *dir;
    const char *probe_program, *probe_argument; /* NULL: contents are not probed */
    struct ms_clock_fake clock;
    struct ms_svc *svc;
    int peer_pid, peer_fd; /* peer.h */
    struct gate gate;
    struct ms_tenant_record tenant;
    struct ms_ctx ctx, admin;
};

/* 2026-03-01 00:00 UTC, a tenant "t1". Objects in memory, or in a local directory. quota 0: 5 GB.
 */
struct world *world_new(bool mem, uint64_t quota_bytes);
struct world *world_new_probed(const char *program, const char *argument); /* in memory */
void world_free(struct world *w);
void world_reopen(struct world *w); /* close and open: needs a directory, and no handle */
int world_setup_mem(void **state);
int world_setup_dir(void **state);
int world_teardown(void **state);
void peer_stop(struct world *w);

void gate_hold(struct world *w);
unsigned gate_held(struct world *w);         /* how many wait */
void gate_wait(struct world *w, unsigned n); /* until so many wait */
void gate_release(struct world *w);
void gate_refuse(struct world *w, enum ms_code code); /* MS_OK: no longer */
/* The next request of that operation only. */
void gate_refuse_once(struct world *w, enum ms_obj_op op, enum ms_code code);
/* Only op (MS_OBJ_OP_COUNT: any) of keys that begin like this; a DELETE_MANY with such a key as a whole. */
void gate_refuse_key(struct world *w, enum ms_obj_op op, const char *key, enum ms_code code);

/* Each of these fails the test when the call does. */
struct ms_handle *make_file(struct world *w, const char *path);
struct ms_handle *open_file(struct world *w, const char *path, char how); /* r w a t(runcate) */
uint64_t ino_of(struct world *w, const char *path);
void put_bytes(struct ms_handle *h, uint64_t offset, const void *p, size_t n);
/* Exactly n bytes at offset are these, and (end) the file ends there. */
void check_bytes(struct ms_handle *h, uint64_t offset, const void *p, size_t n, bool end);
void seal_file(struct ms_handle *h); /* flush and release, both succeed */
void write_file(struct world *w, const char *path, const void *p, size_t n); /* make, write, seal */
void check_file(struct world *w, const char *path, const void *p, size_t n);

enum ms_code flush_file(struct ms_handle *h, struct ms_error *reterr);
enum ms_code release_file(struct ms_handle *h, struct ms_error *reterr);
enum ms_code sync_file(struct ms_handle *h, struct ms_error *reterr);
enum ms_code read_file(struct ms_handle *h, uint64_t offset, size_t n, void *into, size_t *ret_n,
                       struct ms_error *reterr);

struct ms_quota_info quota_of(struct world *w);
uint64_t commits_of(struct ms_svc *svc);
/* Reservations are 0, metered equals the sum of the assets' bytes, every intent has gone. */
void check_settled(struct world *w);

/* Bytes that libmagic takes for what they say, n at least 64. */
void fill_like(uint8_t *p, size_t n, const char *suffix);
void fill_random(struct ms_random *random, uint8_t *p, size_t n);

#endif

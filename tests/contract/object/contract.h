/* contract.h — what the cases of the object store's contract share.
 *
 * A case is a function over a struct subject: one store, made afresh for it. The same cases run against every
 * driver of MS_DRIVERS, bare and with all wrappers around it.
 */
#ifndef MS_TESTS_CONTRACT_H
#define MS_TESTS_CONTRACT_H

#include "support/test.h"

#include "object/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FAULTY: as WRAPPED, and a part of the calls fail before or after they are done; retrying must hide that. */
enum dress { BARE, WRAPPED, FAULTY, DRESSES };

struct instance {
    const char *driver;
    const char *(*url)(const char *tmpdir, char *ret_url, size_t size);
    enum dress dress;
};

struct subject {
    const struct instance *instance;
    char *tmpdir;
    struct ms_engine *engine;
    struct ms_random_seeded random;
    struct ms_log log;
    struct ms_obj *obj;
    const unsigned char *bytes; /* BYTES_N of noise */
    struct ms_error err;        /* of the last request */
};
#define BYTES_N ((size_t)24 << 20)

/* FAULTS: needs the fault wrapper, and a store that does not fail by itself. */
enum group { CORE, MULTIPART, IN_PLACE, COPY, PART_COPY, BATCH, FAULTS, PRESIGN, GROUPS };

struct contract_case {
    const char *name;
    void (*run)(void **state);
    enum group group;
};
#define CASE(group, fn) {#fn, fn, group}

extern const struct contract_case core_cases[], list_cases[], upload_cases[],
    presign_cases[];
extern const size_t core_cases_n, list_cases_n, upload_cases_n, presign_cases_n;

/* Each runs one request to its end. Memory that a result owns is dropped, but for those that give it back. */
enum ms_code do_put(struct subject *s, const char *key, const void *p, size_t n);
enum ms_code do_put_meta(struct subject *s, const char *key, const void *p, size_t n,
                         const struct ms_obj_meta *meta, char *ret_etag);
enum ms_code do_get(struct subject *s, const char *key, uint64_t offset, void *into, size_t n);
enum ms_code do_head(struct subject *s, const char *key, uint64_t *ret_size, char *ret_etag,
                     char **ret_meta);
enum ms_code do_delete(struct subject *s, const char *key);
enum ms_code do_op(struct subject *s, struct ms_obj_request *r);

enum ms_code mp_create(struct subject *s, const char *key, char *ret_id);
enum ms_code mp_put(struct subject *s, const char *key, const char *id, uint32_t no,
                    uint64_t offset, const void *p, size_t n, struct ms_obj_part *ret_part);
enum ms_code mp_complete(struct subject *s, const char *key, const char *id,
                         const struct ms_obj_part *parts, size_t n, char *ret_etag);
enum ms_code mp_abort(struct subject *s, const char *key, const char *id);

/* The object is there with exactly these bytes. */
void assert_object(struct subject *s, const char *key, const void *p, size_t n);
void assert_no_object(struct subject *s, const char *key);

#endif

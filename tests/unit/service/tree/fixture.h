/* fixture.h — one tenant on a real metadata store under a clock that moves when told. There is no
 * object store: a seal is only its rows here. Every test ends with the tree compared by
 * service/tree_check.h. */
#ifndef MS_TESTS_UNIT_SERVICE_TREE_FIXTURE_H
#define MS_TESTS_UNIT_SERVICE_TREE_FIXTURE_H

#include "support/test.h"

#include "service/tenant.h"
#include "service/tree_check.h"
#include "service/tree_rows.h"

#include <sys/stat.h>

struct fx {
    char *dir;
    struct ms_clock_fake clock;
    struct ms_random_seeded random;
    struct ms_svc svc;
    struct ms_ctx ctx;
    struct ms_tenant_record tenant;
    uint64_t root;
    unsigned findings;
};

int fx_setup(void **state);
/* Also checks the tree. */
int fx_teardown(void **state);
/* The same with the live files of a process, which commands ask. */
int fx_setup_files(void **state);
int fx_teardown_files(void **state);
/* Without the check. */
void fx_drop(struct fx *f);
/* As if another process had made the file, and has it open. */
void fx_give_away(struct fx *f, uint64_t ino, struct ms_instance_id to);

/* No finding; also counters against rows. */
void fx_check(struct fx *f);
void fx_advance(struct fx *f, int64_t ms);

uint64_t fx_ino(struct fx *f, const char *path);
bool fx_there(struct fx *f, const char *path);
/* That asset is what the path names. */
bool fx_is(struct fx *f, const char *path, struct ms_id asset);
struct ms_node fx_node(struct fx *f, uint64_t ino);
struct ms_asset_record fx_asset(struct fx *f, uint64_t ino);
/* False: the asset is gone for good. */
bool fx_asset_by_id(struct fx *f, struct ms_id id, struct ms_asset_record *ret_asset);
struct ms_usage_record fx_usage(struct fx *f);

struct ms_made fx_make(struct fx *f, uint64_t parent, const char *name, uint32_t mode);
uint64_t fx_mkdir(struct fx *f, uint64_t parent, const char *name);
/* What a close does: bytes, version, CONFIRM, or with fails a FAILED asset. */
void fx_seal(struct fx *f, uint64_t ino, uint64_t size, const char *media_type, bool fails);
/* Made and sealed. */
uint64_t fx_file(struct fx *f, uint64_t parent, const char *name, uint64_t size,
                 const char *media_type);
/* A composited video, of a tenant whose pay-per-use is on. */
uint64_t fx_produce(struct fx *f, uint64_t parent, const char *name, uint64_t size,
                    uint64_t seconds);
struct ms_gone fx_unlink(struct fx *f, uint64_t parent, const char *name, bool keep_open);
struct ms_gone fx_rename(struct fx *f, uint64_t parent, const char *name, uint64_t new_parent,
                         const char *new_name);
/* The same, as a call that may fail. */
enum ms_code fx_try_rename(struct fx *f, uint64_t parent, const char *name, uint64_t new_parent,
                           const char *new_name, struct ms_error *reterr);

/* Life-cycle events straight on the record: freeze, unfreeze, announce ... */
void fx_event(struct fx *f, struct ms_id asset, enum ms_event event, struct ms_instant at);
void fx_change_asset(struct fx *f, struct ms_id asset,
                     void (*change)(struct ms_asset_record *asset));
void fx_restore(struct fx *f, struct ms_id asset, const char *path);
enum ms_code fx_try_restore(struct fx *f, struct ms_id asset, const char *path,
                            struct ms_error *reterr);
size_t fx_bins(struct fx *f, struct ms_bin_record *ret_bins, size_t max);

#define assert_time_equal(node, member, ms)                                                        \
    assert_int_equal((node).inode.member##_s * 1000 + (node).inode.member##_ns / 1000000, (ms))

#define FX_TESTS(...)                                                                              \
    int main(void) {                                                                               \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }
#define FX(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

#endif

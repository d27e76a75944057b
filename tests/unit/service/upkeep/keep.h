/* keep.h — for tests of sweep, recover, gc and fsck: what fsck says, rows changed by hand, and a
 * store with one of everything. */
#ifndef MS_TESTS_SERVICE_KEEP_H
#define MS_TESTS_SERVICE_KEEP_H

#include "file/world.h"

#include "service/change.h"
#include "service/upkeep.h"

#define SAID_MAX 64
struct said {
    struct ms_fsck_result result;
    unsigned findings, pending;
    struct {
        char name[16], text[512];
    } finding[SAID_MAX], pend[SAID_MAX];
};
/* Fails the test when fsck itself does. */
void run_fsck(struct ms_svc *svc, bool store, bool deep, struct said *ret_said);
/* No finding, whatever is pending; or nothing at all. Prints what there is. */
void check_findings(struct ms_svc *svc);
void check_clean(struct ms_svc *svc);
/* Findings of each of these names (with blanks between), and of no other. */
void check_found(struct ms_svc *svc, const char *what, const char *names);
unsigned pending_of(const struct said *said, const char *kind);

/* Run fn in a write, with nothing that keeps invariants. */
typedef enum ms_code change_fn(struct ms_txn *txn, const void *arg, struct ms_error *reterr);
void change_rows(struct ms_svc *svc, change_fn *fn, const void *arg);

/* Every row but the store's own; to compare with, or to put back in one write. */
struct rows;
struct rows *rows_of(struct ms_svc *svc);
bool rows_equal(const struct rows *a, const struct rows *b);
void rows_restore(struct ms_svc *svc, const struct rows *rows);
void rows_free(struct rows *rows);

/* The records behind a path. */
struct behind {
    struct ms_inode_record inode;
    struct ms_asset_record asset;
    struct ms_file_record file;
    struct ms_version_record version;
    struct ms_object_record object;
};
void look_behind(struct world *w, const char *path, struct behind *ret_behind);
size_t count_rows(struct ms_svc *svc, struct ms_key prefix);

/* Files of every kind: sealed, empty, overwritten, hard-linked, in the bin, deleted for good,
 * folders, a link, attributes, a deadline. */
void fill_world(struct world *w);

void apply_event(struct world *w, struct ms_asset_id id, enum ms_event event, struct ms_instant at,
                 uint8_t op);
void unlink_path(struct world *w, const char *path);
#endif

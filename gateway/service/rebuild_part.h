/* rebuild_part.h — what the parts of a rebuild share. Private to service/rebuild*.c.
 *
 * Facts are gathered in rows of the new store's own table SCRATCH, where the newest of each thing
 * stays, so memory does not grow with the bucket:
 *   'O' key            listed object: struct ms_listed
 *   'T' tenant   'I' tenant, ino   'A' tenant, asset   'V' tenant, version      the newest line
 *   'h' tenant, version, chunk     'x' tenant, ino, name                        bytes
 *   'a' asset          1: a segment tells of it, 0: it tells that it is gone
 *   'o' object         a segment tells that nothing names it any more
 *   'B' asset          newest object of it that no version names: struct ms_birth
 *   'l' asset          it is lost, which has been said
 *   'm' tenant, ino    the inode's number in the new store
 */
#ifndef MS_SERVICE_REBUILD_PART_H
#define MS_SERVICE_REBUILD_PART_H

#include "service/catalogue_part.h"
#include "service/rebuild.h"

#include <pthread.h>

/* When a tenant's newest whole snapshot was begun, and whether lines of it are damaged. */
struct ms_rebuild_tenant {
    struct ms_tenant_id id;
    struct ms_instant snapshot_at; /* none: there is none */
    bool damaged;
    uint64_t last_number; /* of its segments */
};

struct ms_rebuild {
    const struct ms_rebuild_options *options;
    struct ms_rebuild_result result;
    struct ms_svc *svc; /* of the store that is made */
    struct ms_rebuild_tenant *tenant; /* that segments tell of */
    size_t tenant_n;
    uint64_t free_bytes; /* defaults of new tenants, as told; 0: not */
    int64_t retention_ms;
    pthread_mutex_t telling; /* the caller's progress(): never two calls at once; innermost */
};

struct ms_listed {
    uint64_t size;
    struct ms_instant modified;
    char etag[MS_ETAG_MAX + 1];
    uint8_t claimed; /* a version names it */
};
void ms_listed_put(struct ms_writer *w, const struct ms_listed *listed);
MS_NODISCARD enum ms_code ms_listed_get(struct ms_txn *txn, const char *key,
                                        struct ms_listed *ret_listed, bool *ret_there,
                                        struct ms_error *reterr);

/* What an object tells of itself. */
struct ms_birth {
    struct ms_tenant_id tenant;
    struct ms_asset_id asset;
    struct ms_object_id object;
    struct ms_instant created, modified;
    uint64_t size;
    char name[MS_NAME_BYTES_MAX + 1]; /* legal */
    char key[MS_OBJECT_KEY_MAX + 1], etag[MS_ETAG_MAX + 1], media_type[129];
};
MS_NODISCARD enum ms_code ms_birth_get(struct ms_txn *txn, struct ms_asset_id asset,
                                       struct ms_birth *ret_birth, bool *ret_there,
                                       struct ms_error *reterr);
void ms_birth_put(struct ms_writer *w, const struct ms_birth *birth);
MS_NODISCARD enum ms_code ms_birth_read(struct ms_view value, struct ms_birth *ret_birth,
                                        struct ms_error *reterr);

/* Rows to be put into SCRATCH, or (value empty) taken from it, many in one commit. */
struct ms_scratch_row {
    struct ms_key key;
    size_t at, n; /* of the value, in the batch's bytes */
};
struct ms_scratch_batch {
    struct ms_svc *svc;
    struct ms_scratch_row *row;
    unsigned n;
    struct ms_buf bytes;
};
MS_NODISCARD enum ms_code ms_scratch_begin(struct ms_scratch_batch *b, struct ms_svc *svc,
                                           struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_scratch_add(struct ms_scratch_batch *b, const struct ms_key *key,
                                         struct ms_view value, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_scratch_commit(struct ms_scratch_batch *b, struct ms_error *reterr);
void ms_scratch_end(struct ms_scratch_batch *b);

/* A key of SCRATCH of these parts. */
struct ms_key ms_scratch_of_id(char what, struct ms_id a);
struct ms_key ms_scratch_of_ids(char what, struct ms_tenant_id t, struct ms_id b);
struct ms_key ms_scratch_of_ino(char what, struct ms_tenant_id t, uint64_t ino);
/* A line that is there, parsed. *ret_json NULL: there is none. */
MS_NODISCARD enum ms_code ms_scratch_line(struct ms_txn *txn, const struct ms_key *key,
                                          json_t **ret_json, struct ms_error *reterr);

void ms_rebuild_note(struct ms_rebuild *r, const char *kind, const char *fmt, ...) MS_PRINTF(3, 4);
MS_NODISCARD enum ms_code ms_rebuild_goes_on(struct ms_rebuild *r, const char *stage,
                                             uint64_t done, uint64_t total,
                                             struct ms_error *reterr);
/* Run work(priv, i) for every i below n on a few threads; the first failure is returned, when all
 * that were begun have ended. */
typedef enum ms_code ms_rebuild_work_fn(void *priv, size_t i, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_rebuild_parallel(ms_rebuild_work_fn *work, void *priv, size_t n,
                                              struct ms_error *reterr);

/* In this order: */
MS_NODISCARD enum ms_code ms_rebuild_list(struct ms_rebuild *r, struct ms_error *reterr);
/* Whether a read that failed with this says that the bytes are gone: it would fail the next time too, and the rebuild
 * does without them. Else it is the way to the store, and the rebuild ends, to be begun again. MS_IO is a bad sector
 * below a dir: store, and a connection that broke of any other. */
bool ms_rebuild_is_damage(const char *object_url, enum ms_code code);
MS_NODISCARD enum ms_code ms_rebuild_fold(struct ms_rebuild *r, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_rebuild_births(struct ms_rebuild *r, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_rebuild_build(struct ms_rebuild *r, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_rebuild_hash(struct ms_rebuild *r, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_rebuild_tidy(struct ms_rebuild *r, struct ms_error *reterr);

/* ---- inside a write: rebuild_tree.c and rebuild_asset.c --------------------------------------- */

/* What one operation did; it may run twice, so it counts here and not in the rebuild. */
struct ms_built {
    uint64_t folders, files, others, bytes, binned, by_birth, newer, displaced, lost;
    struct {
        char kind[16], text[240];
    } note[16];
    unsigned notes_n;
};
void ms_built_note(struct ms_built *b, const char *kind, const char *fmt, ...) MS_PRINTF(3, 4);

/* The new number of a folder of old: made now, with those above it, when it is not there yet. The
 * root when nothing is known of it. */
MS_NODISCARD enum ms_code ms_rebuild_folder(const struct ms_tree *t, uint64_t old,
                                            struct ms_built *built, uint64_t *ret_ino,
                                            struct ms_error *reterr);
/* A name in a folder, " (2)" and so on when it is taken. inode is not stored. */
MS_NODISCARD enum ms_code ms_rebuild_name(const struct ms_tree *t, uint64_t dir, const char *name,
                                          const struct ms_inode_record *inode,
                                          struct ms_built *built, struct ms_error *reterr);
/* The names of an inode's line; *ret_n how many it has got. */
MS_NODISCARD enum ms_code ms_rebuild_names(const struct ms_tree *t, const json_t *line,
                                           const struct ms_inode_record *inode,
                                           struct ms_built *built, uint32_t *ret_n,
                                           struct ms_error *reterr);
/* An asset with its file in the tree; line NULL: the inode is not told of, so it appears in its type
 * folder. */
MS_NODISCARD enum ms_code ms_rebuild_asset(const struct ms_tree *t, struct ms_asset_id id,
                                           const json_t *inode_line, struct ms_built *built,
                                           struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_rebuild_asset_by_birth(const struct ms_tree *t,
                                                    const struct ms_birth *birth,
                                                    struct ms_built *built,
                                                    struct ms_error *reterr);

#endif

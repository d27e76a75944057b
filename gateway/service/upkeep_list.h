/* upkeep_list.h — what the object store has, listed once and kept beside memory; and the keys that
 * rows know. For gc and fsck.
 *
 * The order is the point: a key is in an intent row before the store can have anything under it, so
 * what was listed *before* the rows were read, and is in none of them, belongs to nobody.
 *
 * Threads: one listing belongs to one thread.
 */
#ifndef MS_SERVICE_UPKEEP_LIST_H
#define MS_SERVICE_UPKEEP_LIST_H

#include "service/upkeep_walk.h"

#include <stdio.h>

/* One object or unfinished upload of the store. */
struct ms_stored {
    char key[MS_OBJECT_KEY_MAX + 1];
    char upload_id[MS_UPLOAD_ID_MAX + 1]; /* "" of an object */
    uint64_t size;
    char etag[MS_ETAG_MAX + 1]; /* "" when the list has none */
};

/* In a file without a name, so memory does not grow with the store. */
struct ms_stored_list {
    FILE *file;
    uint64_t n;
};
/* Whether msasset makes such keys for versions: "<asset>/<file>.<n>.<suffix>", ".fsync" behind it
 * perhaps. Whatever else lies there is not ours to judge. */
bool ms_stored_is_ours(const char *key);
/* List all objects (or unfinished uploads) of our making that are not younger than `before` (none:
 * whatever their age). A store without multipart has no uploads. */
MS_NODISCARD enum ms_code ms_stored_list_make(struct ms_svc *svc, bool uploads,
                                              struct ms_instant before,
                                              struct ms_stored_list *ret_list,
                                              struct ms_error *reterr);
void ms_stored_list_rewind(struct ms_stored_list *list);
/* Errors: MS_NOT_FOUND at the end; MS_IO. */
MS_NODISCARD enum ms_code ms_stored_list_next(struct ms_stored_list *list,
                                              struct ms_stored *ret_stored,
                                              struct ms_error *reterr);
void ms_stored_list_fini(struct ms_stored_list *list);

/* One request of the calling thread; each of these fails with what the store says. */
MS_NODISCARD enum ms_code ms_stored_delete(struct ms_svc *svc, const char *key,
                                           struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_stored_abort(struct ms_svc *svc, const struct ms_stored *upload,
                                          struct ms_error *reterr);
/* Whether a request that failed with this may have failed for its own object alone: a bad sector, a hold on a key, a
 * server that does not get at it. Not one that failed before it was sent, or that the caller stopped. */
bool ms_stored_fails_alone(enum ms_code code);
/* Errors: MS_NOT_FOUND. */
MS_NODISCARD enum ms_code ms_stored_head(struct ms_svc *svc, const char *key, uint64_t *ret_size,
                                         char ret_etag[MS_ETAG_MAX + 1], struct ms_error *reterr);

/* Which keys rows know, as sorted hashes of 8 bytes: two keys of one hash are taken for one, which
 * keeps what might be deleted, never the other way round. */
uint64_t ms_key_hash(const char *key);
MS_NODISCARD enum ms_code ms_known_keys(struct ms_svc *svc, bool intents_only,
                                        struct ms_numbers *ret_hashes, struct ms_error *reterr);

/* What an fsync puts beside the key on a store without multipart: key and this. */
#define MS_FSYNC_SUFFIX ".fsync"

#endif

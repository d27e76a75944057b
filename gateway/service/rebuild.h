/* rebuild.h — a new store from the bucket alone: birth facts of the objects and the catalogue's
 * segments (catalogue.h).
 *
 * The store is made in "<dir>.rebuild" beside its place and gets its name when it is whole: killed
 * anywhere, it is begun again. The bucket is only read, but for its marker with take_over.
 *
 * What comes back: tenants with their settings, folders, names, links, modes, times, attributes,
 * assets with state, tags, bin and bytes, as the newest segment tells them. An object that no
 * segment knows comes back by its birth facts: in its tenant's type folder under its birth name. A
 * newer object of a known asset wins over the one that the segment names; where the tenant's uploads
 * are reviewed both wait for a verdict (held.h), since nothing tells of one. Block hashes that no
 * segment has are computed from the bytes.
 *
 * What does not: the ledger's and the audit log's history (both begin anew, with what there is),
 * leases and unfinished uploads, names beyond MS_CATALOGUE_NAMES_MAX of one inode, empty files and
 * changes that no segment tells yet.
 */
#ifndef MS_SERVICE_REBUILD_H
#define MS_SERVICE_REBUILD_H

#include "service/service.h"

struct ms_rebuild_options {
    struct ms_svc_options store; /* dir: missing or empty; object_url: the bucket */
    bool dry_run;   /* everything but hashes and the store's name */
    bool take_over; /* the bucket gets this store's new id: the old store, if it lives, is shut out */
    /* Something that was lost, or is not as it was; text names it. May be NULL. */
    void (*note)(void *priv, const char *kind, const char *text);
    /* stage: "objects", "lines", "assets" (counts) or "hashes" (bytes); total 0: not known. False:
     * stop, with MS_CANCELLED. From any thread of the rebuild, one at a time. May be NULL. */
    bool (*progress)(void *priv, const char *stage, uint64_t done, uint64_t total);
    void *priv;
};
struct ms_rebuild_result {
    uint64_t listed, listed_bytes;                  /* objects of versions in the bucket */
    uint64_t segments, segments_damaged;            /* read; cut or unreadable, in whole or in part */
    uint64_t lines, lines_damaged;
    uint64_t tenants, tenants_unnamed;              /* unnamed: known by birth facts only */
    uint64_t folders, files, others, bytes;         /* others: links, fifos, devices */
    uint64_t binned;
    uint64_t by_birth;                              /* of the files: no segment tells of them */
    uint64_t newer;                                 /* of the files: with bytes newer than told, live or held */
    uint64_t displaced;                             /* whose folder or name was gone or taken */
    uint64_t hashed, hashed_bytes;                  /* read to compute their hashes */
    uint64_t changed;                               /* of these: not the bytes that were sealed */
    uint64_t lost;                                  /* assets whose object is missing or of another size */
    uint64_t left;                                  /* objects that nothing wants: gc will delete them */
};
/* Errors: MS_EXISTS, MS_FOREIGN dir has something in it; MS_NOT_FOUND the bucket has no marker;
 * MS_CANCELLED; what the object store says. */
MS_NODISCARD enum ms_code ms_rebuild(const struct ms_rebuild_options *options,
                                     struct ms_rebuild_result *ret_result,
                                     struct ms_error *reterr);

#endif

/* derive.h — make what belongs beside an asset's MAIN (model/derived.h): a cover, the WebM of a MOV with alpha, the
 * pages of a deck. Background work: in the end of "msasset sweep", or "msasset derive run".
 *
 * A run goes through all finished assets and makes what is WAITING: it writes MAIN's verified bytes into a folder of
 * its own below <store>/derive/, has a converter work there, shut in (probe/confine.h) and limited in time, and
 * brings what that made into the asset as an upload does (confirm.h): declared, which reserves, sent, confirmed,
 * where the prober must find what was to be made. What cannot be made is a file of the asset in FAILED with its
 * reason: the converter failed, crashed, hung, made too much; MAIN's bytes are damaged; the quota does not hold it.
 * That fails nothing else, and is not tried again unless said so. What the store's disk has no room for is put off to
 * the next run. What was made of bytes that were replaced since is
 * removed.
 *
 * Killed in the middle: the folder is emptied by the next run, a file that was declared and not confirmed is
 * cancelled by it, and all begins anew. One run at a time, by a lock on <store>/derive.lock, which also says what is
 * at work. Frozen, binned, in review, failed: not looked at until that is over. A converter that is not installed:
 * what needs it waits.
 *
 * Threads: any. Network, disk and converters: never inside a transaction.
 */
#ifndef MS_SERVICE_DERIVE_H
#define MS_SERVICE_DERIVE_H

#include "model/derived.h"
#include "service/asset.h"

#define MS_DERIVE_MEMORY_BYTES (UINT64_C(4) << 30) /* address space of a converter */

/* What a converter may make: one file, and all that lies in its folder beside MAIN. Over the first it is told EFBIG,
 * over the second it is ended, and that derivation fails. */
struct ms_derive_most {
    uint64_t file_bytes, all_bytes;
};
struct ms_derive_most ms_derive_most(enum ms_derived_kind kind);

struct ms_derive_options {
    const char *confine; /* msasset-probe */
    const char *ffmpeg;  /* absolute; "": what needs it waits */
    const char *pdf;     /* pdftocairo; likewise */
    const char *office;  /* soffice.bin of LibreOffice, which makes a PDF of pptx and ppt; likewise */
    int64_t timeout_ms;  /* of one converter */
    uint64_t free_bytes; /* that the store's disk keeps: with less, nothing is converted, and what runs is ended */
    int64_t pause_ms;    /* real time since the last run, under which nothing is done; 0: none */
    bool again;          /* what failed, too */
    bool (*goes_on)(void *priv); /* asked between two derivations; NULL */
    void *priv;
};
struct ms_derive_result {
    uint64_t looked, made, failed, removed; /* assets; derivations; derivations; files */
    uint64_t waiting;                       /* derivations without a converter, or in assets that have all files that
                                               they may have */
    uint64_t put_off;                       /* assets that the disk had no room for, or failed */
    struct ms_error why;                    /* of the first that was put off */
    bool busy;                              /* another run is at it: nothing was done */
    bool paused;                            /* by pause_ms: nothing was done */
};
/* All tenants. Errors: what the store says; MS_CANCELLED. What one asset meets is no error of the run. */
MS_NODISCARD enum ms_code ms_derive_run(struct ms_svc *svc, const struct ms_derive_options *options,
                                        struct ms_derive_result *ret_result,
                                        struct ms_error *reterr);

/* Of one asset, by kind. Errors: MS_NOT_FOUND. */
struct ms_derived_all {
    struct ms_derived of[MS_DERIVED_COUNT];
    bool working[MS_DERIVED_COUNT]; /* just now: the API's TRANSCODING, CONVERTING */
};
MS_NODISCARD enum ms_code ms_derive_look(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         const struct ms_asset_info *info,
                                         struct ms_derived_all *ret_all, struct ms_error *reterr);

#endif

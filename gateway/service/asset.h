/* asset.h — assets as commands and API see them: find, list, put, get, delete, restore, purge. */
#ifndef MS_SERVICE_ASSET_H
#define MS_SERVICE_ASSET_H

#include "model/derived.h"
#include "service/file.h"
#include "service/standing.h"
#include "service/tree.h"

struct ms_asset_info {
    struct ms_asset_record asset; /* effective at the request's instant */
    struct ms_file_record main;   /* {0} while there is none */
    struct ms_version_record version;
    bool probed;                  /* facts are those of version */
    struct ms_facts_record facts;
    struct ms_derived webm, pages; /* made of it (model/derived.h) */
    struct ms_facts_record webm_facts; /* webm has succeeded: these, and its size */
    uint64_t webm_size;
    struct ms_limits limits; /* that hold here: where the content is usable follows from both */
    enum ms_state state; /* shown */
    ms_warning warning;  /* what comes of it unless somebody pays; "" */
    char path[8192];     /* computed; in the bin: where it was; "" when nowhere */
    uint64_t size;       /* of the bytes that the owner sees; main.size: of those that are live */
    bool waits;          /* for review: pending is the case, version and facts those of a held MAIN */
    struct ms_review_record pending;
};
/* What is judged about its content: lives as long as info. */
struct ms_content ms_asset_content(const struct ms_asset_info *info);
MS_NODISCARD enum ms_code ms_asset_get(struct ms_svc *svc, const struct ms_ctx *ctx,
                                       struct ms_asset_id id, struct ms_asset_info *ret_info,
                                       struct ms_error *reterr);
/* A path in the tree or a 32-hex id. Errors: MS_NOT_FOUND, naming both readings. */
MS_NODISCARD enum ms_code ms_asset_find(struct ms_svc *svc, const struct ms_ctx *ctx,
                                        const char *path_or_id, struct ms_asset_info *ret_info,
                                        struct ms_error *reterr);
/* In id order behind `after` (none: from the start), bounded pages. states: bits 1 << enum
 * ms_state, 0: all. What is DELETED is in no list, swept or not. */
MS_NODISCARD enum ms_code ms_asset_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                                        struct ms_asset_id after, uint32_t states,
                                        struct ms_asset_info *ret_infos, size_t max, size_t *ret_n,
                                        struct ms_error *reterr);

/* One life-cycle event on one asset by the table; delete, restore, force delete, freeze, unfreeze,
 * activate... why goes to audit row and, for freezes, to the asset with code. Refusals:
 * MS_WRONG_STATE, MS_NOT_PERMITTED with the rule. */
struct ms_asset_event {
    struct ms_asset_id id;
    enum ms_event event;
    const char *why, *reason_code;
    struct ms_instant at; /* ANNOUNCE, SCHEDULE */
    uint8_t scheduled_op;
    const char *restore_to; /* RESTORE: another path; NULL: where it was */
};
MS_NODISCARD enum ms_code ms_asset_apply(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         const struct ms_asset_event *event,
                                         struct ms_asset_info *ret_info, struct ms_error *reterr);

/* Upload a local file to a path in the tree, with the same engine as the mount; blocks until
 * sealed. An existing file there is overwritten when replace is set: the asset keeps its id.
 * progress is told what the store has; it may be NULL; false cancels. */
struct ms_put {
    int fd;
    const char *path;
    uint32_t mode;
    bool replace;
    struct timespec mtime; /* 0: now */
    bool produced;         /* a composited video: service/produce.h */
    uint64_t seconds;      /* it lasts */
    bool (*progress)(void *priv, uint64_t done, uint64_t total);
    void *priv;
};
MS_NODISCARD enum ms_code ms_asset_put(struct ms_svc *svc, const struct ms_ctx *ctx,
                                       const struct ms_put *put, struct ms_asset_info *ret_info,
                                       struct ms_error *reterr);
/* Write the verified bytes of an asset's MAIN to fd. Models: refused for tenants (product.md 3.6).
 */
struct ms_get {
    struct ms_asset_id id;
    int fd;
    bool (*progress)(void *priv, uint64_t done, uint64_t total);
    void *priv;
};
MS_NODISCARD enum ms_code ms_asset_fetch(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         const struct ms_get *get, struct ms_error *reterr);

#endif

/* confirm_part.h — between the files of confirm.h. Private. */
#ifndef MS_SERVICE_CONFIRM_PART_H
#define MS_SERVICE_CONFIRM_PART_H

#include "content/hash.h"
#include "content/media.h"
#include "service/probing.h"
#include "service/confirm.h"
#include "service/held.h"
#include "service/tree_rows.h"

/* ---- rows (confirm.c) ------------------------------------------------------------------------ */

/* A declared file with its asset, what is overdue considered (read) or applied (write). */
struct ms_declared_rows {
    struct ms_tree_asset asset;
    struct ms_file_record file; /* state: as of now */
    struct ms_upload_record upload;
    bool open; /* upload is there: it waits for its confirmation */
};
/* Errors: MS_NOT_FOUND never declared, or its asset is gone. */
MS_NODISCARD enum ms_code ms_declared_load(const struct ms_tree *t, struct ms_file_id file,
                                           struct ms_declared_rows *ret_rows,
                                           struct ms_error *reterr);
/* What may be done with it while it waits: the asset is neither frozen nor in the bin, and of a
 * state that takes files. what: "confirming". Errors: MS_WRONG_STATE. */
MS_NODISCARD enum ms_code ms_declared_may(const struct ms_tree *t,
                                          const struct ms_declared_rows *rows, const char *what,
                                          struct ms_error *reterr);
/* Whether the asset may get a file of that category now. Errors: MS_WRONG_STATE. */
MS_NODISCARD enum ms_code ms_asset_takes_file(const struct ms_tree *t,
                                              const struct ms_tree_asset *asset,
                                              enum ms_category category, const char *what,
                                              struct ms_error *reterr);
/* An asset by id. Errors: MS_NOT_FOUND. */
MS_NODISCARD enum ms_code ms_asset_load(const struct ms_tree *t, struct ms_asset_id id,
                                        struct ms_tree_asset *ret_asset, struct ms_error *reterr);
/* A text of the caller's, checked: valid UTF-8 without control characters; with lines there may be line breaks and
 * tabs. Errors: MS_INVALID, MS_RANGE, naming what. */
MS_NODISCARD enum ms_code ms_text_take(const char *what, const char *text, bool lines,
                                       size_t chars_max, size_t bytes_max, char *ret_text,
                                       struct ms_error *reterr);
/* One that waits, for sending bytes to it: *ret_left_ms may be NULL. Errors: MS_UNAVAILABLE its
 * upload was never opened. */
MS_NODISCARD enum ms_code ms_declared_open(struct ms_svc *svc, const struct ms_ctx *ctx,
                                           struct ms_file_id file,
                                           struct ms_declared_rows *ret_rows, int64_t *ret_left_ms,
                                           struct ms_error *reterr);
/* May an asset that has n files get another one? Errors: MS_RANGE. */
MS_NODISCARD enum ms_code ms_files_room(unsigned n, struct ms_error *reterr);

/* ---- what the store has (confirm_read.c) ----------------------------------------------------- */

/* What a confirmation found. Mismatches of size are known before anything is completed. */
struct ms_found_bytes {
    uint64_t size;
    bool complete; /* the object stands under its key, and the members below are filled */
    char etag[MS_ETAG_MAX + 1];
    uint8_t md5[16];
    uint8_t root[16];
    struct ms_hashes hashes; /* the caller's */
    char media_type[MS_MEDIA_TYPE_MAX + 1];
    struct ms_probed probed;
};
void ms_found_bytes_fini(struct ms_found_bytes *found);
/* Complete the upload, read it and have it examined. Errors: MS_NOT_FOUND nothing has come; MS_CONFLICT;
 * MS_UNAVAILABLE there is nobody to examine it: confirm it again. */
MS_NODISCARD enum ms_code ms_found_bytes(struct ms_svc *svc, const struct ms_declared_rows *rows,
                                         const struct ms_confirm *confirm,
                                         struct ms_found_bytes *found, struct ms_error *reterr);

/* The judge of section 4 for MAIN: the one place at which content is judged at a confirmation.
 * Errors are verdicts: MS_WRONG_KIND, MS_TOO_LARGE. */
MS_NODISCARD enum ms_code ms_confirm_judge(const struct ms_asset_record *asset, const char *name,
                                           const struct ms_found_bytes *found, bool large,
                                           const struct ms_limits *limits, struct ms_error *reterr);
/* Of a declaration, before there are bytes. */
MS_NODISCARD enum ms_code ms_confirm_judge_name(const struct ms_asset_record *asset,
                                                const char *name, uint64_t size, bool large,
                                                struct ms_error *reterr);

/* ---- the commit (confirm_seal.c) ------------------------------------------------------------- */

struct ms_confirm_seal {
    struct ms_file_id file;
    struct ms_version_id version;
    const struct ms_found_bytes *found;
    const uint8_t *root; /* as in struct ms_confirm */
};
ms_write_fn ms_confirm_seal_op; /* args: struct ms_confirm_seal; out: struct ms_confirmed */

/* ---- upkeep (confirm_sweep.c) ---------------------------------------------------------------- */

/* Files that are overdue. *ret_next: the first that is not; none when there is none. */
MS_NODISCARD enum ms_code ms_sweep_files(struct ms_svc *svc, struct ms_tenant_id tenant,
                                         struct ms_instant now, uint64_t *ret_cancelled,
                                         struct ms_instant *ret_next, struct ms_error *reterr);
/* Remove from the store what ended uploads left there. A store that fails is asked another time. */
MS_NODISCARD enum ms_code ms_ended_settle(struct ms_svc *svc, struct ms_tenant_id tenant,
                                          uint64_t *ret_settled, struct ms_error *reterr);

#endif

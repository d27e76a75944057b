/* review.h — verdicts on new assets and on edits of finished ones (product.md section 3.4).
 *
 * In a tenant whose uploads are reviewed, an asset whose MAIN is sealed stays CREATING, and a new title
 * or description of a finished one is held aside, each with one row in REVIEW (I12) until a verdict
 * comes: pass, reject, or "a person must look". The machine's verdict comes in two steps: the list of
 * words (model/words.h) over title and description, which rejects by the first word; then the program
 * or the URL that the configuration names (with both, the URL is asked about what the program passes).
 * Where nothing is configured a person must look. A reviewer that is down, slow or talks nonsense leaves
 * the case where it is, to be asked again after one minute, two, four, at most an hour: nothing is lost
 * and nothing goes live. Three cases in a row without an answer end a run: the others wait for the next.
 * New cases come first, then those that got no answer, the one first whose last try is longest ago: so
 * three that never get one keep no other from being asked.
 *
 * The program gets one JSON object on its standard input (asset_id, tenant_id, asset_type, asset_name,
 * asset_description, tags, media_type, size_bytes, edit) and answers by its exit status: 0 pass, 1
 * reject, 2 a person must look; the first line of its output is the reason. It runs without a shell
 * and without arguments, in a process group of its own that ends with its time.
 *
 * A URL gets the same object in a signed request (webhook.h).
 *
 * A verdict is on what the reviewer saw: an edit that comes meanwhile makes the case a new one.
 *
 * Threads: any. No transaction is open while a reviewer works.
 */
#ifndef MS_SERVICE_REVIEW_H
#define MS_SERVICE_REVIEW_H

#include "service/asset.h"

enum ms_verdict { MS_VERDICT_PASS, MS_VERDICT_REJECT, MS_VERDICT_HUMAN };
const char *ms_verdict_name(enum ms_verdict v); /* "pass" */

/* Whether uploads and edits of the tenant are reviewed from now on; what waits goes on waiting. Errors:
 * MS_DENIED not an administrator. */
MS_NODISCARD enum ms_code ms_review_set(struct ms_svc *svc, const struct ms_ctx *ctx, bool on,
                                        struct ms_error *reterr);

struct ms_review_case {
    struct ms_review_record row;
    struct ms_asset_record asset; /* effective */
    enum ms_state state;
    struct ms_file_record main; /* size and kind: of the bytes that a verdict is asked for */
    bool edit; /* of a finished asset: what is held is in row */
};
/* In the order of ids behind `after`; *ret_n below max: the end. */
MS_NODISCARD enum ms_code ms_review_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         struct ms_asset_id after, struct ms_review_case *ret_cases,
                                         size_t max, size_t *ret_n, struct ms_error *reterr);
/* Errors: MS_NOT_FOUND no verdict on it is outstanding. */
MS_NODISCARD enum ms_code ms_review_get(struct ms_svc *svc, const struct ms_ctx *ctx,
                                        struct ms_asset_id asset, struct ms_review_case *ret_case,
                                        struct ms_error *reterr);

struct ms_review_decide {
    struct ms_asset_id asset;
    enum ms_verdict verdict; /* of a person: PASS or REJECT */
    bool machine;
    struct ms_instant since; /* the case as it was seen; none: as it is */
    const char *reason;      /* shown to the owner when it is rejected; may be "" */
};
/* Errors: MS_NOT_FOUND; MS_WRONG_STATE not an administrator, by the life cycle; MS_CONFLICT it was
 * edited meanwhile. */
MS_NODISCARD enum ms_code ms_review_decide(struct ms_svc *svc, const struct ms_ctx *ctx,
                                           const struct ms_review_decide *decide,
                                           struct ms_error *reterr);

/* New texts of an asset; NULL: as it is. *ret_held: aside until the verdict (a further edit replaces a
 * held text); else they are its texts now. Errors: MS_NOT_FOUND; MS_WRONG_STATE; MS_INVALID, MS_RANGE. */
struct ms_asset_edit {
    struct ms_asset_id id;
    const char *name, *description;
};
MS_NODISCARD enum ms_code ms_asset_edit(struct ms_svc *svc, const struct ms_ctx *ctx,
                                        const struct ms_asset_edit *edit, bool *ret_held,
                                        struct ms_error *reterr);

/* Ask the machine about every case of the tenant that waits for it. Errors: MS_CONFIG, MS_NO_INPUT the
 * list of words or the secret cannot be read, MS_INVALID the URL (every case waits); those of the
 * store. */
struct ms_reviewed {
    uint64_t passed, rejected, human, unanswered;
};
MS_NODISCARD enum ms_code ms_review_run(struct ms_svc *svc, struct ms_tenant_id tenant,
                                        struct ms_reviewed *ret_reviewed, struct ms_error *reterr);

/* The same for every tenant: what time brings about is the sweep's, what a reviewer says is not, so the
 * sweep does not do this. One tenant that fails keeps no other from it; the first failure is returned. */
MS_NODISCARD enum ms_code ms_review_run_all(struct ms_svc *svc, struct ms_reviewed *ret_reviewed,
                                            struct ms_error *reterr);

#endif

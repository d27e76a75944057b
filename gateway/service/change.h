/* change.h — the few steps of which every write operation is made, each keeping its invariant
 * inside one transaction.
 *
 * I4 usage equals the fold of the ledger; I5 every non-final asset with a deadline has exactly one
 * due row; every change of state is one audit row; an object's refs equal the versions that name
 * it. No other file touches counters, chains, due rows or refs. Called inside write operations
 * only.
 */
#ifndef MS_SERVICE_CHANGE_H
#define MS_SERVICE_CHANGE_H

#include "lifecycle/lifecycle.h"
#include "model/asset_type.h"
#include "service/ctx.h"
#include "service/tables.h"

/* Load the tenant and raise the commit instant above its last closed day. Errors: MS_NO_TENANT. */
MS_NODISCARD enum ms_code ms_change_begin(struct ms_txn *txn, struct ms_tenant_id tenant,
                                          struct ms_tenant_record *ret_tenant,
                                          struct ms_error *reterr);

/* Audit events beside those of the life cycle (enum ms_event). */
#define MS_AUDIT_CREATED 255   /* a new asset; from is MS_STATE_COUNT */
#define MS_AUDIT_REQUESTED 254 /* a tenant asks for an unfreeze; from and to are the state it has */
#define MS_AUDIT_REFUSED 253   /* an administrator refused what was asked for */
/* A declared file (service/confirm.h): what its asset shows stays. */
#define MS_AUDIT_EDITED 244       /* its texts changed */
#define MS_AUDIT_REVIEW_HUMAN 243 /* the machine's verdict: a person must look */
/* Of the tenant as a whole (service/arrears.h). */
#define MS_AUDIT_ARREARS_ON 242
#define MS_AUDIT_ARREARS_OFF 241
#define MS_AUDIT_ARREARS_ENDED 240 /* every asset of it was deleted */
#define MS_AUDIT_FOLDER_BINNED 239 /* a folder with all it held (service/treeop.h); why: its path */
/* Whom an asset is shared with (service/share.h). */
#define MS_AUDIT_SHARED 238        /* until when, in `why`: also when that was changed */
#define MS_AUDIT_UNSHARED 237
#define MS_AUDIT_SHARE_EXPIRED 236 /* by time: from and to are no state, because it depends on none */
#define MS_AUDIT_SETTINGS 235 /* a setting of the tenant changed; why: which, from and to */
#define MS_AUDIT_FILE_DECLARED 249
#define MS_AUDIT_FILE_CONFIRMED 248
#define MS_AUDIT_FILE_CANCELLED 247
#define MS_AUDIT_FILE_FAILED 246
#define MS_AUDIT_FILE_REMOVED 245
const char *ms_audit_event_name(uint8_t event); /* "CREATED", "FREEZE"; of no event: "?" */
/* A row about something that changes no state. asset: none for the tenant as a whole. */
MS_NODISCARD enum ms_code ms_change_note(struct ms_txn *txn, struct ms_tenant_id tenant,
                                         const char *who, struct ms_asset_id asset, uint8_t event,
                                         enum ms_state shown, const char *why,
                                         struct ms_error *reterr);

/* The asset's committed bytes are now `bytes`: ledger event, counters, the asset's own figure. at:
 * the event's instant (commit instant, or the due instant of what time brought about). The record
 * is changed, not stored. */
enum ms_why {
    MS_WHY_SEAL,
    MS_WHY_DELETE,
    MS_WHY_FAIL,
    MS_WHY_FILE,
    MS_WHY_TRANSFER_IN,
    MS_WHY_TRANSFER_OUT,
    MS_WHY_SETTINGS, /* no bytes moved: free quota, allowance or pay-per-use of the tenant */
    MS_WHY_PRODUCE,  /* the first bytes of a composited video: its minutes are metered */
    MS_WHY_CLASS,    /* time moved its bytes to another class */
    MS_WHY_PACKAGE,  /* a package was bought: its first term begins */
    MS_WHY_RENEW,    /* terms were added, in time, late, or by itself */
    MS_WHY_TERM,     /* a further term that was bought begins */
    MS_WHY_EXPIRE,   /* the last term is over */
    MS_WHY_COUNT
};
const char *ms_why_name(enum ms_why why); /* "seal"; of a number that is none: "?" */
MS_NODISCARD enum ms_code ms_change_bytes(struct ms_txn *txn, struct ms_tenant_id tenant,
                                          struct ms_asset_record *asset, uint64_t bytes,
                                          enum ms_why why, struct ms_instant at,
                                          struct ms_error *reterr);

/* The first bytes of a composited video: as ms_change_bytes, and its minutes. at is the asset's
 * creation.   paid_hundredths  what packages do not hold */
struct ms_minutes_used {
    uint64_t seconds, hundredths, paid_hundredths;
};
MS_NODISCARD enum ms_code ms_change_produced(struct ms_txn *txn, struct ms_tenant_id tenant,
                                             struct ms_asset_record *asset, uint64_t bytes,
                                             const struct ms_minutes_used *minutes,
                                             struct ms_instant at, struct ms_error *reterr);

/* The tenant is new, or its free quota, extra allowance or pay-per-use are now these: a ledger row
 * at the commit instant, so that the bill knows since when. The record is not stored. */
MS_NODISCARD enum ms_code ms_change_settings(struct ms_txn *txn,
                                             const struct ms_tenant_record *tenant,
                                             const struct ms_usage_record *usage,
                                             struct ms_error *reterr);

/* A package begins, is renewed, or a term of it begins or ends: a ledger row, and the tenant's extra
 * allowance follows. Errors: MS_RANGE the allowance would pass 2^63 - 1. */
struct ms_package_change {
    enum ms_why why;
    struct ms_instant at;
    uint64_t more, less; /* capacity, bytes */
    bool fee;            /* a term begins that is charged */
    uint32_t terms;      /* bought */
};
MS_NODISCARD enum ms_code ms_change_package(struct ms_txn *txn,
                                            const struct ms_tenant_record *tenant,
                                            struct ms_id package,
                                            const struct ms_package_change *change,
                                            struct ms_error *reterr);
/* Store it, with its due row at due (INT64_MAX: none). */
MS_NODISCARD enum ms_code ms_change_package_store(struct ms_txn *txn, struct ms_tenant_id tenant,
                                                  struct ms_package_record *package,
                                                  struct ms_instant due, struct ms_error *reterr);

/* Replace the asset's life by next: audit row (from and to are shown states), due row, binned
 * counters, feed row. The record is changed and stored. event says what happened, why may be "". */
MS_NODISCARD enum ms_code ms_change_life(struct ms_txn *txn, struct ms_tenant_id tenant,
                                         const char *who, struct ms_asset_record *asset,
                                         const struct ms_life *next, enum ms_event event,
                                         struct ms_instant at, const char *why,
                                         struct ms_error *reterr);
/* A new asset: stored, counted, owned, audited, its due row set. */
MS_NODISCARD enum ms_code ms_change_new_asset(struct ms_txn *txn, struct ms_tenant_id tenant,
                                              const char *who, struct ms_asset_record *asset,
                                              struct ms_error *reterr);
/* Deadlines beside those of the life cycle, in the same index. Numbers are on disk. */
enum ms_due_other {
    MS_DUE_CLASS = 64,   /* a produced video starts to count: its six months are over */
    MS_DUE_PACKAGE = 65, /* of a package, whose id it names: service/package.h */
    MS_DUE_ARREARS = 66, /* of the tenant, whose id it names: service/arrears.h */
    MS_DUE_TREE = 67,    /* of an operation on a folder, whose id it names: service/treeop.h */
};
/* What an asset waits for next: a deadline of its life, or the change of its class; kind NONE and
 * INT64_MAX for nothing. Of two at one instant the life's comes first. */
struct ms_asset_due {
    uint8_t kind; /* enum ms_due_kind, MS_DUE_CLASS */
    struct ms_instant at;
};
struct ms_asset_due ms_asset_due(const struct ms_asset_record *asset, struct ms_mask mask);
const char *ms_asset_due_name(uint8_t kind);

/* Apply what is overdue for one asset at `now`, its declared files too, dated with the due instants, and what
 * became of it with its folder (service/treeop.h); the record is what
 * remains (rest may be DELETED: then every row of it but audit and ledger is gone). Each write use
 * case calls this first. */
MS_NODISCARD enum ms_code ms_change_overdue(struct ms_txn *txn,
                                            const struct ms_tenant_record *tenant,
                                            struct ms_asset_record *asset, struct ms_instant now,
                                            struct ms_error *reterr);
/* What the record of an asset says that is FAILED by time-out: also while nobody has applied it. */
#define MS_TIMEOUT_REASON "no confirmed MAIN within 24 h"
/* Why it failed: shown at once, or once a freeze that has reasons of its own is lifted. */
void ms_asset_set_reason(struct ms_asset_record *asset, const char *code, const char *reason);
/* Why it is frozen: shown as long as that lasts; lifted, the reason of a failure shows again. */
void ms_asset_hold_reason(struct ms_asset_record *asset, const char *code, const char *reason);
void ms_asset_lift_reason(struct ms_asset_record *asset);
/* Its due row is reached but, with the tenant's mask, nothing is due at `now`: the row moves to the
 * earliest instant at which something can be (while a freeze lasts: as if it ended now). Needs:
 * what is overdue is applied. */
MS_NODISCARD enum ms_code ms_change_put_off(struct ms_txn *txn,
                                            const struct ms_tenant_record *tenant,
                                            struct ms_asset_record *asset, struct ms_instant now,
                                            struct ms_error *reterr);
/* Remove an asset for good: bytes, names, inode, bin entry, files, versions, xattrs; objects get
 * tombstones. */
MS_NODISCARD enum ms_code ms_change_purge(struct ms_txn *txn, struct ms_tenant_id tenant,
                                          const char *who, struct ms_asset_record *asset,
                                          enum ms_event event, struct ms_instant at,
                                          const char *why, struct ms_error *reterr);

/* The asset, with what is overdue applied, becomes another tenant's: both ledgers, counters, due rows,
 * audit rows (from, and to, no state) and the owner, at the commit instant. Its files, versions and names
 * are the caller's; bytes and objects stay where they are. next: what the receiver gets. */
MS_NODISCARD enum ms_code ms_change_transfer(struct ms_txn *txn, struct ms_tenant_id from,
                                             struct ms_tenant_id to, const char *who,
                                             struct ms_asset_record *asset,
                                             const struct ms_life *next, uint64_t ino,
                                             const char *why, struct ms_error *reterr);

/* Its committed bytes go (failed by time-out or mismatch); the file rows stay as FAILED. */
MS_NODISCARD enum ms_code ms_change_free(struct ms_txn *txn, struct ms_tenant_id tenant,
                                         struct ms_asset_record *asset, enum ms_why why,
                                         struct ms_instant at, struct ms_error *reterr);

/* The same about a file of an asset, dated by the caller. */
MS_NODISCARD enum ms_code ms_change_file_note(struct ms_txn *txn,
                                              const struct ms_tenant_record *tenant,
                                              const char *who, const struct ms_asset_record *asset,
                                              uint8_t event, struct ms_instant at, const char *why,
                                              struct ms_error *reterr);

/* ---- declared files (service/confirm.h) ------------------------------------------------------ */

/* File, upload, owner and due row are stored, what the upload reserves is counted. Whether the quota
 * has it is the caller's to know. */
MS_NODISCARD enum ms_code ms_change_upload_begin(struct ms_txn *txn, struct ms_tenant_id tenant,
                                                 const struct ms_file_record *file,
                                                 const struct ms_upload_record *upload,
                                                 struct ms_error *reterr);
/* It is over: reservation and rows go. sealed: its object has a row of its own now; else what the
 * store has of it waits in ENDED to be removed. The file's row is the caller's. */
MS_NODISCARD enum ms_code ms_change_upload_end(struct ms_txn *txn, struct ms_tenant_id tenant,
                                               const struct ms_upload_record *upload, bool sealed,
                                               struct ms_error *reterr);
/* A file of an asset goes: its declaration and its version, when it has them. The row stays as it
 * is, or (drop) goes with its owner row. */
MS_NODISCARD enum ms_code ms_change_file_drop(struct ms_txn *txn, struct ms_tenant_id tenant,
                                              struct ms_asset_id asset,
                                              const struct ms_file_record *file, bool drop,
                                              struct ms_error *reterr);
/* When the upload is over by time; INT64_MAX: never. life: effective, now: of the question. */
struct ms_instant ms_upload_ends(const struct ms_tenant_record *tenant, const struct ms_life *life,
                                 const struct ms_file_record *file, struct ms_instant now);
/* The same for each declared file of the asset whose time is over at `at`: before its life changes, so
 * that the row says what the asset showed at the instant at which it was due, swept by then or not. */
MS_NODISCARD enum ms_code ms_change_uploads_overdue(struct ms_txn *txn,
                                                    const struct ms_tenant_record *tenant,
                                                    const struct ms_asset_record *asset,
                                                    struct ms_instant at, struct ms_error *reterr);
/* Its due row is reached: it is CANCELLED, dated with the instant at which it was due, or, when a
 * freeze has put that off, the row moves. The asset: what is overdue of it is applied. */
MS_NODISCARD enum ms_code ms_change_upload_due(struct ms_txn *txn,
                                               const struct ms_tenant_record *tenant,
                                               const struct ms_asset_record *asset,
                                               struct ms_upload_record *upload,
                                               struct ms_instant now, bool *ret_cancelled,
                                               struct ms_error *reterr);

/* ---- shares (service/share.h, change_share.c) ------------------------------------------------ */

/* Its rows in SHARE, SHARED and SHAREDUE are stored; an earlier share of the same asset with the same
 * tenant is replaced. */
MS_NODISCARD enum ms_code ms_change_share_put(struct ms_txn *txn, const struct ms_share_record *share,
                                              struct ms_error *reterr);
/* The three rows go. */
MS_NODISCARD enum ms_code ms_change_share_end(struct ms_txn *txn, const struct ms_share_record *share,
                                              struct ms_error *reterr);
/* The same by time: an audit row of the owner, dated with the share's end. */
MS_NODISCARD enum ms_code ms_change_share_expire(struct ms_txn *txn, const struct ms_share_record *share,
                                                 struct ms_error *reterr);
/* Those of the asset that are over at `at` expire. *ret_left: how many there are besides. */
MS_NODISCARD enum ms_code ms_change_shares_overdue(struct ms_txn *txn, struct ms_tenant_id tenant,
                                                   struct ms_asset_id asset, struct ms_instant at,
                                                   size_t *ret_left, struct ms_error *reterr);
/* Whether one is left then; also true when that cannot be read. */
bool ms_change_is_shared(struct ms_txn *txn, struct ms_tenant_id tenant, struct ms_asset_id asset,
                         struct ms_instant at);
/* The asset ends, or becomes another tenant's: no share is left, and the row about that says so. */
MS_NODISCARD enum ms_code ms_change_shares_drop(struct ms_txn *txn, struct ms_tenant_id tenant,
                                                struct ms_asset_id asset, struct ms_instant at,
                                                struct ms_error *reterr);

/* ---- names and the bin ----------------------------------------------------------------------- */

struct ms_bin_place {
    uint64_t parent;
    const char *name; /* spelling */
};
/* Enter the asset in the bin. place NULL: where its first name is now, and all its names go. With a
 * place the caller has taken the names away already (unlink, rename over it). The life is the
 * caller's: ms_change_life. */
MS_NODISCARD enum ms_code ms_change_bin(struct ms_txn *txn, struct ms_tenant_id tenant,
                                        const char *who, struct ms_asset_record *asset,
                                        struct ms_instant at, const struct ms_bin_place *place,
                                        struct ms_error *reterr);
/* Its bin rows go; the caller gives it a name again. */
MS_NODISCARD enum ms_code ms_change_unbin(struct ms_txn *txn, struct ms_tenant_id tenant,
                                          const struct ms_asset_record *asset,
                                          struct ms_error *reterr);
/* The oldest name of a file. Errors: MS_NOT_FOUND it has none. */
MS_NODISCARD enum ms_code ms_change_first_place(struct ms_txn *txn, struct ms_tenant_id tenant,
                                                uint64_t ino, uint64_t *ret_parent,
                                                char ret_name[MS_NAME_BYTES_MAX + 1],
                                                struct ms_error *reterr);
/* Every name of a file that is no folder goes, its folders' times and the feed follow. nlink is the
 * caller's. */
MS_NODISCARD enum ms_code ms_change_remove_names(struct ms_txn *txn, struct ms_tenant_id tenant,
                                                 uint64_t ino, struct ms_error *reterr);
/* A new inode: stored and counted. */
MS_NODISCARD enum ms_code ms_change_inode_new(struct ms_txn *txn, struct ms_tenant_id tenant,
                                              const struct ms_inode_record *inode,
                                              struct ms_error *reterr);
/* The inode's own rows go: record, xattrs, link target, orphan mark; usage.inodes counts down. */
MS_NODISCARD enum ms_code ms_change_inode_drop(struct ms_txn *txn, struct ms_tenant_id tenant,
                                               uint64_t ino, struct ms_error *reterr);

/* References of objects. release: at 0 the object row becomes a tombstone; hashes go with the
 * tombstone. */
MS_NODISCARD enum ms_code ms_change_object_take(struct ms_txn *txn, struct ms_object_id object,
                                                struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_change_object_release(struct ms_txn *txn, struct ms_tenant_id tenant,
                                                   struct ms_object_id object,
                                                   struct ms_error *reterr);
/* A version goes: row deleted, its object released. */
MS_NODISCARD enum ms_code ms_change_version_drop(struct ms_txn *txn, struct ms_tenant_id tenant,
                                                 struct ms_version_id version,
                                                 struct ms_error *reterr);

/* Quota. Reserve up to want bytes for (instance, ino): grants what fits, *ret_granted may be less,
 * even 0; growth of the lease row and of usage.reserved in one step. at_least: below this much
 * nothing is granted. unasked: as in struct ms_tree. */
MS_NODISCARD enum ms_code ms_change_reserve(struct ms_txn *txn, struct ms_tenant_id tenant,
                                            struct ms_instance_id instance, uint64_t ino,
                                            uint64_t want, uint64_t at_least, bool unasked,
                                            uint64_t *ret_granted, struct ms_error *reterr);
/* Give back what is above keep_bytes; 0: the lease row goes. */
MS_NODISCARD enum ms_code ms_change_unreserve(struct ms_txn *txn, struct ms_tenant_id tenant,
                                              struct ms_instance_id instance, uint64_t ino,
                                              uint64_t keep_bytes, struct ms_error *reterr);

/* What a tenant may still reserve: allowance - metered - reserved, never below 0. */
uint64_t ms_usage_left(const struct ms_tenant_record *tenant, const struct ms_usage_record *usage);
/* The counters as they are at `now`, swept or not: what is deleted, freed, binned, or counts in another
 * class by then, packages that have ended, declarations that are over, and arrears. A look at two indexes
 * when nothing is overdue. Beyond 4096 overdue rows the rest waits for a sweep; so do the inodes of a
 * tenant whose arrears have ended. unasked: as in struct ms_tree. */
MS_NODISCARD enum ms_code ms_usage_now(struct ms_txn *txn, struct ms_tenant_id tenant,
                                       struct ms_instant now, bool unasked,
                                       struct ms_usage_record *ret_usage, struct ms_error *reterr);

/* ---- feed rows: what other processes must forget --------------------------------------------- */
enum ms_feed_kind {
    MS_FEED_INODE = 1, /* attributes of ino changed */
    MS_FEED_CONTENT,   /* ino has a new version: a fresh generation */
    MS_FEED_ENTRY,     /* (parent, name) now names something else or nothing */
    MS_FEED_TENANT,    /* mask or settings changed: everything of it */
    MS_FEED_FREEZE,    /* ino may no longer be read, or again: ask anew for warm handles and mappings; name: the id of
                          the asset that decides it, for what has its bytes under other inodes; "": only ino */
    MS_FEED_RECALL,    /* quota is short: give back unused leases of this tenant */
};
struct ms_feed_row {
    uint8_t kind;
    struct ms_tenant_id tenant;
    uint64_t ino;                     /* ENTRY: the parent */
    char name[MS_NAME_BYTES_MAX + 1]; /* ENTRY: spelling as given */
};
MS_NODISCARD enum ms_code ms_change_feed(struct ms_txn *txn, const struct ms_feed_row *row,
                                         struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_feed_decode(struct ms_view change, struct ms_feed_row *ret_row,
                                         struct ms_error *reterr);

#endif

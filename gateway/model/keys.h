/* keys.h — the key layout of every table: one function per table, one byte of table first.
 *
 * Integers big-endian, ids raw, names last. Keys start with the tenant behind the table byte, so
 * that a tenant is a range and a foreign id cannot be reached; GLOBAL tables are the exceptions.
 *
 *   META      'M'                                    meta            GLOBAL
 *   TENANT    'T' tenant                             tenant          GLOBAL
 *   TNAME     't' tenant name                        tenant id       GLOBAL
 *   AOWNER    'a' asset                              tenant id       GLOBAL   who owns an asset id
 *   OBJECT    'O' object                             object          GLOBAL
 *   HASHES    'H' object, chunk u32                  hashes          GLOBAL
 *   TOMB      'K' object                             tombstone       GLOBAL
 *   LOCAL     'W' instant i64, object                 local           GLOBAL   in the order of upload
 *   INTENT    'J' instance, intent                   intent          GLOBAL   belongs to a process
 *   PART      'q' intent, part_no u32                part            GLOBAL
 *   LEASE     'S' tenant, ino u64, instance          lease
 *   USAGE     'U' tenant                             usage
 *   ASSET     'A' tenant, asset                      asset
 *   FILE      'F' tenant, asset, file                file
 *   VERSION   'V' tenant, version                    version
 *   FACTS     'f' tenant, version                    facts           what a probe found in its bytes
 *   INODE     'I' tenant, ino u64                    inode
 *   NAME      'N' tenant, parent u64, NFC name       name
 *   ENTRY     'n' tenant, parent u64, seq u64        entry
 *   LINK      'p' tenant, ino u64, parent u64, seq   link
 *   SYMLINK   'y' tenant, ino u64                    target text
 *   XATTR     'X' tenant, ino u64, name              bytes
 *   BIN       'B' tenant, bin                        bin
 *   BINASSET  'b' tenant, asset                      bin id
 *   DUE       'D' tenant, instant i64, kind u8, id   due
 *   LEDGER    'L' tenant, seq u64                    ledger
 *   AUDIT     'E' tenant, seq u64                    audit
 *   CHAIN     'C' tenant, 'L', 'E' or 'J'            chain
 *   TREEOP    'R' tenant, treeop                     treeop
 *   REQUEST   'Q' tenant, request                    request         unfreeze requests; they stay
 *   ASKED     'u' tenant, asset or none              request id      the one that is not decided yet
 *   TRANSFER  'x' job                                transfer        GLOBAL
 *   XASSET    'v' job, asset                         asset id        GLOBAL   what it moves
 *   PENDING   'e' asset                              job id          GLOBAL   the last job made for it
 *   XTENANT   'h' tenant, job                        job id          sent or received
 *   ORPHAN    'o' tenant, ino u64                    opener          (recovery walks no inodes)
 *   ACCOUNT   'Z' tenant                             account
 *   DAY       'Y' tenant, midnight i64               day
 *   PACKAGE   'G' tenant, package                    package
 *   BOUND     'v' tenant, package, asset             asset id        what is bound to a package
 *   ORDER     'e' tenant, order                      package id      a purchase happens once
 *   ADJUST    'j' tenant, seq u64                    adjust
 *   RATEMONTH 'r' month i64                          ratemonth       GLOBAL
 *   MARK      'k' tenant, table byte, its key        8 bytes         changed since the catalogue was written
 *   CATALOGUE 'c' tenant                             catalogue       its segments in the object store
 *   REVIEW    'i' tenant, asset                      review          a verdict is outstanding
 *   UPLOAD    'P' tenant, file                       upload          declared, not confirmed
 *   ENDED     'g' tenant, file                       upload          its bytes in the store wait to be removed
 *   FILEDUE   'd' tenant, instant i64, file          asset id
 *   FOWNER    'w' tenant, file                       asset id        of declared files
 *   SHARE     'l' tenant, asset, receiver            share           whom an asset is shared with
 *   SHARED    's' receiver, asset                    owner's id      GLOBAL   what is shared with a tenant
 *   SHAREDUE  'm' tenant, instant i64, asset, receiver   receiver's id   when a share ends
 *   SCRATCH   'z' ...                                lines, numbers  of a rebuild at work; never in a finished store
 * The store keeps its own rows under 0x00 (processes, numbers, feed, last instant).
 */
#ifndef MS_MODEL_KEYS_H
#define MS_MODEL_KEYS_H

#include "base/codec.h"
#include "model/limits.h"

/* A key being built: MS_AUTO is not needed. view is valid while the struct lives and is not
 * moved. */
struct ms_key {
    uint8_t bytes[480];
    size_t len;
};
static inline struct ms_view ms_key_view(const struct ms_key *k) {
    return ms_view_of(k->bytes, k->len);
}

/* Texts come checked (names.h). One that is longer than any row's gives a key that finds
 * nothing. */
struct ms_key ms_key_meta(void);
struct ms_key ms_key_tenant(struct ms_tenant_id t);
struct ms_key ms_key_tenants(void);                       /* prefix */
struct ms_key ms_key_tname(const char *name);
struct ms_key ms_key_aowner(struct ms_asset_id a);
struct ms_key ms_key_object(struct ms_object_id o);
struct ms_key ms_key_objects(void);                       /* prefix */
struct ms_key ms_key_hashes(struct ms_object_id o, uint32_t chunk);
struct ms_key ms_key_hashes_of(struct ms_object_id o);    /* prefix */
struct ms_key ms_key_tomb(struct ms_object_id o);
struct ms_key ms_key_tombs(void);                         /* prefix */
struct ms_key ms_key_local(struct ms_instant since, struct ms_object_id o);
struct ms_key ms_key_locals(void);                        /* prefix */
struct ms_key ms_key_intent(struct ms_instance_id i, struct ms_intent_id n);
struct ms_key ms_key_intents_of(struct ms_instance_id i); /* prefix */
struct ms_key ms_key_intents(void);                       /* prefix */
struct ms_key ms_key_part(struct ms_intent_id n, uint32_t part_no);
struct ms_key ms_key_parts_of(struct ms_intent_id n);     /* prefix */
struct ms_key ms_key_lease(struct ms_tenant_id t, uint64_t ino, struct ms_instance_id i);
struct ms_key ms_key_leases_of(struct ms_tenant_id t);    /* prefix */
struct ms_key ms_key_usage(struct ms_tenant_id t);
struct ms_key ms_key_asset(struct ms_tenant_id t, struct ms_asset_id a);
struct ms_key ms_key_assets_of(struct ms_tenant_id t);    /* prefix */
struct ms_key ms_key_file(struct ms_tenant_id t, struct ms_asset_id a, struct ms_file_id f);
struct ms_key ms_key_files_of(struct ms_tenant_id t, struct ms_asset_id a); /* prefix */
struct ms_key ms_key_version(struct ms_tenant_id t, struct ms_version_id v);
struct ms_key ms_key_versions_of(struct ms_tenant_id t);  /* prefix */
struct ms_key ms_key_facts(struct ms_tenant_id t, struct ms_version_id v);
struct ms_key ms_key_facts_of(struct ms_tenant_id t);     /* prefix */
struct ms_key ms_key_inode(struct ms_tenant_id t, uint64_t ino);
struct ms_key ms_key_inodes_of(struct ms_tenant_id t);    /* prefix */
struct ms_key ms_key_name(struct ms_tenant_id t, uint64_t parent, const char *nfc);
struct ms_key ms_key_names_of(struct ms_tenant_id t, uint64_t parent); /* prefix */
struct ms_key ms_key_entry(struct ms_tenant_id t, uint64_t parent, uint64_t seq);
struct ms_key ms_key_entries_of(struct ms_tenant_id t, uint64_t parent); /* prefix */
struct ms_key ms_key_link(struct ms_tenant_id t, uint64_t ino, uint64_t parent, uint64_t seq);
struct ms_key ms_key_links_of(struct ms_tenant_id t, uint64_t ino); /* prefix */
struct ms_key ms_key_symlink(struct ms_tenant_id t, uint64_t ino);
struct ms_key ms_key_xattr(struct ms_tenant_id t, uint64_t ino, const char *name);
struct ms_key ms_key_xattrs_of(struct ms_tenant_id t, uint64_t ino); /* prefix */
struct ms_key ms_key_bin(struct ms_tenant_id t, struct ms_bin_id b);
struct ms_key ms_key_bins_of(struct ms_tenant_id t);      /* prefix */
struct ms_key ms_key_binasset(struct ms_tenant_id t, struct ms_asset_id a);
struct ms_key ms_key_due(struct ms_tenant_id t, struct ms_instant at, uint8_t kind,
                         struct ms_id id);
struct ms_key ms_key_dues_of(struct ms_tenant_id t);      /* prefix */
struct ms_key ms_key_ledger(struct ms_tenant_id t, uint64_t seq);
struct ms_key ms_key_ledgers_of(struct ms_tenant_id t);   /* prefix */
struct ms_key ms_key_audit(struct ms_tenant_id t, uint64_t seq);
struct ms_key ms_key_audits_of(struct ms_tenant_id t);    /* prefix */
struct ms_key ms_key_chain(struct ms_tenant_id t, char which);
struct ms_key ms_key_treeop(struct ms_tenant_id t, struct ms_treeop_id r);
struct ms_key ms_key_treeops_of(struct ms_tenant_id t);   /* prefix */
struct ms_key ms_key_request(struct ms_tenant_id t, struct ms_request_id r);
struct ms_key ms_key_requests_of(struct ms_tenant_id t);  /* prefix */
struct ms_key ms_key_asked(struct ms_tenant_id t, struct ms_asset_id a);
struct ms_key ms_key_transfer(struct ms_transfer_id x);
struct ms_key ms_key_transfer_asset(struct ms_transfer_id x, struct ms_asset_id a);
struct ms_key ms_key_transfer_assets(struct ms_transfer_id x); /* prefix */
struct ms_key ms_key_pending(struct ms_asset_id a);
struct ms_key ms_key_transfer_of(struct ms_tenant_id t, struct ms_transfer_id x);
struct ms_key ms_key_transfers_of(struct ms_tenant_id t); /* prefix */
struct ms_key ms_key_orphan(struct ms_tenant_id t, uint64_t ino);
struct ms_key ms_key_orphans_of(struct ms_tenant_id t);   /* prefix */
struct ms_key ms_key_account(struct ms_tenant_id t);
struct ms_key ms_key_day(struct ms_tenant_id t, struct ms_instant midnight);
struct ms_key ms_key_days_of(struct ms_tenant_id t);      /* prefix */
struct ms_key ms_key_package(struct ms_tenant_id t, struct ms_package_id p);
struct ms_key ms_key_packages_of(struct ms_tenant_id t);  /* prefix */
struct ms_key ms_key_bound(struct ms_tenant_id t, struct ms_package_id p, struct ms_asset_id a);
struct ms_key ms_key_bound_to(struct ms_tenant_id t, struct ms_package_id p); /* prefix */
struct ms_key ms_key_order(struct ms_tenant_id t, const char *order);
struct ms_key ms_key_adjust(struct ms_tenant_id t, uint64_t seq);
struct ms_key ms_key_adjusts_of(struct ms_tenant_id t);   /* prefix */
struct ms_key ms_key_ratemonth(struct ms_instant month);
struct ms_key ms_key_ratemonths(void);                    /* prefix */
/* of: a key that starts with the tenant. The mark's key has all of it, so it can be had back. */
struct ms_key ms_key_mark(const struct ms_key *of);
/* The key of no row: for the mark of an object that has died. */
struct ms_key ms_key_of_dead(struct ms_tenant_id t, struct ms_object_id o);
struct ms_key ms_key_marks_of(struct ms_tenant_id t);     /* prefix */
struct ms_key ms_key_marks(void);                         /* prefix */
struct ms_key ms_key_catalogue(struct ms_tenant_id t);
struct ms_key ms_key_review(struct ms_tenant_id t, struct ms_asset_id a);
struct ms_key ms_key_reviews_of(struct ms_tenant_id t);   /* prefix */
struct ms_key ms_key_upload(struct ms_tenant_id t, struct ms_file_id f);
struct ms_key ms_key_uploads_of(struct ms_tenant_id t);   /* prefix */
struct ms_key ms_key_uploads(void);                       /* prefix */
struct ms_key ms_key_ended(struct ms_tenant_id t, struct ms_file_id f);
struct ms_key ms_key_ended_of(struct ms_tenant_id t);     /* prefix */
struct ms_key ms_key_filedue(struct ms_tenant_id t, struct ms_instant at, struct ms_file_id f);
struct ms_key ms_key_filedues_of(struct ms_tenant_id t);  /* prefix */
struct ms_key ms_key_fowner(struct ms_tenant_id t, struct ms_file_id f);
struct ms_key ms_key_fowners_of(struct ms_tenant_id t);   /* prefix */
struct ms_key ms_key_share(struct ms_tenant_id t, struct ms_asset_id a, struct ms_tenant_id receiver);
struct ms_key ms_key_shares_of(struct ms_tenant_id t);    /* prefix */
struct ms_key ms_key_shares_of_asset(struct ms_tenant_id t, struct ms_asset_id a); /* prefix */
struct ms_key ms_key_shared(struct ms_tenant_id receiver, struct ms_asset_id a);
struct ms_key ms_key_shared_with(struct ms_tenant_id receiver); /* prefix */
struct ms_key ms_key_sharedue(struct ms_tenant_id t, struct ms_instant at, struct ms_asset_id a,
                              struct ms_tenant_id receiver);
struct ms_key ms_key_sharedues_of(struct ms_tenant_id t); /* prefix */
/* Rows of a rebuild at work; what: one byte of its own choice, then any bytes (at most 400). */
struct ms_key ms_key_scratch(char what, const void *p, size_t n);

/* The parts of a whole key, table byte included, as a scan gives it. Errors: MS_CORRUPT another
 * table or length. */
MS_NODISCARD enum ms_code ms_key_split_due(struct ms_view key, struct ms_tenant_id *ret_t,
                                           struct ms_instant *ret_at, uint8_t *ret_kind,
                                           struct ms_id *ret_id, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_key_split_filedue(struct ms_view key, struct ms_tenant_id *ret_t,
                                               struct ms_instant *ret_at,
                                               struct ms_file_id *ret_file,
                                               struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_key_split_sharedue(struct ms_view key, struct ms_tenant_id *ret_t,
                                                struct ms_instant *ret_at, struct ms_asset_id *ret_asset,
                                                struct ms_tenant_id *ret_receiver, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_key_split_link(struct ms_view key, uint64_t *ret_ino,
                                            uint64_t *ret_parent, uint64_t *ret_seq,
                                            struct ms_error *reterr);

#endif

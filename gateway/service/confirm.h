/* confirm.h — uploads as the API has them: an asset is created, a file of it declared, its bytes go
 * straight to the store, and a confirmation makes them the file (product.md 3.2, design.md section
 * 4).
 *
 *   ms_asset_create -> ms_file_declare -> ms_file_url, or ms_file_send -> ms_file_confirm
 *
 * A declaration commits the row of the upload (name, size, MD5, object key, reservation) before the
 * store has anything under the key. The key's multipart upload is opened then, and only a
 * confirmation completes it: a URL sends one part of it, so no URL can change what is confirmed.
 * Confirming compares size and MD5 with what was declared, judges MAIN by the rules of section 4,
 * hashes the bytes, which never passed this program, and seals them in one commit: version, place in
 * the tree, states. Killed between any two steps a confirmation has happened or has not; it is simply
 * made again, and what a cancelled upload left in the store is removed by a row of its own (ENDED)
 * that sweep and every confirmation work off.
 *
 * Choices where the specification is silent:
 *  - A confirmation for which no byte has come is refused and changes nothing (MS_NOT_FOUND): the
 *    client was too early; MISMATCH is for bytes that differ.
 *  - FAILED or CANCELLED for the MAIN of an asset that is being created leaves the asset CREATING:
 *    another MAIN may be declared until its 24 h are over.
 *  - A MAIN whose declared suffix or size cannot be of its type is refused at declaration.
 *  - TEMPORARY is declared with the suffix of the MAIN that it replaces: the path keeps its name. It
 *    becomes the MAIN file, with its own id; what breaks a rule is dropped, and the old MAIN stays.
 *  - One that the store cannot give because its bytes differ from what the tenant's quota has left
 *    (declared without a size) stays unconfirmed, with the numbers, until there is room.
 *
 * Threads: any. Network: never inside a transaction. See: gateway/README.md "Life of an upload".
 */
#ifndef MS_SERVICE_CONFIRM_H
#define MS_SERVICE_CONFIRM_H

#include "service/asset.h"

struct ms_asset_new {
    enum ms_asset_type type;
    enum ms_origin origin;   /* other than UPLOADED: administrators */
    const char *name;        /* 0..256 characters */
    const char *description; /* 0..4096; NULL: none, as below */
    const char *tags;        /* comma-separated */
    const char *app_user_id;
};
/* One commit: an asset in CREATING; its MAIN has 24 h. Errors: MS_INVALID, MS_RANGE a text;
 * MS_NOT_PERMITTED a type or origin of the platform's; MS_WRONG_STATE the tenant is frozen. */
MS_NODISCARD enum ms_code ms_asset_create(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          const struct ms_asset_new *make,
                                          struct ms_asset_id *ret_id, struct ms_error *reterr);

struct ms_declare {
    struct ms_asset_id asset;
    enum ms_category category;
    const char *name;   /* 1..256 characters */
    const uint8_t *md5; /* 16 bytes; NULL: not declared */
    uint64_t size;      /* 0: not declared, of a large file only */
    uint32_t parts;     /* 1..100 URLs; more than 1 of a large file only */
    bool derived;       /* made of MAIN (model/derived.h): its name says so, and the type does not matter */
    bool large;         /* F4: MAIN, OTHER, PACKAGE; up to 500 GB where the type has no suffixes */
};
struct ms_declared {
    struct ms_file_id file;
    struct ms_instant until; /* confirmed by then, or CANCELLED (MAIN: the asset FAILED) */
};
/* Errors: MS_NOT_FOUND the asset; MS_WRONG_STATE; MS_EXISTS a second MAIN, COVER or TEMPORARY;
 * MS_WRONG_KIND, MS_TOO_LARGE not of its type; MS_QUOTA with the numbers; MS_RANGE too many files;
 * MS_UNSUPPORTED a store without multipart; what the store says (the declaration stays). */
MS_NODISCARD enum ms_code ms_file_declare(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          const struct ms_declare *declare,
                                          struct ms_declared *ret_declared,
                                          struct ms_error *reterr);

/* The URL of one part, good until the file's deadline at most, and the headers that must be sent
 * with it. Errors: MS_UNSUPPORTED the store signs no URLs: ms_file_send. */
MS_NODISCARD enum ms_code ms_file_url(struct ms_svc *svc, const struct ms_ctx *ctx,
                                      struct ms_file_id file, uint32_t part_no,
                                      struct ms_buf *ret_url, struct ms_buf *ret_headers,
                                      struct ms_error *reterr);

/* Send the bytes of a local file through the same upload. Again: from its start. */
struct ms_send {
    struct ms_file_id file;
    int fd; /* a regular file */
    bool (*progress)(void *priv, uint64_t done, uint64_t total); /* NULL; false cancels */
    void *priv;
};
MS_NODISCARD enum ms_code ms_file_send(struct ms_svc *svc, const struct ms_ctx *ctx,
                                       const struct ms_send *send, struct ms_error *reterr);

/* MD5 and size of a local file, read from its start. Errors: MS_IO, MS_CANCELLED. */
MS_NODISCARD enum ms_code ms_md5_fd(const struct ms_send *send, uint8_t ret_md5[16],
                                    uint64_t *ret_size, struct ms_error *reterr);

enum ms_confirm_as { MS_CONFIRM_CREATED, MS_CONFIRM_FAILED, MS_CONFIRM_CANCELLED };
struct ms_confirm {
    struct ms_file_id file;
    enum ms_confirm_as as;
    bool (*progress)(void *priv, uint64_t done, uint64_t total); /* bytes read; NULL */
    void *priv;
    const uint8_t *root; /* 16 bytes: it must have that root hash, or is not what was declared; NULL: any */
};
/* What became of it: the commit stands whatever the verdict is. */
struct ms_confirmed {
    struct ms_asset_id asset;
    enum ms_state state; /* of the asset, shown */
    enum ms_file_state file_state;
    enum ms_code verdict; /* MS_OK; MS_MISMATCH, MS_WRONG_KIND, MS_TOO_LARGE: it failed by that */
    char reason[MS_REASON_MAX + 1];
};
/* Errors (nothing is changed): MS_NOT_FOUND no such file, or no bytes have come; MS_WRONG_STATE it
 * was confirmed, failed or cancelled before, or the asset's state does not allow it; MS_QUOTA;
 * MS_CONFLICT its parts are replaced all the time; what the store says. */
MS_NODISCARD enum ms_code ms_file_confirm(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          const struct ms_confirm *confirm,
                                          struct ms_confirmed *ret_confirmed,
                                          struct ms_error *reterr);

/* F3: a file other than MAIN goes, its bytes too. Errors: MS_NOT_FOUND; MS_WRONG_STATE. */
MS_NODISCARD enum ms_code ms_file_remove(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         struct ms_file_id file, struct ms_error *reterr);

/* A file that could not be made: a row in FAILED with its reason, and nothing else. */
struct ms_file_failed {
    struct ms_asset_id asset;
    enum ms_category category;
    char name[MS_FILE_NAME_BYTES_MAX + 1], reason[MS_REASON_MAX + 1];
};
MS_NODISCARD enum ms_code ms_file_note_failed(struct ms_svc *svc, const struct ms_ctx *ctx,
                                              const struct ms_file_failed *failed,
                                              struct ms_error *reterr);

/* The files of an asset with their states as of now, by id. *ret_n <= max. */
MS_NODISCARD enum ms_code ms_file_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                                       struct ms_asset_id asset, struct ms_file_record *ret_files,
                                       size_t max, size_t *ret_n, struct ms_error *reterr);

#endif

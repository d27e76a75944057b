/* parcel.h — what the commands of the upload flow share: types, categories, MD5s and local files. */
#ifndef MS_CLI_PARCEL_H
#define MS_CLI_PARCEL_H

#include "cli/out.h"
#include "service/confirm.h"

/* Any case. Errors: MS_USAGE, naming those that there are. */
MS_NODISCARD enum ms_code ms_cli_type(const char *text, enum ms_asset_type *ret_type,
                                      struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_cli_category(const char *text, enum ms_category *ret_category,
                                          struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_cli_file_id(const char *text, struct ms_file_id *ret_file,
                                         struct ms_error *reterr);
/* 24 characters of base64, as the API has it, or 32 hex digits. Errors: MS_USAGE. */
MS_NODISCARD enum ms_code ms_cli_md5(const char *text, uint8_t ret_md5[16], struct ms_error *reterr);

/* A regular file, read only. Errors: MS_NO_INPUT. */
MS_NODISCARD enum ms_code ms_cli_open_upload(const char *file, int *ret_fd, struct ms_error *reterr);

/* What the confirmation found, as text or JSON; a verdict becomes the command's error. */
MS_NODISCARD enum ms_code ms_cli_confirmed(struct ms_cli *cli, const struct ms_confirmed *confirmed,
                                           json_t *results, struct ms_error *reterr);

#endif

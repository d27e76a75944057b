/* derive_part.h — between derive.c, which knows assets, derive_convert.c, which knows converters, and
 * derive_folder.c, which knows the folder that they work in. Private. */
#ifndef MS_SERVICE_DERIVE_PART_H
#define MS_SERVICE_DERIVE_PART_H

#include "service/derive.h"

#define MS_DERIVE_PATH_MAX 4096

/* <store>/derive, empty. Errors: MS_CANT_CREATE. */
MS_NODISCARD enum ms_code ms_derive_folder_fresh(const struct ms_svc *svc, char ret_folder[MS_DERIVE_PATH_MAX],
                                                 struct ms_error *reterr);
/* Whatever lies in it: any depth, no rights, any number. What cannot be removed is left. */
void ms_derive_folder_drop(const struct ms_svc *svc);
/* What lies in it takes on the disk; UINT64_MAX: more, or deeper, than a converter needs, or hidden. */
uint64_t ms_derive_folder_bytes(const char *folder);
/* What its disk has left; UINT64_MAX: it does not say. */
uint64_t ms_derive_folder_free(const char *folder);

/* What was made, open for reading. */
struct ms_made_files {
    int fd[MS_DERIVED_PAGES_MAX]; /* of a page: fd[page - 1] */
    uint64_t size[MS_DERIVED_PAGES_MAX];
    unsigned n;
};
void ms_made_files_fini(struct ms_made_files *made);

/* The converter of a kind from such a content; NULL: it, or one that must run before it, is not configured or
 * installed. */
const char *ms_derive_converter(const struct ms_derive_options *options, enum ms_derived_kind kind,
                                const struct ms_content *content);
/* Run it in folder, which has MAIN as "in". Errors: MS_WRONG_KIND, a verdict: it failed, crashed, took too long,
 * made too much or what was not asked for; MS_NO_SPACE the disk had less left than options say; MS_UNAVAILABLE it could
 * not be started, shut in. */
MS_NODISCARD enum ms_code ms_derive_convert(const struct ms_derive_options *options, const char *folder,
                                            enum ms_derived_kind kind,
                                            const struct ms_content *content,
                                            struct ms_made_files *ret_made, struct ms_error *reterr);

#endif

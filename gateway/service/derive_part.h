/* derive_part.h — between derive.c, which knows assets, and derive_convert.c, which knows converters. Private. */
#ifndef MS_SERVICE_DERIVE_PART_H
#define MS_SERVICE_DERIVE_PART_H

#include "service/derive.h"

/* What was made, open for reading. */
struct ms_made_files {
    int fd[MS_DERIVED_PAGES_MAX]; /* of a page: fd[page - 1] */
    uint64_t size[MS_DERIVED_PAGES_MAX];
    unsigned n;
};
void ms_made_files_fini(struct ms_made_files *made);

/* The converter of a kind; NULL: none is configured or installed. */
const char *ms_derive_converter(const struct ms_derive_options *options, enum ms_derived_kind kind);
/* Run it in folder, which has MAIN as "in". Errors: MS_WRONG_KIND, a verdict: it failed, crashed, took too long, or
 * made what was not asked for; MS_UNAVAILABLE it could not be started, shut in. */
MS_NODISCARD enum ms_code ms_derive_convert(const struct ms_derive_options *options, const char *folder,
                                            enum ms_derived_kind kind,
                                            const struct ms_content *content,
                                            struct ms_made_files *ret_made, struct ms_error *reterr);

#endif

/* derived.h — files that are made of an asset's MAIN: which ones it gets, how they are called, how far they are.
 *
 * A derived file is a file of the asset like others: it counts, it is listed, it goes with it. What makes it one is its
 * name, which says of what it was made:
 *
 *   derived-<version, 32 hex>-cover.jpg    COVER of a video or an image
 *   derived-<version, 32 hex>-alpha.webm   OTHER of a video: VP9 with alpha, of a MOV with alpha
 *   derived-<version, 32 hex>-page-01.png  PAGE of a deck: its first slides, up to MS_DERIVED_PAGES_MAX
 *
 * So no row of its own is needed: how far a derivation is follows from the rows of files (ms_derived_look), and what
 * was made of bytes that were replaced since is known by its name. Such names are refused where a client declares a
 * file.
 *
 * Pure; threads: any.
 */
#ifndef MS_MODEL_DERIVED_H
#define MS_MODEL_DERIVED_H

#include "base/id.h"
#include "model/content_rules.h"

#define MS_DERIVED_PAGES_MAX 50 /* API: automatic analysis converts the first 50 */

#define MS_DERIVED_KINDS(X) X(COVER, "cover") X(WEBM, "webm") X(PAGES, "pages")
enum ms_derived_kind {
#define MS_DERIVED_ENUM(n, name) MS_DERIVED_##n,
    MS_DERIVED_KINDS(MS_DERIVED_ENUM)
#undef MS_DERIVED_ENUM
        MS_DERIVED_COUNT
};
const char *ms_derived_kind_name(enum ms_derived_kind kind); /* "webm" */
enum ms_category ms_derived_category(enum ms_derived_kind kind);

/* Bits 1 << enum ms_derived_kind of what a content gets. None of one that was not read. */
unsigned ms_derived_wanted(const struct ms_content *content);
/* How many pages: 0 for other kinds' contents. */
unsigned ms_derived_pages(const struct ms_content *content);

struct ms_derived_name {
    enum ms_derived_kind kind;
    struct ms_version_id version;
    unsigned page; /* 1..MS_DERIVED_PAGES_MAX of PAGES, else 0 */
};
#define MS_DERIVED_NAME_MAX 63
void ms_derived_format(const struct ms_derived_name *name, char ret_text[MS_DERIVED_NAME_MAX + 1]);
/* Exactly what ms_derived_format makes. */
bool ms_derived_parse(const char *text, struct ms_derived_name *ret_name);

/* How far it is, as the API says it. */
enum ms_derived_state {
    MS_DERIVED_NONE, /* such a content gets none */
    MS_DERIVED_WAITING,
    MS_DERIVED_FAILED, /* with a reason; not tried again by itself */
    MS_DERIVED_SUCCEEDED
};
const char *ms_derived_state_name(enum ms_derived_state state); /* "WAITING"; NONE: "" */

struct ms_derived {
    enum ms_derived_state state;
    unsigned files; /* of it that are there */
    char reason[MS_REASON_MAX + 1];
};
/* From the files of an asset, one by one into what was {0}, or all. A COVER of the tenant's own is one that
 * succeeded; a file that waits or was cancelled is none. main: its version. */
void ms_derived_see(const struct ms_content *content, struct ms_version_id main,
                    const struct ms_file_record *file, enum ms_derived_kind kind,
                    struct ms_derived *derived);
void ms_derived_look(const struct ms_content *content, struct ms_version_id main,
                     const struct ms_file_record *files, size_t n, enum ms_derived_kind kind,
                     struct ms_derived *ret_derived);

/* Whether what a converter made is what it was to make, by what the prober found. Errors: MS_WRONG_KIND. */
MS_NODISCARD enum ms_code ms_derived_accept(enum ms_derived_kind kind,
                                            const struct ms_facts_record *facts,
                                            struct ms_error *reterr);

#endif

/* asset_type.h — one table of asset types: folder, suffixes, size limit (asset_types.def),
 * product.md sections 4 and 6.
 *
 * The suffix decides the type, the folder where that leaves a choice; content must fit it. All
 * pure.
 */
#ifndef MS_MODEL_ASSET_TYPE_H
#define MS_MODEL_ASSET_TYPE_H

#include "base/error.h"
#include "model/limits.h"

#include <stdbool.h>

/* The API's asset_type, in the API's order. */
#define MS_ASSET_TYPES(X)                                                                          \
    X(HUMAN_MODEL) X(VOICE_MODEL) X(SCENE) X(ANIMATION) X(VIDEO) X(IMAGE) X(PPT) X(MATERIAL)       \
    X(NORMAL_MODEL) X(COMMON_FILE) X(HUMAN_MODEL_2D) X(BUSINESS_CARD_TEMPLET) X(MUSIC) X(AUDIO)
enum ms_asset_type {
#define MS_ASSET_TYPE_ENUM(n) MS_TYPE_##n,
    MS_ASSET_TYPES(MS_ASSET_TYPE_ENUM)
#undef MS_ASSET_TYPE_ENUM
        MS_TYPE_COUNT
};

#define MS_CATEGORIES(X) X(MAIN) X(COVER) X(PAGE) X(SAMPLE) X(OTHER) X(TEMPORARY) X(PACKAGE)
enum ms_category {
#define MS_CATEGORY_ENUM(n) MS_CATEGORY_##n,
    MS_CATEGORIES(MS_CATEGORY_ENUM)
#undef MS_CATEGORY_ENUM
        MS_CATEGORY_COUNT
};

#define MS_FILE_STATES(X)                                                                          \
    X(CREATING) X(CREATED) X(FAILED) X(CANCELLED) X(DELETING) X(DELETED) X(UPLOADED) X(REVIEW)     \
    X(BLOCK)
enum ms_file_state {
#define MS_FILE_STATE_ENUM(n) MS_FILE_##n,
    MS_FILE_STATES(MS_FILE_STATE_ENUM)
#undef MS_FILE_STATE_ENUM
        MS_FILE_STATE_COUNT
};

/* The type folders at a tenant's root, in the order of product.md section 6; also what an inode
 * is. */
#define MS_FOLDERS(X)                                                                              \
    X(VIDEOS, "videos") X(IMAGES, "images") X(AUDIO, "audio") X(MUSIC, "music")                    \
    X(PRESENTATIONS, "presentations") X(MODELS, "models") X(VOICES, "voices") X(SCENES, "scenes")  \
    X(ANIMATIONS, "animations") X(MATERIALS, "materials") X(FILES, "files")
enum ms_special {
    MS_SPECIAL_NONE,
    MS_SPECIAL_ROOT,
#define MS_FOLDER_ENUM(n, name) MS_SPECIAL_##n,
    MS_FOLDERS(MS_FOLDER_ENUM)
#undef MS_FOLDER_ENUM
        MS_SPECIAL_COUNT
};
const char *ms_special_name(enum ms_special s); /* "videos"; "" for NONE and ROOT */
bool ms_special_tenant_writes(enum ms_special s); /* false for models/ and voices/ */

const char *ms_asset_type_name(enum ms_asset_type t);
MS_NODISCARD enum ms_code ms_asset_type_parse(const char *text, enum ms_asset_type *ret_t,
                                              struct ms_error *reterr);
const char *ms_category_name(enum ms_category c);
const char *ms_file_state_name(enum ms_file_state s);
enum ms_special ms_asset_type_folder(enum ms_asset_type t); /* where an API asset appears */
/* Largest MAIN of this type: by upload, or written in a mount (types without suffixes: 500 GB
 * there). */
uint64_t ms_asset_type_bytes_max(enum ms_asset_type t, bool in_mount);
bool ms_asset_type_is_model(enum ms_asset_type t); /* MAIN never readable for tenants */

/* True for types that take any suffix and any content; the others have a list of suffixes, and
 * content must fit. */
bool ms_asset_type_takes_any(enum ms_asset_type t);

/* The type of a file by its name and the top folder above it.
 *   empty file            COMMON_FILE, whatever its name: it is not judged
 *   suffix of section 4   its type, in any folder; mp3, m4a and wav are MUSIC in music/, else AUDIO
 *   any other, or none    the folder's type where that type takes any suffix (scenes/: SCENE), else
 *                         COMMON_FILE: notes.txt in videos/ is no video */
enum ms_asset_type ms_asset_type_of_name(const char *name, enum ms_special folder, bool empty);

/* Whether content that libmagic calls media_type fits the type with this suffix (as
 * ms_name_suffix gives it). When it does not, the message says what was found and what the
 * suffix wants. Types without suffixes take anything. Errors: MS_WRONG_KIND. */
MS_NODISCARD enum ms_code ms_asset_type_fits(enum ms_asset_type t, const char *suffix,
                                             const char *media_type, struct ms_error *reterr);
/* Whether this is what libmagic calls the content of some suffix of section 4: worth a probe, whatever the
 * name says, since a rename asks for its facts. */
bool ms_media_type_is_listed(const char *media_type);
/* The Content-Type for the store: what libmagic found; the suffix as tie-break when that is only
 * generic, or one of several names for what a suffix of section 4 stands for. Static text, or
 * media_type itself. */
const char *ms_content_type(const char *media_type, const char *suffix);

#endif

/* content_rules.h — what follows from the facts of a content: whether an upload holds (product.md section
 * 4, first table) and where it is usable (second table). One table, content_rules.def.
 *
 * A pure function of facts, name, type (which follows from name and folder) and size, so that a rename
 * decides without I/O. A broken rule of the first kind fails the asset; of the second kind it is
 * recorded and shown: "not usable in video production: 3840x2160 (at most 1920x1080)".
 *
 * Choices where product.md is silent: a video without a video track, sound that has one, and a content
 * whose container is not its suffix's are of the wrong kind. A frame rate, a pixel format or a size that
 * the file does not tell breaks the rule about it. A content that was not probed is accepted by what
 * libmagic and its size say, and is usable nowhere until it is.
 *
 * Threads: any.
 */
#ifndef MS_MODEL_CONTENT_RULES_H
#define MS_MODEL_CONTENT_RULES_H

#include "model/asset_type.h"
#include "model/content_rules.def"
#include "model/facts.h"

enum ms_limit {
#define MS_LIMIT_ENUM(ID, name, least, most, initial, help) MS_LIMIT_##ID,
    MS_LIMIT_ROWS(MS_LIMIT_ENUM)
#undef MS_LIMIT_ENUM
        MS_LIMIT_COUNT
};
struct ms_limits {
    uint64_t of[MS_LIMIT_COUNT]; /* 0: the default */
};
struct ms_limits ms_limits_default(void);

struct ms_content {
    const struct ms_facts_record *facts; /* NULL: not probed */
    const char *name;
    enum ms_asset_type type;
    uint64_t size; /* bytes */
    const struct ms_facts_record *webm; /* of what was derived of a MOV with alpha (derived.h); NULL: not yet */
    uint64_t webm_size;
};

/* Whether contents of this type are probed at all: VIDEO, IMAGE, AUDIO, MUSIC, PPT. */
bool ms_content_is_probed(enum ms_asset_type t);

/* The rules that fail an asset; limits NULL, here and below: the defaults. Errors: MS_WRONG_KIND
 * unreadable, encrypted, another container than the suffix's, tracks that it must or must not have;
 * MS_TOO_LARGE slides. Bytes are asset_type.h's. */
MS_NODISCARD enum ms_code ms_content_accept(const struct ms_limits *limits,
                                            const struct ms_content *content,
                                            struct ms_error *reterr);

#define MS_USES(X) X(PRODUCTION, "video_production") X(LIVE, "livestreaming") X(PREVIEW, "preview")
enum ms_use {
#define MS_USE_ENUM(n, name) MS_USE_##n,
    MS_USES(MS_USE_ENUM)
#undef MS_USE_ENUM
        MS_USE_COUNT
};
const char *ms_use_name(enum ms_use use); /* "video_production" */

enum ms_use_rule {
    MS_USE_SUFFIX,      /* one of the suffixes of the row */
    MS_USE_CODEC,       /* one of the codecs of the row */
    MS_USE_PLACE,       /* VP8 and VP9 only in WebM, AV1 not in WebM */
    MS_USE_SIDES,       /* short and long side */
    MS_USE_RATE,        /* frames a second, on average */
    MS_USE_VIDEO_BYTES, /* fewer than */
    MS_USE_LENGTH,
    MS_USE_CHROMA,    /* YUV 4:2:0 */
    MS_USE_ALPHA,     /* none */
    MS_USE_MOV_ALPHA, /* judged by the WebM that is made of it; not yet until that is there */
    MS_USE_AUDIO_BYTES,
    MS_USE_IMAGE_BYTES,
    MS_USE_PROBED, /* facts are there, and the content was read */
    /* notes: they break nothing */
    MS_USE_MONO,   /* only mono can be extracted */
    MS_USE_CHROME, /* AV1 and H.265 play in Chrome only */
    MS_USE_RULE_COUNT
};

enum ms_usable { MS_USABLE_NO, MS_USABLE_NOT_YET, MS_USABLE_YES, MS_USABLE_NO_MATTER };
const char *ms_usable_name(enum ms_usable usable); /* "yes", "no", "not_yet" */
#define MS_USE_TEXT_MAX 511
struct ms_use_verdict {
    enum ms_usable usable; /* NO_MATTER: a type that has no such use */
    uint32_t rules;        /* bit 1 << enum ms_use_rule of each that is broken, or noted */
    char text[MS_USE_TEXT_MAX +
              1]; /* each with the found value and the limit, "; " between; "" none */
};
void ms_content_use(const struct ms_limits *limits, const struct ms_content *content,
                    enum ms_use use, struct ms_use_verdict *ret_verdict);

#endif

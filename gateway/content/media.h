/* media.h — what kind of content bytes are: libmagic, corrected where it is known to be wrong.
 *
 * Only the first MS_MEDIA_BYTES are looked at, so a file can be judged when its first part is
 * there; when libmagic finds nothing in the first 4 KiB, it is not asked about the rest. Which
 * suffix takes which kind is model/asset_type.h; tracks, codecs and sizes are the prober's.
 * libmagic runs in the process: it reads hostile bytes, but interprets no codec and writes nothing.
 *
 * Threads: any; calls are serialised (at most about 1 ms each). Lifecycle: ms_media_new() ->
 * ms_media_identify()* -> ms_media_free().
 */
#ifndef MS_CONTENT_MEDIA_H
#define MS_CONTENT_MEDIA_H

#include "base/error.h"

#include <stddef.h>

#define MS_MEDIA_BYTES ((size_t)256 * 1024)
#define MS_MEDIA_TYPE_MAX 127

struct ms_media;

/* Loads libmagic's database, once. Errors: MS_CONFIG not found or damaged; MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_media_new(struct ms_media **ret_media, struct ms_error *reterr);
void ms_media_free(struct ms_media *media); /* NULL is fine */

/* The media type of the file that starts with these bytes: "video/mp4"; "application/octet-stream"
 * when nothing is known, "inode/x-empty" when n is 0. Never a parameter such as a charset. More
 * than MS_MEDIA_BYTES are ignored. Errors: MS_INTERNAL libmagic failed, with its reason. */
MS_NODISCARD enum ms_code ms_media_identify(struct ms_media *media, const void *bytes, size_t n,
                                            char ret_type[MS_MEDIA_TYPE_MAX + 1],
                                            struct ms_error *reterr);

#endif

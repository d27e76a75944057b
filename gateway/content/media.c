#include "content/media.h"

#include "base/assert.h"
#include "content/media_correct.h"

#include <magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file in whose beginning libmagic finds nothing is not searched any further: that costs four
 * times as much (1.6 ms for 100 KiB) and would find nothing of section 4 of product.md, which all
 * begins with its signature, or is found by ms_media_correct() in all the bytes. */
#define BRIEF_BYTES ((size_t)4096)

struct ms_media {
    pthread_mutex_t mutex;
    struct {
        magic_t magic;
    } locked;
};

enum ms_code ms_media_new(struct ms_media **ret_media, struct ms_error *reterr) {
    /* No look into compressed files (it starts programs) or ELF details: neither changes a type. */
    const int flags = MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_ELF;
    struct ms_media *media = calloc(1, sizeof(*media));

    if (!media)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to identify content");
    pthread_mutex_init(&media->mutex, NULL);
    media->locked.magic = magic_open(flags);
    if (!media->locked.magic) {
        ms_media_free(media);
        return ms_fail(reterr, MS_NO_MEMORY, "libmagic cannot start");
    }
    if (magic_load(media->locked.magic, NULL) != 0) {
        enum ms_code code = ms_fail(reterr, MS_CONFIG,
                                    "libmagic cannot load its database: %s; install libmagic-mgc",
                                    magic_error(media->locked.magic));
        ms_media_free(media);
        return code;
    }
    *ret_media = media;
    return MS_OK;
}

void ms_media_free(struct ms_media *media) {
    if (!media)
        return;
    if (media->locked.magic)
        magic_close(media->locked.magic);
    pthread_mutex_destroy(&media->mutex);
    free(media);
}

enum ms_code ms_media_identify(struct ms_media *media, const void *bytes, size_t n,
                               char ret_type[MS_MEDIA_TYPE_MAX + 1], struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    const char *found;

    if (n > MS_MEDIA_BYTES)
        n = MS_MEDIA_BYTES;
    if (n == 0) {
        snprintf(ret_type, MS_MEDIA_TYPE_MAX + 1, "inode/x-empty");
        return MS_OK;
    }
    pthread_mutex_lock(&media->mutex);
    found = magic_buffer(media->locked.magic, bytes, n < BRIEF_BYTES ? n : BRIEF_BYTES);
    if (found && n > BRIEF_BYTES && strcmp(found, "application/octet-stream") != 0)
        found = magic_buffer(media->locked.magic, bytes, n);
    if (found)
        snprintf(ret_type, MS_MEDIA_TYPE_MAX + 1, "%s", ms_media_correct(bytes, n, found));
    else
        code = ms_fail(reterr, MS_INTERNAL, "libmagic cannot identify the content: %s",
                       magic_error(media->locked.magic));
    pthread_mutex_unlock(&media->mutex);
    return code;
}

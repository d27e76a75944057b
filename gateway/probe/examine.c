#include "probe/examine.h"

#include "base/scope.h"
#include "probe/wire.h"

#include <stdlib.h>
#include <string.h>

/* ---- bytes ----------------------------------------------------------------------------------- */

static bool fetch(struct ms_probe_source *s, uint64_t at, uint8_t *into, size_t n) {
    const struct ms_probe_head head = {MS_PROBE_READ, at, (uint32_t)n};
    uint8_t bytes[MS_PROBE_HEAD_BYTES], count[4];

    if (s->fd < 0) {
        memcpy(into, s->memory + at, n);
        return true;
    }
    ms_probe_head_encode(&head, bytes);
    return ms_probe_put(s->fd, bytes, sizeof bytes) && ms_probe_get(s->fd, count, 4) &&
           ms_probe_u32_decode(count) == n && ms_probe_get(s->fd, into, n);
}

static struct ms_source_block *block_at(struct ms_probe_source *s, uint64_t at) {
    struct ms_source_block *b;

    for (size_t i = 0; i < MS_SOURCE_BLOCKS; i++)
        if (s->block[i].n > 0 && s->block[i].at == at)
            return &s->block[i];
    b = &s->block[s->next++ % MS_SOURCE_BLOCKS];
    b->n = 0;
    if (!b->bytes && !(b->bytes = malloc(MS_SOURCE_BLOCK)))
        return NULL;
    b->at = at;
    b->n = s->size - at < MS_SOURCE_BLOCK ? (size_t)(s->size - at) : MS_SOURCE_BLOCK;
    if (!fetch(s, at, b->bytes, b->n)) {
        b->n = 0;
        return NULL;
    }
    return b;
}

int64_t ms_probe_source_read(struct ms_probe_source *s, uint64_t offset, void *into, size_t n) {
    size_t done = 0;

    while (done < n && offset < s->size) {
        uint64_t at = offset - offset % MS_SOURCE_BLOCK;
        struct ms_source_block *b = block_at(s, at);
        size_t skip = (size_t)(offset - at), take;

        if (!b)
            return -1;
        take = b->n - skip < n - done ? b->n - skip : n - done;
        memcpy((uint8_t *)into + done, b->bytes + skip, take);
        done += take;
        offset += take;
    }
    return (int64_t)done;
}

void ms_probe_source_fini(struct ms_probe_source *s) {
    for (size_t i = 0; i < MS_SOURCE_BLOCKS; i++)
        free(s->block[i].bytes);
    memset(s, 0, sizeof *s);
}

/* ---- kinds ----------------------------------------------------------------------------------- */

bool ms_examine_unreadable(struct ms_facts_record *facts, const char *reason) {
    *facts = ms_facts_without(MS_FACTS_UNREADABLE, reason);
    return true;
}

/* Decks announce themselves by their very first bytes; a pdf may stand behind others, which must not
 * make a pdf of a picture that has these letters somewhere, so that is asked last. */
void ms_examine(struct ms_probe_source *s, struct ms_facts_record *ret_facts) {
    bool (*const kinds[])(struct ms_probe_source *, struct ms_facts_record *) = {
        ms_examine_ole, ms_examine_zip, ms_examine_media, ms_examine_pdf};

    memset(ret_facts, 0, sizeof *ret_facts);
    if (s->size == 0) {
        (void)ms_examine_unreadable(ret_facts, "it is empty");
        return;
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(kinds); i++)
        if (kinds[i](s, ret_facts))
            return;
    (void)ms_examine_unreadable(ret_facts, "its first bytes are those of no supported content");
}

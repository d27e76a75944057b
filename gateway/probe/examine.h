/* examine.h — inside msasset-probe: from the bytes of one content to its facts.
 *
 * All of this reads hostile bytes. It runs in a process that can do nothing but compute and ask for more
 * bytes (shut.h); nothing of it is linked into the gateway, and the gateway believes none of it.
 *
 * Threads: one.
 */
#ifndef MS_PROBE_EXAMINE_H
#define MS_PROBE_EXAMINE_H

#include "model/facts.h"

/* The bytes: asked for over the content's socket in aligned blocks, of which a few are kept. For tests
 * and fuzzers they may be in memory. */
#define MS_SOURCE_BLOCK (256 * 1024)
#define MS_SOURCE_BLOCKS 16
struct ms_source_block {
    uint8_t *bytes; /* NULL: none yet */
    uint64_t at;
    size_t n;
};
struct ms_probe_source {
    uint64_t size;
    int fd;                /* the content's socket; -1: in memory */
    const uint8_t *memory; /* size bytes */
    struct ms_source_block block[MS_SOURCE_BLOCKS];
    unsigned next; /* block to be used again */
};
/* Up to n bytes at offset: fewer only at the end. -1: they cannot be had. */
int64_t ms_probe_source_read(struct ms_probe_source *source, uint64_t offset, void *into, size_t n);
void ms_probe_source_fini(struct ms_probe_source *source);

/* What it is, by its first bytes, and what is in it. Always gives facts. */
void ms_examine(struct ms_probe_source *source, struct ms_facts_record *ret_facts);

/* Kinds of content. False: it is none of theirs, and nothing was said. */
bool ms_examine_ole(struct ms_probe_source *source, struct ms_facts_record *ret_facts);
bool ms_examine_zip(struct ms_probe_source *source, struct ms_facts_record *ret_facts);
bool ms_examine_pdf(struct ms_probe_source *source, struct ms_facts_record *ret_facts);
bool ms_examine_media(struct ms_probe_source *source, struct ms_facts_record *ret_facts);

/* For the four: a content that cannot be read, with the reason. */
bool ms_examine_unreadable(struct ms_facts_record *facts, const char *reason);

/* The slides named in ppt/presentation.xml: elements sldId of any prefix. Pure. */
uint32_t ms_slides_in_xml(const char *xml, size_t n);

#endif

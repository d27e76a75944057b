/* facts.h — what a probe found in the bytes of a version: container, tracks, picture, sound, slides.
 *
 * The record is struct ms_facts_record (records.def); each version is probed once, whatever its name,
 * and the facts never change. They come from a process that reads hostile bytes, so every field is
 * checked here before anybody believes it: words are short and printable, numbers are in range.
 * What follows from them is model/content_rules.h.
 *
 *   container     one word for a family: mov (mp4, m4v, mov, 3gp, m4a), matroska, webm, flv, asf, avi,
 *                 png, jpeg, bmp, gif, mp3, wav, ppt, pptx, pdf; any other: FFmpeg's own word
 *   *_codec       FFmpeg's words: h264, hevc, av1, vp8, vp9, aac ...
 *   video_tracks  tracks that move, or the one picture of an image
 *
 * Pure; threads: any.
 */
#ifndef MS_MODEL_FACTS_H
#define MS_MODEL_FACTS_H

#include "model/record.h"

enum ms_facts_outcome {
    MS_FACTS_READ,
    MS_FACTS_UNREADABLE, /* no such container, cut short, damaged: reason says what */
    MS_FACTS_GIVEN_UP,   /* the prober crashed, hung or passed its limits over it */
    MS_FACTS_OUTCOME_COUNT
};

#define MS_FACTS_SIDE_MAX 65536
#define MS_FACTS_DURATION_MS_MAX (INT64_C(10) * 366 * 24 * 3600 * 1000)

/* NULL, or the text of a broken invariant. Also for facts that came from a prober. */
const char *ms_facts_broken(const struct ms_facts_record *facts);

const char *ms_facts_outcome_name(enum ms_facts_outcome outcome); /* "read" */

/* Facts of bytes that could not be probed to the end; the reason is cut to what a record takes. */
struct ms_facts_record ms_facts_without(enum ms_facts_outcome outcome, const char *reason);

#endif

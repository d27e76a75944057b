/* media_correct.h — what libmagic of Debian 12 (5.44) gets wrong for the suffixes of product.md
 * section 4, and how the bytes tell better. For media.c and its test.
 *
 *   found                      content                                    corrected to
 *   octet-stream               ID3 tag longer than the bytes looked at    audio/mpeg
 *   octet-stream               MPEG layer III behind zeros or other bytes audio/mpeg
 *   octet-stream, audio/mp4    ISO media with a brand it does not know,   video/mp4, video/quicktime,
 *                              or takes for sound (MSNV)                  video/3gpp, audio/x-m4a ...
 *   octet-stream               QuickTime without ftyp behind free, wide   video/quicktime
 *   octet-stream               EBML with a long form of a length          video/webm, -/x-matroska
 *   octet-stream               wav beyond 4 GiB (RF64, BW64)              audio/x-wav
 *   octet-stream               pdf behind other bytes                     application/pdf
 *   octet-stream, zip          Office files with their parts in another   presentation, word
 *                              order than it expects                      processing, spreadsheet
 *   any OLE2 container         ppt without a summary                      application/vnd.ms-powerpoint
 * Pure; threads: any.
 */
#ifndef MS_CONTENT_MEDIA_CORRECT_H
#define MS_CONTENT_MEDIA_CORRECT_H

#include <stddef.h>
#include <stdint.h>

/* found, or a better one: static text. n >= 1. */
const char *ms_media_correct(const uint8_t *p, size_t n, const char *found);

#endif

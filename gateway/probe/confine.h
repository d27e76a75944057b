/* confine.h — inside msasset-probe: run a converter (ffmpeg, pdftocairo, LibreOffice) shut in, in its private folder.
 *
 *   msasset-probe confine FOLDER CPU_SECONDS MEMORY_BYTES FILE_BYTES PROGRAM ARGUMENT...
 *   msasset-probe confine-office ...
 *
 * A converter reads hostile bytes with code that nobody here wrote. It runs as another user where we may give up
 * ours, without capabilities, with limits of processor time, memory and size of a file, and may (Landlock) read and
 * start only what the system has below /usr, /lib, /bin and /etc, and itself, and write only into FOLDER, which is
 * its current one and becomes its user's. It can make no socket (confine-office: a local one, bound in FOLDER, that
 * connects to nobody), trace nobody, signal nobody, and not leave its group: who kills the group takes all of it
 * along. When its parent dies the converter dies, though not what it may have started. Its environment is four words.
 *
 * Returns only when that cannot be done: exit status 125, and why on stderr; the converter has not been started.
 */
#ifndef MS_PROBE_CONFINE_H
#define MS_PROBE_CONFINE_H

#include <stdbool.h>

#define MS_CONFINE_WORD "confine"
#define MS_CONFINE_OFFICE_WORD "confine-office"
#define MS_CONFINE_FAILED 125

/* argv: from FOLDER on. office: what LibreOffice cannot do without, too. */
int ms_confine(int argc, char **argv, bool office);

#endif

/* shut.h — inside msasset-probe: how it shuts itself in, before it sees a single byte of a content.
 *
 * The waiting program (ms_shut_in) gives up its user, every capability and, where the kernel has
 * Landlock, every file; it cannot gain privileges, leaves no core and may be traced by nobody. Each
 * examiner, a fork of it (ms_shut_in_examiner), gets limits of time and memory, may open no descriptor,
 * and is left the calls of the system that computing, memory and one socket need: an allow-list by
 * seccomp. Whatever opens or asks about a file is answered EACCES, all others end the process. There is
 * no call to make a socket, so there is no network.
 *
 * A build with sanitizers has neither the filter nor limits of memory: the sanitizer needs what these
 * forbid.
 */
#ifndef MS_PROBE_SHUT_H
#define MS_PROBE_SHUT_H

#include <stdbool.h>
#include <stddef.h>

#define MS_SHUT_CPU_SECONDS 20
#define MS_SHUT_MEMORY_BYTES ((size_t)1 << 30) /* of an examiner, beside what the libraries take */

#define MS_SHUT_NOBODY 65534 /* user and group that it becomes where it may */

/* The first step of it, for what is to be started: user, capabilities, privileges, cores. False: it must not go on. */
bool ms_shut_give_up(void);

struct ms_shut; /* the filter, made once */

/* NULL: it cannot shut itself in, and must not go on. */
struct ms_shut *ms_shut_in(void);
/* Whether an examiner of this kind can be shut in here, tried by a fork that then looks for a way out. */
bool ms_shut_holds(const struct ms_shut *shut);
/* False: it must not go on. */
bool ms_shut_in_examiner(const struct ms_shut *shut);

#endif

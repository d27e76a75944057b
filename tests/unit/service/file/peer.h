/* peer.h — another process on the same store, told what to do: a second mount.
 *
 * A store is opened once in a process, so the peer is this program started again. It follows the
 * change feed as a mount does. Calls name handles by small numbers. More peers: a copy of the world's
 * dir, ctx and clock for each, in a world of its own.
 */
#ifndef MS_TESTS_SERVICE_PEER_H
#define MS_TESTS_SERVICE_PEER_H

#include "world.h"

/* First in main(): what the peer does when this is the peer. Does not return then. */
void peer_main(int argc, char **argv);

/* Each fails the test unless the answer is `want`. Handles: 0..15. */
void peer_start(struct world *w);
void peer_open(struct world *w, int h, const char *path, char how, enum ms_code want);
void peer_put(struct world *w, int h, uint64_t offset, const void *p, size_t n, enum ms_code want);
void peer_check(struct world *w, int h, uint64_t offset, const void *p, size_t n, bool end);
void peer_truncate(struct world *w, int h, uint64_t size, enum ms_code want);
void peer_sync(struct world *w, int h, enum ms_code want);
void peer_flush(struct world *w, int h, enum ms_code want);
void peer_release(struct world *w, int h, enum ms_code want);
void peer_seal(struct world *w, int h); /* flush and release */
void peer_check_file(struct world *w, const char *path, const void *p, size_t n);
void peer_unlink(struct world *w, const char *path); /* in /files; nobody there has it open */
uint64_t peer_generation(struct world *w, int h);
uint64_t peer_handles(struct world *w, int h); /* on its inode */
/* Write from `from` on until the quota says no; begin and end, so that both may write at once. */
void peer_fill_begin(struct world *w, int h, uint64_t from, uint64_t seed);
uint64_t peer_fill_end(struct world *w); /* the size then */

/* Write, reserve, cut and seal for so long (of real time), from a size that is sealed on. */
struct peer_churned {
    uint64_t size, sealed; /* now; of what was sealed last */
    uint64_t accepted, refused;
};
void peer_churn_begin(struct world *w, int h, uint64_t from, uint64_t seed, unsigned ms);
struct peer_churned peer_churn_end(struct world *w);
void peer_kill(struct world *w); /* -9 */

/* What a filling writer does, here or there. */
enum ms_code fill_until_refused(struct ms_handle *h, uint64_t from, uint64_t seed,
                                uint64_t *ret_size, struct ms_error *reterr);
/* Act on the feed as a mount does. */
struct ms_follower *follow_feed(struct ms_svc *svc);

#endif

/* s3_turns.h — who gets the next connection: two classes, neither of which can starve the other.
 *
 * A transfer is small (metadata, or few bytes) or big. Each class has a share of connections that the other never
 * takes; beyond that, whoever comes first, and when both wait they take turns. Pure: no clock, no I/O.
 * Threads: one.
 */
#ifndef MS_OBJECT_S3_TURNS_H
#define MS_OBJECT_S3_TURNS_H

#include "base/scope.h"

#include <stdbool.h>

enum ms_s3_class { MS_S3_SMALL, MS_S3_BIG, MS_S3_CLASSES };

struct ms_s3_turns {
    unsigned max;   /* connections in all, at least 1 */
    unsigned share; /* that only the class itself may use */
    unsigned running[MS_S3_CLASSES];
    enum ms_s3_class last; /* who began last */
};

/* A share of a quarter each; none where max is 1. */
void ms_s3_turns_init(struct ms_s3_turns *turns, unsigned max);
/* The class whose first waiting transfer begins now, counted from then on; MS_S3_CLASSES: none may. */
enum ms_s3_class ms_s3_turns_next(struct ms_s3_turns *turns, const bool waits[MS_S3_CLASSES]);
void ms_s3_turns_end(struct ms_s3_turns *turns, enum ms_s3_class which);

#endif

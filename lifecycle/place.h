/* place.h — where an asset rests. Private to lifecycle/. */
#ifndef MS_LIFECYCLE_PLACE_H
#define MS_LIFECYCLE_PLACE_H

#include "lifecycle/transitions.h"

/* By R and what it carries; frozen and binned are not looked at. */
enum ms_lc_place ms_lc_place(const struct ms_life *life);

#endif

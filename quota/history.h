/* history.h — one line of a history: what happened to a tenant, in JSON (bill.md section 5).
 *
 * Reading checks a line by itself: its form, its members and their ranges. Whether it fits those
 * before it (ids, owners, order) is simulate.h's part. Writing gives exactly what reading takes,
 * with the members in the order of the specification.
 *
 * Threads: a reader belongs to its caller.
 */
#ifndef MS_QUOTA_HISTORY_H
#define MS_QUOTA_HISTORY_H

#include "quota/json.h"
#include "quota/quota.h"

#define MS_FREE_BYTES_DEFAULT (UINT64_C(5) * MS_GB) /* of a tenant that does not say */

/* what, members that must be there, members that may be there */
#define MS_HISTORY_DOS(X)                                                                          \
    X(TENANT, "tenant", HAS(TENANT), HAS(FREE_BYTES) | HAS(PAY_PER_USE))                           \
    X(PUT, "put", HAS(TENANT) | HAS(ASSET) | HAS(TYPE) | HAS(ORIGIN) | HAS(BYTES), HAS(CREATED))   \
    X(PRODUCE, "produce", HAS(TENANT) | HAS(ASSET) | HAS(SECONDS) | HAS(BYTES), 0)                 \
    X(TRASH, "trash", HAS(TENANT) | HAS(ASSET), 0)                                                 \
    X(RESTORE, "restore", HAS(TENANT) | HAS(ASSET), 0)                                             \
    X(FREEZE, "freeze", HAS(TENANT) | HAS(ASSET), 0)                                               \
    X(UNFREEZE, "unfreeze", HAS(TENANT) | HAS(ASSET), 0)                                           \
    X(DELETE, "delete", HAS(TENANT) | HAS(ASSET), 0)                                               \
    X(TRANSFER, "transfer", HAS(TENANT) | HAS(ASSET) | HAS(TO), 0)                                 \
    X(PACKAGE, "package",                                                                          \
      HAS(TENANT) | HAS(PACKAGE) | HAS(NAME) | HAS(KIND) | HAS(AMOUNT) | HAS(MONTHS) | HAS(TERMS), \
      HAS(PAID))                                                                                   \
    X(RENEW, "renew", HAS(TENANT) | HAS(PACKAGE) | HAS(TERMS), 0)                                  \
    X(END, "end", 0, 0)
enum ms_history_do {
#define MS_HISTORY_DO(id, name, must, may) MS_HISTORY_##id,
    MS_HISTORY_DOS(MS_HISTORY_DO)
#undef MS_HISTORY_DO
        MS_HISTORY_DO_COUNT
};

#define MS_PACKAGE_KINDS(X) X(ASSET_MANAGER) X(VIDEO_MINUTES) X(MODELING_2D) X(VOICE_CLONE)
enum ms_package_kind {
#define MS_PACKAGE_KIND_ENUM(n) MS_PACKAGE_##n,
    MS_PACKAGE_KINDS(MS_PACKAGE_KIND_ENUM)
#undef MS_PACKAGE_KIND_ENUM
        MS_PACKAGE_KIND_COUNT
};

/* id, name in JSON, form, smallest, largest number; its place in the event is a member of the
 * lower-case name. In the order of the specification. */
#define MS_HISTORY_MEMBERS(X)                                                                      \
    X(TENANT, tenant, TEXT, 0, 0)                                                                  \
    X(ASSET, asset, TEXT, 0, 0)                                                                    \
    X(PACKAGE, package, TEXT, 0, 0)                                                                \
    X(NAME, name, TEXT, 0, 0)                                                                      \
    X(KIND, kind, KIND, 0, 0)                                                                      \
    X(AMOUNT, amount, NUMBER, 0, INT64_MAX)                                                        \
    X(MONTHS, months, NUMBER, 0, MS_TERM_MONTHS_MAX)                                               \
    X(TERMS, terms, NUMBER, 1, MS_TERMS_MAX)                                                       \
    X(PAID, paid, FLAG, 0, 0)                                                                      \
    X(TO, to, TEXT_OR_NULL, 0, 0)                                                                  \
    X(TYPE, type, TYPE, 0, 0)                                                                      \
    X(ORIGIN, origin, ORIGIN, 0, 0)                                                                \
    X(SECONDS, seconds, NUMBER, 0, INT64_MAX)                                                      \
    X(BYTES, bytes, NUMBER, 0, INT64_MAX)                                                          \
    X(FREE_BYTES, free_bytes, NUMBER, 0, INT64_MAX)                                                \
    X(PAY_PER_USE, pay_per_use, FLAG, 0, 0)                                                        \
    X(CREATED, created, INSTANT, 0, 0)
enum ms_history_member {
#define MS_HISTORY_MEMBER(id, name, form, low, high) MS_HISTORY_HAS_##id,
    MS_HISTORY_MEMBERS(MS_HISTORY_MEMBER)
#undef MS_HISTORY_MEMBER
        MS_HISTORY_MEMBER_COUNT
};

/* Members that what it does not take are not read; those that are absent are 0, false, empty. */
struct ms_history_event {
    struct ms_instant at;
    enum ms_history_do what;
    uint32_t has; /* bits of enum ms_history_member: what was given */
    struct ms_view tenant, asset, package, name, to; /* borrowed; to is {0} for null */
    uint64_t free_bytes, bytes, seconds, amount, months, terms;
    struct ms_instant created;
    bool pay_per_use, paid;
    uint8_t type, origin, kind; /* enum ms_asset_type, ms_origin, ms_package_kind */
};
static inline bool ms_history_has(const struct ms_history_event *e, enum ms_history_member m) {
    return e->has >> m & 1;
}
const char *ms_history_do_name(enum ms_history_do what);

/* Nothing but blanks: such a line is ignored. */
bool ms_history_is_blank(const char *line, size_t n);

/*   ret_event  its texts live until the next line is read with json
 * Errors: MS_BILL_INPUT rule and value, without the line's number; MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_history_parse(struct ms_json *json, const char *line, size_t n,
                                           struct ms_history_event *ret_event,
                                           struct ms_error *reterr);

/* Append the event as one line, its newline included: all members that it must have, and of the
 * others those given. Errors: of ms_buf_add(); MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_history_format(const struct ms_history_event *event,
                                            struct ms_buf *buf, struct ms_error *reterr);

#endif

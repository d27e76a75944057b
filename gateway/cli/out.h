/* out.h — what commands print: data on stdout, talk on stderr; tables for people, JSON for
 * programs.
 *
 * JSON keeps exact bytes as integers and instants as RFC 3339; its members are only ever added to.
 * Table text is no interface.
 */
#ifndef MS_CLI_OUT_H
#define MS_CLI_OUT_H

#include "cli/cmd.h"
#include "lifecycle/lifecycle.h"
#include "service/asset.h"

/* Print and free a JSON value on stdout, one line. NULL means memory ran out. */
MS_NODISCARD enum ms_code ms_out_json(json_t *value, struct ms_error *reterr);
/* Add to an array, which takes the value; null for one that could not be made, so that no list is silently shorter. */
void ms_out_add(json_t *array, json_t *value);
/* A string member; text that is not UTF-8 cannot occur: every text of ours was checked. */
void ms_out_set(json_t *object, const char *member, json_t *value);

struct ms_table;
/* heads: "NAME", ">SIZE" (right-aligned), ... NULL. Aligned on a terminal, tab-separated in a pipe.
 */
struct ms_table *ms_table_new(const char *const *heads);
/* One cell a column; copied. Control characters are shown as '?': a cell makes no lines and sends no terminal codes. */
void ms_table_row(struct ms_table *table, const char *const *cells);
void ms_table_print(struct ms_table *table, FILE *to); /* and frees it */
void ms_table_drop(struct ms_table *table);

struct ms_out_text {
    char s[64];
};
struct ms_out_text ms_out_size(uint64_t bytes);      /* "1.5 GiB", "999 B" */
struct ms_out_text ms_out_exact(uint64_t bytes);     /* "5 368 709 120" */
struct ms_out_text ms_out_duration(int64_t ms);      /* "8d", "90m": as --retention takes it */
struct ms_out_text ms_out_time(struct ms_instant t); /* "2026-01-31 12:00:00Z", "-" for none */
json_t *ms_out_json_time(struct ms_instant t);       /* RFC 3339 with milliseconds, null for none */
json_t *ms_out_json_u64(uint64_t n);

json_t *ms_out_asset_json(const struct ms_asset_info *info);
/* "Name: value" lines. */
void ms_out_pair(const char *name, const char *fmt, ...) MS_PRINTF(2, 3);

/* A bar on stderr, at most ten times a second, when stderr is a terminal (or --progress always). */
struct ms_progress {
    const struct ms_cli *cli;
    const char *label;
    int64_t started_ns, drawn_ns;
    uint64_t done;
    bool on, drawn;
};
void ms_progress_begin(struct ms_progress *p, const struct ms_cli *cli, const char *label);
/* The callback of transfers: false when a signal asked to stop. */
bool ms_progress_update(void *progress, uint64_t done, uint64_t total);
bool ms_progress_count(void *progress, uint64_t done); /* bytes, no total known */
bool ms_progress_number(void *progress, uint64_t done); /* things, no total known */
void ms_progress_end(struct ms_progress *p);

#endif

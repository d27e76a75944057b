#include "cli/out.h"

#include "service/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include <utf8proc.h>

void ms_out_add(json_t *array, json_t *value) {
    (void)json_array_append_new(array, value ? value : json_null());
}

enum ms_code ms_out_json(json_t *value, struct ms_error *reterr) {
    if (!value)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the JSON output");
    int bad = json_dumpf(value, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(value);
    if (bad || putchar('\n') == EOF || fflush(stdout) != 0)
        return ms_fail_errno(reterr, errno, "the JSON output cannot be written");
    return MS_OK;
}

void ms_out_set(json_t *object, const char *member, json_t *value) {
    (void)json_object_set_new(object, member, value);
}

/* ---- tables ---------------------------------------------------------------------------------- */

#define COLUMNS_MAX 12

struct ms_table {
    size_t columns, rows, cap;
    bool right[COLUMNS_MAX];
    char **cells; /* rows x columns, the heads first */
};

/* Cells of a terminal that a text takes: wide characters (CJK) take two. */
static int width_of(const char *text) {
    int width = 0;
    utf8proc_int32_t c;
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
    while (*p) {
        utf8proc_ssize_t n = utf8proc_iterate(p, -1, &c);
        if (n <= 0)
            break;
        width += utf8proc_charwidth(c);
        p += n;
    }
    return width;
}

static void make_plain(char *text) {
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
}

void ms_table_row(struct ms_table *table, const char *const *cells) {
    if (table->rows == table->cap) {
        size_t cap = table->cap ? table->cap * 2 : 64;
        char **more = realloc(table->cells, cap * table->columns * sizeof *more);
        MS_ASSERT(more != NULL);
        table->cells = more;
        table->cap = cap;
    }
    for (size_t i = 0; i < table->columns; i++) {
        char *copy = strdup(cells[i]);
        MS_ASSERT(copy != NULL);
        make_plain(copy);
        table->cells[table->rows * table->columns + i] = copy;
    }
    table->rows++;
}

struct ms_table *ms_table_new(const char *const *heads) {
    struct ms_table *table = calloc(1, sizeof *table);
    MS_ASSERT(table != NULL);
    const char *plain[COLUMNS_MAX];
    for (; heads[table->columns]; table->columns++) {
        MS_ASSERT(table->columns < COLUMNS_MAX);
        table->right[table->columns] = heads[table->columns][0] == '>';
        plain[table->columns] = heads[table->columns] + table->right[table->columns];
    }
    ms_table_row(table, plain);
    return table;
}

static void print_cell(FILE *to, const char *cell, int width, bool right, bool last) {
    int pad = width - width_of(cell);
    if (right)
        fprintf(to, "%*s%s", pad, "", cell);
    else
        fprintf(to, "%s%*s", cell, last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", to);
}

void ms_table_print(struct ms_table *table, FILE *to) {
    int width[COLUMNS_MAX] = {0};
    bool aligned = isatty(fileno(to));
    for (size_t i = 0; i < table->rows * table->columns; i++) {
        int w = width_of(table->cells[i]);
        if (w > width[i % table->columns])
            width[i % table->columns] = w;
    }
    for (size_t i = 0; i < table->rows * table->columns; i++) {
        size_t column = i % table->columns;
        bool last = column + 1 == table->columns;
        if (aligned)
            print_cell(to, table->cells[i], width[column], table->right[column], last);
        else
            fprintf(to, "%s%c", table->cells[i], last ? '\n' : '\t');
    }
    ms_table_drop(table);
}

void ms_table_drop(struct ms_table *table) {
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

/* ---- texts ----------------------------------------------------------------------------------- */

struct ms_out_text ms_out_size(uint64_t bytes) {
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct ms_out_text t;
    unsigned u = 0;
    uint64_t whole = bytes, rest = 0;
    while (whole >= 1024 && u < 6) {
        rest = whole % 1024;
        whole /= 1024;
        u++;
    }
    if (u == 0)
        (void)snprintf(t.s, sizeof t.s, "%" PRIu64 " B", bytes);
    else
        (void)snprintf(t.s, sizeof t.s, "%" PRIu64 ".%u %s", whole, (unsigned)(rest * 10 / 1024),
                       unit[u]);
    return t;
}

struct ms_out_text ms_out_duration(int64_t ms) {
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    struct ms_out_text t;
    size_t u = 0;
    while (ms % units[u].ms != 0)
        u++;
    (void)snprintf(t.s, sizeof t.s, "%" PRId64 "%s", ms / units[u].ms, units[u].name);
    return t;
}

struct ms_out_text ms_out_exact(uint64_t bytes) {
    struct ms_out_text t;
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, bytes);
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            t.s[at++] = ' ';
        t.s[at++] = digits[i];
    }
    t.s[at] = 0;
    return t;
}

struct ms_out_text ms_out_time(struct ms_instant at) {
    struct ms_out_text t = {"-"};
    if (ms_instant_is_none(at))
        return t;
    ms_instant_format_s(at, t.s);
    t.s[10] = ' ';
    return t;
}

json_t *ms_out_json_time(struct ms_instant at) { return ms_show_time(at); }

json_t *ms_out_json_u64(uint64_t n) { return ms_show_u64(n); }

json_t *ms_out_asset_json(const struct ms_asset_info *info) { return ms_show_asset(info); }

void ms_out_pair(const char *name, const char *fmt, ...) {
    va_list ap;
    printf("%-14s ", name);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

/* ---- progress -------------------------------------------------------------------------------- */

#define REDRAW_NS (100 * 1000 * 1000)
#define BAR 28

void ms_progress_begin(struct ms_progress *p, const struct ms_cli *cli, const char *label) {
    enum { AUTO, ALWAYS, NEVER } how = ms_config_choice(&cli->config, MS_CONFIG_PROGRESS);
    int64_t now = ms_clock_mono_ns(ms_clock_system());
    *p = (struct ms_progress){.cli = cli, .label = label, .started_ns = now};
    p->on = !cli->quiet && (how == ALWAYS || (how == AUTO && isatty(STDERR_FILENO)));
}

static void draw(struct ms_progress *p, uint64_t done, uint64_t total, int64_t now) {
    char bar[BAR + 1];
    uint64_t full = total ? done * BAR / total : 0;
    for (unsigned i = 0; i < BAR; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR] = 0;
    int64_t ms = (now - p->started_ns) / 1000000;
    uint64_t rate = ms > 0 ? done * 1000 / (uint64_t)ms : 0;
    uint64_t left = rate && total > done ? (total - done) / rate : 0;
    fprintf(stderr, "\r%.40s [%s] %s of %s, %s/s, %" PRIu64 " s left \033[K", p->label, bar,
            ms_out_size(done).s, ms_out_size(total).s, ms_out_size(rate).s, left);
    p->drawn = true;
}

bool ms_progress_update(void *progress, uint64_t done, uint64_t total) {
    struct ms_progress *p = progress;
    p->done = done;
    int64_t now = ms_clock_mono_ns(ms_clock_system());
    if (p->on && now - p->drawn_ns >= REDRAW_NS) {
        p->drawn_ns = now;
        draw(p, done, total, now);
    }
    return !ms_cli_stopped();
}

bool ms_progress_count(void *progress, uint64_t done) {
    struct ms_progress *p = progress;
    p->done = done;
    int64_t now = ms_clock_mono_ns(ms_clock_system());
    if (p->on && now - p->drawn_ns >= REDRAW_NS) {
        p->drawn_ns = now;
        fprintf(stderr, "\r%.40s %s \033[K", p->label, ms_out_size(done).s);
        p->drawn = true;
    }
    return !ms_cli_stopped();
}

bool ms_progress_number(void *progress, uint64_t done) {
    struct ms_progress *p = progress;
    p->done = done;
    int64_t now = ms_clock_mono_ns(ms_clock_system());
    if (p->on && now - p->drawn_ns >= REDRAW_NS) {
        p->drawn_ns = now;
        fprintf(stderr, "\r%.40s %" PRIu64 " \033[K", p->label, done);
        p->drawn = true;
    }
    return !ms_cli_stopped();
}

void ms_progress_end(struct ms_progress *p) {
    if (p->drawn)
        fputs("\r\033[K", stderr);
}

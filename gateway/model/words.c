#include "model/words.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- folding --------------------------------------------------------------------------------- */

static void free_text(utf8proc_uint8_t **text) { free(*text); }

static enum ms_code fold(const char *text, size_t n, utf8proc_uint8_t **ret_folded,
                         size_t *ret_n, struct ms_error *reterr) {
    const utf8proc_option_t how = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
                                  UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
    utf8proc_ssize_t len =
        utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, ret_folded, how);
    if (len == UTF8PROC_ERROR_NOMEM)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to fold a text");
    if (len < 0)
        return ms_fail(reterr, MS_INVALID, "not valid UTF-8");
    *ret_n = (size_t)len;
    return MS_OK;
}

/* A letter or digit of a script with blanks between words. */
static bool is_spaced(utf8proc_int32_t c) {
    utf8proc_category_t is = utf8proc_category(c);
    return c < 0x2e80 && is >= UTF8PROC_CATEGORY_LU && is <= UTF8PROC_CATEGORY_NO;
}

static bool spaced_at(const utf8proc_uint8_t *p, size_t n) {
    utf8proc_int32_t c;
    return n > 0 && utf8proc_iterate(p, (utf8proc_ssize_t)n, &c) > 0 && is_spaced(c);
}

/* The character that ends before p[at]. */
static bool spaced_before(const utf8proc_uint8_t *p, size_t at) {
    size_t from = at;
    while (from > 0 && (p[--from] & 0xc0) == 0x80)
        continue;
    return at > 0 && spaced_at(p + from, at - from);
}

/* ---- the automaton --------------------------------------------------------------------------- */

#define NONE UINT32_MAX

/* The children of a node are a list; those of the root, which has most of them, a table too. */
struct node {
    uint32_t child, sibling;
    uint32_t fail; /* the longest proper suffix that is in the trie */
    uint32_t out;  /* the nearest node behind fail links that ends a word; NONE */
    uint32_t word; /* that ends here; NONE */
    uint8_t byte;
};

struct word {
    const char *text; /* in the list */
    uint32_t folded_n;
    bool guard_front, guard_end; /* it needs a boundary there */
};

struct ms_words {
    char *text;
    struct node *node;
    struct word *word;
    uint32_t nodes, nodes_cap, words, words_cap;
    uint32_t root[256];
};

static uint32_t step(const struct ms_words *w, uint32_t at, uint8_t byte) {
    if (at == 0)
        return w->root[byte];
    for (uint32_t c = w->node[at].child; c != NONE; c = w->node[c].sibling)
        if (w->node[c].byte == byte)
            return c;
    return NONE;
}

static enum ms_code no_memory(struct ms_error *reterr) {
    return ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of words");
}

static enum ms_code grow(void **array, uint32_t n, uint32_t *cap, size_t size,
                         struct ms_error *reterr) {
    if (n < *cap)
        return MS_OK;
    uint32_t more = *cap ? 2 * *cap : 256;
    void *bigger = reallocarray(*array, more, size);
    if (!bigger)
        return no_memory(reterr);
    *array = bigger;
    *cap = more;
    return MS_OK;
}

static enum ms_code add_node(struct ms_words *w, uint32_t parent, uint8_t byte, uint32_t *ret_node,
                             struct ms_error *reterr) {
    MS_TRY(grow((void **)&w->node, w->nodes, &w->nodes_cap, sizeof *w->node, reterr));
    struct node node = {NONE, NONE, 0, NONE, NONE, byte};
    if (w->nodes > 0) {
        node.sibling = w->node[parent].child;
        w->node[parent].child = w->nodes;
        if (parent == 0)
            w->root[byte] = w->nodes;
    }
    w->node[w->nodes] = node;
    *ret_node = w->nodes++;
    return MS_OK;
}

static enum ms_code add_word(struct ms_words *w, const char *text, struct ms_error *reterr) {
    __attribute__((cleanup(free_text))) utf8proc_uint8_t *folded = NULL;
    size_t n = 0;
    uint32_t at = 0;
    MS_TRY(fold(text, strlen(text), &folded, &n, reterr));
    if (n == 0)
        return ms_fail(reterr, MS_INVALID, "nothing that could be looked for");
    for (size_t i = 0; i < n; i++) {
        uint32_t next = step(w, at, folded[i]);
        if (next == NONE)
            MS_TRY(add_node(w, at, folded[i], &next, reterr));
        at = next;
    }
    if (w->node[at].word != NONE)
        return MS_OK; /* the same one in another spelling */
    MS_TRY(grow((void **)&w->word, w->words, &w->words_cap, sizeof *w->word, reterr));
    w->word[w->words] = (struct word){text, (uint32_t)n, spaced_at(folded, n),
                                      spaced_before(folded, n)};
    w->node[at].word = w->words++;
    return MS_OK;
}

/* Where the suffixes of what leads to `node` go on with `byte`. */
static uint32_t fall(const struct ms_words *w, uint32_t node, uint8_t byte) {
    for (;;) {
        uint32_t next = step(w, node, byte);
        if (next != NONE)
            return next;
        if (node == 0)
            return 0;
        node = w->node[node].fail;
    }
}

/* Breadth first: a node's suffix is shorter, so its links are there already. */
static enum ms_code make_links(struct ms_words *w, struct ms_error *reterr) {
    uint32_t *queue = calloc(w->nodes, sizeof *queue);
    if (!queue)
        return no_memory(reterr);
    for (uint32_t head = 0, tail = 1; head < tail; head++) {
        uint32_t at = queue[head]; /* the root is node 0 */
        for (uint32_t c = w->node[at].child; c != NONE; c = w->node[c].sibling) {
            struct node *node = &w->node[c];
            node->fail = at == 0 ? 0 : fall(w, w->node[at].fail, node->byte);
            node->out = w->node[node->fail].word != NONE ? node->fail : w->node[node->fail].out;
            queue[tail++] = c;
        }
    }
    free(queue);
    return MS_OK;
}

/* ---- the list -------------------------------------------------------------------------------- */

static char *trim(char *line) {
    size_t n;
    line += strspn(line, " \t\r");
    for (n = strlen(line); n > 0 && strchr(" \t\r", line[n - 1]); n--)
        continue;
    line[n] = '\0';
    return line;
}

static enum ms_code add_lines(struct ms_words *w, struct ms_error *reterr) {
    uint32_t root;
    unsigned number = 1;
    MS_TRY(add_node(w, 0, 0, &root, reterr));
    for (char *line = w->text, *next; line; line = next, number++) {
        struct ms_error err;
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        char *word = trim(line);
        if (word[0] == '\0' || word[0] == '#')
            continue;
        enum ms_code code = add_word(w, word, &err);
        if (code != MS_OK)
            return ms_fail(reterr, code, "line %u of the list of words: %.200s", number,
                           err.message);
    }
    return make_links(w, reterr);
}

enum ms_code ms_words_new(struct ms_view text, struct ms_words **ret_words,
                          struct ms_error *reterr) {
    if (text.n > MS_WORDS_BYTES_MAX)
        return ms_fail(reterr, MS_RANGE, "a list of words of %zu bytes; at most %zu are allowed",
                       text.n, MS_WORDS_BYTES_MAX);
    if (text.n > 0 && memchr(text.p, 0, text.n))
        return ms_fail(reterr, MS_INVALID, "the list of words holds a NUL: it is no text");
    struct ms_words *w = calloc(1, sizeof *w);
    if (w)
        w->text = calloc(1, text.n + 1);
    if (!w || !w->text) {
        ms_words_free(w);
        return no_memory(reterr);
    }
    if (text.n > 0)
        memcpy(w->text, text.p, text.n);
    memset(w->root, 0xff, sizeof w->root);
    enum ms_code code = add_lines(w, reterr);
    if (code == MS_OK)
        *ret_words = w;
    else
        ms_words_free(w);
    return code;
}

void ms_words_free(struct ms_words *words) {
    if (!words)
        return;
    free(words->text);
    free(words->node);
    free(words->word);
    free(words);
}

size_t ms_words_count(const struct ms_words *words) { return words->words; }

/* ---- looking --------------------------------------------------------------------------------- */

static bool stands_alone(const struct word *word, const utf8proc_uint8_t *text, size_t n,
                         size_t end) {
    return !(word->guard_front && spaced_before(text, end - word->folded_n)) &&
           !(word->guard_end && spaced_at(text + end, n - end));
}

/* Of the words that end here the longest that stands alone: out links go from long to short. */
static const char *word_at(const struct ms_words *w, uint32_t at, const utf8proc_uint8_t *text,
                           size_t n, size_t end) {
    for (uint32_t node = at; node != NONE; node = w->node[node].out) {
        uint32_t word = w->node[node].word;
        if (word != NONE && stands_alone(&w->word[word], text, n, end))
            return w->word[word].text;
    }
    return NULL;
}

enum ms_code ms_words_find(const struct ms_words *words, const char *text, const char **ret_word,
                           struct ms_error *reterr) {
    __attribute__((cleanup(free_text))) utf8proc_uint8_t *folded = NULL;
    const char *found = NULL;
    size_t n = 0;
    uint32_t at = 0;
    MS_TRY(fold(text, strlen(text), &folded, &n, reterr));
    for (size_t i = 0; i < n && !found; i++) {
        at = fall(words, at, folded[i]);
        found = word_at(words, at, folded, n, i + 1);
    }
    *ret_word = found;
    return MS_OK;
}

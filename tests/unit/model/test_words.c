#include "support/test.h"

#include "model/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ms_words *words_of(const char *text) {
    struct ms_words *words;
    assert_ok(ms_words_new(ms_view_str(text), &words, &test_err));
    return words;
}

static const char *found_in(const struct ms_words *words, const char *text) {
    const char *word = "untouched";
    assert_ok(ms_words_find(words, text, &word, &test_err));
    return word ? word : "";
}

static void words_are_found_whatever_their_case_and_width(void **state) {
    struct ms_words *w = words_of("# a comment\n\n  Badword \r\n禁词\nＦＵＬＬ１\nStraße\ntwo words\nΩmega");
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", ""},
        {"nothing here", ""},
        {"a BADWORD!", "Badword"},
        {"ｂａｄｗｏｒｄ", "Badword"},            /* full-width */
        {"bad\u200bword", "Badword"},              /* a zero-width space inside */
        {"bad\u00adword", "Badword"},              /* a soft hyphen */
        {"这是禁词吗", "禁词"},                    /* no blanks around it */
        {"禁 词", ""},                             /* a blank inside */
        {"full1", "ＦＵＬＬ１"},
        {"STRASSE", "Straße"},
        {"TWO WORDS", "two words"},
        {"two  words", ""},
        {"ωMEGA", "Ωmega"},
        {"# a comment", ""},
        {"badwords", ""},                          /* another word */
        {"mybadword", ""},
        {"badword1", ""},
        {"badword禁", "Badword"},                  /* Chinese is no letter of that word */
        {"中badword中", "Badword"},
        {"badword-badword", "Badword"},
        {"badwordx badword", "Badword"},
        {"e\u0301badword", ""},                    /* composed: a letter before it */
    };
    (void)state;
    assert_int_equal(ms_words_count(w), 6);
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++)
        assert_string_equal(found_in(w, cases[i].text), cases[i].word);
    ms_words_free(w);
}

static void the_first_to_end_counts_and_of_several_the_longest(void **state) {
    struct ms_words *w = words_of("夜\n深夜\n在深夜里\nhe\nshe\nhers");
    (void)state;
    assert_string_equal(found_in(w, "在深夜里"), "深夜");
    assert_string_equal(found_in(w, "x夜"), "夜");
    assert_string_equal(found_in(w, "shers hers"), "hers"); /* inside another word nothing counts */
    assert_string_equal(found_in(w, "she"), "she");
    ms_words_free(w);
}

static void an_empty_list_finds_nothing(void **state) {
    struct ms_words *w = words_of("\n# nothing\n   \n");
    (void)state;
    assert_int_equal(ms_words_count(w), 0);
    assert_string_equal(found_in(w, "anything"), "");
    ms_words_free(w);
}

static void a_list_that_cannot_be_read_is_refused_with_its_line(void **state) {
    struct ms_words *w = NULL;
    (void)state;
    assert_code(ms_words_new(ms_view_str("fine\n\xff\xfe"), &w, &test_err), MS_INVALID);
    assert_non_null(strstr(test_err.message, "line 2"));
    assert_code(ms_words_new(ms_view_str("\u200b\n"), &w, &test_err), MS_INVALID);
    assert_non_null(strstr(test_err.message, "line 1"));
    assert_code(ms_words_new(ms_view_of("a\0b", 3), &w, &test_err), MS_INVALID);
    assert_null(w);
    w = words_of("a");
    const char *word;
    assert_code(ms_words_find(w, "\xc3", &word, &test_err), MS_INVALID);
    ms_words_free(w);
}

/* ---- against searching word by word ------------------------------------------------------ */

/* Two scripts: letters want boundaries, Chinese does not. */
static const char *const letters[] = {"a", "b", "中", "文", "-"};

static void random_text(struct ms_random *r, char *text, unsigned max) {
    unsigned n = 1 + (unsigned)ms_random_below(r, max);
    text[0] = '\0';
    for (unsigned i = 0; i < n; i++)
        strcat(text, letters[ms_random_below(r, MS_ARRAY_LEN(letters))]);
}

static bool is_letter(char c) { return c == 'a' || c == 'b'; }

/* The end of the first place where the word stands alone; 0: nowhere. */
static size_t end_of(const char *text, const char *word) {
    size_t n = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at++) {
        bool front = is_letter(word[0]) && at > text && is_letter(at[-1]);
        bool end = is_letter(word[n - 1]) && is_letter(at[n]);
        if (!front && !end)
            return (size_t)(at - text) + n;
    }
    return 0;
}

#define WORDS 12
static void one_pass_finds_what_word_by_word_finds(void **state) {
    struct ms_random_seeded rnd;
    (void)state;
    ms_random_seeded_init(&rnd, ms_test_seed());
    for (unsigned round = 0; round < ms_test_rounds(4000); round++) {
        char word[WORDS][32], list[WORDS * 33] = "", text[256];
        unsigned n = 1 + (unsigned)ms_random_below(&rnd.random, WORDS);
        for (unsigned i = 0; i < n; i++) {
            random_text(&rnd.random, word[i], 4);
            strcat(strcat(list, word[i]), "\n");
        }
        struct ms_words *w = words_of(list);
        for (unsigned t = 0; t < 10; t++) {
            const char *best = "";
            size_t best_end = SIZE_MAX;
            random_text(&rnd.random, text, 30);
            for (unsigned i = 0; i < n; i++) {
                size_t end = end_of(text, word[i]);
                if (end && (end < best_end ||
                            (end == best_end && strlen(word[i]) > strlen(best)))) {
                    best = word[i];
                    best_end = end;
                }
            }
            if (strcmp(found_in(w, text), best) != 0)
                fail_msg("in \"%s\" of \"%s\": \"%s\", not \"%s\"", text, list,
                         found_in(w, text), best);
        }
        ms_words_free(w);
    }
    ms_random_seeded_fini(&rnd);
}

/* Twenty thousand words; each is found, and its neighbours in the alphabet are not. */
static void many_thousand_words_are_one_list(void **state) {
    enum { MANY = 20000 };
    char *list = malloc(MANY * 16), *at = list, text[64];
    (void)state;
    assert_non_null(list);
    for (unsigned i = 0; i < MANY; i++)
        at += snprintf(at, 16, "w%05u词\n", 2 * i);
    struct ms_words *w = words_of(list);
    assert_int_equal(ms_words_count(w), MANY);
    for (unsigned i = 0; i < MANY; i += 7) {
        snprintf(text, sizeof text, "in front W%05u词 behind", 2 * i);
        assert_string_not_equal(found_in(w, text), "");
        snprintf(text, sizeof text, "in front W%05u词 behind", 2 * i + 1);
        assert_string_equal(found_in(w, text), "");
    }
    ms_words_free(w);
    free(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_found_whatever_their_case_and_width),
        cmocka_unit_test(the_first_to_end_counts_and_of_several_the_longest),
        cmocka_unit_test(an_empty_list_finds_nothing),
        cmocka_unit_test(a_list_that_cannot_be_read_is_refused_with_its_line),
        cmocka_unit_test(one_pass_finds_what_word_by_word_finds),
        cmocka_unit_test(many_thousand_words_are_one_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "support/test.h"

#include "content/hash.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* The definition in design.md section 2, as plainly as it can be written: one buffer, one call. */
static void plain_root(const uint8_t *bytes, size_t size, unsigned log2, uint8_t root[16]) {
    size_t block = (size_t)1 << log2, blocks = (size + block - 1) / block;
    uint8_t *list = malloc(8 + 8 * blocks);
    uint64_t value = size;
    XXH128_hash_t h;

    for (size_t i = 0; i <= blocks; i++) {
        if (i > 0) {
            size_t at = (i - 1) * block;

            value = XXH3_64bits(bytes + at, size - at < block ? size - at : block);
        }
        for (int b = 0; b < 8; b++)
            list[8 * i + (size_t)b] = (uint8_t)(value >> (8 * (7 - b)));
    }
    h = XXH3_128bits(list, 8 + 8 * blocks);
    for (int b = 0; b < 8; b++) {
        root[b] = (uint8_t)(h.high64 >> (8 * (7 - b)));
        root[8 + b] = (uint8_t)(h.low64 >> (8 * (7 - b)));
    }
    free(list);
}

static void sizes_count_their_blocks(void **state) {
    (void)state;
    assert_int_equal(ms_block_count(0, 18), 0);
    assert_int_equal(ms_block_count(1, 18), 1);
    assert_int_equal(ms_block_count(1 << 18, 18), 1);
    assert_int_equal(ms_block_count((1 << 18) + 1, 18), 2);
    assert_int_equal(ms_block_count(MS_FILE_BYTES_MAX, 18), 500 * 4096);
    assert_int_equal(ms_block_count(UINT64_MAX, 18), UINT64_C(1) << 46);
}

static void the_root_of_a_file_is_the_definition_at_every_boundary(void **state) {
    static const unsigned log2s[] = {12, 13, 18, 23};
    char *dir = ms_test_tmpdir_new(), *path = ms_test_path(dir, "f");
    size_t max = (9 << 20) + 17;
    uint8_t *bytes = malloc(max), want[16], got[16];
    struct ms_random_seeded random;

    (void)state;
    ms_random_seeded_init(&random, 7);
    ms_random_fill(&random.random, bytes, max);
    for (size_t l = 0; l < MS_ARRAY_LEN(log2s); l++) {
        size_t block = (size_t)1 << log2s[l];
        size_t sizes[] = {0,  1, block - 1, block, block + 1, (4 << 20) - 1, 4 << 20, (4 << 20) + 1,
                          max};

        for (size_t i = 0; i < MS_ARRAY_LEN(sizes); i++) {
            struct ms_hashes h = {0};
            uint64_t size = 99;
            int fd;

            ms_test_write_file(path, bytes, sizes[i]);
            fd = open(path, O_RDONLY | O_CLOEXEC);
            assert_ok(ms_hash_fd(fd, log2s[l], &h, &size, got, NULL, NULL, &test_err));
            close(fd);
            plain_root(bytes, sizes[i], log2s[l], want);
            assert_int_equal(size, sizes[i]);
            assert_int_equal(h.count, ms_block_count(size, log2s[l]));
            assert_memory_equal(got, want, 16);
            ms_hashes_root(&h, size, got);
            assert_memory_equal(got, want, 16);
            ms_hashes_fini(&h);
        }
    }
    ms_random_seeded_fini(&random);
    free(bytes);
    free(path);
    ms_test_tmpdir_remove(dir);
}

/* Fixed for ever: a store written today is read with these. */
#define ROOT_EMPTY "2c0a8a99dc147d5445c3b49d035665b2"
#define HASH_ABC UINT64_C(0x78af5f94892f3950)
#define ROOT_ABC "dcbd0d67816deb9c208985dbcc57bef0"
static void roots_never_change(void **state) {
    struct ms_hashes h = {0};
    uint8_t root[16];
    char text[33];

    (void)state;
    ms_hashes_root(&h, 0, root);
    ms_root_format(root, text);
    assert_string_equal(text, ROOT_EMPTY);
    assert_ok(ms_hashes_resize(&h, 1, &test_err));
    h.hash[0] = ms_block_hash("abc", 3);
    assert_true(h.hash[0] == HASH_ABC);
    ms_hashes_root(&h, 3, root);
    ms_root_format(root, text);
    assert_string_equal(text, ROOT_ABC);
    ms_hashes_fini(&h);
}

static bool stop_at_4_mib(void *priv, uint64_t done) {
    *(uint64_t *)priv = done;
    return done < 4 << 20;
}

static void progress_may_stop_a_hash_and_a_folder_is_an_error(void **state) {
    char *dir = ms_test_tmpdir_new(), *path = ms_test_path(dir, "f");
    uint8_t *bytes = calloc(1, 9 << 20), root[16];
    struct ms_hashes h = {0};
    uint64_t size, seen = 0;
    int fd;

    (void)state;
    ms_test_write_file(path, bytes, 9 << 20);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_code(ms_hash_fd(fd, 18, &h, &size, root, stop_at_4_mib, &seen, &test_err), MS_CANCELLED);
    assert_int_equal(seen, 4 << 20);
    assert_null(h.hash);
    close(fd);
    fd = open(dir, O_RDONLY | O_CLOEXEC);
    assert_code(ms_hash_fd(fd, 18, &h, &size, root, NULL, NULL, &test_err), MS_IS_DIR);
    close(fd);
    free(bytes);
    free(path);
    ms_test_tmpdir_remove(dir);
}

static void a_list_grows_with_zeros_and_keeps_what_it_had(void **state) {
    struct ms_hashes h = {0};

    (void)state;
    for (uint64_t n = 1; n < 5000; n += 1 + n / 7) {
        uint64_t old = h.count;

        assert_ok(ms_hashes_resize(&h, n, &test_err));
        for (uint64_t i = old; i < n; i++) {
            assert_true(h.hash[i] == 0);
            h.hash[i] = i + 1;
        }
    }
    for (uint64_t i = 0; i < h.count; i++)
        assert_true(h.hash[i] == i + 1);
    assert_ok(ms_hashes_resize(&h, 1, &test_err));
    assert_ok(ms_hashes_resize(&h, 2, &test_err));
    assert_true(h.hash[0] == 1 && h.hash[1] == 0);
    assert_code(ms_hashes_resize(&h, UINT64_MAX / 4, &test_err), MS_NO_MEMORY);
    assert_int_equal(h.count, 2);
    ms_hashes_fini(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_count_their_blocks),
        cmocka_unit_test(the_root_of_a_file_is_the_definition_at_every_boundary),
        cmocka_unit_test(roots_never_change),
        cmocka_unit_test(progress_may_stop_a_hash_and_a_folder_is_an_error),
        cmocka_unit_test(a_list_grows_with_zeros_and_keeps_what_it_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "service/derived_rows.h"

static enum ms_code read_bytes(const struct ms_tree *t, const struct ms_file_record *file,
                               const struct ms_derived_bytes *bytes, struct ms_derived *d,
                               struct ms_error *reterr) {
    bool there = false;
    *bytes->size = file->size;
    MS_TRY(ms_tree_facts_of(t, (struct ms_version_id){file->version}, bytes->facts, &there, reterr));
    if (!there)
        d->state = MS_DERIVED_WAITING;
    return MS_OK;
}

enum ms_code ms_derived_of(const struct ms_tree *t, struct ms_asset_id asset,
                           struct ms_version_id main, const struct ms_content *content,
                           enum ms_derived_kind kind, struct ms_derived *ret_derived,
                           const struct ms_derived_bytes *bytes, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(t->id, asset);
    struct ms_file_record file, made = {.size = 0};
    struct ms_derived d;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;

    ms_derived_look(content, main, NULL, 0, kind, &d);
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK) {
        unsigned before = d.files;
        ms_derived_see(content, main, &file, kind, &d);
        if (d.files > before)
            made = file;
    }
    ms_scan_end(&scan);
    MS_TRY(ms_absent_is_fine(code, reterr));
    if (bytes && d.state == MS_DERIVED_SUCCEEDED)
        MS_TRY(read_bytes(t, &made, bytes, &d, reterr));
    *ret_derived = d;
    return MS_OK;
}

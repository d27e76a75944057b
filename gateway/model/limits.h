/* limits.h — every maximum in one place, with the asserts that relate them. KB, MB, GB are
 * powers of two. */
#ifndef MS_MODEL_LIMITS_H
#define MS_MODEL_LIMITS_H

#include "base/assert.h"

#include <stdint.h>

#define MS_KB (UINT64_C(1) << 10)
#define MS_MB (UINT64_C(1) << 20)
#define MS_GB (UINT64_C(1) << 30)

#define MS_NAME_BYTES_MAX 255         /* a name in a directory, UTF-8 (product.md section 6) */
#define MS_SYMLINK_BYTES_MAX 4095     /* PATH_MAX without the NUL */
#define MS_XATTR_NAME_MAX 255         /* XATTR_NAME_MAX */
#define MS_XATTR_VALUE_MAX (64 * 1024) /* XATTR_SIZE_MAX */
#define MS_XATTR_TOTAL_MAX (256 * 1024) /* all of one inode */
#define MS_ASSET_NAME_BYTES_MAX 1024  /* API: 256 characters */
#define MS_FILE_NAME_BYTES_MAX 1024
#define MS_TENANT_NAME_MAX 64         /* [a-z0-9][a-z0-9._-]* */
#define MS_WHO_MAX 128                /* principal in audit rows */
#define MS_PACKAGE_NAME_MAX 64        /* of a package; as in the rate card */
#define MS_ORDER_MAX 128              /* id of a purchase, the buyer's */
#define MS_REASON_MAX 256             /* API: reason, block_reason_code */
#define MS_REQUEST_TEXT_MAX 1024       /* of an unfreeze request */
#define MS_BYPASS_BYTES_MAX 1024       /* patterns of names that bypass the bin */
#define MS_APP_USER_MAX 256
#define MS_FACTS_WORD_MAX 32          /* API: codec 0-32 */
#define MS_OBJECT_KEY_MAX 512
#define MS_UPLOAD_ID_MAX 256
#define MS_ETAG_MAX 128
#define MS_LINKS_MAX 65000            /* hard links of one inode */
#define MS_DEPTH_MAX 128              /* folders in a row: bounds every walk towards the root */

#define MS_FREE_QUOTA_BYTES (5 * MS_GB)   /* product.md section 5 */
#define MS_BIN_RETENTION_MS (INT64_C(7) * 24 * 3600 * 1000)
#define MS_UPLOAD_DUE_MS (INT64_C(24) * 3600 * 1000)
#define MS_BIN_BYPASS_AGE_MS (INT64_C(60) * 1000) /* younger files are not binned */
#define MS_GC_GRACE_MS (INT64_C(3600) * 1000)

#define MS_FILE_BYTES_MAX (500 * MS_GB)
#define MS_BLOCK_LOG2_DEFAULT 18      /* 256 KiB: design.md section 2 */
#define MS_BLOCK_LOG2_MIN 12
#define MS_BLOCK_LOG2_MAX 24
#define MS_HASHES_PER_ROW 240         /* 240 x 8 bytes + head stays below a page's overflow limit */
#define MS_PARTS_MAX 10000
#define MS_UPLOAD_PARTS_MAX 100       /* API: file_multipart_count */
#define MS_FILES_MAX 100              /* of one asset, by declaration */

#define MS_LEASE_BYTES_MAX (64 * MS_MB)

MS_STATIC_ASSERT(MS_OBJECT_KEY_MAX + 16 <= 1024, "an object key must fit S3's 1024 bytes");

#endif

#!/usr/bin/env python3
"""s3_keys.py list|delete|uploads PREFIX: keys, or unfinished uploads, below a prefix of the test's bucket, by a client
that is not ours.

Where it is and the keys to it are in MS_CEPH_ENDPOINT, MS_CEPH_BUCKET, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""

import datetime
import hashlib
import hmac
import os
import re
import sys
import urllib.parse
import urllib.request
from xml.sax.saxutils import unescape

END, BUCKET = os.environ["MS_CEPH_ENDPOINT"], os.environ["MS_CEPH_BUCKET"]
EMPTY = hashlib.sha256(b"").hexdigest()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def call(method, key, query):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    host = urllib.parse.urlsplit(END).netloc
    path = urllib.parse.quote(f"/{BUCKET}/{key}" if key else f"/{BUCKET}", safe="/-_.~")
    query = "&".join(f"{k}={urllib.parse.quote(v, safe='-_.~')}" for k, v in sorted(query.items()))
    head = f"host:{host}\nx-amz-content-sha256:{EMPTY}\nx-amz-date:{now}\n"
    signed = "host;x-amz-content-sha256;x-amz-date"
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    digest = hashlib.sha256(f"{method}\n{path}\n{query}\n{head}\n{signed}\n{EMPTY}".encode()).hexdigest()
    secret = mac(("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode(), now[:8])
    for part in ("us-east-1", "s3", "aws4_request"):
        secret = mac(secret, part)
    signature = mac(secret, f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}").hex()
    request = urllib.request.Request(END + path + ("?" + query if query else ""), method=method, headers={
        "x-amz-date": now, "x-amz-content-sha256": EMPTY,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
                         f"SignedHeaders={signed}, Signature={signature}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def keys_below(prefix):
    after, found = "", []
    while True:
        text = call("GET", "", {"list-type": "2", "prefix": prefix, "start-after": after})
        page = [unescape(k) for k in re.findall("<Key>([^<]*)</Key>", text)]
        found += page
        if not page or "<IsTruncated>true" not in text:
            return found
        after = page[-1]


if sys.argv[1] == "uploads":
    print("\n".join(re.findall("<UploadId>[^<]*", call("GET", "", {"uploads": "", "prefix": sys.argv[2]}))))
    sys.exit()
for one in keys_below(sys.argv[2]):
    if sys.argv[1] == "delete":
        call("DELETE", one, {})
    else:
        print(one)

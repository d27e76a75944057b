#!/usr/bin/env python3
"""A second, independent client of S3, to look at what really lies in a bucket and to change it behind our back.

plain_s3.py ls PREFIX            keys and sizes
plain_s3.py uploads PREFIX       keys and ids of unfinished uploads
plain_s3.py get KEY FILE
plain_s3.py put KEY FILE
plain_s3.py rm KEY
plain_s3.py make-bucket

Place and keys: MS_CEPH_ENDPOINT, MS_CEPH_BUCKET and AWS's names. Signed the old way (V2), which needs none of our code.
"""

import base64
import email.utils
import hashlib
import hmac
import os
import sys
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

PLACE = os.environ.get("MS_CEPH_ENDPOINT", "")
BUCKET = os.environ.get("MS_CEPH_BUCKET", "")
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def call(method, key="", query=(), body=None, resource=""):
    """resource: what of the query is signed."""
    date = email.utils.formatdate(usegmt=True)
    path = "/" + BUCKET + "/" + urllib.parse.quote(key)
    kind = "application/octet-stream" if body is not None else ""
    text = f"{method}\n\n{kind}\n{date}\n{path}{resource}"
    secret = os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    signature = base64.b64encode(hmac.new(secret, text.encode(), hashlib.sha1).digest()).decode()
    head = {"Date": date, "Authorization": f"AWS {os.environ['AWS_ACCESS_KEY_ID']}:{signature}"}
    if kind:
        head["Content-Type"] = kind
    url = PLACE + path + ("?" + urllib.parse.urlencode(query) if query else "")
    url = url.replace("uploads=", "uploads")
    request = urllib.request.Request(url, data=body, method=method, headers=head)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read()


def text_of(element, name):
    found = element.find(NAMESPACE + name)
    return (found.text or "") if found is not None else ""


def ls(prefix):
    """[(key, size)] of all keys that begin with it."""
    found, marker = [], ""
    while True:
        page = ElementTree.fromstring(call("GET", query=[("prefix", prefix), ("marker", marker), ("max-keys", 1000)]))
        for entry in page.iter(NAMESPACE + "Contents"):
            found.append((text_of(entry, "Key"), int(text_of(entry, "Size"))))
        if text_of(page, "IsTruncated") != "true":
            return found
        marker = found[-1][0]


def uploads(prefix):
    """[(key, id)] of unfinished uploads; at most 1 000, which is more than any test leaves."""
    query = [("uploads", ""), ("prefix", prefix), ("max-uploads", 1000)]
    page = ElementTree.fromstring(call("GET", query=query, resource="?uploads"))
    return [(text_of(u, "Key"), text_of(u, "UploadId")) for u in page.iter(NAMESPACE + "Upload")]


def get(key):
    return call("GET", key)


def main(args):
    if len(args) == 2 and args[0] == "ls":
        for key, size in ls(args[1]):
            print(key, size)
    elif len(args) == 2 and args[0] == "uploads":
        for key, upload in uploads(args[1]):
            print(key, upload)
    elif len(args) == 3 and args[0] == "get":
        with open(args[2], "wb") as file:
            file.write(get(args[1]))
    elif len(args) == 3 and args[0] == "put":
        with open(args[2], "rb") as file:
            call("PUT", args[1], body=file.read())
    elif len(args) == 2 and args[0] == "rm":
        call("DELETE", args[1])
    elif args == ["make-bucket"]:
        call("PUT")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

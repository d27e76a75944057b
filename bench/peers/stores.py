"""The stores that contestants are measured on: a fresh Ceph RGW in memory, and the far store with its latency."""

import base64
import concurrent.futures
import contextlib
import email.utils
import hashlib
import hmac
import http.client
import html
import os
import re
import signal
import subprocess
import time
import urllib.parse

from system import Failed, cpu_of, end, spawn

KEY, SECRET, BUCKET = "testkey", "testsecret", "ms-tests"

# RGW keeps what is at most so large in one piece, which goes when it is deleted, and not later by its collector.
WARM_OBJECT_BYTES = 4 << 20
WARM_CONNECTIONS = 4


class Store:
    """An S3 store of this run: endpoint, CPU, and what its bucket holds."""
    name = ""
    pid = 0
    endpoint = ""
    link_mib = None  # of the link each way, MiB/s; None: the loopback's

    def cpu(self):
        return cpu_of(self.pid)

    def _sign(self, method, resource, when):
        text = f"{method}\n\n\n{when}\n{resource}".encode()
        return base64.b64encode(hmac.new(SECRET.encode(), text, hashlib.sha1).digest()).decode()

    def presigned(self, method, key):
        """A URL that any client may use as it is."""
        resource, expires = f"/{BUCKET}/{key}", int(time.time()) + 3600
        query = urllib.parse.urlencode({"AWSAccessKeyId": KEY, "Expires": expires,
                                        "Signature": self._sign(method, resource, expires)})
        return f"{self.endpoint}{resource}?{query}"

    def stored_bytes(self):
        """Sum of the sizes of all objects in the bucket, by LIST."""
        total, marker = 0, ""
        address = urllib.parse.urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        try:
            while True:
                date = email.utils.formatdate(usegmt=True)
                connection.request("GET", f"/{BUCKET}?max-keys=1000&marker={urllib.parse.quote(marker, safe='')}",
                                   headers={"Date": date,
                                            "Authorization": f"AWS {KEY}:{self._sign('GET', '/' + BUCKET, date)}"})
                reply = connection.getresponse()
                text = reply.read().decode()
                if reply.status != 200:
                    raise Failed(f"{self.name}: LIST is answered {reply.status}")
                total += sum(map(int, re.findall(r"<Size>(\d+)</Size>", text)))
                keys = re.findall(r"<Contents>.*?<Key>(.*?)</Key>", text)
                if "<IsTruncated>true</IsTruncated>" not in text or not keys:
                    return total
                marker = html.unescape(keys[-1])
        except (OSError, http.client.HTTPException) as e:
            raise Failed(f"{self.name}: LIST: {e}") from e
        finally:
            connection.close()


class Rgw(Store):
    """Ceph's RGW of one node from Debian's packages, on memstore: what it stored before does not slow it down."""
    name = "rgw"

    def __init__(self, options, folder):
        self.script = os.path.join(options.source, "tests", "support", "ceph.sh")
        self.file = os.path.join(folder, "ceph")
        self.warm_bytes = options.size + options.size // 2

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def start(self):
        done = subprocess.run(["bash", self.script, "start", self.file], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": os.path.dirname(self.file), "TCMALLOC_RELEASE_RATE": "0"})
        found = {}
        if os.path.exists(self.file):
            with open(self.file, encoding="utf-8") as file:
                found = dict(line.strip().split("=", 1) for line in file if "=" in line)
        if "endpoint" not in found:
            raise Failed("Ceph RGW did not start: " + (done.stdout.strip().splitlines() or ["no word"])[-1])
        self.pid, self.endpoint = int(found["pid"]), found["endpoint"]
        self.warm()
        return self

    def warm(self):
        """Objects written and deleted before anybody is measured: Ceph's allocator keeps their memory. Else the first
        contestant on a virtual machine measures what it costs the host to find pages (10 us each, seen: 100 MiB/s where
        230 go), and the next one does not."""
        address = urllib.parse.urlsplit(self.endpoint)
        body = os.urandom(WARM_OBJECT_BYTES)

        def each(method, first):
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
            try:
                for i in range(first, -(-self.warm_bytes // WARM_OBJECT_BYTES), WARM_CONNECTIONS):
                    url = self.presigned(method, f"warm/{i}")
                    connection.request(method, url[len(self.endpoint):], body if method == "PUT" else None)
                    reply = connection.getresponse()
                    reply.read()
                    if reply.status // 100 != 2:
                        raise Failed(f"{self.name}: {method} is answered {reply.status}")
            except (OSError, http.client.HTTPException) as e:
                raise Failed(f"{self.name}: {method}: {e}") from e
            finally:
                connection.close()

        with concurrent.futures.ThreadPoolExecutor(WARM_CONNECTIONS) as pool:
            for method in ("PUT", "DELETE"):
                for done in [pool.submit(each, method, i) for i in range(WARM_CONNECTIONS)]:
                    done.result()
        self.warm_multipart()

    def warm_multipart(self):
        """RGW makes a pool when the first multipart upload of its life begins: a second, and nobody's figure."""
        reply = self._signed("POST", "warm/parts?uploads")
        found = re.search(r"<UploadId>([^<]+)</UploadId>", reply)
        if not found:
            raise Failed(f"{self.name}: no multipart upload begins")
        self._signed("DELETE", "warm/parts?uploadId=" + found[1])

    def _signed(self, method, resource):
        """The text of the answer to a request without a body."""
        address = urllib.parse.urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        date = email.utils.formatdate(usegmt=True)
        try:
            connection.request(method, f"/{BUCKET}/{resource}",
                               headers={"Date": date, "Content-Length": "0", "Authorization":
                                        f"AWS {KEY}:{self._sign(method, f'/{BUCKET}/{resource}', date)}"})
            reply = connection.getresponse()
            text = reply.read().decode()
        except (OSError, http.client.HTTPException) as e:
            raise Failed(f"{self.name}: {method}: {e}") from e
        finally:
            connection.close()
        if reply.status // 100 != 2:
            raise Failed(f"{self.name}: {method} {resource} is answered {reply.status}")
        return text

    def __exit__(self, *_):
        subprocess.run(["bash", self.script, "stop", self.file], capture_output=True, check=False)
        for pid in self.guards():  # interrupted before it said where it is
            os.kill(pid, signal.SIGTERM)
            for _ in range(500):
                if pid not in self.guards():
                    break
                time.sleep(0.01)

    def guards(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().decode(errors="replace").split("\0")
                if "guard" in words and self.file in words:
                    found.append(int(pid))
        return found


class Far(Store):
    """far_store: 20 ms to the first byte, 90 MB/s on a connection, 1 GB/s in all, or what the options say."""
    name = "far"

    def __init__(self, options, folder):
        self.link_mib = options.far_link * 1e6 / (1 << 20)
        self.argv = [os.path.join(options.build, "bench", "far_store", "far_store"), "-b", BUCKET,
                     "-l", options.far_latency, "-c", options.far_connection, "-t", options.far_link]
        self.log = os.path.join(folder, "far.log")

    def __enter__(self):
        self.process = spawn(self.argv, self.log)
        for _ in range(500):
            with open(self.log, encoding="utf-8") as file:
                self.endpoint = file.read().strip()
            if self.endpoint.startswith("http://") or self.process.poll() is not None:
                break
            time.sleep(0.01)
        if not self.endpoint.startswith("http://"):
            raise Failed(f"far_store did not start: {self.endpoint}")
        self.pid = self.process.pid
        return self

    def __exit__(self, *_):
        end(self.process)
        os.unlink(self.log)


STORES = {"rgw": Rgw, "far": Far}

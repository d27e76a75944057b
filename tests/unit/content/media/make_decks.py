"""make_decks.py DIR: slide decks and other documents, as small as their readers take them.

NAME.SUFFIX is called after what it is; "no." in front: must not pass for a kind of product.md section 4.
"""

import gzip
import io
import os
import random
import struct
import sys
import tarfile
import zipfile

random.seed(1)

TYPES = "[Content_Types].xml"
RELS = "_rels/.rels"
DECK = "ppt/presentation.xml"
SLIDE = "ppt/slides/slide1.xml"
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
CONTENT_TYPES = (
    XML + '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/ppt/presentation.xml" ContentType="application/vnd.openxmlformats-officedocument'
    '.presentationml.presentation.main+xml"/></Types>'
)


class Pipe(io.RawIOBase):
    """What zipfile cannot seek in: it then writes sizes behind the data."""

    def __init__(self):
        self.bytes = b""

    def writable(self):
        return True

    def write(self, data):
        self.bytes += bytes(data)
        return len(data)


def write(name, data):
    with open(name, "wb") as out:
        out.write(data)


def package(name, parts, how=zipfile.ZIP_DEFLATED, pipe=False):
    target = Pipe() if pipe else io.BytesIO()
    with zipfile.ZipFile(target, "w", how) as z:
        for part in parts:
            data = random.randbytes(300000) if part.endswith(".jpeg") else XML + "<x/>"
            z.writestr(part, CONTENT_TYPES if part == TYPES else data)
    write(name, target.bytes if pipe else target.getvalue())


FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def ole2(streams, folder_last=False):
    """An OLE2 file of 512-byte sectors; streams of 4096 bytes and more: name -> bytes."""
    sectors, fat = [], []

    def place(data):
        start, count = len(sectors), (len(data) + 511) // 512
        for i in range(count):
            sectors.append(data[i * 512 : i * 512 + 512].ljust(512, b"\0"))
            fat.append(start + i + 1 if i + 1 < count else END)
        return start

    def entry(name, kind, child, right, start, size):
        text = name.encode("utf-16-le") + b"\0\0"
        return (
            text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text), kind, 1, FREE, right, child)
            + bytes(36) + struct.pack("<IQ", start, size)
        )

    blank = bytes(((len(streams) + 1) * 128 + 511) // 512 * 512)
    folder = None if folder_last else place(blank)
    starts = [place(data) for data in streams.values()]
    folder = place(blank) if folder_last else folder
    entries = entry("Root Entry", 5, 1, FREE, END, 0)
    for i, (name, data) in enumerate(streams.items()):
        right = i + 2 if i + 1 < len(streams) else FREE
        entries += entry(name, 2, FREE, right, starts[i], len(data))
    entries = entries.ljust(len(blank), b"\0")
    for i in range(len(blank) // 512):
        sectors[folder + i] = entries[i * 512 : i * 512 + 512]
    fats = 1
    while (len(sectors) + fats + 127) // 128 > fats:
        fats += 1
    at = len(sectors)
    table = b"".join(struct.pack("<I", x) for x in fat + [FAT] * fats).ljust(fats * 512, b"\xff")
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16)
    head += struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<9I", 0, fats, folder, 0, 4096, END, 0, END, 0)
    head += b"".join(struct.pack("<I", at + i) for i in range(fats)).ljust(436, b"\xff")
    return head + b"".join(sectors) + table


def summary(program):
    text = program.encode() + b"\0"
    props = struct.pack("<II", 18, 16) + struct.pack("<II", 30, len(text)) + text.ljust(40, b"\0")
    body = struct.pack("<II", 8 + len(props), 1) + props
    head = struct.pack("<HHI", 0xFFFE, 0, 0x20006) + bytes(16) + struct.pack("<I", 1)
    head += bytes.fromhex("e0859ff2f94f6810ab9108002b27b3d9") + struct.pack("<I", 48)
    return (head + body).ljust(4096, b"\0")


def decks():
    package("plain.pptx", [TYPES, RELS, DECK, SLIDE])
    package("stored.pptx", [TYPES, RELS, DECK, SLIDE], how=zipfile.ZIP_STORED)
    package("piped.pptx", [TYPES, RELS, "docProps/app.xml", DECK, SLIDE], pipe=True)
    package("props_first.pptx", [TYPES, RELS, "docProps/app.xml", "docProps/core.xml", DECK])
    package("thumbnail.pptx", [TYPES, RELS, "docProps/thumbnail.jpeg", DECK])
    package("rels_first.pptx", [RELS, "docProps/app.xml", "ppt/_rels/presentation.xml.rels", DECK, TYPES])
    package("deck_first.pptx", ["ppt/theme/theme1.xml", DECK, RELS, TYPES])
    package("custom.pptx", [TYPES, "customXml/item1.xml", RELS, DECK])
    deck = {"Current User": bytes(4096), "PowerPoint Document": b"\x0f\0\xe8\3" + bytes(6000)}
    write("plain.ppt", ole2(deck))
    write("summary.ppt", ole2({"\x05SummaryInformation": summary("Microsoft PowerPoint"), **deck}))
    write("foreign.ppt", ole2({"\x05SummaryInformation": summary("LibreOffice"), **deck}))
    write("pictures.ppt", ole2({"Pictures": random.randbytes(600000), **deck}))
    write("folder_last.ppt", ole2({"Pictures": random.randbytes(600000), **deck}, folder_last=True))
    pdf = (
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R>>endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF\n"
    )
    write("plain.pdf", pdf)
    write("new.pdf", pdf.replace(b"1.7", b"2.0"))
    write("bom.pdf", b"\xef\xbb\xbf" + pdf)
    write("behind.pdf", b"\1\2\3\4" * 50 + pdf)


def others():
    package("no.docx", [TYPES, RELS, "word/document.xml"])
    package("no_props.docx", [RELS, "docProps/app.xml", "word/document.xml", TYPES])
    package("no.xlsx", [TYPES, RELS, "docProps/app.xml", "xl/workbook.xml"])
    package("no.zip", ["a.txt", "ppt/b.txt"])
    package("no.jar", ["META-INF/MANIFEST.MF", "ppt/A.class"])
    package("no.odp", ["mimetype", "content.xml", "ppt/presentation.xml"])
    write("no.doc", ole2({"WordDocument": bytes(5000)}))
    write("no.xls", ole2({"Workbook": bytes(5000)}))
    write("no_encrypted.bin", ole2({"EncryptedPackage": bytes(5000), "EncryptionInfo": bytes(4096)}))
    write("no.txt", b"A text, with commas, and lines.\n" * 50)
    write("no_one.txt", b"x")
    write("no_utf16.txt", "\ufeffein Text\n".encode("utf-16-le") * 50)
    write("no.html", b"<!DOCTYPE html><html><head><title>x</title></head><body>x</body></html>\n")
    write("no.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n')
    write("no.json", b'{"asset_id": "0", "ftyp": "mp42"}\n')
    write("no.sh", b"#!/bin/sh\nexit 0\n")
    write("no_one.bin", b"\xff")
    write("no_zero.bin", bytes(5000))
    write("no_random.bin", random.randbytes(300000))
    write("no_ff.bin", b"\xff" * 5000)
    write("no.gz", gzip.compress(b"x" * 5000))
    with tarfile.open("no.tar", "w") as tar:
        tar.add("no.txt")
    with open(sys.executable, "rb") as program:
        write("no.elf", program.read(100000))


os.chdir(sys.argv[1])
decks()
others()

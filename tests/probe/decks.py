"""Slide decks for tests, made byte by byte: pptx, pdf and ppt with so many slides, whole or broken in one respect."""

import io
import struct
import zipfile


def pptx(slides, prefix="p:", orphans=0, xml_pad=0, main=True):
    """orphans: parts of slides that the presentation does not name. xml_pad: bytes of blanks behind the list."""
    p = prefix
    ns = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"' if p else 'xmlns="urn:x"'
    ids = "".join(f'<{p}sldId id="{256 + i}" r:id="rId{i}"/>' for i in range(slides))
    xml = (f'<?xml version="1.0"?><{p}presentation {ns}><!-- <{p}sldId id="1"/> --><{p}sldIdLst>{ids}</{p}sldIdLst>'
           f'<{p}sldSz cx="1"/>' + " " * xml_pad + f"</{p}presentation>")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("[Content_Types].xml", '<Types xmlns="x"/>')
        z.writestr("_rels/.rels", "<Relationships/>")
        for i in range(slides + orphans):
            z.writestr(f"ppt/slides/slide{i + 1}.xml", "<p:sld/>")
        if main:
            z.writestr("ppt/presentation.xml", xml)
    return out.getvalue()


def encrypted_pptx():
    return ole({"EncryptionInfo": b"\4\0\4\0" + bytes(5000), "EncryptedPackage": bytes(6000)})


def pdf(pages, encrypted=False):
    objects = ["<</Type/Catalog/Pages 2 0 R>>",
               f"<</Type/Pages/Count {pages}/Kids[{' '.join(f'{3 + i} 0 R' for i in range(pages))}]>>"]
    objects += ["<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"] * pages
    trailer = f"/Size {len(objects) + 1}/Root 1 0 R"
    if encrypted:
        trailer += (f"/ID[<00112233445566778899aabbccddeeff><00112233445566778899aabbccddeeff>]/Encrypt<</Filter/Standard/V 1"
                    f"/R 2/O<{'31' * 32}>/U<{'32' * 32}>/P -4>>")
    out, offsets = b"%PDF-1.4\n", []
    for i, text in enumerate(objects):
        offsets.append(len(out))
        out += f"{i + 1} 0 obj\n{text}\nendobj\n".encode()
    xref = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{at:010} 00000 n \n".encode() for at in offsets)
    return out + f"trailer<<{trailer}>>\nstartxref\n{xref}\n%%EOF\n".encode()


def record(kind, body, instance=0, container=False):
    return struct.pack("<HHI", instance << 4 | (15 if container else 0), kind, len(body)) + body


def ppt(slides, encrypted=False, edits=1, masters=3, pad=0):
    """edits: saves, of which only the first wrote the document. pad: bytes in front of it, for a long stream."""
    atoms = b"".join(record(0x03f3, bytes(20)) for _ in range(slides))
    document = record(0x03e8, record(0x03e9, bytes(40)) + record(0x0ff0, record(0x03f3, bytes(20)) * masters, 1, True)
                      + record(0x0ff0, atoms, 0, True) + record(0x0ff0, record(0x03f3, bytes(20)), 2, True), 0, True)
    stream, last = record(0x0fff, bytes(pad)), 0
    at = len(stream)
    stream += document
    for edit in range(edits):
        entry = struct.pack("<II", 1 << 20 | 1, at) if edit == 0 else struct.pack("<II", 1 << 20 | 7, 0)
        directory = len(stream)
        stream += record(0x1772, entry)
        this = len(stream)
        body = struct.pack("<IHBBIIIIHH", 256, 0, 0, 3, last, directory, 1, 9, 0, 0)
        stream += record(0x0ff5, body + (bytes(4) if encrypted else b""))
        last = this
    token = 0xf3d1c4df if encrypted else 0xe391c05f
    user = record(0x0ff6, struct.pack("<IIIHHBBH", 20, token, last, 0, 1012, 3, 0, 0) + bytes(8))
    return ole({"Current User": user, "PowerPoint Document": stream})


def ole(streams, sector_log2=9):
    """[MS-CFB]: head, then the table of sectors, the directory, the mini table, the mini stream, long streams."""
    size, end, free, cutoff = 1 << sector_log2, 0xfffffffe, 0xffffffff, 4096
    mini, mini_fat, longs, entries = b"", [], [], []
    for name, data in streams.items():
        if len(data) < cutoff:
            n = (len(data) + 63) // 64
            first = len(mini_fat) if n else end
            mini_fat += [first + i + 1 for i in range(n - 1)] + ([end] if n else [])
            mini += data + bytes(-len(data) % 64)
            entries.append([name, 2, first, len(data)])
        else:
            entries.append([name, 2, None, len(data)])
            longs.append((entries[-1], data))

    def pieces(data):
        return [data[i:i + size].ljust(size, b"\0") for i in range(0, len(data), size)]

    chains = [pieces(bytes((len(entries) + 1) * 128)),
              pieces(b"".join(struct.pack("<I", v) for v in mini_fat)), pieces(mini)] + [pieces(d) for _, d in longs]
    count = sum(len(c) for c in chains)
    fats = 1
    while fats * (size // 4) < count + fats:
        fats += 1
    assert fats <= 109
    fat, firsts, at = [0xfffffffd] * fats, [], fats
    for c in chains:
        firsts.append(at if c else end)
        fat += [at + i + 1 for i in range(len(c) - 1)] + ([end] if c else [])
        at += len(c)
    fat += [free] * (fats * (size // 4) - len(fat))
    for (entry, _), first in zip(longs, firsts[3:]):
        entry[2] = first
    directory = b""
    for name, kind, first, n in [["Root Entry", 5, firsts[2], len(mini)]] + entries:
        text = name.encode("utf-16-le")
        directory += text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text) + 2, kind, 1, free, free,
                                                         1 if kind == 5 else free) + bytes(36) + struct.pack("<IQ", first, n)
    chains[0] = pieces(directory)
    head = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 62, 3, 0xfffe, sector_log2, 6) + bytes(6)
            + struct.pack("<IIIIIIIII", 0, fats, firsts[0], 0, cutoff, firsts[1], len(chains[1]), end, 0)
            + b"".join(struct.pack("<I", i if i < fats else free) for i in range(109)))
    return (head.ljust(size, b"\0") + b"".join(pieces(b"".join(struct.pack("<I", v) for v in fat)))
            + b"".join(b"".join(c) for c in chains))

#!/usr/bin/env python3
"""Small contents of each supported kind for fuzzers.

seeds.py FOLDER                      makes them
seeds.py run PROGRAM ARGUMENTS...    makes them in a folder of its own and runs the program with their names behind
"""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "probe"))
sys.dont_write_bytecode = True
import decks  # noqa: E402

VIDEO = ["-f", "lavfi", "-i", "testsrc2=s=32x32:r=5:d=0.4"]
SOUND = ["-f", "lavfi", "-i", "sine=d=0.1"]
MADE = {
    "a.mp4": VIDEO + SOUND + ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"],
    "a.mov": VIDEO + ["-c:v", "qtrle", "-pix_fmt", "argb"], "a.3gp": VIDEO + ["-s", "128x96", "-c:v", "h263"],
    "a.mkv": VIDEO + ["-c:v", "mpeg4"], "a.webm": VIDEO + ["-c:v", "libvpx"],
    "a.flv": VIDEO + ["-c:v", "flv"], "a.wmv": VIDEO + ["-c:v", "wmv2", "-f", "asf"], "a.avi": VIDEO + ["-c:v", "mpeg4"],
    "a.png": VIDEO + ["-frames:v", "1"], "a.jpg": VIDEO + ["-frames:v", "1"], "a.bmp": VIDEO + ["-frames:v", "1"],
    "a.gif": VIDEO, "a.mp3": SOUND + ["-c:a", "libmp3lame"], "a.m4a": SOUND + ["-c:a", "aac"],
    "a.wav": SOUND + ["-c:a", "pcm_s16le"]}


def make(folder):
    for name, arguments in MADE.items():
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, os.path.join(folder, name)], check=True)
    for name, content in {"a.pptx": decks.pptx(3), "a.ppt": decks.ppt(3, edits=2), "b.ppt": decks.ppt(9, pad=9000),
                          "a.pdf": decks.pdf(3), "b.pptx": decks.encrypted_pptx()}.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    return sorted(os.path.join(folder, name) for name in os.listdir(folder))


if sys.argv[1] == "run":
    with tempfile.TemporaryDirectory() as made:
        raise SystemExit(subprocess.run(sys.argv[2:] + make(made), check=False).returncode)
make(sys.argv[1])

#!/usr/bin/env python3
"""Real contents, made by ffmpeg, examined by `msasset probe`; facts and verdict compared with what ffprobe says.

media.py small | large [FOLDER]

Every content is also broken in several respects (cut, overwritten, under another's suffix), and the verdict on it
is again compared with the rules of product.md section 4, written down here a second time over ffprobe's answer.
"""

import concurrent.futures
import json
import os
import random
import subprocess
import sys
import tempfile
from fractions import Fraction

import decks

MSASSET = os.environ["MSASSET"]
SEED = int(os.environ.get("MS_TEST_SEED", "5"))
VIDEO = "mp4 m4v mkv mov flv 3gp wmv avi webm".split()
IMAGE = "png jpg jpeg bmp gif".split()
AUDIO = "mp3 m4a wav".split()
DECK = "ppt pptx pdf".split()
FAMILY = {**dict.fromkeys("mp4 m4v mov 3gp m4a".split(), "mov"), "mkv": "matroska", "wmv": "asf", "jpg": "jpeg"}
DEMUXERS = {"mov": "mov", "matroska": "matroska", "webm": "matroska", "flv": "flv", "asf": "asf", "avi": "avi",
            "mp3": "mp3", "wav": "wav", "png": "png_pipe", "jpeg": "jpeg_pipe", "bmp": "bmp_pipe", "gif": "gif"}
failures = []


def wrong(path, text):
    failures.append(path)
    print(f"WRONG {os.path.basename(path)}: {text}")


# ---- making ------------------------------------------------------------------------------------

def picture(size="64x48", rate="25", seconds="0.4"):
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}"]


def tone(channels=1, hertz=44100, seconds="0.4"):
    return ["-f", "lavfi", "-i", f"sine=r={hertz}:d={seconds}", "-ac", str(channels)]


X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
CODECS = {
    "h264": X264,
    "h265": ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:pools=1", "-pix_fmt", "yuv420p"],
    "av1": ["-s", "96x64", "-c:v", "libsvtav1", "-preset", "12", "-pix_fmt", "yuv420p"],
    "vp8": ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"],
    "vp9": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"],
    "vp9a": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-pix_fmt", "yuva420p"],
    "vp8a": ["-c:v", "libvpx", "-deadline", "realtime", "-pix_fmt", "yuva420p", "-auto-alt-ref", "0"],
    "h264_444": ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p"],
    "h264_10": ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le"],
    "mpeg4": ["-c:v", "mpeg4"], "mpeg2": ["-c:v", "mpeg2video"], "mjpeg": ["-c:v", "mjpeg", "-pix_fmt", "yuvj422p"],
    "msmpeg4": ["-c:v", "msmpeg4"], "wmv1": ["-c:v", "wmv1"], "wmv2": ["-c:v", "wmv2"], "flv1": ["-c:v", "flv"],
    "h263": ["-s", "176x144", "-c:v", "h263"], "prores": ["-c:v", "prores_ks"],
    "prores4444": ["-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"],
    "qtrle": ["-c:v", "qtrle", "-pix_fmt", "argb"], "ffv1": ["-c:v", "ffv1"], "theora": ["-c:v", "libtheora"],
    "pngv": ["-c:v", "png", "-pix_fmt", "rgba"],
}
HOLDS = {  # what each suffix's muxer takes
    "mp4": "h264 h265 av1 vp9 h264_444 h264_10 mpeg4 mpeg2 mjpeg", "m4v": "h264 mpeg4",
    "mov": "h264 h265 prores prores4444 qtrle pngv mjpeg mpeg4", "3gp": "h264 h263 mpeg4",
    "mkv": "h264 h265 av1 vp8 vp9 mpeg4 mpeg2 ffv1 theora vp9a h264_444", "webm": "vp8 vp9 av1 vp9a vp8a",
    "flv": "h264 flv1", "wmv": "wmv1 wmv2 msmpeg4 h264", "avi": "h264 mpeg4 mjpeg msmpeg4 ffv1"}
SOUND = {"webm": ["-c:a", "libopus"], "wmv": ["-c:a", "wmav2"], "flv": ["-c:a", "libmp3lame"], "avi": ["-c:a", "libmp3lame"]}


def recipes(large):
    """name -> arguments of ffmpeg"""
    out = {}
    for suffix, codecs in HOLDS.items():
        for codec in codecs.split():
            enough = codec in "h264 h263 vp8 wmv2 flv1 prores4444 vp9a av1".split()
            if not large and not enough:
                continue
            video = CODECS[codec]
            aac = SOUND.get(suffix, ["-c:a", "aac"])
            out[f"{codec}.{suffix}"] = picture() + tone(2, 48000) + video + aac
            if large:
                out[f"{codec}_mute.{suffix}"] = picture(rate="30000/1001") + video
                out[f"{codec}_tall.{suffix}"] = picture("48x64", "50") + tone(1, 48000) + video + aac
    for rate in ("30", "30000/1001", "31", "60") if large else ("30", "31"):
        out[f"rate{rate.replace('/', '_')}.mp4"] = picture(rate=rate, seconds="1") + X264
    for size in ("1920x1080", "1080x1920", "1922x1080", "1920x1082", "1440x1080") if large else ("1920x1082", "1080x1920"):
        out[f"side{size}.mp4"] = picture(size, seconds="0.08") + X264
        for suffix in IMAGE if large else ("png",):
            out[f"side{size}.{suffix}"] = picture(size, seconds="0.04") + ["-frames:v", "1"]
    out["faststart.mp4"] = picture() + X264 + ["-movflags", "+faststart"]
    out["fragments.mp4"] = picture() + X264 + ["-movflags", "frag_keyframe+empty_moov"]
    out["turned.mp4"] = picture() + X264 + ["-metadata:s:v:0", "rotate=90"]
    out["long.mp4"] = ["-f", "lavfi", "-i", "color=s=16x16:r=1:d=1801"] + X264
    out["halfhour.mp4"] = ["-f", "lavfi", "-i", "color=s=16x16:r=1:d=1800"] + X264
    for i, fmt in enumerate(("rgb24", "rgba", "gray", "pal8", "rgb48be")):
        if large or i < 2:
            out[f"{fmt}.png"] = picture() + ["-frames:v", "1", "-pix_fmt", fmt]
    for i, fmt in enumerate(("yuvj420p", "yuvj444p", "gray")):
        out[f"{fmt}.{IMAGE[1 + i % 2]}"] = picture() + ["-frames:v", "1", "-pix_fmt", fmt]
    out["one.bmp"] = picture() + ["-frames:v", "1"]
    out["one.gif"] = picture() + ["-frames:v", "1"]
    out["moves.gif"] = picture()
    for channels in (1, 2) if large else (1,):
        for hertz in (8000, 22050, 44100, 48000) if large else (44100,):
            out[f"s{channels}_{hertz}.mp3"] = tone(channels, hertz) + ["-c:a", "libmp3lame"]
            out[f"s{channels}_{hertz}.m4a"] = tone(channels, hertz) + ["-c:a", "aac"]
            out[f"s{channels}_{hertz}.wav"] = tone(channels, hertz) + ["-c:a", "pcm_s16le"]
            if large:
                out[f"s{channels}_{hertz}_24.wav"] = tone(channels, hertz) + ["-c:a", "pcm_s24le"]
                out[f"s{channels}_{hertz}_alac.m4a"] = tone(channels, hertz) + ["-c:a", "alac"]
    out["stereo.mp3"] = tone(2) + ["-c:a", "libmp3lame"]
    out["soundonly.mp4"] = tone() + ["-c:a", "aac"]
    out["soundonly.mkv"] = tone() + ["-c:a", "aac"]
    out["soundonly.wmv"] = tone() + ["-c:a", "wmav2"]
    out["picture.m4a"] = picture() + tone() + X264 + ["-c:a", "aac", "-f", "mp4"]
    return out


def make(folder, name, arguments):
    path = os.path.join(folder, name)
    forced = {"m4v": ["-f", "mp4"], "wmv": ["-f", "asf"]}.get(name.split(".")[-1], [])
    if "-f" in arguments[-3:]:
        forced = []
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", *arguments, "-shortest", "-strict", "-2", *forced,
                    "-fflags", "+bitexact", path], check=True)
    return path


def make_decks(folder):
    """path -> (slides, code of the refusal: "" accepted, "wrong", "many")"""
    out = {}
    for n in (0, 1, 50, 99, 100, 101, 137):
        verdict = "many" if n > 100 else ""
        out[f"d{n}.pptx"] = decks.pptx(n), n, verdict
        out[f"d{n}.ppt"] = decks.ppt(n), n, verdict
        if n:
            out[f"d{n}.pdf"] = decks.pdf(n), n, verdict
    out["noprefix.pptx"] = decks.pptx(3, prefix=""), 3, ""
    out["orphans.pptx"] = decks.pptx(3, orphans=200), 3, ""
    out["nomain.pptx"] = decks.pptx(3, main=False), None, "wrong"
    out["bomb.pptx"] = decks.pptx(3, xml_pad=64 << 20), None, "wrong"
    out["encrypted.pptx"] = decks.encrypted_pptx(), None, "wrong"
    out["encrypted.ppt"] = decks.ppt(3, encrypted=True), None, "wrong"
    out["encrypted.pdf"] = decks.pdf(3, encrypted=True), None, "wrong"
    out["edits.ppt"] = decks.ppt(7, edits=5), 7, ""
    out["long.ppt"] = decks.ppt(100, pad=300000), 100, ""
    out["nopages.pdf"] = decks.pdf(0), None, "wrong"
    paths = {}
    for name, (content, slides, verdict) in out.items():
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(content)
        paths[path] = (slides, verdict)
    return paths


# ---- what it must be ---------------------------------------------------------------------------

def run_ffprobe(path, demuxer=None):
    done = subprocess.run(["ffprobe", "-v", "quiet", *(["-f", demuxer] if demuxer else []), "-of", "json", "-show_format",
                           "-show_streams", path], capture_output=True, check=False)
    return json.loads(done.stdout or "{}") if done.returncode == 0 else {}


def suffix_of(path):
    return path.rsplit(".", 1)[-1]


def is_webm(path):
    with open(path, "rb") as file:
        return b"\x42\x82\x84webm" in file.read(128)


def first(found, kind):
    for stream in found.get("streams", []):
        if stream["codec_type"] == kind and not stream["disposition"]["attached_pic"]:
            return stream
    return None


def is_accepted(path, found):
    """By ffprobe's answer, asked with the demuxer of the suffix."""
    suffix = suffix_of(path)
    family = FAMILY.get(suffix, suffix)
    video, audio = first(found, "video"), first(found, "audio")
    if family in ("matroska", "webm") and is_webm(path) != (family == "webm"):
        return False
    if video and not video.get("width"):
        return False
    if suffix in AUDIO:
        return audio is not None and video is None and audio.get("channels", 0) > 0
    return video is not None


def is_headless(path):
    """A copy whose first bytes are gone. ffprobe, told what to look for, goes on searching; that makes no film of it."""
    return path.rsplit(".", 1)[0].endswith(("_zeroed", "_noise")) and suffix_of(path) != "mp3"


def has_alpha(stream):
    fmt = stream.get("pix_fmt", "")
    return (stream.get("tags", {}).get("alpha_mode") == "1" or fmt.startswith(("yuva", "ya", "gbrap", "rgba", "argb", "bgra",
                                                                                "abgr")))


def rate_of(stream):
    """The average; where a file is too short for one, what ffprobe guesses. None: unknown."""
    for key in ("avg_frame_rate", "r_frame_rate"):
        over, under = map(int, stream[key].split("/"))
        if over > 0 and under > 0:
            return Fraction(over, under)
    return None


def usable(path, found, size):
    """production, livestreaming"""
    suffix, video, audio = suffix_of(path), first(found, "video"), first(found, "audio")
    if suffix in AUDIO:
        return ("yes", "yes") if audio else ("no", "no")
    short, long = sorted((video["width"], video["height"]))
    small = short <= 1080 and long <= 1920
    if suffix in IMAGE:
        return ("yes" if small and suffix in ("png", "jpg", "jpeg") else "no",
                "yes" if small and suffix != "gif" else "no")
    codec, alpha = video["codec_name"], has_alpha(video)
    slow = rate_of(video) is not None and rate_of(video) <= 30
    webm = suffix == "webm"
    fits = small and slow and size < 1 << 30
    where = codec in ("h264", "hevc") or (codec in ("vp8", "vp9") and webm) or (codec == "av1" and not webm)
    length = float(found["format"].get("duration", 0)) <= 1800
    live = (not webm and codec in ("h264", "hevc", "av1") and fits and not alpha
            and video.get("pix_fmt", "").startswith(("yuv420p", "yuvj420p", "nv12")))
    production = "not_yet" if suffix == "mov" and alpha else "yes" if where and fits and length else "no"
    return production, "yes" if live else "no"


# ---- comparing ---------------------------------------------------------------------------------

def near(a, b, slack=1):
    return abs((a or 0) - (b or 0)) <= slack


def compare_facts(path, got, found):
    facts, video, audio = got["facts"], first(found, "video"), first(found, "audio")
    want = {"video_codec": video and video["codec_name"], "audio_codec": audio and audio["codec_name"],
            "pixel_format": video and video.get("pix_fmt"), "audio_channels": audio and audio["channels"],
            "sample_rate": audio and int(audio["sample_rate"])}
    for key, value in want.items():
        if facts[key] != value:
            wrong(path, f"{key} is {facts[key]}, ffprobe says {value}")
    if video:
        turned = any(s.get("rotation") in (90, -90) for s in video.get("side_data_list", []))
        sides = (video["height"], video["width"]) if turned else (video["width"], video["height"])
        if (facts["width"], facts["height"]) != sides:
            wrong(path, f"{facts['width']}x{facts['height']}, ffprobe says {sides}")
        if facts["alpha"] != has_alpha(video):
            wrong(path, f"alpha is {facts['alpha']}, ffprobe says {video.get('pix_fmt')}")
        told = Fraction(facts["frame_rate"]) if facts["frame_rate"] else None
        if suffix_of(path) in VIDEO and told != rate_of(video):
            wrong(path, f"frame rate {facts['frame_rate']}, ffprobe says {video['avg_frame_rate']}")
    if suffix_of(path) in VIDEO + AUDIO and not near(facts["duration_ms"], float(found["format"].get("duration", 0)) * 1000):
        wrong(path, f"{facts['duration_ms']} ms, ffprobe says {found['format'].get('duration')} s")


def compare(path, got):
    family = FAMILY.get(suffix_of(path), suffix_of(path))
    found = run_ffprobe(path, DEMUXERS[family])
    accepted = is_accepted(path, found) and not is_headless(path)
    if got["accepted"] != accepted:
        wrong(path, f"accepted: {got['accepted']} ({got['refused']}), by ffprobe: {accepted}")
    elif accepted:
        compare_facts(path, got, found)
        uses = tuple(got["usable"][use]["usable"] for use in ("video_production", "livestreaming"))
        if uses != usable(path, found, got["size_bytes"]):
            wrong(path, f"usable {got['usable']}, by ffprobe {usable(path, found, got['size_bytes'])}")
    elif not got["refused"]:
        wrong(path, "refused without a word")
    return accepted


def examine(paths):
    """In the order given; asked in bunches, as a command line takes them."""
    out = []
    for at in range(0, len(paths), 50):
        done = subprocess.run([MSASSET, "probe", "--json", *paths[at:at + 50]], capture_output=True, check=False)
        if done.returncode != 0:
            print(done.stdout.decode(), done.stderr.decode())
            raise SystemExit("msasset probe failed")
        out += json.loads(done.stdout)
    return out


# ---- breaking ----------------------------------------------------------------------------------

def broken_copies(folder, path, rng, large):
    """The same content, broken in one respect each."""
    with open(path, "rb") as file:
        content = file.read()
    stem, suffix = os.path.basename(path).rsplit(".", 1)
    cuts = (16, 200, len(content) // 2) if large else (16, len(content) // 2)
    copies = {f"cut{n}": content[:n] for n in cuts if n < len(content)}
    copies["zeroed"] = bytes(min(64, len(content))) + content[64:]
    copies["noise"] = rng.randbytes(64) + content[64:]
    out = []
    for what, data in copies.items():
        out.append(os.path.join(folder, f"{stem}_{what}.{suffix}"))
        with open(out[-1], "wb") as file:
            file.write(data)
    return out


def another_suffix(folder, path, rng):
    mine = FAMILY.get(suffix_of(path), suffix_of(path))
    others = [s for s in VIDEO + IMAGE + AUDIO + DECK if FAMILY.get(s, s) != mine]
    link = os.path.join(folder, os.path.basename(path) + "_as." + rng.choice(others))
    os.link(path, link)
    return link


def polyglots(folder, png, jpg):
    """Two contents in one: what it is decided by its first bytes, and must be what the suffix says."""
    with open(png, "rb") as file:
        picture_bytes = file.read()
    with open(jpg, "rb") as file:
        photo = file.read()
    comment = b"\xff\xfe" + (2 + 700).to_bytes(2, "big") + decks.pdf(2)[:700].ljust(700)
    out = {}
    for name, content, accepted in (("png_zip.png", picture_bytes + decks.pptx(3), True),
                                    ("png_zip.pptx", picture_bytes + decks.pptx(3), False),
                                    ("pdf_in_jpg.jpg", photo[:2] + comment + photo[2:], True),
                                    ("pdf_in_jpg.pdf", photo[:2] + comment + photo[2:], False),
                                    ("zip_png.png", decks.pptx(3) + picture_bytes, False),
                                    ("behind.pdf", b"\n" * 700 + decks.pdf(2), True)):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(content)
        out[path] = accepted
    return out


def check_huge(folder, film):
    """Nearly 5 GB with the index at the end, behind a hole: a few ranges of it are read."""
    with open(film, "rb") as file:
        content = file.read()
    at, boxes = 0, []
    while at < len(content):
        n = int.from_bytes(content[at:at + 4], "big")
        boxes.append(content[at:at + n])
        at += n
    index = boxes[-1]
    assert index[4:8] == b"moov"
    path, hole = os.path.join(folder, "huge.mp4"), 5 * (1 << 30) - len(content) - 16
    with open(path, "wb") as file:
        file.write(b"".join(boxes[:-1]) + (1).to_bytes(4, "big") + b"free" + (hole + 16).to_bytes(8, "big"))
        file.seek(hole, os.SEEK_CUR)
        file.write(index)
    got = examine([path])[0]
    if not got["accepted"] or got["facts"]["width"] != 64 or got["reads"] > 8:
        wrong(path, f"{got['reads']} reads, refused: {got['refused']}, {got['facts']}")
    if got["usable"]["video_production"]["usable"] != "no" or "5368709120 bytes" not in got["usable"]["livestreaming"]["reason"]:
        wrong(path, f"{got['usable']}")
    return got["reads"]


# ---- all of it ---------------------------------------------------------------------------------

def check_media(folder, pool, paths):
    answers = examine(paths)
    return sum(pool.map(compare, paths, answers))


def check_wrong(paths):
    for path, got in zip(paths, examine(paths)):
        if got["accepted"] or not got["refused"]:
            wrong(path, "accepted")


def check_decks(folder, rng, large):
    known = make_decks(folder)
    for path, got in zip(known, examine(list(known))):
        slides, verdict = known[path]
        if got["accepted"] != (verdict == ""):
            wrong(path, f"accepted: {got['accepted']} ({got['refused']})")
        if slides is not None and (got["facts"]["page_count"] or 0) != slides:
            wrong(path, f"{got['facts']['page_count']} slides instead of {slides}")
        if verdict == "many" and "it may have 100" not in got["refused"]:
            wrong(path, got["refused"])
    check_wrong([p for path, (_, verdict) in known.items() if verdict == "" and suffix_of(path) != "pdf"
                 for p in broken_copies(folder, path, rng, large) if "cut" in p or "zeroed" in p or "noise" in p])
    check_wrong([another_suffix(folder, path, rng) for path in known])
    return len(known)


def main():
    large = sys.argv[1] == "large"
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder, \
            concurrent.futures.ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda item: make(folder, *item), recipes(large).items()))
        accepted = check_media(folder, pool, made)
        broken = [p for path in made for p in broken_copies(folder, path, rng, large)]
        broken = rng.sample(broken, 500 if large else 60)
        still = check_media(folder, pool, broken)
        check_wrong([another_suffix(folder, path, rng) for path in made])
        n_decks = check_decks(folder, rng, large)
        print(f"5 GB in {check_huge(folder, os.path.join(folder, 'h264.mp4'))} reads")
        glots = polyglots(folder, os.path.join(folder, "rgb24.png"), os.path.join(folder, "yuvj420p.jpg"))
        for (path, want), got in zip(glots.items(), examine(list(glots))):
            if got["accepted"] != want:
                wrong(path, f"accepted: {got['accepted']} ({got['refused']})")
    print(f"{len(made)} contents, {accepted} accepted; {len(broken)} broken ones, {still} accepted as ffprobe does; "
          f"{len(made)} under another suffix; {n_decks} decks; {len(failures)} differences")
    if large and len(made) < 200:
        raise SystemExit("fewer than 200 contents")
    raise SystemExit(1 if failures else 0)


main()

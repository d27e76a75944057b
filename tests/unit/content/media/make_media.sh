#!/bin/bash
# make_media.sh DIR: small real files of every suffix that product.md section 4 names, and of others that must
# not pass for one of them. NAME.SUFFIX is called after what it is.
set -eu
cd "$1"
video="-f lavfi -i testsrc=size=160x120:rate=10:duration=0.5"
audio="-f lavfi -i sine=duration=0.5"
make() { ffmpeg -nostdin -loglevel error -y "$@"; }

make $video $audio -map 0 -map 1 \
  -c:v mpeg4 plain.mp4 \
  -map 0 -map 1 -c:v mpeg4 -movflags +faststart faststart.mp4 \
  -map 0 -map 1 -c:v mpeg4 -movflags frag_keyframe+empty_moov fragmented.mp4 \
  -map 0 -map 1 -c:v mpeg4 -brand mp42 mp42.mp4 \
  -map 0 -map 1 -c:v mpeg4 -f psp psp.mp4 \
  -map 0 -map 1 -c:v mpeg4 -f ipod plain.m4v \
  -map 0 -map 1 -c:v mpeg4 plain.mkv \
  -map 0 -map 1 -c:v mpeg4 -live 1 live.mkv \
  -map 0 -map 1 -c:v mpeg4 plain.mov \
  -map 0 -map 1 -c:v mpeg4 -movflags +faststart faststart.mov \
  -map 0 -map 1 -c:v flv -c:a libmp3lame -ar 44100 plain.flv \
  -map 0 -map 1 -c:v mpeg4 -c:a aac plain.3gp \
  -map 0 -c:v mpeg4 -brand isom isom.3gp \
  -map 0 -map 1 -c:v wmv2 -c:a wmav2 plain.wmv \
  -map 0 -map 1 -c:v mpeg4 -c:a libmp3lame plain.avi \
  -map 0 -c:v mjpeg mjpeg.avi \
  -map 0 -map 1 -c:v libvpx -deadline realtime -c:a libvorbis plain.webm \
  -map 0 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -live 1 live.webm
make $video -frames:v 1 -update 1 plain.png \
  -frames:v 1 -update 1 -pix_fmt rgba alpha.png \
  -frames:v 1 -update 1 -pix_fmt gray16be gray16.png \
  -frames:v 1 -update 1 plain.jpg \
  -frames:v 1 -update 1 -pix_fmt gray gray.jpeg \
  -frames:v 1 -update 1 plain.bmp \
  -frames:v 1 -update 1 -pix_fmt pal8 palette.bmp \
  plain.gif
make $audio plain.mp3 \
  -id3v2_version 0 -write_xing 0 bare.mp3 \
  -id3v2_version 0 xing.mp3 \
  -id3v2_version 3 -write_id3v1 1 id3v1.mp3 \
  -q:a 9 -id3v2_version 0 vbr.mp3 \
  plain.m4a \
  -f mp4 mp4brand.m4a \
  -movflags +faststart faststart.m4a \
  plain.wav \
  -c:a pcm_s24le s24.wav \
  -c:a pcm_f32le f32.wav \
  -c:a adpcm_ms adpcm.wav \
  -rf64 always rf64.wav
for rate in 8000 11025 12000 16000 22050 24000 32000 44100 48000; do
  make $audio -id3v2_version 0 -write_xing 0 -ar $rate -ac 1 -b:a 32k rate$rate-mono.mp3 \
    -id3v2_version 0 -write_xing 0 -ar $rate -ac 2 -b:a 64k rate$rate-stereo.mp3
done
for bits in 40 56 80 96 128 160 192 224 256 320; do
  make $audio -id3v2_version 0 -write_xing 0 -ar 44100 -b:a ${bits}k bits$bits.mp3
done
make $video -frames:v 1 -update 1 no.tiff -frames:v 1 -update 1 no.webp -frames:v 1 -update 1 no.ppm
make $audio -c:a libvorbis no.ogg -c:a flac no.flac -f adts no.aac -f aiff no.aiff -f ac3 no.ac3
make $video $audio -map 0 -map 1 -f mpegts no.ts -map 0 -map 1 -c:v mpeg2video -f vob no.vob \
  -map 0 -c:v libtheora no.ogv

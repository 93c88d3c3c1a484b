"""Pictures as numpy arrays: our own PNGs, and the PGM and PPM of DCMTK."""
import struct
import zlib

import numpy as np


def read_png(path):
    """Our own PNGs: 8 bits, gray or RGB, not interlaced."""
    data = path.read_bytes()
    at, packed, header = 8, b"", None
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n]
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        at += 12 + n
    width, height, depth, color = header[:4]
    channels = {0: 1, 2: 3}[color]
    assert depth == 8
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * channels)
    out = np.zeros((height, width * channels), np.uint8)
    before = np.zeros(width * channels, np.int64)
    for y in range(height):
        out[y] = before = unfilter(raw[y, 0], raw[y, 1:].astype(np.int64), before, channels)
    return out.reshape(height, width, channels)


def unfilter(kind, line, up, bpp):
    if kind == 0:
        return line
    if kind == 2:
        return (line + up) & 255
    if kind == 1:
        return np.cumsum(line.reshape(-1, bpp), axis=0).reshape(-1) & 255
    return np.array((averaged if kind == 3 else paeth)(line.tolist(), up.tolist(), bpp))  # lists: numpy is slow by the element


def averaged(out, up, bpp):
    for i in range(bpp):
        out[i] = (out[i] + up[i] // 2) & 255
    for i in range(bpp, len(out)):
        out[i] = (out[i] + (out[i - bpp] + up[i]) // 2) & 255
    return out


def paeth(out, up, bpp):
    for i in range(bpp):
        out[i] = (out[i] + up[i]) & 255
    for i in range(bpp, len(out)):
        left, above, corner = out[i - bpp], up[i], up[i - bpp]
        a, b, c = above - corner, left - corner, left + above - 2 * corner
        a, b, c = a if a >= 0 else -a, b if b >= 0 else -b, c if c >= 0 else -c
        out[i] = (out[i] + (left if a <= b and a <= c else above if b <= c else corner)) & 255
    return out


def read_pnm(path):
    """Raw PGM and PPM of 8 bits."""
    data = path.read_bytes()
    fields, at = [], 0
    while len(fields) < 4:
        end = at
        while data[end] not in b" \n\t\r":
            end += 1
        if data[at:at + 1] == b"#":
            end = data.index(b"\n", at)
        elif end > at:
            fields.append(data[at:end])
        at = end + 1
    channels = {b"P5": 1, b"P6": 3}[fields[0]]
    width, height, most = map(int, fields[1:])
    assert most == 255, path
    return np.frombuffer(data[at:at + width * height * channels], np.uint8).reshape(height, width, channels)

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
    out = line.copy()
    for i in range(len(out)):
        left = int(out[i - bpp]) if i >= bpp else 0
        corner = int(up[i - bpp]) if i >= bpp else 0
        if kind == 3:
            out[i] = (out[i] + (left + int(up[i])) // 2) & 255
        else:
            p = left + int(up[i]) - corner
            near = min((abs(p - left), 0, left), (abs(p - int(up[i])), 1, int(up[i])), (abs(p - corner), 2, corner))
            out[i] = (out[i] + near[2]) & 255
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

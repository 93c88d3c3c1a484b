"""Objects that lie: small files that declare, refer to or inflate to what nobody has room for. Written byte by byte, since no library would write them."""
import json
import struct
import zlib

EXPLICIT_LE, J2K, RLE, DEFLATED, DEFLATED_FRAME = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1"
J2K_LOSSLESS, JLS, JPEG, JPEG_LOSSLESS, HTJ2K = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.203"
SC, SC_MULTI, GSPS = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.2", "1.2.840.10008.5.1.4.1.1.11.1"
LONG = ("OB", "OW", "OF", "OD", "OL", "OV", "SQ", "UN", "UT", "UC", "UR")
_next = [0]


def new_uid():
    _next[0] += 1
    return f"1.2.3.99.{_next[0]}"


def noise(n, seed=1):
    out, x = bytearray(), seed
    for i in range(n):
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        out.append((x >> 16 & 15) + (i // 64) * 3 & 255)
    return bytes(out)


# ---- writing ----

def element(tag, vr, value, length=None):
    """One element in explicit VR little endian. Text and numbers become bytes; length is what to say in place of the truth."""
    if isinstance(value, str):
        value = value.encode()
        value += (b"\0" if vr == "UI" else b" ") * (len(value) & 1)
    elif isinstance(value, (int, tuple, list)):
        form = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "AT": "I"}[vr]
        values = (value,) if isinstance(value, int) else value
        value = struct.pack(f"<{len(values)}{form}", *values)
    elif vr not in ("SQ",) and len(value) & 1:
        value += b"\0"
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    length = len(value) if length is None else length
    return head + (struct.pack("<HI", 0, length) if vr in LONG else struct.pack("<H", length)) + value


def item(content, length=None):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content) if length is None else length) + content


def sequence(tag, *items):
    return element(tag, "SQ", b"".join(item(i) for i in items))


def part10(body, ts, sop_class, instance):
    meta = element(0x00020001, "OB", b"\0\1") + element(0x00020002, "UI", sop_class) + element(0x00020003, "UI", instance) + element(0x00020010, "UI", ts)
    if ts == DEFLATED:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = deflate.compress(body) + deflate.flush()
        body += b"\0" * (len(body) & 1)
    return bytes(128) + b"DICM" + element(0x00020000, "UL", len(meta)) + meta + body


def fragments(*values, table=b""):
    return item(table) + b"".join(item(v + b"\0" * (len(v) & 1)) for v in values) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def image(ts=EXPLICIT_LE, rows=4, columns=4, frames=None, samples=1, bits=8, photometric="MONOCHROME2", pixels=b"", encapsulated=None, more=(), study=None, sop_class=None):
    """An image; encapsulated is the pixel data's value as it stands in the file. more: [(tag, bytes of the element)]."""
    instance, sop_class = new_uid(), sop_class or (SC_MULTI if frames else SC)
    elements = {
        0x00080016: element(0x00080016, "UI", sop_class), 0x00080018: element(0x00080018, "UI", instance), 0x00080060: element(0x00080060, "CS", "OT"),
        0x00100010: element(0x00100010, "PN", "Hostile^Test"), 0x00100020: element(0x00100020, "LO", "H1"),
        0x0020000D: element(0x0020000D, "UI", study or new_uid()), 0x0020000E: element(0x0020000E, "UI", new_uid()),
        0x00280002: element(0x00280002, "US", samples), 0x00280004: element(0x00280004, "CS", photometric), 0x00280010: element(0x00280010, "US", rows),
        0x00280011: element(0x00280011, "US", columns), 0x00280100: element(0x00280100, "US", bits), 0x00280101: element(0x00280101, "US", bits),
        0x00280102: element(0x00280102, "US", bits - 1), 0x00280103: element(0x00280103, "US", 0),
    }
    if frames is not None:
        elements[0x00280008] = element(0x00280008, "IS", str(frames))
    if samples > 1:
        elements[0x00280006] = element(0x00280006, "US", 0)
    vr = "OW" if bits > 8 else "OB"
    elements[0x7FE00010] = element(0x7FE00010, vr, pixels) if encapsulated is None else element(0x7FE00010, "OB", encapsulated, 0xFFFFFFFF)
    elements.update(dict(more))
    return part10(b"".join(elements[t] for t in sorted(elements)), ts, sop_class, instance)


def codestream_object(stream):
    """A JPEG 2000 codestream or file as an image of the size that it declares, as far as that can be told."""
    at = stream.find(b"\xff\x4f\xff\x51")
    columns, rows, samples, bits = 16, 16, 1, 8
    if at >= 0 and len(stream) >= at + 45:
        x1, y1, x0, y0 = struct.unpack_from(">IIII", stream, at + 8)
        count, depth = struct.unpack_from(">HB", stream, at + 40)
        columns, rows = max(1, min(65535, x1 - x0)), max(1, min(65535, y1 - y0))
        samples, bits = (3 if count == 3 else 1), (16 if (depth & 127) + 1 > 8 else 8)
    ts = HTJ2K if b"\xff\x50" in stream[:200] else J2K
    return image(ts, rows, columns, samples=samples, bits=bits, photometric="RGB" if samples == 3 else "MONOCHROME2", encapsulated=fragments(stream))


def damage(data, rounds):
    """The object with its last codestream cut, bent and emptied at places that spread over it; its lengths stay as they were."""
    at = data.rfind(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    begin = data.find(struct.pack("<HH", 0x7FE0, 0x0010)) + 12
    for i in range(1, rounds + 1):
        cut = begin + 8 + (at - begin) * i // (rounds + 1)
        yield data[:cut] + bytes(at - cut) + data[at:]
        yield data[:cut] + bytes([data[cut] ^ 0x5A, data[cut + 1] ^ 0xFF]) + data[cut + 2:]
        keep = cut - cut % 2
        old = data.rfind(struct.pack("<HH", 0xFFFE, 0xE000), begin, at)
        if keep > old + 10:
            yield data[:old + 4] + struct.pack("<I", keep - old - 8) + data[old + 8:keep] + data[at:]


# ---- what inflates ----

def rle_frame(n, zeros_of=128):
    """n bytes of one segment, all of them runs."""
    return struct.pack("<16I", 1, 64, *[0] * 14) + bytes([257 - zeros_of, 0]) * (n // zeros_of)


def raw_deflate(n):
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(bytes(n)) + deflate.flush()


def siz(columns, rows, tile_columns, tile_rows, components=1, precision=7):
    """A JPEG 2000 codestream that ends behind its first tile's header."""
    body = struct.pack(">HIIIIIIIIH", 0, columns, rows, 0, 0, tile_columns, tile_rows, 0, 0, components) + bytes([precision, 1, 1]) * components
    cod = struct.pack(">BBHBBBBBB", 0, 0, 1, 0, 5, 4, 4, 0, 1)
    qcd = bytes([0x40]) + bytes([0x40] * 16)
    out = b"\xff\x4f\xff\x51" + struct.pack(">H", len(body) + 2) + body + b"\xff\x52" + struct.pack(">H", len(cod) + 2) + cod + b"\xff\x5c" + struct.pack(">H", len(qcd) + 2) + qcd
    return out + b"\xff\x90" + struct.pack(">HHIBB", 10, 0, 0, 0, 1) + b"\xff\x93" + bytes(8) + b"\xff\xd9"


def jls(columns, rows, data, bits=8, near=0):
    return b"\xff\xd8\xff\xf7" + struct.pack(">HBHHBBBB", 11, bits, rows, columns, 1, 1, 0x11, 0) + b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, near, 0, 0) + data + b"\xff\xd9"


def jpeg_head(marker, columns, rows, bits=8, tail=b""):
    table = b"\xff\xc4" + struct.pack(">HB", 2 + 1 + 16 + 1, 0) + bytes([1] + [0] * 15) + b"\0"
    quant = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    ac = b"\xff\xc4" + struct.pack(">HB", 2 + 1 + 16 + 1, 0x10) + bytes([1] + [0] * 15) + b"\0"
    return b"\xff\xd8" + quant + bytes([0xff, marker]) + struct.pack(">HBHHBBBB", 11, bits, rows, columns, 1, 1, 0x11, 0) + table + ac + \
        b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1 if marker == 0xC3 else 0, 0 if marker == 0xC3 else 63, 0) + tail + b"\xff\xd9"


def pixel_bombs(everything):
    side = 20000 if everything else 2400
    half = side // 2
    yield "rle-inflates", image(RLE, side, side, encapsulated=fragments(rle_frame(side * side)))
    yield "rle-too-large", image(RLE, 65535, 65535, encapsulated=fragments(rle_frame(1 << 20)))
    yield "rle-segments-overlap", image(RLE, 64, 64, samples=3, photometric="RGB", encapsulated=fragments(struct.pack("<16I", 3, 64, 64, 64, *[0] * 12) + bytes([129, 0]) * 32))
    yield "rle-offsets-wrap", image(RLE, 64, 64, bits=16, encapsulated=fragments(struct.pack("<16I", 2, 64, 0xFFFFFFFF, *[0] * 13) + bytes(64)))
    yield "rle-64-frames-of-one", image(RLE, 64, 64, frames=64, encapsulated=fragments(rle_frame(4096), table=struct.pack("<64I", *[0] * 64)))
    yield "deflated-frame", image(DEFLATED_FRAME, 16, 16, encapsulated=fragments(raw_deflate((1 << 30) if everything else (1 << 25))))
    yield "deflated-frame-large", image(DEFLATED_FRAME, side, side, encapsulated=fragments(raw_deflate(side * side)))
    yield "deflated-object", image(DEFLATED, 4096, 16384 if everything else 1024, pixels=bytes(4096 * (16384 if everything else 1024)))
    yield "j2k-4g", image(J2K, 65535, 65535, encapsulated=fragments(siz(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)))
    yield "j2k-blank", image(J2K, half, half, encapsulated=fragments(siz(half, half, half, half)))
    yield "j2k-tiny-tiles", image(J2K, 65535, 65535, encapsulated=fragments(siz(65535, 65535, 1, 1)))
    yield "j2k-components", image(J2K, 16, 16, encapsulated=fragments(siz(16, 16, 16, 16, 16384)))
    yield "j2k-other-size", image(J2K, 16, 16, encapsulated=fragments(siz(8000, 8000, 8000, 8000)))
    yield "htj2k-blank", image(HTJ2K, half, half, encapsulated=fragments(siz(half, half, half, half)))
    yield "jls-large-empty", image(JLS, 22000, 22000, encapsulated=fragments(jls(22000, 22000, b"")))
    yield "jls-zeros", image(JLS, half, half, encapsulated=fragments(jls(half, half, b"\xff\x7f" * 2000)))
    yield "jpeg-large-empty", image(JPEG, 22000, 22000, encapsulated=fragments(jpeg_head(0xC0, 22000, 22000)))
    yield "jpeg-lossless-empty", image(JPEG_LOSSLESS, 22000, 22000, encapsulated=fragments(jpeg_head(0xC3, 22000, 22000)))
    yield "jpeg-progressive-scans", image(JPEG, 4096, 4096, encapsulated=fragments(jpeg_head(0xC2, 4096, 4096, tail=b"\xff\xda" * 1000)))


def structure_bombs(everything):
    many = (1 << 22) + 10 if everything else 120_000
    yield "huge-with-little", image(rows=65535, columns=65535, pixels=bytes(100))
    yield "huge-16-bit", image(rows=65535, columns=65535, bits=16, samples=3, photometric="RGB", pixels=bytes(100))
    yield "frames-2g", image(frames=2147483647, pixels=bytes(100))
    yield "frames-2g-rle", image(RLE, frames=2147483647, encapsulated=fragments(rle_frame(16, 16)))
    yield "frames-4g", image(frames=4294967295, rows=1, columns=1, pixels=bytes(100))
    yield "frames-2g-one-bit", image(frames=2147483647, rows=1, columns=1, bits=1, pixels=bytes(100))
    yield "frames-many", image(frames=many // 16, rows=1, columns=1, pixels=bytes(many // 16))
    yield "frames-4k-gif", image(frames=4096, rows=170, columns=170, pixels=bytes(4096 * 170 * 170) if everything else bytes(1000))
    yield "fragments", image(RLE, encapsulated=fragments(rle_frame(16, 16)) [:-8] + item(b"") * many + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    yield "fragments-are-frames", image(RLE, frames=many, encapsulated=item(b"") + item(b"xx") * many + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    one = rle_frame(16, 16)
    for name, table in {"behind": (0, 0xFFFFFFF0), "falling": (80, 0), "same": (0, 0), "inside": (0, 3), "items": (0, 8), "last": (0, 2 * (len(one) + 8))}.items():
        yield f"table-{name}", image(RLE, frames=2, encapsulated=fragments(one, one, table=struct.pack("<2I", *table)))
    yield "table-odd", image(RLE, frames=2, encapsulated=fragments(one, one, table=b"\0" * 7))
    yield "table-long", image(RLE, frames=2, encapsulated=fragments(one, one, table=bytes(4 * many)))
    for name, offsets, lengths in (("wrap", (0, 1 << 63), (2**64 - 1, 2**64 - 1)), ("behind", (0, 1 << 40), (66, 66)), ("overlap", (0, 1), (1000, 1000)), ("empty", (0, 0), (0, 0)), ("end", (2**64 - 8, 2**64 - 1), (8, 16))):
        extended = [(0x7FE00001, element(0x7FE00001, "OV", struct.pack("<2Q", *offsets))), (0x7FE00002, element(0x7FE00002, "OV", struct.pack("<2Q", *lengths)))]
        yield f"extended-{name}", image(RLE, frames=2, encapsulated=fragments(one, one), more=extended)


def lut(tag, values, vr="US"):
    return (tag, element(tag, vr, values))


def display_bombs(everything):
    palette = {"photometric": "PALETTE COLOR", "pixels": bytes(range(16))}
    for name, descriptor, data in (("none", (0, 0, 16), b""), ("all", (0, 65535, 16), bytes(10)), ("nil", (1, 0, 0), b"\1\2"), ("bits", (16, 0, 99), bytes(32)), ("short", (65535, 1, 8), b"\0")):
        yield f"palette-{name}", image(more=[lut(t, descriptor) for t in (0x00281101, 0x00281102, 0x00281103)] + [(t, element(t, "OW", data)) for t in (0x00281201, 0x00281202, 0x00281203)], **palette)
    loops = struct.pack("<12H", 0, 2, 7, 9, 2, 60000, 0, 0, 2, 60000, 0, 0)
    lines = struct.pack("<6H", 1, 65535, 7, 1, 65535, 9)
    for name, data in (("loops", loops), ("lines", lines), ("cut", b"\1\0\xff"), ("first", struct.pack("<3H", 1, 4, 7)), ("kind", struct.pack("<3H", 99, 65535, 1))):
        yield f"segmented-{name}", image(more=[lut(t, (0, 0, 16)) for t in (0x00281101, 0x00281102, 0x00281103)] + [(t, element(t, "OW", data)) for t in (0x00281221, 0x00281222, 0x00281223)], **palette)
    for name, rows, columns, origin, bits, position, frames in (("large", 65535, 65535, (1, 1), 1, 0, None), ("far", 8, 8, (-32768, 32767), 1, 0, None), ("embedded", 4, 4, (1, 1), 8, 99, None),
                                                                 ("frames", 4, 4, (1, 1), 1, 0, "2147483647")):
        overlay = {0x60000010: element(0x60000010, "US", rows), 0x60000011: element(0x60000011, "US", columns), 0x60000040: element(0x60000040, "CS", "G"),
                   0x60000050: element(0x60000050, "SS", origin), 0x60000100: element(0x60000100, "US", bits), 0x60000102: element(0x60000102, "US", position)}
        if bits == 1:
            overlay[0x60003000] = element(0x60003000, "OW", b"\xff\xff")
        if frames:
            overlay[0x60000015] = element(0x60000015, "IS", frames)
            overlay[0x60000051] = element(0x60000051, "US", 65535)
        yield f"overlay-{name}", image(pixels=bytes(16), more=overlay.items())
    voi = sequence(0x00283010, element(0x00283002, "US", (0, 0, 16)) + element(0x00283006, "OW", b"\1"))
    yield "voi-short", image(pixels=bytes(16), more=[(0x00283010, voi)])
    yield "window-odd", image(pixels=bytes(16), more=[(0x00281050, element(0x00281050, "DS", "1e308\\nan\\-1e308")), (0x00281051, element(0x00281051, "DS", "1e-308\\inf\\0"))])
    yield "rescale-odd", image(pixels=bytes(16), more=[(0x00281052, element(0x00281052, "DS", "1e308")), (0x00281053, element(0x00281053, "DS", "-1e308"))])
    yield "aspect-odd", image(pixels=bytes(16), more=[(0x00280034, element(0x00280034, "IS", "1\\2147483647"))])
    yield "aspect-nil", image(pixels=bytes(16), more=[(0x00280034, element(0x00280034, "IS", "0\\0")), (0x00280030, element(0x00280030, "DS", "1e-300\\1e300"))])
    yield "icc-odd", image(pixels=bytes(48), samples=3, photometric="RGB", more=[(0x00282000, element(0x00282000, "OB", struct.pack(">I4s", 0xFFFFFFFF, b"lcms") + b"acsp" * 200))])
    yield from presentations(everything)


def presentations(everything):
    """An image, and states that draw on it more than anybody can look at."""
    target = image(rows=64, columns=64, pixels=bytes(4096))
    uid = lambda tag: target[target.find(struct.pack("<HH", tag >> 16, tag & 0xFFFF) + b"UI") + 8:].split(b"\0")[0].decode().split("\x08")[0]
    instance = uid(0x00080018)
    import re
    study, series, instance = (re.match(r"[0-9.]+", uid(t)).group(0) for t in (0x0020000D, 0x0020000E, 0x00080018))
    yield "presented", target
    picture = element(0x00081150, "UI", SC) + element(0x00081155, "UI", instance)
    referenced = sequence(0x00081115, element(0x0020000E, "UI", series) + sequence(0x00081140, picture))

    def state(graphics):
        own = new_uid()
        body = {0x00080016: element(0x00080016, "UI", GSPS), 0x00080018: element(0x00080018, "UI", own), 0x00080060: element(0x00080060, "CS", "PR"), 0x00081115: referenced,
                0x00100020: element(0x00100020, "LO", "H1"), 0x0020000D: element(0x0020000D, "UI", study), 0x0020000E: element(0x0020000E, "UI", new_uid()),
                0x00700001: graphics, 0x00700060: sequence(0x00700060, element(0x00700002, "CS", "A") + element(0x00700062, "IS", "1")), 0x00700080: element(0x00700080, "CS", "H"),
                0x0070005A: sequence(0x0070005A, sequence(0x00081140, picture) + element(0x00700052, "SL", (1, 1)) +
                                     element(0x00700053, "SL", (64, 64)) + element(0x00700100, "CS", "SCALE TO FIT")),
                0x20500020: element(0x20500020, "CS", "IDENTITY")}
        return part10(b"".join(body[t] for t in sorted(body)), EXPLICIT_LE, GSPS, own)

    def graphic(points, kind="POLYLINE", filled="N"):
        pairs = len(points) // 2
        return (element(0x00700005, "CS", "PIXEL") + element(0x00700020, "US", 2) + element(0x00700021, "US", min(pairs, 65535)) +
                element(0x00700022, "FL", points) +
                element(0x00700023, "CS", kind) + element(0x00700024, "CS", filled))

    def annotation(content):
        return sequence(0x00700001, element(0x00700002, "CS", "A") + content)

    many = 150_000 if everything else 8_000
    points = [float(i % 61) for i in range(16_000)]
    yield "graphics-many", state(annotation(element(0x00700009, "SQ", item(graphic([1.0, 2.0, 60.0, 50.0])) * many)))
    yield "graphics-filled", state(annotation(element(0x00700009, "SQ", item(graphic(points, filled="Y")) * (20 if everything else 3))))
    yield "graphics-interpolated", state(annotation(element(0x00700009, "SQ", item(graphic(points, "INTERPOLATED")) * (20 if everything else 3))))
    for name, x in (("far", 3e38), ("nan", float("nan")), ("inf", float("inf")), ("minus", -3e38)):
        yield f"graphics-{name}", state(annotation(sequence(0x00700009, graphic([x, 1.0, 2.0, x, x, x]), graphic([x, x, 2.0, x], "CIRCLE", "Y"), graphic([x, 1.0, x, 2.0, 3.0, x, x, 4.0], "ELLIPSE", "Y"))))
    text = element(0x00700006, "ST", "A" * 1000 + "\r\n" * 2000) + element(0x00700003, "CS", "PIXEL") + element(0x00700010, "FL", (1.0, 1.0)) + element(0x00700011, "FL", (60.0, 60.0)) + \
        element(0x00700012, "CS", "LEFT")
    yield "texts", state(annotation(element(0x00700008, "SQ", item(text) * (2000 if everything else 50))))
    deep = b""
    for _ in range(200):
        deep = sequence(0x00700001, deep)
    yield "graphics-deep", state(deep or annotation(b""))


def all_of(everything):
    return [(name + ".dcm", data) for make in (pixel_bombs, structure_bombs, display_bombs) for name, data in make(everything)]


# ---- metadata with bulk data ----

def metadata(uri):
    uids = {t: {"vr": "UI", "Value": [v]} for t, v in (("00080016", SC), ("00080018", new_uid()), ("0020000D", new_uid()), ("0020000E", new_uid()))}
    return json.dumps({**uids, "7FE00010": {"vr": "OB", "BulkDataURI": uri}}).encode()


def many_references(n, one=None):
    """A data set whose values are elsewhere, n times; each names the part behind the last, or all name one."""
    out = json.loads(metadata("http://h/0"))
    del out["7FE00010"]
    out["00090010"] = {"vr": "LO", "Value": ["TEST"]}
    out["00091000"] = {"vr": "SQ", "Value": [{"00420011": {"vr": "OB", "BulkDataURI": one or f"http://h/{n - 1 - i}"}} for i in range(n)]}
    return json.dumps(out).encode()

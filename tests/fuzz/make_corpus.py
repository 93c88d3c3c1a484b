#!/usr/bin/env python3
# Writes the seed corpora of fuzz_dataset and fuzz_part10: small data sets that touch every branch of the reader. Run it when the format grows.
import os
import struct
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
UNDEFINED = 0xFFFFFFFF


class Form:
    """An encoding: elements, items and delimiters as bytes."""

    def __init__(self, explicit, order):
        self.explicit, self.order = explicit, order

    def tag(self, group, element):
        return struct.pack(self.order + "HH", group, element)

    def element(self, group, element, vr, value, length=None):
        length = len(value) if length is None else length
        head = self.tag(group, element)
        if not self.explicit:
            return head + struct.pack(self.order + "I", length) + value
        head += vr.encode("latin-1")
        if vr in LONG:
            return head + b"\0\0" + struct.pack(self.order + "I", length) + value
        return head + struct.pack(self.order + "H", length & 0xFFFF) + value

    def item(self, content, undefined=False):
        head = self.tag(0xFFFE, 0xE000) + struct.pack(self.order + "I", UNDEFINED if undefined else len(content))
        return head + content + (self.tag(0xFFFE, 0xE00D) + b"\0" * 4 if undefined else b"")

    def end(self):
        return self.tag(0xFFFE, 0xE0DD) + b"\0" * 4

    def number(self, code, *values):
        return struct.pack(self.order + str(len(values)) + code, *values)


def pad(text):
    return text.encode() + (b" " if len(text) % 2 else b"")


def plain(f):
    return (f.element(0x0008, 0x0005, "CS", b"ISO_IR 192") + f.element(0x0008, 0x0018, "UI", b"1.2.3\0") + f.element(0x0010, 0x0010, "PN", pad("Doe^John"))
            + f.element(0x0018, 0x0050, "DS", b"1.5 ") + f.element(0x0020, 0x0013, "IS", b"12")
            + f.element(0x0028, 0x0010, "US", f.number("H", 4)) + f.element(0x0028, 0x0103, "US", f.number("H", 1))
            + f.element(0x0028, 0x0106, "SS", f.number("h", -4)) + f.element(0x0028, 0x0009, "AT", f.number("H", 0x18, 0x1063)))


def numbers(f):
    return (f.element(0x0008, 0x001A, "UI", b"1.2\\1.3\0") + f.element(0x0018, 0x9087, "FD", f.number("d", 1.5)) + f.element(0x0018, 0x6020, "SL", f.number("i", -5))
            + f.element(0x0066, 0x0016, "OF", f.number("f", 1, 2)) + f.element(0x7FE0, 0x0001, "OV", f.number("Q", 0, 99))
            + f.element(0x7FE0, 0x0010, "OW", f.number("H", 1, 2, 3, 4)))


def sequences(f):
    inner = f.element(0x0008, 0x1150, "UI", b"1.2\0")
    return (f.element(0x0008, 0x1110, "SQ", f.item(inner) + f.item(inner)) + f.element(0x0008, 0x1115, "SQ", f.item(inner, True) + f.item(b"") + f.end(), UNDEFINED)
            + f.element(0x0040, 0x0275, "SQ", f.item(f.element(0x0040, 0x0008, "SQ", f.item(inner, True) + f.end(), UNDEFINED))))


def private(f):
    return (f.element(0x0029, 0x0010, "LO", b"SIEMENS CSA HEADER") + f.element(0x0029, 0x1008, "CS", b"IMAGE NUM 4 ") + f.element(0x0029, 0x1010, "OB", b"SV10")
            + f.element(0x2005, 0x0010, "LO", pad("Philips MR Imaging DD 001")) + f.element(0x2005, 0x1080, "UN", f.end())
            + f.element(0x2005, 0x1083, "UN", Form(False, "<").item(Form(False, "<").element(0x0008, 0x0060, "CS", b"MR")) + Form(False, "<").end(), UNDEFINED))


def fragments(f):
    return f.element(0x7FE0, 0x0010, "OB", f.item(b"\0" * 4) + f.item(b"\xFF\xD8\xFF\xD9") + f.item(b"") + f.end(), UNDEFINED)


def odd(f):
    return (f.element(0x0008, 0x0060, "ZZ", b"CT") + f.element(0x0008, 0x0070, "\0\0", b"odd") + f.element(0x0010, 0x0020, "LO", b"1")
            + f.element(0x0008, 0x0060, "CS", b"MR") + f.item(b"")[:0] + f.tag(0xFFFE, 0xE00D) + b"\0" * 4 + f.element(0x6000, 0x3000, "OW", b"\1\2"))


def unknown(f):
    return f.element(0x0028, 0x0106, "UN", f.number("h", -4)) + f.element(0x0040, 0x0555, "UN", f.item(b"") + f.end(), UNDEFINED) + b"\0" * 24


def meta(ts):
    f = Form(True, "<")
    body = f.element(2, 1, "OB", b"\0\1") + f.element(2, 2, "UI", b"1.2.840.10008.5.1.4.1.1.7\0") + (f.element(2, 0x10, "UI", ts + b"\0" * (len(ts) % 2)) if ts else b"")
    return f.element(2, 0, "UL", struct.pack("<I", len(body))) + body


def deflate(data):
    z = zlib.compressobj(wbits=-15)
    return z.compress(data) + z.flush()


def write(folder, name, data):
    path = os.path.join(HERE, "corpus", folder)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name), "wb") as out:
        out.write(data)


def main():
    forms = {"implicit": (0, Form(False, "<"), b"1.2.840.10008.1.2"), "explicit": (1, Form(True, "<"), b"1.2.840.10008.1.2.1"),
             "big": (2, Form(True, ">"), b"1.2.840.10008.1.2.2")}
    makers = [plain, numbers, sequences, private, fragments, odd, unknown]
    for name, (code, form, ts) in forms.items():
        for piece, make in enumerate(makers):
            data = make(form)
            write("dataset", f"{name}_{make.__name__}", bytes([code | (piece * 3) << 2]) + data)
            write("part10", f"{name}_{make.__name__}", b"\0" * 128 + b"DICM" + meta(ts) + data)
    f = Form(True, "<")
    write("dataset", "deflated", bytes([3 | 20 << 2]) + deflate(plain(f) + sequences(f)))
    write("part10", "deflated", b"\0" * 128 + b"DICM" + meta(b"1.2.840.10008.1.2.1.99") + deflate(plain(f) + b"\0" * 5000))
    write("part10", "no_preamble", meta(b"1.2.840.10008.1.2.1") + plain(f))
    write("part10", "no_meta_explicit", plain(f))
    write("part10", "no_meta_implicit", plain(Form(False, "<")))
    write("part10", "no_meta_big", plain(Form(True, ">")))
    write("part10", "no_ts", b"\0" * 128 + b"DICM" + meta(b"") + plain(f))
    write("part10", "unknown_ts", b"\0" * 128 + b"DICM" + meta(b"1.2.3.4") + plain(f))
    write("part10", "declared_explicit_is_implicit", b"\0" * 128 + b"DICM" + meta(b"1.2.840.10008.1.2.1") + plain(Form(False, "<")))
    write("part10", "wrong_prefix", b"\0" * 128 + b"DCIM" + meta(b"1.2.840.10008.1.2.1") + plain(f))
    write("part10", "cut", (b"\0" * 128 + b"DICM" + meta(b"1.2.840.10008.1.2.1") + numbers(f))[:-3])


main()

#!/usr/bin/env python3
"""STOW-RS of metadata with bulk data (PS3.18 10.5.2): data sets in JSON and XML, pixels as bytes, pictures and films, documents, and what fails alone."""
import base64
import io
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import pydicom
    from pydicom.dataset import Dataset
    from pydicom.encaps import generate_pixel_data_frame
    from pydicom.uid import generate_uid
except ImportError as missing:
    gantry.skip(f"{missing.name} is not installed")

ROOT = "/dicom-web"
SC, PHOTO, PDF, VIDEO = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.77.1.4.1"
JSON_TYPE, XML_TYPE = "application/dicom+json", "application/dicom+xml"
checks = 0


def check(what, condition, seen=""):
    global checks
    checks += 1
    if not condition:
        raise AssertionError(f"{what}: {seen}")


def data_set(study, sop_class=SC, name="Wang^XiaoDong=王^小东", **more):
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = sop_class, generate_uid(), study, generate_uid()
    ds.PatientName, ds.PatientID, ds.StudyDate, ds.Modality, ds.InstanceNumber = name, "W1", "20260303", "OT", 1
    for key, value in more.items():
        setattr(ds, key, value)
    return ds


def native(ds, rows=3, columns=5):
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = rows, columns, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    return ds


def as_json(ds, uri=None, tag="7FE00010", vr="OB"):
    out = ds.to_json_dict()
    if uri:
        out[tag] = {"vr": vr, "BulkDataURI": uri}
    return out


def as_xml(ds, uri=None, vr="OB"):
    def put(parent, one):
        for el in one:
            a = ET.SubElement(parent, "DicomAttribute", tag=f"{el.tag:08X}", vr=el.VR)
            values = el.value if el.VM > 1 or el.VR == "SQ" else [el.value]
            for i, v in enumerate(values, 1):
                if el.VR == "SQ":
                    put(ET.SubElement(a, "Item", number=str(i)), v)
                elif el.VR == "PN":
                    person = ET.SubElement(a, "PersonName", number=str(i))
                    for group, text in zip(["Alphabetic", "Ideographic", "Phonetic"], str(v).split("=")):
                        g = ET.SubElement(person, group)
                        for part, t in zip(["FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"], text.split("^")):
                            ET.SubElement(g, part).text = t
                else:
                    ET.SubElement(a, "Value", number=str(i)).text = str(v)
    root = ET.Element("NativeDicomModel", xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM")
    put(root, ds)
    if uri:
        ET.SubElement(ET.SubElement(root, "DicomAttribute", tag="7FE00010", vr=vr), "BulkData", uri=uri)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def body_of(parts, boundary="b0und"):
    out = []
    for content_type, location, content in parts:
        place = f"Content-Location: {location}\r\n" if location else ""
        out.append(f"--{boundary}\r\nContent-Type: {content_type}\r\n{place}\r\n".encode() + content + b"\r\n")
    return b"".join(out) + f"--{boundary}--\r\n".encode()


def store(server, parts, form=JSON_TYPE, path="/studies", accept=JSON_TYPE, body=None):
    status, headers, answer = server.http("POST", ROOT + path, body=body if body is not None else body_of(parts),
                                          headers={"Content-Type": f'multipart/related; type="{form}"; boundary=b0und', "Accept": accept})
    if headers.get("Content-Type", "").endswith("json"):
        answer = json.loads(answer)
    return status, headers, answer


def fetch(server, ds):
    url = f"{ROOT}/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    status, headers, body = server.http("GET", url, headers={"Accept": "application/dicom; transfer-syntax=*"})
    check("the object is there", status == 200, (status, body[:300]))
    return pydicom.dcmread(io.BytesIO(body))


def reasons(answer):
    return [i["00081197"]["Value"][0] for tag in ("00081198", "0008119A") for i in answer.get(tag, {}).get("Value", [])]


def native_pixels(server):
    study = generate_uid()
    a, b = native(data_set(study)), native(data_set(study, InstanceNumber=2))
    pixels = [bytes(range(15)), bytes(range(100, 115))]
    # The bulk data may come before what refers to it; one part of JSON holds several instances.
    parts = [("application/octet-stream", "bulk/2", pixels[1]), (JSON_TYPE, None, json.dumps([as_json(a, "bulk/1"), as_json(b, "bulk/2")]).encode()),
             ("application/octet-stream", "bulk/1", pixels[0])]
    status, headers, answer = store(server, parts)
    check("metadata and bulk data in JSON are stored", status == 200 and len(answer["00081199"]["Value"]) == 2, (status, answer))
    check("the URL of the study is absolute", answer["00081190"]["Value"][0] == f"http://127.0.0.1:{server.http_port}{ROOT}/studies/{study}", answer)
    for ds, expected in [(a, pixels[0]), (b, pixels[1])]:
        got = fetch(server, ds)
        check("it is explicit VR little endian", got.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1", got.file_meta)
        check("its pixels are those of its part, padded", got.PixelData == expected + b"\0", got.PixelData)
        check("its text is there", got.PatientName == ds.PatientName and got.StudyDate == ds.StudyDate, got)
    c = native(data_set(study, RequestAttributesSequence=[Dataset()]))
    c.RequestAttributesSequence[0].ScheduledProcedureStepID = "步骤"
    location = "http://elsewhere.example/study/1/bulk"
    status, _, answer = store(server, [(XML_TYPE, None, as_xml(c, location)), ("application/octet-stream", location, pixels[0])], form=XML_TYPE)
    check("XML too", status == 200, (status, answer))
    got = fetch(server, c)
    check("with its sequences and names", got.RequestAttributesSequence[0].ScheduledProcedureStepID == "步骤" and got.PatientName == c.PatientName and got.PixelData[:15] == pixels[0], got)
    d, e = native(data_set(study)), native(data_set(study))
    inline = as_json(d)
    inline["7FE00010"] = {"vr": "OB", "InlineBinary": base64.b64encode(pixels[0] + b"\0").decode()}
    status, _, answer = store(server, [(JSON_TYPE, None, json.dumps([inline]).encode())])
    check("pixels may stand inline", status == 200 and fetch(server, d).PixelData[:15] == pixels[0], (status, answer))
    status, headers, answer = store(server, [(JSON_TYPE, None, json.dumps([as_json(e, "x")]).encode()), ("application/octet-stream", "x", pixels[0])], accept=XML_TYPE)
    root = ET.fromstring(answer)
    check("the answer can be had as XML", status == 200 and headers["Content-Type"] == XML_TYPE and root.tag.endswith("NativeDicomModel"), (status, headers, answer[:200]))
    check("which refers to the instance", e.SOPInstanceUID in answer.decode(), answer)
    return study


def png(width, height, bits, colour, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + r for r in rows))) + chunk(b"IEND", b""))


def pictures(server, study):
    ds = data_set(study, PHOTO)
    rows = [bytes((x * 40 + y * 7 + c) % 256 for x in range(4) for c in range(3)) for y in range(3)]
    status, _, answer = store(server, [(JSON_TYPE, None, json.dumps([as_json(ds, "p")]).encode()), ("image/png", "p", png(4, 3, 8, 2, rows))])
    check("a PNG picture is stored", status == 200, (status, answer))
    got = fetch(server, ds)
    check("as its pixels", got.PixelData == b"".join(rows) and (got.Rows, got.Columns, got.SamplesPerPixel, got.PhotometricInterpretation) == (3, 4, 3, "RGB"), got)
    ds = data_set(study)
    gray = [struct.pack(">4H", *(y * 5000 + x * 1000 for x in range(4))) for y in range(3)]
    status, _, answer = store(server, [(JSON_TYPE, None, json.dumps([as_json(ds, "p", vr="OW")]).encode()), ("image/png", "p", png(4, 3, 16, 0, gray))])
    got = fetch(server, ds)
    check("16 bits keep their values", struct.unpack("<12H", got.PixelData) == tuple(y * 5000 + x * 1000 for y in range(3) for x in range(4)) and got.BitsStored == 16, got)
    ds = data_set(study)
    status, _, answer = store(server, [(JSON_TYPE, None, json.dumps([as_json(ds, "p")]).encode()), ("image/png", "p", png(4, 3, 8, 2, rows)[:60])])
    check("a PNG that is cut short is refused alone", status == 409 and reasons(answer)[0] >> 12 == 0xC, (status, answer))


# Streams of the reference files, by transfer syntax: what a part of this media type must become.
STREAMS = [("1.2.840.10008.1.2.4.50", "image/jpeg"), ("1.2.840.10008.1.2.4.70", "image/jpeg"), ("1.2.840.10008.1.2.4.57", "image/jpeg"), ("1.2.840.10008.1.2.4.80", "image/jls"),
           ("1.2.840.10008.1.2.4.81", "image/jls"), ("1.2.840.10008.1.2.4.90", "image/jp2"), ("1.2.840.10008.1.2.4.91", "image/jp2"), ("1.2.840.10008.1.2.4.201", "image/jphc"),
           ("1.2.840.10008.1.2.5", "image/dicom-rle")]
DESCRIPTION = ["Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration"]


def streams(server, study):
    base = gantry.DATA / "dicom"
    if not (base / "index.tsv").exists():
        return
    lines = [line.split("\t") for line in (base / "index.tsv").read_text().splitlines()[1:]]
    for ts, media in STREAMS:
        names = [f[0] for f in lines if f[5] == ts and not f[0].startswith("hostile/") and f[8] in ("", "1") and int(f[1]) < 2_000_000 and (base / f[0]).exists()]
        sources = [pydicom.dcmread(base / n, force=True) for n in names[:12]]
        frames = [next(generate_pixel_data_frame(s.PixelData, 1)) for s in sources]
        fits = [i for i, f in enumerate(frames) if f[:2] in (b"\xff\xd8", b"\xff\x4f") or ts == "1.2.840.10008.1.2.5"]  # some files only pretend
        if not fits:
            continue
        source, frame = sources[fits[0]], frames[fits[0]]
        ds = data_set(study)
        if media == "image/dicom-rle":
            for name in DESCRIPTION:
                if name in source:
                    setattr(ds, name, source[name].value)
        status, _, answer = store(server, [(JSON_TYPE, None, json.dumps([as_json(ds, "p")]).encode()), (media, "p", frame)])
        check(f"a stream of {ts} in {media} is stored", status == 200, (names[0], status, answer))
        got = fetch(server, ds)
        check("in its transfer syntax", got.file_meta.TransferSyntaxUID == ts, (names[0], got.file_meta.TransferSyntaxUID))
        check("byte for byte", next(generate_pixel_data_frame(got.PixelData, 1)).rstrip(b"\0") == frame.rstrip(b"\0"), names[0])
        check("with its size", (got.Rows, got.Columns, got.SamplesPerPixel) == (source.Rows, source.Columns, source.SamplesPerPixel), (names[0], got.Rows, got.Columns))
        check("and its history", ("LossyImageCompression" in got) == (ts[-2:] in ("50", "81", "91")), (names[0], got.get("LossyImageCompression")))


def film(server, study):
    if not shutil.which("ffmpeg"):
        return
    with tempfile.TemporaryDirectory() as d:
        path = Path(d) / "film.mp4"
        made = subprocess.run(["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=128x96:rate=25:duration=1", "-pix_fmt", "yuv420p", str(path)], capture_output=True)
        if made.returncode != 0:
            return
        content = path.read_bytes()
    ds = data_set(study, VIDEO)
    status, _, answer = store(server, [(JSON_TYPE, None, json.dumps([as_json(ds, "film")]).encode()), ("video/mp4", "film", content)])
    check("a film is stored", status == 200, (status, answer))
    got = fetch(server, ds)
    check("as the film that it is", got.file_meta.TransferSyntaxUID.startswith("1.2.840.10008.1.2.4.10") and got.NumberOfFrames == 25 and (got.Rows, got.Columns) == (96, 128), got)
    check("with its time", abs(float(got.FrameTime) - 40) < 1 and got.FrameIncrementPointer == 0x00181063, got)
    check("and its bytes", content in got.PixelData, len(got.PixelData))


def document(server, study):
    ds = data_set(study, PDF, Modality="DOC")
    content = b"%PDF-1.4\n% a small one\n%%EOF"
    status, _, answer = store(server, [(JSON_TYPE, None, json.dumps([as_json(ds, "d", tag="00420011")]).encode()), ("application/pdf", "d", content)])
    check("a document is stored", status == 200, (status, answer))
    got = fetch(server, ds)
    check("as it is", got.EncapsulatedDocument.startswith(content) and got.MIMETypeOfEncapsulatedDocument == "application/pdf" and got.EncapsulatedDocumentLength == len(content), got)


def failures(server, study):
    good = native(data_set(study))
    pixels = ("application/octet-stream", "x", bytes(15))
    jpeg_like = native(data_set(study), rows=99)
    rows = [bytes(12) for _ in range(3)]
    for what, one, parts, path, reason in [
            ("bulk data that no part holds", as_json(native(data_set(study)), "nowhere"), [pixels], "/studies", 0xC410),
            ("another study's instance", as_json(native(data_set(generate_uid())), "x"), [pixels], f"/studies/{study}", 0xC409),
            ("what is no storage class", as_json(native(data_set(study, "1.2.840.10008.1.1")), "x"), [pixels], "/studies", 0x0122),
            ("attributes that are not the picture's", as_json(jpeg_like, "p"), [("image/png", "p", png(4, 3, 8, 2, rows))], "/studies", 0xA900),
            ("pixels in a media type that they cannot have", as_json(native(data_set(study)), "x"), [("image/bmp", "x", b"BM")], "/studies", 0xC122),
            ("a transfer syntax that nobody knows", as_json(native(data_set(study)), "x"), [("application/octet-stream; transfer-syntax=1.2.3", "x", bytes(15))], "/studies", 0xC122),
            ("no JPEG", as_json(data_set(study), "x"), [("image/jpeg", "x", b"no picture")], "/studies", 0xC000),
            ("an attribute of a VR that there is not", {**as_json(good), "00100020": {"vr": "XX", "Value": ["1"]}}, [], "/studies", 0xC000)]:
        status, _, answer = store(server, [(JSON_TYPE, None, json.dumps([one]).encode()), *parts], path=path)
        check(f"{what}: 409 {reason:04X}", status == 409 and reasons(answer) == [reason], (status, [f"{r:04X}" for r in reasons(answer)], answer))
    bad = as_json(native(data_set(study)), "nowhere")
    status, _, answer = store(server, [(JSON_TYPE, None, json.dumps([as_json(good, "x"), bad]).encode()), pixels])
    check("some stored, some not is 202", status == 202 and reasons(answer) == [0xC410] and len(answer["00081199"]["Value"]) == 1, (status, answer))
    check("the one that failed is named", answer["00081198"]["Value"][0]["00081155"]["Value"] == bad["00080018"]["Value"], answer)
    check("the study's own URL is there, empty where there is none to tell (type 2)", store(server, [(JSON_TYPE, None, json.dumps([bad]).encode()), pixels])[2]["00081190"] == {"vr": "UR"})
    for what, one, path, reason in [("a document of another study", data_set(generate_uid(), PDF), f"/studies/{study}", 0xC409), ("an object of no storage class", data_set(study, "1.2.840.10008.1.1"), "/studies", 0x0122)]:
        one.file_meta = pydicom.dataset.FileMetaDataset()
        one.file_meta.TransferSyntaxUID, one.is_implicit_VR, one.is_little_endian, one.preamble = pydicom.uid.ExplicitVRLittleEndian, False, True, bytes(128)
        file = io.BytesIO()
        pydicom.dcmwrite(file, one, write_like_original=False)
        status, _, answer = store(server, [("application/dicom", None, file.getvalue())], form="application/dicom", path=path)
        check(f"{what}, without pixels: 409 {reason:04X}", status == 409 and reasons(answer) == [reason], (status, answer))
    no_uid = as_json(native(data_set(study)), "x")
    del no_uid["00080018"]
    status, _, answer = store(server, [(JSON_TYPE, None, json.dumps([no_uid]).encode()), pixels])
    check("metadata without its UIDs", status == 409 and reasons(answer) == [0xC000] and "0008119A" in answer, (status, answer))


def bad_syntax(server, study):
    one = native(data_set(study))
    text = json.dumps([as_json(one, "x")]).encode()
    for what, parts, form in [("no JSON", [(JSON_TYPE, None, b"[{")], JSON_TYPE), ("no object", [(JSON_TYPE, None, b"[]")], JSON_TYPE), ("a number", [(JSON_TYPE, None, b"7")], JSON_TYPE),
                              ("no XML", [(XML_TYPE, None, b"<NativeDicomModel>")], XML_TYPE), ("another document", [(XML_TYPE, None, b"<html/>")], XML_TYPE),
                              ("an entity", [(XML_TYPE, None, b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><NativeDicomModel>&b;</NativeDicomModel>')], XML_TYPE),
                              ("no metadata", [("application/octet-stream", "x", b"y")], JSON_TYPE), ("no parts", [], JSON_TYPE)]:
        status, headers, answer = store(server, parts, form=form)
        check(f"{what} is 400 with a reason", status == 400 and answer["detail"] and headers["Content-Type"] == "application/problem+json", (what, status, answer))
    status, _, answer = store(server, None, body=body_of([(JSON_TYPE, None, text), ("application/octet-stream", "x", bytes(15))])[:-12])
    check("a body cut short is 400", status == 400, (status, answer))
    status, _, _ = server.http("GET", f"{ROOT}/studies/{study}/series/{one.SeriesInstanceUID}")
    check("and nothing of it is there", status == 404, status)
    many = body_of([("application/octet-stream", None, b"")] * 100_001)
    status, _, answer = store(server, None, body=many)
    check("100,001 parts are too many", status in (400, 413), (status, answer))
    status, _, answer = store(server, [("application/dicom", None, b"")] * 2, form="application/dicom", accept="image/png")
    check("an answer that cannot be had is 406", status == 406, (status, answer))


def large(server, study):
    ds = native(data_set(study), rows=4096, columns=8192)
    ds.NumberOfFrames = 2
    before = server.memory_kib()
    block = bytes(range(256)) * 4096
    pixels = block * 64
    status, _, answer = store(server, [(JSON_TYPE, None, json.dumps([as_json(ds, "big")]).encode()), ("application/octet-stream", "big", pixels)])
    check("64 MiB of pixels are stored", status == 200, (status, answer))
    grown = server.memory_kib() - before
    check("in little memory", grown < 48 * 1024, grown)
    check("as they are", fetch(server, ds).PixelData == pixels)


def main():
    with tempfile.TemporaryDirectory() as data, gantry.Server(data) as server:
        study = native_pixels(server)
        pictures(server, study)
        streams(server, study)
        film(server, study)
        document(server, study)
        failures(server, study)
        bad_syntax(server, study)
        large(server, study)
    print(f"{checks} checks")


main()

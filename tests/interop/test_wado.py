#!/usr/bin/env python3
"""Retrieval over HTTP to the letter of PS3.18 8.6-8.7, 9 and 10.4: framing, negotiation, frames, bulk data, ranges, conditions, zip and tar, the URI service.

Python's http.client, email, zipfile and tarfile, pydicom, unzip and tar judge; compressed objects are DCMTK's.
"""
import email
import http.client
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import numpy
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.sequence import Sequence
    from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
except ImportError as missing:
    gantry.skip(f"{missing.name} is not installed")

ROOT = "/dicom-web"
SC, MF, PDF = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.3", "1.2.840.10008.5.1.4.1.1.104.1"
JLS, RLE, SV1, J2K, EXPLICIT = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.1"
ROWS, COLUMNS = 32, 48
checks = 0


def check(what, condition, seen=""):
    global checks
    checks += 1
    if not condition:
        raise AssertionError(f"{what}: {str(seen)[:1500]}")


def pixels(number, frames):
    grid = numpy.add.outer(numpy.arange(ROWS) * 37, numpy.arange(COLUMNS) * 11)
    return numpy.stack([(grid + 101 * f + number) % 4096 for f in range(frames)]).astype("<u2")


def encode(ds, ts):
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ts
    ds.is_implicit_VR, ds.is_little_endian = ts == ImplicitVRLittleEndian, ts != ExplicitVRBigEndian
    ds.preamble = b"\0" * 128
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, write_like_original=False)
    return out.getvalue()


def base(study, series, number, sop_class=SC):
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = sop_class, generate_uid(), study, series
    ds.PatientName, ds.PatientID, ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "Wang^Wei=王^伟", "W1", "OT", 1, number
    return ds


def image(study, series, number, frames=1, ts=ExplicitVRLittleEndian, bits=16):
    ds = base(study, series, number, MF if frames > 1 else SC)
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = ROWS, COLUMNS, 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, 12, 11
    if frames > 1:
        ds.NumberOfFrames = frames
    ds.add_new(0x7FE00010, "OW", pixels(number, frames).astype(">u2" if ts == ExplicitVRBigEndian else "<u2").tobytes())
    return ds, encode(ds, ts)


def compress(folder, data, *command):
    source, to = Path(folder) / "in.dcm", Path(folder) / "out.dcm"
    source.write_bytes(data)
    gantry.run(*command, source, to)
    return to.read_bytes()


def make(folder):
    study, series, other = generate_uid(), generate_uid(), generate_uid()
    f = {"study": study, "series": series, "other": other, "objects": {}}

    def add(name, ds, data):
        f["objects"][name] = {"ds": ds, "data": data, "path": f"{ROOT}/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"}

    add("plain", *image(study, series, 1))
    add("multi", *image(study, series, 2, frames=5))
    for name, number, command in [("jls", 3, ["dcmcjpls"]), ("rle", 4, ["dcmcrle"]), ("sv1", 5, ["dcmcjpeg", "+e1"])]:
        ds, data = image(study, series, number, frames=5)
        add(name, ds, compress(folder, data, *command))
    ds, data = image(study, series, 6, frames=2)
    ds.add_new(0x00091010, "UN", b"")
    add("deflated", ds, encode(ds, DeflatedExplicitVRLittleEndian))
    add("big", *image(study, series, 7, frames=2, ts=ExplicitVRBigEndian))
    ds = base(study, other, 1)
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation, ds.NumberOfFrames = 3, 5, 1, "MONOCHROME2", 0, 4
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.add_new(0x7FE00010, "OB", numpy.packbits(numpy.tile([1, 0, 1, 1, 0, 0, 1], 9)[:60], bitorder="little").tobytes())
    add("bits", ds, encode(ds, ExplicitVRLittleEndian))
    ds = base(study, other, 2, PDF)
    ds.Modality, ds.MIMETypeOfEncapsulatedDocument, ds.EncapsulatedDocumentLength = "DOC", "application/pdf", 3001
    ds.add_new(0x00420011, "OB", b"%PDF-1.4 " + b"x" * 2992 + b"\0")
    item = Dataset()
    item.add_new(0x00340007, "OB", bytes(range(256)) * 8)
    ds.add_new(0x00340001, "SQ", Sequence([Dataset(), item]))
    add("document", ds, encode(ds, ExplicitVRLittleEndian))
    return f


def store(server, datas):
    body = b"".join(b"--xYz\r\nContent-Type: application/dicom\r\n\r\n" + d + b"\r\n" for d in datas) + b"--xYz--\r\n"
    status, _, answer = server.http("POST", ROOT + "/studies", body=body, headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=xYz'})
    check("objects are stored", status == 200, (status, answer))


def get(server, path, accept=None, method="GET", **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    status, got, body = server.http(method, path, headers={**({"Accept": accept} if accept else {}), **headers}, timeout=30)
    return status, {k.lower(): v for k, v in got.items()}, body


def parts(headers, body):
    """(headers, content) of each part by Python's own parser, after the framing was looked at byte by byte."""
    message = email.message_from_bytes(b"Content-Type: " + headers["content-type"].encode() + b"\r\n\r\n" + body)
    boundary = message.get_boundary().encode()
    check("the type is multipart/related with quoted type and a boundary", headers["content-type"].startswith('multipart/related; type="') and boundary, headers)
    check("the body begins with its boundary", body.startswith(b"--" + boundary + b"\r\n"), body[:100])
    check("and ends with the closing one", body.endswith(b"\r\n--" + boundary + b"--\r\n"), body[-100:])
    pieces = body[:-len(boundary) - 8].split(b"--" + boundary + b"\r\n")
    check("nothing stands before the first part", pieces[0] == b"", pieces[0])
    out = []
    for i, piece in enumerate(pieces[1:]):
        head, content = piece.split(b"\r\n\r\n", 1)
        content = content[:-2] if i + 2 < len(pieces) else content
        fields = {line.split(b": ", 1)[0].decode().lower(): line.split(b": ", 1)[1].decode() for line in head.split(b"\r\n")}
        check("a part says its type", "content-type" in fields, fields)
        if "content-length" in fields:
            check("a part's length is right", int(fields["content-length"]) == len(content), (fields, len(content)))
        out.append((fields, content))
    check("Python's parser sees the same parts", [p.get_payload(decode=True) for p in message.get_payload()] == [c for _, c in out], len(out))
    return out


def related(kind, ts=None):
    return f'multipart/related; type="{kind}"' + (f"; transfer-syntax={ts}" if ts else "")


def objects(server, f):
    plain = f["objects"]["plain"]
    for accept in (related("application/dicom"), related("application/dicom", "*"), related("application/dicom", EXPLICIT), "*/*", "multipart/related;type=application/dicom"):
        status, headers, body = get(server, plain["path"], accept)
        check(f"one part for {accept}", status == 200, (status, body))
        boundary = headers["content-type"].split("boundary=")[1]
        head = f"--{boundary}\r\nContent-Type: application/dicom; transfer-syntax={EXPLICIT}\r\nContent-Length: {len(plain['data'])}\r\nContent-Location: {plain['path']}\r\n\r\n"
        check("the wire form is exact", body == head.encode() + plain["data"] + f"\r\n--{boundary}--\r\n".encode(), body[:300])
        check("the length of the whole is told", int(headers["content-length"]) == len(body), headers)
    status, headers, body = get(server, f"{ROOT}/studies/{f['study']}", related("application/dicom", "*"))
    stored = {o["ds"].SOPInstanceUID: o["data"] for o in f["objects"].values()}
    got = parts(headers, body)
    check("a study as it is stored is every object bit for bit", {p[0]["content-location"].split("/")[-1]: p[1] for p in got} == stored, len(got))
    status, headers, body = get(server, f"{ROOT}/studies/{f['study']}/series/{f['series']}", related("application/dicom"))
    read = [pydicom.dcmread(io.BytesIO(c)) for _, c in parts(headers, body)]
    check("by default all is explicit VR little endian", {r.file_meta.TransferSyntaxUID for r in read} == {ExplicitVRLittleEndian}, [r.file_meta.TransferSyntaxUID for r in read])
    for r in read:
        frames = int(r.get("NumberOfFrames", 1))
        check("with the pixels that were stored", r.PixelData[:ROWS * COLUMNS * 2 * frames] == pixels(r.InstanceNumber, frames).tobytes(), r.InstanceNumber)
    jls = f["objects"]["jls"]
    for ts in (RLE, EXPLICIT):
        status, headers, body = get(server, jls["path"], f"application/dicom; transfer-syntax={ts}")
        check(f"{ts} is made when asked for", status == 200 and headers["content-type"] == f"application/dicom; transfer-syntax={ts}", (status, headers))
        r = pydicom.dcmread(io.BytesIO(body))
        check("and holds the same pixels", r.file_meta.TransferSyntaxUID == ts and (r.pixel_array == pixels(3, 5)).all(), r.file_meta)
        check("under the same name", r.SOPInstanceUID == jls["ds"].SOPInstanceUID)
    for accept, expected in [("application/dicom; transfer-syntax=1.2.840.10008.1.2", 406), (related("application/dicom", "1.2.840.10008.1.2.2"), 406), (related("application/dicom", "1.2.3.4"), 406),
                             ("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.110", 406), ("image/png", 406), ("application/dicom;q=0, */*;q=0", 406),
                             ("application/dicom, image/png", 400), ('multipart/related; type="application/dicom', 400), ("nonsense", 400), ("a/b;q=7", 400),
                             (f"{related('application/dicom', '1.2.3.4')}, application/dicom;q=0.5", 200), ("application/*", 200), ("multipart/*", 200)]:
        status, headers, body = get(server, jls["path"], accept)
        check(f"{accept} is {expected}", status == expected, (status, body[:300]))
        if status >= 400:
            problem = json.loads(body)
            check("and says why", headers["content-type"] == "application/problem+json" and problem["status"] == status and problem["detail"], body)
    check("406 lists what can be had", "application/dicom" in json.loads(get(server, jls["path"], "image/png")[2])["detail"])
    check("a single part is not for a study", get(server, f"{ROOT}/studies/{f['study']}", "application/dicom")[0] == 406)
    status, headers, body = get(server, jls["path"] + "?accept=application/dicom%3Btransfer-syntax=*", related("application/dicom"))
    check("the accept parameter goes before the header", body == jls["data"], (status, headers))
    status, headers, body = get(server, jls["path"] + "?accept=application/dicom%3Btransfer-syntax=1.2.3.4", "application/dicom; transfer-syntax=*")
    check("and what it cannot give is taken from the header", body == jls["data"], (status, headers))


def negotiation(server, f):
    """What the tables of PS3.18 8.7 leave to be chosen, in every form that an asker may write it."""
    plain, bits, multi = (f["objects"][n]["path"] for n in ("plain", "bits", "multi"))
    baseline, dicom, jpeg = "1.2.840.10008.1.2.4.50", related("application/dicom"), related("image/jpeg")
    for path, ts in [(plain, baseline), (bits, "1.2.840.10008.1.2.4.70"), (bits, JLS)]:
        status, headers, body = get(server, path, related("application/dicom", ts))
        check(f"{ts} has no place for the pixels: 406", status == 406 and "etag" not in headers, (status, headers, body))
        status, headers, body = get(server, path, f"{related('application/dicom', ts)}, {dicom};q=0.5")
        check("and the next range counts", status == 200 and headers["content-type"].startswith(dicom + "; boundary"), (status, headers))
        query = "/wado?requestType=WADO&studyUID={}&seriesUID={}&objectUID={}".format(*path.split("/")[3::2])
        check("in the URI service too", get(server, f"{query}&contentType=application/dicom&transferSyntax={ts}")[0] == 406)
    status, headers, body = get(server, multi + "/frames/1", f"multipart/related; type=\"image/jpeg\"; transfer-syntax={baseline}")
    check("and for frames", status == 406 and "etag" not in headers, (status, headers))
    status, headers, body = get(server, multi + "/frames/1", f"multipart/related; type=\"image/jpeg\"; transfer-syntax={baseline}, {related('image/jls')};q=0.1")
    check("where the next one counts as well", status == 200 and 'type="image/jls"' in headers["content-type"], (status, headers))
    for accept in ("MULTIPART/Related; Type=Application/DICOM", 'multipart/related ; type="application/*"', 'multipart/related; type="image/*", */*;q=0.01', "text/html, */*;q=0.8"):
        status, headers, _ = get(server, plain, accept)
        check(f"{accept} takes the default", status == 200 and headers["content-type"].startswith(dicom), (status, headers))
    for level in (2, 4, 6):
        path = "/".join(plain.split("/")[:level + 2])
        status, headers, body = get(server, path + "/metadata?accept=application/dicom+json", "image/png")
        check("a plus sign in the accept parameter is one", status == 200 and headers["content-type"] == "application/dicom+json", (status, headers))
        for query, expected in [("charset=utf-8", 200), ("charset=%22ISO_IR%20192%22", 200), ("charset=iso-8859-1,utf-8", 200), ("charset=gb18030", 400), ("charset=*", 400), ("foo=bar", 200)]:
            for resource in ("/metadata", "/rendered", "/thumbnail", ""):
                status, _, body = get(server, f"{path}{resource}?{query}")
                check(f"{resource}?{query} is {expected}", status == expected, (status, body[:200]))
    for resource, kind in (("/metadata", None), ("/rendered", "image/png"), ("", None), ("/frames/1", None)):
        etag = get(server, plain + resource, kind)[1]["etag"]
        for fields, expected in [({"If_Match": '"other"'}, 412), ({"If_Match": etag}, 200), ({"If_Match": "*"}, 200), ({"If_Match": "W/" + etag}, 412), ({"If_None_Match": "W/" + etag}, 304)]:
            status, headers, body = get(server, plain + resource, kind, **fields)
            check(f"{resource} with {fields} is {expected}", status == expected, (status, body[:200]))
    whole = get(server, plain + "/metadata")[1]["etag"]
    status, headers, _ = get(server, plain + "/metadata", Accept_Encoding="gzip")
    check("coded content has no strong validator of the plain one", headers["content-encoding"] == "gzip" and headers["etag"] == "W/" + whole, headers)
    check("and may be kept by it", get(server, plain + "/metadata", Accept_Encoding="gzip", If_None_Match=headers["etag"])[0] == 304)


def rendered_forms(server, f):
    """10.4.4: a study, a series and a list of frames are many items, an instance is one."""
    plain, multi = f["objects"]["plain"]["path"], f["objects"]["multi"]["path"]
    study, series = plain.split("/series/")[0], plain.split("/instances/")[0]
    for path in (study, series, multi + "/frames/1,2"):
        for accept, expected in [("image/jpeg", 406), ("image/*", 406), ("image/png, image/gif", 406), (related("image/png"), 200), ("*/*", 200), ("multipart/related", 200), ("image/png, */*;q=0.1", 200)]:
            status, headers, body = get(server, path + "/rendered", accept)
            check(f"{path} rendered for {accept} is {expected}", status == expected and (status != 200 or headers["content-type"].startswith("multipart/related; type=")), (status, headers))
        detail = json.loads(get(server, path + "/rendered", "image/jpeg")[2])["detail"]
        check("what can be had is told", "multipart/related" in detail, detail)
        for resource in ("/bulkdata", "/pixeldata"):
            if "/frames/" not in path:
                check(f"{resource} of many is in parts only", [get(server, path + resource, a)[0] for a in (related("application/octet-stream"), "application/octet-stream", "image/jpeg")] == [200, 406, 406])
    check("a thumbnail is one picture", get(server, study + "/thumbnail", "image/png")[1]["content-type"] == "image/png")
    status, headers, _ = get(server, plain + "/rendered?accept=image/webp", "image/png")
    check("what the accept parameter cannot give is taken from the header", headers["content-type"] == "image/png", (status, headers))
    check("its place is told", headers.get("content-location") is None and get(server, plain + "/rendered")[1]["content-location"] == plain + "/rendered", headers)


def frames(server, f):
    size = ROWS * COLUMNS * 2
    for name, ts, number, count in [("plain", None, 1, 1), ("multi", None, 2, 5), ("jls", JLS, 3, 5), ("rle", RLE, 4, 5), ("sv1", SV1, 5, 5), ("deflated", None, 6, 2), ("big", None, 7, 2)]:
        o, all_frames = f["objects"][name], pixels(number, count)
        order = [count, 1, count]
        for accept in ("*/*", related("application/octet-stream"), related("application/octet-stream", EXPLICIT)):
            status, headers, body = get(server, f"{o['path']}/frames/{','.join(map(str, order))}", accept)
            check(f"frames of {name} as {accept}", status == 200, (status, body[:300]))
            got = parts(headers, body)
            check("each is native, little endian, in the order asked for", [c for _, c in got] == [all_frames[i - 1].tobytes() for i in order], name)
            check("each part names its type", {h["content-type"] for h, _ in got} == {f"application/octet-stream; transfer-syntax={EXPLICIT}"}, got[0][0])
            check("and where it is", [h["content-location"] for h, _ in got] == [f"{o['path']}/frames/{i}" for i in order], got[0][0])
        status, headers, body = get(server, f"{o['path']}/frames/{count}", "application/octet-stream")
        check("and says which", headers["content-location"] == f"{o['path']}/frames/{count}", headers)
        check("one frame comes alone", status == 200 and body == all_frames[count - 1].tobytes() and headers["content-type"].startswith("application/octet-stream"), (status, headers))
        if ts:
            media = {JLS: "image/jls", RLE: "image/dicom-rle", SV1: "image/jpeg"}[ts]
            codestreams = list(pydicom.encaps.generate_pixel_data_frame(pydicom.dcmread(io.BytesIO(o["data"])).PixelData, 5))
            for accept, kind in [(related(media), media), (related(media, ts), media), (related("image/*"), media), (related("application/octet-stream", "*"), "application/octet-stream")]:
                status, headers, body = get(server, f"{o['path']}/frames/2,4", accept)
                got = parts(headers, body)
                check(f"{name} as {accept} is what is stored", [c.rstrip(b"\0") for _, c in got] == [codestreams[i].rstrip(b"\0") for i in (1, 3)], [len(c) for _, c in got])
                check("and says so", {h["content-type"] for h, _ in got} == {f"{kind}; transfer-syntax={ts}"}, got[0][0])
        for rubbish, expected in [("0", 400), ("x", 400), ("1,", 400), ("-1", 400), (str(count + 1), 404), ("1,4294967297", 404), ("99999999999999999999", 400)]:
            status, _, body = get(server, f"{o['path']}/frames/{rubbish}", "*/*")
            check(f"frame {rubbish} is {expected}", status == expected, (status, body))
    status, headers, body = get(server, f["objects"]["jls"]["path"] + "/frames/1,2", related("image/dicom-rle"))
    check("frames are coded anew when that loses nothing", status == 200 and {h["content-type"] for h, _ in parts(headers, body)} == {f"image/dicom-rle; transfer-syntax={RLE}"}, (status, body[:200]))
    status, headers, body = get(server, f["objects"]["multi"]["path"] + "/frames/1", "image/jls")
    check("native ones too", status == 200 and headers["content-type"] == f"image/jls; transfer-syntax={JLS}" and body[:2] == b"\xff\xd8", (status, headers))
    for accept in ("image/png", related("image/jxl"), related("video/mp4"), related("image/jpeg", JLS), related("application/octet-stream", RLE)):
        check(f"frames as {accept} are 406", get(server, f["objects"]["jls"]["path"] + "/frames/1", accept)[0] == 406)
    bits = f["objects"]["bits"]
    flat = numpy.unpackbits(numpy.frombuffer(bits["ds"].PixelData, "u1"), bitorder="little")
    status, headers, body = get(server, bits["path"] + "/frames/1,2,4", related("application/octet-stream"))
    expected = [numpy.packbits(flat[15 * i:15 * i + 15], bitorder="little").tobytes() for i in (0, 1, 3)]
    check("frames of single bits begin at whole bytes", [c for _, c in parts(headers, body)] == expected, body)


def bulk(server, f):
    document = f["objects"]["document"]
    row = server.get_json(document["path"] + "/metadata")[0]
    uri = row["00420011"]["BulkDataURI"]
    value = document["ds"][0x00420011].value
    status, headers, body = get(server, uri, related("application/octet-stream"))
    check("a value is one part under its own name", [(h["content-location"], c) for h, c in parts(headers, body)] == [(uri, value)], headers)
    status, headers, body = get(server, uri, "application/pdf")
    check("a document comes as what it is, without padding", (headers["content-type"], body) == ("application/pdf", value[:3001]), headers)
    nested = row["00340001"]["Value"][1]["00340007"]["BulkDataURI"]
    status, headers, body = get(server, nested, "application/octet-stream")
    check("a value in a sequence is found by the metadata's own name", body == bytes(range(256)) * 8, (nested, status, body[:200]))
    for path in ("/00420012/1", "/0042", "/99999999", "/00340001/3/00340007", "/00340001", "/00340001/0/00340007"):
        check(f"bulkdata{path} is 404", get(server, document["path"] + "/bulkdata" + path, "*/*")[0] == 404, path)
    jls = f["objects"]["jls"]
    uri = server.get_json(jls["path"] + "/metadata")[0]["7FE00010"]["BulkDataURI"]
    status, headers, body = get(server, uri, "application/octet-stream")
    check("compressed pixel data is decoded as bulk data", status == 200 and body == pixels(3, 5).tobytes(), (status, body[:200]))
    status, headers, body = get(server, uri, "application/octet-stream", Range="bytes=3072-6200")
    check("a range of it too", (status, body) == (206, pixels(3, 5).tobytes()[3072:6201]), status)
    status, headers, body = get(server, uri, related("image/jls"))
    check("or comes frame by frame as it is stored", len(parts(headers, body)) == 5 and b"\xff\xf7" in body, status)
    status, headers, body = get(server, f"{ROOT}/studies/{f['study']}/bulkdata", related("application/octet-stream"))
    got = {h["content-location"]: c for h, c in parts(headers, body)}
    check("all bulk data of a study is there", got[nested] == bytes(range(256)) * 8 and got[uri] == pixels(3, 5).tobytes() and len(got) == 10, list(got))
    status, headers, body = get(server, f"{ROOT}/studies/{f['study']}", related("application/octet-stream"))
    check("and is what the study is as octets (PS3.18 10.4.4 note 2)", {h["content-location"]: c for h, c in parts(headers, body)} == got, status)
    status, headers, body = get(server, f"{ROOT}/studies/{f['study']}/series/{f['series']}/pixeldata", related("application/octet-stream", "*"))
    check("pixel data as it is stored comes by frames", len(parts(headers, body)) == 4 + 3 * 5, len(parts(headers, body)))
    check("where there is none it is 404", get(server, document["path"] + "/pixeldata", "*/*")[0] == 404)


def ranges(server, f):
    o = f["objects"]["multi"]
    data, whole = o["data"], len(o["data"])
    accept = "application/dicom; transfer-syntax=*"
    status, first, body = get(server, o["path"], accept)
    check("an instance has validators and takes ranges", first["etag"].startswith('"') and first["last-modified"].endswith("GMT") and first["accept-ranges"] == "bytes", first)
    for text, part in [("bytes=0-0", data[:1]), ("bytes=100-199", data[100:200]), (f"bytes={whole - 5}-", data[-5:]), ("bytes=-7", data[-7:]), (f"bytes=10-{whole * 2}", data[10:]), (f"bytes=-{whole * 2}", data)]:
        status, headers, body = get(server, o["path"], accept, Range=text)
        check(f"{text} is a part", (status, body) == (206, part) and headers["content-range"].endswith(f"/{whole}") and int(headers["content-length"]) == len(part), (status, headers))
    for text in (f"bytes={whole}-", "bytes=99999999999999999999-", "bytes=-0"):
        status, headers, body = get(server, o["path"], accept, Range=text)
        check(f"{text} is 416", status == 416 and headers["content-range"] == f"bytes */{whole}", (status, headers))
    for text in ("lines=1-2", "bytes=5-2", "bytes=a-b", "bytes", "bytes=", "bytes=1-2,x", "bytes=" + ",".join(["0-9"] * 200), "bytes=0-,0-"):
        status, headers, body = get(server, o["path"], accept, Range=text)
        check(f"{text[:30]} does not count", (status, body) == (200, data), status)
    status, headers, body = get(server, o["path"], accept, Range="bytes=0-9, 100-149,-3")
    message = email.message_from_bytes(b"Content-Type: " + headers["content-type"].encode() + b"\r\n\r\n" + body)
    check("several ranges are multipart/byteranges", status == 206 and message.get_content_type() == "multipart/byteranges" and int(headers["content-length"]) == len(body), headers)
    got = [(p["Content-Range"], p["Content-Type"], p.get_payload(decode=True)) for p in message.get_payload()]
    kind = f"application/dicom; transfer-syntax={EXPLICIT}"
    check("each with its place", got == [(f"bytes 0-9/{whole}", kind, data[:10]), (f"bytes 100-149/{whole}", kind, data[100:150]), (f"bytes {whole - 3}-{whole - 1}/{whole}", kind, data[-3:])], got)
    for value, expected in [(first["etag"], 206), ('"other"', 200), ("W/" + first["etag"], 200), (first["last-modified"], 206), ("Mon, 01 Jan 2001 00:00:00 GMT", 200)]:
        check(f"If-Range {value} is {expected}", get(server, o["path"], accept, Range="bytes=0-9", If_Range=value)[0] == expected)
    for condition, expected in [({"If_None_Match": first["etag"]}, 304), ({"If_None_Match": f'"x", W/{first["etag"]}'}, 304), ({"If_None_Match": "*"}, 304), ({"If_None_Match": '"x"'}, 200),
                                ({"If_Modified_Since": first["last-modified"]}, 304), ({"If_Modified_Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, 200), ({"If_Modified_Since": "yesterday"}, 200),
                                ({"If_None_Match": '"x"', "If_Modified_Since": first["last-modified"]}, 200), ({"If_Match": first["etag"]}, 200), ({"If_Match": '"x"'}, 412),
                                ({"If_Unmodified_Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, 412)]:
        status, headers, body = get(server, o["path"], accept, **condition)
        check(f"{condition} is {expected}", status == expected and (status != 304 or (body == b"" and headers["etag"] == first["etag"])), (status, headers))
    for path, kind in [(f"{ROOT}/studies/{f['study']}", related("application/dicom", "*")), (f"{ROOT}/studies/{f['study']}/series/{f['series']}", related("application/dicom", "*")),
                       (o["path"] + "/frames/2", "application/octet-stream"), (o["path"] + "/frames/1,3", related("application/octet-stream")), (o["path"] + "/bulkdata/7FE00010", "application/octet-stream")]:
        status, headers, body = get(server, path, kind)
        check(f"{path} can be had again only when it changed", get(server, path, kind, If_None_Match=headers["etag"])[0] == 304, headers)
        check("and any part of it", get(server, path, kind, Range="bytes=37-1037")[2] == body[37:1038], headers)
        status, head, nothing = get(server, path, kind, method="HEAD")
        check("HEAD tells the same and sends nothing", status == 200 and nothing == b"" and head["content-length"] == str(len(body)) and head["etag"] == headers["etag"], head)


def archives(server, f, folder):
    url = f"{ROOT}/studies/{f['study']}"
    names = {f"{o['ds'].StudyInstanceUID}/{o['ds'].SeriesInstanceUID}/{o['ds'].SOPInstanceUID}.dcm": o["data"] for o in f["objects"].values()}
    for kind, suffix in (("application/zip", "zip"), ("application/x-tar", "tar")):
        status, headers, body = get(server, url, kind)
        check(f"{kind} is there", status == 200 and headers["content-type"] == kind and int(headers["content-length"]) == len(body), (status, headers, body[:200]))
        check("to be kept as a file", headers["content-disposition"].endswith(f'.{suffix}"'), headers)
        check("the same bytes again", get(server, f"{url}?accept={kind}", "*/*")[2] == body)
        path = Path(folder) / f"study.{suffix}"
        path.write_bytes(body)
        if suffix == "zip":
            with zipfile.ZipFile(path) as z:
                check("zipfile finds nothing wrong", z.testzip() is None)
                check("and every object", {n: z.read(n) for n in z.namelist()} == names, z.namelist())
            gantry.run("unzip", "-tq", path)
        else:
            with tarfile.open(path) as t:
                check("tarfile finds every object", {m.name: t.extractfile(m).read() for m in t.getmembers()} == names, t.getnames())
            check("tar too", len(gantry.run("tar", "-tf", path).stdout.split()) == len(names))
        for at in (0, 1, 29, 511, 5000, len(body) // 2, len(body) - 100, len(body) - 1):
            status, part, rest = get(server, url, kind, Range=f"bytes={at}-", If_Range=headers["etag"])
            check(f"it goes on from byte {at}", (status, rest) == (206, body[at:]), (status, part))
        check("a series is its own", len(get(server, f"{url}/series/{f['other']}", kind)[2]) < len(body))


def uri_service(server, f):
    o, jls = f["objects"]["plain"], f["objects"]["jls"]

    def wado(target, accept="*/*", drop=None, **more):
        query = {"requestType": "WADO", "studyUID": target["ds"].StudyInstanceUID, "seriesUID": target["ds"].SeriesInstanceUID, "objectUID": target["ds"].SOPInstanceUID, **more}
        query.pop(drop, None)
        return get(server, "/wado?" + "&".join(f"{k}={v}" for k, v in query.items()), accept)

    status, headers, body = wado(o, contentType="application/dicom")
    check("the object, without a parameter on its type", (status, headers["content-type"], body) == (200, "application/dicom", o["data"]), (status, headers))
    status, headers, body = wado(jls, contentType="application/dicom")
    check("explicit VR little endian by default", pydicom.dcmread(io.BytesIO(body)).PixelData[:ROWS * COLUMNS * 10] == pixels(3, 5).tobytes(), (status, headers))
    status, headers, body = wado(jls, contentType="application/dicom", transferSyntax=JLS)
    check("as it is stored when that is named", body == jls["data"], (status, headers))
    status, headers, body = wado(o)
    check("a JPEG by default", status == 200 and headers["content-type"] == "image/jpeg" and body[:2] == b"\xff\xd8", (status, headers))
    status, headers, body = wado(jls, contentType="image/png", frameNumber=3, rows=16, windowCenter=2000, windowWidth=4000)
    check("a PNG when asked for", status == 200 and body[1:4] == b"PNG" and int.from_bytes(body[20:24], "big") == 16, (status, headers, body[:200]))
    status, headers, body = wado(o, contentType="image/png", region="0,0,0.5,1", columns=24)
    check("a region of it", status == 200 and body[1:4] == b"PNG", (status, body[:200]))
    for drop in ("requestType", "studyUID", "seriesUID", "objectUID"):
        check(f"without {drop} it is 400", wado(o, drop=drop)[0] == 400)
    for more, expected in [({"requestType": "GET"}, 400), ({"studyUID": "abc"}, 400), ({"objectUID": "1.2.3"}, 404), ({"anonymize": "yes"}, 406), ({"anonymize": "no"}, 400),
                           ({"frameNumber": "0"}, 400), ({"frameNumber": "x"}, 400), ({"frameNumber": "2"}, 404), ({"rows": "0"}, 400), ({"windowCenter": "1"}, 400),
                           ({"windowCenter": "1", "windowWidth": "0"}, 400), ({"region": "0,0,2,1"}, 400), ({"region": "0.5,0,0.5,1"}, 400), ({"imageQuality": "0"}, 400), ({"imageQuality": "101"}, 400),
                           ({"presentationUID": "1.2"}, 400), ({"presentationUID": "1.2", "presentationSeriesUID": "1.3"}, 404), ({"annotation": "nonsense"}, 400), ({"contentType": "image/foo"}, 406),
                           ({"transferSyntax": EXPLICIT}, 400), ({"contentType": "application/dicom", "transferSyntax": "x"}, 400), ({"contentType": "application/dicom", "transferSyntax": "1.2.840.10008.1.2"}, 406),
                           ({"contentType": "application/dicom", "transferSyntax": "1.2.3.4"}, 406), ({"contentType": "application/dicom%3Btransfer-syntax=*"}, 400), ({"unknown": "1"}, 200)]:
        status, _, body = wado(o, **more)
        check(f"{more} is {expected}", status == expected, (status, body[:300]))


def damaged(server, folder):
    """Pixels that cannot be decoded are 422; what breaks in the middle of an answer cuts it."""
    study, series = generate_uid(), generate_uid()
    good, data = image(study, series, 1, frames=3)
    good_data = compress(folder, data, "dcmcjpls")
    bad, data = image(study, series, 2, frames=3)
    bad_data = bytearray(compress(folder, data, "dcmcjpls"))
    for i in range(3):
        at = bad_data.index(b"\xff\xf7", 0)
        bad_data[at - 2:at + 4] = b"\0\0\0\0\0\0"
    store(server, [good_data, bytes(bad_data)])
    url = f"{ROOT}/studies/{study}/series/{series}"
    for path, accept in ((f"/instances/{bad.SOPInstanceUID}/frames/1", "application/octet-stream"), (f"/instances/{bad.SOPInstanceUID}", "application/dicom"), (f"/instances/{bad.SOPInstanceUID}/bulkdata/7FE00010", "*/*"),
                         (f"/instances/{bad.SOPInstanceUID}/bulkdata", "*/*"), (f"/instances/{bad.SOPInstanceUID}/frames/2,3", related("image/dicom-rle"))):
        status, headers, body = get(server, url + path, accept)
        check(f"{path} is 422", status == 422 and json.loads(body)["detail"], (status, body[:300]))
    status, headers, body = get(server, f"{url}/instances/{bad.SOPInstanceUID}", "application/dicom; transfer-syntax=*")
    check("it can be had as it is stored all the same", body == bytes(bad_data), status)
    try:
        status, headers, body = get(server, url, related("application/dicom"))
        check("a series that breaks in the middle is cut off", False, (status, headers, len(body)))
    except (http.client.IncompleteRead, ConnectionError):
        check("a series that breaks in the middle is cut off", True)


def video(server):
    """What cannot be decoded goes as it is stored, under its own media type, and says so."""
    mp4 = "1.2.840.10008.1.2.4.102"
    stream = b"\0\0\0\x18ftypmp42" + bytes(range(200)) * 60
    ds = base(generate_uid(), generate_uid(), 1, "1.2.840.10008.5.1.4.1.1.77.1.1.1")
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 480, 640, 3, "YBR_PARTIAL_420", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PlanarConfiguration, ds.NumberOfFrames = 8, 8, 7, 0, 50
    ds.add_new(0x7FE00010, "OB", pydicom.encaps.encapsulate([stream], has_bot=False))
    ds["PixelData"].is_undefined_length = True
    data = encode(ds, mp4)
    store(server, [data])
    path = f"{ROOT}/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    for target in (path + "/frames/1", path + "/bulkdata/7FE00010"):
        for accept in ("*/*", related("video/mp4"), related("video/*"), related("video/mp4", mp4), related("video/mp4", "*")):
            status, headers, body = get(server, target, accept)
            check(f"{target} as {accept}", status == 200, (status, body[:300]))
            (part, content), = parts(headers, body)
            check("is the stream that is stored", part["content-type"] == f"video/mp4; transfer-syntax={mp4}" and content == stream, part)
        status, headers, body = get(server, target, "video/mp4", Range="bytes=100-299")
        check("a player may jump in it", (status, body) == (206, stream[100:300]), (status, headers))
        for accept in ("application/octet-stream", related("video/mpeg"), "image/jpeg"):
            check(f"{target} as {accept} is 406", get(server, target, accept)[0] == 406)
    for accept in (related("application/dicom"), "*/*"):
        status, headers, body = get(server, path, accept)
        check("the object goes as it is stored", parts(headers, body)[0][1] == data and f"transfer-syntax={mp4}" in headers["content-type"], (status, headers))
    check("unless another is named", get(server, path, related("application/dicom", EXPLICIT))[0] == 406)
    status, headers, body = get(server, path + "/bulkdata", related("application/octet-stream"))
    check("among all bulk data it says what it is", [(h["content-type"], c) for h, c in parts(headers, body)] == [(f"application/octet-stream; transfer-syntax={mp4}", stream)], (status, headers))


def behind_a_proxy(folder):
    """Where a part says that it is, it is for the asker too."""
    with gantry.Server(Path(folder) / "proxied", "--base-url", "https://pacs.example.org/gantry") as server:
        ds, data = image(generate_uid(), generate_uid(), 1, frames=2)
        store(server, [data])
        path = f"{ROOT}/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
        uri = server.get_json(path + "/metadata")[0]["7FE00010"]["BulkDataURI"]
        for target, accept, expected in [(path, related("application/dicom"), path), (path + "/frames/2", "*/*", path + "/frames/2"), (path + "/frames/1,2", related("image/jls"), path + "/frames/1"),
                                         (path + "/rendered", related("image/png"), path + "/frames/1/rendered"),
                                         (path + "/bulkdata/7FE00010", "*/*", uri.removeprefix("/gantry")), (path + "/bulkdata", "*/*", uri.removeprefix("/gantry"))]:
            status, headers, body = get(server, target, accept)
            check(f"{target} is where the asker sees it", parts(headers, body)[0][0]["content-location"] == "/gantry" + expected, (uri, body[:300]))


def main():
    gantry.need_tools("dcmcjpls", "dcmcrle", "dcmcjpeg", "unzip", "tar")
    with tempfile.TemporaryDirectory() as folder, gantry.Server(Path(folder) / "data") as server:
        f = make(folder)
        store(server, [o["data"] for o in f["objects"].values()])
        objects(server, f)
        negotiation(server, f)
        rendered_forms(server, f)
        frames(server, f)
        bulk(server, f)
        ranges(server, f)
        archives(server, f, folder)
        uri_service(server, f)
        damaged(server, folder)
        video(server)
        behind_a_proxy(folder)
    print(f"{checks} checks")


if __name__ == "__main__":
    main()

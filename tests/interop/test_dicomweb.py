#!/usr/bin/env python3
"""DICOMweb as PS3.18 has it, over a plain HTTP client: store, search, retrieve, metadata, bulk data and frames; negotiation and refusals."""
import email
import gzip
import hashlib
import http.client
import io
import json
import re
import socket
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import numpy
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
except ImportError as missing:
    gantry.skip(f"{missing.name} is not installed")

ROOT = "/dicom-web"
SC = "1.2.840.10008.5.1.4.1.1.7"
JSON = {"Accept": "application/dicom+json"}
checks = 0


def check(what, condition, seen=""):
    global checks
    checks += 1
    if not condition:
        raise AssertionError(f"{what}: {seen}")


def make(study, series, number, name="Chen^Wei=陈^伟", patient_id="P1", ts=ExplicitVRLittleEndian, frames=1, date="20260102", **more):
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = SC, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = name, patient_id, "19700131", "F"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID, ds.StudyDescription = date, "101500", "A1", "S1", "腹部 abdomen"
    ds.ReferringPhysicianName = "Ref^Doc"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = "OT", 3, number, "the series"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 16, 24, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    if frames > 1:
        ds.NumberOfFrames = frames
    for key, value in more.items():
        setattr(ds, key, value)
    pixels = (numpy.arange(16 * 24 * frames) + number) % 4096
    order = ">u2" if ts == ExplicitVRBigEndian else "<u2"
    ds.add_new(0x7FE00010, "OW", pixels.astype(order).tobytes())
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ts
    ds.is_implicit_VR, ds.is_little_endian = ts == ImplicitVRLittleEndian, ts != ExplicitVRBigEndian
    ds.preamble = b"II*\0" + b"\x07" * 124
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, write_like_original=False)
    return ds, out.getvalue()


def multipart(parts, boundary="xYz", types=None):
    body = b""
    for i, part in enumerate(parts):
        kind = types[i] if types else "application/dicom"
        body += b"--" + boundary.encode() + b"\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + part + b"\r\n"
    return body + b"--" + boundary.encode() + b"--\r\n"


def store(server, parts, path="/studies", content_type='multipart/related; type="application/dicom"; boundary=xYz', **how):
    status, headers, body = server.http("POST", ROOT + path, body=multipart(parts, **how), headers={"Content-Type": content_type, **JSON})
    return status, json.loads(body)


def parts_of(headers, body):
    """(headers, content) of each part of a multipart answer, by Python's own parser."""
    message = email.message_from_bytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body)
    check("the answer is multipart", message.is_multipart(), headers["Content-Type"])
    return [(p, p.get_payload(decode=True)) for p in message.get_payload()]


def raw_parts(headers, body):
    boundary = b"--" + headers["Content-Type"].split("boundary=")[1].encode()
    pieces = body.split(boundary)
    check("the body begins with its boundary and ends with the closing one", pieces[0] == b"" and pieces[-1] == b"--\r\n", body[-60:])
    return [p[2:-2].split(b"\r\n\r\n", 1) for p in pieces[1:-1]]


def first(row, tag):
    return row[tag]["Value"][0]


def storing(server, f):
    status, answer = store(server, f["bytes"])
    check("a store of all is 200", status == 200, (status, answer))
    stored = answer["00081199"]["Value"]
    check("each instance is named as stored", [first(i, "00081155") for i in stored] == [d.SOPInstanceUID for d in f["sets"]], answer)
    check("the study's URL is given", first(answer, "00081190").endswith(f"{ROOT}/studies/{f['study']}"), answer)
    check("no failure is named", "00081198" not in answer)
    status, answer = store(server, f["bytes"][:1])
    check("the same bytes again are 200", status == 200 and len(answer["00081199"]["Value"]) == 1, (status, answer))
    status, answer = store(server, [f["bytes"][0], b"this is no DICOM"])
    check("some stored, some not is 202", status == 202, (status, answer))
    check("the nameless failure is an other failure", first(answer, "0008119A")["00081197"]["Value"][0] >= 0xA000, answer)
    status, answer = store(server, [b"no", b"nothing"])
    check("none stored is 409", status == 409 and "00081199" not in answer, (status, answer))
    other, data = make(generate_uid(), generate_uid(), 1, patient_id="P9")
    status, answer = store(server, [data], path=f"/studies/{f['study']}")
    check("an instance of another study is refused by name", status == 409 and first(first(answer, "00081198"), "00081155") == other.SOPInstanceUID, (status, answer))
    status, _, _ = server.http("GET", f"{ROOT}/studies/{other.StudyInstanceUID}")
    check("and is not there", status == 404, status)
    status, answer = store(server, [data, data], types=["application/dicom", "text/plain"])
    check("a part of another type fails alone", status == 202 and len(answer["0008119A"]["Value"]) == 1, (status, answer))


def store_refusals(server, f):
    body = multipart(f["bytes"][:1])
    for kind, expected in [("application/dicom", 415), ("multipart/form-data; boundary=xYz", 415), ('multipart/related; type="text/xml"; boundary=xYz', 415),
                           ("multipart/related", 400), ("", 415), ('multipart/related; type="application/dicom"; boundary=other', 400)]:
        status, headers, answer = server.http("POST", ROOT + "/studies", body=body, headers={"Content-Type": kind} if kind else {})
        check(f"a store as {kind!r} is {expected}", status == expected, (status, answer))
        problem = json.loads(answer)
        check("a refusal is a problem that says why", headers["Content-Type"] == "application/problem+json" and problem["status"] == expected and problem["detail"], answer)
    status, _, _ = server.http("POST", ROOT + "/studies", body=gzip.compress(body), headers={"Content-Type": "multipart/related; boundary=xYz", "Content-Encoding": "gzip"})
    check("a compressed body is 415", status == 415, status)
    fresh, data = make(generate_uid(), generate_uid(), 1, patient_id="P8")
    status, _, answer = server.http("POST", ROOT + "/studies", body=multipart([data])[:-40], headers={"Content-Type": "multipart/related; boundary=xYz"})
    check("a body that is cut short is 400", status == 400, (status, answer))
    status, _, _ = server.http("GET", f"{ROOT}/studies/{fresh.StudyInstanceUID}")
    check("and nothing of it is there", status == 404, status)


def searching(server, f):
    study = f["study"]
    rows = server.get_json(f"{ROOT}/studies?PatientID=P1")
    check("the study is found by its patient's ID", [first(r, "0020000D") for r in rows] == [study], rows)
    row = rows[0]
    name = first(row, "00100010")
    check("the name comes in its groups", name == {"Alphabetic": "Chen^Wei", "Ideographic": "陈^伟"}, name)
    for tag, value in [("00080020", "20260102"), ("00080050", "A1"), ("00100020", "P1"), ("00200010", "S1"), ("00201206", 2), ("00201208", 5), ("00080056", "ONLINE")]:
        check(f"the study has {tag}", first(row, tag) == value, row.get(tag))
    check("its modalities are told", row["00080061"]["Value"] == ["OT"], row)
    check("text is UTF-8", first(row, "00081030") == "腹部 abdomen", row)
    for query in ["PatientName=Chen*", "PatientName=chen%5Ewei", "PatientName=%E9%99%88*", "00100010=CHEN*", "StudyInstanceUID=" + study, f"StudyInstanceUID=1.2.3,{study}",
                  "StudyDate=20260102", "StudyDate=20251231-20260105", "StudyDate=-20260105&PatientID=P1", "PatientName=wei+chen&fuzzymatching=true", "PatientName=cw&fuzzymatching=true",
                  "ModalitiesInStudy=OT&PatientID=P1", "AccessionNumber=A1&PatientID=P1", "PatientID=P%3F&StudyDate=20260102"]:
        found = [first(r, "0020000D") for r in server.get_json(f"{ROOT}/studies?{query}")]
        check(f"{query} finds the study", study in found, found)
    for query in ["PatientName=Chen", "StudyDate=20260103-", "PatientID=p2x", "ModalitiesInStudy=CT", "PatientName=wei+chen"]:
        found = [first(r, "0020000D") for r in server.get_json(f"{ROOT}/studies?{query}")]
        check(f"{query} does not", study not in found, found)
    status, _, body = server.http("GET", f"{ROOT}/studies?PatientID=nobody", headers=JSON)
    check("nothing found is 200 with an empty array", (status, body) == (200, b"[]"), (status, body))
    rows = server.get_json(f"{ROOT}/studies/{study}/series")
    check("both series, by number", [first(r, "00200011") for r in rows] == [3, 4], rows)
    check("a series has its own attributes", first(rows[0], "00080060") == "OT" and first(rows[0], "00201209") == 4 and "00100010" not in rows[0], rows[0])
    rows = server.get_json(f"{ROOT}/series?SeriesDescription=the%20ser*&PatientID=P1")
    check("series of all studies have their study's attributes too", rows and first(rows[0], "00100020") == "P1", rows)
    rows = server.get_json(f"{ROOT}/studies/{study}/series/{f['series']}/instances")
    check("instances by number", [first(r, "00200013") for r in rows] == [1, 2, 3, 4], rows)
    check("an instance has its own attributes", first(rows[0], "00280010") == 16 and first(rows[0], "00080016") == SC, rows[0])
    check("instances of a study", len(server.get_json(f"{ROOT}/studies/{study}/instances")) == 5)
    check("instances of all studies", len(server.get_json(f"{ROOT}/instances?PatientID=P1")) == 5)
    pages = [first(server.get_json(f"{ROOT}/studies/{study}/instances?limit=1&offset={i}")[0], "00080018") for i in range(5)]
    check("pages of one give each instance once", sorted(pages) == sorted(d.SOPInstanceUID for d in f["sets"]), pages)
    row = server.get_json(f"{ROOT}/studies/{study}/instances?limit=1&includefield=BitsStored,00080064")[0]
    check("an attribute that is asked for is given", first(row, "00280101") == 12, row)
    row = server.get_json(f"{ROOT}/studies/{study}/instances?limit=1&includefield=all")[0]
    check("all are given", first(row, "00280102") == 11 and first(row, "00080090") == {"Alphabetic": "Ref^Doc"}, row)
    for query in ["limit=x", "limit=-1", "fuzzymatching=maybe", "StudyDate=yesterday", "a%zz=1"]:
        status, _, body = server.http("GET", f"{ROOT}/studies?{query}", headers=JSON)
        check(f"{query} is refused with the reason", status == 400 and json.loads(body)["detail"], (status, body))
    check("what pages add against caches is ignored", server.http("GET", f"{ROOT}/studies?limit=1&_=1", headers=JSON)[0] == 200)
    status, headers, body = server.http("GET", f"{ROOT}/studies?limit=1&foo=2", headers=JSON)
    check("an unknown parameter is ignored with a warning", status == 200 and "foo" in headers["Warning"], (status, body))
    check("XML cannot be had", server.http("GET", f"{ROOT}/studies?limit=1", headers={"Accept": "application/dicom+xml"})[0] == 406)
    status, headers, body = server.http("GET", f"{ROOT}/studies?limit=1", headers={"Accept": "application/json"})
    check("plain JSON can", status == 200 and headers["Content-Type"] == "application/json", headers)


def retrieving(server, f):
    study, series = f["study"], f["series"]
    for path, expected in [(f"/studies/{study}", f["bytes"]), (f"/studies/{study}/series/{series}", f["bytes"][:4])]:
        for accept in [None, "*/*"]:
            status, headers, body = server.http("GET", ROOT + path, headers={"Accept": accept} if accept else {})
            check(f"{path} as {accept} is there", status == 200, (status, body[:200]))
            read = [pydicom.dcmread(io.BytesIO(p[1])) for p in raw_parts(headers, body)]
            check("each object is explicit VR little endian", [d.file_meta.TransferSyntaxUID for d in read] == [ExplicitVRLittleEndian] * len(expected))
            check("and the one that was stored", [d.InstanceNumber for d in read] == [pydicom.dcmread(io.BytesIO(b)).InstanceNumber for b in expected])
        for accept in ['multipart/related; type="application/dicom"; transfer-syntax=*', "multipart/related;type=application/dicom;transfer-syntax=*, */*;q=0.1"]:
            status, headers, body = server.http("GET", ROOT + path, headers={"Accept": accept} if accept else {})
            check(f"{path} as {accept} is there", status == 200, (status, body[:200]))
            check("and is multipart/related of DICOM", headers["Content-Type"].startswith('multipart/related; type="application/dicom"; boundary='), headers)
            check("its length is told", int(headers["Content-Length"]) == len(body), headers)
            parts = raw_parts(headers, body)
            check("each object comes back bit for bit", [p[1] for p in parts] == expected, [len(p[1]) for p in parts])
            check("its syntax is named", b"transfer-syntax=1.2.840.10008.1.2" in parts[0][0], parts[0][0])
    ds, data = f["sets"][0], f["bytes"][0]
    url = f"{ROOT}/studies/{study}/series/{series}/instances/{ds.SOPInstanceUID}"
    status, headers, body = server.http("GET", url, headers={"Accept": "application/dicom; transfer-syntax=*"})
    check("one instance alone, bit for bit", (status, body) == (200, data), status)
    check("it is an attachment", headers["Content-Disposition"].startswith("attachment"), headers)
    status, again, body = server.http("GET", url, headers={"Accept": "application/dicom; transfer-syntax=*", "If-None-Match": headers["ETag"]})
    check("an asker who has it already is told so", (status, body) == (304, b""), status)
    status, headers, body = server.http("HEAD", url, headers={"Accept": "application/dicom; transfer-syntax=*"})
    check("HEAD tells the length and sends nothing", (status, body, int(headers["Content-Length"])) == (200, b"", len(data)), headers)
    implicit, big = f["sets"][1], f["sets"][2]
    for ds in (implicit, big):
        url = f"{ROOT}/studies/{study}/series/{series}/instances/{ds.SOPInstanceUID}"
        status, headers, body = server.http("GET", url, headers={"Accept": "application/dicom"})
        check("without a transfer syntax it is explicit VR little endian", status == 200 and "1.2.840.10008.1.2.1" in headers["Content-Type"], headers)
        read = pydicom.dcmread(io.BytesIO(body))
        check("the file says so too", read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian, read.file_meta)
        check("the attributes are the same", read.PatientName == ds.PatientName and read.InstanceNumber == ds.InstanceNumber, read)
        check("the pixels are the same", (numpy.frombuffer(read.PixelData, "<u2") == (numpy.arange(16 * 24) + ds.InstanceNumber) % 4096).all())
    for accept, expected in [("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.100", 406), ("image/png", 406), ('multipart/related; type="image/jpeg"', 406),
                             ("application/dicom;transfer-syntax=1.2.840.10008.1.2.4.100, application/dicom;transfer-syntax=*;q=0.2", 200)]:
        status, _, body = server.http("GET", url, headers={"Accept": accept})
        check(f"{accept} is {expected}", status == expected, (status, body[:200]))
    for path, expected in [("/studies/1.2.3.4", 404), ("/studies/nonsense", 400), (f"/studies/{study}/series/9.9", 404), (f"/studies/{study}/series/{series}/instances/9.9", 404),
                           (f"/studies/..%2f..%2fetc/series", 400), ("/patients", 404)]:
        status, _, body = server.http("GET", ROOT + path, headers={"Accept": "*/*"})
        check(f"{path} is {expected}", status == expected, (status, body[:200]))


def metadata(server, f):
    study, series = f["study"], f["series"]
    ds = f["sets"][0]
    whole = server.get_json(f"{ROOT}/studies/{study}/metadata")
    check("a study's metadata is every instance's", {first(r, "00080018") for r in whole} == {d.SOPInstanceUID for d in f["sets"]}, len(whole))
    some = server.get_json(f"{ROOT}/studies/{study}/series/{series}/metadata")
    check("a series' are its own", [first(r, "00200013") for r in some] == [1, 2, 3, 4], len(some))
    one = server.get_json(f"{ROOT}/studies/{study}/series/{series}/instances/{ds.SOPInstanceUID}/metadata")
    check("an instance's is one", len(one) == 1 and one[0] == some[0], (one, some[0]))
    check("values are right", first(one[0], "00280101") == 12 and first(one[0], "00100010")["Ideographic"] == "陈^伟", one)
    check("group 2 is left out", not [tag for tag in one[0] if tag.startswith("0002")])
    url = f"{ROOT}/studies/{study}/series/{series}/metadata"
    status, headers, body = server.http("GET", url, headers={**JSON, "Accept-Encoding": "gzip"})
    check("compressed it is the same", headers.get("Content-Encoding") == "gzip" and json.loads(gzip.decompress(body)) == some, headers)
    status, _, _ = server.http("GET", url, headers={**JSON, "Accept-Encoding": "gzip", "If-None-Match": headers["ETag"]})
    check("an asker who has it already is told so", status == 304, status)
    check("metadata of nothing is 404", server.http("GET", f"{ROOT}/studies/1.2.3/metadata", headers=JSON)[0] == 404)


def bulk(server, f):
    study, series = f["study"], f["series"]
    ds = f["sets"][0]
    base = f"{ROOT}/studies/{study}/series/{series}/instances/{ds.SOPInstanceUID}"
    one = server.get_json(base + "/metadata")[0]
    uri = one["7FE00010"]["BulkDataURI"]
    check("pixel data is named by a path of this server", uri.startswith(f"{ROOT}/studies/"), uri)
    status, headers, body = server.http("GET", uri, headers={"Accept": "application/octet-stream"})
    check("the URI gives the bytes", (status, body) == (200, ds.PixelData), (status, body[:100]))
    status, headers, body = server.http("GET", uri, headers={"Accept": "application/octet-stream", "Range": "bytes=10-19"})
    check("a range gives a part", (status, body, headers["Content-Range"]) == (206, ds.PixelData[10:20], f"bytes 10-19/{len(ds.PixelData)}"), (status, headers))
    status, _, _ = server.http("GET", uri, headers={"Accept": "application/octet-stream", "Range": "bytes=99999999-"})
    check("a range beyond the end is 416", status == 416, status)
    status, headers, body = server.http("GET", uri)
    check("by default it is multipart", status == 200 and raw_parts(headers, body)[0][1] == ds.PixelData, headers)
    multi = f["sets"][3]
    base = f"{ROOT}/studies/{study}/series/{series}/instances/{multi.SOPInstanceUID}"
    status, headers, body = server.http("GET", f"{base}/frames/3,1")
    size = 16 * 24 * 2
    check("frames come in the order asked for", status == 200 and [p[1] for p in raw_parts(headers, body)] == [multi.PixelData[2 * size:3 * size], multi.PixelData[:size]], status)
    status, headers, body = server.http("GET", f"{base}/frames/2", headers={"Accept": "application/octet-stream"})
    check("one frame can come alone", (status, body) == (200, multi.PixelData[size:2 * size]), status)
    for frames, expected in [("0", 400), ("x", 400), ("1,", 400), ("4", 404)]:
        check(f"frame {frames} is {expected}", server.http("GET", f"{base}/frames/{frames}")[0] == expected, frames)
    big = f["sets"][2]
    base = f"{ROOT}/studies/{study}/series/{series}/instances/{big.SOPInstanceUID}"
    status, _, body = server.http("GET", f"{base}/frames/1", headers={"Accept": "application/octet-stream"})
    check("a big endian object's frame comes in little endian", (numpy.frombuffer(body, "<u2") == (numpy.arange(16 * 24) + big.InstanceNumber) % 4096).all(), status)


def png_pixels(data):
    """Rows of an 8-bit gray PNG without interlace, by PNG's own definition (RFC 2083)."""
    check("it is a PNG", data[:8] == b"\x89PNG\r\n\x1a\n")
    at, packed, head = 8, b"", b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", data[at + 8:at + 8 + n])
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + n]
        at += 12 + n
    width, height, depth, colour = head[:4]
    check("eight bits of gray", (depth, colour) == (8, 0), head)
    raw, rows, above = zlib.decompress(packed), [], [0] * width
    for y in range(height):
        kind, line = raw[y * (width + 1)], list(raw[y * (width + 1) + 1:(y + 1) * (width + 1)])
        for x in range(width):
            left, up, corner = line[x - 1] if x else 0, above[x], above[x - 1] if x else 0
            paeth = min((left, up, corner), key=lambda v: abs(left + up - corner - v))
            line[x] = (line[x] + [0, left, up, (left + up) // 2, paeth][kind]) & 255
        rows.append(line)
        above = line
    return numpy.array(rows)


def rendering(server, f):
    study, series = f["study"], f["series"]
    ds, multi = f["sets"][0], f["sets"][3]
    base = f"{ROOT}/studies/{study}/series/{series}"
    one = f"{base}/instances/{ds.SOPInstanceUID}"
    status, headers, body = server.http("GET", f"{one}/rendered")
    check("rendered is JPEG by default", status == 200 and headers["Content-Type"] == "image/jpeg" and body[:2] == b"\xff\xd8", (status, headers))
    status, headers, body = server.http("GET", f"{one}/rendered?window=200,101,linear", headers={"Accept": "image/png"})
    check("PNG when asked for", status == 200 and headers["Content-Type"] == "image/png", (status, headers))
    values = ((numpy.arange(16 * 24) + 1) % 4096).reshape(16, 24).astype(float)
    # PS3.3 C.11.2.1.2.1: c = 200, w = 101
    expected = numpy.clip(((values - 199.5) / 100 + 0.5) * 255, 0, 255)
    check("the window is applied as the standard has it", numpy.abs(png_pixels(body) - expected).max() <= 1, png_pixels(body))
    status, _, body = server.http("GET", f"{one}/rendered?viewport=12,8", headers={"Accept": "image/png"})
    check("the viewport is filled in proportion", png_pixels(body).shape == (8, 12), status)
    url = f"{base}/instances/{multi.SOPInstanceUID}"
    pictures = [server.http("GET", f"{url}{frame}/rendered?window=600,1200,linear", headers={"Accept": "image/png"})[2] for frame in ("", "/frames/1", "/frames/3")]
    check("a frame of many is its own picture", pictures[0] == pictures[1] != pictures[2])
    check("and lies where it should", (png_pixels(pictures[2]) > png_pixels(pictures[1])).all())
    for path in (f"{ROOT}/studies/{study}", base, one):
        status, headers, _ = server.http("GET", path + "/thumbnail")
        check(f"{path}/thumbnail is a picture", status == 200 and headers["Content-Type"] == "image/jpeg", (status, headers))
    for query, expected in [("window=1", 400), ("window=1,0,linear", 400), ("window=a,b,linear", 400), ("window=1,2,curly", 400), ("viewport=0,5", 400), ("viewport=99999,5", 400),
                            ("quality=0", 400), ("quality=101", 400)]:
        status, _, body = server.http("GET", f"{one}/rendered?{query}")
        check(f"rendered?{query} is {expected}", status == expected, (status, body))
    check("no such frame is 404", server.http("GET", f"{base}/instances/{multi.SOPInstanceUID}/frames/4/rendered")[0] == 404)
    check("video of a still cannot be had", server.http("GET", f"{one}/rendered", headers={"Accept": "video/mp4"})[0] == 406)


def liars(server):
    """An object whose values cannot be spoils nobody's answer."""
    ds, _ = make(generate_uid(), generate_uid(), 1, patient_id="LIAR")
    del ds.Rows
    ds.add_new(0x00280010, "UL", 0xFFFFFFFF)
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, write_like_original=False)
    status, answer = store(server, [out.getvalue()])
    check("it is stored as it came", status in (200, 202), (status, answer))
    check("searches with it among the answers go on", len(server.get_json(f"{ROOT}/instances?limit=50")) > 1)
    base = f"{ROOT}/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    for path, expected in [("/rendered", (415, 422)), ("/frames/1", (422,)), ("/thumbnail", (415, 422)), ("/metadata", (200,))]:
        status, _, body = server.http("GET", base + path, headers={"Accept": "*/*"})
        check(f"its {path} is {expected}", status in expected, (status, body[:200]))


def study_of_two_patients(server):
    """A Study Instance UID, and a Series Instance UID in it, that came under two patients: all is there, and once."""
    study, series = generate_uid(), generate_uid()
    made = [make(study, s, n, patient_id=p, SeriesNumber=n) for s, n, p in [(series, 1, "TWIN1"), (generate_uid(), 2, "TWIN1"), (series, 3, "TWIN2"), (generate_uid(), 4, "TWIN2")]]
    store(server, [data for _, data in made])
    for path in [f"/studies/{study}/metadata", f"/studies/{study}/instances"]:
        uids = sorted(first(o, "00080018") for o in server.get_json(ROOT + path))
        check(f"{path} names every instance once", uids == sorted(ds.SOPInstanceUID for ds, _ in made), uids)
    uids = sorted(first(o, "00080018") for o in server.get_json(f"{ROOT}/studies/{study}/series/{series}/metadata"))
    check("so does the shared series", uids == sorted(made[i][0].SOPInstanceUID for i in (0, 2)), uids)
    found = server.get_json(f"{ROOT}/instances?StudyInstanceUID={study}&PatientID=TWIN2")
    check("each is found under its own patient", sorted(first(o, "00080018") for o in found) == sorted(made[i][0].SOPInstanceUID for i in (2, 3)), found)


def doors(server, f):
    status, headers, body = server.http("GET", "/healthz")
    check("it is healthy", status == 200 and json.loads(body)["ok"] is True, body)
    status, headers, body = server.http("GET", "/metrics")
    check("the metrics count what is there", b"\ngantry_instances 6\n" in body, body[:600])
    for name in ("X-Content-Type-Options", "Content-Security-Policy", "X-Frame-Options"):
        check(f"{name} is sent", name in headers, headers)
    check("no other site is let in", "Access-Control-Allow-Origin" not in headers)
    status, headers, _ = server.http("PUT", f"{ROOT}/studies", body=b"x")
    check("a method that is not there is 405 and names those that are", status == 405 and "POST" in headers["Allow"], (status, headers))
    status, _, _ = server.http("GET", "/healthz", headers={"Host": "evil.example"})
    check("without credentials another host name is refused", status == 403, status)
    status, _, _ = server.http("POST", f"{ROOT}/studies", body=b"x", headers={"Origin": "http://evil.example"})
    check("another site's page may not change anything", status == 403, status)
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=60) as s:
        s.sendall(b"GET /events?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        seen = b""
        until = time.monotonic() + 60
        while b"event: instance.stored" not in seen and time.monotonic() < until:
            seen += s.recv(65536)
        check("events come as they happened, numbered", b"event: instance.stored" in seen and b"id: 1\n" in seen, seen[:500])


def smuggling(server):
    for head in [b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                 b"GET /" + b"a" * 300000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 60000 + b"\r\n", b"\1\2\3\r\n\r\n", b"GET\r\n\r\n"]:
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=60) as s:
            try:
                s.sendall(head)
                answer = s.recv(4096)
            except ConnectionError:
                answer = b""
            check(f"{head[:60]} is refused", answer == b"" or answer.split()[1][:1] == b"4", answer[:100])
    check("and the server lives", server.http("GET", "/healthz")[0] == 200)


def deleting(server, f):
    url = f"{ROOT}/studies/{f['study']}/series/{f['series']}/instances/{f['sets'][0].SOPInstanceUID}"
    check("deleting needs a reason", server.http("DELETE", url)[0] == 400)
    check("with one it is done", server.http("DELETE", url + "?reason=test")[0] == 204)
    check("and the instance is gone", server.http("GET", url)[0] == 404)


def under_way(server):
    """HTTP requests that were begun, the one that asks among them."""
    return int(re.search(r"^gantry_http_requests_in_flight (\d+)", server.http("GET", "/metrics")[2].decode(), re.M).group(1))


def half(server, data, rest):
    """A store whose body is sent in two halves, with something in between; the answer's status."""
    body = multipart([data])
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=120)
    connection.putrequest("POST", ROOT + "/studies")
    connection.putheader("Content-Type", "multipart/related; boundary=xYz")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:len(body) // 2])
    until = time.monotonic() + 60
    while under_way(server) < 2:
        assert time.monotonic() < until, "the server does not begin with it"
        time.sleep(0.05)
    rest()
    try:
        connection.send(body[len(body) // 2:])
        return connection.getresponse().status
    finally:
        connection.close()


def ending(folder):
    ds, data = make(generate_uid(), generate_uid(), 1)
    gone, other = make(generate_uid(), generate_uid(), 1)
    with gantry.Server(folder) as server:
        with socket.create_connection(("127.0.0.1", server.http_port)) as s:
            body = multipart([other])
            s.sendall(b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/related; boundary=xYz\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:-50])
            time.sleep(0.3)
        check("a sender that went away leaves nothing", server.get_json(f"{ROOT}/studies?StudyInstanceUID={gone.StudyInstanceUID}") == [])

        def stop():
            server.process.terminate()
            refused, until = False, time.monotonic() + 60
            while not refused and time.monotonic() < until:
                time.sleep(0.2)
                try:
                    refused = server.http("GET", "/healthz")[0] == 503
                except OSError:
                    refused = True
            check("a server that is told to stop takes nothing new", refused)

        check("what is under way is finished", half(server, data, stop) == 200)
        server.process.wait(120)
        check("and the exit code is 0", server.process.returncode == 0, server.process.returncode)
    with gantry.Server(folder) as server:
        check("what was answered is there", len(server.get_json(f"{ROOT}/studies?StudyInstanceUID={ds.StudyInstanceUID}")) == 1)


def credentials(folder):
    with gantry.Server(folder, auth=True) as server:
        token = server.token
        check("the first start prints a token", token and len(token) == 64, token)
        server.token = None
        check("the page and health are open", server.http("GET", "/")[0] == 200 and server.http("GET", "/healthz")[0] == 200)
        for path in ("/dicom-web/studies", "/metrics", "/events", "/api/conflicts"):
            status, headers, _ = server.http("GET", path)
            check(f"{path} asks who it is", status == 401 and "Bearer" in headers["WWW-Authenticate"], (status, headers))
        check("a wrong token is refused", server.http("GET", "/metrics", headers={"Authorization": "Bearer " + "0" * 64})[0] == 401)
        check("the token opens", server.http("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})[0] == 200)
        status, headers, _ = server.http("POST", "/api/session", body=json.dumps({"token": token}))
        cookie = headers["Set-Cookie"]
        check("signing in gives a cookie that scripts cannot read", status == 200 and "HttpOnly" in cookie and "SameSite=Strict" in cookie, headers)
        cookie = {"Cookie": cookie.split(";")[0]}
        check("the cookie opens", server.http("GET", "/metrics", headers=cookie)[0] == 200)
        check("signing out closes", server.http("DELETE", "/api/session", headers=cookie)[0] == 204 and server.http("GET", "/metrics", headers=cookie)[0] == 401)
        check("a wrong token does not sign in", server.http("POST", "/api/session", body=b'{"token": "x"}')[0] == 401)
    kept = b"".join(p.read_bytes() for p in Path(folder).rglob("*") if p.is_file())
    if gantry.on_cluster():  # where all nodes have it
        kept += gantry.cluster.home_of(folder).dump()
    check("only the token's digest is kept", token.encode() not in kept and hashlib.sha256(token.encode()).hexdigest().encode() in kept)
    with gantry.Server(folder, auth=True) as server:
        check("the second start prints none", server.token is None)
        check("the token of the first still opens", server.http("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})[0] == 200)
    refused = gantry.run(gantry.GANTRY, "serve", "--data", folder, "--bind", "0.0.0.0", "--auth", "none", check=False, timeout=120)
    check("no credentials on an open address is refused with the remedy", refused.returncode != 0 and "127.0.0.1" in refused.stderr, refused.stderr)


def configuration(folder):
    file = Path(folder) / "gantry.yaml"
    own = "" if gantry.on_cluster() else f"data: {folder}/store\n"
    file.write_text(own + "aet: FROMFILE\ndicom:\n  port: 0\nhttp:\n  port: 0\nauth: none\npeers:\n  - aet: PACS\n    host: 127.0.0.1\n    port: 104\n")
    with gantry.Server(f"{folder}/store", config=file) as server:
        check("the file's AE title is used", server.aet == "FROMFILE", server.ready)
    for text, word in [("aet: X\nnonsense: 1\n", "nonsense"), ("dicom:\n  port: many\n", "line"), ("aet: [\n", "line"), ("http:\n  port: 70000\n", "line: 2"),
                       ("auth: some\n", "line: 1"), ("dicom:\n  known-callers-only: maybe\n", "line: 2"),
                       ("peers:\n  - aet: PACS\n    host: h\n    port: 0\n", "entry 1"), ('peers:\n  - aet: "A\\\\B"\n    host: h\n    port: 1\n', "entry 1")]:
        file.write_text(text)
        result = gantry.run(gantry.GANTRY, "serve", "--data", f"{folder}/store", "--config", str(file), check=False, timeout=120)
        check(f"a file with {text!r} is refused by name", result.returncode != 0 and word in result.stderr, result.stderr)


def main():
    study, series = generate_uid(), generate_uid()
    made = [make(study, series, 1), make(study, series, 2, ts=ImplicitVRLittleEndian), make(study, series, 3, ts=ExplicitVRBigEndian),
            make(study, series, 4, frames=3), make(study, generate_uid(), 1, SeriesNumber=4)]
    f = {"study": study, "series": series, "sets": [m[0] for m in made], "bytes": [m[1] for m in made]}
    with tempfile.TemporaryDirectory() as folder, gantry.Server(folder) as server:
        for part in (storing, store_refusals, searching, retrieving, metadata, bulk, rendering, doors):
            part(server, f)
        smuggling(server)
        liars(server)
        study_of_two_patients(server)
        deleting(server, f)
    for part in (ending, credentials, configuration):
        with tempfile.TemporaryDirectory() as folder:
            part(folder)
    print(f"{checks} checks")


main()

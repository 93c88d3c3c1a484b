#!/usr/bin/env python3
"""QIDO-RS (PS3.18 10.6, 8.3.4): every kind of matching at all six resources, pages, XML, and URLs that survive a proxy."""
import email
import io
import json
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid
except ImportError as missing:
    gantry.skip(f"{missing.name} is not installed")

ROOT = "/dicom-web"
SC = "1.2.840.10008.5.1.4.1.1.7"
JSON = {"Accept": "application/dicom+json"}
XML = {"Accept": 'multipart/related; type="application/dicom+xml"'}
checks = 0


def check(what, condition, seen=""):
    global checks
    checks += 1
    if not condition:
        raise AssertionError(f"{what}: {seen}")


def make(study, series, number, **values):
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = SC, generate_uid(), study, series
    ds.InstanceNumber, ds.Rows, ds.Columns, ds.BitsAllocated = number, 2, 2, 8
    step = Dataset()
    step.ScheduledProcedureStepID, step.RequestedProcedureID = values.pop("step", "SPS0"), "RP0"
    ds.RequestAttributesSequence = [step]
    for key, value in values.items():
        setattr(ds, key, value)
    ds.PixelData = bytes(4)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.is_implicit_VR, ds.is_little_endian = False, True
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, write_like_original=False)
    return ds, out.getvalue()


def fill(server):
    studies = []
    for i, (name, date, time, modality) in enumerate([("Chen^Wei=陈^伟", "20260101", "080000", "CT"), ("Müller^Jörg", "20260102", "120000", "MR"), ("CHEN^Xiu", "20260103", "235959", "CT")]):
        study, parts = generate_uid(), []
        for s in range(2):
            series = generate_uid()
            for n in range(2):
                parts.append(make(study, series, n + 1, PatientName=name, PatientID=f"ID{i}", StudyDate=date, StudyTime=time, Modality=modality, SeriesNumber=s + 1, step=f"SPS{i}{s}",
                                  AccessionNumber="" if i == 1 else f"ACC{i}", StudyDescription=f"study {i}", StudyID=f"S{i}", SeriesDescription="胸部 chest", KVP=str(100 + i)))
        body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n" for _, data in parts) + b"--b--\r\n"
        status, _, answer = server.http("POST", ROOT + "/studies", body=body, headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b', **JSON})
        check("stored", status == 200, (status, answer[:200]))
        studies.append((study, [ds for ds, _ in parts]))
    return studies


def found(server, studies, path):
    uids = [r["0020000D"]["Value"][0] for r in server.get_json(ROOT + path)]
    index = {s: i for i, (s, _) in enumerate(studies)}
    return [index[u] for u in uids]


def matching(server, studies):
    a, b, c = (s for s, _ in studies)
    for query, expected in [
            ("", [2, 1, 0]), ("PatientID=ID1", [1]), ("00100020=ID1", [1]), (f"StudyInstanceUID={a},{c}", [2, 0]), (f"StudyInstanceUID={a}%5C{b}", [1, 0]), ("0020000D=" + b, [1]),
            ("PatientName=chen*", [2, 0]), ("PatientName=" + quote("陈*"), [0]), ("PatientName=muller%5Ejorg", [1]), ("PatientName=*wei", [0]), ("PatientName=Che%3F%5E*", [2, 0]),
            ("StudyDate=20260102", [1]), ("StudyDate=20260102-", [2, 1]), ("StudyDate=-20260102", [1, 0]), ("StudyDate=20260101-20260102", [1, 0]),
            ("StudyDate=20260101-20260102&StudyTime=100000-110000", []), ("StudyDate=20260101-20260103&StudyTime=100000-130000", [1]), ("StudyTime=1130-1230", [1]),
            ("AccessionNumber=%22%22", [1]), ("AccessionNumber=", [2, 1, 0]), ("AccessionNumber=ACC?&emptyvaluematching=true", [2, 0]), ("ModalitiesInStudy=CT", [2, 0]),
            ("ModalitiesInStudy=CT%5CMR&multiplevaluematching=true", [2, 1, 0]), ("PatientName=wei&fuzzymatching=true", [0]), ("PatientName=xiu%20chen&fuzzymatching=true", [2]),
            ("PatientName=wei&fuzzymatching=false", []), ("StudyDescription=study%202", [2]), ("StudyID=S0&PatientID=ID0", [0]), ("StudyDate=20260102&TimezoneOffsetFromUTC=%2B0000", [1])]:
        seen = found(server, studies, "/studies?" + query)
        check(f"{query} finds {expected}", seen == expected, seen)
    for query, expected in [("RequestAttributesSequence.ScheduledProcedureStepID=SPS11", [1]), ("00400275.00400009=SPS2*", [2, 2]), ("SeriesNumber=1&Modality=MR", [1]), ("Modality=CT&SeriesNumber=2", [2, 0])]:
        seen = found(server, studies, "/series?" + query)
        check(f"series by {query}", seen == expected, seen)
    seen = found(server, studies, "/instances?KVP=101&InstanceNumber=2")
    check("instances by what is in no index", seen == [1, 1], seen)
    for path, expected in [(f"/studies/{a}/series", 2), (f"/studies/{a}/instances", 4), (f"/studies/{a}/series/{studies[0][1][0].SeriesInstanceUID}/instances", 2), ("/series", 6), ("/instances", 12), ("/studies", 3)]:
        rows = server.get_json(ROOT + path)
        check(f"{path} has {expected}", len(rows) == expected, len(rows))
    check("a study that is not there has no series", server.get_json(ROOT + "/studies/1.2.3/series") == [])


def attributes(server, studies):
    row = server.get_json(ROOT + "/studies?PatientID=ID0")[0]
    for tag in ["00080005", "00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081190", "00100010", "00100020", "00100030", "00100040", "0020000D", "00200010", "00201206", "00201208"]:
        check(f"a study has {tag} (table 10.6.3-3)", tag in row and row[tag]["vr"], row)
    check("its URL leads to it", row["00081190"]["Value"][0] == f"http://127.0.0.1:{server.http_port}{ROOT}/studies/{studies[0][0]}", row["00081190"])
    check("its counts are right", row["00201206"]["Value"] == [2] and row["00201208"]["Value"] == [4], row)
    row = server.get_json(f"{ROOT}/studies/{studies[0][0]}/series")[0]
    for tag in ["00080060", "0008103E", "00081190", "0020000E", "00200011", "00201209", "00400244", "00400245", "00400275"]:
        check(f"a series has {tag} (table 10.6.3-4)", tag in row, row)
    check("with its request", row["00400275"]["Value"][0]["00400009"]["Value"] == ["SPS00"], row)
    row = server.get_json(f"{ROOT}/studies/{studies[0][0]}/instances")[0]
    for tag in ["00080016", "00080018", "00080056", "00081190", "00200013", "00280010", "00280011", "00280100", "00280008"]:
        check(f"an instance has {tag} (table 10.6.3-5)", tag in row, row)
    for field in ["includefield=KVP", "includefield=00180060", "includefield=StudyID,KVP", "includefield=StudyID&includefield=KVP", "includefield=all"]:
        row = server.get_json(f"{ROOT}/studies/{studies[0][0]}/instances?{field}")[0]
        check(f"{field} gives it", row["00180060"]["Value"] == [100], row.get("00180060"))
    row = server.get_json(f"{ROOT}/series?includefield=00400275.00400009&limit=1")[0]
    check("part of a sequence can be asked for", set(row["00400275"]["Value"][0]) == {"00400009"} or "00400009" in row["00400275"]["Value"][0], row["00400275"])


def pages(server):
    whole = [r["00080018"]["Value"][0] for r in server.get_json(ROOT + "/instances")]
    pieces = []
    for offset in range(0, 15, 5):
        status, headers, body = server.http("GET", f"{ROOT}/instances?limit=5&offset={offset}", headers=JSON)
        pieces += [r["00080018"]["Value"][0] for r in json.loads(body)]
        warned = headers.get("Warning", "")
        check("that there is more is told, and only then", warned.startswith("299 http://") and "additional results" in warned if offset < 10 else not warned, (offset, warned))
    check("pages join to the whole in order", pieces == whole, len(pieces))
    status, headers, body = server.http("GET", f"{ROOT}/studies?limit=0", headers=JSON)
    check("a limit of 0 is an empty list", (status, body) == (200, b"[]"), (status, body[:80]))
    status, headers, body = server.http("GET", f"{ROOT}/studies?offset=99", headers=JSON)
    check("nothing is left behind the end", (status, body) == (200, b"[]") and "Warning" not in headers, (status, headers))
    for query, name in [("limit=-1", "limit"), ("offset=x", "offset"), ("limit=1.5", "limit"), ("limit=1&limit=2", "limit"), ("offset=1&offset=1", "offset"), ("charset=latin-9", "charset"), ("charset=*", "charset"), ("fuzzymatching=1", "fuzzymatching"), ("StudyDate=2026-01-01", "StudyDate"),
                        ("includefield=NoSuchThing", "NoSuchThing"), ("PatientID=a&PatientID=b", "")]:
        status, _, body = server.http("GET", f"{ROOT}/studies?{query}", headers=JSON)
        check(f"{query} is 400 and named", status == 400 and name in json.loads(body)["detail"], (status, body))
    # 8.3: "shall ignore any unsupported Query Parameters ... and may return ... warning"
    for query, name in [("foo=1", "foo"), ("patientname=x", "patientname"), ("00100020.foo=1", "00100020.foo"), ("a%0D%0AX-Evil:%201=x", "(unprintable)")]:
        status, headers, body = server.http("GET", f"{ROOT}/studies?{query}", headers=JSON)
        check(f"{query} is ignored", status == 200 and json.loads(body) == json.loads(server.http("GET", f"{ROOT}/studies", headers=JSON)[2]), (status, body))
        check("and a warning names it", headers["Warning"].startswith("299 http://") and headers["Warning"].endswith(f"ignored: {name}") and "X-Evil" not in headers, headers)
    status, headers, _ = server.http("GET", f"{ROOT}/studies?foo=1&limit=1", headers=JSON)
    check("beside the one that there is more", "additional results" in headers["Warning"] and "ignored: foo" in headers["Warning"], headers)
    for query in ["charset=utf-8", "charset=%22ISO_IR%20192%22", "charset=iso-8859-1,UTF-8;q=0.5", "accept=application/dicom+json", "accept=application/dicom%2Bjson"]:
        status, headers, _ = server.http("GET", f"{ROOT}/studies?{query}")
        check(f"{query} is taken", status == 200 and headers["Content-Type"] == "application/dicom+json" and "Warning" not in headers, (status, headers))


def parts_of(headers, body):
    message = email.message_from_bytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body)
    check("the answer is multipart", message.is_multipart(), headers["Content-Type"])
    return [(p.get_content_type(), p.get_payload(decode=True)) for p in message.get_payload()]


def in_xml(server, studies):
    namespace = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
    status, headers, body = server.http("GET", ROOT + "/studies?PatientID=ID0,ID2&PatientName=chen*", headers=XML)
    status, headers, body = server.http("GET", ROOT + "/studies?PatientName=chen*", headers=XML)
    check("XML is multipart", status == 200 and headers["Content-Type"].startswith('multipart/related; type="application/dicom+xml"; boundary='), headers)
    parts = parts_of(headers, body)
    check("a part for each result", [t for t, _ in parts] == ["application/dicom+xml"] * 2, parts)
    root = ET.fromstring(parts[1][1])
    values = {a.get("tag"): a for a in root}
    check("which is a Native DICOM Model", root.tag == namespace + "NativeDicomModel" and values["00100020"][0].text == "ID0", ET.tostring(root)[:300])
    name = values["00100010"][0]
    check("with names in groups", [g.tag.removeprefix(namespace) for g in name] == ["Alphabetic", "Ideographic"] and name[1][0].text == "陈", ET.tostring(name))
    status, _, body = server.http("GET", ROOT + "/studies?PatientID=nobody", headers=XML)
    check("no results are 204 in XML", (status, body) == (204, b""), (status, body))
    study = studies[0][0]
    for path, count in [(f"/studies/{study}/metadata", 4), (f"/studies/{study}/series/{studies[0][1][0].SeriesInstanceUID}/metadata", 2)]:
        status, headers, body = server.http("GET", ROOT + path, headers=XML)
        parts = parts_of(headers, body)
        check(f"{path} in XML", status == 200 and len(parts) == count, (status, len(parts)))
        root = ET.fromstring(parts[0][1])
        bulk = [a[0].get("uri") for a in root if a.get("tag") == "7FE00010"]
        check("pixels are bulk data", bulk and bulk[0].startswith(ROOT + "/studies/") and bulk[0].endswith("/bulkdata/7FE00010"), bulk)
        check("that can be had", server.http("GET", bulk[0], headers={"Accept": "*/*"})[0] == 200)
    for accept, expected in [("application/dicom+xml", 406), ("image/png", 406), ("application/dicom+json;q=0.1, multipart/related;type=\"application/dicom+xml\"", "multipart/related"),
                             ("*/*", "application/dicom+json"), ("application/json", "application/json"), ("application/*", "application/dicom+json")]:
        status, headers, _ = server.http("GET", ROOT + "/studies", headers={"Accept": accept})
        check(f"{accept} gives {expected}", status == expected or (status == 200 and headers["Content-Type"].startswith(str(expected))), (status, headers))


def behind_a_proxy(server, studies):
    study = studies[0][0]
    proxy = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pacs.example.org", "X-Forwarded-Prefix": "/hospital"}
    status, _, body = server.http("GET", ROOT + "/studies?PatientID=ID0", headers={**JSON, **proxy})
    check("Retrieve URLs are those of the proxy", json.loads(body)[0]["00081190"]["Value"][0] == f"https://pacs.example.org/hospital{ROOT}/studies/{study}", body[:600])
    series, instance = studies[0][1][0].SeriesInstanceUID, studies[0][1][0].SOPInstanceUID
    for path in [f"/studies/{study}", f"/studies/{study}/series/{series}", f"/studies/{study}/series/{series}/instances/{instance}"]:
        for coding in ["gzip", "identity"]:
            status, headers, body = server.http("GET", f"{ROOT}{path}/metadata", headers={**JSON, **proxy, "Accept-Encoding": coding})
            if headers.get("Content-Encoding") == "gzip":
                import gzip
                body = gzip.decompress(body)
            uris = [r["7FE00010"]["BulkDataURI"] for r in json.loads(body)]
            check("bulk data URIs have the proxy's prefix", all(u.startswith(f"/hospital{ROOT}/studies/") for u in uris), uris[:1])
    status, _, body = server.http("GET", f"{ROOT}/studies/{study}/metadata", headers=JSON)
    check("and none without it", all(r["7FE00010"]["BulkDataURI"].startswith(ROOT) for r in json.loads(body)), body[:300])


def main():
    with tempfile.TemporaryDirectory() as data, gantry.Server(data) as server:
        studies = fill(server)
        matching(server, studies)
        attributes(server, studies)
        pages(server)
        in_xml(server, studies)
        behind_a_proxy(server, studies)
    print(f"{checks} checks")


main()

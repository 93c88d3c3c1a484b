#!/usr/bin/env python3
"""Rendered resources and thumbnails of PS3.18 at every level: what is chosen by Accept, how several are put together, what the parameters do, and that what
cannot be done is said."""
import shutil
import subprocess
import sys
import tempfile
import warnings
from email import message_from_bytes
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import numpy as np
    import pydicom
    import pydicom.encaps
    from pydicom.sequence import Sequence
    from pydicom.uid import generate_uid

    from objects import COLUMNS, ROWS, base, image, item, ramp, save, state, window
    from picture import read_png
except ImportError:
    gantry.skip("pydicom and numpy are not installed")

ROOT = "/dicom-web"
count = 0


def check(what, ok, got=None):
    global count
    count += 1
    assert ok, f"{what}: {got}"


def parts_of(headers, body):
    """(headers, body) of each part; the framing is that of RFC 2046."""
    kind = headers["Content-Type"]
    boundary = kind.split("boundary=")[1].strip('"').encode()
    assert body.startswith(b"--" + boundary + b"\r\n") and body.endswith(b"\r\n--" + boundary + b"--\r\n"), body[:100]
    found = []
    for piece in body.split(b"--" + boundary)[1:-1]:
        head, _, content = piece[2:].partition(b"\r\n\r\n")
        found.append((dict(message_from_bytes(head).items()), content[:-2]))
    return found


def gif_frames(data):
    """(width, height, frames, hundredths of the first) by walking the blocks of a GIF89a."""
    assert data[:6] == b"GIF89a"
    width, height = data[6] | data[7] << 8, data[8] | data[9] << 8
    at, frames, delay = 13, 0, None
    while data[at] != 0x3B:
        if data[at] == 0x21:
            if data[at + 1] == 0xF9 and delay is None:
                delay = data[at + 4] | data[at + 5] << 8
            at += 2
        else:
            assert data[at] == 0x2C, at
            frames += 1
            at += 10 + (3 << ((data[at + 9] & 7) + 1) if data[at + 9] & 0x80 else 0) + 1
        while data[at]:
            at += data[at] + 1
        at += 1
    assert at + 1 == len(data)
    return width, height, frames, delay


class Study:
    def __init__(self, folder):
        self.plain = image(ramp(), WindowCenter="2048", WindowWidth="4096")
        self.uids = dict(StudyInstanceUID=self.plain.StudyInstanceUID, SeriesInstanceUID=self.plain.SeriesInstanceUID)
        frames = np.stack([ramp(), ramp()[::-1], ramp()[:, ::-1]])
        self.multi = image(frames[0], WindowCenter="2048", WindowWidth="4096", NumberOfFrames=3, FrameTime="50", InstanceNumber=2, **self.uids)
        self.multi.add_new(0x7FE00010, "OW", frames.astype("<u2").tobytes())
        self.state = state(self.plain, SoftcopyVOILUTSequence=window(100, 50), ImageRotation=90, ImageHorizontalFlip="N")
        self.pdf = base("1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC", MIMETypeOfEncapsulatedDocument="application/pdf", DocumentTitle="",
                        StudyInstanceUID=self.plain.StudyInstanceUID)
        self.pdf.add_new(0x00420011, "OB", b"%PDF-1.4 nothing\n%%EOF\n")
        self.pdf.EncapsulatedDocumentLength = 23
        code = lambda meaning: Sequence([item(CodeValue="1", CodingSchemeDesignator="99T", CodeMeaning=meaning)])
        finding = item(RelationshipType="CONTAINS", ValueType="TEXT", ConceptNameCodeSequence=code("Finding"), TextValue="<script>alert('肺')</script>")
        size = item(RelationshipType="CONTAINS", ValueType="NUM", ConceptNameCodeSequence=code("Diameter"), MeasuredValueSequence=Sequence(
            [item(NumericValue="12.5", MeasurementUnitsCodeSequence=Sequence([item(CodeValue="mm", CodingSchemeDesignator="UCUM", CodeMeaning="millimeter")]))]))
        self.report = base("1.2.840.10008.5.1.4.1.1.88.33", Modality="SR", SpecificCharacterSet="ISO_IR 192", ValueType="CONTAINER", ContinuityOfContent="SEPARATE",
                           CompletionFlag="COMPLETE", VerificationFlag="UNVERIFIED", ConceptNameCodeSequence=code("Chest Report"), ContentSequence=Sequence(
                               [item(RelationshipType="CONTAINS", ValueType="CONTAINER", ConceptNameCodeSequence=code("Findings"), ContentSequence=Sequence([finding, size]))]))
        self.report.PatientName = "Wang^XiaoDong=王^小东"
        self.broken = image(ramp(), SeriesInstanceUID=generate_uid())
        self.broken.add_new(0x7FE00010, "OW", b"\0" * 64)
        for i, ds in enumerate((self.plain, self.multi, self.state, self.pdf, self.broken, self.report)):
            save(ds, folder / f"{i}.dcm")

    @staticmethod
    def series(ds):
        return f"{ROOT}/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"

    @staticmethod
    def url(ds):
        return f"{Study.series(ds)}/instances/{ds.SOPInstanceUID}"


def still_pictures(server, s):
    one = s.url(s.plain)
    for accept, kind in ((None, "image/jpeg"), ("*/*", "image/jpeg"), ("image/*", "image/jpeg"), ("image/png", "image/png"), ("image/gif", "image/gif"),
                         ("image/png, image/jpeg;q=0.5", "image/png"), ("image/png;q=0.2, image/jpeg;q=0.5", "image/jpeg"), ("image/jpeg;q=0, image/*", "image/png")):
        status, headers, body = server.http("GET", one + "/rendered", headers={"Accept": accept} if accept else {})
        check(f"Accept {accept} gives {kind}", status == 200 and headers["Content-Type"] == kind, (status, headers))
        check("and says where it is", headers["Content-Location"] == one + "/rendered", headers)
    status, headers, body = server.http("GET", one + "/rendered?accept=image/png", headers={"Accept": "image/jpeg"})
    check("the accept parameter goes before the header", headers["Content-Type"] == "image/png", headers)
    status, headers, body = server.http("GET", one + "/rendered", headers={"Accept": 'multipart/related; type="image/png"'})
    parts = parts_of(headers, body)
    check("multipart when that is asked for", len(parts) == 1 and parts[0][0]["Content-Type"] == "image/png", headers)
    check("its type says what is in it", 'type="image/png"' in headers["Content-Type"], headers)
    for accept in "video/mp4", "text/html", "image/jpeg;q=0", "application/dicom":
        status, headers, body = server.http("GET", one + "/rendered", headers={"Accept": accept})
        check(f"{accept} cannot be had, and what can is said", status == 406 and b"image/jpeg" in body, (status, body))
    tag = server.http("GET", one + "/rendered")[1]["ETag"]
    check("what the asker has is not sent again", server.http("GET", one + "/rendered", headers={"If-None-Match": tag})[0] == 304)
    check("other parameters are another picture", server.http("GET", one + "/rendered?quality=20", headers={"If-None-Match": tag})[0] == 200)


def parameters(server, s):
    one = s.url(s.plain)

    def picture(query, path=one):
        status, headers, body = server.http("GET", f"{path}/rendered?accept=image/png&{query}")
        check(f"?{query}", status == 200, (status, body))
        out = Path(s.folder) / "x.png"
        out.write_bytes(body)
        return read_png(out)[..., 0].astype(int)

    whole = picture("")
    check("a region is cut", (picture("viewport=20,10,5,7,20,10") == whole[7:17, 5:25]).all())
    check("what is left out of it reaches to the edge", (picture(f"viewport={COLUMNS - 5},{ROWS - 7},5,7") == whole[7:, 5:]).all())
    check("a value between commas may be left out", (picture(f"viewport={COLUMNS},10,,7,,10") == whole[7:17]).all())
    check("a negative width turns it over", (picture("viewport=20,10,5,7,-20,10") == whole[7:17, 5:25][:, ::-1]).all())
    check("a negative height too", (picture("viewport=20,10,5,7,20,-10") == whole[7:17, 5:25][::-1]).all())
    check("a viewport is filled in proportion", picture("viewport=32,1000").shape == (24, 32))
    check("it may be larger than the image", picture("viewport=128,128").shape == (96, 128))
    burnt = picture("annotation=patient")
    check("annotations are burnt in", (burnt != whole).any() and (picture("annotation=patient,technique") != burnt).any())
    for query in ("viewport=10", "viewport=10,10,-1,0", "viewport=10,10,0,0,0,5", "viewport=10,10,1,2,3,4,5", "viewport=10.5,10", "viewport=10,10,500,0,5,5", "annotation=colour",
                  "iccprofile=adobergb", "iccprofile=what", "window=1,2", "window=1,2,curly", "quality=0", "quality=x"):
        expected = 200 if query == "window=1,2" else 400
        status, _, body = server.http("GET", f"{one}/rendered?{query}")
        check(f"?{query} is {expected}", status == expected, (status, body))
    status, _, large = server.http("GET", one + "/rendered?quality=100")
    status, _, small = server.http("GET", one + "/rendered?quality=5")
    check("quality decides on the size", len(small) < len(large) / 2, (len(small), len(large)))


def several(server, s):
    multi = s.url(s.multi)
    status, headers, body = server.http("GET", multi + "/rendered", headers={"Accept": "image/gif"})
    check("frames move in a GIF, at their own speed", status == 200 and gif_frames(body) == (COLUMNS, ROWS, 3, 5), (headers, body[:40]))
    check("which is what is usual for them", server.http("GET", multi + "/rendered")[1]["Content-Type"] == "image/gif")
    status, headers, body = server.http("GET", multi + "/rendered", headers={"Accept": "image/jpeg"})
    check("one JPEG when one is asked for", headers["Content-Type"] == "image/jpeg", headers)
    status, headers, body = server.http("GET", multi + "/rendered", headers={"Accept": 'multipart/related;type="image/jpeg"'})
    parts = parts_of(headers, body)
    check("and one for each frame in parts", [p[0]["Content-Location"].rsplit("/", 2)[1] for p in parts] == ["1", "2", "3"], headers)
    status, headers, body = server.http("GET", multi + "/frames/3,1/rendered", headers={"Accept": 'multipart/related; type="image/png"'})
    check("frames in the order asked for", [p[0]["Content-Location"] for p in parts_of(headers, body)] == [f"{multi}/frames/{n}/rendered" for n in (3, 1)], headers)
    single = server.http("GET", multi + "/frames/3/rendered", headers={"Accept": "image/png"})
    check("one frame by itself", single[1]["Content-Type"] == "image/png" and single[2] == parts_of(headers, body)[0][1])
    for frames, expected in ("4", 404), ("0", 400), ("1,x", 400), ("1,,2", 400), ("1,4", 404):
        check(f"frames/{frames} is {expected}", server.http("GET", f"{multi}/frames/{frames}/rendered")[0] == expected)
    status, headers, body = server.http("GET", s.series(s.plain) + "/rendered", headers={"Accept": "image/jpeg"})
    check("no picture is many (PS3.18 10.4.4)", status == 406 and b"multipart/related" in body, (status, body))
    status, headers, body = server.http("GET", s.series(s.plain) + "/rendered", headers={"Accept": 'image/jpeg;q=0.9, multipart/related; type="image/jpeg"'})
    check("a series in parts, each frame its own", status == 200 and len(parts_of(headers, body)) == 4, [p[0] for p in parts_of(headers, body)])
    status, headers, body = server.http("GET", f"{ROOT}/studies/{s.plain.StudyInstanceUID}/rendered")
    kinds = sorted(p[0]["Content-Type"] for p in parts_of(headers, body))
    check("a study with all that it has", kinds == ["application/pdf", "image/gif", "image/jpeg"], kinds)
    for path in (f"{ROOT}/studies/{s.plain.StudyInstanceUID}", s.series(s.plain), s.url(s.plain), multi, multi + "/frames/2"):
        status, headers, body = server.http("GET", path + "/thumbnail")
        check(f"thumbnail of {path}", status == 200 and headers["Content-Type"] == "image/jpeg" and body[:2] == b"\xff\xd8", (status, headers))
    check("a document has none", server.http("GET", s.url(s.pdf) + "/thumbnail")[0] == 404)


def others(server, s):
    status, headers, body = server.http("GET", s.url(s.state) + "/rendered", headers={"Accept": "image/png"})
    check("a presentation state shows its image, turned as it says", status == 200 and (body[16:24] == bytes([0, 0, 0, ROWS, 0, 0, 0, COLUMNS])), (status, headers, body[:60]))
    status, headers, body = server.http("GET", s.url(s.pdf) + "/rendered")
    check("a document as it is", status == 200 and headers["Content-Type"] == "application/pdf" and body.startswith(b"%PDF") and body.endswith(b"%%EOF\n"), (headers, body))
    check("but not as a picture", server.http("GET", s.url(s.pdf) + "/rendered", headers={"Accept": "image/png"})[0] == 406)
    status, headers, body = server.http("GET", s.url(s.report) + "/rendered")
    page = body.decode()
    check("a report as a page", status == 200 and headers["Content-Type"] == "text/html; charset=utf-8" and "Chest Report" in page and "王" in page, (headers, page))
    check("nothing of it is markup of the page", "<script" not in page and "&#60;script&#62;" in page, page)
    check("with its numbers and units", "Diameter</b>: 12.5 mm" in page, page)
    status, headers, body = server.http("GET", s.url(s.report) + "/rendered", headers={"Accept": "text/plain", "Accept-Language": "zh-CN,zh;q=0.9"})
    check("or as text, in Chinese", headers["Content-Type"].startswith("text/plain") and "患者姓名" in body.decode() and "  Diameter: 12.5 mm" in body.decode(), body.decode())
    status, headers, body = server.http("GET", s.url(s.broken) + "/rendered")
    check("pixels that are not there are 422", status == 422 and headers["Content-Type"] == "application/problem+json", (status, body))


def pictures_of(path, *options):
    """Hashes of the decoded pictures in the order of showing, by ffmpeg."""
    done = subprocess.run(["ffmpeg", "-v", "error", *options, "-i", str(path), "-f", "framehash", "-hash", "md5", "-"], capture_output=True, text=True, check=True)
    lines = [line.split(",") for line in done.stdout.splitlines() if not line.startswith("#")]
    return [line[5].strip() for line in lines], [int(line[2]) for line in lines]


def video(name):
    """H.264 as a byte stream, in a transport stream and in MP4 comes out as MP4 with the same pictures in the same order."""
    if not shutil.which("ffmpeg"):
        print("no ffmpeg: video is not looked at")
        return
    folder = Path(name) / "video"
    folder.mkdir()
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=128x96:rate=25:duration=2", "-c:v", "libx264", "-bf", "3", "-g", "20", "-pix_fmt", "yuv420p"]
    streams = {}
    for end, options in ("h264", ["-f", "h264"]), ("ts", ["-f", "mpegts"]), ("mp4", ["-f", "mp4"]):
        path = folder / f"v.{end}"
        subprocess.run([*make, *options, str(path)], check=True)
        streams[end] = path
    sets = {}
    for end, path in streams.items():
        data = path.read_bytes()
        ds = base("1.2.840.10008.5.1.4.1.1.77.1.1.1", Modality="ES", Rows=96, Columns=128, SamplesPerPixel=3, PhotometricInterpretation="YBR_PARTIAL_420",
                  PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0, NumberOfFrames=50, FrameTime="40")
        ds.add_new(0x7FE00010, "OB", pydicom.encaps.encapsulate([data]))
        ds["PixelData"].is_undefined_length = True
        save(ds, folder / f"{end}.dcm", "1.2.840.10008.1.2.4.102")
        sets[end] = ds
    data_folder = Path(name) / "video-data"
    subprocess.run([gantry.GANTRY, "import", *gantry.archive(data_folder), *map(str, folder.glob("*.dcm"))], check=True, capture_output=True)
    wanted, _ = pictures_of(streams["h264"])
    with gantry.Server(data_folder) as server:
        for end, ds in sets.items():
            url = Study.url(ds)
            status, headers, body = server.http("GET", url + "/rendered")
            check(f"{end} is had as MP4", status == 200 and headers["Content-Type"] == "video/mp4" and body[4:8] == b"ftyp", (status, headers, body[:300]))
            out = folder / "out.mp4"
            out.write_bytes(body)
            hashes, times = pictures_of(out)
            check(f"{end}: its pictures are the same, in order", hashes == wanted, (len(hashes), len(wanted)))
            steps = {b - a for a, b in zip(times, times[1:])}
            check(f"{end}: at an even pace", len(steps) == 1, steps)
            status, _, body = server.http("GET", url + "/rendered", headers={"Accept": "image/jpeg"})
            check(f"{end}: no picture, and the reason", status == 406 and b"video/mp4" in body, (status, body))
            check(f"{end}: no thumbnail", server.http("GET", url + "/thumbnail")[0] in (404, 422))


def main():
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "files"
        folder.mkdir()
        s = Study(folder)
        s.folder = name
        subprocess.run([gantry.GANTRY, "import", *gantry.archive(Path(name) / "data"), *map(str, folder.iterdir())], check=True, capture_output=True)
        with gantry.Server(Path(name) / "data") as server:
            still_pictures(server, s)
            parameters(server, s)
            several(server, s)
            others(server, s)
        video(name)
    print(f"{count} checks")


main()

#!/usr/bin/env python3
"""A peer that takes no object as it is stored gets it converted without loss: C-MOVE, C-GET and `gantry store`, judged by DCMTK's servers and clients."""
import base64
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
import peers
from gantry import GANTRY, run

STORED = ("explicit-le", "deflated", "rle", "jpeg-lossless-sv1", "jpeg-ls", "j2k-lossless", "htj2k-lossless", "deflated-frame")
# Peers by what alone they take.
ONLY = {"IMPLICIT": "LittleEndianImplicit", "EXPLICIT": "LittleEndianExplicit", "BIG": "BigEndianExplicit", "RLE": "RLELossless", "JPEGLS": "JPEGLSLossless"}
PROFILES = """[[TransferSyntaxes]]
[Only]
TransferSyntax1 = {ts}
[[PresentationContexts]]
[Images]
PresentationContext1 = CTImageStorage\\Only
PresentationContext2 = UltrasoundImageStorage\\Only
PresentationContext3 = BasicTextSRStorage\\Only
[[Profiles]]
[Peer]
PresentationContexts = Images
"""
PIXELS = "7FE00010"


def attributes(path):
    return json.loads(run(GANTRY, "json", path).stdout)


def pixels(path, scratch):
    """The decoded pixels, the transfer syntax in which they came, the SOP Instance UID."""
    ts = run("dcmdump", "-s", "+P", "0002,0010", path).stdout
    run(GANTRY, "transcode", path, "--to", "explicit-le", "--out", scratch / "native.dcm")
    ds = attributes(scratch / "native.dcm")
    return base64.b64decode(ds[PIXELS]["InlineBinary"]), ts, ds["00080018"]["Value"][0]


def make(folder):
    """The same small CT, each stored in another transfer syntax; its pixels by SOP Instance UID."""
    run(GANTRY, "synth", "--out", folder / "synth", "--kind", "chest-ct", "--size", "64", "--slices", str(len(STORED)))
    sources = sorted((folder / "synth").rglob("*.dcm"))[:len(STORED)]
    objects, expected = folder / "objects", {}
    objects.mkdir()
    for to, source in zip(STORED, sources, strict=True):
        run(GANTRY, "transcode", source, "--to", to, "--out", objects / f"{to}.dcm", "--verify")
        data, _, uid = pixels(source, folder)
        expected[uid] = data
    return objects, expected


def listener(folder, name):
    (folder / f"{name}.cfg").write_text(PROFILES.format(ts=ONLY[name]))
    peer = peers.Storescp(folder / name, False, "-xf", str(folder / f"{name}.cfg"), "Peer")
    peer.folder, peer.name = folder / name, name
    return peer


def check_arrived(peer, expected, scratch):
    came = [p for p in peer.folder.iterdir() if p.is_file()]
    assert len(came) == len(expected), f"{peer.name} got {len(came)} of {len(expected)}"
    for path in came:
        data, ts, uid = pixels(path, scratch)
        assert ONLY[peer.name] in ts, f"{peer.name} got {ts}"
        assert data == expected[uid], f"{peer.name}: {uid} has other pixels"
        path.unlink()


def moved(server, listeners, study, expected, scratch):
    for peer in listeners:
        result = run(GANTRY, "move", f"{server.aet}@127.0.0.1:{server.dicom_port}", "--to", peer.name, "--key", f"StudyInstanceUID={study}")
        assert f"{len(expected)} sent" in result.stdout, result.stdout
        check_arrived(peer, expected, scratch)
        server.logged("objects were converted")
    run("movescu", "-aec", server.aet, "-aem", "RLE", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}", "localhost", server.dicom_port)
    check_arrived(next(p for p in listeners if p.name == "RLE"), expected, scratch)


def got(server, study, expected, scratch):
    """getscu proposes the uncompressed transfer syntaxes, whatever its options say; with -xd the deflated one first."""
    for option in ("-xi", "-xd"):
        out = scratch / f"get{option}"
        out.mkdir()
        run("getscu", "+B", option, "-aec", server.aet, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}", "-od", out, "localhost", server.dicom_port)
        came = list(out.iterdir())
        assert len(came) == len(expected), f"getscu {option} got {len(came)}"
        for path in came:
            data, ts, uid = pixels(path, scratch)
            assert data == expected[uid] and "Explicit" in ts, f"getscu {option}: {ts}"


def stored(listeners, objects, expected, scratch):
    for peer in listeners:
        result = json.loads(run(GANTRY, "store", f"X@127.0.0.1:{peer.dicom_port}", objects, "--json").stdout)
        assert result["stored"] == len(expected) and result["failed"] == 0 and result["converted"] >= len(expected) - 1, result
        check_arrived(peer, expected, scratch)


def what_cannot_be_is_told(server, listeners, folder):
    """A report has no place in RLE; loss is never made on the way."""
    rle = next(p for p in listeners if p.name == "RLE")
    report = folder / "report.dcm"
    run(GANTRY, "transcode", next((folder / "objects").glob("explicit-le.dcm")), "--to", "explicit-le", "--out", report)
    run("dcmodify", "-nb", "-m", "0008,0016=1.2.840.10008.5.1.4.1.1.88.11", "-m", "0008,0018=1.2.9.2", "-m", "0020,000d=1.2.9.1", "-e", "7fe0,0010", report)
    result = run(GANTRY, "store", f"X@127.0.0.1:{rle.dicom_port}", report, check=False)
    assert result.returncode != 0 and "pixel data" in result.stderr, result.stderr
    run(GANTRY, "store", f"{server.aet}@127.0.0.1:{server.dicom_port}", report)
    result = run(GANTRY, "move", f"{server.aet}@127.0.0.1:{server.dicom_port}", "--to", "RLE", "--key", "StudyInstanceUID=1.2.9.1", check=False)
    assert "1 failed" in result.stdout and "A702" in result.stderr, result.stdout + result.stderr
    assert not [p for p in rle.folder.iterdir() if p.is_file()]


def main():
    gantry.need_tools("storescp", "movescu", "getscu", "dcmdump", "dcmodify")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        folder = Path(folder)
        objects, expected = make(folder)
        study = attributes(objects / "explicit-le.dcm")["0020000D"]["Value"][0]
        listeners = [listener(folder, name) for name in ONLY]
        try:
            known = [o for p in listeners for o in ("--peer", f"{p.name}@127.0.0.1:{p.dicom_port}")]
            with gantry.Server(folder / "data", *known) as server:
                run(GANTRY, "store", f"{server.aet}@127.0.0.1:{server.dicom_port}", objects)
                moved(server, listeners, study, expected, folder)
                got(server, study, expected, folder)
                stored(listeners, objects, expected, folder)
                what_cannot_be_is_told(server, listeners, folder)
        finally:
            for p in listeners:
                p.stop()
    print(f"{len(expected)} objects, each in its own transfer syntax, to {len(ONLY)} peers that take one each")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""DCMTK and GDCM judge the DICOM door: store, query, retrieve, commitment; and our commands judge themselves against DCMTK's servers."""
import json
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
from gantry import GANTRY, data_set_of, run

NAME = "Chen^Wei=陈^伟"
COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"


def uid_of(path, tag):
    text = run("dcmdump", "+P", tag, "-s", path).stdout
    return re.search(r"\[(.*?)\]|=(\S+)", text).group(1).strip("\0 ")


def make(folder, *options):
    run(GANTRY, "synth", "--out", folder, *options)
    return sorted(Path(folder).rglob("*.dcm"))


class Listener:
    """A DCMTK server on a free port with a folder for what it takes."""

    def __init__(self, folder, program, *options):
        self.folder, self.port = Path(folder), gantry.free_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen([program, *[o.format(folder=self.folder, port=self.port) for o in options]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while subprocess.run(["echoscu", "localhost", str(self.port)], capture_output=True).returncode:
            assert time.monotonic() < end, f"{program} does not answer"
            time.sleep(0.05)

    def take(self):
        """The files that came, which are then forgotten."""
        files = [p.read_bytes() for p in sorted(self.folder.iterdir()) if p.is_file()]
        for p in self.folder.iterdir():
            p.unlink()
        return files

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)


def storescp(folder, aet, *options):
    return Listener(folder, "storescp", "-aet", aet, "-od", "{folder}", "--bit-preserving", *options, "{port}")


def dcmtk(program, server, *options, check=True):
    return run(program, "-aec", server.aet, *options, "localhost", str(server.dicom_port), check=check)


def find(server, *keys, model="-S", level="STUDY"):
    """Answers of findscu, each as {tag: value}."""
    options = [o for k in keys for o in ("-k", k)]
    text = subprocess.run(["findscu", "-aec", server.aet, model, "-k", f"QueryRetrieveLevel={level}", *options, "localhost", str(server.dicom_port)],
                          capture_output=True, check=True).stderr.decode("utf-8", "replace")
    answers = []
    for line in text.splitlines():
        if "Find Response" in line:
            answers.append({})
        element = re.match(r"I: \((\w{4},\w{4})\) \w\w (?:\[(.*?) *\]|=(\S+))", line)
        if element and answers:
            answers[-1][element.group(1)] = (element.group(2) or element.group(3) or "").rstrip("\0")
    return [a for a in answers if a]


# ---- as SCP ----

def a_wrong_title_is_refused_with_its_reason(server):
    dcmtk("echoscu", server)
    result = run("echoscu", "-aec", "WRONG", "localhost", str(server.dicom_port), check=False)
    assert result.returncode and "Called AE Title Not Recognized" in result.stderr, result.stderr


def dcmtk_stores(server, files):
    dcmtk_files = [str(f) for f in files]
    half = len(dcmtk_files) // 2
    run("storescu", "-aec", server.aet, "localhost", str(server.dicom_port), *dcmtk_files[:half])
    run("dcmsend", "-aec", server.aet, "localhost", str(server.dicom_port), *dcmtk_files[half:])
    run("dcmsend", "-aec", server.aet, "localhost", str(server.dicom_port), *dcmtk_files)  # once more: known already


def findscu_finds(server, files):
    study, series, instance = (uid_of(files[0], tag) for tag in ("0020,000d", "0020,000e", "0008,0018"))
    for key in ("PatientName=Chen*", "PatientName=chen^w?i", "PatientName=*陈*", f"StudyInstanceUID={study}", f"StudyInstanceUID={study}\\1.2.3", "PatientID=DIMSE*"):
        answers = find(server, "SpecificCharacterSet=ISO_IR 192", "PatientID", "PatientName", "StudyInstanceUID", *([key] if "=" in key else []))
        assert any(a["0020,000d"] == study and a["0010,0010"] == NAME and a["0008,0054"] == server.aet for a in answers), f"{key}: {answers}"
    assert find(server, f"StudyInstanceUID={study}", model="-P")[0]["0020,000d"] == study
    assert find(server, "PatientID=DIMSE1", "PatientName", model="-P", level="PATIENT")[0]["0010,0020"] == "DIMSE1"
    assert find(server, f"StudyInstanceUID={study}", "SeriesInstanceUID", level="SERIES")[0]["0020,000e"] == series
    images = find(server, f"StudyInstanceUID={study}", f"SeriesInstanceUID={series}", "SOPInstanceUID", level="IMAGE")
    assert len(images) == len([f for f in files if uid_of(f, "0020,000e") == series]) and instance in {a["0008,0018"] for a in images}
    assert not find(server, "PatientID=NOBODY", "StudyInstanceUID")
    plain = find(server, f"StudyInstanceUID={study}", "PatientName")[0]
    assert plain["0008,0005"] == "ISO_IR 192", "an answer that does not fit the default repertoire says what it is in"
    assert set(plain) == {"0008,0005", "0008,0052", "0008,0054", "0008,0056", "0010,0010", "0020,000d"}, f"nothing that was not asked for: {plain}"
    gb = find(server, f"StudyInstanceUID={study}", "SpecificCharacterSet=GB18030", "PatientName")[0]
    assert gb["0008,0005"] == "GB18030", gb


def a_query_that_cannot_be_gets_its_status(server):
    for model, level in (("-S", "PATIENT"), ("-S", "NONSENSE"), ("-O", "SERIES")):
        result = run("findscu", "-v", "-aec", server.aet, model, "-k", f"QueryRetrieveLevel={level}", "-k", "PatientID", "localhost", str(server.dicom_port), check=False)
        assert "A900" in result.stderr or "IdentifierDoesNotMatch" in result.stderr or "DataSetDoesNotMatch" in result.stderr, f"{level}: {result.stderr}"


def everything_comes_back_identical(server, files, folder, mover):
    study = uid_of(files[0], "0020,000d")
    expected = sorted(data_set_of(f.read_bytes()) for f in files if uid_of(f, "0020,000d") == study)
    dcmtk("movescu", server, "-aem", "MOVER", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}")
    assert sorted(data_set_of(b) for b in mover.take()) == expected, "C-MOVE"
    out = Path(folder) / "getscu"
    out.mkdir()
    dcmtk("getscu", server, "-S", "--bit-preserving", "-od", out, "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}")
    assert sorted(data_set_of(p.read_bytes()) for p in out.iterdir()) == expected, "C-GET"
    for level, keys in (("IMAGE", [f"StudyInstanceUID={study}", f"SeriesInstanceUID={uid_of(files[0], '0020,000e')}", f"SOPInstanceUID={uid_of(files[0], '0008,0018')}"]),):
        dcmtk("movescu", server, "-aem", "MOVER", "-S", "-k", f"QueryRetrieveLevel={level}", *[o for k in keys for o in ("-k", k)])
        assert [data_set_of(b) for b in mover.take()] == [data_set_of(files[0].read_bytes())], level


def an_unknown_destination_is_told(server, files):
    result = dcmtk("movescu", server, "-v", "-aem", "NOWHERE", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid_of(files[0], '0020,000d')}", check=False)
    assert "MoveDestinationUnknown" in result.stderr, result.stderr


def uncompressed_objects_are_converted_for_a_peer_that_takes_one_syntax_only(server, files, plain):
    import pydicom
    study = uid_of(files[0], "0020,000d")
    dcmtk("movescu", server, "-aem", "PLAIN", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}")
    came = {}
    for b in plain.take():
        (plain.folder / "one").write_bytes(b)
        ds = pydicom.dcmread(plain.folder / "one")
        came[ds.SOPInstanceUID] = ds
        assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2", ds.file_meta.TransferSyntaxUID
    (plain.folder / "one").unlink()
    sent = [pydicom.dcmread(f) for f in files]
    sent = [ds for ds in sent if ds.StudyInstanceUID == study]
    assert len(came) == len(sent)
    for ds in sent:
        assert came[ds.SOPInstanceUID].PixelData == ds.PixelData and came[ds.SOPInstanceUID].PatientName == ds.PatientName
        assert len(came[ds.SOPInstanceUID]) == len(ds)


def compressed_objects_that_cannot_be_decoded_for_a_peer_are_failed_suboperations(server, folder, plain, files):
    compressed = Path(folder) / "jpeg.dcm"
    run("dcmcjpeg", "+e1", "+ua", files[0], compressed)
    damaged = bytearray(compressed.read_bytes())
    at = damaged.index(b"\xff\xd8\xff")
    damaged[at:at + 64] = bytes(64)  # no codestream begins so
    compressed.write_bytes(damaged)
    run("dcmsend", "-aec", server.aet, "localhost", str(server.dicom_port), compressed)
    instance = uid_of(compressed, "0008,0018")
    keys = [f"StudyInstanceUID={uid_of(compressed, '0020,000d')}", f"SeriesInstanceUID={uid_of(compressed, '0020,000e')}", f"SOPInstanceUID={instance}"]
    result = run(GANTRY, "move", f"{server.aet}@127.0.0.1:{server.dicom_port}", "--to", "PLAIN", *[o for k in keys for o in ("--key", k)], check=False)
    served = run(GANTRY, "find", f"{server.aet}@127.0.0.1:{server.dicom_port}", "--level", "image", *[o for k in keys for o in ("--key", k)], "--json").stdout
    assert len(json.loads(served)) == 1
    assert "1 failed" in result.stdout and "frame 1: JPEG" in result.stderr, result.stdout + result.stderr
    assert "A702" in result.stderr, f"not one was sent, which is a failure: {result.stderr}"
    assert not plain.take()
    run("dcmsend", "-aec", server.aet, "localhost", str(server.dicom_port), files[0])
    both = run(GANTRY, "move", f"{server.aet}@127.0.0.1:{server.dicom_port}", "--to", "PLAIN", "--key", keys[0], check=False)
    assert "B000" in both.stderr and "1 failed" in both.stdout, f"some were sent: {both.stdout} {both.stderr}"
    plain.take()


def gdcm_is_served(server, files, folder, mover_port):
    """gdcmscu of Debian 12 aborts at its end against every server: what it did is judged, not its exit code."""
    base = ["gdcmscu", "localhost", str(server.dicom_port), "--call", server.aet]
    subprocess.run([*base, "--store", "-i", str(files[0])], capture_output=True)
    uid = uid_of(files[0], "0008,0018")
    assert find(server, f"StudyInstanceUID={uid_of(files[0], '0020,000d')}", f"SOPInstanceUID={uid}", level="IMAGE"), "what gdcmscu stored is found"
    asked = subprocess.run([*base, "-D", "--find", "--studyroot", "--study", "--key", "20,d,", "--key", f"10,20,{uid_of(files[0], '0010,0020')}"], capture_output=True)
    assert b"C-Find was successful" in asked.stdout + asked.stderr, "gdcmscu's query ends well"
    out = Path(folder) / "gdcm"
    out.mkdir()
    subprocess.run([*base, "--move", "--studyroot", "--study", "--aetitle", "GDCM", "--port-scp", str(mover_port), "-o", str(out), "--key", "8,52,STUDY", "--key",
                    f"20,d,{uid_of(files[0], '0020,000d')}"], capture_output=True, timeout=180)
    assert list(out.rglob("*")), "gdcmscu gets what it asked to be moved"


# ---- storage commitment ----

def action_information(transaction, items):
    import pydicom
    from pydicom.dataset import Dataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset
    ds = Dataset()
    ds.TransactionUID = transaction
    ds.ReferencedSOPSequence = []
    for sop_class, instance in items:
        ref = Dataset()
        ref.ReferencedSOPClassUID, ref.ReferencedSOPInstanceUID = sop_class, instance
        ds.ReferencedSOPSequence.append(ref)
    f = DicomBytesIO()
    f.is_little_endian, f.is_implicit_VR = True, True
    write_dataset(f, ds)
    return f.getvalue()


def read_message(association):
    """(command bytes, data set) of one message."""
    import pydicom
    from io import BytesIO
    command = data = b""
    more = True
    while more:
        kind, body = association.receive()
        assert kind == 4, f"PDU type {kind}"
        while body:
            n, _, flags = struct.unpack(">IBB", body[:6])
            part, body = body[6:4 + n], body[4 + n:]
            if flags & 1:
                command += part
                has_data = struct.pack("<HHI", 0, 0x800, 2) + b"\x01\x01" not in command
                more = not flags & 2 or has_data
            else:
                data += part
                more = not flags & 2
    return command, pydicom.dcmread(BytesIO(data), force=True) if data else None


def field(command, element):
    at = 0
    while at < len(command):
        _, e, n = struct.unpack_from("<HHI", command, at)
        if e == element:
            return struct.unpack_from("<H", command, at + 8)[0]
        at += 8 + n


def ask_for_commitment(association, transaction, items):
    association.send(1, association.command([(0x0003, COMMITMENT), (0x0100, 0x0130), (0x0110, 1), (0x0800, 0), (0x1001, COMMITMENT_INSTANCE), (0x1008, 1)]),
                     action_information(transaction, items))
    command, _ = read_message(association)
    assert field(command, 0x0900) == 0, f"N-ACTION status {field(command, 0x0900):04X}"


def take_report(association, transaction, committed, failed):
    command, ds = read_message(association)
    assert field(command, 0x0100) == 0x0100 and ds.TransactionUID == transaction
    assert field(command, 0x1002) == (2 if failed else 1), "event type"
    assert [i.ReferencedSOPInstanceUID for i in ds.get("ReferencedSOPSequence", [])] == committed
    assert {i.ReferencedSOPInstanceUID: i.FailureReason for i in ds.get("FailedSOPSequence", [])} == failed
    association.send(1, association.command([(0x0002, COMMITMENT), (0x0100, 0x8100), (0x0120, field(command, 0x0110)), (0x0800, 0x0101), (0x0900, 0), (0x1000, COMMITMENT_INSTANCE)]))


def commitment_is_reported_on_the_same_association(server, files):
    good = ("1.2.840.10008.5.1.4.1.1.2", uid_of(files[0], "0008,0018"))
    wrong_class = ("1.2.840.10008.5.1.4.1.1.4", uid_of(files[1], "0008,0018"))
    with gantry.Association(server.dicom_port, server.aet, [COMMITMENT], calling="COMMITTER") as a:
        ask_for_commitment(a, "1.2.3.1", [good])
        take_report(a, "1.2.3.1", [good[1]], {})
        ask_for_commitment(a, "1.2.3.2", [good, ("1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5.6.7"), wrong_class])
        take_report(a, "1.2.3.2", [good[1]], {"1.2.3.4.5.6.7": 0x0112, wrong_class[1]: 0x0119})


class Acceptor(gantry.Association):
    """The other end: takes one association on a listening socket and accepts its first context as it was proposed."""

    def __init__(self, listener):
        self.socket, _ = listener.accept()
        self.socket.settimeout(60)
        kind, body = self.receive()
        assert kind == 1
        self.request = body
        contexts = gantry.item(0x21, struct.pack(">BBBB", 1, 0, 0, 0) + gantry.item(0x40, b"1.2.840.10008.1.2"))
        role = gantry.item(0x54, struct.pack(">H", len(COMMITMENT)) + COMMITMENT.encode() + b"\0\1")
        user = gantry.item(0x50, gantry.item(0x51, struct.pack(">I", 16384)) + gantry.item(0x52, b"1.2.3") + role)
        answer = body[:68] + gantry.item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + user
        self.socket.sendall(struct.pack(">BBI", 2, 0, len(answer)) + answer)

    def finish(self):
        kind, _ = self.receive()
        assert kind == 5, f"PDU type {kind} instead of A-RELEASE-RQ"
        self.socket.sendall(struct.pack(">BBII", 6, 0, 4, 0))
        self.socket.close()


def ask_and_leave(server, calling, transaction, item):
    """Releases at once, as many modalities do: the result must come on a new association."""
    a = gantry.Association(server.dicom_port, server.aet, [COMMITMENT], calling=calling)
    body = action_information(transaction, [item])
    a.send(1, a.command([(0x0003, COMMITMENT), (0x0100, 0x0130), (0x0110, 1), (0x0800, 0), (0x1001, COMMITMENT_INSTANCE), (0x1008, 1)]), body)
    a.socket.sendall(struct.pack(">BBII", 5, 0, 4, 0))
    while a.receive()[0] != 6:
        pass
    a.socket.close()


def commitment_is_reported_on_a_new_association_when_the_first_is_gone(server, files, listener):
    good = ("1.2.840.10008.5.1.4.1.1.2", uid_of(files[0], "0008,0018"))
    ask_and_leave(server, "COMMITTER", "1.2.3.3", good)
    listener.settimeout(60)
    peer = Acceptor(listener)
    assert COMMITMENT.encode() + b"\0\1" in peer.request, "the SCP role is proposed"
    take_report(peer, "1.2.3.3", [good[1]], {})
    peer.finish()


def a_peer_that_does_not_answer_holds_up_no_other_peers_commitment(server, files, listener, silent):
    good = ("1.2.840.10008.5.1.4.1.1.2", uid_of(files[0], "0008,0018"))
    for i in range(8):
        ask_and_leave(server, "SILENT", f"1.2.3.4.{i}", good)
    silent.settimeout(60)
    held, _ = silent.accept()  # its association is being asked for, and never will be answered
    ask_and_leave(server, "COMMITTER", "1.2.3.5", good)
    listener.settimeout(60)  # eight that wait for an answer one after the other take minutes
    peer = Acceptor(listener)
    take_report(peer, "1.2.3.5", [good[1]], {})
    peer.finish()
    silent.close()
    held.close()


def a_commitment_that_is_owed_outlives_the_server(folder, files):
    good = ("1.2.840.10008.5.1.4.1.1.2", uid_of(files[0], "0008,0018"))
    port = gantry.free_port()  # nobody listens there yet
    options = ("--peer", f"COMMITTER@127.0.0.1:{port}")
    server = gantry.Server(folder / "owing", *options)
    server.store([files[0].read_bytes()])
    ask_and_leave(server, "COMMITTER", "1.2.3.6", good)
    server.kill()
    with socket.create_server(("127.0.0.1", port)) as listener, gantry.Server(folder / "owing", *options):
        listener.settimeout(60)
        peer = Acceptor(listener)
        take_report(peer, "1.2.3.6", [good[1]], {})
        peer.finish()


# ---- as SCU ----

DCMQRSCP = """NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
mover = (MOVER, localhost, {mover})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QR {folder} RW (200, 1024mb) ANY
AETable END
"""


def our_commands_against_dcmqrscp(folder, files, mover):
    base = Path(folder) / "qr"
    base.mkdir()
    port = gantry.free_port()
    (base / "cfg").write_text(DCMQRSCP.format(port=port, mover=mover.port, folder=base / "db"))
    (base / "db").mkdir()
    peer = subprocess.Popen(["dcmqrscp", "-c", base / "cfg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        to = f"QR@127.0.0.1:{port}"
        end = time.monotonic() + 60
        while run(GANTRY, "echo", to, check=False).returncode != 0:
            assert time.monotonic() < end, "dcmqrscp does not answer"
            time.sleep(0.05)
        counts = json.loads(run(GANTRY, "store", to, Path(folder) / "a", "--json").stdout)
        assert counts["stored"] == len(files) and counts["failed"] == 0, counts
        study = uid_of(files[0], "0020,000d")
        mine = sorted(data_set_of(f.read_bytes()) for f in files if uid_of(f, "0020,000d") == study)
        found = json.loads(run(GANTRY, "find", to, "--key", f"StudyInstanceUID={study}", "--key", "PatientName", "--json").stdout)
        assert len(found) == 1 and found[0]["00100010"]["Value"][0] == {"Alphabetic": "Chen^Wei", "Ideographic": "陈^伟"}, found
        assert f"{len(mine)} sent" in run(GANTRY, "move", to, "--to", "MOVER", "--key", f"StudyInstanceUID={study}").stdout
        assert len(mover.take()) == len(mine)
        run(GANTRY, "get", to, "--key", f"StudyInstanceUID={study}", "--out", base / "got")
        assert len(list((base / "got").glob("*.dcm"))) == len(mine)
        assert run(GANTRY, "echo", f"QR@127.0.0.1:{gantry.free_port()}", check=False).returncode == 69, "nobody listens"
        assert "move destination unknown" in run(GANTRY, "move", to, "--to", "NOBODY", "--key", f"StudyInstanceUID={study}", check=False).stderr
    finally:
        peer.terminate()
        peer.wait(60)


def our_commands_against_ourselves(server, files, folder):
    to = f"{server.aet}@127.0.0.1:{server.dicom_port}"
    study = uid_of(files[0], "0020,000d")
    for key in ("PatientName=cw", "PatientName=wei chen", "PatientName=chenwei", "PatientName=陈伟"):
        found = json.loads(run(GANTRY, "find", to, "--fuzzy", "--key", key, "--json").stdout)
        assert study in {f["0020000D"]["Value"][0] for f in found}, f"fuzzy {key}"
    for key in ("PatientName=cw", "PatientName=chenwei", "PatientName=Che"):
        assert json.loads(run(GANTRY, "find", to, "--key", key, "--json").stdout) == [], f"{key} is fuzzy, which was not asked for"
    patient = uid_of(files[0], "0010,0020")
    found = json.loads(run(GANTRY, "find", to, "--key", f"PatientID={patient}", "--json").stdout)
    assert study in {f["0020000D"]["Value"][0] for f in found}, "in Study Root a Patient ID asks for studies"
    unheard = run(GANTRY, "find", f"QR@127.0.0.1:{gantry.free_port()}", "--json", check=False)
    assert unheard.returncode == 69 and unheard.stdout == "", "no answer is not an empty answer"
    out = Path(folder) / "own"
    run(GANTRY, "get", to, "--key", f"StudyInstanceUID={study}", "--out", out)
    mine = sorted(data_set_of(f.read_bytes()) for f in files if uid_of(f, "0020,000d") == study)
    assert sorted(data_set_of(p.read_bytes()) for p in out.iterdir()) == mine, "gantry get brings the bytes that were stored"
    wrong = run(GANTRY, "echo", f"WRONG@127.0.0.1:{server.dicom_port}", check=False)
    assert "called AE title not recognised" in wrong.stderr and wrong.returncode == 76, wrong.stderr


def every_transfer_syntax_comes_back_as_it_lay(server, folder):
    """Reference objects in every syntax of the set: stored by dcmsend, fetched by our C-GET, compared byte for byte."""
    if not (gantry.DATA / "dicom").is_dir():
        print("reference data are not there: transfer syntaxes are not tried")
        return
    import pydicom
    seen = {}
    for path in sorted((gantry.DATA / "dicom" / "pydicom__pydicom").rglob("*.dcm")) + sorted((gantry.DATA / "dicom" / "Enet4__dicom-test-files").rglob("*.dcm")):
        try:
            ds = pydicom.dcmread(path, stop_before_pixels=True)
            key = (str(ds.file_meta.TransferSyntaxUID), str(ds.SOPClassUID))
            if ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID and ds.StudyInstanceUID and ds.SeriesInstanceUID:
                seen.setdefault(key[0], (path, ds))
        except Exception:
            continue
    to = f"{server.aet}@127.0.0.1:{server.dicom_port}"
    for ts, (path, ds) in seen.items():
        run(GANTRY, "store", to, path)
        out = Path(folder) / "syntax" / ts
        out.parent.mkdir(exist_ok=True)
        run(GANTRY, "get", to, "--level", "image", "--key", f"StudyInstanceUID={ds.StudyInstanceUID}", "--key", f"SeriesInstanceUID={ds.SeriesInstanceUID}", "--key",
            f"SOPInstanceUID={ds.SOPInstanceUID}", "--out", out)
        got = [p.read_bytes() for p in out.glob("*.dcm")]
        plain = ts in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2")  # comes in explicit VR little endian: C-GET's context is agreed on before
        assert len(got) == 1 and (plain or data_set_of(got[0]) == data_set_of(path.read_bytes())), f"{ts} {path}"
    print(f"{len(seen)} transfer syntaxes come back as they lay")


def main():
    gantry.need_tools("storescu", "dcmsend", "findscu", "movescu", "getscu", "storescp", "dcmqrscp", "dcmcjpeg", "dcmdump")
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as committer, socket.create_server(("127.0.0.1", 0)) as silent:
        base = Path(folder)
        files = make(base / "a", "--kind", "chest-ct", "--slices", "6", "--size", "128", "--patient-id", "DIMSE1", "--name", NAME, "--charset", "GB18030", "--seed", "11")
        others = make(base / "b", "--kind", "cr", "--patient-id", "DIMSE2", "--name", "Smith^John", "--seed", "12")
        gdcm_port = gantry.free_port()
        with storescp(base / "mover", "MOVER", "+xa") as mover, storescp(base / "plain", "PLAIN", "+xi") as plain:
            listed = [("MOVER", mover.port), ("PLAIN", plain.port), ("COMMITTER", committer.getsockname()[1]), ("SILENT", silent.getsockname()[1]), ("GDCM", gdcm_port)]
            with gantry.Server(base / "data", *[o for aet, port in listed for o in ("--peer", f"{aet}@127.0.0.1:{port}")]) as server:
                a_wrong_title_is_refused_with_its_reason(server)
                dcmtk_stores(server, files)
                findscu_finds(server, files)
                a_query_that_cannot_be_gets_its_status(server)
                everything_comes_back_identical(server, files, folder, mover)
                an_unknown_destination_is_told(server, files)
                uncompressed_objects_are_converted_for_a_peer_that_takes_one_syntax_only(server, files, plain)
                compressed_objects_that_cannot_be_decoded_for_a_peer_are_failed_suboperations(server, folder, plain, others)
                commitment_is_reported_on_the_same_association(server, files)
                commitment_is_reported_on_a_new_association_when_the_first_is_gone(server, files, committer)
                a_peer_that_does_not_answer_holds_up_no_other_peers_commitment(server, files, committer, silent)
                our_commands_against_ourselves(server, files, folder)
                every_transfer_syntax_comes_back_as_it_lay(server, folder)
                if gantry.shutil.which("gdcmscu"):
                    gdcm_is_served(server, others, folder, gdcm_port)
            our_commands_against_dcmqrscp(folder, files, mover)
        a_commitment_that_is_owed_outlives_the_server(base, files)
    print("DCMTK and GDCM are served, and our commands work against DCMTK")


main()

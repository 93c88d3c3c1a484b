"""Peers at the DICOM door: who is let in, what each of its requests may do, how many associations it may have; and traces of requests."""
import re
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

VERIFICATION = "1.2.840.10008.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
COMMITMENT = "1.2.840.10008.1.20.1"
NOT_AUTHORIZED, UNKNOWN_DESTINATION = 0x0124, 0xA801
STUDY_LEVEL = struct.pack("<HHI", 8, 0x52, 6) + b"STUDY "

CONFIGURATION = """
dicom: {unknown-peers: [none]}
peers:
  - {aet: CT1, networks: [127.0.0.1], services: [study.store, study.commit], associations-max: 2}
  - {aet: READER, host: localhost, port: 104}
  - {aet: ELSEWHERE, networks: [10.0.0.0/8], host: 127.0.0.1, port: 105}
  - {aet: BY_CERT, certificate: "SHA256:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"}
"""


def find(association):
    context = 2 * association.sop_classes.index(FIND) + 1
    association.send(context, association.command([(0x0002, FIND), (0x0100, 0x0020), (0x0110, 7), (0x0700, 0), (0x0800, 0)]), STUDY_LEVEL)
    return association.status()


def move(association, destination):
    context = 2 * association.sop_classes.index(MOVE) + 1
    association.send(context, association.command([(0x0002, MOVE), (0x0100, 0x0021), (0x0110, 9), (0x0600, destination), (0x0700, 0), (0x0800, 0)]), STUDY_LEVEL)
    return association.status()


def commit(association):
    context = 2 * association.sop_classes.index(COMMITMENT) + 1
    association.send(context, association.command([(0x0003, COMMITMENT), (0x0100, 0x0130), (0x0110, 11), (0x0800, 0), (0x1001, COMMITMENT + ".1"), (0x1008, 1)]),
                     STUDY_LEVEL)
    return association.status()


def refused(server, title, called=None):
    """Result, source and reason of the rejection."""
    try:
        with gantry.Association(server.dicom_port, called or server.aet, [VERIFICATION], calling=title):
            return None
    except ConnectionError as e:
        return bytes.fromhex(str(e).rsplit(" ", 1)[1])[1:4]


def only_who_fits_is_let_in(server):
    calling_not_recognised, called_not_recognised = b"\1\1\3", b"\1\1\7"
    assert refused(server, "READER") is None
    for title in ("STRANGER", "ELSEWHERE", "BY_CERT"):
        assert refused(server, title) == calling_not_recognised, title
    assert refused(server, "READER", called="OTHER") == called_not_recognised
    log = server.stderr()
    for why in ("'STRANGER' at 127.0.0.1 is no known peer", "it calls from outside its networks", "it shows no client certificate, and is known by one"):
        assert why in log, f"{why} is not in the log: {log}"


def each_request_is_decided(server):
    classes = [VERIFICATION, FIND, MOVE, CT, COMMITMENT]
    with gantry.Association(server.dicom_port, server.aet, classes, calling="CT1") as ct:
        assert ct.echo() == 0
        assert find(ct) == NOT_AUTHORIZED
        assert move(ct, "READER") == NOT_AUTHORIZED
        assert ct.store(CT, "1.2.3", b"\0" * 8) != NOT_AUTHORIZED  # what it sends is judged by what it is
        assert commit(ct) != NOT_AUTHORIZED
        assert find(ct) == NOT_AUTHORIZED  # and the association goes on
    with gantry.Association(server.dicom_port, server.aet, classes, calling="READER") as reader:
        assert find(reader) == 0
        assert move(reader, "STRANGER") == UNKNOWN_DESTINATION
        assert move(reader, "CT1") == UNKNOWN_DESTINATION  # known, and listens nowhere


def a_ceiling_of_its_own_holds(server):
    local_limit = b"\2\3\2"
    with gantry.Association(server.dicom_port, server.aet, [VERIFICATION], calling="CT1") as one:
        with gantry.Association(server.dicom_port, server.aet, [VERIFICATION], calling="CT1") as two:
            assert refused(server, "CT1") == local_limit
            assert refused(server, "READER") is None
            assert one.echo() == two.echo() == 0


def strangers_get_in_by_a_line(folder):
    file = folder / "open.yaml"
    file.write_text("dicom: {unknown-peers: [127.0.0.0/8], unknown-role: viewer}\n")
    with gantry.Server(folder / "open", config=file) as server:
        with gantry.Association(server.dicom_port, server.aet, [FIND, CT], calling="ANYBODY") as association:
            assert find(association) == 0
            assert association.store(CT, "1.2.3", b"\0" * 8) == NOT_AUTHORIZED
    file.write_text("dicom: {known-callers-only: yes, unknown-peers: [any]}\n")
    wrong = gantry.run(gantry.GANTRY, "serve", "--config", file, "--data", folder / "open", check=False, timeout=20)
    assert wrong.returncode and "unknown-peers" in wrong.stderr, wrong


def requests_are_traced(server):
    trace = "0af7651916cd43dd8448eb211c80319c"
    _, headers, _ = server.http("GET", "/healthz", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", headers["traceresponse"]), headers
    _, headers, _ = server.http("GET", "/healthz", headers={"traceparent": "00-0-0-1"})
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceresponse"]) and trace not in headers["traceresponse"], headers
    refused(server, "STRANGER")
    assert re.search(r"'STRANGER'.* trace=[0-9a-f]{32}\n", server.stderr()), server.stderr()


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "peers.yaml"
        file.write_text(CONFIGURATION)
        with gantry.Server(folder / "data", config=file) as server:
            for check in (only_who_fits_is_let_in, each_request_is_decided, a_ceiling_of_its_own_holds, requests_are_traced):
                check(server)
                print(check.__name__)
        strangers_get_in_by_a_line(folder)
        print(strangers_get_in_by_a_line.__name__)


main()

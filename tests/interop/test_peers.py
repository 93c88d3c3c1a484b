"""Peers at the DICOM door: who is let in, what each of its requests may do, how many associations it may have; and traces of requests."""
import json
import re
import socket
import struct
import sys
import tempfile
import time
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
    for why in ("'STRANGER' at 127.0.0.1 is no known peer", "it calls from outside its networks", "it shows no client certificate, and is known by one"):
        server.logged(why)


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


def when_there_is_room(server, title):
    """An association that was released may be counted for a moment more."""
    until = time.monotonic() + 60
    while True:
        try:
            return gantry.Association(server.dicom_port, server.aet, [VERIFICATION], calling=title)
        except ConnectionError:
            assert time.monotonic() < until, "there is no room"
            time.sleep(0.05)


def a_ceiling_of_its_own_holds(server):
    local_limit = b"\2\3\2"
    with when_there_is_room(server, "CT1") as one:
        with when_there_is_room(server, "CT1") as two:
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
    wrong = gantry.run(gantry.GANTRY, "serve", "--config", file, "--data", folder / "open", check=False, timeout=120)
    assert wrong.returncode and "unknown-peers" in wrong.stderr, wrong


def requests_are_traced(server):
    trace = "0af7651916cd43dd8448eb211c80319c"
    _, headers, _ = server.http("GET", "/healthz", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", headers["traceresponse"]), headers
    _, headers, _ = server.http("GET", "/healthz", headers={"traceparent": "00-0-0-1"})
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceresponse"]) and trace not in headers["traceresponse"], headers
    refused(server, "STRANGER")
    server.logged(r"'STRANGER'.* trace=[0-9a-f]{32}\n")


def command(folder, *words, expect=0):
    done = gantry.run(gantry.GANTRY, *words[:2], *gantry.archive(folder), *words[2:], check=False, timeout=120)
    assert (done.returncode == 0) == (expect == 0), (words, done.returncode, done.stdout, done.stderr)
    return done.stdout if expect == 0 else done.stderr


def the_archive_keeps_peers(server, folder):
    assert refused(server, "MR1") is not None
    command(folder, "peer", "add", "MR1", "--network", "127.0.0.1", "--service", "study.find", "--host", "127.0.0.1", "--port", "4242")
    with gantry.Association(server.dicom_port, server.aet, [FIND, CT], calling="MR1") as mr:
        assert find(mr) == 0
        assert mr.store(CT, "1.2.3", b"\0" * 8) == NOT_AUTHORIZED
        listed = json.loads(command(folder, "peer", "list", "--json"))
        (one,) = [p for p in listed if p["name"] == "MR1"]
        assert one["networks"] == ["127.0.0.1"] and one["services"] == ["study.find"] and one["port"] == 4242 and not one["configured"], one
        assert [p["name"] for p in listed if p["configured"]] == ["CT1", "READER", "ELSEWHERE", "BY_CERT"], listed
        command(folder, "peer", "set", "MR1", "--state", "off")
        assert refused(server, "MR1") is not None
        assert find(mr) == NOT_AUTHORIZED  # also on the association that is there already
    assert "no authentication" in command(folder, "peer", "add", "NOBODY", expect=1)
    command(folder, "peer", "remove", "MR1")
    assert "MR1" not in command(folder, "peer", "list")


def identified(server, kind, first, second=b"", classes=(FIND, CT)):
    return gantry.Association(server.dicom_port, server.aet, list(classes), calling="USES", identity=(kind, first, second))


def users_of_associations_are_checked(folder):
    username, passcode, kerberos, saml, jwt = 1, 2, 3, 4, 5
    file = folder / "users.yaml"
    file.write_text("dicom: {unknown-peers: [none]}\npeers:\n  - {aet: USES, networks: [127.0.0.1], role: technologist}\n")
    with gantry.Server(folder / "users", config=file, auth=True) as server:
        command(folder / "users", "token", "add", "workstation", "--role", "viewer")
        made = json.loads(command(folder / "users", "token", "add", "reader", "--role", "viewer", "--json"))["token"].encode()
        with identified(server, passcode, b"anybody", made) as association:
            assert b"\x59\0\0\x02\0\0" in association.accepted  # the positive response, of length 0
            assert find(association) == 0
            assert association.store(CT, "1.2.3", b"\0" * 8) == NOT_AUTHORIZED  # the peer might, its user may not
            command(folder / "users", "token", "revoke", "reader")
            assert find(association) == NOT_AUTHORIZED
        second = json.loads(command(folder / "users", "token", "add", "second", "--role", "viewer", "--json"))["token"].encode()
        command(folder / "users", "peer", "add", "MR1", "--network", "127.0.0.1", "--role", "technologist")
        with gantry.Association(server.dicom_port, server.aet, [FIND], calling="MR1", identity=(passcode, b"anybody", second)) as association:
            assert find(association) == 0
            command(folder / "users", "peer", "set", "MR1", "--state", "off")
            assert refused(server, "MR1") is not None
            assert [find(association), find(association)] == [NOT_AUTHORIZED] * 2  # the peer is nobody, whoever uses it, and each time
            command(folder / "users", "peer", "set", "MR1", "--state", "on")
            assert find(association) == 0
        with identified(server, username, b"li.wei") as association:  # proves nothing, and changes nothing
            assert b"\x59\0" not in association.accepted
            assert association.store(CT, "1.2.3", b"\0" * 8) != NOT_AUTHORIZED
        for kind, first, then, why in ((passcode, b"admin", b"admin", "the user name or the passcode is wrong"), (passcode, b"x", made, "is wrong"),
                                         (kerberos, b"ticket", b"", "Kerberos"), (saml, b"<Assertion/>", b"", "SAML"), (jwt, b"e30.e30.", b"", "JWT")):
            try:
                identified(server, kind, first, then)
                raise AssertionError(f"identity {kind} {first} was taken")
            except ConnectionError as e:
                assert bytes.fromhex(str(e).rsplit(" ", 1)[1])[1:4] == b"\1\1\1", e
            server.logged(why)
        assert made.decode() not in server.stderr()


# ---- storage commitment by a user ----

def implicit(*elements):
    """A data set in implicit VR little endian."""
    return b"".join(struct.pack("<HHI", group, element, len(value)) + value for group, element, value in elements)


def uid(text):
    return text.encode() + b"\0" * (len(text) & 1)


UID_OF_OBJECT = struct.pack("<HHI", 8, 0x1155, 6) + b"1.2.3\0"


def ask_for_commitment(association, transaction):
    reference = implicit((8, 0x1150, uid(CT)), (8, 0x1155, uid("1.2.3")))
    action = implicit((8, 0x1195, uid(transaction)), (8, 0x1199, struct.pack("<HHI", 0xFFFE, 0xE000, len(reference)) + reference))
    association.send(1, association.command([(0x0003, COMMITMENT), (0x0100, 0x0130), (0x0110, 1), (0x0800, 0), (0x1001, COMMITMENT + ".1"), (0x1008, 1)]), action)


def told(association):
    """Event type ID of the report that comes, which is answered: 1 when all is kept, 2 when something is not there."""
    at, body = -1, b""
    while at < 0 or UID_OF_OBJECT not in body:
        kind, part = association.receive()
        assert kind == 4, f"PDU type {kind}"
        body = part if at < 0 else body + part
        at = body.find(struct.pack("<HHI", 0, 0x1002, 2))
    message = body.find(struct.pack("<HHI", 0, 0x0110, 2))
    association.send(1, association.command([(0x0002, COMMITMENT), (0x0100, 0x8100), (0x0120, struct.unpack_from("<H", body, message + 8)[0]), (0x0800, 0x0101), (0x0900, 0),
                                             (0x1000, COMMITMENT + ".1")]))
    return struct.unpack_from("<H", body, at + 8)[0]


def told_later(association, listener):
    """The same of one that is released before the result can come, on the association that brings it."""
    association.socket.sendall(struct.pack(">BBII", 5, 0, 4, 0))
    while association.receive()[0] != 6:
        pass
    other = gantry.Association.__new__(gantry.Association)
    other.socket, _ = listener.accept()
    other.socket.settimeout(60)
    _, body = other.receive()
    role = gantry.item(0x54, struct.pack(">H", len(COMMITMENT)) + COMMITMENT.encode() + b"\0\1")
    answer = body[:68] + gantry.item(0x10, b"1.2.840.10008.3.1.1.1") + gantry.item(0x21, struct.pack(">BBBB", 1, 0, 0, 0) + gantry.item(0x40, b"1.2.840.10008.1.2"))
    answer += gantry.item(0x50, gantry.item(0x51, struct.pack(">I", 16384)) + gantry.item(0x52, b"1.2.3") + role)
    other.socket.sendall(struct.pack(">BBI", 2, 0, len(answer)) + answer)
    event = told(other)
    while other.receive()[0] != 5:
        pass
    other.socket.sendall(struct.pack(">BBII", 6, 0, 4, 0))
    other.socket.close()
    return event


def commitment_tells_a_user_of_what_the_user_reaches(folder):
    file = folder / "commits.yaml"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        port = listener.getsockname()[1]
        file.write_text(f"dicom: {{unknown-peers: [none]}}\npeers:\n  - {{aet: USES, networks: [127.0.0.1], role: technologist, host: 127.0.0.1, port: {port}}}\n")
        with gantry.Server(folder / "commits", config=file, auth=True) as server:
            made = {scope: json.loads(command(folder / "commits", "token", "add", name, "--role", "technologist", "--scope", scope, "--json"))["token"].encode()
                    for name, scope in (("here", "tenant:"), ("elsewhere", "tenant:other"))}
            with gantry.Association(server.dicom_port, server.aet, [CT], calling="USES") as peer:
                assert peer.store(CT, "1.2.3", implicit((8, 0x16, uid(CT)), (8, 0x18, uid("1.2.3")), (0x10, 0x20, b"P1"), (0x20, 0xD, uid("1.2")), (0x20, 0xE, uid("1.2.1")))) == 0
            for scope, event in (("tenant:", 1), ("tenant:other", 2)):
                with identified(server, 2, b"anybody", made[scope], [COMMITMENT]) as association:
                    ask_for_commitment(association, "1.2.9")
                    assert told(association) == event, scope
                association = identified(server, 2, b"anybody", made[scope], [COMMITMENT])
                ask_for_commitment(association, "1.2.10")
                assert told_later(association, listener) == event, scope
                association.socket.close()


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "peers.yaml"
        file.write_text(CONFIGURATION)
        with gantry.Server(folder / "data", config=file) as server:
            for check in (only_who_fits_is_let_in, each_request_is_decided, a_ceiling_of_its_own_holds, requests_are_traced):
                check(server)
                print(check.__name__)
            the_archive_keeps_peers(server, folder / "data")
            print(the_archive_keeps_peers.__name__)
        users_of_associations_are_checked(folder)
        print(users_of_associations_are_checked.__name__)
        commitment_tells_a_user_of_what_the_user_reaches(folder)
        print(commitment_tells_a_user_of_what_the_user_reaches.__name__)
        strangers_get_in_by_a_line(folder)
        print(strangers_get_in_by_a_line.__name__)


main()

#!/usr/bin/env python3
"""Orthanc as a peer: it stores to us, asks us, moves from us and asks for storage commitment; we store to, query, move and get from it."""
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
import peers


def ours_in(server):
    """SOP Instance UID -> (study, series) of everything that our archive serves."""
    return {i["00080018"]["Value"][0]: (i["0020000D"]["Value"][0], i["0020000E"]["Value"][0]) for i in server.get_json("/dicom-web/instances?limit=1000")}


def data_set_in(server, uid, place):
    status, _, body = server.http("GET", f"/dicom-web/studies/{place[0]}/series/{place[1]}/instances/{uid}", headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert status == 200, f"WADO-RS of {uid}: {status}"
    return gantry.data_set_of(body)


def wait_job(orthanc, job):
    for _ in range(1200):
        state = orthanc.rest(f"/jobs/{job['ID']}")
        if state["State"] in ("Success", "Failure"):
            assert state["State"] == "Success", f"Orthanc's job failed: {state}"
            return state
        time.sleep(0.1)
    raise AssertionError("Orthanc's job does not end")


def post(orthanc, path, body):
    status, answer = orthanc.http("POST", path, body if isinstance(body, bytes) else json.dumps(body))
    assert status == 200, f"Orthanc POST {path}: {status} {answer[:300]}"
    return json.loads(answer)


def orthanc_stores_to_us(server, orthanc, files):
    sent = {}
    for path in files:
        answer = post(orthanc, "/instances", path.read_bytes())
        sent[answer["ID"]] = path.read_bytes()
    post(orthanc, "/modalities/gantry/store", list(sent))
    served = ours_in(server)
    for instance, original in sent.items():
        uid = orthanc.rest(f"/instances/{instance}/simplified-tags")["SOPInstanceUID"]
        assert uid in served, f"{uid} sent by Orthanc is not found"
        assert data_set_in(server, uid, served[uid]) == gantry.data_set_of(original), f"{uid} is not what Orthanc had"
    return served


def orthanc_asks_us(orthanc, patient_id):
    query = post(orthanc, "/modalities/gantry/query", {"Level": "Study", "Query": {"PatientID": patient_id, "StudyInstanceUID": "", "PatientName": ""}})
    answers = orthanc.rest(f"/queries/{query['ID']}/answers")
    assert len(answers) == 2, f"Orthanc finds {len(answers)} studies instead of 2"
    name = orthanc.rest(f"/queries/{query['ID']}/answers/0/content?simplify")["PatientName"]
    assert "王" in name, f"Orthanc reads the name as {name}"
    return query["ID"]


def orthanc_moves_from_us(server, orthanc, query):
    before = len(orthanc.rest("/instances"))
    for patient in orthanc.rest("/patients"):
        orthanc.http("DELETE", f"/patients/{patient}")
    post(orthanc, f"/queries/{query}/retrieve", {"TargetAet": orthanc.aet, "Synchronous": True})
    assert len(orthanc.rest("/instances")) == before, "C-MOVE to Orthanc brings back everything"


def orthanc_asks_for_commitment(orthanc):
    instances = orthanc.rest("/instances")
    answer = post(orthanc, "/modalities/gantry/storage-commitment", {"Resources": instances})
    for _ in range(1200):
        report = orthanc.rest(f"/storage-commitment/{answer['ID']}")
        if report["Status"] != "Pending":
            assert report["Status"] == "Success", f"storage commitment: {report}"
            assert len(report["Success"]) == len(instances)
            return
        time.sleep(0.1)
    raise AssertionError("storage commitment never came")


def our_commands(orthanc, folder, files):
    target = f"{orthanc.aet}@127.0.0.1:{orthanc.dicom_port}"
    gantry.run(gantry.GANTRY, "echo", target)
    gantry.run(gantry.GANTRY, "store", target, *files)
    found = json.loads(gantry.run(gantry.GANTRY, "find", target, "--level", "STUDY", "--key", "PatientID=PEER2", "--key", "PatientName", "--json").stdout)
    assert len(found) == 2, f"gantry find: {found}"
    study = found[0]["0020000D"]["Value"][0]
    out = folder / "got"
    gantry.run(gantry.GANTRY, "get", target, "--level", "STUDY", "--key", f"StudyInstanceUID={study}", "--out", out)
    assert len(list(out.rglob("*.dcm"))) == len(files) // 2, "gantry get brings every object of the study"
    return study


def main():
    gantry.need_tools("Orthanc")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for patient, charset, out in (("PEER1", "GB18030", "a"), ("PEER2", "ISO_IR 192", "b")):
            gantry.run(gantry.GANTRY, "synth", "--out", folder / out, "--kind", "chest-ct", "--slices", "4", "--size", "64", "--patient-id", patient,
                       "--name", "Wang^XiaoDong=王^小东", "--charset", charset, "--seed", str(len(out) + ord(out)))
        first, second = (sorted((folder / out).rglob("*.dcm")) for out in "ab")
        peer_port = gantry.free_port()
        with peers.Orthanc(folder / "orthanc", modalities={"gantry": ["GANTRY", "127.0.0.1", peer_port]}) as orthanc:
            peer = f"{orthanc.aet}@127.0.0.1:{orthanc.dicom_port}"
            with gantry.Server(folder / "data", "--dicom-port", str(peer_port), "--peer", peer) as server:
                status, _ = orthanc.http("POST", "/modalities/gantry/echo", "{}")
                assert status == 200, f"Orthanc's C-ECHO: {status}"
                orthanc_stores_to_us(server, orthanc, first)
                query = orthanc_asks_us(orthanc, "PEER1")
                orthanc_moves_from_us(server, orthanc, query)
                orthanc_asks_for_commitment(orthanc)
                study = our_commands(orthanc, folder, second)
                gantry.run(gantry.GANTRY, "move", peer, "--level", "STUDY", "--key", f"StudyInstanceUID={study}", "--to", "GANTRY")
                served = ours_in(server)
                assert len(served) == len(first) + len(second) // 2, f"C-MOVE from Orthanc to us: {len(served)} objects"
    print("Orthanc stores, queries, moves and commits; gantry echoes, stores, finds, gets and moves")


main()

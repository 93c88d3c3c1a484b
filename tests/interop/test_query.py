#!/usr/bin/env python3
"""Names of every character set are found by what people type, over QIDO-RS and findscu; attributes become searchable later and stay so."""
import json
import sys
import tempfile
import unicodedata
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import pydicom
except ImportError:
    gantry.skip("pydicom is not installed")

gantry.need_tools("findscu")
FOLDERS = [gantry.need_data("dicom", f"charset_{kind}_synthetic") for kind in ("chinese", "other")]
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
failures = []


def check(what, condition, seen=""):
    if not condition:
        failures.append(f"{what}: {seen}")


def search(server, **keys):
    """PatientID -> name groups of the studies found."""
    query = "&".join(f"{key}={quote(value)}" for key, value in keys.items())
    status, _, body = server.http("GET", f"/dicom-web/studies?{query}", headers={"Accept": "application/dicom+json"})
    assert status in (200, 204), f"{query}: {status} {body[:300]}"
    found = {}
    for study in json.loads(body or b"[]"):
        name = study["00100010"].get("Value", [{}])[0]
        found[study["00100020"]["Value"][0]] = "=".join(name.get(group, "") for group in GROUPS).rstrip("=")
    return found


def without_accents(text):
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def names_are_found(server, folder):
    for case in json.loads((folder / "expected.json").read_text(encoding="utf-8")):
        name, patient = case["patient_name_utf8"], str(pydicom.dcmread(folder / case["file"], stop_before_pixels=True).PatientID)
        groups = [group for group in name.split("=") if group]
        typed = {name, name.upper(), groups[0], groups[0].lower(), groups[-1], "=" * (len(name.split("=")) - 1) + name.split("=")[-1]}
        typed |= {group.split("^")[0] + "*" for group in groups}
        if all(ord(c) < 0x250 or unicodedata.combining(c) for c in groups[0]):
            typed.add(without_accents(groups[0]))
        for text in typed:
            found = search(server, PatientName=text)
            check(f"{case['file']} is found by {text}", patient in found, found)
            if patient in found:
                check(f"{case['file']} answers its name", found[patient] == name, found[patient])
        words = " ".join(reversed(groups[0].replace("^", " ").split()))
        check(f"{case['file']} is found by {words} in any order", patient in search(server, PatientName=words, fuzzymatching="true"))


def characters_are_found_by_pinyin(server):
    folder = FOLDERS[0]
    only_characters = {str(pydicom.dcmread(folder / "no_alphabetic_group.dcm").PatientID)}
    found = search(server, PatientName="Wang*")
    check("a name in characters only is found by its pinyin", only_characters <= set(found), found)


def find_with_dcmtk(server, charset, name):
    command = ["findscu", "-S", "-aec", server.aet, "127.0.0.1", str(server.dicom_port)]
    query = pydicom.Dataset()
    query.SpecificCharacterSet = charset
    query.QueryRetrieveLevel = "STUDY"
    query.PatientID = ""
    query.StudyInstanceUID = ""
    query.PatientName = name
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "query.dcm"
        query.file_meta = pydicom.dataset.FileMetaDataset()
        query.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        query.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.2.2.1"
        query.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        query.is_little_endian, query.is_implicit_VR = True, False
        pydicom.dcmwrite(path, query, write_like_original=False)
        gantry.run(*command, "-X", "-od", folder, str(path))
        return [pydicom.dcmread(p, force=True) for p in sorted(Path(folder).glob("rsp*.dcm"))]


def askers_are_answered_in_their_set(server):
    cases = json.loads((FOLDERS[0] / "expected.json").read_text(encoding="utf-8"))
    expected = {str(pydicom.dcmread(FOLDERS[0] / c["file"], stop_before_pixels=True).PatientID) for c in cases if "=王" in c["patient_name_utf8"]}
    for charset in ("GB18030", "ISO_IR 192", "GBK"):
        answers = find_with_dcmtk(server, charset, "=王*")
        found = {str(answer.PatientID) for answer in answers}
        check(f"an asker in {charset} finds 王*", expected and expected <= found, expected - found)
        for answer in answers:
            check(f"an asker in {charset} reads the name", "王" in str(answer.PatientName), answer.get("SpecificCharacterSet"))


def attributes_become_searchable(folder):
    def index_attribute(*arguments):
        return gantry.run(gantry.GANTRY, "index-attribute", *gantry.archive(folder), *arguments).stdout

    with gantry.Server(folder) as server:
        before = search(server, **{"00180015": "CHEST"})
        check("an attribute is searched before it is declared", before, before)
    index_attribute("BodyPartExamined", "00081090")
    check("declared attributes are listed", "BodyPartExamined (0018,0015)" in index_attribute("--list"), index_attribute("--list"))
    gantry.run(gantry.GANTRY, "reindex", *gantry.archive(folder))
    check("declared attributes outlive a new index", "ManufacturerModelName" in index_attribute("--list"), index_attribute("--list"))
    with gantry.Server(folder) as server:
        check("a declared attribute finds the same", search(server, **{"00180015": "CHEST"}) == before, before)
        check("and its beginning too", search(server, **{"00180015": "CHE*"}) == before, before)
    index_attribute("--remove", "BodyPartExamined")
    check("an attribute can be taken out", "BodyPartExamined" not in index_attribute("--list"))
    with gantry.Server(folder) as server:
        check("and is searched as before", search(server, **{"00180015": "CHEST"}) == before, before)


with tempfile.TemporaryDirectory() as scratch:
    archive = Path(scratch) / "archive"
    for source in FOLDERS:
        gantry.run(gantry.GANTRY, "import", *gantry.archive(archive), source, check=False)
    with gantry.Server(archive) as running:
        for source in FOLDERS:
            names_are_found(running, source)
        characters_are_found_by_pinyin(running)
        askers_are_answered_in_their_set(running)
    gantry.run(gantry.GANTRY, "synth", "--demo", "--size", "64", "--slices", "2", "--out", Path(scratch) / "demo")
    gantry.run(gantry.GANTRY, "import", *gantry.archive(archive), Path(scratch) / "demo", check=False)
    attributes_become_searchable(archive)
for failure in failures:
    print(failure)
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)

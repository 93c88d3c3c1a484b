"""Import, export, fsck and reindex from the command line: real objects in, the same bytes out, whatever happens to the index or the volumes."""
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry  # noqa: E402
from gantry import DATA, GANTRY, Server, archive, on_cluster  # noqa: E402

import cluster  # noqa: E402


def run(*arguments, expect=0):
    done = subprocess.run([GANTRY, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == expect, f"gantry {' '.join(map(str, arguments))} exited {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def counts(*arguments, expect=0):
    return json.loads(run("import", "--json", *arguments, expect=expect))


def digests(folder):
    return sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in Path(folder).rglob("*.dcm"))


def make_archives(objects, top):
    files = sorted(objects.rglob("*.dcm"))
    third = len(files) // 3
    with zipfile.ZipFile(top / "a.zip", "w", zipfile.ZIP_DEFLATED) as z:
        for f in files[:third]:
            z.write(f, f"../../{f.parent.name}/{f.name}")  # a name that would climb out, were it ever written
        z.writestr("readme.txt", "not DICOM")
    with tarfile.open(top / "b.tar", "w") as t:
        for f in files[third : 2 * third]:
            t.add(f)
    with tarfile.open(top / "c.tar.gz", "w:gz") as t:
        for f in files[2 * third :]:
            t.add(f)
    return len(files)


def archives_give_the_same_as_folders(top, objects):
    n = make_archives(objects, top)
    got = counts(*archive(top / "packed"), top / "a.zip", top / "b.tar", top / "c.tar.gz")
    assert got["stored"] == n and got["not_dicom"] == 1 and got["failed"] == 0, got
    run("export", *archive(top / "packed"), top / "unpacked")
    assert digests(top / "unpacked") == digests(objects)
    assert not list(top.parent.glob("*.dcm")) and not (top.parent.parent / objects.name).exists()


def a_broken_archive_is_a_failure(top, objects):
    whole = top / "whole.tar.gz"
    with tarfile.open(whole, "w:gz") as t:
        for f in objects.rglob("*.dcm"):
            t.add(f, f.name)
    cut = top / "cut.tar.gz"
    for size in (whole.stat().st_size - 100, 3000):
        cut.write_bytes(whole.read_bytes()[:size])
        got = counts(*archive(top / "cut"), cut, expect=74)
        assert got["failed"] == 1 and got["not_dicom"] == 0, f"{size} bytes of a tar.gz: {got}"
    other = top / "note.gz"
    other.write_bytes(gzip.compress(b"no archive at all"))
    got = counts(*archive(top / "cut"), other)
    assert got["failed"] == 0 and got["not_dicom"] == 1, got


def directory_record(*name):
    record = Dataset()
    record.OffsetOfTheNextDirectoryRecord, record.RecordInUseFlag, record.OffsetOfReferencedLowerLevelDirectoryEntity = 0, 0xFFFF, 0
    record.DirectoryRecordType = "IMAGE"
    record.ReferencedFileID = list(name)
    return record


def write_dicomdir(path, names):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.1.3.10", generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = Dataset()
    ds.file_meta, ds.is_little_endian, ds.is_implicit_VR = meta, True, False
    ds.preamble = bytes(128)
    ds.FileSetID = "MEDIUM"
    ds.DirectoryRecordSequence = [directory_record(*n) for n in names]
    pydicom.dcmwrite(path, ds, write_like_original=False)


def a_medium_is_taken_by_its_directory(top, objects):
    """The files that a DICOMDIR lists, in capitals as the standard has them, on a mount that shows small letters; nothing outside its folder."""
    medium = top / "medium"
    (medium / "img").mkdir(parents=True)
    files = sorted(objects.rglob("*.dcm"))[:5]
    for i, f in enumerate(files):
        (medium / "img" / f"i{i}").write_bytes(f.read_bytes())
    (medium / "unlisted").write_bytes(sorted(objects.rglob("*.dcm"))[6].read_bytes())
    (top / "OUTSIDE").write_bytes(sorted(objects.rglob("*.dcm"))[7].read_bytes())
    write_dicomdir(medium / "DICOMDIR", [("IMG", f"I{i}") for i in range(5)])
    got = counts(*archive(top / "media"), medium / "DICOMDIR")
    assert got["stored"] == 5 and got["failed"] == got["not_dicom"] == 0, got
    write_dicomdir(medium / "DICOMDIR", [("IMG", "I0"), ("IMG", "GONE"), ("..", "OUTSIDE"), (str(top / "OUTSIDE"),), ("IMG", "../../OUTSIDE")])
    got = counts(*archive(top / "media"), medium / "DICOMDIR", expect=74)
    assert got["known"] == 1 and got["failed"] == 4 and got["stored"] == 0, got
    assert "not there" in json.dumps(got["items"])


def a_second_run_adds_nothing(top, objects):
    first = counts(*archive(top / "a"), objects)
    again = counts(*archive(top / "a"), objects)
    assert first["stored"] > 0 and first["failed"] == first["quarantined"] == 0, first
    assert again["stored"] == 0 and again["known"] == first["stored"], again
    assert "all is well" in run("fsck", *archive(top / "a"))


def a_lost_index_is_rebuilt(top, objects):
    run("reindex", *archive(top / "a"))
    assert "all is well" in run("fsck", *archive(top / "a"))
    if on_cluster():
        run("export", *archive(top / "a"), top / "out")
        assert digests(top / "out") == digests(objects)
        return
    for name in os.listdir(top / "a"):
        if name.startswith("index.db"):
            os.unlink(top / "a" / name)
    run("export", *archive(top / "a"), top / "out")
    assert digests(top / "out") == digests(objects)


def a_flipped_bit_is_told_and_not_exported(top, objects):
    uid = flip_a_bit_of_the_bucket(top / "a") if on_cluster() else flip_a_bit_of_a_volume(top / "a")
    told = run("fsck", *archive(top / "a"), expect=1)
    assert f"damaged {uid} " in told and told.count("damaged 1.") + told.count("damaged 2.") == 1, told
    run("export", *archive(top / "a"), "--instance", uid, top / "bad", expect=1)
    assert not digests(top / "bad")
    run("fsck", *archive(top / "a"), "--repair", expect=1)
    healed = counts(*archive(top / "a"), objects)
    assert healed["stored"] == 1, healed
    run("export", *archive(top / "a"), top / "healed")
    assert digests(top / "healed") == digests(objects)


def flip_a_bit_of_a_volume(folder):
    volume = next((folder / "volumes").glob("*.tar"))
    with tarfile.open(volume) as t:
        entry = [m for m in t if m.name.endswith(".dcm")][3]
    os.chmod(volume, 0o640)
    with open(volume, "r+b") as f:
        f.seek(entry.offset_data + entry.size // 2)
        byte = f.read(1)[0]
        f.seek(entry.offset_data + entry.size // 2)
        f.write(bytes([byte ^ 0x10]))
    return Path(entry.name).stem


def flip_a_bit_of_the_bucket(folder):
    """In the middle of the last object of a volume; what the nodes have of it in their caches goes, as with a new node."""
    home = cluster.home_of(folder)
    key = home.bucket.keys_of(home.prefix + "volumes/")[0]
    data = bytearray(home.bucket.get(key))
    with tarfile.open(fileobj=io.BytesIO(data)) as t:
        entry = [m for m in t if m.name.endswith(".dcm")][-1]
    data[entry.offset_data + entry.size // 2] ^= 0x10
    home.bucket.put(key, bytes(data))
    shutil.rmtree(folder / "cache", ignore_errors=True)
    return Path(entry.name).stem


def a_running_server_takes_the_same(top, objects):
    with Server(top / "served") as server:
        host = f"127.0.0.1:{server.http_port}"
        got = counts("--to", f"http://{host}", objects)
        assert got["failed"] == 0 and got["stored"] == len(digests(objects)), got
        again = counts("--to", f"http://{host}", objects)
        assert again["known"] == len(digests(objects)) and again["stored"] == again["failed"] == 0, f"a second run adds nothing, and says so: {again}"
        other = top / "other.dcm"
        other.write_bytes(next(objects.rglob("*.dcm")).read_bytes()[:-2] + b"\1\1")
        (top / "nonsense.dcm").write_bytes(bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0\0\0\0\0" + b"?" * 100)
        got = counts("--to", f"http://{host}", other, top / "nonsense.dcm")
        assert got["conflicting"] == 1 and got["quarantined"] == 1, got
        again = counts("--to", f"GANTRY@127.0.0.1:{server.dicom_port}", objects)
        assert again["failed"] == 0 and again["stored"] == len(digests(objects)), again
        run("fsck", *archive(top / "served"), expect=0 if on_cluster() else 75)  # in use: said, not shared; but by nodes it is shared
    run("export", *archive(top / "served"), top / "from-server")
    assert digests(top / "from-server") == digests(objects)


# Of the entries alone: how far the volume that grows is reserved ahead depends on how the objects came together.
def bytes_kept(folder):
    if on_cluster():
        return int(cluster.home_of(folder).sql("SELECT sum(size) FROM {s}.volumes WHERE removed_ms IS NULL"))
    kept = 0
    for path in (folder / "volumes").glob("*.tar"):
        with tarfile.open(path) as volume:
            kept += sum(member.size for member in volume)
    return kept


def deleted_space_comes_back(top):
    objects = top / "larger"
    run("synth", "--out", objects, "--kind", "chest-ct", "--kind", "cr", "--size", "256", "--slices", "12")
    (top / "small.yaml").write_text("volume-mib: 1\n")
    with Server(top / "lean", config=top / "small.yaml") as server:
        assert counts("--to", f"GANTRY@127.0.0.1:{server.dicom_port}", objects)["failed"] == 0
        study = next(s for s in server.get_json("/dicom-web/studies") if s["00080061"]["Value"] == ["CT"])["0020000D"]["Value"][0]
        status, _, answer = server.http("DELETE", f"/dicom-web/studies/{study}?reason=sent%20twice")
        assert status in (200, 204), f"{status} {answer[:300]}"
    before = bytes_kept(top / "lean")
    freed = int(run("compact", *archive(top / "lean")).split()[0])
    # What the index keeps of a cluster is not compacted: nodes merge it, without what was deleted.
    assert on_cluster() or freed > 0 and bytes_kept(top / "lean") < before, f"{freed} freed of {before}, {bytes_kept(top / 'lean')} are left"

    def living(path):
        return pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID != study

    expected = sorted(hashlib.sha256(gantry.data_set_of(p.read_bytes())).hexdigest() for p in objects.rglob("*.dcm") if living(p))
    for out in ("lean-out", "lean-again"):  # and again from an index that the volumes alone gave
        run("export", *archive(top / "lean"), top / out)
        got = sorted(hashlib.sha256(gantry.data_set_of(p.read_bytes())).hexdigest() for p in (top / out).rglob("*.dcm"))
        assert got == expected, "what lives is there, what was deleted is not"
        assert "all is well" in run("fsck", *archive(top / "lean"))
        run("reindex", *archive(top / "lean"))


def a_study_under_legal_hold_stays(top, objects):
    held = top / "held"
    counts(*archive(held), objects)
    with Server(held) as server:
        studies = [s["0020000D"]["Value"][0] for s in server.get_json("/dicom-web/studies")]
        one = studies[0]
        as_json = {"Content-Type": "application/json"}
        status, _, answer = server.http("POST", "/api/holds", json.dumps({"study": one, "reason": "诉讼 7"}).encode(), as_json)
        assert status == 204, f"{status} {answer[:300]}"
        status, _, answer = server.http("DELETE", f"/dicom-web/studies/{one}?reason=x")
        assert status == 403 and "诉讼 7" in answer.decode(), f"{status} {answer[:300]}"
        (entry,) = server.get_json("/api/holds")
        assert entry["study"] == one and entry["reason"] == "诉讼 7" and entry["since_ms"] > 1.6e12, entry
    if not on_cluster():
        run("reindex", *archive(held))
    assert run("hold", *archive(held), "list").split("\t")[0] == one
    run("hold", *archive(held), "--study", one, "--reason", "again", "on", expect=65)
    assert "released" in run("hold", *archive(held), "--study", one, "--reason", "settled", "off")
    assert "under legal hold" in run("hold", *archive(held), "--study", one, "--reason", "appeal", "on")
    with Server(held) as server:
        status, _, answer = server.http("DELETE", f"/api/holds/{one}?reason=settled")
        assert status == 204, f"{status} {answer[:300]}"
        assert server.get_json("/api/holds") == []
        status, _, answer = server.http("DELETE", f"/dicom-web/studies/{one}?reason=x")
        assert status == 204, f"{status} {answer[:300]}"


def bombs_and_traversal_do_no_harm(top):
    folder = DATA / "dicom" / "hostile" / "http"
    if not folder.exists():
        print("part skipped: the hostile archives are not there")
        return
    before = set(p for p in top.iterdir())
    got = counts(*archive(top / "bombs"), *sorted(folder.glob("zip_*.zip")), *sorted(folder.glob("*.gz")))
    assert got["stored"] == 0, got
    assert set(top.iterdir()) - before == {top / "bombs"}


def everything_readable_comes_back(top):
    folder = DATA / "dicom"
    if not folder.exists():
        print("part skipped: the reference data are not there")
        return
    first = counts(*archive(top / "all"), folder)
    again = counts(*archive(top / "all"), folder)
    assert first["failed"] == 0 and first["stored"] > 900, {k: v for k, v in first.items() if k != "items"}
    assert again["stored"] == 0 and again["quarantined"] == first["quarantined"], {k: v for k, v in again.items() if k != "items"}
    run("export", *archive(top / "all"), top / "all-out")
    sources = {hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}
    out = digests(top / "all-out")
    assert len(out) >= first["stored"]
    assert all(d in sources for d in out), "an exported object is not a file that was imported"
    assert "all is well" in run("fsck", *archive(top / "all"))


def main():
    with tempfile.TemporaryDirectory(prefix="gantry-keeping-") as name:
        top = Path(name)
        objects = top / "objects"
        run("synth", "--out", objects, "--kind", "chest-ct", "--kind", "cr", "--size", "64", "--slices", "12")
        if on_cluster():  # bits are flipped where the service has them
            cluster.home_of(top / "a", store={"small-volumes": "bucket"})
        a_second_run_adds_nothing(top, objects)
        a_lost_index_is_rebuilt(top, objects)
        a_flipped_bit_is_told_and_not_exported(top, objects)
        deleted_space_comes_back(top)
        archives_give_the_same_as_folders(top, objects)
        a_running_server_takes_the_same(top, objects)
        a_study_under_legal_hold_stays(top, objects)
        a_broken_archive_is_a_failure(top, objects)
        a_medium_is_taken_by_its_directory(top, objects)
        bombs_and_traversal_do_no_harm(top)
        everything_readable_comes_back(top)
    print("ok")


main()

#!/usr/bin/env python3
"""An archive that is encrypted at rest, as its owner has it: switched on, used, checked, rebuilt, its keys changed, its volumes in the open again, erased."""
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry


def run(config, *words, code=0):
    done = gantry.run(gantry.GANTRY, *words[:1], *words[1:], "--config", str(config), check=False)
    assert done.returncode == code, f"gantry {' '.join(map(str, words))}: {done.returncode} instead of {code}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def write_config(path, data, master, older=(), more=""):
    path.write_text(f"data: {data}\nencryption:\n  master-key: {master}\n" + (f"  older-keys: [{', '.join(map(str, older))}]\n" if older else "") + more)


def objects_of(server):
    """Every object as it is served: UID -> bytes."""
    out = {}
    for i in server.get_json("/dicom-web/instances?limit=1000"):
        study, series, uid = (i[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
        path = f"/dicom-web/studies/{study}/series/{series}/instances/{uid}"
        status, _, body = server.http("GET", path, headers={"Accept": "application/dicom; transfer-syntax=*"})
        assert status == 200, f"{path}: {status}"
        out[uid] = body
        status, _, part = server.http("GET", path, headers={"Accept": "application/dicom; transfer-syntax=*", "Range": "bytes=100-70000"})
        assert status == 206 and part == body[100:70001], f"a range of {uid}"
    return out


def readable(data):
    """Words of the objects that lie in the files of the volumes and of the staging folder."""
    words = [b"PHANTOM", b"DICM", b"1.2.840.10008", b"Gantry"]
    return [(f.name, w) for folder in ("volumes", "staging") for f in (data / folder).glob("*") for w in words if w in f.read_bytes()]


def tar_names(folder):
    return sorted(m.name for f in Path(folder).glob("*.tar") for m in tarfile.open(f))


def switch_on(folder, data, config, key):
    """What lies in the open becomes encrypted by one command."""
    plain = folder / "plain.yaml"
    plain.write_text(f"data: {data}\n")
    with gantry.Server(data, named=["--config", str(plain)]) as server:
        gantry.run(gantry.GANTRY, "store", f"{server.aet}@127.0.0.1:{server.dicom_port}", str(folder / "phantoms"))
        before = objects_of(server)
    assert readable(data), "the test looks for words that are nowhere"
    run(plain, "fsck")
    write_config(config, data, key)
    assert "1 volumes were written anew" in run(config, "key", "renew")
    assert not readable(data), f"after renewal there is still {readable(data)[:3]}"
    assert all(name.startswith("sealed/") for name in tar_names(data / "volumes"))
    return before


def use(folder, data, config, before):
    """Storing, serving, rebuilding, compacting."""
    with gantry.Server(data, named=["--config", str(config)]) as server:
        assert objects_of(server) == before, "what was encrypted comes back with other bytes"
        gantry.run(gantry.GANTRY, "store", f"{server.aet}@127.0.0.1:{server.dicom_port}", str(folder / "more"))
        now = objects_of(server)
        got = folder / "got"
        study = server.get_json("/dicom-web/studies?limit=1")[0]["0020000D"]["Value"][0]
        gantry.run(gantry.GANTRY, "get", f"{server.aet}@127.0.0.1:{server.dicom_port}", "--key", f"StudyInstanceUID={study}", "--out", str(got))
        assert any(got.rglob("*.dcm")) or any(f.is_file() for f in got.rglob("*")), "C-GET of an encrypted study brings nothing"
    assert len(now) > len(before)
    assert not readable(data), readable(data)[:3]
    run(config, "fsck")
    run(config, "reindex")
    with gantry.Server(data, named=["--config", str(config)]) as server:
        assert objects_of(server) == now, "a rebuilt index serves other bytes"
    return now


def refuse(folder, data, config, key):
    """Without the key: a clear word and not a byte changed."""
    def state():
        return {f: f.read_bytes() for f in sorted(data.rglob("*")) if f.is_file() and ("volumes" in f.parts or "keys" in f.parts)}
    before = state()
    other, wrong, none = folder / "other.key", folder / "wrong.yaml", folder / "none.yaml"
    gantry.run(gantry.GANTRY, "key", "new", str(other))
    write_config(wrong, data, other)
    none.write_text(f"data: {data}\n")
    for config_without in (wrong, none):
        out = run(config_without, "fsck", code=75)
        assert "which is not given" in out, out
    Path(key).chmod(0o644)
    assert "chmod 600" in run(config, "fsck", code=77)
    Path(key).chmod(0o600)
    assert state() == before, "something was changed by who had no key"
    return other


def rotate(folder, data, config, key, other, now):
    write_config(config, data, other, older=[key])
    assert "runs were under another" in run(config, "key", "rotate")
    Path(key).unlink()
    write_config(config, data, other)
    lines = [line for line in run(config, "key", "list").splitlines() if "\t" in line]
    assert lines and all(line.endswith(str(other)) for line in lines), lines
    with gantry.Server(data, named=["--config", str(config)]) as server:
        assert objects_of(server) == now, "under the new master key other bytes are served"


def export(folder, data, config, now):
    """The volumes in the open: any tar program reads them, and a Gantry without keys takes them over."""
    out, taken = folder / "open", folder / "taken"
    assert "as plain tar files" in run(config, "export", "--tar", str(out))
    names = tar_names(out)
    assert {Path(n).stem for n in names if n.endswith(".dcm")} >= set(now), "an object is not in the exported volumes"
    shutil.copytree(out, taken / "volumes")
    plain = folder / "taken.yaml"
    plain.write_text(f"data: {taken}\n")
    run(plain, "reindex")
    with gantry.Server(taken, named=["--config", str(plain)]) as server:
        assert objects_of(server) == now, "exported volumes give other bytes"


def erase(data, config):
    assert "--everything" in run(config, "key", "erase", code=64)
    run(config, "key", "erase", "--everything", "--yes")
    assert "its key is not there" in run(config, "reindex", code=75)
    assert not list((data / "keys").glob("k*")), "keys are left"


def main():
    with tempfile.TemporaryDirectory(prefix="gantry-encryption-") as name:
        folder = Path(name)
        data, config, key = folder / "data", folder / "gantry.yaml", folder / "master.key"
        for to, seed in (("phantoms", "1"), ("more", "9")):
            gantry.run(gantry.GANTRY, "synth", "--out", str(folder / to), "--kind", "head-ct", "--kind", "dx", "--size", "64", "--seed", seed)
            for truth in (folder / to).rglob("truth.json"):
                truth.unlink()
        gantry.run(gantry.GANTRY, "key", "new", str(key))
        assert key.stat().st_mode & 0o777 == 0o600
        assert gantry.run(gantry.GANTRY, "key", "new", str(key), check=False).returncode != 0, "a key was written over"
        before = switch_on(folder, data, config, key)
        now = use(folder, data, config, before)
        other = refuse(folder, data, config, key)
        rotate(folder, data, config, key, other, now)
        export(folder, data, config, now)
        erase(data, config)
    print(f"{len(now)} objects encrypted, served, rebuilt, refused without their key, under a new one, in the open again, and erased")


main()

"""Simulated data through the commands that analyse it: what is found lies where the truth is."""
import json
import os
import subprocess
import tempfile
from pathlib import Path

GANTRY = os.environ["GANTRY"]


def run(*arguments, code=0):
    done = subprocess.run([GANTRY, "evidence", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == code or (code is None and done.returncode != 0), f"{arguments}: {done.returncode} {done.stderr.decode()}"
    return done


def report(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


def entries(r, name):
    return [e for e in r["entries"] if e["name"] == name]


def commands():
    """The subcommands that this build has."""
    return run("--help").stdout.decode()


def near(found, truth, error):
    assert abs(found - truth) < 4 * error, f"{found} is not {truth} within four errors of {error}"


def readers(folder):
    table = folder / "readers.csv"
    truth = report("simulate", "readers", "--readers", 6, "--normals", 150, "--diseased", 120, "--auc", "0.8,0.88", "--seed", 5, "--out", table)
    difference = entries(truth, "True difference")[0]
    found = report("mrmc", "--method", "all", table)
    got = [e["value"] for e in found["entries"] if "se" in e and abs(abs(e["value"]) - 0.08) < 0.08]
    assert got, "no difference in the report of mrmc"
    assert any(abs(abs(v) - 0.08) < 4 * difference["se"] for v in got)
    again = folder / "again.csv"
    run("simulate", "readers", "--readers", 6, "--normals", 150, "--diseased", 120, "--auc", "0.8,0.88", "--seed", 5, "--out", again)
    assert table.read_bytes() == again.read_bytes()


def marks(folder):
    table, lesions = folder / "marks.csv", folder / "lesions.csv"
    truth = report("simulate", "froc", "--readers", 4, "--normals", 300, "--diseased", 300, "--out", table, "--truth-out", lesions)
    found = report("froc", table, lesions)
    for expected in entries(truth, "True wAFROC"):
        got = [e["value"] for e in found["entries"] if "value" in e and isinstance(e["value"], float)]
        assert any(abs(v - expected["value"]) < 0.05 for v in got), f"nothing near {expected['value']}"


def tests(folder):
    table = folder / "tests.csv"
    truth = report("simulate", "tests", "--normals", 4000, "--diseased", 4000, "--auc", "0.75,0.8", "--seed", 3, "--out", table)
    text = table.read_text().splitlines()
    assert text[0] == "case,truth,test1,test2" and len(text) == 8001
    rows = [line.split(",") for line in text[1:]]
    for column, expected in enumerate(entries(truth, "True AUC")):
        scores = sorted((float(r[2 + column]), r[1]) for r in rows)
        rank_sum = sum(i + 1 for i, (_, t) in enumerate(scores) if t == "1")
        near((rank_sum - 4000 * 4001 / 2) / 4000**2, expected["value"], expected["se"])


def warnings(folder):
    """Where simulated studies show that an interval falls short, the analysis says so; elsewhere it does not."""
    table = folder / "warned.csv"
    for normals, area, interval, warned in ((30, "0.9", "delong", True), (30, "0.9", "logit", False), (2000, "0.9", "delong", False), (8, "0.97", "logit", True)):
        run("simulate", "tests", "--normals", normals, "--diseased", normals, "--auc", area, "--seed", 2, "--out", table)
        told = report("roc", "--score", "test1", "--interval", interval, table)["warnings"]
        assert any("1 - AUC" in w for w in told) == warned, f"{normals} {area} {interval}: {told}"
    run("simulate", "readers", "--readers", 3, "--out", table)
    told = " ".join(report("mrmc", table)["warnings"])
    assert "3 readers are few" in told and "one modality alone" in told, told
    run("simulate", "readers", "--readers", 12, "--auc", "0.75,0.8", "--normals", 150, "--diseased", 150, "--out", table)
    told = " ".join(report("mrmc", table)["warnings"])
    assert "few" not in told and "one modality alone" not in told, told


def studies():
    r = report("simulate", "tests", "--normals", 100, "--diseased", 100, "--auc", "0.8,0.8", "--studies", 1000)
    coverage, rejections = entries(r, "Coverage"), entries(r, "Rejections")
    assert len(coverage) == 3 and len(rejections) == 1
    assert all(0.92 < c["value"] < 0.98 and c["lo"] < c["value"] < c["hi"] for c in coverage)
    assert 0.03 < rejections[0]["value"] < 0.07
    power = report("simulate", "readers", "--auc", "0.8,0.95", "--studies", 100)
    assert max(e["value"] for e in entries(power, "Rejections")) > 0.8


def the_rest(folder):
    for model, columns in (("drift", "i,truth,score,positive"), ("calibration", "case,truth,probability"), ("ratings", "rater1,rater2,rater3,rater4,rater5"),
                           ("categories", "rater1,rater2,rater3,rater4,rater5")):
        lines = run("simulate", model, "--cases", 50).stdout.decode().splitlines()
        assert lines[0] == columns and len(lines) == 51, lines[0]
        told = run("simulate", model, "--cases", 50, "--out", folder / "t.csv", "--lang", "zh-CN", "--methods").stdout.decode()
        assert "真值" in told and "True" not in told, told


def refusals(folder):
    for arguments, word in ((["tests", "--auc", "1.2"], "area"), (["tests", "--readers", "3"], "readers"), (["readers", "--auc", "x"], "--auc"), (["froc"], "--truth-out"),
                            (["nothing"], "model"), (["drift", "--prevalence", "0.1"], "--prevalence"), (["categories", "--shares", "0.5,0.6"], "shares"),
                            (["drift", "--studies", "10"], "--studies"), (["readers", "--variances", "0,0,0,0,0,0"], "variance"), (["tests", "--seed", "-1"], "--seed"),
                            (["readers", "--normals", "9000000", "--diseased", "9000000"], "most"), (["tests", "--categories", "1"], "categories")):
        done = run("simulate", *arguments, code=None)
        assert word in done.stderr.decode(), done.stderr.decode()
        assert not done.stdout


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        readers(folder)
        marks(folder)
        tests(folder)
        warnings(folder)
        studies()
        the_rest(folder)
        refusals(folder)
    print("simulated data are analysed to their truth")


if __name__ == "__main__":
    main()

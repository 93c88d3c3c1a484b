#!/usr/bin/env python3
"""Statistics from the outside: reference values agree, figures are what they say they are, every word exists in Chinese, and what cannot be computed is refused with its reason."""
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

SHIPPED = gantry.ROOT / "data" / "evidence"
REFERENCE = gantry.DATA / "stats"
TERMS = dict(line.split("\t") for line in (gantry.ROOT / "data" / "evidence_terms.tsv").read_text(encoding="utf-8").splitlines() if line and line[0] != "#")
HAN = re.compile("[\u4e00-\u9fff]")
# An analysis with data that ship.
ANALYSES = [
    ["roc", "--truth", "outcome", "--positive", "abnormal", "hanley_mcneil_1982.csv"],
    ["diagnostic", "--tp", "670", "--fp", "202", "--fn", "74", "--tn", "640"],
    ["mrmc", "reader_study.csv"],
    ["agree", "--x", "wright1", "--y", "mini1", "bland_altman_1986.csv"],
    ["agree", "--method", "icc", "shrout_fleiss_1979.csv"],
    ["agree", "--method", "kappa", "--measured", "ordinal", "krippendorff_2011.csv"],
    ["drift", "--value", "x", "--target", "325", "--sd", "0.635", "--h", "6.6", "nist_cusum.csv"],
]


def run(*arguments, code=0, language="en", stdin=None):
    done = subprocess.run([gantry.GANTRY, "evidence", *map(str, arguments)], capture_output=True, text=True, cwd=SHIPPED, input=stdin,
                          env={**os.environ, "LC_ALL": "zh_CN.UTF-8" if language == "zh" else "C.UTF-8"})
    assert done.returncode == code, f"{arguments}: exit {done.returncode}: {done.stderr[:500]}"
    return done.stdout if code in (0, 1) else done.stderr


def check_reference():
    last = run("verify").splitlines()[-1]
    assert re.fullmatch(r"(\d+) rows: \1 pass, 0 fail", last), last
    last = run("verify", language="zh").splitlines()[-1]
    assert re.fullmatch(r"共 (\d+) 行：通过 \1，失败 0", last), last
    if (REFERENCE / "expected.csv").exists():
        answer = json.loads(run("verify", "--table", REFERENCE / "expected.csv", "--json"))
        assert answer["failed"] == 0 and answer["count"] == answer["passed"] > 300, answer["count"]


def check_rows_that_fail(folder):
    """A value that is off, and a row that nothing answers: each is told, and the exit code says so."""
    (folder / "d.csv").write_text((SHIPPED / "hanley_mcneil_1982.csv").read_text())
    table = folder / "t.csv"
    rows = [["d.csv", "auc", "predictor=rating;positive=abnormal", "0.893", "0.0005", "paper"],
            ["d.csv", "auc", "predictor=rating;positive=abnormal", "0.894", "0.0005", "paper"],
            ["d.csv", "no_such_statistic", "", "1", "1", ""], ["../d.csv", "auc", "predictor=rating", "1", "1", ""]]
    with open(table, "w", newline="") as f:
        csv.writer(f).writerows([["dataset", "statistic", "parameters", "value", "abs_tolerance", "source"], *rows])
    said = run("verify", "--table", table, code=1)
    assert said.count("\nFAIL") == 3 and said.count("\npass") == 1, said
    assert "4 rows: 1 pass, 3 fail (2 of them without an answer of ours)" in said
    assert "no statistic of the name 'no_such_statistic'" in said
    answer = json.loads(run("verify", "--table", table, "--json", "--failures", code=1))
    assert [r["line"] for r in answer["rows"]] == [3, 4, 5]
    (folder / "r.csv").write_text((SHIPPED / "reader_study.csv").read_text())
    with open(table, "w", newline="") as f:
        csv.writer(f).writerows([["dataset", "statistic", "parameters", "value", "abs_tolerance", "source"], ["r.csv", "auc", "reader=1", "0.9", "1", ""]])
    assert "several values of treatment: say which" in run("verify", "--table", table, code=1)  # no curve is made of two modalities


def check_json_in(folder):
    """The same table as CSV, as rows and as columns of JSON, in GB18030 and on standard input gives the same answer."""
    name = SHIPPED / "hanley_mcneil_1982.csv"
    with open(name, newline="") as f:
        rows = list(csv.DictReader(f))
    options = ["roc", "--truth", "outcome", "--positive", "abnormal", "--score", "rating", "--json"]
    expected = run(*options, name)
    (folder / "rows.json").write_text(json.dumps(rows))
    (folder / "columns.json").write_text(json.dumps({k: [r[k] for r in rows] for k in rows[0]}))
    for file in ("rows.json", "columns.json"):
        assert run(*options, folder / file) == expected, file
    assert run(*options, "-", stdin=name.read_text()) == expected
    (folder / "gb.csv").write_bytes(name.read_text().replace("outcome", "结果").replace("abnormal", "异常").encode("gb18030"))
    chinese = run("roc", "--truth", "结果", "--positive", "异常", "--score", "rating", "--json", folder / "gb.csv")
    assert json.loads(chinese)["entries"] == json.loads(expected)["entries"]


def check_figures(folder):
    for i, analysis in enumerate(ANALYSES):
        for ending in ("svg", "pdf", "png"):
            for language in ("en", "zh"):
                file = folder / f"{i}-{language}.{ending}"
                run(*analysis, "--plot", file, language=language)
                content = file.read_bytes()
                if ending == "svg":
                    root = xml.etree.ElementTree.fromstring(content)
                    title = root.find("{http://www.w3.org/2000/svg}title").text
                    assert bool(HAN.search(title)) == (language == "zh"), title
                else:
                    assert content.startswith({"pdf": b"%PDF-", "png": b"\x89PNG"}[ending])
                assert len(content) > 2000, file
    assert "ends in .svg, .pdf or .png" in run(*ANALYSES[0], "--plot", folder / "x.gif", code=64)


def check_chinese():
    """Names are keys with a Chinese term; sentences come in Chinese; no line of the table is English alone."""
    for analysis in ANALYSES:
        english, chinese = (json.loads(run(*analysis, "--json", language=language)) for language in ("en", "zh"))
        assert english["entries"] == chinese["entries"], "numbers and keys do not change with the language"
        for name in {e["name"] for e in english["entries"]} | {english["title"]}:
            assert name in TERMS, f"{analysis[0]}: no Chinese for {name}"
        for kind in ("methods", "warnings"):
            assert len(english[kind]) == len(chinese[kind])
            for sentence in chinese[kind]:
                assert HAN.search(sentence), f"{analysis[0]}: {sentence}"
            for sentence in english[kind]:
                assert not HAN.search(sentence) and "{" not in sentence, sentence
        assert english["methods"] and english["version"], analysis
        assert "方法" in run(*analysis, "--methods", language="zh")


def check_refusals(folder):
    """The message names what is wrong and where."""
    cases = [
        (["roc", "--truth", "t", "--score", "s"], "t,s\n1,2\n1,3\n", "class|two|value"),
        (["roc", "--truth", "t", "--score", "s"], "t,s\n1,2\n0,x\n", "line 3"),
        (["roc", "--truth", "t", "--score", "s"], "t,s\n1,2\n0\n", "line 3"),
        (["roc", "--truth", "u", "--score", "s"], "t,s\n1,2\n0,1\n", "u"),
        (["mrmc"], "reader,treatment,case,truth,rating\n1,1,a,1,3\n1,1,b,1,3\n", "."),
        (["agree", "--method", "icc"], "a,b\n1,1\n", "."),
        (["agree"], "", "."),
        (["calib"], "y,p\n1,1.5\n0,0.2\n", "line 2|probabilit"),
    ]
    for options, text, words in cases:
        (folder / "bad.csv").write_text(text)
        said = run(*options, folder / "bad.csv", code=65)
        assert re.search(words, said), f"{options} {text!r}: {said}"
    assert "level" in run(*ANALYSES[0], "--level", "1.5", code=64)
    assert "none of its commands" in run("nothing", code=64)


def check_records(folder):
    subprocess.run([gantry.GANTRY, "synth", "--out", folder / "objects", "--kind", "cr", "--count", "3"], check=True, capture_output=True)
    subprocess.run([gantry.GANTRY, "import", "--data", folder / "archive", folder / "objects"], check=True, capture_output=True)
    rows = list(csv.DictReader(run("records", "--data", folder / "archive").splitlines()))
    assert len(rows) == 3 and rows[0]["minutes"] == "0.000000" and {r["modalities"] for r in rows} == {"CR"}
    days = list(csv.DictReader(run("records", "--data", folder / "archive", "--by", "day", "--modality", "CR").splitlines()))
    assert sum(int(d["studies"]) for d in days) == 3
    assert "no study" in run("records", "--data", folder / "archive", "--modality", "MR", code=66)
    (folder / "arrivals.csv").write_text(run("records", "--data", folder / "archive"))
    run("queue", "--arrivals", folder / "arrivals.csv", "--radiologists", "1")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_reference()
        check_rows_that_fail(folder)
        check_json_in(folder)
        check_chinese()
        check_refusals(folder)
        check_figures(folder)
        check_records(folder)
    print("evidence: reference values, figures, both languages, refusals and records")


main()

"What is read from files is data: nothing in it is run, and what is run is said before."

import ast
import json
import re

import h5py
import numpy as np
import pytest
import yaml
from conftest import CHECKOUT, HEAD, TinyBook

from poc_book.checks import BadInput, read_cells
from poc_book.cli import main
from poc_book.results import load
from poc_book.sources import parsed

RUNS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
LOADERS = {"pickle", "dill", "joblib", "cloudpickle", "marshal", "shelve"}


def dangers(code: str) -> list[str]:
    "The places of a module that could run what they read."
    found = []
    for node in ast.walk(parsed(code)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            found += [n for n in names if n.partition(".")[0] in LOADERS]
        if not isinstance(node, ast.Call):
            continue
        call, text = ast.unparse(node.func), ast.unparse(node)
        loads = call in ("yaml.load", "yaml.unsafe_load", "yaml.full_load") and not text.endswith(
            (", Value)", "SafeLoader)")
        )
        pickles = any(
            k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords
        )
        shell = any(k.arg == "shell" for k in node.keywords)
        if call in RUNS or call.endswith("read_pickle") or loads or pickles or shell:
            found.append(text)
    return found


def test_no_module_can_run_what_it_reads():
    assert all(
        dangers(x)
        for x in (
            "import pickle",
            "eval(x)",
            "yaml.load(x, Loader)",
            "np.load(x, allow_pickle=True)",
            "os.system(x)",
            "run(x, shell=True)",
            "pd.read_pickle(x)",
        )
    )
    codes = {p.name: [p.read_text()] for p in (CHECKOUT / "poc_book").glob("*.py")}
    codes |= {
        p.name: [c["source"] for c in read_cells(p) if c["type"] == "code"]
        for p in (CHECKOUT / "nbs").glob("*.ipynb")
    }
    assert {
        name: found
        for name, cells in codes.items()
        if (found := [x for c in cells for x in dangers(c)])
    } == {}


def test_a_file_of_pickled_objects_is_refused(tmp_path):
    np.save(tmp_path / "bad.nc", np.array([{"x": 1}]), allow_pickle=True)
    (tmp_path / "bad.nc.npy").rename(tmp_path / "bad.nc")
    with h5py.File(tmp_path / "object.nc", "w") as file:
        file["x"] = np.void(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(BadInput, match="whole NetCDF"):
        load(tmp_path / "bad.nc")
    try:
        data = load(tmp_path / "object.nc")
    except BadInput as error:
        assert "\n" not in str(error)
    else:
        assert all(v.dtype.kind != "O" for v in data.variables.values())


ATTACKS = [
    "__import__('os').system('touch ran')",
    "!!python/object/apply:os.system ['touch ran']",
    "!!python/name:os.system",
    "$(touch ran)",
    "x; touch ran #",
    "'; touch ran; '",
    "{sys.exit()}",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_settings_are_never_run(text, book: TinyBook, monkeypatch, capsys):
    for settings, profile in (
        (f"[smoke]\nsteps = {text}\n", "smoke"),
        (f"[{text}]\n", text),
        ("[..]\n", ".."),
    ):
        book.settings(settings)
        book.refused(monkeypatch, capsys, "figures", "--profile", profile)
        assert not list(book.root.rglob("ran"))


def test_texts_are_words_for_the_shell_and_for_python(book: TinyBook):
    name, attack = "01_a $(touch ran); touch ran", "x'; touch ran; ' $(touch ran) {steps}"
    book.notebook("01_line", HEAD.replace("steps = 3", "steps = 'three'"), "print(repr(steps))")
    (book.root / "nbs" / "01_line.ipynb").rename(book.root / "nbs" / f"{name}.ipynb")
    book.settings(f"[smoke]\n[smoke:{name}]\nsteps = {json.dumps(attack)}\n")
    run = book.run("figures", "--profile", "smoke", "--only", name)
    assert run.returncode == 0 and not list(book.root.rglob("ran")), run.stderr
    made = json.loads((book.home / name / f"{name}.ipynb").read_text())
    assert ast.literal_eval("".join(made["cells"][-1]["outputs"][0]["text"])) == attack


def test_diagnose_says_that_it_runs_a_file_before_it_does(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text("print('the file runs')\nproblem = 3\n")
    assert main(["diagnose", str(path)]) == 2
    said = capsys.readouterr()
    assert "mine.py" in said.out.partition("the file runs")[0]


WORKFLOWS = {
    p.name: yaml.safe_load(p.read_text()) for p in (CHECKOUT / ".github").glob("workflows/*.y*ml")
}
JOBS = {(n, job): of for n, flow in WORKFLOWS.items() for job, of in flow["jobs"].items()}
STEPS = [step for job in JOBS.values() for step in job["steps"]]


def test_every_action_is_pinned_by_commit_and_a_bot_renews_it():
    uses = [step["uses"] for step in STEPS if "uses" in step]
    assert uses and [u for u in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", u)] == []
    bot = yaml.safe_load((CHECKOUT / ".github" / "dependabot.yml").read_text())
    assert "github-actions" in {update["package-ecosystem"] for update in bot["updates"]}


def test_what_runs_the_book_may_write_nothing():
    "A job with more rights than to read has steps of others only, and no checkout."
    assert all(flow["permissions"] == {"contents": "read"} for flow in WORKFLOWS.values())
    more = {name for name, job in JOBS.items() if "permissions" in job}
    assert more == {("book.yml", "deploy"), ("release.yml", "publish")}
    for name in more:
        assert not [s for s in JOBS[name]["steps"] if "run" in s or "checkout" in s["uses"]]


def test_no_checkout_leaves_a_token():
    checkouts = [step for step in STEPS if "actions/checkout@" in step.get("uses", "")]
    assert checkouts and all(s["with"]["persist-credentials"] is False for s in checkouts)


def test_no_failure_is_green_and_no_release_is_of_a_cache():
    assert not [x for x in [*JOBS.values(), *STEPS] if "continue-on-error" in x]
    release = [s.get("uses", "") for s in JOBS["release.yml", "build"]["steps"]]
    assert not [u for u in release if "cache" in u]


def test_the_site_is_served_to_this_machine_only(tmp_path):
    pytest.importorskip("sphinx", reason="no Sphinx: install the extra [site]")
    from poc_book.site import server

    with server(tmp_path, 0) as one:
        assert one.server_address[0] == "127.0.0.1"

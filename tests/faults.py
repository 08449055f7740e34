"""What may happen to a machine while the book runs: a kill, a full disk, no network. Not collected by
default: `pytest tests/faults.py` (two minutes, Linux, root).

After each: no wrong or half file stands as a result, the message is clear, and the next run
completes. Two batches at once: `test_batch.py`."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr
from conftest import CHECKOUT, HEAD, TinyBook
from test_batch import FIGURES, LIGHT, processes, stale, until, whole

from poc_book.results import load

CHAPTERS = ("01_line", "02_square")


def sound(book: TinyBook) -> bool:
    "Every result that stands is complete and readable."
    return all(
        whole(book.home / c) for c in CHAPTERS if (book.home / c / "provenance.json").exists()
    )


def completes(book: TinyBook) -> None:
    "The next run makes what is missing, and leaves nothing behind."
    assert until(lambda: not processes(book), 30), "left-over processes"
    run = book.run(*FIGURES)
    assert (
        run.returncode == 0 and stale(book) == set() and not list(book.home.glob(".partial-*"))
    ), run.stderr
    assert sound(book)


def victim(book: TinyBook, kind: str) -> int | None:
    "A process of the batch: the shell that runs a chapter's worker, the worker, or its kernel."
    words = {"shell": b" chapter ", "worker": b"chapter", "kernel": b"import kernel"}[kind]
    for pid in processes(book):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(words == word if kind == "worker" else words in word for word in line):
            return pid
    return None


@pytest.mark.parametrize("seed", range(8))
def test_kill_9_at_a_random_moment(made: TinyBook, seed):
    draw = random.Random(seed)
    kind = ("batch", "shell", "worker", "kernel")[seed % 4]
    made.settings(f"[smoke]\nseed = {100 + seed}\n")
    made.notebook("02_square", HEAD, LIGHT)
    batch, found = made.start(*FIGURES), []
    if kind != "batch":
        assert until(lambda: found.append(victim(made, kind)) or found[-1], 60)
    # sooner than any of them ends
    time.sleep(draw.uniform(0, 2) if kind == "batch" else draw.uniform(0, 0.3))
    os.kill(batch.pid if kind == "batch" else found[-1], signal.SIGKILL)
    _, said = batch.communicate(timeout=120)
    # a shell's worker may end its work
    codes = {
        "batch": (-signal.SIGKILL,),
        "shell": (0, 1),
        "worker": (1,),
        "kernel": (1,),
    }
    assert batch.returncode in codes[kind] and "Traceback" not in said, said
    assert ("failed" in said) == (batch.returncode == 1), said
    assert sound(made)
    completes(made)


def test_a_batch_that_follows_a_killed_one_at_once_keeps_what_it_makes(made: TinyBook):
    "What the killed one had started, Snakemake too, ends with it."
    made.settings("[smoke]\nseed = 200\n")
    batch = made.start(*FIGURES)
    assert until(lambda: list(made.home.glob(".partial-*")))
    batch.kill()
    batch.wait()
    run = made.run(*FIGURES)
    assert run.returncode == 0, run.stderr
    assert until(lambda: not processes(made), 30) and stale(made) == set() and sound(made)


def mounted(folder: Path, *options: str) -> None:
    "Mount on a folder, or skip where that is not allowed."
    if subprocess.run(["mount", *options, str(folder)], capture_output=True).returncode:
        pytest.skip("mount needs root")


@pytest.mark.parametrize("size", [20, 140])
def test_a_full_disk(made: TinyBook, request, size):
    shutil.rmtree(made.root / "build")
    (made.root / "build").mkdir()
    mounted(made.root / "build", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs")
    request.addfinalizer(lambda: subprocess.run(["umount", "-l", str(made.root / "build")]))
    full = made.run(*FIGURES)
    # where not even a log can be written, the batch says how full the disk is
    said = full.stderr + full.stdout
    assert (
        full.returncode != 0
        and ("No space left" in said or "(0.0 MiB left" in said)
        and "Traceback" not in said
    ), said
    assert sound(made)
    subprocess.run(["mount", "-o", "remount,size=200m", str(made.root / "build")], check=True)
    completes(made)


SWEEP = """
import numpy as np
import xarray as xr
DIMS = ("problem", "dim", "width", "seed", "time")
def run_one(problem, dim, width, seed, times):
    labels = dict(problem=[problem], dim=[dim], width=[width], seed=[seed], time=times)
    return xr.Dataset(dict(risk=(DIMS, np.full((1, 1, 1, 1, len(times)), float(width)))), labels)
def merge(paths): return xr.combine_by_coords([xr.load_dataset(p, engine="h5netcdf") for p in paths], combine_attrs="drop")
"""


def test_a_killed_sweep_completes(book: TinyBook):
    book.module("sweep", SWEEP)
    book.settings("[smoke]\n[smoke:sweep]\nproblems = [he4]\nwidths = [1, 2, 3]\nseeds = [0]\n")
    batch = book.start("sweep", "--profile", "smoke")
    time.sleep(2)
    os.kill(batch.pid, signal.SIGKILL)
    batch.communicate(timeout=60)
    assert batch.returncode == -signal.SIGKILL and until(lambda: not processes(book), 30)
    for path in book.home.rglob("*.nc"):
        load(path)
    run = book.run("sweep", "--profile", "smoke")
    assert run.returncode == 0 and load(book.home / "sweep.nc").width.values.tolist() == [
        1,
        2,
        3,
    ], run.stderr


TRAIN = """
import sys
import jax
from pathlib import Path
from poc_book import finite_width
from poc_book.problems import he
from poc_book.results import save
finite_width.PATIENCE, finite_width.WORK = -1.0, 1.0  # a checkpoint after every step
run = finite_width.sgd(he(4, 8), key=jax.random.key(0), widths=[8, 16], reference_width=64, samples=128, batch=32, step=0.01,
                       time=0.5, records=3, test=64, checkpoint=Path(sys.argv[1]))
save(run, Path(sys.argv[2]))
"""


def test_a_killed_training_resumes_to_the_same_bits(tmp_path):
    def train(name: str):
        return subprocess.Popen(
            [sys.executable, "-c", TRAIN, *map(str, (tmp_path / "run.npz", tmp_path / name))],
            cwd=CHECKOUT,
        )

    killed = train("killed.nc")
    assert until(lambda: (tmp_path / "run.npz").exists(), 120)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL and not (tmp_path / "killed.nc").exists()
    assert train("resumed.nc").wait(300) == 0
    (tmp_path / "run.npz").unlink()
    assert train("whole.nc").wait(300) == 0
    # dates differ
    resumed, whole = (
        load(tmp_path / name).drop_attrs(deep=False) for name in ("resumed.nc", "whole.nc")
    )
    xr.testing.assert_identical(resumed, whole)


def test_without_a_network(made: TinyBook):
    made.settings("[smoke]\nseed = 54\n")
    up = (
        "import fcntl, socket, struct; s = socket.socket(); fcntl.ioctl(s, 0x8914, "
        "struct.pack('16sh', b'lo', 0x49))"
    )
    run = f'{sys.executable} -c "{up}" && exec {sys.executable} -m poc_book figures --profile smoke'
    here = os.environ | {"PYTHONPATH": str(made.root), "JUPYTER_PATH": str(made.root / "jupyter")}
    alone = subprocess.run(
        ["unshare", "-n", "sh", "-c", run], cwd=made.root, env=here, capture_output=True, text=True
    )
    if "unshare" in alone.stderr:
        pytest.skip("unshare needs root")
    assert alone.returncode == 0 and stale(made) == set(), alone.stderr

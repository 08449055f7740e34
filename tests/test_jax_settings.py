"What importing the library changes, and what JAX's settings change: as little as README says."

import os
import subprocess
import sys

import jax
import jaxtyping
import numpy as np
import pytest
from annotated import TYPES, any_type
from conftest import CHECKOUT

from poc_book import problems
from poc_book.checks import BadInput
from poc_book.cli import main
from poc_book.finite_width import sgd_step
from poc_book.model import series
from poc_book.pairs import pair_pull, pair_sum
from poc_book.sphere import project

IMPORT = """
import gc, importlib, os, pkgutil, signal, sys, warnings
import jax, matplotlib, numpy as np, xarray as xr

def state():
    return dict(jax.config.values), dict(matplotlib.rcParams), np.geterr(), np.get_printoptions(), dict(os.environ), dict(
        filters=list(warnings.filters), gc=gc.get_threshold(), path=list(sys.path), hook=sys.excepthook, cwd=os.getcwd(),
        signal=signal.getsignal(signal.SIGINT), limit=sys.getrecursionlimit(), random=np.random.get_state()[1].tolist(),
        options=vars(xr.set_options()).get("old"))

import diffrax, h5netcdf, h5py, nbformat, papermill, scipy.stats, tqdm  # what they change is theirs
before = state()
import poc_book
for module in pkgutil.iter_modules(poc_book.__path__):
    if module.name != "__main__": importlib.import_module("poc_book." + module.name)
for old, new in zip(before, state()):
    for name in {**old, **new}:
        if old.get(name) != new.get(name): print(name, old.get(name), new.get(name))
"""
USE = """
import jax
from poc_book import problems
from poc_book.checks import BadInput
problem = problems.he4(4)
for call in (lambda: problem.correlation([1.0, 0, 0, 0]), lambda: problems.xor(16)):
    try: print(call())
    except BadInput as error: print(error)
"""


def run(code: str, **environment: str) -> list[str]:
    "The lines that a program prints in a process of its own."
    here = (
        {k: v for k, v in os.environ.items() if k != "JAX_ENABLE_X64"}
        | {"PYTHONPATH": str(CHECKOUT)}
        | environment
    )
    return subprocess.run(
        [sys.executable, "-c", code], env=here, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_importing_switches_on_double_precision_and_nothing_else():
    assert run(IMPORT) == ["jax_enable_x64 False True"]


def test_what_the_environment_says_of_double_precision_counts():
    said = run(IMPORT + USE, JAX_ENABLE_X64="0")  # nothing of what the first prints
    assert len(said) == 2 and all(
        line.startswith("jax_enable_x64 = False: True") for line in said
    ), said


@pytest.mark.parametrize(
    "command", ["figures", "sweep", "site", "diagnose he4", "orders he4", "chapter 01_sphere"]
)
def test_the_command_line_needs_double_precision(command, monkeypatch, capsys):
    monkeypatch.setenv("JAX_ENABLE_X64", "false")
    assert main(command.split()) == 2
    said = capsys.readouterr()
    assert (
        said.out == ""
        and said.err.startswith("poc-book: JAX_ENABLE_X64 = 'false': ")
        and said.err.count("\n") == 1
    ), said


def products(jaxpr) -> list:
    "The precision of every product of matrices in a program and in what it calls."
    programs = lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")
    inner = jax.tree.leaves([list(e.params.values()) for e in jaxpr.eqns], is_leaf=programs)
    own = [e.params["precision"] for e in jaxpr.eqns if e.primitive.name == "dot_general"]
    return own + [x for p in inner if programs(p) for x in products(getattr(p, "jaxpr", p))]


def points(problem, m=4):
    return np.eye(m, problem.dim, dtype=np.float32)


def pairs(of):
    def sums(problem, w):
        return of(series(problem)[0], w, w, w[:, 0])

    return sums


PROGRAMS = {
    "velocity": lambda p, w: p.velocity(w, p.measure(w)),
    "risk": lambda p, w: p.risk(p.measure(w)),
    "output": lambda p, w: p.output(p.measure(w), w),
    "kernel": lambda p, w: p.kernel(w, w),
    "correlation": lambda p, w: p.correlation(w),
    "step of SGD": lambda p, w: sgd_step(p, w, w, w[:, 0], 0.1),
}


@pytest.mark.parametrize("name", [*PROGRAMS, "pair_sum", "pair_pull"])
def test_products_in_single_precision_are_precise(name):
    "A GPU would round their factors to 11 bits by default."
    assert jax.config.jax_default_matmul_precision is None
    of = {"pair_sum": pairs(pair_sum), "pair_pull": pairs(pair_pull)}.get(name) or PROGRAMS[name]
    for problem in (
        problems.he4(4),
        problems.circle(6),
        *([] if name.startswith("pair") else [problems.xor(4)]),
    ):
        for f in (lambda w: of(problem, w), jax.grad(lambda w: of(problem, w).sum())):
            found = products(jax.make_jaxpr(f)(points(problem)).jaxpr)
            assert found and set(found) == {(jax.lax.Precision.HIGHEST,) * 2}, found
    plain = products(jax.make_jaxpr(lambda w: w @ w.T)(points(problem)).jaxpr)
    assert plain == [None]  # the reader's own product is left alone


@pytest.mark.skipif(not TYPES, reason="POC_BOOK_TYPES is not set")
def test_annotations_are_checked_but_not_of_what_is_to_be_refused():
    with pytest.raises(jaxtyping.TypeCheckError):
        project(np.eye(3), np.eye(4))
    with pytest.raises(BadInput):
        problems.he("4")
    with any_type(), pytest.raises(ValueError, match="broadcast"):
        project(np.eye(3), np.eye(4))

"`make benchmark` at tiny sizes, and the cache of compiled code."
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT

from poc_book.batch import environment, open_book


@pytest.fixture
def bench(tmp_path, monkeypatch):
    "The module benchmarks/run.py, writing into a folder of its own."
    spec = importlib.util.spec_from_file_location("run", CHECKOUT / "benchmarks" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "benchmarks").mkdir()
    monkeypatch.setattr(module, "HERE", tmp_path / "benchmarks")
    return module


def test_a_step_is_timed_against_plain_loops(bench):
    "The section checks too that the plain loops take the same step."
    found = dict(bench.step_of_sgd_against_plain_loops(m=64, dim=8, batch=256))
    assert all(value > 0 for value in found.values())
    assert len(found) == 1 + (importlib.util.find_spec("torch") is not None)


@pytest.mark.parametrize("top, samples, batch", [(64, 2**20, 8192), (32768, 8192, 512)])  # samples fill it, or tiles of neurons
def test_a_run_takes_the_memory_it_says(bench, top, samples, batch):
    [(_, ratio)] = bench.memory_against_its_prediction([(top, samples, batch)])
    print(f"peak over prediction: {ratio:.2f}")
    assert (0 if bench.GPU else 0.7) < ratio < 1.3


CACHED = """
import json
from collections import Counter
import jax
seen = Counter()
jax.monitoring.register_event_listener(lambda event, **_: seen.update([event.split("/")[-1]]))
from poc_book.finite_width import flow
from poc_book.problems import he
from poc_book.sphere import uniform
flow(he(4, 8), uniform(jax.random.key(0), 40, 8), [1.0])
print(json.dumps(seen))
"""


def test_a_second_process_compiles_nothing_anew(book, monkeypatch):
    "With the batch's environment; here what compiles quickly is kept as well, so that none is left."
    names = "JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "EQX_ON_ERROR"
    for name in names: monkeypatch.delenv(name, raising=False)
    own = environment(open_book(book.root), False, 1)
    assert Path(own[names[0]]).is_relative_to(book.root)
    own |= {names[1]: "0", "PYTHONPATH": str(CHECKOUT)}
    run = [sys.executable, "-c", CACHED]
    first, second = (json.loads(subprocess.check_output(run, env=own, cwd=CHECKOUT)) for _ in range(2))
    print(first, second)
    assert first["cache_misses"] > 1 and "cache_misses" not in second
    assert second["cache_hits"] == second["compile_requests_use_cache"] >= first["cache_misses"]

"`make benchmark` at tiny sizes."
import importlib.util

import pytest
from conftest import CHECKOUT


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

"""On a GPU, skipped without one: what it computes is what a CPU computes, twice the same, and what
does not fit is refused."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import CHECKOUT

from poc_book import problems
from poc_book.checks import BadInput
from poc_book.finite_width import batch_gradient, sgd
from poc_book.pairs import fuses
from poc_book.sphere import uniform

pytestmark = pytest.mark.skipif(jax.default_backend() != "gpu", reason="no GPU")

RUNS = """
import sys
import jax, jax.numpy as jnp, numpy as np
from poc_book import problems
from poc_book.finite_width import flow, sgd
from poc_book.sphere import uniform
out = {}
for name, problem in (("he4", problems.he(4, 16)), ("misspecified", problems.misspecified(8)), ("xor", problems.xor(8))):
    run = sgd(problem, key=jax.random.key(0), widths=[64, 128], reference_width=512, samples=4096, batch=1024, step=0.01,
              time=0.4, records=5)
    out |= {f"sgd {name} {k}": v for k, v in run.data_vars.items() if "histogram" not in k}
    w0 = uniform(jax.random.key(1), 600, problem.dim)
    out |= {f"flow {name}": flow(problem, w0, [0.5, 1.5]).risk,
            f"single {name}": flow(problem, w0.astype(jnp.float32), [0.5, 1.5]).risk}
np.savez(sys.argv[1], **out)
"""
NEAR = dict(sgd=1e-3, flow=1e-9, single=1e-3)  # relative to the largest value of the quantity


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("runs"), {}
    for name, platform in (("cpu", "cpu"), ("gpu", "cuda"), ("again", "cuda")):
        env = os.environ | dict(JAX_PLATFORMS=platform, XLA_PYTHON_CLIENT_PREALLOCATE="false")
        if name != "cpu":
            env["XLA_FLAGS"] = (
                "--xla_gpu_autotune_level=0"  # or each process may choose another matrix product
            )
        path = folder / f"{name}.npz"
        subprocess.run([sys.executable, "-c", RUNS, str(path)], env=env, check=True, cwd=CHECKOUT)
        found[name] = dict(np.load(path))
    return found


def test_a_gpu_and_a_cpu_agree(runs):
    for name, value in runs["cpu"].items():
        off = np.abs(runs["gpu"][name] - value).max() / np.abs(value).max()
        print(f"{name}: {off:.1e}")
        assert off < NEAR[name.split()[0]], name


def test_the_same_key_gives_the_same_bits(runs):
    for name, value in runs["gpu"].items():
        assert np.array_equal(runs["again"][name], value), name


@pytest.mark.parametrize(
    "problem", [problems.he(4, 32), problems.misspecified(), problems.xor(), problems.circle()]
)
def test_the_fused_gradient_has_factors_of_16_bits(problem):
    w, x = (
        uniform(jax.random.key(0), 2000, problem.dim),
        problem.inputs.sample(jax.random.key(1), 1500),
    )
    y = problem.teacher(x)
    exact = batch_gradient(problem, w, x, y)
    single = batch_gradient(problem, *(a.astype(jnp.float32) for a in (w, x, y)))
    assert fuses(problem.activation, w.astype(jnp.float32)) and single.dtype == jnp.float32
    off = float(jnp.linalg.norm(single - exact) / jnp.linalg.norm(exact))
    print(f"{problem.name}: {off:.1e}")
    assert off < 2e-5


@pytest.mark.parametrize(
    "dim", [64, 65, 200, 1024]
)  # from 65 on without the fused kernel, whose tiles do not fit
def test_any_dimension_has_a_velocity_in_single_precision(dim):
    problem, w = problems.he(4, dim), uniform(jax.random.key(0), 2000, dim)
    exact, single = (problem.velocity(v, problem.measure(v)) for v in (w, w.astype(jnp.float32)))
    assert float(jnp.linalg.norm(single - exact) / jnp.linalg.norm(exact)) < 1e-5


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="memory"):
        sgd(
            problems.he(4, 32),
            key=jax.random.key(0),
            widths=[64],
            reference_width=2**30,
            samples=2**16,
            batch=2**13,
            step=0.01,
            time=0.02,
        )

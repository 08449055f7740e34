"""How fast the book is on this machine: ratios, each taken within one run.

make benchmark                         on a CPU; on a GPU the same command, where JAX sees one make
benchmark ONLY=growth_of_cost     some sections alone, by the names of their functions here

Prints every ratio and writes it to benchmarks/cpu.json or benchmarks/gpu.json, from which the site
makes its page: a section is written anew as a whole, with the date, device, commit and versions of
its run. PyTorch is no part of the environment: `.venv/bin/python -m pip install torch` adds the
comparison with it."""

import importlib.util
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from poc_book import __version__, pairs
from poc_book.checks import BadInput, check_name
from poc_book.finite_width import flow, required_memory, sgd_step
from poc_book.fluctuations import function_error_law
from poc_book.mean_field import solve
from poc_book.model import series
from poc_book.pairs import pair_pull, prefers_moments
from poc_book.problems import he
from poc_book.results import git_commit
from poc_book.site import measured
from poc_book.sphere import normalise, uniform

HERE, F32 = Path(__file__).parent, jnp.float32
GPU = jax.devices()[0].platform == "gpu"


def clock(*functions, repeats: int = 3) -> list[float]:
    """The shortest seconds of each of several functions, called in turns after one call each that
    compiles."""
    for f in functions:
        jax.block_until_ready(f())
    best = [math.inf] * len(functions)
    for _ in range(repeats):
        for i, f in enumerate(functions):
            start = time.perf_counter()
            jax.block_until_ready(f())
            best[i] = min(best[i], time.perf_counter() - start)
    return best


@cache
def pull_by(moments: bool, blocks: bool = False):
    """`pair_pull` by moment tensors or by pairs (in `blocks` on a GPU too), as one compiled
    function."""

    def pull(K, w):
        chosen, fused = pairs.prefers_moments, pairs.fuses
        pairs.prefers_moments = lambda *_: moments
        pairs.fuses = (lambda *_: False) if blocks else fused
        try:
            return pair_pull(K, w, w, jnp.full(len(w), 1 / len(w), w.dtype))
        finally:
            pairs.prefers_moments, pairs.fuses = chosen, fused

    return jax.jit(pull, static_argnums=0)


def velocity_against_matrix_products():
    """A velocity of m neurons (He_4, d = 32, float32) against one large matrix product: pairs count
    4 m^2 d operations; above 1 where a fused kernel uses a GPU's matrix units."""
    K, size = series(he(4, 32))[0], 8192 if GPU else 2048
    square, product = (
        jnp.ones((size, size), F32),
        jax.jit(lambda a: jnp.matmul(a, a, precision="highest")),
    )
    for m in (2**k for k in range(12, 18)):
        w, repeats = uniform(jax.random.key(0), m, 32, F32), 3 if GPU or m < 2**16 else 1
        ways = (
            (lambda: product(square)),
            (lambda: pull_by(False)(K, w)),
            (lambda: pull_by(True)(K, w)),
        )
        gemm, by_pairs, moments = clock(*ways, repeats=repeats)
        yield (
            f"pairs, m = {m}: share of the rate of a matrix product",
            4 * m**2 * 32 / by_pairs / (2 * size**3 / gemm),
        )
        yield f"moments, m = {m}: speed over pairs", by_pairs / moments
        fused = clock(lambda: pull_by(False, blocks=True)(K, w))[0] / by_pairs if GPU else None
        yield f"fused, m = {m}: speed over blocks by XLA", fused


def chosen_way_against_the_better_one():
    "The time of the way the cost model chooses over that of the better one."
    for k, d in ((2, 16), (4, 8), (4, 16), (4, 32), (6, 8)):
        for m in (512, 2048, 8192, 32768, 131072):
            name = f"He_{k}, d = {d}, m = {m}"
            if m == 131072 and not GPU:
                yield name, None
                continue  # pairs take a minute each time
            K, w = series(he(k, d))[0], uniform(jax.random.key(0), m, d, F32)
            both = clock(lambda: pull_by(False)(K, w), lambda: pull_by(True)(K, w))
            yield name, both[prefers_moments(K, m, m, d, pairs.fuses(K, w))] / min(both)


def growth_of_cost():
    """Exponents of a velocity's time, fitted: in m (He_4, d = 16), in d (He_4, 16 to 64, by blocks
    64 to 1024), in k = 2, 4, 6, 8 (He_k, d = 8); in d and k with m = 4096, on a GPU 65536."""
    ways = {
        "pairs by blocks": pull_by(False, blocks=True),
        "moments": pull_by(True),
        "fused pairs": pull_by(False),
    }
    m, widths = (65536, (32768, 65536, 131072)) if GPU else (4096, (4096, 8192, 16384))
    for name, way in ways.items():
        dims = (64, 256, 1024) if "blocks" in name else (16, 32, 64)
        grids = dict(
            m=[(4, n, 16) for n in widths],
            d=[(4, m, d) for d in dims],
            k=[(k, m, 8) for k in (2, 4, 6, 8)],
        )
        for i, letter in ((1, "m"), (2, "d"), (0, "k")):
            if "fused" in name and not GPU:
                yield f"{name}, in {letter}", None
                continue
            cases = [
                (series(he(k, d))[0], uniform(jax.random.key(0), n, d, F32))
                for k, n, d in grids[letter]
            ]
            times = [clock(partial(way, *case))[0] for case in cases]
            yield (
                f"{name}, in {letter}",
                float(np.polyfit(*np.log([[g[i] for g in grids[letter]], times]), 1)[0]),
            )


def step_of_sgd_against_plain_loops(m: int = 4096, dim: int = 32, batch: int = 8192):
    """The time of plain loops over that of one step of the paper's SGD (He_4, m = 4096, d = 32,
    batch 8192, float32)."""
    problem = he(4, dim)
    w, x = (
        uniform(jax.random.key(0), m, dim, F32),
        problem.inputs.sample(jax.random.key(1), batch, F32),
    )
    y = problem.teacher(x).astype(F32)
    loss = lambda w: jnp.mean(
        (jnp.mean(problem.activation(jnp.matmul(x, w.T, precision="highest")), 1) - y) ** 2
    )
    naive = jax.jit(lambda w: normalise(w - 0.01 * m * jax.grad(loss)(w)))
    ours = jax.jit(lambda w: sgd_step(problem, w, x, y, 0.01))
    apart = float(jnp.abs(naive(w) - ours(w)).max())
    assert apart < 1e-5, f"the two steps differ by {apart}"
    mine, theirs = clock(lambda: ours(w), lambda: naive(w), repeats=5)
    yield "JAX, all pre-activations at once, automatic gradient", theirs / mine
    if importlib.util.find_spec("torch") is None:
        return
    torch = importlib.import_module("torch")
    device = "cuda" if GPU else "cpu"
    w_, x_, y_ = (torch.from_numpy(np.array(v)).to(device) for v in (w, x, y))

    @torch.no_grad()
    def plain():
        z = [x_ @ part.T for part in w_.split(512)]
        gap = sum(((v**4 - 6 * v**2 + 3) / math.sqrt(24)).sum(1) for v in z) / m - y_
        g = torch.cat(
            [(gap[:, None] * (4 * v**3 - 12 * v) / math.sqrt(24)).T @ x_ / batch for v in z]
        )
        new = w_ - 0.02 * g
        return (new / new.norm(dim=1, keepdim=True)).cpu().numpy()

    assert np.abs(plain() - np.asarray(ours(w))).max() < 1e-5
    mine, theirs = clock(lambda: ours(w), plain, repeats=5)
    yield "PyTorch, 512 neurons at a time", theirs / mine


def exact_limit_against_a_network(dim: int = 16, end: float = 10.0):
    """The time of a network standing in for the limit (He_4, d = 16, t = 10) over the exact
    limit's, at equal function error."""
    problem, law = he(4, dim), float(function_error_law(he(4, dim), [end])[0])
    for error in (0.03, 0.01, 0.003):
        m = math.ceil(law / error**2)
        w = uniform(jax.random.key(0), m, dim)
        proxy, exact = clock(
            lambda: flow(problem, w, [end], 1e-4).risk,
            lambda: solve(problem, [end], error).risk,
            repeats=2,
        )
        yield f"function error {error:g}: {m} neurons", proxy / exact


CHILD = """
import json, sys, time
import jax
from poc_book.finite_width import flow, sgd
from poc_book.problems import he
from poc_book.sphere import uniform
start = time.perf_counter()
w = uniform(jax.random.key(0), 2000, 16)
for _ in range(2):
    flow(he(4, 16), w, [0.1, 1.0])
    print(time.perf_counter() - start)
    start = time.perf_counter()
"""


def compiling():
    """The first flow of a process (2000 neurons, d = 16) over the second, without and with compiled
    code of an earlier process."""
    with tempfile.TemporaryDirectory() as folder:
        kept = dict(
            JAX_COMPILATION_CACHE_DIR=folder,
            JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0.1",
            EQX_ON_ERROR="nan",
        )
        for name, extra in (
            ("nothing kept", {}),
            ("(filling)", kept),
            ("code kept in a folder, as `make` does", kept),
        ):
            env = {
                k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "EQX_"))
            } | extra
            out = subprocess.run(
                [sys.executable, "-c", CHILD], env=env, check=True, capture_output=True, text=True
            ).stdout
            first, second = map(float, out.split())
            if name != "(filling)":
                yield name, first / second


PEAK = """
import sys, threading, time
import jax, psutil
from poc_book.finite_width import sgd
from poc_book.problems import he
device, process = jax.devices()[0], psutil.Process()
on_gpu = device.platform == "gpu"
def used():  # a process's own pages: those of libraries come and go as the system likes
    info = process.memory_info()
    return device.memory_stats()["bytes_in_use"] if on_gpu else info.rss - getattr(info, "shared", 0)
def run(top, samples, batch):
    sgd(he(4, 32), key=jax.random.key(0), widths=[64], reference_width=top, samples=samples, batch=batch, step=0.01, time=0.02,
        records=2, test=batch)
run(64, 256, 64)
seen = [used()]
def watch():  # the system's own record of a peak counts what the process was started from
    while True: seen.append(used()); time.sleep(0.001)
if not on_gpu: threading.Thread(target=watch, daemon=True).start()
run(*map(int, sys.argv[1:]))
print((device.memory_stats()["peak_bytes_in_use"] if on_gpu else max(seen)) - seen[0])
"""


def memory_against_its_prediction(runs=((16384, 2**21, 8192), (65536, 2**22, 8192))):
    """What a run of SGD adds to the memory of process or device over what it says it needs before
    it starts (float32, d = 32)."""
    for top, samples, batch in runs:
        child = [sys.executable, "-c", PEAK, str(top), str(samples), str(batch)]
        added = int(subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True).stdout)
        said = required_memory(he(4, 32), [64, top], samples, batch, batch, "float32")
        yield f"{top} neurons, {samples} samples", added / said


def work_of_chapters(root: Path | None = None):
    """Each chapter at smoke size, with nothing compiled before: programs compiled, CPU seconds of
    its process, of which seconds tracing and lowering, and compiling (by the clock), and the most
    memory it held. A batch runs two chapters side by side; where there is a GPU, `make paper` runs
    them, the experiments on it and the others beside it."""
    with tempfile.TemporaryDirectory() as folder:
        root = root or cold_batch(Path(folder) / "book")
        for path in sorted(root.glob("build/smoke/*/provenance.json")):
            chapter, work = path.parent.name, json.loads(path.read_text())["work"]
            if not work:
                continue  # it draws what others have computed
            yield f"{chapter}: programs", work["programs"]
            yield f"{chapter}: CPU seconds", work["cpu"]
            yield f"{chapter}: seconds tracing and lowering", work["tracing"] + work["lowering"]
            yield f"{chapter}: seconds compiling", work["compiling"]
            yield f"{chapter}: MiB", work["memory"]
            if work["device"]:
                yield f"{chapter}: MiB on the GPU", work["device"]


def cold_batch(root: Path) -> Path:
    "A copy of this checkout with a smoke batch that found nothing compiled."
    for name in ("nbs", "poc_book", "results", "benchmarks"):
        shutil.copytree(HERE.parent / name, root / name)
    for name in ("settings.ini", "Snakefile"):
        shutil.copy(HERE.parent / name, root)
    own = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    command = ["paper", "--seconds", "900"] if GPU else ["figures"]
    batch = [sys.executable, "-m", "poc_book", *command, "--profile", "smoke"]
    subprocess.run(batch, cwd=root, check=True, env=own | {"PYTHONPATH": str(root)})
    return root


SECTIONS = {
    section.__name__: section
    for section in (
        step_of_sgd_against_plain_loops,
        velocity_against_matrix_products,
        growth_of_cost,
        chosen_way_against_the_better_one,
        memory_against_its_prediction,
        exact_limit_against_a_network,
        compiling,
        work_of_chapters,
    )
}


def main(names: list[str]) -> None:
    """Measure the sections of these names, all if there is none; a row without a value is not for
    this device."""
    for name in names:
        check_name("ONLY", name, SECTIONS)
    device = (
        jax.devices()[0].device_kind if GPU else f"{os.cpu_count()} cores, {platform.machine()}"
    )
    commit, changed = git_commit()
    record = dict(
        device=device,
        date=time.strftime("%Y-%m-%d"),
        commit=f"commit {commit[:9]}{' with changes' * changed}",
        jax=jax.__version__,
        poc_book=__version__,
    )
    path, titles = (
        HERE / f"{'gpu' if GPU else 'cpu'}.json",
        {name: name.replace("_", " ").capitalize() for name in SECTIONS},
    )
    found = {
        title: section for title, section in measured(path).items() if title in titles.values()
    }
    for name in names or SECTIONS:
        about, rows = " ".join(SECTIONS[name].__doc__.split()), {}
        print(f"\n{about}")
        for row, value in SECTIONS[name]():
            rows[row] = None if value is None else float(f"{value:.3g}")
            print(f"  {row}: {rows[row]}", flush=True)
        # whole: what a later section is cut off in, or fails by, does not cost it
        found[titles[name]] = dict(about=about, **record, rows=rows)
        path.write_text(json.dumps(dict(ratios=found), indent=1) + "\n")
    print(f"\nwritten: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BadInput as error:
        sys.exit(str(error))

"""How fast is one step of the paper's SGD, next to a plain chunked PyTorch loop in the same process?

    python benchmarks/sgd_step.py [neurons] [dim] [batch]

The loop is the straightforward one: forward all chunks of neurons, keep the pre-activations, explicit gradient, normalise;
for each of several chunk sizes. Both are timed in turns, and the shortest time counts. PyTorch is not a part of the environment:
`.venv/bin/python -m pip install torch`."""
import importlib
import math
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from poc_book.finite_width import sgd_step
from poc_book.problems import he, xor
from poc_book.sphere import uniform

try: torch = importlib.import_module("torch")
except ImportError: sys.exit("sgd_step: torch is not installed: .venv/bin/python -m pip install torch")

SETTINGS = {
    "he4": (lambda d: he(4, d), lambda z: (z**4 - 6 * z**2 + 3) / math.sqrt(24), lambda z: (4 * z**3 - 12 * z) / math.sqrt(24)),
    "xor4": (xor, lambda z: torch.nn.functional.softplus(16 * z) / 16, lambda z: torch.sigmoid(16 * z))}


@torch.no_grad()
def plain_step(w, x, y, signs, scale, step, act, slope, chunk):
    "The step in PyTorch, `chunk` neurons at a time."
    f, kept = torch.zeros(len(x)), []
    for i in range(0, len(w), chunk):
        z = x @ w[i : i + chunk].T
        kept.append(z)
        f += act(z) @ signs[i : i + chunk]
    gap, g = scale * f / len(w) - y, torch.empty_like(w)
    for i, z in zip(range(0, len(w), chunk), kept):
        g[i : i + chunk] = (gap[:, None] * slope(z) * signs[i : i + chunk]).T @ x / len(x)
    new = w - 2 * step * g
    return new / new.norm(dim=1, keepdim=True)


def race(runners: dict, repeats: int) -> dict[str, float]:
    "The shortest seconds of each of several functions, called in turns after one call each."
    for f in runners.values(): f()
    best = dict.fromkeys(runners, math.inf)
    for _ in range(repeats):
        for name, f in runners.items():
            start = time.perf_counter()
            f()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def main(m: int = 4096, dim: int = 32, batch: int = 8192, repeats: int = 15) -> None:
    step = jax.jit(sgd_step)
    for name, (make, act, slope) in SETTINGS.items():
        problem = make(dim)
        w, x = uniform(jax.random.key(0), m, dim, jnp.float32), problem.inputs.sample(jax.random.key(1), batch, jnp.float32)
        y = problem.teacher(x).astype(jnp.float32)
        w_, x_, y_, signs = (torch.from_numpy(np.array(v)) for v in (w, x, y, problem.signs(m, jnp.float32)))
        plain = lambda chunk: plain_step(w_, x_, y_, signs, problem.scale, 0.01, act, slope, chunk)
        ours = lambda: jax.block_until_ready(step(problem, w, x, y, 0.01))
        gap = float(np.abs(np.asarray(ours()) - plain(512).numpy()).max())
        times = race({"ours": ours, **{c: (lambda c=c: plain(c)) for c in (128, 256, 512, 1024)}}, repeats)
        mine = times.pop("ours")
        print(f"{name}: m = {m}, d = {dim}, batch {batch}: {1e3 * mine:.1f} ms; same neurons to {gap:.1e}; PyTorch over ours "
              + ", ".join(f"chunk {c}: {t / mine:.1f}" for c, t in times.items()))


if __name__ == "__main__": main(*map(int, sys.argv[1:]))

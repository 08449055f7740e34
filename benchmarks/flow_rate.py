"""How fast is the population flow of m neurons, next to plain matrix products in the same process?

    python benchmarks/flow_rate.py [neurons] [dim]

Prints the rate of `finite_width.flow` in float32, counting 4 m^2 d operations an evaluation of the velocity and nothing
else, the rate of a large matrix product, their ratio, and the memory the flow added to the process."""
import resource
import sys
import time

import jax
import jax.numpy as jnp

from poc_book.finite_width import flow
from poc_book.model import Problem
from poc_book.problems import he
from poc_book.sphere import uniform

evaluations = 0


def tally(_):
    global evaluations
    evaluations += 1


class Counted(Problem):
    "A problem that counts the evaluations of its velocity."

    def velocity(self, w, rho, signs=1.0):
        nu = super().velocity(w, rho, signs)
        jax.debug.callback(tally, nu[0, 0])
        return nu


def clock(f, repeats: int = 1) -> float:
    "The shortest wall time of f, after a first call that compiles."
    jax.block_until_ready(f())
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(f())
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def peak() -> float:
    "The largest memory the process has used, in MiB."
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(m: int = 8192, dim: int = 32) -> None:
    global evaluations
    problem = he(4, dim)
    problem = Counted(problem.inputs, problem.activation, problem.teacher, name="he4")
    w0 = uniform(jax.random.key(0), m, dim, jnp.float32)
    square, product = jnp.ones((2048, 2048), jnp.float32), jax.jit(lambda a: a @ a)
    before = clock(lambda: product(square), 10)
    flow(problem, w0[:64], [0.5, 1.0])  # the solver's own memory, compiled code included
    memory = peak()
    flow(problem, w0, [0.5, 1.0])
    memory, evaluations = peak() - memory, 0
    start = time.perf_counter()
    flow(problem, w0, [0.5, 1.0])
    seconds = time.perf_counter() - start
    products = 2 * 2048**3 / min(before, clock(lambda: product(square), 10)) / 1e9
    rate = 4 * m * m * dim * evaluations / seconds / 1e9
    print(f"flow: m = {m}, d = {dim}, {evaluations} velocities and 2 risks in {seconds:.2f} s, {rate:.1f} GFLOP/s")
    print(f"matrix product 2048^3: {products:.1f} GFLOP/s; ratio {rate / products:.2f}")
    print(f"memory added at the peak: {memory:.0f} MiB; an m x m array would take {4 * m * m / 2**20:.0f} MiB")


if __name__ == "__main__": main(*map(int, sys.argv[1:]))

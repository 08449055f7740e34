"""Bad input to every public function: one argument at a time is replaced by junk.

`TABLE` says what is fuzzed: for each argument a good value, values that must be refused in one line naming the argument, and odd
ones: the good value in another type, which must give the same answer, and extreme ones, which are refused or get a finite answer.
Arguments that are objects of the library get others of their class (a problem without an exact limit, say); objects of another
class are for mypy."""
import faulthandler
import importlib
import re
import signal
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from conftest import CHECKOUT
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from poc_book import problems
from poc_book.balanced import balanced_modes
from poc_book.batch import SWEEP, declared, find_chapters, read_settings, resolve
from poc_book.checks import BadInput
from poc_book.cli import main
from poc_book.coupling import couple
from poc_book.mean_field import solve
from poc_book.model import Atoms, Gaussian, Hermite, Measure, Monomials, Problem, SoftPlus
from poc_book.sphere import uniform
from poc_book.stability import Scalars

MODULES = """problems sphere model fused mean_field finite_width coupling stability balanced single_index experiments table1
    fluctuations langevin beyond sweep results diagnose checks""".split()
OTHERS = {"batch": "its input is settings.ini", "cli": "the command line", "site": "takes what batch has checked",
          "figures": "draws the library's own answers"}
fuzz = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck),
                max_examples=10, phases=[Phase.generate], report_multiple_bugs=False)
TOO_LONG = 120  # seconds for a test


@pytest.fixture(autouse=True)
def in_time():
    "A test that hangs fails; one that hangs in compiled code, where Python's handlers never run, ends its process."
    def late(*_): raise TimeoutError(f"no answer in {TOO_LONG} s")
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, TOO_LONG, 10)  # again and again, as hypothesis repeats what failed
    faulthandler.dump_traceback_later(TOO_LONG + 60, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


class Later(partial):
    "A value that is made when a test asks for it."


class Arg(NamedTuple):
    "A good value, a strategy of values to refuse, odd values, what else an error may name, and how many bad ones are tried."
    good: Any
    bad: Any = None
    odd: tuple = ()
    names: tuple[str, ...] = ()
    least: int = 10


# --- what stands in for an argument ---
S = st.sampled_from
REALS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = S([None, "3", "", b"3", {}, {1}, object(), [None], ["a"], ..., len])
SHAPELESS = WORDS | S([1j, np.array(1j), [[1.0], [1.0, 2.0]], np.array([None, 1.0]), np.array(["a"]), np.array([1 + 1j, 2])])
NOT_FINITE = S([np.nan, np.inf, -np.inf])
TINY, SMALL, LARGE, HUGE = 5e-324, 1e-300, 1e300, 1e308


def whole(good, least=1, even=False, **names):
    wrong = st.integers(max_value=least - 1) | st.booleans() | REALS | NOT_FINITE | S([10**30, 2**31, 10**400]) | SHAPELESS
    if even: wrong |= st.integers(0, 99).map(lambda k: 2 * k + 1)
    return Arg(good, wrong | st.lists(st.integers(), max_size=2), (np.int64(good), np.uint16(good)), **names)


def positive(good, **names):
    wrong = st.floats(max_value=0.0) | NOT_FINITE | st.booleans() | S([10**400, np.complex128(1), [good], np.ones(2)]) | SHAPELESS
    return Arg(good, wrong, (np.float32(good), np.float64(good), TINY, SMALL, LARGE, 0.9 * HUGE), **names)


def between(good, low, high=None, **names):
    "A number that must not be clearly outside [low, high]."
    wrong = st.floats(max_value=low - 0.01) | NOT_FINITE | SHAPELESS
    if high is not None: wrong |= st.floats(min_value=high + 0.01)
    return Arg(good, wrong, (np.float32(good), low, low + TINY, *((LARGE, HUGE) if high is None else (high,))), **names)


def also(own, *bad): return own._replace(bad=own.bad | S(bad))


def share(good, **names): return also(positive(good, **names), 1.0, 1.5, 1e9)


def optional(own): return own._replace(bad=own.bad.filter(lambda x: x is not None))


def times(good=(0.0, 0.5, 1.0), **names):
    lists = st.lists(st.floats(-10, 10), min_size=1, max_size=4).filter(lambda t: t[0] < 0 or np.any(np.diff(t) <= 0))
    wrong = S([[], (), 1.0, [0.0, 0.0], [1.0, 0.5], [[0.0, 1.0]], [0.0, np.nan], [0.0, np.inf], [False, True], ["1", "2"]])
    same = tuple(good), np.array(good), jnp.array(good), np.array(good, np.float32)
    far = [np.array(good) * size for size in (SMALL, LARGE)] + [np.array(good) / good[-1] * HUGE]
    return Arg(list(good), lists | wrong | SHAPELESS, (*same, *far, [*good[:-2], np.nextafter(good[-1], 0), good[-1]]), **names)


def vector(good, *bad, **names):
    "An array of finite numbers."
    good = np.array(good, float)
    here = np.arange(good.size).reshape(good.shape)
    holes = st.tuples(st.integers(0, good.size - 1), NOT_FINITE).map(lambda p: np.where(here == p[0], p[1], good))
    wrong = S([good.astype(complex), good.astype(str), good.astype(object), good.astype(bool), *bad])
    same = good.tolist(), tuple(good), jnp.asarray(good), good.astype(np.float32), np.asfortranarray(good)
    one = [np.where(here == 0, x, good) for x in (0.0, TINY, SMALL, LARGE, HUGE, -HUGE)]
    far = SMALL * good, LARGE * good, np.full_like(good, HUGE), np.full_like(good, -HUGE), np.where(here % 2, HUGE, -HUGE)
    return Arg(good, holes | wrong | SHAPELESS, (*same, *one, *far), **names)


def points(rows=4, dim=4, **names):
    "Unit vectors."
    w = np.random.default_rng(0).normal(size=(rows, dim))
    w /= np.linalg.norm(w, axis=1)[:, None]
    scaled = st.floats(-3, 3).filter(lambda s: abs(abs(s) - 1) > 1e-2).map(lambda s: s * w)
    own = vector(w, [], w[0], w[None], w[:, :-1], np.zeros_like(w), np.eye(2), np.zeros((0, dim)), np.eye(dim + 1), 1.0, **names)
    same = w.tolist(), w.astype(np.float32), np.asfortranarray(w), jnp.asarray(w), tuple(w)
    far = np.eye(dim), np.eye(dim, dtype=int)[:rows], np.maximum(np.eye(rows, dim), TINY)
    return own._replace(bad=own.bad | scaled, odd=(*same, *far))


def one_of(good, *bad, **names): return Arg(good, S(bad) | SHAPELESS | REALS, **names)


def made(good, *bad, **names): return Arg(good, S(bad) if bad else None, least=len(bad), **names)


def flag(): return Arg(False, S([None, 1, 0, "yes", 1.0, [True], np.ones(2, bool)]) | SHAPELESS, (np.bool_(False),))


def function(good): return Arg(good, S([1, "relu", [len]]) | WORDS.filter(lambda x: not callable(x)))


KEY = made(Later(jax.random.key, 0), None, 3, "key", Later(lambda: jax.random.split(jax.random.key(0))), jnp.zeros(2), object())
SEED = whole(0, 0)

# --- small objects of the library ---
he4, circle, xor = (Later(cache(partial(make, 4))) for make in (problems.he4, problems.circle, problems.xor))
mixed = Later(cache(partial(problems.random_teachers, 6)))
rough = Later(lambda: Problem(Gaussian(4, 8), SoftPlus(), lambda x: x[:, 0] ** 3))
def errors(x): return xr.DataArray(x, dims=("seed", "width"), coords=dict(width=range(2, 2 + x.shape[1])))


limit = Later(cache(lambda: solve(he4(), [0.0, 0.5, 1.0])))
shorter = Later(cache(lambda: solve(he4(), [0.0, 1.0])))
particles = Later(cache(lambda: solve(mixed(), [0.0, 0.5, 1.0], particles=64)))
ring = Later(cache(lambda: solve(circle(), [0.0, 0.5, 1.0])))
coupling = Later(cache(lambda: couple(he4(), uniform(jax.random.key(0), 4, 4), [0.0, 0.5, 1.0], limit())))
measure = Later(cache(lambda: Measure(jnp.eye(4))))
lines = Later(cache(lambda: balanced_modes(he4(), Measure(jnp.eye(1, 4)))))
PROBLEM, RADIAL = made(he4), made(he4, xor, mixed)
LIMIT, LINE, EXACT = made(limit), made(limit, particles, ring, names=("problem",)), made(limit, particles, names=("problem",))
CLOSED = made(he4, xor, rough)
DIM4, DIM3, DEGREE = whole(4, 3), whole(4, 3), whole(4, 2, True)
PSD = vector([[2.0, 1.0], [1.0, 2.0]], [[0.0, 1.0], [-1.0, 0.0]], [[-1.0, 0.0], [0.0, 1.0]], [1.0], 1.0, [], np.ones((2, 3)))
W, W0 = points(), points()


def flow_sizes(**own):
    return dict(key=KEY, step=positive(0.1, names=("time",)), time=positive(0.2, names=("step",)),
                batch=whole(8, names=("samples",)), test=whole(8), **{"samples": optional(whole(16)), **own})


TABLE: dict[str, dict[str, Arg]] = {
    # problems
    "problems.he": dict(degree=DEGREE, dim=DIM3),
    "problems.misspecified": dict(dim=DIM3),
    "problems.he4": dict(dim=DIM3),
    "problems.circle": dict(dim=DIM3),
    "problems.random_teachers": dict(dim=whole(6, 6), key=optional(KEY)),
    "problems.xor": dict(dim=whole(4, 4)),
    "problems.staircase": dict(dim=whole(4, 4)),
    "problems.empirical": dict(problem=PROBLEM, n=whole(4), noise=between(0.1, 0.0), key=KEY),
    # sphere
    "sphere.uniform": dict(key=KEY, m=whole(3), dim=DIM3,
        dtype=optional(one_of("float64", "int32", "complex64", "real", int, bool))._replace(odd=(np.float64, "float32", "f8"))),
    "sphere.coordinate_moment": dict(n=whole(3), power=whole(4, 0)),
    "sphere.integrate": dict(velocity=made(lambda t, w: 0 * w), w0=W0, times=times(),
        tol=positive(1e-6)._replace(odd=(np.float32(1e-6), SMALL))),  # each is compiled anew
    "sphere.latitude_quadrature": dict(dim=DIM3, panels=whole(3), order=whole(4)),
    # model
    "model.Hermite": dict(degrees=one_of([2, 4], 0, -1, 2.5, True, [2, 2], [2], []),
        coefficients=one_of([1.0, 0.5], [1.0], [], [1.0, np.nan], [1.0, None], names=("degrees",))),
    "model.SoftPlus": dict(beta=positive(16.0)),
    "model.Gaussian": dict(dim=DIM3, size=whole(8)),
    "model.Boolean": dict(dim=DIM3, size=whole(8)),
    "model.Sample": dict(points=vector(np.ones((2, 3)), [1.0], np.ones((2, 2)), np.zeros((0, 3)), 1.0)),
    "model.Atoms": dict(points=points(2, names=("teacher",)), weights=vector([1.0, 0.5], [1.0], 1.0, names=("teacher",)),
        link=function(Later(Hermite, 4, 1.0))),
    "model.Monomials": dict(sets=one_of(((0, 1),), (0, 1), ((0.5,),), ((-1,),), (("a",),), ()),
        coefficients=one_of((1.0,), (1.0, 2.0), (np.nan,), (None,))),
    "model.Measure": dict(points=points(), weights=optional(vector(np.full(4, 0.25), [1.0], 1.0, [[1.0] * 4])),
        signs=optional(vector(np.ones(4), [1.0], 1.0, [[1.0] * 4]))),
    "model.Problem": dict(inputs=made(Later(Gaussian, 4), Later(Gaussian, 5), names=("teacher",)),
        activation=function(Later(Hermite, 4, 1.0)), scale=positive(1.0), signed=flag(), name=one_of("mine", 1, b"mine"),
        teacher=made(Later(Atoms, np.eye(1, 4), [1.0], Hermite(4, 1.0)), Later(Monomials, ((0, 7),), (1.0,)), names=("dim",))),
    "model.Problem.kernel": dict(self=PROBLEM, w=vector(np.eye(4), np.eye(3), 1.0, []),
        v=vector(np.eye(4), np.eye(3), 1.0, [])),
    "model.Problem.correlation": dict(self=PROBLEM, w=vector(np.eye(4), np.eye(3), 1.0, [])),
    "model.Problem.potential": dict(self=PROBLEM, w=vector(np.eye(4), np.eye(3), 1.0, []), rho=made(measure, np.eye(3)),
        signs=optional(vector(np.ones(4), [1.0], np.ones(3), np.ones((4, 4))))),
    "model.Problem.velocity": dict(self=PROBLEM, w=vector(np.eye(4), np.eye(3), 1.0, []), rho=made(measure, np.eye(3)),
        signs=optional(vector(np.ones(4), [1.0], np.ones(3), np.ones((4, 4))))),
    "model.Problem.risk": dict(self=PROBLEM, rho=made(measure, Later(Measure, np.eye(3)))),
    "model.Problem.output": dict(self=PROBLEM, rho=made(measure, Later(Measure, np.eye(3))),
        x=vector(np.eye(4), np.eye(3), 1.0, [])),
    "model.Problem.function_error": dict(self=PROBLEM, rho=made(measure), other=made(measure, Later(Measure, np.eye(3)))),
    "model.static_error": dict(problem=CLOSED, m=whole(3)),
    # mean field
    "mean_field.solve": dict(problem=PROBLEM, times=times(), tol=optional(positive(1e-4)), particles=whole(64, 2), seed=SEED),
    "mean_field.MeanField.transport": dict(self=LIMIT, w0=W0),
    # finite width
    "finite_width.flow": dict(problem=PROBLEM, w0=W0, times=times(), tol=optional(positive(1e-4))),
    "finite_width.sgd": flow_sizes(problem=PROBLEM, widths=one_of([4, 8], [], [8, 4], [4, 4], [0], [2.5], [True], 4, [99], "4"),
        reference_width=whole(8, names=("widths",)), repeats=whole(1), records=whole(3, 2),
        dtype=one_of("float32", "int8", "float16", ""), checkpoint=made(None, 3, b"3", {}, object(), ["a"], "", "/", CHECKOUT)),
    "finite_width.published": dict(name=one_of("he4", "staircase", "he5", "")),
    # coupling
    "coupling.couple": dict(problem=PROBLEM, w0=W0, times=times(), mean_field=made(limit, shorter)),
    "coupling.duhamel": dict(limit=LIMIT, times=times(),
        bars=made(Later(lambda: coupling().shadows), None, np.ones(3), np.ones((3, 4, 5)), np.full((3, 4, 4), np.nan)),
        linear=made(Later(lambda: coupling().delta), None, np.ones(3), np.ones((3, 4, 5)), np.full((3, 4, 4), np.nan))),
    # stability
    "stability.local_hessian": dict(limit=LIMIT, t=between(0.5, 0.0, 1.0), w=points(), signs=optional(vector(np.ones(4), [1.0]))),
    "stability.interaction_hessian": dict(problem=PROBLEM, w=points(), v=optional(points())),
    "stability.propagators": dict(limit=LIMIT, w0=W0, times=times(), tol=positive(1e-6)),
    "stability.stability_matrix": dict(limit=LIMIT, w0=W0, s=between(0.5, 0.0, 1.0), t=between(1.0, 0.5, 1.0, names=("s",))),
    "stability.stability_scalars": dict(limit=LINE, alpha0=vector([0.5, 0.1], [0.0], [1.0], [2.0], 0.5, [[0.5]]),
        times=times()),
    "stability.stability_norms": dict(limit=LIMIT, w0=W0._replace(names=("alpha0",)), times=times()),
    "stability.j_max": dict(limit=LIMIT, w0=also(W0._replace(names=("len", "alpha0")), np.eye(1, 4)), times=times()),
    "stability.j_avg": dict(limit=LIMIT, w0=W0, times=times(), tau=positive(0.5), candidates=whole(2), starts=whole(1),
        seed=SEED, places=made(None, Later(Measure, np.eye(3)))),
    "stability.bound_constant": dict(scalars=made(Scalars(*np.full((3, 2, 1), 0.5))), exponent=whole(4)),
    "stability.cap": dict(places=made(measure), tau=also(positive(0.5), 1.1, 9.0), count=whole(2), seed=SEED),
    "stability.local_strong_convexity": dict(limit=LIMIT, times=times(), tau=also(positive(0.5), 1.1, 9.0), count=whole(2),
        seed=SEED, places=made(None, Later(Measure, np.eye(3)))),
    "stability.self_concordance": dict(limit=LIMIT, times=times(), w0=W0),
    # balanced
    "balanced.largest_sum": dict(A=vector(np.ones((2, 2, 2)), 1.0, [1.0], [], np.ones((2, 2)))),
    "balanced.one_norm": dict(A=vector(np.eye(2), 1.0, [1.0], np.ones((2, 2, 2)), [])),
    "balanced.spectral_projectors": dict(H=PSD, tol=positive(1e-9)),
    "balanced.balance": dict(H=PSD, tol=positive(1e-9)),
    "balanced.eigensystem": dict(H=PSD, tol=positive(1e-9)),
    "balanced.worst_l1_growth": dict(H=PSD, times=times(), tol=positive(1e-2)),
    "balanced.mean_family": dict(m=whole(3)),
    "balanced.ring_family": dict(m=whole(9, 7), frequencies=whole(3, names=("m",))),
    "balanced.spike_family": dict(m=whole(3, 2)),
    "balanced.random_family": dict(m=whole(4, 2), seed=SEED),
    "balanced.balanced_modes": dict(problem=PROBLEM,
        atoms=made(Later(Measure, jnp.eye(1, 4)), Later(Measure, jnp.eye(1, 4), jnp.zeros(1))), tol=positive(1e-9)),
    "balanced.potential": dict(delta=vector(np.ones((2, 4)), np.ones((2, 5)), np.ones(4), []), modes=made(lines),
        atom=one_of([0, 0], [0], [0.0, 0.0], [0, 1], [-1, 0], [[0, 0]])._replace(odd=((0, 0), np.zeros(2, np.uint8)))),
    "balanced.smallest_memory": dict(rate=vector([1.0, 2.0], [1.0], names=("memory",)),
        known=vector([1.0, 1.0], [1.0], names=("rate", "memory")),
        memory=vector([0.0, 1.0], [1.0], [-1.0, 1.0], [0.0, 0.0], names=("rate",))),
    # single index
    "single_index.information_exponent": dict(problem=RADIAL),
    "single_index.single_index": dict(problem=made(he4, xor, mixed, circle)),
    "single_index.descend": dict(problem=made(he4, xor, circle), risk=share(0.5), tol=positive(1e-4)),
    "single_index.time_to_risk": dict(problem=made(he4, xor, circle), risk=share(0.5), tol=positive(1e-4)),
    "single_index.time_constant": dict(degree=whole(4, 4, True)),
    "single_index.crossing": dict(limit=made(limit), risk=share(0.5)),
    "single_index.fit_line": dict(x=vector([1.0, 2.0, 3.0], [1.0, 2.0], [1.0, 1.0, 2.0], 1.0),
        y=vector([1.0, 2.0, 4.0], [1.0], 1.0, names=("x",)),
        sigma=optional(vector([1.0, 1.0, 2.0], [1.0], [0.0, 1.0, 1.0], [-1.0, 1.0, 1.0]))),
    "single_index.latitude_growth": dict(limit=LINE, t=also(positive(1.0), 1.1, 9.0),
        lags=times((0.0, 0.5), names=("times", "t")), xi=vector([-1.0, 0.0, 1.0])),
    "single_index.escape_times": dict(limit=LINE, quantiles=vector([0.5, 0.9], [0.0], [1.0], [2.0], [-1.0]), level=share(0.5)),
    "single_index.transmitted": dict(problem=CLOSED, xi=vector([-1.0, 0.0, 1.0]), beta=between(0.5, -1.0, 1.0)),
    "single_index.stability": dict(limit=made(limit, particles, names=("problem",)), end=also(positive(1.0, names=("t",)), 1e3),
        tau=share(0.5), stages=whole(1), nodes=whole(1600, 12), lags=whole(8, 2)),
    "single_index.theorem_bound": dict(times=times(names=("c",)),
        risk=vector([1.0, 1.0, 0.5], [1.0], [-1.0, 1.0, 1.0], names=("c",)),
        source=vector([0.1, 0.1, 0.1], [1.0], [-1.0, 1.0, 1.0], names=("j_avg",)),
        j_max=between(1.0, 0.0, names=("j_avg",)), j_avg=between(1.0, 0.0), c=between(1.0, 0.0)),
    # experiments
    "experiments.kept": dict(problem=one_of("he4", "he5", "", "../he4"), kind=one_of("run", "runs", "", "../run")),
    "experiments.initial_error": dict(problem=made(he4, rough)),
    "experiments.rate": dict(
        errors=made(errors(np.ones((2, 2))), errors(np.ones((1, 2))), errors(np.ones((2, 1))), errors(-np.ones((2, 2))),
                    errors(np.full((2, 2), np.nan)), errors(np.full((2, 2), np.inf)))),
    "experiments.error_budget": flow_sizes(problem=PROBLEM, flow_width=whole(2), width=whole(4, names=("widths",)),
        reference_width=whole(8, names=("width",)), records=whole(3, 2), samples=whole(32, names=("batch",)),
        checkpoint=function(lambda name: None)),
    # table 1
    "table1.missed": dict(problem=PROBLEM, places=made(measure, Later(Measure, np.eye(3)), names=("rho",))),
    "table1.until_learned": dict(problem=PROBLEM, share=share(0.99), max_time=positive(0.1), particles=whole(64, 2), seed=SEED),
    "table1.transitive": dict(points=points(3, names=("charge",)), charge=vector(np.ones(3), [1.0], 1.0), even=flag()),
    "table1.average_stability": dict(limit=LIMIT, tau=positive(0.5), neurons=whole(4), seed=SEED),
    "table1.law_stability": dict(problem=made(he4, xor), tau=share(0.5)),
    "table1.exponent": dict(dims=vector([8, 16, 32], [8], [8, 8, 8], [0, 1, 2]),
        values=vector([1.0, 2.0, 4.0], [1.0], [0.0, 1.0, 2.0], names=("errors",)),
        errors=vector([0.1, 0.1, 0.1], [1.0], [0.0, 1.0, 1.0])),
    # fluctuations
    "fluctuations.harmonics": dict(n=whole(3), l=whole(2, 0)),
    "fluctuations.harmonic_share": dict(n=whole(3), power=whole(4, 0), l=whole(2, 0)),
    "fluctuations.fluctuate": dict(limit=EXACT, step=positive(4.0), ratio=between(1.15, 1.0), longest=optional(positive(2.0))),
    "fluctuations.risk_correction": dict(limit=EXACT, step=positive(4.0), ratio=between(1.15, 1.0),
        longest=optional(positive(2.0))),
    "fluctuations.function_error_law": dict(problem=RADIAL, times=times(), tol=positive(0.1)),
    "fluctuations.simulate": dict(limit=LIMIT, width=whole(2), repeats=whole(2, 2), seed=SEED),
    "fluctuations.extrapolate": dict(widths=vector([8.0, 16.0], [8.0], [0.0, 1.0], [8.0, 8.0]),
        samples=vector([[[1.0, 2.0]], [[1.0, 3.0]]], [[[1.0]], [[2.0]]], [1.0], 1.0, names=("widths",))),
    "fluctuations.infinite_dimension_law": dict(degree=whole(4, 4, True), risk=share(0.5), nodes=whole(100)),
    "fluctuations.small_risk_ratio": dict(degree=whole(4, 4, True)),
    "fluctuations.push_norm": dict(problem=CLOSED),
    "fluctuations.gronwall_law": dict(limit=LINE, found=made(None)),
    # langevin
    "langevin.latitude_cells": dict(dim=whole(4, 3), q=whole(1), cells=whole(8)),
    "langevin.langevin": dict(problem=RADIAL, noise=positive(0.1), times=times(names=("noise",)),
        cells=whole(64, 8, True), tol=positive(0.1)),
    "langevin.fixed_point": dict(problem=RADIAL, noise=positive(0.1), cells=whole(200, 8, True)),
    "langevin.spectral_gap": dict(problem=made(he4, xor, circle), noise=positive(0.1, names=("M",)),
        M=vector([1.0, 0.25, 0.125], [1.0], 1.0, [[1.0] * 3]), l=whole(0, 0), odd=flag(),
        cells=whole(50, 8)),
    "langevin.noisy_networks": dict(problem=made(he4, xor), noise=positive(0.1, names=("step",)), width=whole(2),
        repeats=whole(2), times=times(names=("step",)), step=positive(0.1), seed=SEED),
    "langevin.cap": dict(degree=whole(4, 4, True)),
    "langevin.largest_noise": dict(degree=whole(4, 4, True)),
    "langevin.infinite_dimension_bias": dict(degree=whole(4, 4, True), kappa=positive(0.1)),
    "langevin.ends": dict(problem=RADIAL, noise=positive(0.1)),
    "langevin.noisy_time_to_risk": dict(problem=RADIAL, noise=positive(0.02), risk=share(0.6), longest=positive(1e3),
        cells=whole(64, 8, True), tol=positive(0.5)),
    # beyond
    "beyond.gradient_descent": dict(problem=PROBLEM, w0=W0, step=positive(0.5), times=times(names=("step",))),
    "beyond.sharpness": dict(problem=PROBLEM, w=points(), tol=positive(1e-3)),
    "beyond.swing": dict(problem=PROBLEM, w=points(), step=positive(0.5)),
    "beyond.decay": dict(times=times(np.arange(12.0)),
        risk=vector(np.linspace(2, 1, 12), [1.0], np.zeros(12), -np.ones(12), 1.0)),
    "beyond.coupling_by_direction": dict(limit=EXACT, step=positive(4.0), ratio=between(1.15, 1.0)),
    "beyond.best_split": dict(times=times((1.0, 2.0)), risk=vector([1.0, 0.5], [1.0], 1.0),
        per_neuron=vector([1.0, 2.0], [1.0], [0.0, 1.0]), per_sample=vector([1.0, 2.0], [1.0], [-1.0, 1.0]),
        budgets=vector([1e3, 1e4], [0.0], [-1.0])),
    # sweep
    "sweep.run_one": dict(problem=one_of("he4", "he5", "", None), dim=DIM4, width=whole(2), seed=SEED, times=times()),
    "sweep.load_run": dict(path=one_of(None, "", "nothing.nc", "/", str(CHECKOUT / "README.md"), names=("run",))),
    # results
    "results.load": dict(path=one_of(None, "", "nothing.nc", "/", "a" * 300, "a\0b", str(CHECKOUT / "README.md"))),
    "results.check_dataset": dict(
        data=made(xr.Dataset(dict(x=1.0)), None, "x", {}, np.ones(2), xr.DataArray(1.0), xr.Dataset(dict(x=np.nan)))),
    # diagnose
    "diagnose.load_problem": dict(
        name=one_of("he4", "he5", "", "none.py", "a" * 300 + ".py", "a\0.py", "/.py", names=("problem",)), dim=optional(DIM3)),
    "diagnose.diagnose": dict(problem=made(he4, None, "he4", 3), share=share(0.9), max_time=positive(0.1), repeats=whole(2, 2),
        particles=whole(64, 2), widths=one_of([4, 8], [4], [], [8, 4], [1, 2], [2.5, 3], 4, "48"), neurons=whole(4, 2),
        seed=SEED, tau=also(positive(0.5), 1.1, 9.0)),
    # checks
    "checks.check_integer": dict(field=made("value"), value=whole(3)),
    "checks.check_positive": dict(field=made("value"), value=positive(3.0)),
    "checks.check_concrete": dict(field=made("value"), value=made(1.0)),
    "checks.check_finite": dict(field=made("value"), value=vector([1.0, 2.0])._replace(odd=())),
    "checks.check_times": dict(times=times()),
    "checks.check_sphere": dict(field=made("value"), w=points(names=("value",)), dim=made(4)),
    "checks.check_step": dict(step=positive(0.1), time=made(1.0)),
    "checks.check_flag": dict(field=made("value"), value=flag()),
    "checks.check_name": dict(field=made("value"), value=one_of("a", "b", ""), known=made(["a"])),
}

EXEMPT: dict[str, str] = {
    "compiled, or called by compiled code: values are checked by who calls it": """
        fused.parts fused.product fused.contract fused.Tile fused.call fused.fused_sum fused.fused_pull sphere.project
        sphere.normalise sphere.riemannian_gradient sphere.riemannian_hessian sphere.solve_flow sphere.OnSphere
        sphere.traced sphere.module_of sphere.padded sphere.by_time sphere.first_rows sphere.gather model.DotProduct
        model.paired model.devices model.shard model.cut model.in_blocks model.monomials model.features
        model.feature_gradient model.moment_tensor model.prefers_moments model.fuses model.on_devices model.derivative
        model.expand
        sphere.settled sphere.compiled
        model.pull model.pair_sum model.pair_pull finite_width.fused_gradient model.output model.series model.kernel
        model.correlation model.potential model.velocity model.closed_gradient model.node_gradient model.risk
        model.teacher_norm model.function_error model.uniform_norm finite_width.Field finite_width.risks
        finite_width.batch_gradient finite_width.sgd_step finite_width.tile finite_width.train finite_width.metrics
        finite_width.fresh_inputs finite_width.fresh_rows finite_width.descend
        finite_width.data_set finite_width.draw
        coupling.function_errors coupling.local_term coupling.local_change coupling.interaction_term coupling.source
        coupling.Linearised coupling.term_sizes coupling.carry_tangent coupling.injections coupling.all_norms
        coupling.hessian_norms stability.tangent stability.jacobian stability.projected stability.tangent_top
        stability.mixed_hessian stability.carry_matrix stability.maximise stability.average_push
        balanced.potential_rate balanced.all_parts balanced.potential_parts fluctuations.compare fluctuations.Side
        fluctuations.shadows langevin.gibbs langevin.bernoulli langevin.moments langevin.tilt langevin.spread
        langevin.spread_slope langevin.squared_distance langevin.walk beyond.step_on beyond.stepped beyond.curve
        fluctuations.simulate_sizes mean_field.tabulated results.count_work results.work sphere.random_numbers
        stability.radial_hessian sphere.solve_ode model.powers model.character_correlation model.reduced
        model.elsewhere model.Expansion model.MultiExpansion
        model.Polynomial model.joined model.teacher_sums model.expand_jointly model.MultiIndex
        mean_field.legendre_coefficients model.check_values model.check_pointwise model.called
        diagnose.blame sphere.own_key""",
    "a step inside a solver whose arguments are checked where it starts": """
        mean_field.Radial mean_field.teacher_span mean_field.average_kernel mean_field.radial mean_field.waiting_clock
        mean_field.log_odds mean_field.horner mean_field.worst mean_field.interpolate mean_field.slopes
        mean_field.clock_rate mean_field.advance mean_field.feet mean_field.survive mean_field.Path
        mean_field.anderson mean_field.lowest mean_field.Grid mean_field.panel mean_field.follow
        mean_field.RadialLimit mean_field.latitudes mean_field.carry mean_field.hessian_scalars
        mean_field.limit_velocity mean_field.limit_error mean_field.Latent mean_field.Network
        mean_field.particle_velocity mean_field.ParticleLimit mean_field.Carried mean_field.Own
        mean_field.particle_rates mean_field.follow_particles mean_field.solve_radial mean_field.particle_risk
        mean_field.particle_risks mean_field.solve_particles mean_field.compared mean_field.solve_latitudes
        mean_field.one_latitude mean_field.OneLatitude mean_field.coarser
        mean_field.coarser mean_field.view_of mean_field.has_one_direction mean_field.sampling_error
        finite_width.check_run finite_width.required_memory
        finite_width.free_memory finite_width.check_memory finite_width.setup finite_width.train_once
        finite_width.keep finite_width.recall finite_width.identity finite_width.published_rows balanced.ascend
        balanced.unit_sum balanced.fold single_index.alike single_index.weighted_line single_index.neuron_weights
        single_index.average_push experiments.flow_risk fluctuations.wave fluctuations.Block fluctuations.blocks
        fluctuations.Latitudes fluctuations.carried fluctuations.clock_range fluctuations.clock_cells
        fluctuations.gauss_nodes fluctuations.onto fluctuations.fronts fluctuations.reach fluctuations.time_panels
        fluctuations.solve_panel fluctuations.displaced fluctuations.degree fluctuations.exact_limit
        fluctuations.Stage fluctuations.teacher_features fluctuations.carry fluctuations.stages
        fluctuations.own_features fluctuations.exchange fluctuations.Panel fluctuations.displacement
        fluctuations.unfold fluctuations.mean_squares fluctuations.teacher_gap fluctuations.block_shares
        fluctuations.observe fluctuations.Second langevin.Cells langevin.follow_cells langevin.exactly
        langevin.reduced langevin.dual langevin.rest diagnose.judged diagnose.compared diagnose.time_finding
        diagnose.probe table1.corners""",
    "an answer, or a question about the library's own answers alone": """
        finite_width.Trajectory finite_width.corrected finite_width.collapse finite_width.apart finite_width.distance
        coupling.Coupling coupling.linearise coupling.decompose coupling.lipschitz coupling.gronwall stability.Scalars
        stability.is_single_index stability.one_direction stability.Estimate stability.is_even stability.atoms_of
        stability.outside balanced.Bracket balanced.Growth balanced.Modes balanced.limit_hessian
        balanced.contributions single_index.Line single_index.Traced single_index.Stability experiments.Protocol
        experiments.beside_published experiments.kept_path experiments.Slope experiments.shifts
        fluctuations.Fluctuations fluctuations.Networks fluctuations.Extrapolated fluctuations.standard_error
        langevin.Noisy langevin.equilibrium_law table1.endpoints diagnose.lowest_degree beyond.Decay beyond.Directions
        beyond.Spent diagnose.coupled_runs diagnose.growth diagnose.Finding diagnose.hessian_findings
        diagnose.teacher_findings diagnose.network_findings diagnose.Report diagnose.as_markdown diagnose.as_json
        diagnose.save_report problems.Labels""",
    "files of runs: tested in test_sweep": "sweep.merge",
    "how a figure is written: tested in its notebook": """
        results.write_atomic results.cpu_model results.git_commit results.data_hash results.origin results.attributes
        results.save results.render results.render_animation results.caption results.Chapter results.publish""",
    "the checks themselves": """
        checks.BadInput checks.NotResolved checks.require checks.magnitude sphere.check_key sphere.check_double""",
    "what notebooks declare: tested in test_notebooks and test_engine": """
        checks.read_cells checks.declared checks.check_kinds checks.versions""",
}
# To answer takes long: no odd values.
SLOW = set("""
    beyond.coupling_by_direction coupling.couple coupling.duhamel diagnose.diagnose experiments.error_budget finite_width.flow
    finite_width.sgd fluctuations.fluctuate fluctuations.function_error_law fluctuations.risk_correction fluctuations.simulate
    langevin.ends langevin.fixed_point langevin.langevin langevin.noisy_time_to_risk mean_field.MeanField.transport
    mean_field.solve single_index.descend single_index.escape_times single_index.latitude_growth single_index.stability
    single_index.time_to_risk stability.j_avg stability.j_max stability.local_strong_convexity stability.propagators
    stability.self_concordance sweep.run_one stability.stability_matrix stability.stability_norms stability.stability_scalars
    table1.average_stability table1.law_stability table1.until_learned""".split())


def public() -> set[str]:
    found = ((module, importlib.import_module(f"poc_book.{module}")) for module in MODULES)
    return {f"{module}.{name}" for module, code in found for name in code.__all__ if callable(getattr(code, name))}


def test_every_module_is_fuzzed_or_left_out_with_a_reason():
    assert {*MODULES, *OTHERS} == {p.stem for p in (CHECKOUT / "poc_book").glob("*.py") if not p.stem.startswith("_")}


def test_every_public_function_is_fuzzed_or_exempt_with_a_reason():
    exempt = {name for names in EXEMPT.values() for name in names.split()}
    fuzzed = {".".join(name.split(".")[:2]) for name in TABLE}
    assert fuzzed & exempt == set() and fuzzed | exempt == public()


def grown(value): return value() if isinstance(value, Later) else value


def ask(name: str, values: dict):
    module, _, path = name.partition(".")
    function = importlib.import_module(f"poc_book.{module}")
    for part in path.split("."): function = getattr(function, part)
    return function(**{k: grown(v) for k, v in values.items()})


def one_line(error: BadInput, names: tuple[str, ...]):
    "The error is one line and names one of these, or of their parts."
    field = str(error).partition(" = ")[0]
    assert "\n" not in str(error) and len(str(error)) < 400
    assert any(field.startswith(k) or k.startswith(re.split(r"[.\[(]", field)[0]) for k in names), str(error)


def numbers(answer) -> list[np.ndarray]:
    "Every array of numbers in an answer."
    if isinstance(answer, xr.Dataset): answer = [x.values for x in answer.variables.values()]
    kinds = bool, int, float, np.ndarray, np.generic, jax.Array
    arrays = [np.asarray(x) for x in jax.tree.leaves(answer) if isinstance(x, kinds)]
    return [x for x in arrays if x.dtype.kind in "biufc"]


CASES = [(name, k) for name, row in TABLE.items() for k in row if row[k].bad is not None]
ODDITIES = [(name, k) for name, row in TABLE.items() for k in row if row[k].odd and name not in SLOW]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spoiled"), CASES)
def test_bad_input_is_refused_in_one_line_that_names_it(name, spoiled):
    row, tried = TABLE[name], 0

    @fuzz
    @given(value=row[spoiled].bad)
    def refused(value):
        nonlocal tried
        tried += 1
        with pytest.raises(BadInput) as error: ask(name, {k: value if k == spoiled else arg.good for k, arg in row.items()})
        one_line(error.value, (spoiled, *row[spoiled].names))
    refused()
    assert tried >= row[spoiled].least


def test_that_there_are_enough_bad_inputs():
    "As many as each of the tests above asks itself for, whichever process runs it."
    assert sum(TABLE[name][k].least for name, k in CASES) >= 1000


@cache
def usual(name: str) -> list[np.ndarray]: return numbers(ask(name, {k: arg.good for k, arg in TABLE[name].items()}))


LACKING = {"fluctuations.gronwall_law", "sweep.load_run", "results.load"}  # the table has no good values for them


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in sorted(TABLE.keys() - LACKING)])
def test_where_jax_is_told_to_promote_nothing_the_answer_is_the_same(name):
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        found = numbers(ask(name, {k: arg.good for k, arg in TABLE[name].items()}))
    if name not in SLOW: assert all(np.array_equal(x, y) for x, y in zip(found, usual(name), strict=True))


@pytest.mark.parametrize("name", sorted(TABLE.keys() - LACKING))
def test_without_double_precision_a_function_says_so_or_does_not_need_it(name):
    values = {k: grown(arg.good) for k, arg in TABLE[name].items()}
    with jax.enable_x64(False):
        try: found = numbers(ask(name, values))
        except BadInput as error: return one_line(error, ("jax_enable_x64",))
    assert all(np.allclose(x, y, 1e-9, 0, equal_nan=True) for x, y in zip(found, usual(name), strict=True))


@pytest.mark.slow
@pytest.mark.any_type
@pytest.mark.parametrize(("name", "spoiled"), ODDITIES)
def test_odd_values_are_refused_or_get_a_finite_answer_and_in_another_type_the_same(name, spoiled):
    row = TABLE[name]
    good = row[spoiled].good
    for value in row[spoiled].odd:
        loose = 1e-4 if np.asarray(value).dtype == np.float32 else 1e-9
        same = np.shape(value) == np.shape(good) and not isinstance(good, str) and np.allclose(value, good, 1e-6, 0)
        try: found = numbers(ask(name, {k: value if k == spoiled else arg.good for k, arg in row.items()}))
        except BadInput as error:
            one_line(error, (spoiled, *row[spoiled].names))
            assert not same, error
            continue
        assert all(np.all(np.isfinite(x)) for x in found), (value, found)
        if not same: continue
        assert len(found) == len(usual(name))
        for x, y in zip(found, usual(name)):
            assert x.shape == y.shape and np.all(np.abs(x - 1.0 * y) <= loose * np.max(np.abs(y), initial=1e-300)), (value, x, y)


NOT_TRACED = {("model.Monomials", "sets"), ("stability.bound_constant", "scalars"), ("experiments.rate", "errors"),
              ("checks.check_sphere", "dim"), ("checks.check_step", "time")}  # no arrays, or given by the library itself


def as_array(value):
    "A value as JAX can trace it, if it can."
    if isinstance(value, jax.Array): return value
    try: array = np.asarray(value)
    except (TypeError, ValueError): return None
    return array if array.dtype.kind in "biuf" else None


@pytest.mark.any_type
@pytest.mark.parametrize("name", TABLE)
def test_what_jax_traces_is_taken_or_refused_in_words(name):
    values = {k: grown(arg.good) for k, arg in TABLE[name].items()}
    for field, value in values.items():
        if (array := as_array(value)) is None or (name, field) in NOT_TRACED: continue
        try: jax.eval_shape(lambda x: (ask(name, {**values, field: x}), x)[1], array)
        except BadInput as error:
            one_line(error, (field, *TABLE[name][field].names))
            assert str(error).endswith(": a concrete value: not under jit, grad or vmap")


FAR = [(*place.split(), value) for value, places in {
    TINY: ("single_index.descend risk", "single_index.stability end", "langevin.fixed_point noise", "langevin.ends noise",
           "finite_width.sgd step"),
    SMALL: ("single_index.descend risk", "single_index.time_to_risk risk", "fluctuations.fluctuate step",
            "fluctuations.fluctuate longest", "fluctuations.risk_correction step", "beyond.coupling_by_direction step"),
    1 + 1e-15: ("fluctuations.fluctuate ratio",),
    LARGE: ("stability.j_avg tau", "table1.average_stability tau", "table1.law_stability tau", "langevin.langevin noise",
            "finite_width.sgd time")}.items() for place in places]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spoiled", "value"), FAR)
def test_extreme_values_are_refused_by_functions_too_slow_to_be_asked_more(name, spoiled, value):
    row = TABLE[name]
    with pytest.raises(BadInput) as error: ask(name, {k: value if k == spoiled else arg.good for k, arg in row.items()})
    one_line(error.value, (spoiled, *row[spoiled].names))


# --- settings.ini ---
CHAPTERS = find_chapters(CHECKOUT)
SECTIONS = read_settings(CHECKOUT / "settings.ini")
KEYS = sorted({(f"p:{c}", k) for s, values in SECTIONS.items() for k in values for c in [s.partition(":")[2] or "01_sphere"]})
STEMS = {name: path.stem for name, path in CHAPTERS.items()}
DEFAULTS = {name: declared(path) | {"problem": "he4"} for name, path in CHAPTERS.items()} | {"sweep": SWEEP}
JUNK = ("", "~", "text", "[]", "{}", ".nan", ".inf", "-.inf", "1.5", "true", "[1, two]", "[[1]]", "{a: 1}", "1e999", "2001-01-01",
        "0x1F", "&a [*a]", "[1", "'", "=", "%(x)s", "${x}", "- 1", "? 1", "`", "\x01")


def check_settings(path, places: list[tuple[str, str]], text: str):
    "A text under each of some keys (section, key) of a settings file is refused in one line, or has the type of the default."
    lines = [f"[{section}]\n{key} = {text}\n" for section, key in places]
    path.write_text("[p]\n" + "".join(lines), encoding="utf-8")
    try: found = read_settings(path)
    except BadInput as error: return one_line(error, ("settings",))
    for section, key in places:
        name = next(c for c in DEFAULTS if section[2:] in (c, STEMS.get(c)))
        default = DEFAULTS[name][key]
        try: value = resolve(found, "p", name, STEMS.get(name, name), {key: default})[key]
        except BadInput as error: one_line(error, (f"{name} {key}",))
        else: assert type(value) is type(default) and value == value and repr(value) not in ("inf", "-inf")


@pytest.mark.parametrize("text", JUNK)
def test_junk_under_every_key_of_the_settings_is_refused_or_typed(text, tmp_path):
    check_settings(tmp_path / "settings.ini", KEYS, text)


@pytest.mark.parametrize("text", ["2001-99-99", "0b_", "1" * 400, "9" * 5000])
def test_numbers_and_dates_that_python_cannot_hold_are_refused(text, tmp_path):
    check_settings(tmp_path / "settings.ini", [("p:04_mean_field", "time")], text)


def test_settings_in_another_encoding_are_refused(tmp_path):
    (tmp_path / "settings.ini").write_bytes(b"[p]\nseed = \xff\n")
    with pytest.raises(BadInput, match="settings"): read_settings(tmp_path / "settings.ini")


PRINTED = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
LISTS = st.lists(st.integers() | st.text("ab#:-[", max_size=3), max_size=3)


@settings(fuzz, max_examples=300)
@given(place=S(KEYS), text=PRINTED | (st.floats() | st.integers(-10**20, 10**20) | LISTS).map(str))
def test_any_text_under_a_key_of_the_settings_is_refused_or_typed(place, text, tmp_path_factory):
    check_settings(tmp_path_factory.getbasetemp() / "settings.ini", [place], text)


# --- the command line ---
NAMES = {*CHAPTERS, *(p.stem for p in CHAPTERS.values()), "smoke", "reader", "paper", *problems.PROBLEMS}
ODD = ["a" * 300, "../he4", "x.py", "/", "--profile", "--", "\0", "he4.py", "a" * 300 + ".py", "$(touch x)", "-1"]
NONSENSE = (PRINTED | S(ODD)).filter(lambda t: t not in NAMES and not t.startswith("-h"))
DIMS = NONSENSE.filter(lambda t: not t.strip().isdigit()) | S(["2", "-3", "0", str(10**30)])
FILES = S([str(CHECKOUT / "README.md"), str(CHECKOUT / "README.md" / "x")])
LINES = [("figures|site", "--profile", NONSENSE), ("figures", "--profile=smoke|--profile=paper", "--only", NONSENSE),
         ("chapter", NONSENSE, "--profile", NONSENSE), ("chapter|diagnose|profiles|nothing", NONSENSE),
         ("diagnose", "he4", "--dim", DIMS), ("diagnose", "he4|xor4", "--out", FILES)]
WORDED = [st.tuples(*(S(x.split("|")) if isinstance(x, str) else x for x in line)) for line in LINES]
COMMANDS = st.lists(NONSENSE, max_size=3) | st.one_of(WORDED)


@settings(fuzz, max_examples=120)
@given(arguments=COMMANDS)
def test_bad_commands_end_with_code_2_and_one_line(arguments, capsys, monkeypatch): refused(arguments, capsys, monkeypatch)


@pytest.mark.parametrize("arguments", [("profiles", "\n"), ("diagnose", "he4", "--dim", "8", "--out", "a" * 300)])
def test_other_bad_commands_end_with_code_2_and_one_line(arguments, capsys, monkeypatch): refused(arguments, capsys, monkeypatch)


def refused(arguments, capsys, monkeypatch):
    monkeypatch.delenv("POC_BOOK_PARENT", raising=False)
    try: code = main(list(arguments))
    except SystemExit as end: code = end.code
    said = capsys.readouterr().err
    assert code == 2 and said.count("\n") == 1 and "Traceback" not in said, said

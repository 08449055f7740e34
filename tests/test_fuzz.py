"""Bad input to the public functions that users call first, and to every check: one argument at a
time is replaced by junk.

`TABLE` says what is fuzzed: for each argument a good value, values that must be refused in one line
naming the argument, and odd ones: the good value in another type, which must give the same answer,
and extreme ones, which are refused or get a finite answer. Arguments that are objects of the
library get others of their class (a problem without an exact limit, say); objects of another class
are for mypy."""

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
from poc_book.checks import BadInput, declared
from poc_book.cli import main
from poc_book.coupling import couple
from poc_book.mean_field import solve
from poc_book.model import Atoms, Gaussian, Hermite, Measure, Monomials
from poc_book.settings import SWEEP, find_chapters, read_settings, resolve
from poc_book.sphere import uniform

fuzz = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    max_examples=10,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
TOO_LONG = 120  # seconds for a test


@pytest.fixture(autouse=True)
def in_time():
    """A test that hangs fails; one that hangs in compiled code, where Python's handlers never run,
    ends its process."""

    def late(*_):
        raise TimeoutError(f"no answer in {TOO_LONG} s")

    before = signal.signal(signal.SIGALRM, late)
    # again and again, as hypothesis repeats what failed
    signal.setitimer(signal.ITIMER_REAL, TOO_LONG, 10)
    faulthandler.dump_traceback_later(TOO_LONG + 60, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


class Later(partial):
    "A value that is made when a test asks for it."


class Arg(NamedTuple):
    """A good value, a strategy of values to refuse, odd values, what else an error may name, and
    how many bad ones are tried."""

    good: Any
    bad: Any = None
    odd: tuple = ()
    names: tuple[str, ...] = ()
    least: int = 10


# --- what stands in for an argument ---
S = st.sampled_from
REALS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = S([None, "3", "", b"3", {}, {1}, object(), [None], ["a"], ..., len])
SHAPELESS = WORDS | S(
    [
        1j,
        np.array(1j),
        [[1.0], [1.0, 2.0]],
        np.array([None, 1.0]),
        np.array(["a"]),
        np.array([1 + 1j, 2]),
    ]
)
NOT_FINITE = S([np.nan, np.inf, -np.inf])
TINY, SMALL, LARGE, HUGE = 5e-324, 1e-300, 1e300, 1e308


def whole(good, least=1, even=False, **names):
    wrong = (
        st.integers(max_value=least - 1)
        | st.booleans()
        | REALS
        | NOT_FINITE
        | S([10**30, 2**31, 10**400])
        | SHAPELESS
    )
    if even:
        wrong |= st.integers(0, 99).map(lambda k: 2 * k + 1)
    return Arg(
        good,
        wrong | st.lists(st.integers(), max_size=2),
        (np.int64(good), np.uint16(good)),
        **names,
    )


def positive(good, **names):
    wrong = (
        st.floats(max_value=0.0)
        | NOT_FINITE
        | st.booleans()
        | S([10**400, np.complex128(1), [good], np.ones(2)])
        | SHAPELESS
    )
    return Arg(
        good, wrong, (np.float32(good), np.float64(good), TINY, SMALL, LARGE, 0.9 * HUGE), **names
    )


def between(good, low, high=None, **names):
    "A number that must not be clearly outside [low, high]."
    wrong = st.floats(max_value=low - 0.01) | NOT_FINITE | SHAPELESS
    if high is not None:
        wrong |= st.floats(min_value=high + 0.01)
    return Arg(
        good,
        wrong,
        (np.float32(good), low, low + TINY, *((LARGE, HUGE) if high is None else (high,))),
        **names,
    )


def also(own, *bad):
    return own._replace(bad=own.bad | S(bad))


def share(good, **names):
    return also(positive(good, **names), 1.0, 1.5, 1e9)


def optional(own):
    return own._replace(bad=own.bad.filter(lambda x: x is not None))


def times(good=(0.0, 0.5, 1.0), **names):
    lists = st.lists(st.floats(-10, 10), min_size=1, max_size=4).filter(
        lambda t: t[0] < 0 or np.any(np.diff(t) <= 0)
    )
    wrong = S(
        [
            [],
            (),
            1.0,
            [0.0, 0.0],
            [1.0, 0.5],
            [[0.0, 1.0]],
            [0.0, np.nan],
            [0.0, np.inf],
            [False, True],
            ["1", "2"],
        ]
    )
    same = tuple(good), np.array(good), jnp.array(good), np.array(good, np.float32)
    far = [np.array(good) * size for size in (SMALL, LARGE)] + [np.array(good) / good[-1] * HUGE]
    return Arg(
        list(good),
        lists | wrong | SHAPELESS,
        (*same, *far, [*good[:-2], np.nextafter(good[-1], 0), good[-1]]),
        **names,
    )


def vector(good, *bad, **names):
    "An array of finite numbers."
    good = np.array(good, float)
    here = np.arange(good.size).reshape(good.shape)
    holes = st.tuples(st.integers(0, good.size - 1), NOT_FINITE).map(
        lambda p: np.where(here == p[0], p[1], good)
    )
    wrong = S(
        [good.astype(complex), good.astype(str), good.astype(object), good.astype(bool), *bad]
    )
    same = (
        good.tolist(),
        tuple(good),
        jnp.asarray(good),
        good.astype(np.float32),
        np.asfortranarray(good),
    )
    one = [np.where(here == 0, x, good) for x in (0.0, TINY, SMALL, LARGE, HUGE, -HUGE)]
    far = (
        SMALL * good,
        LARGE * good,
        np.full_like(good, HUGE),
        np.full_like(good, -HUGE),
        np.where(here % 2, HUGE, -HUGE),
    )
    return Arg(good, holes | wrong | SHAPELESS, (*same, *one, *far), **names)


def points(rows=4, dim=4, **names):
    "Unit vectors."
    w = np.random.default_rng(0).normal(size=(rows, dim))
    w /= np.linalg.norm(w, axis=1)[:, None]
    scaled = st.floats(-3, 3).filter(lambda s: abs(abs(s) - 1) > 1e-2).map(lambda s: s * w)
    own = vector(
        w,
        [],
        w[0],
        w[None],
        w[:, :-1],
        np.zeros_like(w),
        np.eye(2),
        np.zeros((0, dim)),
        np.eye(dim + 1),
        1.0,
        **names,
    )
    same = w.tolist(), w.astype(np.float32), np.asfortranarray(w), jnp.asarray(w), tuple(w)
    far = np.eye(dim), np.eye(dim, dtype=int)[:rows], np.maximum(np.eye(rows, dim), TINY)
    return own._replace(bad=own.bad | scaled, odd=(*same, *far))


def one_of(good, *bad, **names):
    return Arg(good, S(bad) | SHAPELESS | REALS, **names)


def made(good, *bad, **names):
    return Arg(good, S(bad) if bad else None, least=len(bad), **names)


def flag():
    return Arg(
        False, S([None, 1, 0, "yes", 1.0, [True], np.ones(2, bool)]) | SHAPELESS, (np.bool_(False),)
    )


def function(good):
    return Arg(good, S([1, "relu", [len]]) | WORDS.filter(lambda x: not callable(x)))


KEY = made(
    Later(jax.random.key, 0),
    None,
    3,
    "key",
    Later(lambda: jax.random.split(jax.random.key(0))),
    jnp.zeros(2),
    object(),
)
SEED = whole(0, 0)

# --- small objects of the library ---
he4, circle, xor = (
    Later(cache(partial(make, 4))) for make in (problems.he4, problems.circle, problems.xor)
)
mixed = Later(cache(partial(problems.random_teachers, 6)))


def errors(x):
    return xr.DataArray(x, dims=("seed", "width"), coords=dict(width=range(2, 2 + x.shape[1])))


limit = Later(cache(lambda: solve(he4(), [0.0, 0.5, 1.0])))
shorter = Later(cache(lambda: solve(he4(), [0.0, 1.0])))
particles = Later(cache(lambda: solve(mixed(), [0.0, 0.5, 1.0], particles=64)))
ring = Later(cache(lambda: solve(circle(), [0.0, 0.5, 1.0])))
coupling = Later(
    cache(lambda: couple(he4(), uniform(jax.random.key(0), 4, 4), [0.0, 0.5, 1.0], limit()))
)
measure = Later(cache(lambda: Measure(jnp.eye(4))))
lines = Later(cache(lambda: balanced_modes(he4(), Measure(jnp.eye(1, 4)))))
PROBLEM, RADIAL = made(he4), made(he4, xor, mixed)
LIMIT, LINE, EXACT = (
    made(limit),
    made(limit, particles, ring, names=("problem",)),
    made(limit, particles, names=("problem",)),
)
DIM4, DIM3, DEGREE = whole(4, 3), whole(4, 3), whole(4, 2, True)
PSD = vector(
    [[2.0, 1.0], [1.0, 2.0]],
    [[0.0, 1.0], [-1.0, 0.0]],
    [[-1.0, 0.0], [0.0, 1.0]],
    [1.0],
    1.0,
    [],
    np.ones((2, 3)),
)
W0 = points()
ANY_DIM = W0._replace(bad=W0.bad.filter(lambda x: getattr(x, "shape", ()) != (5, 5)))


def flow_sizes(**own):
    return dict(
        key=KEY,
        step=positive(0.1, names=("time",)),
        time=positive(0.2, names=("step",)),
        batch=whole(8, names=("samples",)),
        test=whole(8),
        **{"samples": optional(whole(16)), **own},
    )


TABLE: dict[str, dict[str, Arg]] = {
    "problems.he": dict(degree=DEGREE, dim=DIM3),
    "problems.random_teachers": dict(dim=whole(6, 6), key=optional(KEY)),
    "problems.empirical": dict(problem=PROBLEM, n=whole(4), noise=between(0.1, 0.0), key=KEY),
    "sphere.uniform": dict(
        key=KEY,
        m=whole(3),
        dim=DIM3,
        dtype=optional(one_of("float64", "int32", "complex64", "real", int, bool))._replace(
            odd=(np.float64, "float32", "f8")
        ),
    ),
    "sphere.integrate": dict(
        velocity=made(lambda t, w: 0 * w),
        w0=ANY_DIM,
        times=times(),
        tol=positive(1e-6)._replace(odd=(np.float32(1e-6), SMALL)),
    ),  # each is compiled anew
    "model.Hermite": dict(
        degrees=one_of([2, 4], 0, -1, 2.5, True, [2, 2], [2], []),
        coefficients=one_of([1.0, 0.5], [1.0], [], [1.0, np.nan], [1.0, None], names=("degrees",)),
    ),
    "model.SoftPlus": dict(beta=positive(16.0)),
    "model.Gaussian": dict(dim=DIM3, size=whole(8)),
    "model.Sample": dict(
        points=vector(np.ones((2, 3)), [1.0], np.ones((2, 2)), np.zeros((0, 3)), 1.0)
    ),
    "model.Atoms": dict(
        points=points(2, names=("teacher",)),
        weights=vector([1.0, 0.5], [1.0], 1.0, names=("teacher",)),
        link=function(Later(Hermite, 4, 1.0)),
    ),
    "model.Monomials": dict(
        sets=one_of(((0, 1),), (0, 1), ((0.5,),), ((-1,),), (("a",),), ()),
        coefficients=one_of((1.0,), (1.0, 2.0), (np.nan,), (None,)),
    ),
    "model.Measure": dict(
        points=points(names=("weights", "signs")),
        weights=optional(vector(np.full(4, 0.25), [1.0], 1.0, [[1.0] * 4])),
        signs=optional(vector(np.ones(4), [1.0], 1.0, [[1.0] * 4])),
    ),
    "model.Problem": dict(
        inputs=made(Later(Gaussian, 4), Later(Gaussian, 5), names=("teacher",)),
        activation=function(Later(Hermite, 4, 1.0)),
        scale=positive(1.0),
        signed=flag(),
        name=made("mine", 1, b"mine", None, 1.5),
        teacher=made(
            Later(Atoms, np.eye(1, 4), [1.0], Hermite(4, 1.0)),
            Later(Monomials, ((0, 7),), (1.0,)),
            names=("dim",),
        ),
    ),
    "model.Problem.velocity": dict(
        self=PROBLEM,
        w=vector(np.eye(4), np.eye(3), 1.0, []),
        rho=made(measure, np.eye(3)),
        signs=optional(vector(np.ones(4), [1.0], np.ones(3), np.ones((4, 4)))),
    ),
    "model.Problem.risk": dict(self=PROBLEM, rho=made(measure, Later(Measure, np.eye(3)))),
    "model.Problem.output": dict(
        self=PROBLEM,
        rho=made(measure, Later(Measure, np.eye(3))),
        x=vector(np.eye(4), np.eye(3), 1.0, []),
    ),
    "mean_field.solve": dict(
        problem=PROBLEM,
        times=times(),
        tol=optional(positive(1e-4)),
        particles=whole(64, 2),
        seed=SEED,
    ),
    "mean_field.MeanField.transport": dict(self=LIMIT, w0=W0),
    "finite_width.flow": dict(problem=PROBLEM, w0=W0, times=times(), tol=optional(positive(1e-4))),
    "finite_width.sgd": flow_sizes(
        problem=PROBLEM,
        widths=one_of([4, 8], [], [8, 4], [4, 4], [0], [2.5], [True], 4, [99], "4"),
        reference_width=whole(8, names=("widths",)),
        repeats=whole(1),
        records=whole(3, 2),
        dtype=one_of("float32", "int8", "float16", ""),
        order=one_of("drawn", "sorted", ""),
        checkpoint=made(None, 3, b"3", {}, object(), ["a"], "", "/", CHECKOUT),
    ),
    "finite_width.published": dict(name=one_of("he4", "he5", "")),
    "coupling.couple": dict(problem=PROBLEM, w0=W0, times=times(), mean_field=made(limit, shorter)),
    "coupling.duhamel": dict(
        limit=LIMIT,
        times=times(),
        bars=made(
            Later(lambda: coupling().shadows),
            None,
            np.ones(3),
            np.ones((3, 4, 5)),
            np.full((3, 4, 4), np.nan),
        ),
        linear=made(
            Later(lambda: coupling().delta),
            None,
            np.ones(3),
            np.ones((3, 4, 5)),
            np.full((3, 4, 4), np.nan),
        ),
    ),
    "stability.local_hessian": dict(
        limit=LIMIT, t=between(0.5, 0.0, 1.0), w=points(), signs=optional(vector(np.ones(4), [1.0]))
    ),
    "stability.interaction_hessian": dict(problem=PROBLEM, w=points(), v=optional(points())),
    "stability.stability_matrix": dict(
        limit=LIMIT, w0=W0, s=between(0.5, 0.0, 1.0), t=between(1.0, 0.5, 1.0, names=("s",))
    ),
    "stability.stability_scalars": dict(
        limit=LINE, alpha0=vector([0.5, 0.1], [0.0], [1.0], [2.0], 0.5, [[0.5]]), times=times()
    ),
    "stability.j_max": dict(
        limit=LIMIT, w0=also(W0._replace(names=("len", "alpha0")), np.eye(1, 4)), times=times()
    ),
    "stability.j_avg": dict(
        limit=LIMIT,
        w0=W0,
        times=times(),
        tau=positive(0.5),
        candidates=whole(2),
        starts=whole(1),
        seed=SEED,
        places=made(None, Later(Measure, np.eye(3))),
    ),
    "stability.local_strong_convexity": dict(
        limit=LIMIT,
        times=times(),
        tau=also(positive(0.5), 1.1, 9.0),
        count=whole(2),
        seed=SEED,
        places=made(None, Later(Measure, np.eye(3))),
    ),
    "balanced.largest_sum": dict(A=vector(np.ones((2, 2, 2)), 1.0, [1.0], [], np.ones((2, 2)))),
    "balanced.balance": dict(H=PSD, tol=positive(1e-9)),
    "balanced.worst_l1_growth": dict(H=PSD, times=times(), tol=positive(1e-2)),
    "balanced.ring_family": dict(m=whole(9, 7), frequencies=whole(3, names=("m",))),
    "balanced.balanced_modes": dict(
        problem=PROBLEM,
        atoms=made(Later(Measure, jnp.eye(1, 4)), Later(Measure, jnp.eye(1, 4), jnp.zeros(1))),
        tol=positive(1e-9),
    ),
    "balanced.potential": dict(
        delta=vector(np.ones((2, 4)), np.ones((2, 5)), np.ones(4), []),
        modes=made(lines),
        atom=one_of([0, 0], [0], [0.0, 0.0], [0, 1], [-1, 0], [[0, 0]])._replace(
            odd=((0, 0), np.zeros(2, np.uint8))
        ),
    ),
    "single_index.time_to_risk": dict(
        problem=made(he4, xor, circle), risk=share(0.5), tol=positive(1e-4)
    ),
    "single_index.fit_line": dict(
        x=vector([1.0, 2.0, 3.0], [1.0, 2.0], [1.0, 1.0, 2.0], 1.0),
        y=vector([1.0, 2.0, 4.0], [1.0], 1.0, names=("x",)),
        sigma=optional(vector([1.0, 1.0, 2.0], [1.0], [0.0, 1.0, 1.0], [-1.0, 1.0, 1.0])),
    ),
    "single_index.latitude_growth": dict(
        limit=LINE,
        t=also(positive(1.0), 1.1, 9.0),
        lags=times((0.0, 0.5), names=("times", "t")),
        xi=vector([-1.0, 0.0, 1.0]),
    ),
    "single_index.escape_times": dict(
        limit=LINE, quantiles=vector([0.5, 0.9], [0.0], [1.0], [2.0], [-1.0]), level=share(0.5)
    ),
    "single_index.theorem_bound": dict(
        times=times(names=("c",)),
        risk=vector([1.0, 1.0, 0.5], [1.0], [-1.0, 1.0, 1.0], names=("c",)),
        source=vector([0.1, 0.1, 0.1], [1.0], [-1.0, 1.0, 1.0], names=("j_avg",)),
        j_max=between(1.0, 0.0, names=("j_avg",)),
        j_avg=between(1.0, 0.0),
        c=between(1.0, 0.0),
    ),
    "experiments.rate": dict(
        errors=made(
            errors(np.ones((2, 2))),
            errors(np.ones((1, 2))),
            errors(np.ones((2, 1))),
            errors(-np.ones((2, 2))),
            errors(np.full((2, 2), np.nan)),
            errors(np.full((2, 2), np.inf)),
        )
    ),
    "table1.transitive": dict(
        points=points(3, names=("charge",)), charge=vector(np.ones(3), [1.0], 1.0), even=flag()
    ),
    "fluctuations.fluctuate": dict(
        limit=EXACT, step=positive(4.0), ratio=between(1.15, 1.0), longest=optional(positive(2.0))
    ),
    "fluctuations.function_error_law": dict(
        problem=RADIAL, times=times(), tol=optional(positive(0.1))
    ),
    "fluctuations.extrapolate": dict(
        widths=vector([8.0, 16.0], [8.0], [0.0, 1.0], [8.0, 8.0]),
        samples=vector(
            [[[1.0, 2.0]], [[1.0, 3.0]]], [[[1.0]], [[2.0]]], [1.0], 1.0, names=("widths",)
        ),
    ),
    "fluctuations.infinite_dimension_law": dict(
        degree=whole(4, 4, True), risk=share(0.5), nodes=whole(100)
    ),
    "langevin.langevin": dict(
        problem=RADIAL,
        noise=positive(0.1),
        times=times(names=("noise",)),
        cells=whole(64, 8, True),
        tol=positive(0.1),
    ),
    "langevin.spectral_gap": dict(
        problem=made(he4, xor, circle),
        noise=positive(0.1, names=("M",)),
        M=vector([1.0, 0.25, 0.125], [1.0], 1.0, [[1.0] * 3]),
        l=whole(0, 0),
        odd=flag(),
        cells=whole(50, 8),
    ),
    "langevin.noisy_networks": dict(
        problem=made(he4, xor),
        noise=positive(0.1, names=("step",)),
        width=whole(2),
        repeats=whole(2),
        times=times(names=("step",)),
        step=positive(0.1),
        seed=SEED,
    ),
    "beyond.gradient_descent": dict(
        problem=PROBLEM, w0=W0, step=positive(0.5), times=times(names=("step",))
    ),
    "beyond.decay": dict(
        times=times(np.arange(12.0)),
        risk=vector(np.linspace(2, 1, 12), [1.0], np.zeros(12), -np.ones(12), 1.0),
    ),
    "beyond.best_split": dict(
        times=times((1.0, 2.0)),
        risk=vector([1.0, 0.5], [1.0], 1.0),
        per_neuron=vector([1.0, 2.0], [1.0], [0.0, 1.0]),
        per_sample=vector([1.0, 2.0], [1.0], [-1.0, 1.0]),
        budgets=vector([1e3, 1e4], [0.0], [-1.0]),
    ),
    "sweep.run_one": dict(
        problem=one_of("he4", "he5", "", None), dim=DIM4, width=whole(2), seed=SEED, times=times()
    ),
    "results.load": dict(
        path=one_of(None, "", "nothing.nc", "/", "a" * 300, "a\0b", str(CHECKOUT / "README.md"))
    ),
    "results.check_dataset": dict(
        data=made(
            xr.Dataset(dict(x=1.0)),
            None,
            "x",
            {},
            np.ones(2),
            xr.DataArray(1.0),
            xr.Dataset(dict(x=np.nan)),
        )
    ),
    "diagnose.load_problem": dict(
        name=one_of(
            "he4", "he5", "", "none.py", "a" * 300 + ".py", "a\0.py", "/.py", names=("problem",)
        ),
        dim=optional(DIM3),
    ),
    "diagnose.diagnose": dict(
        problem=made(he4, None, "he4", 3),
        share=share(0.9),
        max_time=positive(0.1),
        repeats=whole(2, 2),
        particles=whole(64, 2),
        widths=one_of([4, 8], [4], [], [8, 4], [1, 2], [2.5, 3], 4, "48"),
        neurons=whole(4, 2),
        seed=SEED,
        tau=also(positive(0.5), 1.1, 9.0),
    ),
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

# To answer takes long: no odd values.
SLOW = set(
    """
    coupling.couple coupling.duhamel diagnose.diagnose finite_width.flow finite_width.sgd fluctuations.fluctuate
    fluctuations.function_error_law langevin.langevin mean_field.MeanField.transport mean_field.solve
    single_index.escape_times single_index.latitude_growth single_index.time_to_risk stability.j_avg stability.j_max
    stability.local_strong_convexity stability.stability_matrix stability.stability_scalars sweep.run_one""".split()
)


def grown(value):
    return value() if isinstance(value, Later) else value


def ask(name: str, values: dict):
    module, _, path = name.partition(".")
    function = importlib.import_module(f"poc_book.{module}")
    for part in path.split("."):
        function = getattr(function, part)
    return function(**{k: grown(v) for k, v in values.items()})


def one_line(error: BadInput, names: tuple[str, ...]):
    "The error is one line and names one of these, or of their parts."
    field = str(error).partition(" = ")[0]
    assert "\n" not in str(error) and len(str(error)) < 400
    assert any(field.startswith(k) or k.startswith(re.split(r"[.\[(]", field)[0]) for k in names), (
        str(error)
    )


def numbers(answer) -> list[np.ndarray]:
    "Every array of numbers in an answer."
    if isinstance(answer, xr.Dataset):
        answer = [x.values for x in answer.variables.values()]
    kinds = bool, int, float, np.ndarray, np.generic, jax.Array
    arrays = [np.asarray(x) for x in jax.tree.leaves(answer) if isinstance(x, kinds)]
    return [x for x in arrays if x.dtype.kind in "biufc"]


def spoilt(name: str, field: str, value) -> dict:
    "Good values of a function's arguments, but for one."
    return {k: value if k == field else arg.good for k, arg in TABLE[name].items()}


def check_refusals(name: str, field: str):
    "Each bad value of an argument is refused in one line that names it."
    arg, tried = TABLE[name][field], 0

    @fuzz
    @given(value=arg.bad)
    def refused(value):
        nonlocal tried
        tried += 1
        with pytest.raises(BadInput) as error:
            ask(name, spoilt(name, field, value))
        one_line(error.value, (field, *arg.names))

    refused()
    assert tried >= arg.least


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name, row in TABLE.items() if any(arg.bad for arg in row.values())]
)
def test_bad_input_is_refused_in_one_line_that_names_it(name):
    for field, arg in TABLE[name].items():
        if arg.bad is not None:
            check_refusals(name, field)


@cache
def usual(name: str) -> list[np.ndarray]:
    return numbers(ask(name, {k: arg.good for k, arg in TABLE[name].items()}))


def check_odd_value(name: str, field: str, value):
    "It is refused, or gets a finite answer; the good value in another type gets the same answer."
    arg = TABLE[name][field]
    same = (
        np.shape(value) == np.shape(arg.good)
        and not isinstance(arg.good, str)
        and np.allclose(value, arg.good, 1e-6, 0)
    )
    try:
        found = numbers(ask(name, spoilt(name, field, value)))
    except BadInput as error:
        one_line(error, (field, *arg.names))
        assert not same, error
        return
    assert all(np.all(np.isfinite(x)) for x in found), (value, found)
    if not same:
        return
    loose = 1e-4 if np.asarray(value).dtype == np.float32 else 1e-9
    assert len(found) == len(usual(name))
    for x, y in zip(found, usual(name)):
        assert x.shape == y.shape and np.all(
            np.abs(x - 1.0 * y) <= loose * np.max(np.abs(y), initial=1e-300)
        ), (value, x, y)


@pytest.mark.slow
@pytest.mark.any_type
@pytest.mark.parametrize("module", sorted({name.partition(".")[0] for name in TABLE.keys() - SLOW}))
def test_odd_values_are_refused_or_get_a_finite_answer_and_in_another_type_the_same(module):
    for name in TABLE.keys() - SLOW:
        if name.partition(".")[0] != module:
            continue
        for field, arg in TABLE[name].items():
            for value in arg.odd:
                check_odd_value(name, field, value)


ENTRIES = """mean_field.solve finite_width.flow finite_width.sgd coupling.couple stability.local_hessian stability.j_avg
    balanced.worst_l1_growth fluctuations.function_error_law langevin.langevin diagnose.diagnose model.Problem.velocity
    sphere.uniform""".split()


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_where_jax_is_told_to_promote_nothing_there_is_an_answer(name):
    values = {k: arg.good for k, arg in TABLE[name].items()}
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        ask(name, values)


@pytest.mark.parametrize("name", ENTRIES)
def test_without_double_precision_a_function_says_so_or_does_not_need_it(name):
    values = {k: grown(arg.good) for k, arg in TABLE[name].items()}
    with jax.enable_x64(False):
        try:
            found = numbers(ask(name, values))
        except BadInput as error:
            return one_line(error, ("jax_enable_x64",))
    assert all(
        np.allclose(x, y, 1e-9, 0, equal_nan=True) for x, y in zip(found, usual(name), strict=True)
    )


def as_array(value):
    "A value as JAX can trace it, if it can."
    if isinstance(value, jax.Array):
        return value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return array if array.dtype.kind in "biuf" else None


@pytest.mark.any_type
@pytest.mark.parametrize("name", ENTRIES)
def test_what_jax_traces_is_taken_or_refused_in_words(name):
    values = {k: grown(arg.good) for k, arg in TABLE[name].items()}
    for field, value in values.items():
        if (array := as_array(value)) is None:
            continue
        try:
            jax.eval_shape(lambda x: (ask(name, {**values, field: x}), x)[1], array)
        except BadInput as error:
            one_line(error, (field, *TABLE[name][field].names))
            assert str(error).endswith(": a concrete value: not under jit, grad or vmap")


FAR = [
    ("single_index.time_to_risk", "risk", SMALL),
    ("fluctuations.fluctuate", "step", SMALL),
    ("finite_width.sgd", "step", TINY),
    ("fluctuations.fluctuate", "ratio", 1 + 1e-15),
    ("stability.j_avg", "tau", LARGE),
    ("langevin.langevin", "noise", LARGE),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "field", "value"), FAR)
def test_extreme_values_are_refused_by_functions_too_slow_to_be_asked_more(name, field, value):
    with pytest.raises(BadInput) as error:
        ask(name, spoilt(name, field, value))
    one_line(error.value, (field, *TABLE[name][field].names))


# --- settings.ini ---
CHAPTERS = find_chapters(CHECKOUT)
SECTIONS = read_settings(CHECKOUT / "settings.ini")
KEYS = sorted(
    {
        (f"p:{c}", k)
        for s, values in SECTIONS.items()
        for k in values
        for c in [s.partition(":")[2] or "01_sphere"]
    }
)
STEMS = {name: path.stem for name, path in CHAPTERS.items()}
DEFAULTS = {name: declared(path) | {"problem": "he4"} for name, path in CHAPTERS.items()} | {
    "sweep": SWEEP
}
JUNK = (
    "",
    "~",
    "text",
    "[]",
    "{}",
    ".nan",
    ".inf",
    "-.inf",
    "1.5",
    "true",
    "[1, two]",
    "[[1]]",
    "{a: 1}",
    "1e999",
    "2001-01-01",
    "0x1F",
    "&a [*a]",
    "[1",
    "'",
    "=",
    "%(x)s",
    "${x}",
    "- 1",
    "? 1",
    "`",
    "\x01",
)


def check_settings(path, places: list[tuple[str, str]], text: str):
    """A text under each of some keys (section, key) of a settings file is refused in one line, or
    has the type of the default."""
    lines = [f"[{section}]\n{key} = {text}\n" for section, key in places]
    path.write_text("[p]\n" + "".join(lines), encoding="utf-8")
    try:
        found = read_settings(path)
    except BadInput as error:
        return one_line(error, ("settings",))
    for section, key in places:
        name = next(c for c in DEFAULTS if section[2:] in (c, STEMS.get(c)))
        default = DEFAULTS[name][key]
        try:
            value = resolve(found, "p", name, STEMS.get(name, name), {key: default})[key]
        except BadInput as error:
            one_line(error, (f"{name} {key}",))
        else:
            assert (
                type(value) is type(default)
                and value == value
                and repr(value) not in ("inf", "-inf")
            )


def test_junk_under_every_key_of_the_settings_is_refused_or_typed(tmp_path):
    for text in JUNK:
        check_settings(tmp_path / "settings.ini", KEYS, text)


def test_numbers_and_dates_that_python_cannot_hold_are_refused(tmp_path):
    for text in ("2001-99-99", "0b_", "1" * 400, "9" * 5000):
        check_settings(tmp_path / "settings.ini", [("p:04_mean_field", "time")], text)


def test_settings_in_another_encoding_are_refused(tmp_path):
    (tmp_path / "settings.ini").write_bytes(b"[p]\nseed = \xff\n")
    with pytest.raises(BadInput, match="settings"):
        read_settings(tmp_path / "settings.ini")


PRINTED = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20
)
LISTS = st.lists(st.integers() | st.text("ab#:-[", max_size=3), max_size=3)


@settings(fuzz, max_examples=300)
@given(
    place=S(KEYS), text=PRINTED | (st.floats() | st.integers(-(10**20), 10**20) | LISTS).map(str)
)
def test_any_text_under_a_key_of_the_settings_is_refused_or_typed(place, text, tmp_path_factory):
    check_settings(tmp_path_factory.getbasetemp() / "settings.ini", [place], text)


# --- the command line ---
NAMES = {
    *CHAPTERS,
    *(p.stem for p in CHAPTERS.values()),
    "smoke",
    "reader",
    "paper",
    *problems.PROBLEMS,
}
ODD = [
    "a" * 300,
    "../he4",
    "x.py",
    "/",
    "--profile",
    "--",
    "\0",
    "he4.py",
    "a" * 300 + ".py",
    "$(touch x)",
    "-1",
]
NONSENSE = (PRINTED | S(ODD)).filter(lambda t: t not in NAMES and not t.startswith("-h"))
DIMS = NONSENSE.filter(lambda t: not t.strip().isdigit()) | S(["2", "-3", "0", str(10**30)])
FILES = S([str(CHECKOUT / "README.md"), str(CHECKOUT / "README.md" / "x")])
LINES = [
    ("figures|site", "--profile", NONSENSE),
    ("figures", "--profile=smoke|--profile=paper", "--only", NONSENSE),
    ("chapter", NONSENSE, "--profile", NONSENSE),
    ("chapter|diagnose|profiles|nothing", NONSENSE),
    ("diagnose", "he4", "--dim", DIMS),
    ("diagnose", "he4|xor4", "--out", FILES),
]
WORDED = [
    st.tuples(*(S(x.split("|")) if isinstance(x, str) else x for x in line)) for line in LINES
]
COMMANDS = st.lists(NONSENSE, max_size=3) | st.one_of(WORDED)


@settings(fuzz, max_examples=60)
@given(arguments=COMMANDS)
def test_bad_commands_end_with_code_2_and_one_line(arguments, capsys, monkeypatch):
    refused(arguments, capsys, monkeypatch)


@pytest.mark.parametrize(
    "arguments", [("profiles", "\n"), ("diagnose", "he4", "--dim", "8", "--out", "a" * 300)]
)
def test_other_bad_commands_end_with_code_2_and_one_line(arguments, capsys, monkeypatch):
    refused(arguments, capsys, monkeypatch)


def refused(arguments, capsys, monkeypatch):
    monkeypatch.delenv("POC_BOOK_PARENT", raising=False)
    try:
        code = main(list(arguments))
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr().err
    assert code == 2 and said.count("\n") == 1 and "Traceback" not in said, said

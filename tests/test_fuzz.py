"""Junk for the functions that users call first: one argument at a time is replaced.

`TABLE` has the kinds of checks, each where one or two functions make it: a good value, values that
must be refused in one line naming the argument, and odd ones: the good value in another type, which
must give the same answer, and extreme ones, which are refused or get a finite answer. Checks that
only one function makes are tested beside it. Objects of another class are for mypy."""

import faulthandler
import re
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from conftest import CHECKOUT
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from poc_book.balanced import worst_l1_growth
from poc_book.checks import BadInput, declared
from poc_book.cli import main
from poc_book.coupling import couple
from poc_book.diagnose import diagnose, load_problem
from poc_book.finite_width import flow, sgd
from poc_book.fluctuations import function_error_law
from poc_book.langevin import langevin
from poc_book.mean_field import solve
from poc_book.model import Atoms, Gaussian, Hermite, Measure, Monomials, Problem
from poc_book.problems import PROBLEMS, he, random_teachers
from poc_book.results import check_dataset, load
from poc_book.settings import SWEEP, find_chapters, read_settings, resolve
from poc_book.single_index import escape_times
from poc_book.sphere import uniform
from poc_book.stability import j_avg, local_hessian

fuzz = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    max_examples=30,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)


@pytest.fixture(autouse=True)
def in_time():
    "A test that hangs ends its process, also in compiled code, where no handler of Python's runs."
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


class Later(partial):
    "A value that is made when a test asks for it."


class Arg(NamedTuple):
    "The kind of a check, a good value, a strategy of bad ones, odd ones, what else an error may name."

    kind: str
    good: Any
    bad: st.SearchStrategy
    odd: tuple = ()
    names: tuple[str, ...] = ()


# --- the kinds of checks ---
S = st.sampled_from
REALS = st.floats(allow_nan=False, allow_infinity=False)
NOT_FINITE = S([np.nan, np.inf, -np.inf])
TINY, SMALL, LARGE, HUGE = 5e-324, 1e-300, 1e300, 1e308

WORDS = S([None, "3", "", b"3", {}, {1}, object(), [None], ["a"], ..., len])
ARRAYS = np.array(1j), np.array([None, 1.0]), np.array(["a"]), np.array([1 + 1j, 2])
SHAPELESS = WORDS | S([1j, [[1.0], [1.0, 2.0]], *ARRAYS])


def whole(good, least=1, even=False, **names):
    wrong = st.integers(max_value=least - 1) | st.lists(st.integers(), max_size=2)
    wrong |= st.booleans() | REALS | NOT_FINITE | S([10**30, 2**31, 10**400]) | SHAPELESS
    if even:
        wrong |= st.integers(0, 99).map(lambda k: 2 * k + 1)
    kind = "even number" if even else "whole number"
    return Arg(kind, good, wrong, (np.int64(good), np.uint16(good)), **names)


def positive(good, **names):
    wrong = st.floats(max_value=0.0) | NOT_FINITE | st.booleans() | SHAPELESS
    wrong |= S([10**400, np.complex128(1), [good], np.ones(2)])
    odd = np.float32(good), np.float64(good), TINY, SMALL, LARGE, 0.9 * HUGE
    return Arg("positive", good, wrong, odd, **names)


def between(good, low, high):
    "A number that must not be clearly outside [low, high]."
    wrong = st.floats(max_value=low - 0.01) | st.floats(min_value=high + 0.01)
    odd = np.float32(good), low, low + TINY, high
    return Arg("between", good, wrong | NOT_FINITE | SHAPELESS, odd)


def share(good):
    own = positive(good)
    return own._replace(kind="share", bad=own.bad | S([1.0, 1.5, 1e9]))


def optional(own):
    return own._replace(kind="optional " + own.kind, bad=own.bad.filter(lambda x: x is not None))


def times(good=(0.0, 0.5, 1.0), **names):
    falls = lambda t: t[0] < 0 or np.any(np.diff(t) <= 0)
    wrong = st.lists(st.floats(-10, 10), min_size=1, max_size=4).filter(falls)
    wrong |= S([[], (), 1.0, [0.0, 0.0], [1.0, 0.5], [[0.0, 1.0]]])
    wrong |= S([[0.0, np.nan], [0.0, np.inf], [False, True], ["1", "2"]])
    same = tuple(good), np.array(good), jnp.array(good), np.array(good, np.float32)
    near = [*good[:-2], np.nextafter(good[-1], 0), good[-1]]
    far = [np.array(good) * size for size in (SMALL, LARGE, HUGE / good[-1])]
    return Arg("times", list(good), wrong | SHAPELESS, (*same, near, *far), **names)


def vector(good, *bad, **names):
    "An array of finite numbers."
    good = np.array(good, float)
    here = np.arange(good.size).reshape(good.shape)
    put = lambda i, x: np.where(here == i, x, good)
    wrong = st.tuples(st.integers(0, good.size - 1), NOT_FINITE).map(lambda p: put(*p))
    wrong |= S([*(good.astype(t) for t in (complex, str, object, bool)), *bad])
    same = good.tolist(), tuple(good), jnp.asarray(good), good.astype("f4"), np.asfortranarray(good)
    one = [put(0, x) for x in (0.0, TINY, SMALL, LARGE, HUGE, -HUGE)]
    signs = np.where(here % 2, HUGE, -HUGE)
    far = SMALL * good, LARGE * good, 0 * good + HUGE, 0 * good - HUGE, signs
    return Arg("vector", good, wrong | SHAPELESS, (*same, *one, *far), **names)


def points(**names):
    "Four unit vectors of four coordinates."
    w = np.random.default_rng(0).normal(size=(4, 4))
    w /= np.linalg.norm(w, axis=1)[:, None]
    shapes = [], w[0], w[None], w[:, :-1], np.zeros_like(w), np.eye(2), np.zeros((0, 4)), 1.0
    scaled = st.floats(-3, 3).filter(lambda s: abs(abs(s) - 1) > 1e-2).map(lambda s: s * w)
    same = w.tolist(), tuple(w), jnp.asarray(w), w.astype(np.float32), np.asfortranarray(w)
    odd = *same, np.eye(4), np.eye(4, dtype=int), np.maximum(np.eye(4), TINY)
    bad = vector(w, *shapes).bad | scaled
    return Arg("sphere points", w, bad, odd, **names)


def one_of(kind, good, *bad, **names):
    return Arg(kind, good, S(bad) | SHAPELESS | REALS, **names)


def flag():
    wrong = S([None, 1, 0, "yes", 1.0, [True], np.ones(2, bool)]) | SHAPELESS
    return Arg("flag", False, wrong, (np.bool_(False),))


def function(good):
    wrong = S([1, "relu", [len]]) | WORDS.filter(lambda x: not callable(x))
    return Arg("function", good, wrong)


def made(kind, good, *bad, **names):
    "An object of the library, and others that are not to be taken for it."
    return Arg(kind, good, S(bad), **names)


# --- small objects of the library ---
he4, circle, xor = (Later(cache(partial(PROBLEMS[k], 4))) for k in ("he4", "circle", "xor4"))
mixed = Later(cache(partial(random_teachers, 6)))
limit = Later(cache(lambda: solve(he4(), [0.0, 0.5, 1.0])))
shorter = Later(cache(lambda: solve(he4(), [0.0, 1.0])))
particles = Later(cache(lambda: solve(mixed(), [0.0, 0.5, 1.0], particles=64)))
ring = Later(cache(lambda: solve(circle(), [0.0, 0.5, 1.0])))
measure = Later(Measure, np.eye(4))

split = Later(lambda: jax.random.split(jax.random.key(0)))
old_key = jnp.zeros(2)
KEY = made("key", Later(jax.random.key, 0), None, 3, "key", split, old_key, object())

FOUR_GAUSSIANS, FIVE_GAUSSIANS = Later(Gaussian, 4), Later(Gaussian, 5)
ONE_DIRECTION = made("limit", limit, particles, ring, names=("problem",))
RADIAL = made("problem of a kind", he4, xor, mixed)
LINK = Later(Hermite, 4, 1.0)
ONE_ATOM = Later(Atoms, np.eye(1, 4), [1.0], Hermite(4, 1.0))
EIGHT_BITS = Later(Monomials, ((0, 7),), (1.0,))
RISING = [], [8, 4], [4, 4], [0], [2.5], [True], 4, [99], "4"
NO_FILES = "", "/", "a" * 300, "a\0b", str(CHECKOUT / "README.md")
OTHER_DATA = None, "x", {}, np.ones(2), xr.DataArray(1.0), xr.Dataset(dict(x=np.nan))
NOT_SEMIDEFINITE = [[0.0, 1.0], [-1.0, 0.0]], [[-1.0, 0.0], [0.0, 1.0]]
W0, TIMES = points().good, [0.0, 0.5, 1.0]

# arguments that are no `Arg` are not replaced
TABLE: dict[Any, dict[str, Any]] = {
    he: dict(degree=whole(4, 2, even=True), dim=whole(4, 3)),
    uniform: dict(
        key=KEY,
        m=whole(3),
        dim=4,
        dtype=optional(one_of("name", "float64", "int32", "complex64", "real", int, bool)),
    ),
    Measure: dict(
        points=points(names=("weights",)),
        weights=optional(vector(np.full(4, 0.25), [1.0], 1.0, [[1.0] * 4])),
    ),
    Problem: dict(
        inputs=made("problem of a kind", FOUR_GAUSSIANS, FIVE_GAUSSIANS, names=("teacher",)),
        activation=function(LINK),
        scale=positive(1.0),
        signed=flag(),
        name=made("name", "mine", 1, b"mine", None, 1.5),
        teacher=made("problem of a kind", ONE_ATOM, EIGHT_BITS, names=("dim",)),
    ),
    Problem.velocity: dict(
        self=he4, w=vector(np.eye(4), np.eye(3), 1.0, []), rho=made("measure", measure, np.eye(3))
    ),
    solve: dict(problem=he4, times=times(), tol=1e-4, particles=whole(64, 2), seed=0),
    flow: dict(problem=he4, w0=points(), times=times(), tol=optional(positive(1e-4))),
    sgd: dict(problem=he4, reference_width=8, time=0.2, records=3, test=8, repeats=1)
    | dict(
        key=KEY,
        widths=one_of("widths", [4, 8], *RISING),
        samples=optional(whole(16)),
        batch=whole(8, names=("samples",)),
        step=positive(0.1, names=("time",)),
        order=one_of("name", "drawn", "sorted", ""),
        checkpoint=made("path", None, 3, b"3", {}, object(), ["a"], "", "/", CHECKOUT),
    ),
    couple: dict(problem=he4, w0=points(), times=times(), mean_field=made("limit", limit, shorter)),
    local_hessian: dict(limit=limit, t=between(0.5, 0.0, 1.0), w=points()),
    j_avg: dict(limit=limit, w0=W0, times=TIMES, tau=positive(0.5), candidates=2, starts=1, seed=0),
    escape_times: dict(limit=ONE_DIRECTION, quantiles=[0.5, 0.9], level=share(0.5)),
    worst_l1_growth: dict(
        H=vector([[2.0, 1.0], [1.0, 2.0]], *NOT_SEMIDEFINITE, [1.0], 1.0, [], np.ones((2, 3))),
        times=times(),
        tol=positive(1e-2),
    ),
    function_error_law: dict(problem=RADIAL, times=times(), tol=0.1),
    langevin: dict(problem=he4, noise=positive(0.1), times=TIMES, cells=64, tol=0.1),
    diagnose: dict(max_time=0.1, repeats=2, particles=64, seed=0, tau=0.5)
    | dict(
        problem=made("problem of a kind", he4, None, "he4", 3),
        share=share(0.9),
        widths=one_of("widths", [4, 8], [4], [1, 2], *RISING),
        neurons=whole(4, 2),
    ),
    load: dict(path=one_of("path", None, "nothing.nc", *NO_FILES)),
    load_problem: dict(name=one_of("path", "he4", "he5", "none.py", *NO_FILES, names=("problem",))),
    check_dataset: dict(data=made("dataset", xr.Dataset(dict(x=1.0)), *OTHER_DATA)),
}
ARGS = [(f, field, x) for f, row in TABLE.items() for field, x in row.items() if type(x) is Arg]
KINDS = sorted({arg.kind for *_, arg in ARGS})
SLOW = solve, flow, sgd, couple, j_avg, escape_times, function_error_law, langevin, diagnose


def grown(value):
    return value() if type(value) is Later else value


def good(f) -> dict[str, Any]:
    return {k: grown(x.good if type(x) is Arg else x) for k, x in TABLE[f].items()}


def ask(f, **own):
    "A function's answer to good arguments, some replaced."
    return f(**good(f) | {k: grown(x) for k, x in own.items()})


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


def check_refusal(f, field: str, arg: Arg, value):
    with pytest.raises(BadInput) as error:
        ask(f, **{field: value})
    one_line(error.value, (field, *arg.names))


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_refused_in_one_line_that_names_it(kind):
    for f, field, arg in ARGS:
        if arg.kind == kind:
            fuzz(given(value=arg.bad)(lambda value: check_refusal(f, field, arg, value)))()


@cache
def usual(f) -> list[np.ndarray]:
    return numbers(ask(f))


def agree(found: list[np.ndarray], known: list[np.ndarray], loose: float) -> bool:
    "Whether arrays are the same but for a share of their largest numbers."
    near = lambda x, y: np.abs(x - 1.0 * y) <= loose * np.max(np.abs(y), initial=1e-300)
    shapes = [x.shape for x in found] == [y.shape for y in known]
    return shapes and all(np.all(near(x, y)) for x, y in zip(found, known))


def check_odd_value(f, field: str, arg: Arg, value):
    "It is refused, or gets a finite answer; the good value in another type gets the same answer."
    alike = np.shape(value) == np.shape(arg.good) and not isinstance(arg.good, str)
    same = alike and np.allclose(value, arg.good, 1e-6, 0)
    try:
        found = numbers(ask(f, **{field: value}))
    except BadInput as error:
        one_line(error, (field, *arg.names))
        assert not same, error
        return
    assert all(np.all(np.isfinite(x)) for x in found), (value, found)
    loose = 1e-4 if np.asarray(value).dtype == np.float32 else 1e-9
    assert not same or agree(found, usual(f), loose), (value, found)


@pytest.mark.slow
@pytest.mark.any_type
@pytest.mark.parametrize("kind", sorted({x.kind for f, _, x in ARGS if x.odd and f not in SLOW}))
def test_odd_values_are_refused_or_get_a_finite_answer_and_in_another_type_the_same(kind):
    for f, field, arg in ARGS:
        if arg.kind == kind and f not in SLOW:
            for value in arg.odd:
                check_odd_value(f, field, arg, value)


FAR = [(sgd, "step", TINY), (j_avg, "tau", LARGE), (langevin, "noise", LARGE)]
named = partial(pytest.mark.parametrize, ids=lambda x: getattr(x, "__qualname__", None))


@named(("f", "field", "value"), FAR)
def test_extreme_values_are_refused_by_functions_too_slow_to_be_asked_more(f, field, value):
    check_refusal(f, field, TABLE[f][field], value)


@pytest.mark.slow
@named("f", [solve, flow, sgd, couple, j_avg, function_error_law, langevin, diagnose])
def test_where_jax_is_told_to_promote_nothing_the_answer_is_the_same(f):
    "Of `diagnose`, which answers with a page: there is one."
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        found = numbers(ask(f))
    known = [] if f is diagnose else usual(f)
    assert all(np.array_equal(x, y, True) for x, y in zip(found, known, strict=True))


@named("f", [solve, sgd, Problem.velocity, uniform, worst_l1_growth])
def test_without_double_precision_a_function_says_so_or_does_not_need_it(f):
    known = usual(f)
    with jax.enable_x64(False):
        try:
            found = numbers(ask(f))
        except BadInput as error:
            return one_line(error, ("jax_enable_x64",))
    assert agree(found, known, 1e-9)


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
@named("f", [solve, sgd, couple, local_hessian, function_error_law, diagnose])
def test_what_jax_traces_is_taken_or_refused_in_words(f):
    values = good(f)
    for field, value in values.items():
        if (array := as_array(value)) is None:
            continue
        try:
            jax.eval_shape(lambda x: (f(**{**values, field: x}), x)[1], array)
        except BadInput as error:
            one_line(error, (field, *getattr(TABLE[f][field], "names", ())))
            assert str(error).endswith(": a concrete value: not under jit, grad or vmap")


# --- settings.ini ---
CHAPTERS = find_chapters(CHECKOUT)
STEMS = {name: page.notebook.stem for name, page in CHAPTERS.items()}
DEFAULTS = {name: declared(page.notebook) | {"problem": "he4"} for name, page in CHAPTERS.items()}
DEFAULTS["sweep"] = SWEEP
SECTIONS = read_settings(CHECKOUT / "settings.ini")
CHAPTER_OF = {section: section.partition(":")[2] or "01_sphere" for section in SECTIONS}
KEYS = sorted({(f"p:{CHAPTER_OF[s]}", k) for s, values in SECTIONS.items() for k in values})

JUNK = "", "~", "text", "[]", "{}", ".nan", ".inf", "-.inf", "1.5", "true", "[1, two]", "[[1]]"
JUNK += "{a: 1}", "1e999", "2001-01-01", "0x1F", "&a [*a]", "[1", "'", "=", "%(x)s", "${x}", "- 1"
JUNK += "? 1", "`", "\x01"
JUNK += "2001-99-99", "0b_", "1" * 400, "9" * 5000  # which Python cannot hold


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
            assert type(value) is type(default) and value == value
            assert repr(value) not in ("inf", "-inf")


def test_junk_under_every_key_of_the_settings_is_refused_or_typed(tmp_path):
    for text in JUNK:
        check_settings(tmp_path / "settings.ini", KEYS, text)


def test_settings_in_another_encoding_are_refused(tmp_path):
    (tmp_path / "settings.ini").write_bytes(b"[p]\nseed = \xff\n")
    with pytest.raises(BadInput, match="settings"):
        read_settings(tmp_path / "settings.ini")


CONTROLS = "Cc", "Cs", "Zl", "Zp"
PRINTED = st.text(st.characters(codec="utf-8", exclude_categories=CONTROLS), max_size=20)
LISTS = st.lists(st.integers() | st.text("ab#:-[", max_size=3), max_size=3)
WRITTEN = PRINTED | (st.floats() | st.integers(-(10**20), 10**20) | LISTS).map(str)


@settings(fuzz, max_examples=300)
@given(place=S(KEYS), text=WRITTEN)
def test_any_text_under_a_key_of_the_settings_is_refused_or_typed(place, text, tmp_path_factory):
    check_settings(tmp_path_factory.getbasetemp() / "settings.ini", [place], text)


# --- the command line ---
NAMES = {*CHAPTERS, *STEMS.values(), "smoke", "reader", "paper", *PROBLEMS}
ODD = ["a" * 300, "../he4", "x.py", "/", "--profile", "--", "\0", "he4.py", "$(touch x)", "-1"]
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


@settings(fuzz, max_examples=60)
@example(arguments=("profiles", "\n"))
@example(arguments=("diagnose", "he4", "--dim", "8", "--out", "a" * 300))
@given(arguments=st.lists(NONSENSE, max_size=3) | st.one_of(WORDED))
def test_bad_commands_end_with_code_2_and_one_line(arguments, capsys, monkeypatch):
    monkeypatch.delenv("POC_BOOK_PARENT", raising=False)
    try:
        code = main(list(arguments))
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr().err
    assert code == 2 and said.count("\n") == 1 and "Traceback" not in said, said

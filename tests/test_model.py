"What a reader's own functions and labels must be."

import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from annotated import any_type

from poc_book.checks import BadInput
from poc_book.finite_width import flow, sgd, sgd_step
from poc_book.mean_field import solve
from poc_book.model import (
    Atoms,
    Gaussian,
    Hermite,
    Measure,
    Monomials,
    Problem,
    Sample,
    SoftPlus,
)
from poc_book.problems import PROBLEMS, Labels, he
from poc_book.sphere import integrate, module_of, uniform

GOOD = dict(inputs=Gaussian(4), activation=SoftPlus(), teacher=lambda x: x[:, 0])
FIVE = Sample(np.random.default_rng(0).normal(size=(5, 4)))
with any_type():
    COLUMN, TABLE, LIST = (Labels(x) for x in (np.zeros((5, 1)), np.zeros((5, 10)), [0.0] * 5))


@pytest.mark.parametrize(
    "own, words",
    [
        (dict(teacher=lambda x: x[:, :1]), "teacher(x).shape = (2, 1): (2,), one number for each"),
        (dict(teacher=lambda x: x), "teacher(x).shape = (2, 4)"),
        (dict(teacher=lambda x: jnp.sum(x)), "teacher(x).shape = ()"),
        (dict(teacher=lambda x: 1.0), "teacher(x) = 1.0: an array of shape (2,)"),
        (dict(teacher=lambda x: [1.0, 2.0]), "teacher(x) = [1.0, 2.0]: an array"),
        (dict(teacher=lambda x: 1j * x[:, 0]), "teacher(x).dtype = 'complex128': real numbers"),
        (
            dict(activation=lambda z: z.sum(-1)),
            "activation(z).shape = (2,): (2, 3), one number for each",
        ),
        (dict(inputs=FIVE, teacher=COLUMN), "teacher(x).shape = (5, 1): (5,)"),
        (dict(inputs=FIVE, teacher=TABLE), "teacher(x).shape = (5, 10): (5,)"),
        (dict(inputs=FIVE, teacher=Labels(np.zeros(4))), "teacher(x).shape = (4,): (5,)"),
        (dict(inputs=FIVE, teacher=LIST), "teacher(x) = [0.0, 0.0, 0.0, 0.0, 0.0]: an array"),
    ],
    ids=range(11),
)
def test_functions_and_labels_of_a_wrong_shape_are_refused_at_once(own, words):
    with pytest.raises(BadInput) as error:
        Problem(**GOOD | own)
    assert str(error.value).startswith(words)


def test_functions_of_the_right_shape_are_taken():
    labelled = dict(inputs=FIVE, teacher=Labels(np.ones(5)))
    for own in (dict(), dict(activation=jnp.tanh), dict(teacher=lambda x: x[:, 0] > 0), labelled):
        Problem(**GOOD | own)


@pytest.mark.parametrize(
    "ask, words",
    [
        (lambda p, w: p.risk(w), "rho = 'ndarray (3, 4)': a Measure, as problem.measure(points)"),
        (lambda p, w: p.function_error(p.measure(w), w), "other = 'ndarray (3, 4)': a Measure"),
        (lambda p, w: p.velocity(w, w), "rho = 'ndarray (3, 4)': a Measure"),
        (
            lambda p, w: p.velocity(w[0], p.measure(w)),
            "w.shape = (4,): (n, 4), a row for each point",
        ),
        (lambda p, w: p.potential(w[0], p.measure(w)), "w.shape = (4,): (n, 4)"),
        (lambda p, w: p.output(p.measure(w), w[0]), "x.shape = (4,): (n, 4)"),
        (lambda p, w: p.risk(p.measure(w[0])), "points.shape = (4,)"),
    ],
    ids=range(7),
)
def test_points_for_a_measure_and_a_point_for_rows_are_named(ask, words):
    with pytest.raises(BadInput) as error:
        ask(he(4, 4), np.eye(3, 4))
    assert str(error.value).startswith(words)


H4, LINE = Hermite(4, 1.0), np.eye(1, 4)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Hermite([2, 2], [1.0, 0.5]), "degrees = (2, 2): distinct degrees"),
        (lambda: Hermite([2, 4], [1.0]), "degrees = (2, 4)"),
        (lambda: Hermite([2.5], [1.0]), "degree = 2.5"),
        (lambda: Hermite([2], [np.nan]), "coefficients = "),
        (lambda: Atoms(2 * LINE, [1.0], H4), "teacher = 'row of norm 2'"),
        (lambda: Atoms(LINE, [1.0, 1.0], H4), "teacher.weights.shape = (2,): one per atom"),
        (lambda: Atoms(LINE, [np.inf], H4), "teacher.weights = "),
        (lambda: Atoms(LINE, [1.0], "relu"), "link = 'relu'"),
        (lambda: Monomials((), (1.0,)), "sets = (): a tuple of index tuples"),
        (lambda: Monomials((0, 1), (1.0, 1.0)), "sets = 0: tuples of indices"),
        (lambda: Monomials(((-1,),), (1.0,)), "sets = -1"),
        (lambda: Monomials(((0, 1),), (1.0, 2.0)), "coefficients = (1.0, 2.0): a tuple"),
        (lambda: Sample(np.ones(3)), "points.shape = (3,)"),
    ],
    ids=range(13),
)
def test_parts_of_a_problem_that_do_not_fit_are_refused(make, words):
    with pytest.raises(BadInput) as error:
        make()
    assert str(error.value).startswith(words)


FLAGS = [dict(JAX_DEFAULT_PRNG_IMPL="rbg"), dict(JAX_THREEFRY_PARTITIONABLE="0")]


def test_the_book_s_own_draws_do_not_depend_on_jax_s_flags():
    code = """if True:
        import numpy as np
        from poc_book.model import Gaussian
        from poc_book.problems import random_teachers
        print(np.asarray(random_teachers(6).teacher.points).tobytes().hex(), np.asarray(Gaussian(4).nodes())[:8].tobytes().hex())
    """
    command, pipe = [sys.executable, "-c", code], dict(capture_output=True, text=True, check=True)
    run = lambda own: subprocess.run(command, env=os.environ | own, **pipe)
    plain, *others = [run(own).stdout for own in ({}, *FLAGS)]
    assert len(plain) > 500 and others == [plain, plain]


def slope(f, w, direction, h=1e-5):
    "The derivative of f at w in a direction, by differences of fourth order."
    at = [float(f(w + k * h * direction)) for k in (-2, -1, 1, 2)]
    return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_risk_also_after_a_step_of_sgd_can_be_differentiated_compiled_and_mapped(name):
    problem = PROBLEMS[name](6)
    w, direction = uniform(jax.random.key(0), 4, 6), np.random.default_rng(0).normal(size=(4, 6))
    x = np.asarray(uniform(jax.random.key(1), 8, 6)) * 6**0.5
    risk = lambda w: problem.risk(
        Measure(w / module_of(w).linalg.norm(w, axis=1, keepdims=True), None, problem.signs(4))
    )

    def after_a_step(w):
        w = sgd_step(problem, w, x, x[:, 0], 0.01)
        return problem.risk(problem.measure(w))

    for f in (risk, after_a_step)[: 1 + (name in ("he4", "xor4"))]:
        found, known = float(np.sum(jax.grad(f)(w) * direction)), slope(f, w, direction)
        assert abs(found - known) < 1e-8 * max(1, abs(known)), (found, known)
    many = np.stack([w, w[::-1]])
    assert np.allclose(jax.jit(jax.vmap(risk))(many), [risk(v) for v in many], rtol=1e-12)


def run_sgd(**own):
    sizes = dict(
        key=KEY, widths=[2], reference_width=4, samples=8, batch=4, step=0.1, time=0.2, test=4
    )
    return sgd(he(4, 4), **sizes | own).risk.values


W0, KEY = np.eye(4), jax.random.key(0)
CONCRETE = {
    "times": lambda x: solve(he(4, 4), [0.0, x]).risk,
    "tol": lambda x: solve(he(4, 4), [0.0, 1.0], tol=x).risk,
    "w0": lambda x: flow(he(4, 4), x * W0, [1.0]).risk,
    "m": lambda x: uniform(jax.random.key(0), x, 4),
    "velocity": lambda x: integrate(lambda t, w: x * 0 * w, W0, [1.0], 1e-3),
    "widths": lambda x: run_sgd(widths=[x]),
    "step": lambda x: run_sgd(step=x),
    "beta": lambda x: SoftPlus(x)(1.0),
}


@pytest.mark.parametrize("field", CONCRETE)
@pytest.mark.parametrize("transform", [jax.jit, jax.grad, jax.vmap])
def test_what_chooses_its_own_steps_needs_numbers_and_says_so(field, transform):
    with pytest.raises(BadInput) as error:
        transform(CONCRETE[field])(np.ones(2) if transform is jax.vmap else 1.0)
    assert str(error.value).startswith(f"{field} = ") and "not under jit, grad or vmap" in str(
        error.value
    ), error.value


def test_a_problem_whose_numbers_are_traced_is_refused_where_its_limit_is_solved():
    for call in (lambda p: solve(p, [0.0, 1.0]).risk, lambda p: flow(p, W0, [1.0]).risk):
        with pytest.raises(BadInput, match=r"^problem = .*not under jit"):
            eqx.filter_jit(call)(he(4, 4))

"""What the parts of a problem must be, and its forces and risk: closed forms against quadrature and
samples, gradients against differences."""

import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from annotated import any_type

from poc_book.activations import expand
from poc_book.checks import BadInput
from poc_book.diagnose import diagnose, lowest_degree
from poc_book.finite_width import flow, sgd, sgd_step
from poc_book.mean_field import solve
from poc_book.model import (
    Atoms,
    Boolean,
    Gaussian,
    Hermite,
    Measure,
    Monomials,
    MultiIndex,
    Problem,
    Sample,
    SoftPlus,
)
from poc_book.problems import PROBLEMS, Labels, he
from poc_book.sphere import integrate, module_of, own_key, uniform

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
    ids=range(9),
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


RELU, ERF, SIGN = jax.nn.relu, jax.scipy.special.erf, jnp.sign
HARD_TANH = lambda z: jnp.clip(z, -1, 1)
STEP = lambda z: jnp.where(z > 0, 1.0, 0.0)


def learner(activation, link, dim: int = 24, points=None, weights=(1.0,)) -> Problem:
    return Problem(
        Gaussian(dim),
        activation,
        Atoms(np.eye(1, dim) if points is None else points, weights, link),
    )


def test_a_closed_form_says_what_samples_and_differences_say():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(100_000, 6)), uniform(own_key(1), 30, 6)
    for activation, link in (
        (RELU, jnp.tanh),
        (jnp.tanh, SIGN),
        (Hermite([0, 3], [0.3, 1.0]), RELU),
        (HARD_TANH, ERF),
    ):
        problem = learner(activation, link, 6, np.eye(2, 6), (0.7, 0.3))
        assert problem.closed_form and not problem.sampled
        rho = problem.measure(w)
        loss = (problem.output(rho, x) - np.asarray(problem.teacher(jnp.asarray(x)))) ** 2
        assert abs(problem.risk(rho) - loss.mean()) < 5 * loss.std() / np.sqrt(len(x))
        v = problem.velocity(w, rho)
        moved = [
            problem.risk(problem.measure((w + h * v) / np.linalg.norm(w + h * v, axis=1)[:, None]))
            for h in (-1e-5, 1e-5)
        ]
        assert (moved[1] - moved[0]) / 4e-5 == pytest.approx(-np.mean(np.sum(v * v, 1)), rel=1e-6)


def test_the_risk_of_kinked_neurons_can_be_differentiated():
    "Also though every neuron meets itself, where arc sines have infinite slopes."
    problem, w = learner(RELU, RELU, 6), uniform(own_key(1), 5, 6)
    gradient = jax.jit(jax.grad(lambda w: problem.risk(problem.measure(w))))(w)
    tangent = gradient - np.sum(gradient * w, 1, keepdims=True) * w
    np.testing.assert_allclose(
        tangent, -2 / 5 * problem.velocity(w, problem.measure(w)), atol=1e-12
    )


def test_a_jump_has_no_slope_to_follow():
    w = uniform(own_key(0), 8, 24)
    for jumps in (SIGN, STEP, lambda z: jnp.floor(2 * z + 0.5)):
        problem = learner(jumps, RELU)
        for ask in (
            lambda: problem.velocity(w, problem.measure(w)),
            lambda: flow(problem, w, [0.0, 1.0]),
            lambda: solve(problem, [0.0, 1.0]),
            lambda: diagnose(problem),
        ):
            with pytest.raises(BadInput, match=r"^activation = .*: a function without jumps"):
                ask()


def test_the_teachers_force_on_a_large_cube_is_exact():
    cube = Boolean(10)
    teacher = Monomials(((0,), (0, 1, 2, 3), (), (1, 1, 2, 4)), (0.25, 0.75, 0.1, 0.3))
    small = Problem(cube, SoftPlus(16.0), teacher, 8.0, True)
    large = Problem(Boolean(20, 64), SoftPlus(16.0), teacher, 8.0, True)
    w = uniform(own_key(4), 12, 10)
    wide = np.pad(w, ((0, 0), (0, 10)))  # what does not look at the other bits sees the small cube
    np.testing.assert_allclose(large.correlation(wide), small.correlation(w), atol=1e-13)
    # the same sample, no teacher
    rest = Problem(Boolean(20, 64), SoftPlus(16.0), Monomials(((0,),), (0.0,)), 8.0, True)
    none = Problem(cube, SoftPlus(16.0), Monomials(((0,),), (0.0,)), 8.0, True)
    pull = lambda problem, w: problem.velocity(w, problem.measure(w))
    np.testing.assert_allclose(
        (pull(large, wide) - pull(rest, wide))[:, :10], pull(small, w) - pull(none, w), atol=1e-12
    )


def test_velocities_on_a_large_cube_keep_single_precision():
    teacher = Monomials(((0,), (0, 1, 2, 3), (), (1, 2)), (0.25, 0.75, 0.1, 0.3))
    problem = Problem(Boolean(16), SoftPlus(16.0), teacher, 8.0, True)
    w = uniform(own_key(0), 6, 16)
    exact, single = (problem.velocity(x, problem.measure(x)) for x in (w, w.astype(np.float32)))
    assert single.dtype == np.float32
    assert np.abs(single - exact).max() < 1e-5 * np.abs(exact).max()


def test_a_teacher_of_named_directions_is_as_by_brute_force():
    """By brute force over Gaussian samples, by differences, and against atoms where they say the
    same."""
    rng, w = np.random.default_rng(1), uniform(own_key(3), 40, 8)
    V = np.linalg.qr(rng.normal(size=(8, 2)))[0].T
    g = lambda u: jnp.tanh(u[:, 0]) * u[:, 1] + 0.5 * jnp.cos(u[:, 0] + u[:, 1])
    problem = Problem(Gaussian(8), RELU, MultiIndex(V, g))
    assert problem.closed_form and lowest_degree(problem) == 2
    x, rho = rng.normal(size=(200_000, 8)), problem.measure(w)
    loss = (problem.output(rho, x) - np.asarray(problem.teacher(jnp.asarray(x)))) ** 2
    assert abs(problem.risk(rho) - loss.mean()) < 5 * loss.std() / np.sqrt(len(x))
    v, h = problem.velocity(w, rho), 1e-5
    moved = [
        problem.risk(problem.measure((w + e * v) / np.linalg.norm(w + e * v, axis=1)[:, None]))
        for e in (-h, h)
    ]
    assert (moved[1] - moved[0]) / (4 * h) == pytest.approx(-np.mean(np.sum(v * v, 1)), rel=1e-6)

    cubic = Hermite(3, 1.0)
    pair = Problem(
        Gaussian(8), jnp.tanh, MultiIndex(V, lambda u: 0.7 * cubic(u[:, 0]) + 0.3 * cubic(u[:, 1]))
    )
    atoms = Problem(Gaussian(8), jnp.tanh, Atoms(V, [0.7, 0.3], cubic))
    np.testing.assert_allclose(pair.velocity(w, rho), atoms.velocity(w, rho), atol=1e-12)
    assert pair.risk(rho) == pytest.approx(atoms.risk(rho), abs=1e-12)
    kinked = lambda u: jnp.abs(u[:, 0] * u[:, 1] - 0.3)
    assert Problem(Gaussian(8), RELU, MultiIndex(V, kinked)).sampled
    for wrong, words in (
        (np.eye(1, 8), "2 to 4 directions"),
        (np.eye(8)[[0, 0]], "orthonormal rows"),
    ):
        with pytest.raises(BadInput, match=words):
            MultiIndex(wrong, g)


def test_what_a_series_cannot_hold_has_no_closed_form():
    """Mass beyond the grid, nothing at all, series that leave out too much, jumps that steep parts
    hide."""
    for f in (
        lambda z: jnp.exp(z * z / 4.2),
        lambda z: jnp.exp(5 * z),
        lambda z: z**80 / 1e60,
        lambda z: 1e-160 * jnp.tanh(z),
    ):
        assert expand(f) is None and learner(f, RELU).sampled
    for f in (lambda z: jnp.sign(z) + 0.5 * jnp.sin(40 * z), lambda z: jnp.tanh(3e8 * z)):
        assert not learner(f, RELU).closed_form
    hidden = learner(lambda z: jnp.sin(40 * z) + 3 * (z > 0.37), RELU)
    w = uniform(own_key(0), 4, 24)
    with pytest.raises(BadInput, match="without jumps"):
        hidden.velocity(w, hidden.measure(w))


def test_what_is_no_function_of_each_number_is_refused():
    for wrong, words in (
        (lambda z: z / jnp.abs(z).max(), "a function of each number by itself"),
        (lambda z: z > 0, "dtype = 'bool': floating"),
        (lambda z: (0 * z).astype(int), "dtype = 'int64': floating"),
    ):
        with pytest.raises(BadInput, match=words):
            learner(wrong, RELU)
    constant = Problem(Boolean(14), SoftPlus(), Monomials(((),), (1.0,)))
    assert constant.risk(constant.measure(uniform(own_key(0), 4, 14))) > 0

"What a reader's own functions and labels must be."
import os
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from poc_book.checks import BadInput
from poc_book.model import Gaussian, Problem, Sample, SoftPlus
from poc_book.problems import Labels, he

GOOD = dict(inputs=Gaussian(4), activation=SoftPlus(), teacher=lambda x: x[:, 0])
FIVE = Sample(np.random.default_rng(0).normal(size=(5, 4)))


@pytest.mark.parametrize("own, words", [
    (dict(teacher=lambda x: x[:, :1]), "teacher(x).shape = (2, 1): (2,), one number for each"),
    (dict(teacher=lambda x: x), "teacher(x).shape = (2, 4)"),
    (dict(teacher=lambda x: jnp.sum(x)), "teacher(x).shape = ()"),
    (dict(teacher=lambda x: 1.0), "teacher(x) = 1.0: an array of shape (2,)"),
    (dict(teacher=lambda x: [1.0, 2.0]), "teacher(x) = [1.0, 2.0]: an array"),
    (dict(teacher=lambda x: 1j * x[:, 0]), "teacher(x).dtype = 'complex128': real numbers"),
    (dict(activation=lambda z: z.sum(-1)), "activation(z).shape = (2,): (2, 3), one number for each"),
    (dict(inputs=FIVE, teacher=Labels(np.zeros((5, 1)))), "teacher(x).shape = (5, 1): (5,)"),
    (dict(inputs=FIVE, teacher=Labels(np.zeros((5, 10)))), "teacher(x).shape = (5, 10): (5,)"),
    (dict(inputs=FIVE, teacher=Labels(np.zeros(4))), "teacher(x).shape = (4,): (5,)"),
    (dict(inputs=FIVE, teacher=Labels([0.0] * 5)), "teacher(x) = [0.0, 0.0, 0.0, 0.0, 0.0]: an array"),
], ids=range(11))
def test_functions_and_labels_of_a_wrong_shape_are_refused_at_once(own, words):
    with pytest.raises(BadInput) as error: Problem(**GOOD | own)
    assert str(error.value).startswith(words)


def test_functions_of_the_right_shape_are_taken():
    labelled = dict(inputs=FIVE, teacher=Labels(np.ones(5)))
    for own in (dict(), dict(activation=jnp.tanh), dict(teacher=lambda x: x[:, 0] > 0), labelled):
        Problem(**GOOD | own)


@pytest.mark.parametrize("ask, words", [
    (lambda p, w: p.risk(w), "rho = 'ndarray (3, 4)': a Measure, as problem.measure(points)"),
    (lambda p, w: p.function_error(p.measure(w), w), "other = 'ndarray (3, 4)': a Measure"),
    (lambda p, w: p.velocity(w, w), "rho = 'ndarray (3, 4)': a Measure"),
    (lambda p, w: p.velocity(w[0], p.measure(w)), "w.shape = (4,): (n, 4), a row for each point"),
    (lambda p, w: p.potential(w[0], p.measure(w)), "w.shape = (4,): (n, 4)"),
    (lambda p, w: p.output(p.measure(w), w[0]), "x.shape = (4,): (n, 4)"),
    (lambda p, w: p.risk(p.measure(w[0])), "points.shape = (4,)"),
], ids=range(7))
def test_points_for_a_measure_and_a_point_for_rows_are_named(ask, words):
    with pytest.raises(BadInput) as error: ask(he(4, 4), np.eye(3, 4))
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

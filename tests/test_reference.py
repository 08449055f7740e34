"""The reference: entry points say what they take, give and refuse, and their examples run."""

import doctest
import importlib

import griffe
import pytest
from conftest import CHECKOUT

from poc_book.reference import described

ENTRY_POINTS = """
balanced.balance balanced.potential balanced.spectral_projectors balanced.worst_l1_growth
beyond.decay beyond.sharpness coupling.couple coupling.linearise diagnose.diagnose
finite_width.flow finite_width.sgd fluctuations.function_error_law fluctuations.risk_correction
langevin.fixed_point langevin.langevin latent_law.latent_law mean_field.solve model.Measure
model.Problem model.Problem.correlation model.Problem.kernel model.Problem.potential
model.Problem.risk model.Problem.velocity problems.circle problems.he problems.misspecified
problems.random_teachers problems.staircase problems.xor single_index.time_to_risk sphere.uniform
stability.interaction_hessian stability.j_avg stability.j_max stability.local_hessian
stability.local_strong_convexity stability.stability_matrix
""".split()
PACKAGE = griffe.load("poc_book", search_paths=[CHECKOUT])


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_an_entry_point_says_what_it_takes_and_gives(name):
    part = PACKAGE[name]
    said = described(part)
    if part.is_function:
        taken = [one.name for one in part.parameters if one.name != "self"]
    else:
        fields = part.attributes.values()
        taken = [one.name for one in fields if "instance-attribute" in one.labels]
    assert [one.name for one in said["parameters"]] == taken
    assert said["text"] and ("returns" in said) == part.is_function


EXAMPLES = [n for n, module in PACKAGE.modules.items() if ">>> " in module.filepath.read_text()]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_reference_run(name):
    found = doctest.testmod(importlib.import_module(f"poc_book.{name}"))
    assert found.failed == 0
    assert found.attempted == PACKAGE[name].filepath.read_text().count(">>> ")

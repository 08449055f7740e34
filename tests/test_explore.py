"Figures that their reader moves: what a page holds of them. In a browser: `browser.py`."

import numpy as np
import pytest
import xarray as xr

from poc_book.checks import BadInput
from poc_book.explore import Curve, explorable, moving, still_picture

TIMES = np.linspace(0, 2, 5)
RATES = [1.0, 3.0]
LOOKS = dict(error=Curve("error", "#0072B2", "--", per_width=True), line=Curve("line", "#D55E00"))


def told(data: xr.Dataset, **changed) -> xr.Dataset:
    words = dict(across="time", up="size", start=dict(rate=3.0), choose=dict(rate="rate r"))
    return explorable(data, **dict(x="time", curves=LOOKS) | words | changed)


@pytest.fixture
def grid() -> xr.Dataset:
    return xr.Dataset(
        dict(
            error=(("rate", "time"), np.exp(-np.outer(RATES, TIMES))), line=("rate", [0.5, 1 / 3])
        ),
        dict(rate=RATES, time=TIMES),
    )


def test_a_grid_and_its_cases_make_one_page(grid):
    cases = grid.rename(rate="case").drop_vars("case").assign_coords(rate=("case", RATES))
    assert moving(told(grid)) == moving(told(cases))


def test_a_page_has_every_case_four_digits_and_null_where_nothing_is_known(grid):
    grid.error[1, 2] = np.nan
    page = moving(told(grid))
    assert [case["choose"] for case in page["cases"]] == [dict(rate=r) for r in RATES]
    assert page["cases"][1]["curves"]["line"] == [0.3333] * 5
    assert page["cases"][1]["curves"]["error"][1:3] == [0.2231, None]
    assert page["about"]["curves"]["error"]["dash"] and moving(grid) == {}


def test_the_still_picture_is_the_first_choice_at_the_first_width(grid):
    (ax,) = still_picture(told(grid)).axes
    error, line = ax.lines
    assert error.get_ydata() == pytest.approx(grid.error[1].values / 1024, rel=1e-3)
    assert (error.get_label(), error.get_color()) == ("error", "#0072B2")
    assert ax.get_title() == "rate r = 3.0, width m = 1024" and line.get_linestyle() == "-"


@pytest.mark.parametrize(
    "wrong", [dict(x="hour"), dict(choose=dict(speed="speed")), dict(start={}), dict(edit="H")]
)
def test_what_the_data_lack_is_refused(grid, wrong):
    with pytest.raises(BadInput, match=r"one of error, line|a value of each of"):
        told(grid, **wrong)

"""What each chapter is expected to take at the paper's sizes: `python benchmarks/paper.py`.

Prints a table and writes the part `paper` of `chapters.json`, by which `make paper` knows what still
fits before its deadline, until a chapter has run once. An estimate, not a measurement. The
experiments train on one GPU, one after the other:

- measured on an H200: runs of SGD at the paper's widths. Two side by side had half of the rate each
  that stands below (seconds between kept results, tests/test_paper.py). Factors had three parts;
  that two take in proportion to their products is extrapolated;
- guessed: the latency of kernels, and how much longer than for a CPU one compiles for a GPU.

All other chapters are on the host, on two cores each, as exact limits are chains of small operations:

- measured on two cores: what a chapter compiles (`cpu.json`, *Work of chapters*), and its seconds at
  the reader's sizes (`chapters.json`), grown with what there is more of at the paper's;
- counted: how many evaluations of its velocity a flow takes; the rate of operations is a guess.

A term is what is done and its seconds. Where it stands without a helper, the seconds are guessed
from a smoke run.
"""

import json
import re
from pathlib import Path

from poc_book.finite_width import SPLIT
from poc_book.paper import SPARE, goes_on, in_order
from poc_book.settings import open_book
from poc_book.sources import needs

HERE = Path(__file__).resolve().parent
MATRIX = 300e12  # operations a second of SGD's products, on parts of numbers: measured with three
SOFTPLUS = 1.9e-12  # seconds of a neuron and an input beside its products: measured
DOUBLE = 10e12  # operations a second in float64: a sixth of an H200's peak, guessed
LATENCY = 2e-4  # seconds of a step of SGD at least: some ten kernels one after the other, guessed
COMPILING = 2.0  # compiling for a GPU over compiling for a CPU, guessed
CORES = 5e10  # operations a second of sums over pairs on two cores, guessed
CALL = 5e-5  # seconds of a velocity at least, guessed
START = 6.0  # seconds: a kernel, its imports, the GPU's context; figures are drawn: guessed


def evaluations(time, tol=1e-9):
    "Of the velocity in a flow up to a time: fitted to He_4, d = 16 and 32, up to time 1000."
    return 90 * time**0.75 * (1e-8 / tol) ** 0.2


def pairs(m, d):
    "Operations of a velocity by pairs: two products of matrices, forward and back."
    return 8 * m * m * d


def repeated(what, times, operations):
    return what, times * max(CALL, operations / CORES)


def flows(what, count, time, m, d, tol=1e-9):
    return repeated(what, count * evaluations(time, tol), pairs(m, d))


def more(what, seconds, growth):
    "An exact limit: seconds at the reader's sizes, and how much more there is at the paper's."
    return what, seconds * growth


def on_samples(what, count, time, m, n, d):
    "Flows of m neurons on n samples; a sum over both is a sum over pairs of root of m n neurons."
    return flows(what, count, time, (m * n) ** 0.5, d, 1e-6)


def together(d, cube, split=SPLIT):
    "Seconds of a step of SGD for each neuron and input: three products, each of pairs of parts."
    products = 3 * split if cube else 3 * split * (split + 1) / 2
    return products * 2 * d / MATRIX + SOFTPLUS * cube


def training(what, p, widths, reference, repeats):
    "SGD on a GPU."
    count = p["batch"] * (sum(widths) + reference)
    cube = p["problem"] in ("xor4", "staircase")
    once = max(LATENCY, count * together(p["dim"], cube))
    return what, repeats * p["time"] / p["step"] * once


def experiment(p):
    yield training("run", p, p["widths"], p["reference_width"], p["repeats"])
    yield training("again", p, p["widths"], p["reference_width"], p["again_repeats"])
    # seven runs: twice the reference is 1.8 of one, half the step 2, the large batch 4
    yield training("budget", p, [p["budget_width"]], p["budget_reference"], 11.8)
    count = p["batch"] * (p["budget_width"] + p["budget_reference"])
    yield "float64", p["time"] / p["step"] * 6 * count * p["dim"] / DOUBLE
    yield training("beside the flow", p, [p["flow_width"]], 0, 1)
    yield "limit", 5.0  # on the host


TERMS = {
    "01_sphere": lambda p: [("neurons", 2e-6 * p["neurons"])],
    "02_model": lambda p: [
        repeated("networks", p["repeats"], pairs(max(p["widths"]), p["dim"])),
        ("samples", 2e-5 * p["samples"]),
    ],
    "03_problems": lambda p: [("samples", 2e-6 * p["draws"])],
    "04_mean_field": lambda p: [
        flows("networks", 6 * p["draws"], p["time"], p["wide"], p["dim"], 1e-7),
        ("SciPy", 15.0 * (p["order"] / 64) ** 2 * p["time"] / 8),
        more("limits", 5.0, len(p["dims"]) / 2),
    ],
    "04_latent": lambda p: [
        ("cube", 7.1e-5 * p["draws"] * p["wide"] * 2 ** p["cube_dim"] * p["cube_time"] ** 0.75 / 8),
        more("limits", 60.0, len(p["cube_dims"]) / 2 * 0.015 / p["share"]),
        more("teachers", 50.0, p["teachers"] / 20 * 0.015 / p["share"]),
    ],
    "05_finite_width": lambda p: [
        repeated("SGD", p["time"] / p["step"], 12 * p["repeats"] * p["width"] * p["batch"] * 32),
        flows("flows", 4, p["flow_time"], p["neurons"], p["dim"]),
    ],
    "06_coupling": lambda p: [
        *(flows(f"{m}", p["repeats"] + 5, p["time"], m, p["dim"]) for m in p["widths"]),
        ("frames", 0.15 * p["steps"]),
        more("limits", 8.0, 1.0),
    ],
    "07_stability": lambda p: [
        repeated(
            "pairs of times", 15 * p["steps"] ** 2, p["neurons"] * p["candidates"] * p["dim"] ** 3
        ),
        ("eigenvalues", 61 * p["figure_neurons"] * 2e-4),
        flows("figure", 2, p["figure_time"], p["figure_neurons"], p["figure_dim"]),
        more("limits", 10.0, 1.0),
    ],
    "08_balanced": lambda p: [
        *(flows(f"{m}", p["repeats"], p["time"], m, p["dim"]) for m in p["widths"]),
        ("parts", 3e-8 * sum(p["widths"]) * p["repeats"] * p["steps"] * p["dim"]),
    ],
    "09_single_index": lambda p: [
        more("stability", 10.0, len(p["degrees"]) * len(p["dims"]) / 12 * p["stages"] / 6),
        *(flows(f"d = {d}", p["repeats"], 2 * d, p["width"], d) for d in p["widths_dims"]),
        *(on_samples(f"n = {n}", 3 * p["sample_repeats"], 2.0, 64, n, 64) for n in p["samples"]),
        more("limits", 10.0, len(p["degrees"]) / 3),
    ],
    "10_table1": lambda p: [
        more("limits", 90.0, len(p["many_dims"]) / 3 * p["particles"] / 1024),
        more("stability", 20.0, len(p["many_dims"]) / 3 * p["starts"] / 512),
        more("cube", 10.0, len(p["cube_dims"]) / 2 * p["neurons"] / 512),
    ],
    "11_fluctuations": lambda p: [
        *(
            repeated(
                f"networks, {k}",
                3 * evaluations(max(p["times"])),
                8 * p["repeats"] * max(p["widths"]) * k * p["dim"],
            )
            for k in p["widths"]
        ),
        more("laws", 60.0, (2 * len(p["dims"]) + len(p["six_dims"])) / 12),
    ],
    "11_latent_law": lambda p: [
        ("cube", 1.2 * len(p["cube_problems"]) * p["cube_starts"] * (p["cube_dim"] / 10) ** 2),
        ("teachers", 16.0 * p["law_draws"]),
        ("levels", 43.0 * len(p["law_dims"])),
        flows("networks", 5 * p["draws"], p["time"], p["wide"], p["dim"], 1e-6),
        ("networks' limits", 60.0),
    ],
    "11_latent_risk": lambda p: [
        repeated("nested", 3 * evaluations(12.0), p["nested"] * pairs(p["wide"], p["dim"])),
        more("corrections", 8.0, (p["risk_starts"] / 128) ** 0.5),
    ],
    "12_langevin": lambda p: [
        *(
            repeated(
                f"{m}", p["time"] / p["step"], 8 * p["repeats"] * max(p["widths"]) * m * p["dim"]
            )
            for m in [*p["widths"], p["widths"][0], p["widths"][0]]
        ),
        more("limits", 15.0, len(p["dims"]) / 5 * p["cells"] / 400),
    ],
    "13_beyond": lambda p: [
        *(
            on_samples(f"n = {n}", 9 * p["repeats"], 1.0, sum(p["sample_widths"]), n, p["dim"])
            for n in p["samples"]
        ),
        *(
            on_samples(name, 4 * p["repeats"], p["scaled_time"], 64, p["samples"][0], p["dim"])
            for name in p["scaled_problems"]
        ),
        more("rates", 40.0, 1.0),
        more("limits", 30.0, 1.0),
    ],
    "14_your_problem": lambda p: [
        *(flows(f"{m}", 2 * p["repeats"], 20.0, m, p["dim"]) for m in p["widths"]),
        more("particles", 6.0, 1.0),
    ],
}


def estimate(book, chapter):
    "Seconds of a chapter by term."
    p = book.profiles["paper"][chapter]
    trains = goes_on(book, chapter)
    cold = json.loads((HERE / "cpu.json").read_text())["ratios"]["Work of chapters"]["rows"]
    compiling = cold.get(f"{chapter}: seconds compiling", 0.0)
    yield "start", START
    yield "tracing", cold.get(f"{chapter}: seconds tracing and lowering", 0.0)
    yield "compiling", COMPILING * compiling if trains else compiling
    yield from experiment(p) if trains else TERMS.get(chapter, lambda p: [])(p)


def table(book):
    "What goes to the part `paper` of `chapters.json`."
    found = {c: {"seconds": round(sum(s for _, s in estimate(book, c)))} for c in book.chapters}
    return {c: row | {"on": "gpu"} if goes_on(book, c) else row for c, row in found.items()}


def side_by_side(book, lanes):
    """Seconds of the GPU's lane, and of the others with chapters as they come; then the chapters that
    read what others found, and what `make paper` spares."""
    seconds = {c: row["seconds"] for c, row in table(book).items()}
    ends = [0.0] * (lanes - 1)
    for chapter in in_order(book):
        if not goes_on(book, chapter) and not needs(book, chapter):
            ends[ends.index(min(ends))] += seconds[chapter]
    last = SPARE + sum(s for c, s in seconds.items() if needs(book, c))
    return last + sum(s for c, s in seconds.items() if goes_on(book, c)), last + max(ends)


def as_line(found):
    return "{" + ", ".join(filter(None, found.groups())) + "}"


if __name__ == "__main__":
    book = open_book(HERE.parent)
    for chapter, row in table(book).items():
        most = sorted(estimate(book, chapter), key=lambda term: -term[1])[:4]
        shares = ", ".join(f"{what} {seconds:.0f}" for what, seconds in most)
        print(f"{chapter:<28}{row['seconds']:>6} s  {shares}")
    on_gpu, beside = side_by_side(book, 8)
    print(f"on 16 cores, in 8 lanes: {on_gpu:.0f} s on the GPU, {beside:.0f} s beside it")
    path = HERE / "chapters.json"
    known = json.loads(path.read_text()) | {"paper": table(book)}
    text = json.dumps(known, indent=1)
    # a chapter a line
    text = re.sub(
        r"\{\n +(\"seconds\": [\d.]+)(?:,\n +(\"(?:programs|on)\": [^\n]+))?\n +\}", as_line, text
    )
    path.write_text(text + "\n")

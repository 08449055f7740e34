"""What each chapter is expected to take at the paper's sizes on one GPU: `python benchmarks/paper.py`.

Prints a table and writes the part `paper` of `chapters.json`, by which `make paper` knows what still
fits before its deadline, until a chapter has run once. An estimate, not a measurement:

- measured on an H200: steps of SGD at the paper's widths, 25 to 42e12 of the operations counted here
  a second, beside other runs (benchmarks/gpu.json, README);
- measured on two CPU cores: what a chapter compiles (`cpu.json`, *Work of chapters*) and its seconds
  at the reader's sizes (`chapters.json`);
- counted on a CPU: how many evaluations of its velocity a flow takes;
- guessed: all other constants below.

A term is what is done and its seconds. What is done one time after the other takes at each its
operations or the latency of its kernels, whichever is longer. Exact limits are chains of small
operations: their seconds on the CPU, grown with the sizes, and `CHAIN` times as long on the GPU.
Where a term stands without a helper, the seconds are the host's, guessed from a smoke run.
"""

import json
import re
from pathlib import Path

from poc_book.settings import open_book

HERE = Path(__file__).resolve().parent
SINGLE = 30e12  # operations a second of SGD, measured
DOUBLE = 10e12  # of sums over pairs in float64: a sixth of an H200's peak, guessed
LATENCY = 2e-4  # seconds: some fifty kernels one after the other, guessed
CHAIN = 2.0  # an exact limit on the GPU over the same on two cores: guessed between 1 and 9
COMPILING = 2.0  # compiling for a GPU over compiling for a CPU, guessed
START = 6.0  # seconds: a kernel, its imports, the GPU's context; figures are drawn: guessed


def evaluations(time, tol=1e-9):
    "Of the velocity in a flow up to a time: fitted to He_4, d = 16 and 32, up to time 1000."
    return 90 * time**0.75 * (1e-8 / tol) ** 0.2


def pairs(m, d):
    "Operations of a velocity by pairs: two products of matrices, forward and back."
    return 8 * m * m * d


def repeated(what, times, operations, rate=DOUBLE):
    return what, times * max(LATENCY, operations / rate)


def flows(what, count, time, m, d, tol=1e-9):
    return repeated(what, count * evaluations(time, tol), pairs(m, d))


def chain(what, seconds, growth):
    "An exact limit: seconds at the reader's sizes, and how much more there is at the paper's."
    return what, seconds * growth * CHAIN


def on_samples(what, count, time, m, n, d):
    "Flows of m neurons on n samples; a sum over both is a sum over pairs of root of m n neurons."
    return flows(what, count, time, (m * n) ** 0.5, d, 1e-6)


def training(what, p, widths, reference, repeats):
    "SGD: three products with the batch a step and network."
    once = 6 * (sum(widths) + reference) * p["batch"] * p["dim"]
    return repeated(what, repeats * p["time"] / p["step"], once, SINGLE)


def experiment(p):
    yield training("run", p, p["widths"], p["reference_width"], p["repeats"])
    yield training("again", p, p["widths"], p["reference_width"], p["again_repeats"])
    # eight runs: twice the reference is 1.8 of one, half the step 2, the large batch 4, float64 3
    yield training("budget", p, [p["budget_width"]], p["budget_reference"], 14.8)
    yield chain("limit", 5.0, 1.0)


TERMS = {
    "01_sphere": lambda p: [("neurons", 2e-6 * p["neurons"])],
    "02_model": lambda p: [
        repeated("networks", len(p["widths"]) * p["repeats"], pairs(max(p["widths"]), p["dim"])),
        ("samples", 1e-5 * p["samples"]),
    ],
    "03_problems": lambda p: [("samples", 2e-6 * p["draws"])],
    "04_mean_field": lambda p: [
        flows("networks", 6 * p["draws"], p["time"], p["wide"], p["dim"], 1e-7),
        ("SciPy", 15.0 * (p["order"] / 64) ** 2 * p["time"] / 8),
        chain("limits", 5.0, len(p["dims"]) / 2),
    ],
    "04_latent": lambda p: [
        on_samples("cube", 6 * p["draws"], p["cube_time"], p["wide"], 2 ** p["cube_dim"], 30),
        chain("limits", 25.0, len(p["cube_dims"]) / 2 * max(1.0, 0.1 * 0.015 / p["share"])),
        chain("teachers", 40.0, p["teachers"] / 20 * max(0.5, 0.1 * 0.015 / p["share"])),
    ],
    "05_finite_width": lambda p: [
        training("SGD", p, [p["width"]], 0, 2 * p["repeats"]),
        flows("flows", 4, p["flow_time"], p["neurons"], p["dim"]),
    ],
    "06_coupling": lambda p: [
        *(flows(f"{m}", p["repeats"] + 5, p["time"], m, p["dim"]) for m in p["widths"]),
        ("frames", 0.15 * p["steps"]),
        chain("limits", 8.0, 1.0),
    ],
    "07_stability": lambda p: [
        repeated(
            "pairs of times", 15 * p["steps"] ** 2, p["neurons"] * p["candidates"] * p["dim"] ** 3
        ),
        ("eigenvalues", 61 * p["figure_neurons"] * 2e-4),
        flows("figure", 2, p["figure_time"], p["figure_neurons"], p["figure_dim"]),
        chain("limits", 10.0, 1.0),
    ],
    "08_balanced": lambda p: [
        *(flows(f"{m}", p["repeats"], p["time"], m, p["dim"]) for m in p["widths"]),
        ("parts", 3e-8 * sum(p["widths"]) * p["repeats"] * p["steps"] * p["dim"]),
    ],
    "09_single_index": lambda p: [
        chain("stability", 10.0, len(p["degrees"]) * len(p["dims"]) / 12 * p["stages"] / 6),
        *(flows(f"d = {d}", p["repeats"], 2 * d, p["width"], d) for d in p["widths_dims"]),
        *(on_samples(f"n = {n}", 3 * p["sample_repeats"], 2.0, 64, n, 64) for n in p["samples"]),
        chain("limits", 10.0, len(p["degrees"]) / 3),
    ],
    "10_table1": lambda p: [
        chain("limits", 40.0, (5 * len(p["many_dims"]) + 2 * len(p["cube_dims"])) / 19),
        chain("stability", 20.0, len(p["many_dims"]) / 3 * max(1.0, p["starts"] / 2048)),
        chain("cube", 10.0, len(p["cube_dims"]) / 2 * max(1.0, p["neurons"] / 1024)),
    ],
    "11_fluctuations": lambda p: [
        *(
            repeated(
                "networks", 3 * evaluations(max(p["times"])), 8 * p["repeats"] * m * k * p["dim"]
            )
            for m in [max(p["widths"])]
            for k in p["widths"]
        ),
        chain("laws", 60.0, (2 * len(p["dims"]) + len(p["six_dims"])) / 12),
    ],
    "11_latent_law": lambda p: [
        chain("laws", 80.0, (p["starts"] / 256) ** 0.5 * len(p["teachers"]) / 2),
        chain("draws", 80.0, p["law_draws"] / 20 / 2),
        chain("dimensions", 80.0, len(p["law_dims"]) / 5 / 2),
        chain("cube", 20.0, len(p["cube_problems"]) * max(0.5, p["cube_starts"] / 512)),
        flows("networks", 5 * p["draws"], p["time"], p["wide"], p["dim"], 1e-6),
    ],
    "11_latent_risk": lambda p: [
        repeated("nested", 3 * evaluations(12.0), p["nested"] * pairs(p["wide"], p["dim"])),
        chain("corrections", 8.0, (p["risk_starts"] / 128) ** 0.5),
    ],
    "12_langevin": lambda p: [
        *(
            repeated(
                f"{m}", p["time"] / p["step"], 8 * p["repeats"] * max(p["widths"]) * m * p["dim"]
            )
            for m in [*p["widths"], p["widths"][0], p["widths"][0]]
        ),
        chain("limits", 15.0, len(p["dims"]) / 5 * p["cells"] / 400),
    ],
    "13_beyond": lambda p: [
        *(
            on_samples(f"n = {n}", 3 * p["repeats"], 1.0, sum(p["sample_widths"]), n, p["dim"])
            for n in p["samples"]
        ),
        *(
            on_samples(name, 4 * p["repeats"], p["scaled_time"], 64, p["samples"][0], p["dim"])
            for name in p["scaled_problems"]
        ),
        chain("rates", 40.0, 1.0),
        chain("limits", 30.0, 1.0),
    ],
    "14_your_problem": lambda p: [
        *(flows(f"{m}", 2 * p["repeats"], 20.0, m, p["dim"]) for m in p["widths"]),
        chain("particles", 6.0, 1.0),
    ],
}


def estimate(book, chapter):
    "Seconds of a chapter by term."
    p = book.profiles["paper"][chapter]
    cold = json.loads((HERE / "cpu.json").read_text())["ratios"]["Work of chapters"]["rows"]
    yield "start", START
    yield "tracing", cold.get(f"{chapter}: seconds tracing and lowering", 0.0)
    yield "compiling", COMPILING * cold.get(f"{chapter}: seconds compiling", 0.0)
    yield from TERMS.get(chapter, experiment if "reference_width" in p else lambda p: [])(p)


def as_line(found):
    return "{" + ", ".join(filter(None, found.groups())) + "}"


def table(book):
    "What goes to the part `paper` of `chapters.json`."
    return {c: {"seconds": round(sum(s for _, s in estimate(book, c)))} for c in book.chapters}


if __name__ == "__main__":
    book = open_book(HERE.parent)
    whole = 0.0
    for chapter in book.chapters:
        terms = [*estimate(book, chapter)]
        seconds = sum(s for _, s in terms)
        whole += seconds
        most = sorted(terms, key=lambda term: -term[1])[:4]
        print(f"{chapter:<28}{seconds:>6.0f} s  ", ", ".join(f"{n} {s:.0f}" for n, s in most))
    print(f"{'one after the other':<28}{whole:>6.0f} s")
    path = HERE / "chapters.json"
    known = json.loads(path.read_text()) | {"paper": table(book)}
    text = json.dumps(known, indent=1)
    # a chapter a line
    text = re.sub(r"\{\n +(\"seconds\": [\d.]+)(?:,\n +(\"programs\": \d+))?\n +\}", as_line, text)
    path.write_text(text + "\n")

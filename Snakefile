# The book as a graph: one job a chapter, and one job a run of a sweep. `poc-book figures` and `poc-book sweep` call this
# file; called directly, as in `snakemake --cores 2 --directory build --config profile=reader [sweep]`, it runs by
# Snakemake's own rules, on whatever executor Snakemake is told to use (`profiles/slurm` tells it SLURM).
import os
import sys
from functools import cache
from pathlib import Path

from poc_book.batch import expected_seconds, fingerprint, needs, open_book, sources, sweep_fingerprint, sweep_runs

book = open_book(Path(workflow.basedir))
here = lambda path: os.path.relpath(path, book.root / "build")  # in a whole path braces would be wildcards
shared = cache(lambda profile: sweep_fingerprint(book, profile))
expected = cache(lambda profile: expected_seconds(book, profile))


workdir: str(book.root / "build")


wildcard_constraints:
    profile="[^/]+",
    chapter="[^/]+",
    problem="[^/]+",
    dim=r"\d+",
    width=r"\d+",
    seed=r"\d+",


rule all:
    input:
        [here(book.home(config.get("profile", "reader")) / ".stamps" / name) for name in book.chapters],


rule sweep:
    input:
        here(book.home(config.get("profile", "reader")) / "sweep.nc"),


rule chapter:
    input:
        lambda w: [here(book.root / path) for path in sources(book, w.chapter)],
        lambda w: [here(book.home(w.profile) / ".stamps" / name) for name in needs(book, w.chapter)],
    output:
        touch("{profile}/.stamps/{chapter}"),
    log:
        "{profile}/logs/{chapter}.log",
    params:
        fingerprint=lambda w: fingerprint(book, w.profile, w.chapter),
    priority: lambda w: expected(w.profile).get(w.chapter, 0)  # the longest first, so that no core waits at the end
    shell:
        "{sys.executable:q} -m poc_book chapter {wildcards.chapter:q} --profile {wildcards.profile:q} > {log:q} 2>&1"


rule sweep_run:
    output:
        "{profile}/sweep/{problem}_d{dim}_m{width}_s{seed}.nc",
    log:
        "{profile}/logs/sweep/{problem}_d{dim}_m{width}_s{seed}.log",
    params:
        fingerprint=lambda w: shared(w.profile),
    shell:
        "{sys.executable:q} -m poc_book run {wildcards.problem:q} {wildcards.dim} {wildcards.width} {wildcards.seed}"
        " --profile {wildcards.profile:q} > {log:q} 2>&1"


rule sweep_merge:
    input:
        lambda w: [here(path) for path in sweep_runs(book, w.profile)],
    output:
        "{profile}/sweep.nc",
    log:
        "{profile}/logs/sweep/sweep.log",
    shell:
        "{sys.executable:q} -m poc_book merge --profile {wildcards.profile:q} > {log:q} 2>&1"

# The book as a graph: one job a chapter, and one job a run of a sweep. `poc-book figures` and `poc-book sweep` call this
# file; called directly, as in `snakemake --cores 2 --directory build --config profile=reader [only=CHAPTER] [sweep]`, it
# does the same on whatever executor Snakemake is told to use (`profiles/slurm` tells it SLURM). What a chapter is made of
# stands in the name of the file that it leaves (poc_book.batch.mark): if it is missing, the chapter is out of date.
import os
import sys
from functools import cache
from pathlib import Path

from poc_book.batch import MARK, expected_seconds, follow, mark
from poc_book.settings import open_book, select, sweep_runs
from poc_book.sources import needs, sweep_fingerprint

if master := os.environ.get("POC_BOOK_PARENT"):
    follow(int(master))  # `make figures` is gone: nothing of it goes on
book = open_book(Path(workflow.basedir))
here = lambda path: os.path.relpath(path, book.root / "build")  # in a whole path braces would be wildcards
made = cache(lambda profile, chapter: here(mark(book, profile, chapter)))
shared = cache(lambda profile: sweep_fingerprint(book, profile))
expected = cache(lambda profile: expected_seconds(book, profile))
asked = config.get("profile", "reader")


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
        lambda w: [made(asked, name) for name in select(book.chapters, config.get("only"))],


rule sweep:
    input:
        here(book.home(asked) / "sweep.nc"),


rule chapter:
    input:
        lambda w: [made(w.profile, name) for name in needs(book, w.chapter)],
    output:
        "{profile}/{chapter}/" + MARK + "{fingerprint}",
    priority: lambda w: expected(w.profile).get(w.chapter, 0)  # the longest first, so that no core waits at the end
    shell:
        "mkdir -p {wildcards.profile:q}/logs && "
        "{sys.executable:q} -m poc_book chapter {wildcards.chapter:q} --profile {wildcards.profile:q}"
        " > {wildcards.profile:q}/logs/{wildcards.chapter:q}.log 2>&1"


rule sweep_run:
    output:
        "{profile}/sweep/{problem}_d{dim}_m{width}_s{seed}.nc",
    log:
        "{profile}/logs/{problem}_d{dim}_m{width}_s{seed}.log",
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
        "{profile}/logs/sweep.log",
    shell:
        "{sys.executable:q} -m poc_book merge --profile {wildcards.profile:q} > {log:q} 2>&1"

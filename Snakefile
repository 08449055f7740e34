# The book as a graph: one job a chapter. `poc-book figures` calls this file with the chapters that are out of date;
# called directly, as in `snakemake --cores 2 --config profile=reader`, it runs them by Snakemake's own rules, on
# whatever executor Snakemake is told to use.
import sys
from pathlib import Path

from poc_book.batch import fingerprint, open_book, sources

book = open_book(Path(workflow.basedir))


rule all:
    input:
        [str(book.home(config.get("profile", "reader")) / ".stamps" / name) for name in book.chapters],


rule chapter:
    input:
        lambda w: [str(book.root / path) for path in sources(book, w.chapter)],
    output:
        touch(str(book.root / "build" / "{profile}" / ".stamps" / "{chapter}")),
    log:
        str(book.root / "build" / "{profile}" / "logs" / "{chapter}.log"),
    params:
        fingerprint=lambda w: fingerprint(book, w.profile, w.chapter),
    shell:
        "{sys.executable:q} -m poc_book chapter {wildcards.chapter} --profile {wildcards.profile} > {log:q} 2>&1"

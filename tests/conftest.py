"""A tiny book in a temporary folder: the engine of this checkout, two short chapters, a module of
its own."""

import ctypes
import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil
import pytest
from annotated import TYPES, any_type

import poc_book
from poc_book.batch import compiler
from poc_book.checks import BadInput
from poc_book.cli import main
from poc_book.warm_start import template

# Tests that run side by side share the cores, as threads that wait for one spin; told before JAX is
# imported.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    for name in ("NPROC", "OMP_NUM_THREADS"):
        os.environ[name] = str(max(1, (os.cpu_count() or 1) // int(workers)))

gc.set_threshold(100_000, 20, 100)  # tracing makes much that stays
CHECKOUT = Path(__file__).resolve().parents[1]
os.environ.update(compiler(CHECKOUT) | os.environ)
ENGINE = "__init__ __main__ archives batch chapter checks cli commands figures kept paper results settings sources warm_start".split()
HEAD = "profile = 'smoke'\nout = None\nseed = 0\nsteps = 3"
DRAW = """
import matplotlib.pyplot as plt
import xarray as xr
from poc_book.chapter import Chapter
chapter = Chapter.of("{name}", globals())
data = xr.Dataset({{"y": ("x", [float(value(i)) for i in range(steps)])}})
fig, ax = plt.subplots(figsize=(2, 2))
ax.plot(data.y)
chapter.figure("{figure}", fig, data=data, caption="Values $y$ at steps.", alt="A line.")
"""
SETTINGS = "[smoke]\nseed = 0\n[reader]\nseed = 1\n[reader:01_line]\nsteps = 4\n"


class TinyBook:
    def __init__(self, root: Path):
        self.root, self.home = root, root / "build" / "smoke"
        for folder in ("nbs", "poc_book"):
            (root / folder).mkdir(parents=True)
        for name in ENGINE:
            shutil.copy(CHECKOUT / "poc_book" / f"{name}.py", root / "poc_book")
        shutil.copy(CHECKOUT / "Snakefile", root)
        shutil.copytree(CHECKOUT / "profiles" / "default", root / "profiles" / "default")
        kernel = root / "jupyter" / "kernels" / "python3"
        kernel.mkdir(parents=True)
        broken = dict(argv=["false"], display_name="a broken kernel", language="python")
        (kernel / "kernel.json").write_text(json.dumps(broken))
        self.settings(SETTINGS)
        self.module("curve", "def value(i): return i\n")
        self.notebook(
            "01_line",
            HEAD,
            "from poc_book.curve import value",
            DRAW.format(name="01_line", figure="line"),
        )
        self.notebook(
            "02_square",
            HEAD,
            "def value(i): return i * i",
            DRAW.format(name="02_square", figure="square"),
        )

    def settings(self, text: str) -> None:
        (self.root / "settings.ini").write_text(text)

    def module(self, name: str, code: str) -> None:
        (self.root / "poc_book" / f"{name}.py").write_text(code)

    def notebook(self, name: str, *codes: str) -> None:
        cells = [
            dict(
                cell_type="code",
                id=f"c{i}",
                source=code,
                outputs=[],
                execution_count=None,
                metadata={"tags": ["parameters"]} if i == 0 else {},
            )
            for i, code in enumerate(codes)
        ]
        content = dict(cells=cells, nbformat=4, nbformat_minor=5, metadata={})
        (self.root / "nbs" / f"{name}.ipynb").write_text(json.dumps(content))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        here = {"PYTHONPATH": str(self.root), "JUPYTER_PATH": str(self.root / "jupyter")}
        return subprocess.Popen(
            [sys.executable, "-m", "poc_book", *arguments],
            cwd=self.root,
            text=True,
            env=os.environ | here | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def refused(self, monkeypatch, capsys, *arguments: str) -> str:
        """What the command line says in one line as it refuses `arguments` and writes nothing; in
        this process, which is quick."""
        monkeypatch.chdir(self.root)
        monkeypatch.setattr(poc_book, "__file__", str(self.root / "poc_book" / "__init__.py"))
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code
        said = capsys.readouterr()
        assert (code, said.out, said.err.count("\n")) == (2, "", 1), said
        assert not (self.root / "build").exists()
        return said.err

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def files(self, *chapters: str) -> dict[str, bytes]:
        "Every file of the results of some chapters (of both if none is named), by path."
        paths = [p for c in chapters or ("01_line", "02_square") for p in (self.home / c).iterdir()]
        return {str(p.relative_to(self.home)): p.read_bytes() for p in paths}


@contextmanager
def raises(expected, raises=pytest.raises, **own):
    "`pytest.raises`; where it expects a `BadInput` a call may have arguments of `any_type`."
    with (
        any_type() if issubclass(expected, BadInput) else nullcontext(),
        raises(expected, **own) as error,
    ):
        yield error


if TYPES:
    pytest.raises = raises


@pytest.fixture(autouse=True)
def type_of_arguments(request):
    with any_type() if TYPES and request.node.get_closest_marker("any_type") else nullcontext():
        yield


@pytest.fixture(autouse=True)
def compiled_code_is_let_go() -> Iterator[None]:
    """After a test a worker of over 1.2 GB forgets its compiled code, 2 GB in the end; on disk it
    is kept."""
    yield
    jax, own = sys.modules.get("jax"), ctypes.CDLL(None)
    if jax and psutil.Process().memory_info().rss > 1.2e9:
        jax.clear_caches()
        gc.collect()
        if hasattr(own, "malloc_trim"):
            own.malloc_trim(0)  # glibc's: back to the system


@pytest.fixture(scope="session")
def warm() -> Iterator[None]:
    """Tiny books fork their kernels from one template, as the chapters of a batch do;
    `POC_BOOK_TEMPLATE=` is without."""
    with template(os.environ | {"PYTHONPATH": str(CHECKOUT)}) as address:
        os.environ["POC_BOOK_TEMPLATE"] = address
        yield
        del os.environ["POC_BOOK_TEMPLATE"]


@pytest.fixture
def book(tmp_path: Path, warm) -> TinyBook:
    return TinyBook(tmp_path / "book")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, warm) -> TinyBook:
    "A book whose smoke figures are made; not to be changed."
    book = TinyBook(tmp_path_factory.mktemp("finished") / "book")
    book.first = book.run("figures", "--profile", "smoke")
    return book


@pytest.fixture
def made(finished: TinyBook, tmp_path: Path) -> TinyBook:
    "A copy of the finished book."
    shutil.copytree(finished.root, tmp_path / "book")
    copy = object.__new__(TinyBook)
    copy.root, copy.home = tmp_path / "book", tmp_path / "book" / "build" / "smoke"
    return copy

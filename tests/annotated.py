"""Whether annotations are checked: with `POC_BOOK_TYPES` set, every call of the library by a test,
and every answer."""

import os
from contextlib import contextmanager

import jaxtyping

TYPES = "POC_BOOK_TYPES" in os.environ
if TYPES:
    from beartype import BeartypeConf, beartype

    typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int will do for a float
    jaxtyping.install_import_hook("poc_book", "annotated.typechecker")


@contextmanager
def any_type():
    "Annotations are not checked: for junk, which a function is to refuse by itself."
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)

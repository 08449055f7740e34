__version__ = "0.1.0"


def __getattr__(name: str) -> object:  # only when asked for: importing the package stays light
    if name == "citation":
        from .bibliography import citation

        return citation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

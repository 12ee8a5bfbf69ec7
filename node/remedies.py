"""What people are told of an error (decision 0107)."""


def remedy_of(error: BaseException) -> str:
    """Return what the error's class says of its cause and cure: its docstring, in one line.

    Only our own classes say so; those of Python and of libraries describe something else.
    """
    if not type(error).__module__.startswith("peerstream."):
        return ""
    return one_line(type(error).__doc__ or "")


def one_line(text: str) -> str:
    """Return the text with all white space, and what a terminal would obey, made harmless."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))

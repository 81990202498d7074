"""What counts as text: a string of characters, without halves of them."""

from __future__ import annotations

import warnings
from typing import Any


def checked_characters(text: Any) -> str:
    """`text`; a lone surrogate (half of a UTF-16 pair, no character) becomes U+FFFD, with a warning.

    Two halves that stand together become the character that they are.  ValueError for what is no string.
    """
    if not isinstance(text, str):
        raise ValueError(f"text is a string, and this is a {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if "\ufffd" in whole:
            warnings.warn(
                f"character {error.start} is half of a surrogate pair and no text; it was read as U+FFFD", stacklevel=3
            )
        return whole
    return text

"""Read a secret from a file, as it is at this moment. Knows nothing of which secret it is.

What is wrong with the file is told without anything of what it holds.
"""

from pathlib import Path

MOST_BYTES = 64 * 1024
"""Of a secret's file; tokens have a few thousand, and a file that is larger is the wrong one."""


def read_secret(path: Path) -> str:
    """Return the one line of a file, without what ends it.

    Raises:
        ValueError: There is no such file, it cannot be read, or it does not hold one line of text.
    """
    content = _content(path)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Raised anew outside: the decoder's own error carries the bytes.
        text = None
    if text is None:
        raise ValueError(f"{path} holds no UTF-8 text; write the secret alone into it")
    line = text.removesuffix("\n").removesuffix("\r")
    if not line.strip():
        raise ValueError(f"{path} is empty; write the secret into it")
    if not line.isprintable():
        raise ValueError(f"{path} holds more than one line of text; write the secret alone into it")
    return line


def _content(path: Path) -> bytes:
    """Return the bytes of a file; a pipe, which could be read only once, is refused."""
    if not path.exists():
        raise ValueError(f"there is no file {path}; name one that is there")
    if not path.is_file():
        raise ValueError(f"{path} is no regular file; name one")
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}; let this user read it") from None
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path} is larger than {MOST_BYTES} bytes; name the secret's own file")
    return content

"""What a device says, made fit for a message: it may say anything, the terminal's own commands among it."""


def plain(text: str, longest: int = 600) -> str:
    """Return a device's words as one printable line, its end if it is long."""
    line = " ".join(text.split())[-longest:]
    return "".join(character if character.isprintable() else "?" for character in line)

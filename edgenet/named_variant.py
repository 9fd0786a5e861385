"""The variant that a person names on a command line: what `parse_variant` knows, and `scaled:PHI@FILE`."""

import math
import re
from pathlib import Path

from edgenet.errors import InputError
from edgenet.variants import Variant, parse_variant


def named_variant(text: str) -> Variant:
    """Return the variant of a name, of `scaled:PHI@FILE` with the coefficients that FILE holds; raise InputError.

    The name of what comes back holds the coefficients themselves, so that manifests and runs, whose names are parsed
    without reading any other file, need none.
    """
    name, separator, file = text.partition("@")
    match = re.fullmatch(r"scaled[:-](.*)", name.strip().lower())
    if not separator or not match:
        return parse_variant(text)
    try:
        phi = float(match[1])
    except ValueError:
        phi = math.nan
    if not math.isfinite(phi) or not file:
        raise InputError(f"cannot scale by {text!r}", allowed="scaled:PHI@FILE", mend="try scaled:1@scaling.toml")
    parse_variant(f"scaled:{phi}")  # which refuses a phi that is out of range
    from edgenet.coefficients import read_coefficients

    return read_coefficients(Path(file).expanduser()).variant(phi)

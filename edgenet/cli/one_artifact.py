"""The one artifact that a path names, for verbs that take no more."""

from pathlib import Path

from edgenet.artifact import Artifact, find_artifacts
from edgenet.errors import InputError


def one_artifact(path: Path) -> Artifact:
    """Return the artifact of a file, or of a folder that holds one; raise InputError for a folder of several."""
    found = find_artifacts(path)
    if len(found) > 1:
        names = ", ".join(row.path.name for row in found)
        raise InputError(f"{path} holds {len(found)} artifacts", allowed="one", mend=f"name one of {names}")
    return found[0]

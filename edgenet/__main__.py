"""The `edgenet` command: runs a verb and turns what went wrong into one line and an exit code."""

import errno
import os
import sys
from collections.abc import Sequence

from edgenet.errors import EdgenetError, InputError

INTERRUPTED = 130
# What a shell reports for a program that SIGPIPE ended. Not 0: the verb did not get as far as its gates.
READER_GONE = 141

# What the place that the user named can refuse. Any other OSError is a bug and keeps its traceback.
REFUSALS = {
    errno.ENOSPC: "free some space, or name another place with --out",
    errno.EDQUOT: "free some space, or name another place with --out",
    errno.EROFS: "name a place that can be written with --out",
    errno.EACCES: "change its permissions, or name another place",
    errno.EPERM: "change its permissions, or name another place",
    errno.ENOTDIR: "name another place",
    errno.EISDIR: "name a file, not a folder",
    errno.ENAMETOOLONG: "use a shorter name",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's own) and return its exit code."""
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except EdgenetError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _drop_stdout()
        return READER_GONE
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        if error.filename is None:
            _drop_stdout()
        place = f": {error.filename!r}" if error.filename else ""
        refused = InputError(f"{(error.strerror or str(error)).lower()}{place}", mend=REFUSALS[error.errno])
        return _fail(str(refused), refused.exit_code)


def _run(arguments: list[str]) -> int:
    from edgenet.cli.app import run

    code = run(arguments)
    sys.stdout.flush()  # here, where a reader that left or a full disk can still be reported
    return code


def _fail(message: str, code: int) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return code


def _drop_stdout() -> None:
    """Send what stdout still holds nowhere, so that the interpreter's last flush cannot fail a second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())

"""Keep what native libraries print to file descriptor 2 off the user's screen, unless something goes wrong."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_ONE_AT_A_TIME = RLock()  # two threads that swap the one descriptor would leave it with the file of the other


@contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """Hold back what native code writes to stderr meanwhile; let it through after all if an exception passes.

    TensorFlow and XNNPACK announce themselves there before any setting of theirs is read.
    """
    with _ONE_AT_A_TIME, tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)

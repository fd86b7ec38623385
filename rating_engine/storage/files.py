"""Files that others read: there whole or as they were, whatever is cut off between."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, text: str, mode: int, *, owned_as: Path | None = None) -> None:
    """A new file in the place of the old one. `owned_as`: of the owner and group of this one, where that is allowed.

    Raises OSError.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
            if owned_as is not None and os.geteuid() == 0:
                like = owned_as.stat()
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

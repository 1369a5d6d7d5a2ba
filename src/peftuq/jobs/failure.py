"""The last line of a job that failed unexpectedly: where, in whose code, and why."""

import importlib.util
import traceback
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
PLUGINS = tuple(str(PACKAGE / folder) for folder in ("scores", "predictives", "adapters"))


def line(error: BaseException, modules: Iterable[str] = ()) -> str:
    """Names the innermost line in one of the job's plug-ins (`modules`), in any plug-in, or else in the library."""
    frames = traceback.extract_tb(error.__traceback__)[::-1]
    own = {spec.origin for module in modules if (spec := importlib.util.find_spec(module)) is not None}
    of_plugin = [frame for frame in frames if frame.filename in own]
    of_plugin += [frame for frame in frames if frame.filename.startswith(PLUGINS)]
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    for what, found in (("the plug-in ", of_plugin), ("", [f for f in frames if f.filename.startswith(str(PACKAGE))])):
        if found:
            return f"{what}{_shown(found[0].filename)}, line {found[0].lineno}, in {found[0].name}: {reason}"
    return reason


def _shown(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file

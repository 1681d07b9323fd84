"""What DVC recorded beside a project of the data that it depends on: another pipeline's outputs, or `dvc add`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from leverframe.domain.pipeline.status.lock import entries, source
from leverframe.domain.pipeline.status.resolved import Recorded, located
from leverframe.yaml_files import parse


def recorders(path: str) -> list[str]:
    """Return the files that may record a path outside of the project, which begins with two dots."""
    files: list[str] = []
    for place in (PurePosixPath(path), *PurePosixPath(path).parents):
        if str(place) != path:
            files.append(f"{place}/dvc.lock")
        if set(place.parts) == {".."}:
            break
        files.append(f"{place}.dvc")
    return files


def recorded_elsewhere(path: str, text: Callable[[str], str | None]) -> dict[str, Recorded]:
    """Return the outputs at, in or around a path that those files record.

    ``text`` returns the content of a file, None where there is none. Raises ``DefinitionError`` and
    ``RepositoryError`` for one that cannot be read.
    """
    records: dict[str, Recorded] = {}
    for file in recorders(path):
        content = text(file)
        if content is not None:
            records |= _outputs(file, content)
    return {
        made: record
        for made, record in records.items()
        if f"{made}/".startswith(f"{path}/") or path.startswith(f"{made}/")
    }


def _outputs(file: str, content: str) -> dict[str, Recorded]:
    if file.endswith(".dvc"):
        stage, entry = source(parse(content, name=file, what="a `.dvc` file"), file)
        return {output.path: entry.outputs[output.entry] for output in stage.outputs if output.entry in entry.outputs}
    folder = str(PurePosixPath(file).parent)
    known = entries(content, file).values()
    return {located(name, folder, file): record for entry in known for name, record in entry.outputs.items()}

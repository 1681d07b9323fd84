"""What git and DVC must leave alone, written before there is anything to ignore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leverframe.domain import layout

# What machines make of any repository.
MACHINES: Mapping[str, Sequence[str]] = {
    ".gitignore": ("/.venv/", "/.leverframe/", "__pycache__/"),
    ".dvcignore": (".venv", ".leverframe", "__pycache__"),
}
# Outputs are listed one by one: a folder that is ignored as a whole would hide `.dvc` files of one's own.
IGNORED: Mapping[str, Sequence[str]] = {
    ".gitignore": (
        *MACHINES[".gitignore"], f"/{layout.RAW}/*.parquet", f"/{layout.RAW}/*/*.parquet",
        f"/{layout.FEATURES}/*.parquet", f"/{layout.TRAIN}", f"/{layout.HOLDOUT}", f"/{layout.PREDICTIONS}",
        f"/{layout.SNAPSHOT}", f"/{layout.MODEL}", f"/{layout.BUNDLE}",
    ),
    ".dvcignore": MACHINES[".dvcignore"],
}  # fmt: skip


def completed(text: str, lines: Sequence[str]) -> str:
    """Return an ignore file with the lines that it lacks added at its end; what stands there stays."""
    present = {line.strip() for line in text.splitlines()}
    missing = [line for line in lines if line not in present]
    start = text if not text or text.endswith("\n") else text + "\n"
    return start + "".join(f"{line}\n" for line in missing)

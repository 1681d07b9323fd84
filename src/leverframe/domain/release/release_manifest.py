"""What a release is made of, digest by digest, from the commit that wants it to the bytes of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from leverframe.documents import parsed, plain
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import Manifest, read_manifest, sha256
from leverframe.errors import PromotionError


@dataclass(frozen=True)
class ReleaseManifest:
    """What should be served, and what it comes from.

    ``commit`` wants it, ``lock`` is the SHA-256 of its dvc.lock, ``bundle`` that of the bundle's own
    manifest; ``weights`` that of the model file, ``plan`` the hash of the features' definition,
    ``schema`` what a request may hold, ``runtime`` what of an installed package opens the model, None for ours.
    """

    model: str
    commit: str
    lock: str
    bundle: str
    weights: str
    plan: str
    schema: str
    runtime: str | None = None

    def differences(self, other: ReleaseManifest) -> list[str]:
        """Return the parts in which two manifests differ, commits aside: another commit may want the same."""
        ours, theirs = asdict(self), asdict(other)
        return [name for name in ours if name != "commit" and ours[name] != theirs[name]]

    @classmethod
    def of(cls, model: str, commit: str, lock: bytes, bundle: bytes, parts: Manifest) -> ReleaseManifest:
        """Return the manifest of a commit with these bytes of dvc.lock, and of a bundle with this MANIFEST.json."""
        files = parts.files
        return cls(
            model, commit, sha256(lock), sha256(bundle), files[parts.model_file], parts.spec, files[names.SCHEMA],
            parts.runtime,
        )  # fmt: skip


def refuse_other(
    desired: ReleaseManifest, recorded: ReleaseManifest | None, what: str, *, next: str, absent: str = ""
) -> None:
    """Raise ``PromotionError`` unless the manifest that is recorded as ``what`` is the desired one.

    ``absent`` is why none is recorded.
    """
    if recorded is None:
        why = f"{absent or 'it serves nothing'}; what was not served there is not promoted"
    elif apart := desired.differences(recorded):
        ours, theirs = (str(asdict(manifest)[apart[0]])[:12] for manifest in (desired, recorded))
        why = f"the release manifests differ in {', '.join(apart)}: {apart[0]} is {ours} here and {theirs} there"
    else:
        return
    raise PromotionError(f"bundle {desired.bundle[:12]} is not what {what}", why=why, next=next)


def unlike(files: Mapping[str, bytes], bundle: str, model: str) -> str:
    """Return why files are not the bundle of that digest and model, empty where they are."""
    if sha256(files.get(names.MANIFEST, b"")) != bundle:
        return f"its `{names.MANIFEST}` is not that of bundle {bundle[:12]}"
    manifest = read_manifest(files[names.MANIFEST], bundle[:12])
    wrong = [name for name, sha in manifest.files.items() if sha256(files.get(name, b"")) != sha]
    if wrong:
        return f"`{wrong[0]}` is not the file that the manifest names"
    if len(files) > len(manifest.files) + 1:
        return "it holds files that the manifest does not name"
    return "" if manifest.model == model else f"it is a bundle of `{manifest.model}`, not of `{model}`"


def tag_message(manifest: ReleaseManifest, first: str) -> str:
    """Return a manifest as the message of a tag that begins with the line ``first``."""
    return f"{first}\n\n{json.dumps(plain(manifest, without_none=True), indent=1, sort_keys=True)}\n"


def from_tag_message(message: str) -> ReleaseManifest | None:
    """Return the manifest in the message of a tag; None for a tag that somebody else wrote."""
    try:
        return parsed(ReleaseManifest, message.partition("\n\n")[2])
    except ValueError:
        return None

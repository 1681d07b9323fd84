"""Whether the data of a lock were pushed to S3: `leverframe check` against moto on loopback, whole processes.

The lock names directories of 100 files, as `dvc add` records them, and nothing of them is here: neither a cache, as on
a fresh runner, nor what an earlier check found. The bucket holds them, and as many objects of others as the lock has
ten times. ``again`` is the second check, which remembers. The server counts the requests; it is a process of its own,
so that the CPU is that of the check alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.alternate import Measure, machine, met
from benchmarks.status import whole
from leverframe.local.repository import TemporaryRepository

# ruff: noqa: PLC0415 - the parent of the children stays small

NAME = "benchmarks.remote_check"
TARGETS = {
    "requests_per_object": 1.05,
    "requests_for_ten_times_the_objects": 10.5,
    "cpu_for_ten_times_the_objects": 10.0,
    "requests_again": 0,
    "listings_of_the_bucket": 0,
}
FILES = 100  # of a directory
BUCKET, OTHERS = "rides-data", 10
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


def main() -> None:
    """Print the figures, or be the server when this is a child."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="a fifth of the objects, 1 round instead of 3")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
    else:
        print(json.dumps(figures(quick=given.quick), indent=2))


def figures(*, quick: bool) -> dict[str, Any]:
    """Return the figures of both sizes, measured turn by turn."""
    small, rounds = (200, 1) if quick else (1000, 3)
    sizes = (small, 10 * small)
    os.environ.update(KEYS)
    runs: dict[int, list[tuple[Measure, Counter[str]]]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory() as folder, served(sizes[-1]) as address:
        repositories = {size: made(Path(folder, str(size)), size, address) for size in sizes}
        for number in range(rounds):
            for size in sizes[:: 1 if number % 2 == 0 else -1]:
                (repositories[size].root / ".leverframe/pushed.json").unlink(missing_ok=True)
                runs[size].append(checked(repositories[size], address))
        again = checked(repositories[sizes[-1]], address)
    asked = {size: sum(runs[size][0][1].values()) for size in sizes}
    cpu = {size: median(measure.cpu for measure, _ in runs[size]) for size in sizes}
    wall = {size: median(measure.wall for measure, _ in runs[size]) for size in sizes}
    ratios = {
        "requests_per_object": round(asked[sizes[-1]] / sizes[-1], 3),
        "requests_for_ten_times_the_objects": round(asked[sizes[-1]] / asked[small], 2),
        "cpu_for_ten_times_the_objects": round(cpu[sizes[-1]] / cpu[small], 2),
        "requests_again": sum(again[1].values()),
        "listings_of_the_bucket": sum(counts["listing"] for pairs in runs.values() for _, counts in pairs),
    }
    absolute = {
        f"{size:,} objects": {
            "requests": asked[size],
            "cpu_s": round(cpu[size], 2),
            "wall_s": round(wall[size], 2),
            "peak_gb": round(median(measure.peak for measure, _ in runs[size]), 3),
        }
        for size in sizes
    }
    return {
        "name": "remote_check",
        "machine": machine(),
        "sizes": {"objects": sizes, "objects_of_others": OTHERS * sizes[-1], "rounds": rounds},
        "ratios": ratios,
        "absolute": {
            **absolute,
            "cpu_ms_per_object": round(1000 * (cpu[sizes[-1]] - cpu[small]) / (sizes[-1] - small), 2),
            "again": {"cpu_s": round(again[0].cpu, 2), "wall_s": round(again[0].wall, 2)},
        },
        "targets": TARGETS,
        "met": met(ratios, TARGETS),
    }


def digest(content: bytes) -> str:
    """Return the MD5 of bytes."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def directories(objects: int) -> Iterator[tuple[str, bytes]]:
    """Yield the digest and the listing of each directory, so that there are ``objects`` with the listings."""
    for number in range(objects // FILES):
        names = [f"{file:03d}.csv" for file in range(FILES - 1)]
        entries = [{"md5": digest(f"{number}/{name}".encode()), "relpath": name} for name in names]
        listing = json.dumps(entries).encode()
        yield f"{digest(listing)}.dir", listing


def made(folder: Path, objects: int, address: str) -> TemporaryRepository:
    """Return a repository whose `.dvc` files name so many objects of a remote, and that has none of them."""
    repository = TemporaryRepository.create(folder)
    repository.write("dvc.yaml", "stages: {}\n")
    repository.write("README.md", "Rides.\n")
    repository.write(".gitignore", "/.leverframe/\n/data\n")
    for number, (md5, _) in enumerate(directories(objects)):
        repository.write(
            f"data{number}.dvc",
            f"outs:\n- md5: {md5}\n  size: {FILES}\n  nfiles: {FILES - 1}\n  hash: md5\n  path: data{number}\n",
        )
    repository.write(
        ".dvc/config",
        f"[core]\n    remote = store\n['remote \"store\"']\n    url = s3://{BUCKET}/dvc\n    endpointurl = {address}\n",
    )
    repository.commit("Data")
    repository.write("README.md", "A change.\n")
    repository.commit("A change")
    return repository


def checked(repository: TemporaryRepository, address: str) -> tuple[Measure, Counter[str]]:
    """Return what one check used, and how often the server was asked for what."""
    before = counted(address)
    measure = whole(repository, "leverframe", "check", "--base", "HEAD~1", "--json")
    result = json.loads((repository.root / ".leverframe/levers/check.json").read_text(encoding="utf-8"))
    if result["notes"]:
        raise RuntimeError(f"the remote was not asked: {result['notes']}")
    return measure, counted(address) - before


def counted(address: str) -> Counter[str]:
    """Return how often the server was asked until now."""
    with urllib.request.urlopen(f"{address}/count") as answer:  # noqa: S310 - of this program
        return Counter(json.loads(answer.read()))


@contextmanager
def served(objects: int) -> Iterator[str]:
    """Yield the address of a server that holds ``objects``, and ten times as many of others."""
    command = [sys.executable, "-m", NAME, "--serve", str(objects)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        try:
            yield child.stdout.readline().strip()
        finally:
            child.terminate()


def serve(objects: int) -> None:
    """Serve a bucket until this process is ended, and tell what was asked of it at `/count`."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.serving import WSGIRequestHandler, make_server

    counts: Counter[str] = Counter()
    served = DomainDispatcherApplication(create_backend_app)

    def counting(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/count":
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(counts).encode()]
        counts["listing" if "list-type" in environ["QUERY_STRING"] else environ["REQUEST_METHOD"]] += 1
        return served(environ, start)  # type: ignore[no-any-return]

    backend = s3_backends["123456789012"]["aws"]
    backend.create_bucket(BUCKET, "us-east-1")
    bucket = backend.buckets[BUCKET]

    def put(md5: str, content: bytes) -> None:
        name = f"dvc/files/md5/{md5[:2]}/{md5[2:]}"
        if content or not bucket.keys:
            backend.put_object(BUCKET, name, content)
        else:  # an object is a file of its own: those of others share one
            bucket.keys[name] = one

    backend.put_object(BUCKET, "one", b"")
    one = bucket.keys["one"]
    for md5, listing in directories(objects):
        put(md5, listing)
        for entry in json.loads(listing):
            put(entry["md5"], b"")
    for number in range(OTHERS * objects):
        put(digest(f"of others {number}".encode()), b"")
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    server = make_server("127.0.0.1", 0, counting, threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

"""Serving, request by request: the reference case's bundle behind Leverframe, FastAPI and a bare MLServer.

Sides: `leverframe serve` with feature columns, and with entity keys; FastAPI with the scikit-learn
pipeline; FastAPI with ONNX Runtime; MLServer with its own scikit-learn runtime, in an environment of its
own; MLServer with a runtime that does nothing but ask ONNX Runtime; and scikit-learn in the process.
Every server has one thread for numbers. Rounds alternate; a round asks each side the same rows over
one connection, then over eight.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.alternate import machine, met
from benchmarks.peers.environments import python_of

NAME = "benchmarks.serving"
BUNDLE = Path("models/bundle").resolve()
PLACE, PINS = Path(".leverframe/peers/mlserver-1.7.1"), Path(__file__).with_name("mlserver.txt")
TARGETS = {
    "p50_batch_1_vs_fastapi_sklearn": 0.12,
    "p50_batch_1_vs_fastapi_onnx": 3.0,
    "p50_batch_1000_vs_fastapi_sklearn": 0.55,
    "p50_batch_1000_vs_fastapi_onnx": 1.5,
    "p50_batch_1_vs_bare_mlserver": 1.25,  # what the input check and the log cost
    "p50_batch_1_keys_vs_bare_mlserver": 1.25,  # and with the lookup of every feature, which the bare one is given
    "time_per_request_8_connections_vs_fastapi_sklearn": 0.1,
}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="two rounds, a quarter of the requests")
    options = parser.parse_args()
    rounds, calls = (2, 50) if options.quick else (5, 200)
    rows = [json.loads(line) for line in (BUNDLE / "golden.jsonl").read_text().splitlines()]
    columns = [row["inputs"] for row in rows if row["form"] == "columns"]
    keys = [row["inputs"] for row in rows if row["form"] == "keys"]
    seconds = measured_sides(columns, keys, rounds, calls)
    ratios = {
        "p50_batch_1_vs_fastapi_sklearn": over(seconds, "fastapi_sklearn", "batch 1"),
        "p50_batch_1_vs_fastapi_onnx": over(seconds, "fastapi_onnx", "batch 1"),
        "p50_batch_1_vs_in_process_sklearn": over(seconds, "in_process", "batch 1"),
        "p50_batch_1_vs_bare_mlserver": over(seconds, "bare_mlserver", "batch 1"),
        "p50_batch_1_keys_vs_bare_mlserver": over(seconds, "bare_mlserver", "batch 1", ours="leverframe_keys"),
        "p50_batch_1_vs_stock_mlserver": over(seconds, "stock_mlserver", "batch 1"),
        "p50_batch_1_keys_vs_fastapi_sklearn": over(seconds, "fastapi_sklearn", "batch 1", ours="leverframe_keys"),
        "p50_batch_1000_vs_fastapi_sklearn": over(seconds, "fastapi_sklearn", "batch 1000"),
        "p50_batch_1000_vs_fastapi_onnx": over(seconds, "fastapi_onnx", "batch 1000"),
        "p50_batch_1000_vs_bare_mlserver": over(seconds, "bare_mlserver", "batch 1000"),
        "p50_batch_1000_vs_stock_mlserver": over(seconds, "stock_mlserver", "batch 1000"),
        "time_per_request_8_connections_vs_fastapi_sklearn": over(seconds, "fastapi_sklearn", "8 connections"),
        "time_per_request_8_connections_vs_stock_mlserver": over(seconds, "stock_mlserver", "8 connections"),
    }
    milliseconds = {name: round(median(values) * 1000, 3) for name, values in seconds.items()}
    print(json.dumps({
        "name": "serving", "machine": machine(), "sizes": {"features": len(columns[0]), "calls": calls},
        "ratios": ratios, "absolute": {"milliseconds": milliseconds}, "targets": TARGETS, "met": met(ratios, TARGETS),
    }, indent=1))  # fmt: skip


def measured_sides(columns: list[Any], keys: list[Any], rounds: int, calls: int) -> dict[str, list[float]]:
    """Return the seconds of each side and kind of request, one figure a round; sides take turns."""
    thousand = [columns[number % len(columns)] for number in range(1000)]
    seconds: dict[str, list[float]] = {}
    with servers() as (sides, model):
        asked = {
            "leverframe": (f"/v2/models/{model}/infer", v2),
            "leverframe_keys": (f"/v2/models/{model}/infer", v2),
            "bare_mlserver": ("/v2/models/bare/infer", v2),
            "stock_mlserver": ("/v2/models/stock/infer", stock_form),
            "fastapi_sklearn": ("/predict", plain),
            "fastapi_onnx": ("/predict", plain),
        }
        for number in range(rounds):
            for side in list(asked)[:: 1 if number % 2 == 0 else -1]:
                path, form = asked[side]
                some = keys if side == "leverframe_keys" else columns
                one, many = form(some[:1]), form([some[n % len(some)] for n in range(1000)])
                at = (sides[side.removesuffix("_keys")], path)
                seconds.setdefault(f"{side} batch 1", []).append(p50(*at, one, calls))
                seconds.setdefault(f"{side} batch 1000", []).append(p50(*at, many, max(5, calls // 20)))
                seconds.setdefault(f"{side} 8 connections", []).append(per_request(*at, one, calls))
            seconds.setdefault("in_process batch 1", []).append(in_process(columns[:1], calls // 4))
            seconds.setdefault("in_process batch 1000", []).append(in_process(thousand, max(5, calls // 20)))
    return seconds


def over(seconds: dict[str, list[float]], peer: str, what: str, ours: str = "leverframe") -> float:
    """Return the median over rounds of our time over a peer's."""
    pairs = zip(seconds[f"{ours} {what}"], seconds[f"{peer} {what}"], strict=True)
    return round(median(one / other for one, other in pairs), 3)


def v2(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as a body of the V2 protocol."""
    return json.dumps({"inputs": [
        {"name": name, "shape": [len(rows)], "datatype": "BYTES" if isinstance(rows[0][name], str) else "FP64",
         "data": [row[name] for row in rows]} for name in rows[0]
    ]}).encode()  # fmt: skip


def stock_form(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as a body of the V2 protocol that the stock runtime turns into a frame, asked for probabilities."""
    body = json.loads(v2(rows))
    for tensor in body["inputs"]:
        tensor["parameters"] = {"content_type": "str"} if tensor["datatype"] == "BYTES" else {}
    return json.dumps({**body, "parameters": {"content_type": "pd"}, "outputs": [{"name": "predict_proba"}]}).encode()


def plain(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as the peers take them."""
    return json.dumps({"columns": {name: [row[name] for row in rows] for name in rows[0]}}).encode()


def p50(port: int, path: str, body: bytes, calls: int) -> float:
    """Return the median seconds of a request over one connection."""
    return median(asked(port, path, body, calls))


def per_request(port: int, path: str, body: bytes, calls: int) -> float:
    """Return seconds for one request while eight connections ask."""
    threads = [threading.Thread(target=asked, args=(port, path, body, calls)) for _ in range(8)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - began) / (8 * calls)


def asked(port: int, path: str, body: bytes, calls: int) -> list[float]:
    """Return the seconds of each request; raises for an answer that is none."""
    connection, took = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
    for _ in range(calls + 3):
        began = time.perf_counter()
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
        took.append(time.perf_counter() - began)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {data[:200]!r}")
    return took[3:]


def in_process(rows: list[dict[str, Any]], calls: int) -> float:
    """Return the median seconds of scikit-learn in a process of its own."""
    work = (
        "import json,sys,time; from pathlib import Path; from statistics import median\n"
        "from benchmarks.peers.serving import with_sklearn\n"
        "answer=with_sklearn(Path(sys.argv[1])); columns=json.loads(sys.stdin.read())['columns']; took=[]\n"
        "for _ in range(int(sys.argv[2])+3):\n"
        "    began=time.perf_counter(); answer(columns); took.append(time.perf_counter()-began)\n"
        "print(median(took[3:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", work, str(BUNDLE), str(calls)],
        input=plain(rows).decode(), capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    return float(done.stdout.splitlines()[-1])


def environment() -> dict[str, str]:
    """Return an environment with one thread for numbers."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}


@contextmanager
def servers() -> Iterator[tuple[dict[str, int], str]]:
    """Yield the port of each side, and the name of the model; every server ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        ours = json.loads(leverframe("--port", "0", "--grpc-port", "0", "--metrics-port", "0", "--json"))
        ports = {"leverframe": int(ours["running"]["port"])}
        started: list[subprocess.Popen[bytes]] = []
        try:
            for side in ("sklearn", "onnx"):
                ports[f"fastapi_{side}"] = port = free()
                started.append(run("benchmarks.peers.serving", side, str(port), str(BUNDLE)))
            for side, start in (("bare", bare), ("stock", stock)):
                (place := Path(folder, side)).mkdir()
                ports[f"{side}_mlserver"] = start(place, started)
            for side, port in ports.items():
                wait(port, side)
            yield ports, next(iter(ours["models"]))
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(30)
            leverframe("--stop")


def leverframe(*arguments: str) -> str:
    """Run `leverframe serve` for a server of our own name."""
    command = ["leverframe", "serve", "--name", "benchmark", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def run(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a module in the background."""
    return started_with([sys.executable, "-m", module, *arguments])


def started_with(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a command in the background; it says nothing."""
    return subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def bare(folder: Path, started: list[subprocess.Popen[bytes]]) -> int:
    """Start MLServer as it is with the bare runtime, and return its port."""
    model = {"name": "bare", "implementation": "benchmarks.peers.bare.BareRuntime", "parameters": {"uri": str(BUNDLE)}}
    return mlserver(folder, model, sys.executable, started)


def stock(folder: Path, started: list[subprocess.Popen[bytes]]) -> int:
    """Start MLServer with its own scikit-learn runtime on the pipeline of the bundle, and return its port."""
    import joblib  # noqa: PLC0415 - the stock runtime reads nothing else

    from leverframe.adapters.sklearn import SklearnModels  # noqa: PLC0415 - as above

    model = SklearnModels(Path()).load((BUNDLE / "model.skops").read_bytes())
    joblib.dump(model, folder / "model.joblib")
    settings = {"name": "stock", "implementation": "mlserver_sklearn.SKLearnModel",
                "parameters": {"uri": str(folder / "model.joblib")}}  # fmt: skip
    return mlserver(
        folder, settings, python_of("MLServer's runtime", PLACE, PINS, "mlserver-sklearn", "scikit-learn"), started
    )


def mlserver(folder: Path, model: dict[str, Any], python: str, started: list[subprocess.Popen[bytes]]) -> int:
    """Start MLServer of an environment with one model, and return its port."""
    port = free()
    settings = {"debug": False, "parallel_workers": 0, "host": "127.0.0.1", "http_port": port, "grpc_port": free(),
                "metrics_port": free(), "gzip_enabled": False}  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    started.append(started_with([str(Path(python).absolute().with_name("mlserver")), "start", str(folder)]))
    return port


def free() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(port: int, side: str) -> None:
    """Wait until a server listens."""
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise RuntimeError(f"{side} did not start") from None
            time.sleep(0.1)
        else:
            time.sleep(1)
            return


if __name__ == "__main__":
    main()

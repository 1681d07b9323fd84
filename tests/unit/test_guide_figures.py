"""Every figure in the guides on security and scaling is held: a constant of the code, or shown by a named test."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest
import uvicorn

from leverframe.domain.model.bundle.schema import MAXIMUM_ROWS
from leverframe.serving import arrivals, arriving, cache, connections, counted, draining, guard, room, wire
from leverframe.settings.levers import ServeSettings

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs/guides"
FIGURE = re.compile(
    r"\d[\d.,]*(?<![.,])|\b(?:two|three|four|five|six|seven|eight|ten|million|thousand)\b", re.IGNORECASE
)
SERVE, ONE = ServeSettings(), counted.OF_A_COLUMN
ROWS = f"{2 * MAXIMUM_ROWS + ONE:,} values, {MAXIMUM_ROWS + ONE:,} of them lists and objects, and {ONE} keys"
MOST = f"{counted.VALUES:,} values, {counted.CONTAINERS:,} lists and objects, and {counted.KEYS:,} keys (else 413)"
PORTS = (SERVE.port, SERVE.grpc_port, SERVE.metrics_port)
ONES, TWOS = ("port: {}, grpc_port: {}, metrics_port: {}".format(*(port + more for port in PORTS)) for more in (0, 100))
BODIES, MEGABYTES = room.Room(1).most, room.Room(SERVE.maximum_bytes).most // 1_000_000
NGINX, PROXY, STRICT = (
    "tests/unit/test_guides.py::",
    "tests/integration/test_serve_proxy.py",
    "tests/integration/test_serve_strict.py",
)
HOSTILE, BOUNDED = "tests/integration/test_serve_hostile.py", "tests/integration/test_serve_bounded.py"
SERVER, FOLDER = "tests/integration/test_serve_server.py", "tests/unit/test_server_folder.py"


def constant(name: str, file: str) -> str:
    """Return the number to which a test sets a name."""
    numbers: list[str] = re.findall(rf"{name}\b[^=\n]*= ([0-9.]+)", (ROOT / file).read_text(encoding="utf-8"))
    return numbers[0]


SECURITY = {  # a part of the guide with a figure, made of the constant that it states: or the test that shows it
    "8443/v2/models/": PROXY, "on three ports": SERVER, "another `Host` gets 421": STRICT,
    "is 404. MLServer's": HOSTILE, "than JSON is 415": STRICT, "beside chunks 400": STRICT,
    "than 1.0 and 1.1 gets 505": STRICT, "folder (mode 0600)": FOLDER, "alone (mode 0700)": FOLDER,
    f"{MAXIMUM_ROWS:,} rows and {guard.HEADERS} headers": "", f"{connections.HEAD_SECONDS:.0f} s for its head": "",
    f"{arriving.BODY_SECONDS:.0f} s for its body": "",
    f"at most {counted.DEPTH} deep (else 400)": HOSTILE,
    ROWS: "", f"more than {counted.UNCOUNTED:,} bytes, or": "", MOST: BOUNDED,
    f"and {counted.Limits().values:,} more": "",
    f"at most\n  {wire.FIELDS:,} fields": BOUNDED, f"more than {room.SMALL:,} bytes": "",
    f"room for {BODIES} bodies": "", "get 429 or `RES": HOSTILE,
    f"not whole {arrivals.UNFINISHED} are": BOUNDED, f"oldest has {arrivals.HURRIED_SECONDS} s": "",
    f"takes {arrivals.OPTIONS['grpc.http2.lookahead_bytes']:,} bytes": BOUNDED,
    f"has {arrivals.OPTIONS['grpc.max_concurrent_streams']} streams": "",
    "an eighth of": "", f"but {connections._LEAST} to {connections.MOST // 4:,}. `Server": "",
    f"accepts {connections.ACCEPTED} connections": "", f"whole has {arriving.LAST_SECONDS:.0f} s, then 503": BOUNDED,
    f"{connections.ENDING_SECONDS:.0f} s after it": "",
    f"it has, for\n  {draining.DRAIN_SECONDS:.0f} s at most": BOUNDED,
    f"less {connections._RESERVED}, but {connections._LEAST} to {connections.MOST:,};": "",
    "`OMP_NUM_THREADS` is 1:": "tests/integration/test_server_isolated.py",
    "proxy: 403, with": PROXY, "a body of 9 MB": PROXY, "unpacks to 200 MB": HOSTILE,
    "413, 415, `RESOURCE_EXHAUSTED`": HOSTILE, "a million empty": HOSTILE,
    f"closes them after {connections.HEAD_SECONDS:.0f} s": HOSTILE, "per client, 429": PROXY,
    "server: 400 with column": STRICT, "server: 421, 415": STRICT,
    f"{'ten' if constant('SECONDS', BOUNDED) == '600' else ''} minutes every night": BOUNDED,
    "by the thousand": BOUNDED,
    "gets a 5xx or a 200": HOSTILE, f"worked for {float(constant('within', HOSTILE)):.0f} s, a": HOSTILE,
    f"worked for {float(constant('WITHIN', BOUNDED)):.0f} s.": BOUNDED,
    "(six characters or more)": "tests/unit/test_redaction.py",
    "repository API | 403": PROXY, "the metrics too | 404": PROXY, "is 200 for a server without": SERVER,
    "the two comment signs": PROXY,
}  # fmt: skip
SCALING = {
    ONES: "", TWOS: "", "--watch 30": "",
    "zone models 64k": NGINX, "127.0.0.1:8080 max_fails=1 fail_timeout=2s": NGINX, "two:": "", "environment two": "",
    "127.0.0.1:8180 max_fails=1 fail_timeout=2s": NGINX, "keepalive 32;": NGINX, "keepalive_timeout 4s": NGINX,
    "Add two lines": "", "127.0.0.1:8080 backup max_fails=0": NGINX, "127.0.0.1:8180 backup max_fails=0": NGINX,
    "no requests for 2 s": "tests/integration/test_rolling_restarts.py", "others ten\n  thousand": "",
    f"stays below {uvicorn.Config('').timeout_keep_alive} s": "",
    "about 240 MB": BOUNDED, f"newest\n{({4: 'four'})[cache.KEPT]} bundles": "",
    f"up to {BODIES} times `serve.maximum_bytes`, {MEGABYTES} MB by": "",
    "gets 429 or `RES": HOSTILE, f'"127.0.0.1:{SERVE.metrics_port}", "127.0.0.1:8182"': "",
    "[5m]": "", "[30m]": "", "99th percentile": "", "(0.99,": "", "above 0.8,": NGINX, "> 0)": "",
    "client, 400)": SERVER, "(503:": "tests/integration/test_materialize_server.py", "has eight rules": NGINX,
}  # fmt: skip
HELD = {"security.md": SECURITY, "scaling.md": SCALING}
COMMANDS = re.compile(r"^\$ .*$|https?://\S+|HTTP/\S+|`test_\w+`|/v2\b|SHA-256|UTF-8", re.MULTILINE)


@pytest.mark.parametrize("page", HELD)
def test_every_figure_of_a_guide_is_held(page: str) -> None:
    """A part that is made of a constant stands in the guide, and no figure stands there that is in no such part."""
    text = (GUIDES / page).read_text(encoding="utf-8")
    assert [part for part in HELD[page] if part not in text] == []
    places = (re.finditer(re.escape(part), text) for part in HELD[page])
    spans = [match.span() for match in (*chain.from_iterable(places), *COMMANDS.finditer(text))]
    loose = [
        text[max(0, figure.start() - 30) : figure.end() + 30]
        for figure in FIGURE.finditer(text)
        if not any(start <= figure.start() and figure.end() <= end for start, end in spans)
    ]
    assert loose == []


@pytest.mark.parametrize("page", HELD)
def test_every_test_that_a_guide_names_exists(page: str) -> None:
    """Those of the threats, those of its sentences, and those of this table."""
    named = set(re.findall(r"`(test_\w+)`", (GUIDES / page).read_text(encoding="utf-8")))
    named |= {Path(held.partition("::")[0]).stem for held in HELD[page].values() if held}
    assert named - {path.stem for path in (ROOT / "tests").rglob("test_*.py")} == set()

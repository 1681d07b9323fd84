"""The rules of a branch and the rights of a token, read from the local forge by `leverframe doctor`."""

from __future__ import annotations

import json
from pathlib import Path

from leverframe.domain.verdict import REFUSED
from leverframe.local.github.server import serving
from leverframe.local.github.state import Repository, Token
from tests.integration.shop import Shop
from tests.warm import WarmRepository, warm

READS, WRITES = "ghs_reads", "ghs_writes"


def test_what_the_branch_and_the_token_lack_is_found(tmp_path: Path) -> None:
    with serving(tmp_path / "server") as server:
        repository = Repository.create("acme", "ml", tmp_path / "server")
        server.repositories["acme/ml"] = repository
        server.tokens |= {WRITES: Token("github-actions[bot]"), READS: Token("github-actions[bot]", writes=())}
        work = WarmRepository.create(tmp_path / "work")
        work.write("dvc.yaml", "stages: {one: {cmd: 'echo 1 > one', outs: [one]}}\n")
        work.write(".github/CODEOWNERS", "* @ada\n")
        work.dvc("repro")
        work.commit("A pipeline")

        def looked(token: str) -> tuple[int, list[tuple[str, str]]]:
            own = {"GITHUB_TOKEN": token, "GITHUB_REPOSITORY": "acme/ml", "GITHUB_API_URL": server.address}
            done = warm().run("leverframe", ["doctor", "--json"], work.root, {**work.environment, **own})
            rows = json.loads(done.stdout)["found"]
            return done.returncode, [(row["state"], row["what"]) for row in rows if row["area"] == "GitHub"]

        code, findings = looked(READS)
        assert code == REFUSED
        assert ("warning", "the token may only read, so it posts no card") in findings
        assert any(state == "wrong" and "does not require the check `leverframe`" in what for state, what in findings)
        repository.required["main"], repository.owned = {"leverframe"}, {"main"}
        assert {state for state, _ in looked(WRITES)[1]} == {"ok"}
        server.tokens.clear()
        code, findings = looked(WRITES)
        assert (code, findings[0][0]) == (REFUSED, "wrong")
        assert WRITES not in findings[0][1]
        assert server.violations == []
    offline = Shop(work).run("doctor", "--offline")
    assert "GitHub" not in offline.stdout
    assert "fix: leverframe init" in offline.stdout

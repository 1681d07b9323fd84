"""S3 for real on loopback: a bucket as ``aws_object_store`` makes it, asked as the roles may ask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.moto_api import recorder
from moto.server import ThreadedMotoServer

from leverframe.adapters.dvc.remotes import RemoteContents
from leverframe.local.repository import TemporaryRepository
from tests.terraform.iam import allows, entries
from tests.terraform.programs import PROGRAMS, ROOT, stubs
from tests.warm import WarmRepository

BUCKET, PREFIX, REGION = "rides-data", "dvc", "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:111122223333:key/22222222-2222-4222-8222-222222222222"
HEADER = "x-amz-server-side-encryption"
ACTIONS = {
    "DELETE": "s3:DeleteObject",
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "POST": "s3:PutObject",
    "PUT": "s3:PutObject",
}
STATE, STATE_KEY = "rides-state", "aws-prod/terraform.tfstate"
BACKEND = f"""
terraform {{
  backend "s3" {{
    bucket       = "{STATE}"
    key          = "{STATE_KEY}"
    region       = "{REGION}"
    encrypt      = true
    kms_key_id   = "{KEY}"
    use_lockfile = true

    use_path_style              = true
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_requesting_account_id  = true
  }}
}}

resource "terraform_data" "one" {{}}
"""


@dataclass(frozen=True)
class Request:
    """What was asked of S3: an action, a resource, and the encryption that the client named."""

    action: str
    resource: str
    encryption: str | None
    prefix: str | None = None

    @property
    def context(self) -> dict[str, str]:
        """What S3 tells a policy of it."""
        return {} if self.prefix is None else {"s3:prefix": self.prefix}


@dataclass(frozen=True)
class Stored:
    """A bucket after a push and a pull, the repository of both, and what they asked."""

    client: Any
    repository: TemporaryRepository
    pushed: tuple[Request, ...]
    pulled: tuple[Request, ...]

    @property
    def requests(self) -> tuple[Request, ...]:
        """What both asked."""
        return self.pushed + self.pulled


@pytest.fixture(scope="module")
def endpoint() -> Iterator[dict[str, str]]:
    """The variables of the environment with which everything of AWS asks a server of this test."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    server.stop()


@pytest.fixture(scope="module")
def stored(endpoint: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """Push a small repository, forget it and pull it, as two machines would."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        for name, value in endpoint.items():
            environment.setenv(name, value)
        # Its variable of the environment is read when moto is imported.
        environment.setattr(recorder, "_location", str(tmp_path_factory.mktemp("recorded") / "requests"))
        client = boto3.client("s3")
        bucket_as_the_module_makes_it(client, BUCKET)
        repository = WarmRepository.create(tmp_path_factory.mktemp("remote"))
        repository.write(
            ".dvc/config", f"[core]\n    remote = store\n['remote \"store\"']\n    url = s3://{BUCKET}/{PREFIX}\n"
        )
        repository.write("data/rides.csv", "ride,minutes\n1,12\n")
        repository.write("data/zones.csv", "zone,name\n1,Süd\n")
        repository.dvc("add", "data")
        recorder.reset_recording()
        recorder.start_recording()
        repository.dvc("push")
        pushed = requests()
        shutil.rmtree(repository.root / ".dvc/cache")
        shutil.rmtree(repository.root / "data")
        recorder.reset_recording()
        repository.dvc("pull")
        recorder.stop_recording()
        yield Stored(client, repository, pushed, requests())


def bucket_as_the_module_makes_it(client: Any, name: str) -> None:
    """Versions, and a key of KMS that encrypts whatever names no encryption."""
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    rules = [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
    client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})


def requests() -> tuple[Request, ...]:
    """What was asked while the recorder ran.

    Whether an object is there S3 tells only whoever may list the bucket; of such a question it tells no prefix.
    """
    asked = [request(json.loads(line)) for line in str(recorder.download_recording()).splitlines()]
    buckets = {entry.resource.split("/")[0] for entry in asked if entry.action == "s3:GetObject"}
    return (*asked, *(Request("s3:ListBucket", bucket, None) for bucket in sorted(buckets)))


def request(recorded: dict[str, Any]) -> Request:
    """The action that S3 takes a request for, and what it is about."""
    url = urllib.parse.urlsplit(recorded["url"])
    bucket, _, key = url.path.lstrip("/").partition("/")
    action = ACTIONS[recorded["method"]] if key else "s3:ListBucket"
    assert key or recorded["method"] in ("GET", "HEAD"), f"a bucket was changed: {recorded['url']}"
    arn = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
    headers = {name.lower(): value for name, value in recorded["headers"].items()}
    prefix = urllib.parse.parse_qs(url.query).get("prefix", [None])[0] if not key else None
    return Request(action, arn, headers.get(HEADER), prefix)


def test_what_is_pushed_comes_back(stored: Stored) -> None:
    """The pull brings every byte, and nothing is beside the prefix."""
    assert stored.repository.read("data/rides.csv") == "ride,minutes\n1,12\n"
    assert stored.repository.read("data/zones.csv") == "zone,name\n1,Süd\n"
    names = [entry["Key"] for entry in stored.client.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert len(names) == 3  # two files and the listing of their folder
    assert all(name.startswith(f"{PREFIX}/files/md5/") for name in names)


def test_objects_are_encrypted_with_the_key(stored: Stored) -> None:
    """DVC names no other encryption, which the policy of the bucket would refuse."""
    assert {request.encryption for request in stored.requests if request.action == "s3:PutObject"} <= {None, "aws:kms"}
    for entry in stored.client.list_objects_v2(Bucket=BUCKET)["Contents"]:
        about = stored.client.head_object(Bucket=BUCKET, Key=entry["Key"])
        assert (about["ServerSideEncryption"], about["SSEKMSKeyId"]) == ("aws:kms", KEY)


def test_what_was_deleted_can_be_restored(stored: Stored) -> None:
    """A deletion leaves a marker above the version; without the marker the content is there again."""
    listing = stored.repository.read("data.dvc").split("md5: ")[1].split()[0]
    remote = RemoteContents(f"s3://{BUCKET}/{PREFIX}")
    content = remote.read(listing)
    assert content is not None
    name = f"{PREFIX}/files/md5/{listing[:2]}/{listing[2:]}"
    marker = stored.client.delete_object(Bucket=BUCKET, Key=name)["VersionId"]
    assert RemoteContents(f"s3://{BUCKET}/{PREFIX}").read(listing) is None
    stored.client.delete_object(Bucket=BUCKET, Key=name, VersionId=marker)
    assert RemoteContents(f"s3://{BUCKET}/{PREFIX}").read(listing) == content


MODULE_OF_ROLES = "aws_iam_policy.policy["
READERS = {"reader": "aws_iam_role_policy.reader[0]", "task": "module.serving.aws_iam_role_policy.task"}


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The statements of the policies of the roles, by name, as Terraform plans them in the module's own test."""
    if not PROGRAMS:
        pytest.skip("neither terraform nor tofu is on PATH")
    with stubs(tmp_path_factory.mktemp("stubs")) as served:
        planned = {
            address: values
            for folder, *tests in (
                ("modules/github_oidc", "roles"),
                ("environments/aws-account", "environment"),
                ("environments/aws-dev", "environment", "wires_the_modules"),
            )
            for address, values in served.planned(PROGRAMS[0], ROOT / "terraform" / folder, *tests).items()
        }
    named = {
        address.split('"')[1]: values for address, values in planned.items() if address.startswith(MODULE_OF_ROLES)
    }
    named |= {role: planned[address] for role, address in READERS.items()}
    return {name: json.loads(values["policy"])["Statement"] for name, values in named.items()}


def test_the_deploy_role_suffices(stored: Stored, policies: dict[str, list[dict[str, Any]]]) -> None:
    """Whatever a push and a pull ask, the policy that Terraform plans for the role allows; elsewhere it does not."""
    deploy = policies["deploy-model"]
    assert {request.action for request in stored.requests} == {"s3:GetObject", "s3:ListBucket", "s3:PutObject"}
    for request in stored.requests:
        assert allows(deploy, request.action, request.resource, request.context), request
    for beside in (f"{BUCKET}/models/x", f"{BUCKET}/dvc-other/x", f"{STATE}/{STATE_KEY}"):
        assert not allows(deploy, "s3:GetObject", f"arn:aws:s3:::{beside}")
    assert not allows(deploy, "s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/{PREFIX}/x")


def test_whoever_only_reads_may_pull(stored: Stored, policies: dict[str, list[dict[str, Any]]]) -> None:
    """A pull, and a look at an object that is missing, ask nothing that the role of pull requests or of tasks lacks."""
    listing = stored.repository.read("data.dvc").split("md5: ")[1].split()[0]
    recorder.reset_recording()
    recorder.start_recording()
    assert RemoteContents(f"s3://{BUCKET}/{PREFIX}").read(listing)
    assert RemoteContents(f"s3://{BUCKET}/{PREFIX}").read("0" * 32) is None
    recorder.stop_recording()
    looked = requests()
    assert {request.action for request in looked} == {request.action for request in stored.pulled}
    for role, asked in (("reader", stored.pulled), ("reader", looked), ("task", looked)):
        for request in asked:
            resource = request.resource.replace(BUCKET, "shop-data")  # of the tests of the root modules
            assert allows(policies[role], request.action, resource, request.context), (role, request)
        granted = {action for statement in policies[role] for action in entries(statement["Action"])}
        assert granted == {"s3:GetObject", "s3:ListBucket", "kms:Decrypt"}
        assert not allows(policies[role], "s3:GetObject", "arn:aws:s3:::shop-data/models/x")


def test_the_roles_of_terraform_suffice(
    stored: Stored, policies: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """An apply locks, writes and unlocks its state, a plan reads it: each by its role, encrypted with the key."""
    bucket_as_the_module_makes_it(stored.client, STATE)
    (tmp_path / "main.tf").write_text(BACKEND, encoding="utf-8")
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    locked: set[str] = set()
    for role, command in (
        ("apply", ["init", "-input=false"]),
        ("apply", ["apply", "-auto-approve", "-input=false"]),
        ("plan", ["plan", "-lock=false", "-input=false"]),
    ):
        recorder.reset_recording()
        recorder.start_recording()
        ended = subprocess.run(
            [PROGRAMS[0], *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        recorder.stop_recording()
        asked = requests()
        assert asked
        granted = [statement for name in GRANTED[role] for statement in policies[name]]
        for request in asked:
            assert allows(granted, request.action, request.resource, request.context), (role, request)
            assert request.action != "s3:PutObject" or request.encryption == "aws:kms"
        locked |= {request.action for request in asked if request.resource.endswith(".tflock")}
    assert locked >= {"s3:PutObject", "s3:DeleteObject"}
    state = f"arn:aws:s3:::{STATE}/{STATE_KEY}"
    plan = [statement for name in GRANTED["plan"] for statement in policies[name]]
    assert allows(plan, "s3:GetObject", state)
    assert not allows(plan, "s3:PutObject", state)
    assert not allows([*plan, ANYTHING], "s3:GetObject", f"arn:aws:s3:::{BUCKET}/{PREFIX}/x")


# The policies that are attached to a role, and one that somebody might attach besides.
GRANTED = {"plan": ("plan-read", "plan-deny"), "apply": ("plan-read", "apply-state")}
ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}

"""What the levers read: ``leverframe.yaml``, one section a lever. No stage depends on it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from leverframe.documents import Document, validated
from leverframe.errors import SettingsError
from leverframe.settings import LEVERS
from leverframe.settings.infra import InfraSettings
from leverframe.settings.monitor import AlertSettings, MonitorSettings
from leverframe.settings.online import OnlineSettings
from leverframe.settings.pipeline import PipelineSettings
from leverframe.settings.retrain import RetrainSettings
from leverframe.settings.runners import Labels, RunnerName, RunnerSettings
from leverframe.yaml_files import load, parse

Share = Annotated[float, Field(gt=0, lt=1)]
EnvironmentName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")]  # a folder, and part of a tag


class MetricRule(Document):
    """The rules for one metric; amounts are in the unit of the metric, whichever direction is better."""

    maximum_drop: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="non-inferiority margin: how much worse than the champion the bound of the candidate may be",
    )
    minimum_gain: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="how much better than the champion the bound of the candidate must be"
    )
    floor: float | None = Field(default=None, description="worst allowed value of the metric")
    direction: Literal["higher", "lower"] | None = Field(
        default=None,
        description="which direction is better, for a figure of one's own pipeline whose name does not tell",
    )

    @model_validator(mode="after")
    def _says_something(self) -> MetricRule:
        if self.maximum_drop is None and self.minimum_gain is None and self.floor is None:
            raise ValueError("a rule needs maximum_drop, minimum_gain or floor; this one could never fail")
        if self.maximum_drop is not None and self.minimum_gain is not None:
            raise ValueError("a rule has maximum_drop or minimum_gain, not both: a required gain excludes a drop")
        return self


class SliceRule(Document):
    """A rule for one metric within each value of some columns."""

    columns: list[str] = Field(min_length=1, description="columns whose values are the slices")
    metric: str | None = Field(default=None, description="metric; by default the first one of the label's kind")
    maximum_drop: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="a slice fails if it is significantly worse than this, corrected for all slices"
    )
    floor: float | None = Field(default=None, description="a slice fails if it is significantly beyond this value")
    minimum_rows: Annotated[int, Field(ge=1)] = Field(default=200, description="smaller slices are skipped")
    minimum_class_rows: Annotated[int, Field(ge=2)] = Field(
        default=10, description="a slice with fewer rows of a class is shown and not judged"
    )

    @model_validator(mode="after")
    def _says_something(self) -> SliceRule:
        if self.maximum_drop is None and self.floor is None:
            raise ValueError("a rule for slices needs maximum_drop or floor; this one could never fail")
        return self


class GateSettings(Document):
    """The rules of the gate; those of the base branch are in force."""

    metrics: dict[str, MetricRule] = Field(default_factory=dict, description="rules by metric")
    slices: list[SliceRule] = Field(default_factory=list, description="rules within slices")
    confidence: Share = Field(default=0.95, description="one-sided confidence of every comparison")
    maximum_holdout_change: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.001,
        description="share of the hold-out that may be added, removed or relabelled within its period; 1 allows any",
    )
    breaking_changes: Literal["refuse", "allow"] = Field(
        default="refuse", description="whether to refuse breaking changes of tables, contracts or definitions"
    )
    maximum_megabytes: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="limit for model and snapshot together"
    )
    allowed_predictors: list[str] = Field(
        default_factory=list, description="features that may predict the label almost perfectly by themselves"
    )


class ReproduceSettings(Document):
    """How far metrics may differ, who is told of a mismatch on main, and which stages need another machine."""

    tolerance: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description="absolute difference by metric that is allowed where two runs of a training differ by themselves; "
        "that of the base branch is in force",
    )
    issue_label: Annotated[str, Field(min_length=1, max_length=50)] = Field(
        default="reproduce", description="label of the one issue that says whether the default branch reproduces"
    )
    runners: dict[RunnerName, RunnerSettings] = Field(
        default_factory=dict, description="stages that need another machine in workflows, such as one with a GPU"
    )
    remote: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] | None = Field(
        default=None,
        description="remote of DVC by which outputs travel between the jobs of `runners`; by default the default one",
    )


class JudgeSettings(Document):
    """What the judge of a pull request may take; that of the base branch is in force."""

    minutes: Annotated[float, Field(gt=0, le=360)] = Field(
        default=30.0, description="time that stages may run, in minutes"
    )
    memory_gb: Annotated[float, Field(gt=0)] = Field(
        default=8.0, description="memory that all processes of a stage may take together, in GB"
    )
    own_approval: bool = Field(
        default=False, description="whether an owner who wrote the change may approve what the judge cannot judge"
    )
    runs_on: Labels | None = Field(
        default=None, description="label or labels of the runner of the judge, where stages need more than a small one"
    )


class ReportSettings(Document):
    """The decision card."""

    publisher: Literal["auto", "cml", "github", "summary", "file"] = Field(
        default="auto", description="how to post the card; auto chooses what the environment allows"
    )
    slices: Annotated[int, Field(ge=0)] = Field(default=8, description="slices shown, those that changed most first")


class LogSettings(Document):
    """The inference log: what is logged of requests and predictions."""

    share: Annotated[float, Field(ge=0, le=1)] = Field(default=1.0, description="share of the requests that is logged")
    deny: list[str] = Field(default_factory=list, description="columns that are never logged")
    megabytes: Annotated[float, Field(gt=0)] = Field(default=16.0, description="size at which a file is closed")
    seconds: Annotated[float, Field(gt=0)] = Field(default=300.0, description="age at which a file is closed")
    days: Annotated[float, Field(ge=1)] = Field(default=90.0, description="days after which a file is removed")


_IMPORT = "[A-Za-z_][A-Za-z0-9_]*"


class ServeSettings(Document):
    """How a model server listens, whichever model it serves."""

    folder: str = Field(
        default=".leverframe/servers", description="where servers of this machine store releases, log and key"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=8080, description="port of REST; 0 takes a free one")
    grpc_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8081, description="port of gRPC; 0 takes a free one"
    )
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8082, description="port of the metrics; 0 takes a free one"
    )
    maximum_bytes: Annotated[int, Field(ge=1024)] = Field(default=4_000_000, description="largest request")
    datatypes: Literal["any", "declared"] = Field(
        default="any",
        description="`any` that holds the numbers of a column, or what the metadata `declared`",
    )
    environment: list[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]] = Field(
        default_factory=list, description="environment variables that a server of this machine is given besides its own"
    )
    log: LogSettings = Field(default_factory=LogSettings, description="the inference log")
    runtimes: list[Annotated[str, Field(pattern=rf"^{_IMPORT}(\.{_IMPORT})*[.:]{_IMPORT}$")]] = Field(
        default_factory=list,
        description="what of installed packages may open and predict a model: runtimes of MLServer, "
        "`package.module.Class`, and functions, `module:function`",
    )


Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
_OBJECT = r"^[a-z]([a-z0-9-]{0,48}[a-z0-9])?$"  # shorter than allowed: KServe adds to it
AnnotationName = Annotated[
    str, Field(pattern=r"^([a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?/)?[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$")
]
ObjectName = Annotated[str, Field(pattern=_OBJECT)]
_IMAGE = r"[a-z0-9][a-z0-9._-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*@sha256:[0-9a-f]{64}"


def _an_image(text: str) -> str:
    if not re.fullmatch(_IMAGE, text):
        raise ValueError("an image is named by digest, as in registry.example.org/leverframe@sha256:...")
    return text


def _an_address(text: str) -> str:
    address = urlsplit(text)
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", address.scheme) or re.search(r"[\s$]", text):
        raise ValueError("an address is written as scheme://place, such as https://data.example.org/storage")
    if "@" in address.netloc or address.query:
        raise ValueError("an address holds no password and no key: they belong into the `secret`")
    try:
        address.port  # noqa: B018 - it is parsed only now
    except ValueError as error:
        raise ValueError("the port of the address is no port") from error
    return text


class ReplicaSettings(Document):
    """How many pods there may be; the autoscaler moves between the two by CPU."""

    minimum: Annotated[int, Field(ge=1, le=1000)] = Field(default=2, description="pods at least")
    maximum: Annotated[int, Field(ge=1, le=1000)] = Field(default=6, description="pods at most")

    @model_validator(mode="after")
    def _in_order(self) -> ReplicaSettings:
        if self.minimum > self.maximum:
            raise ValueError(f"at least {self.minimum} pods and at most {self.maximum} contradict each other")
        return self


class MonitorJobSettings(Document):
    """A CronJob that runs the monitor beside the log of the pods."""

    image: Annotated[str, AfterValidator(_an_image)] = Field(
        description="image by digest, with git and with Leverframe and the extras of the repository"
    )
    repository: Annotated[str, AfterValidator(_an_address)] = Field(
        description="address that the job clones, without a password; it checks the deployed commit out"
    )
    schedule: Annotated[str, Field(pattern=r"^[0-9*,/-]+( [0-9A-Za-z*,/-]+){4}$")] = Field(
        default="23 5 * * *", description="when it runs, as cron in UTC"
    )
    secret: Namespace | None = Field(
        default=None, description="Secret whose keys are its environment: GITHUB_TOKEN, GITHUB_REPOSITORY, webhooks"
    )
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}(Mi|Gi)$")] = Field(
        default="2Gi", description="memory of the job"
    )


class KubernetesSettings(Document):
    """A cluster that serves the model; it contains no secret."""

    context: Annotated[str, Field(min_length=1)] = Field(description="context of the kubeconfig; never the current one")
    namespace: Namespace = Field(description="namespace, which must exist")
    image: Annotated[str, AfterValidator(_an_image)] = Field(description="image of the server, by digest")
    remote: Annotated[str, AfterValidator(_an_address)] = Field(
        description="address of the DVC remote as pods reach it"
    )
    flavour: Literal["deployment", "kserve"] = Field(default="deployment", description="what makes the pods")
    name: ObjectName | None = Field(default=None, description="name of the objects, by default that of the model")
    replicas: ReplicaSettings = Field(default_factory=ReplicaSettings, description="`minimum` and `maximum` of pods")
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}(Mi|Gi)$")] = Field(
        default="1Gi", description="memory of a pod; it always has one CPU"
    )
    clients: list[Namespace] = Field(
        default_factory=list, description="other namespaces whose pods may send requests; its own always may"
    )
    secret: Namespace | None = Field(
        default=None, description="Secret whose keys are the environment of the step that fetches the bundle"
    )
    service_account: dict[AnnotationName, Annotated[str, Field(pattern=r"^[ -~]*$")]] = Field(
        default_factory=dict, description="annotations of the service account, by which clouds give access"
    )
    log_claim: Namespace | None = Field(
        default=None, description="PersistentVolumeClaim of the inference log; without one pods do not log"
    )
    monitor: MonitorJobSettings | None = Field(
        default=None, description="a CronJob that runs the monitor on the log of `log_claim`"
    )
    timeout_seconds: Annotated[int, Field(ge=60, le=7200)] = Field(
        default=600, description="how long a rollout may make no progress"
    )

    @model_validator(mode="after")
    def _has_a_log(self) -> KubernetesSettings:
        if self.monitor is not None and self.log_claim is None:
            raise ValueError("`monitor` reads the log of `log_claim`: set that, or run the monitor elsewhere")
        return self


class EnvironmentSettings(Document):
    """One environment; its server has the same name."""

    after: str | None = Field(default=None, description="environment that must serve a bundle first")
    record: bool = Field(default=True, description="whether to write tags, and GitHub deployments if there is a token")
    port: Annotated[int, Field(ge=0, le=65535)] | None = Field(default=None, description="overrides `serve.port`")
    grpc_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        default=None, description="overrides `serve.grpc_port`"
    )
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        default=None, description="overrides `serve.metrics_port`"
    )
    kubernetes: KubernetesSettings | None = Field(default=None, description="the cluster, if the environment is one")


class DeploySettings(Document):
    """The environments, and the checks of a deployment."""

    environments: dict[EnvironmentName, EnvironmentSettings] = Field(
        default_factory=lambda: {"local": EnvironmentSettings()}, description="environments by name"
    )
    verify_seconds: Annotated[float, Field(ge=0)] = Field(
        default=10.0, description="how long a deployment verifies a release under traffic"
    )
    replay: Annotated[int, Field(ge=0)] = Field(
        default=200, description="number of logged requests to replay on both releases; 0 for none"
    )
    maximum_disagreement: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.2, description="share of replayed rows that may get another label"
    )
    maximum_slowdown: Annotated[float, Field(ge=1)] = Field(
        default=2.0,
        description="allowed factor between the response times of the new release and of the one that serves",
    )
    slowdown_floor_ms: Annotated[float, Field(ge=0)] = Field(
        default=5.0, description="milliseconds that a response may take longer, whatever the factor"
    )
    keep: Annotated[int, Field(ge=2, le=3)] = Field(default=3, description="releases that stay loaded for a rollback")

    @model_validator(mode="after")
    def _order_exists(self) -> DeploySettings:
        for name, environment in self.environments.items():
            seen, before = [name], environment.after
            while before is not None:
                if before not in self.environments:
                    raise ValueError(f"`{name}` comes after `{before}`, which is not an environment")
                if before in seen:
                    raise ValueError(f"`{name}` comes after itself: {' after '.join([*seen, before])}")
                seen.append(before)
                before = self.environments[before].after
        return self


class Levers(Document):
    """The whole of ``leverframe.yaml``."""

    guide: ClassVar[str] = (
        "`leverframe settings --schema --file leverframe.yaml` prints every setting with its type and meaning"
    )

    gate: GateSettings = Field(default_factory=GateSettings)
    reproduce: ReproduceSettings = Field(default_factory=ReproduceSettings)
    judge: JudgeSettings = Field(default_factory=JudgeSettings)
    report: ReportSettings = Field(default_factory=ReportSettings)
    deploy: DeploySettings = Field(default_factory=DeploySettings)
    serve: ServeSettings = Field(default_factory=ServeSettings)
    pipeline: PipelineSettings = Field(default_factory=PipelineSettings)
    monitor: MonitorSettings = Field(default_factory=MonitorSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    retrain: RetrainSettings = Field(default_factory=RetrainSettings)
    online: OnlineSettings = Field(default_factory=OnlineSettings)
    infra: InfraSettings = Field(default_factory=InfraSettings)

    @model_validator(mode="after")
    def _pods_know_redis(self) -> Levers:
        for name, environment in self.deploy.environments.items():
            if self.online.store == "redis" and environment.kubernetes and not environment.kubernetes.secret:
                raise ValueError(
                    f"`online.store: redis` needs `deploy.environments.{name}.kubernetes.secret`, "
                    f"a Secret with the key {self.online.redis}"
                )
        return self


def check_names(levers: Levers, model: str) -> None:
    """Raise ``SettingsError`` where the name of the model cannot name the objects of a declared cluster."""
    for name, environment in levers.deploy.environments.items():
        if environment.kubernetes and not environment.kubernetes.name and not re.match(_OBJECT, model):
            raise SettingsError(
                f"`{model}` cannot name objects of a cluster",
                why="they begin with a letter and have 50 characters at most",
                next=f"set `deploy.environments.{name}.kubernetes.name` in leverframe.yaml",
            )


def read_levers(path: Path = LEVERS) -> Levers:
    """Return what levers read; a missing file means the defaults. Raises ``SettingsError``."""
    return validated(Levers, load(path, what="settings file"), name=str(path)) if path.is_file() else Levers()


def levers_of(text: str, *, name: str) -> Levers:
    """Return what levers read in the text of a ``leverframe.yaml``; no text means the defaults."""
    return validated(Levers, parse(text, name=name, what="settings file"), name=name) if text.strip() else Levers()


def schema() -> str:
    """Return the JSON schema of ``leverframe.yaml``."""
    return json.dumps(Levers.model_json_schema(), indent=2) + "\n"

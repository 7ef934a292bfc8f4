"""The Helm chart: rendered by Helm's own library, held against Kubernetes' schemas and against what the service takes.

The library and the schemas are no small packages: `.ci/deploy` installs them. What needs neither runs everywhere.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # ships no types

from cwconnect import __version__
from cwconnect.site.health import _LOOKS, label
from tests.support.services import ROOT

CHART = ROOT / "cwconnect" / "deploy" / "helm"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = Draft7Validator(json.loads((CHART / "values.schema.json").read_text(encoding="utf-8")))
OLDEST, NEWEST = "1.25", "1.37"  # of Kubernetes: what Chart.yaml asks for, and what there are schemas of
WITH_HELM = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("helm_python", "kubernetes_validate")),
    reason="helm-python-sdk and kubernetes-validate are not installed: .ci/deploy installs them",
)
# Every switch, both ways somewhere.
CASES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "everything": {
        "settings": {"CWCONNECT_PUBLIC_URL": "https://events.example", "CWCONNECT_RETENTION_DAYS": 14},
        "autoscaling": {"enabled": True, "by": "keda"},
        "ingress": {"enabled": True, "host": "events.example", "className": "nginx", "tlsSecret": "events-tls"},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "image": {"pullSecrets": ["registry"], "tag": "1.2.3"},
        "networkPolicy": {
            "databaseTo": [{"ipBlock": {"cidr": "10.1.2.3/32"}}],
            "redisTo": [{"podSelector": {"matchLabels": {"app": "redis"}}}],
            "insideNetworks": ["10.9.0.0/16", "fd00::/64"],
            "outsidePorts": [],
        },
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/cwconnect"}],
        "podAnnotations": {"a.example/b": "c"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
    },
    "scaled by an external metric": {"autoscaling": {"enabled": True, "by": "external"}},
    "scaled by CPU": {"autoscaling": {"enabled": True}},
    "as little as can be": {
        "secretFiles": {"CWCONNECT_REDIS_URL": None, "CWCONNECT_METRICS_TOKEN": None},
        "migration": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
    },
}
OTHERS_KINDS = {"ScaledObject", "ServiceMonitor"}  # of operators: Kubernetes has no schema of them


def render(values: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Return the manifests of a release `demo` in `prod`, and its notes."""
    import helm_python

    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(values, name="demo", namespace="prod")
    notes = "".join(text for name, text in files.items() if name.endswith("NOTES.txt"))
    rest = [text for name, text in files.items() if not name.endswith("NOTES.txt")]
    return [each for text in rest for each in yaml.safe_load_all(text) if each], notes


def pods(manifests: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each pod's component and its spec."""
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "Job"):
            template = manifest["spec"]["template"]
            yield template["metadata"]["labels"]["app.kubernetes.io/component"], template["spec"]


def of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in manifests if each["kind"] == kind]


# -- without Helm ------------------------------------------------------------------------------------------------------


def test_the_chart_has_the_services_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_schema_takes_the_values_that_come_with_it_and_names_each_of_them() -> None:
    assert [error.message for error in SCHEMA.iter_errors(VALUES)] == []
    assert set(SCHEMA.schema["properties"]) - {"global"} == set(VALUES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"worker": {}},
        {"web": {"replica": 2}},
        {"workers": {"processes": 1}},  # one polls or delivers: nothing would do the other
        {"existingSecret": ""},
        {"settings": {"PUBLIC_URL": "https://events.example"}},
        {"secretFiles": {**VALUES["secretFiles"], "CWCONNECT_DATABASE_URL": None}},
        {"autoscaling": {"by": "lag"}},
        {"ingress": {"enabled": True, "host": ""}},
        {"networkPolicy": {"insideNetworks": ["10.0.0.0"]}},
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_schema_refuses_what_is_misspelt_or_can_not_work(wrong: dict[str, Any]) -> None:
    merged = {key: {**VALUES[key], **value} if isinstance(value, dict) and key in VALUES else value
              for key, value in wrong.items()}  # fmt: skip  # as Helm merges them
    assert not SCHEMA.is_valid(VALUES | merged)


def test_every_setting_that_it_gives_is_documented() -> None:
    documented = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [name for name in VALUES["secretFiles"] if f"| `{name}` |" not in documented] == []


def test_each_pod_runs_a_command_that_takes_these_arguments() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (CHART / "templates").glob("*.yaml"))
    text = text.replace('(printf "--workers=%d" (int .Values.workers.processes))', '"--workers=2"')
    found = [re.findall(r'"([^"]*)"', listed) for listed in re.findall(r"\$args := list (.+?) }}", text)]
    assert {name for name, *_ in found} == {"up", "work", "migrate"}
    for name, *arguments in found:
        command = load_command_class(str(get_commands()[name]), name)
        command.create_parser("cwconnect", name).parse_args(arguments)


def test_the_probe_excludes_parts_that_there_are() -> None:
    excluded = re.findall(r"exclude=(\w+)", (CHART / "templates" / "web.yaml").read_text(encoding="utf-8"))
    assert set(excluded) < {label(name) for name in _LOOKS}


# -- by Helm -----------------------------------------------------------------------------------------------------------


@WITH_HELM
def test_helm_finds_nothing_to_mend() -> None:
    import helm_python

    found = helm_python.lint(CHART)
    assert found["errors"] == []
    assert [each["error"] for each in found["messages"]] == ["icon is recommended"]


@WITH_HELM
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST])
def test_kubernetes_takes_what_is_rendered(case: str, kubernetes: str) -> None:
    import kubernetes_validate

    manifests, _ = render(CASES[case])
    assert manifests
    for manifest in manifests:
        if manifest["kind"] not in OTHERS_KINDS:
            kubernetes_validate.validate(manifest, kubernetes, strict=True)
    names = [(each["kind"], each["metadata"]["name"]) for each in manifests]
    assert len(set(names)) == len(names)


@WITH_HELM
@pytest.mark.parametrize("case", CASES)
def test_no_pod_may_more_than_it_needs(case: str) -> None:
    found = dict(pods(render(CASES[case])[0]))
    assert found.keys() >= {"web", "workers"}
    for spec in found.values():
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert container["resources"]["limits"]["memory"]
        assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/data", "/tmp"}  # noqa: S108  (its own)


@WITH_HELM
@pytest.mark.parametrize("case", CASES)
def test_secrets_come_as_files_and_each_file_is_there(case: str) -> None:
    for _, spec in pods(render(CASES[case])[0]):
        (container,) = spec["containers"]
        named = {each["name"]: each["value"] for each in container["env"]}
        files = {value for name, value in named.items() if name.endswith("_FILE")}
        (secrets,) = [volume["secret"] for volume in spec["volumes"] if volume["name"] == "secrets"]
        assert files == {f"/run/secrets/cwconnect/{item['path']}" for item in secrets["items"]}
        assert not any(name in named for name in VALUES["secretFiles"])
        assert len(named) == len(container["env"])


@WITH_HELM
def test_the_schema_is_migrated_before_anything_else_is_touched() -> None:
    manifests, _ = render({})
    (job,) = of_kind(manifests, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    (policy,) = [each for each in of_kind(manifests, "NetworkPolicy") if each["metadata"]["name"].endswith("migration")]
    assert int(policy["metadata"]["annotations"]["helm.sh/hook-weight"]) < 0  # before the job itself


@WITH_HELM
def test_every_pod_has_its_policy_and_reaches_no_network_inside() -> None:
    manifests, _ = render({})
    policies = {each["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]: each["spec"]
                for each in of_kind(manifests, "NetworkPolicy")}  # fmt: skip
    assert policies.keys() == dict(pods(manifests)).keys()
    assert all(policy["policyTypes"] == ["Ingress", "Egress"] for policy in policies.values())
    assert policies["workers"]["ingress"] == policies["migration"]["ingress"] == []
    ports = {name: [port["port"] for rule in policy["egress"] for port in rule.get("ports", [])]
             for name, policy in policies.items()}  # fmt: skip
    assert ports["migration"] == [53, 53, 5432, 6379]
    assert ports["workers"] == [53, 53, 5432, 6379, 80, 443, 465, 587]
    blocks = [
        peer["ipBlock"] for rule in policies["workers"]["egress"] for peer in rule.get("to", []) if "ipBlock" in peer
    ]
    assert [block["cidr"] for block in blocks] == ["0.0.0.0/0", "::/0"]
    assert {"10.0.0.0/8", "169.254.0.0/16"} < set(blocks[0]["except"])


@WITH_HELM
@pytest.mark.parametrize("case", ["everything", "scaled by an external metric", "scaled by CPU"])
def test_who_scales_the_workers_is_alone_in_it(case: str) -> None:
    manifests, _ = render(CASES[case])
    (workers,) = [each for each in of_kind(manifests, "Deployment") if each["metadata"]["name"].endswith("workers")]
    assert "replicas" not in workers["spec"]
    scalers = of_kind(manifests, "HorizontalPodAutoscaler") + of_kind(manifests, "ScaledObject")
    assert [each["spec"]["scaleTargetRef"]["name"] for each in scalers] == [workers["metadata"]["name"]]
    if case != "scaled by CPU":
        assert "cwconnect_delivery_lag_seconds" in json.dumps(scalers)


@WITH_HELM
def test_the_notes_say_what_is_left_to_do() -> None:
    assert "CWCONNECT_PUBLIC_URL is not set" in render({})[1]
    assert "by CPU: a backlog" in render(CASES["scaled by CPU"])[1]
    assert "run `cwconnect migrate`" in render(CASES["as little as can be"])[1]
    everything = render(CASES["everything"])[1]
    assert "https://events.example/" in everything
    assert "another host" not in everything
    other = CASES["everything"] | {"settings": {"CWCONNECT_PUBLIC_URL": "https://xevents.example"}}
    assert "another host" in render(other)[1]


@WITH_HELM
def test_helm_refuses_values_that_the_schema_refuses() -> None:
    import helm_python

    with pytest.raises(helm_python.HelmError, match="replica"):
        render({"web": {"replica": 1}})

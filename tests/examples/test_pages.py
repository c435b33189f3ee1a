"""The operator's pages name everything that an operator meets, and what they show is accepted."""

import re
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY, CollectorRegistry

from callwright.domain.agent import AgentDefinition, RetryRule, parse_agent
from callwright.domain.gate import GateFacts, decide
from callwright.domain.outcome import EndReason
from callwright.domain.scopes import Scope
from callwright.media.metrics import MediaMetrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
AGENTS = (DOCS / "agents.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_every_metric_is_explained() -> None:
    own = CollectorRegistry()
    MediaMetrics(own)
    for module in ("callwright.api.metrics", "callwright.toolkit.http"):
        import_module(module)
    families = [*REGISTRY.collect(), *own.collect()]
    names = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in families
        if family.name.startswith("callwright_")
    }
    assert len(names) >= 12
    assert sorted(name for name in names if f"`{name}" not in OPERATIONS) == []
    told = set(re.findall(r"^\| `(callwright_\w+)", OPERATIONS, re.MULTILINE))
    assert sorted(told - names) == []


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_reason_is_explained(reason: EndReason) -> None:
    assert f"\n| `{reason}` |" in OPERATIONS


def test_every_rule_of_the_gate_is_explained() -> None:
    facts = GateFacts(
        now=datetime(2026, 11, 23, 11, tzinfo=UTC),
        phone="+447700900123",
        zones=(),
        hours=(),
        suppressed=None,
        caller_id="+447700900001",
        owned_caller_ids=frozenset(),
        in_flight_call=None,
        calls_in_progress=0,
        max_concurrent_calls=1,
    )
    for reason in decide(facts).reasons:
        assert f"\n| `{reason.rule}` |" in OPERATIONS


def test_the_agents_on_the_page_are_accepted() -> None:
    smallest, retry = (yaml.safe_load(block) for block in blocks(AGENTS, "yaml"))
    assert isinstance(parse_agent(smallest), AgentDefinition)
    for reason, rule in retry["retry"].items():
        assert EndReason(reason)
        RetryRule.model_validate(rule)


def test_links_between_pages_lead_somewhere() -> None:
    for path in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]*)(#[^)]*)?\)", path.read_text(encoding="utf-8")):
            file, anchor = target
            if "://" in file:
                continue
            there = (path.parent / file) if file else path
            assert there.exists(), f"{path.name}: {file}"
            if anchor and there.suffix == ".md":
                heads = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
                assert anchor[1:] in slugs, f"{path.name}: {file}{anchor}"


def test_the_scopes_are_listed() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    assert [scope for scope in Scope if f"`{scope}`" not in page] == []

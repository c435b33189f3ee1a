"""The demo notices a misunderstanding, and plays with those who can play."""

import dataclasses
from typing import Any

import pytest

from callwright.cli import demo_world
from callwright.cli.demo_world import DemoWorld, Expected, choose_cast
from callwright.registry import IntegrationSpec, Role, with_role
from callwright.simulation.person_script import PersonScript

ADA = Expected("completed", {"interested": True, "budget": 12500})


def call(**changes: Any) -> dict[str, Any]:
    """A call as the API shows it."""
    collected = {"interested": True, "budget": 12500, "opt_out": False}
    return {"state": "done", "end_reason": "completed", "collected": collected, **changes}


@pytest.mark.parametrize(
    "changes,told",
    [
        ({}, []),
        ({"end_reason": "machine"}, ["outcome: 'machine', expected 'completed'"]),
        ({"end_reason": None, "state": "talking"}, ["outcome: 'talking', expected 'completed'"]),
        (
            {"collected": {"interested": True, "budget": 1250}},
            ["budget: 1250, expected 12500"],
        ),
        ({"collected": {"interested": True}}, ["budget: None, expected 12500"]),
        (
            {"collected": {"interested": False, "budget": 12500, "opt_out": True}},
            ["interested: False, expected True", "opt_out: True, expected None"],
        ),
    ],
)
def test_what_ended_otherwise_is_named(changes: dict[str, Any], told: list[str]) -> None:
    assert ADA.differences(call(**changes)) == told


def test_the_demo_expects_what_each_person_is_scripted_to_say() -> None:
    world = DemoWorld(choose_cast())
    assert set(world.expected) == {record.record_id for record in world.world.records}
    for record in world.world.records:
        said = " ".join(PersonScript.from_dict(world.world.people[record.phone]).texts())
        answers = world.expected[record.record_id].answers
        for name in ("budget", "preferred_date"):
            assert str(answers.get(name, "")) in said
    collected = {field.name for field in world.agent().collect}
    assert {name for item in world.expected.values() for name in item.answers} <= collected


def test_who_can_play_in_a_demo_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor's folder that was begun and comes first by name must not take the stage."""

    def with_a_beginner(role: Role) -> list[IntegrationSpec]:
        specs = with_role(role)
        return [dataclasses.replace(specs[0], name="aaa"), *specs]

    cast = choose_cast()
    monkeypatch.setattr(demo_world, "with_role", with_a_beginner)
    assert choose_cast() == cast
    assert choose_cast(("aaa",)).carrier.name == "aaa"

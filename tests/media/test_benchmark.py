"""The benchmark runs; its figures are judged where it is run in earnest."""

import pytest

from bench.relay import measures
from bench.relay.report import show
from bench.relay.run import RELAYS


@pytest.mark.slow
async def test_the_benchmark_measures_a_few_calls() -> None:
    run = measures.steady("callwright", RELAYS["callwright"], 3, 1.0)
    assert run["to_person"]["missing"] == run["to_agent"]["missing"] == 0
    assert run["to_person"]["frames"] == pytest.approx(150, abs=75)
    assert run["cpu_ms_per_call_second"] > 0
    assert "callwright" in show({"steady": [run], "starts": [], "stalls": []})

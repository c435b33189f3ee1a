"""Checks recorded vendor traffic against the vendors' machine-readable specifications.

    python tools/validate_traffic.py TRAFFIC_FOLDER SPECS_FOLDER [--simulators]

TRAFFIC_FOLDER holds <vendor>.jsonl, as `callwright demo --record-traffic` writes them; SPECS_FOLDER holds a folder
of specifications for each vendor. Every path, query and body that our adapters sent by HTTP, and every message by
websocket, must be what the specification allows: a field or parameter that it does not list is a violation, too.
With --simulators the simulators' answers, messages and webhooks are judged as well. Needs jsonschema and pyyaml.
Exit code 1: something is not allowed, or not known to the specification; 2: there is nothing to check.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, it finds its own package

from tools.traffic.validation import Result, Row, Validator, read
from tools.traffic.vendors import VENDORS

_EXAMPLES = 5


def main(arguments: list[str]) -> int:
    """Check every recorded file and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("traffic", type=Path, help="folder of <vendor>.jsonl files")
    parser.add_argument("specs", type=Path, help="folder with a folder of specifications for each vendor")
    parser.add_argument("--simulators", action="store_true", help="judge what the simulators sent as well")
    chosen = parser.parse_args(arguments)
    files = sorted(chosen.traffic.glob("*.jsonl"))
    if not files:
        print(f"{chosen.traffic} holds no *.jsonl", file=sys.stderr)
        return 2
    results = [result for file in files for result in _check(file, chosen.specs, theirs=chosen.simulators)]
    checked = sum(result.checked for result in results)
    violations = sum(len(result.violations) for result in results)
    unknown = sum(len(result.unknown) for result in results)
    print(f"In all: {checked} messages, {violations} violations, {unknown} unknown.")
    return 0 if all(result.good for result in results) else 1


def _check(file: Path, specs: Path, *, theirs: bool) -> Iterator[Result]:
    name = file.stem
    vendor = VENDORS.get(name)
    if vendor is None or not (specs / name).is_dir():
        result = Result()
        for line, row in read(file):
            _count_unknown(result, line, row)
        _report(f"{name} (no specification)", result)
        yield result
        return
    validator = Validator(vendor, specs / name)
    ours = validator.ours(read(file))
    _report(name, ours)
    yield ours
    if theirs:
        simulated = validator.theirs(read(file))
        _report(f"{name}, its simulator", simulated)
        yield simulated
    for erratum in vendor.errata:
        print(f"  mended: {erratum.file} {erratum.schema}: {erratum.reason}.")
    if validator.documents.absent:
        print(f"  not in the folder, so not checked: {', '.join(sorted(validator.documents.absent))}")


def _count_unknown(result: Result, line: int, row: Row) -> None:
    if row["direction"] == "in":
        result.add(line, row["name"], None)


def _report(title: str, result: Result) -> None:
    figures = f"{len(result.violations)} violations, {len(result.unknown)} unknown"
    print(f"{title}: {result.checked} messages of {len(result.names)} kinds, {figures}")
    for label, findings in (("violation", result.violations), ("unknown", result.unknown)):
        for finding in findings[:_EXAMPLES]:
            told = "; ".join(finding.problems[:3]) or "no operation or message of this name"
            print(f"  {label}: line {finding.line}, {finding.name}: {told}")
        if len(findings) > _EXAMPLES:
            print(f"  ... and {len(findings) - _EXAMPLES} more")
    if result.undescribed:
        kinds = ", ".join(name for name, _ in result.undescribed.most_common(_EXAMPLES))
        print(f"  not described, so not checked: {result.undescribed.total()} answers, such as {kinds}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

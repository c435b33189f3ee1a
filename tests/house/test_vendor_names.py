"""A vendor is named in its own folder only, so that adding or removing one touches nothing else."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import REPOSITORY, expect_none, integration_of, text_files, where, write

KNOWN_VENDORS = frozenset(
    "anthropic assemblyai cartesia deepgram elevenlabs exotel freshsales gemini hubspot "
    "infobip mongodb openai pipedrive plivo retellai salesforce signalwire speechmatics telnyx "
    "twilio ultravox vonage zoho".split()
)
SHORTEST_NAME = 3
"""A name of one or two letters cannot be told from ordinary code."""


def vendor_names(root: Path) -> frozenset[str]:
    """The vendors with a folder, and those that are known besides."""
    folder = root / "callwright" / "integrations"
    found = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    names = {name.lower() for name in found if name[0] not in "_."} | KNOWN_VENDORS
    return frozenset(name for name in names if len(name) >= SHORTEST_NAME)


def named_outside_their_folder(root: Path) -> list[str]:
    """Places that name a vendor outside its folder.

    In another integration only Python names count: a vendor's wire vocabulary may well contain a competitor.
    """
    vendors = vendor_names(root)
    pattern = re.compile("|".join(sorted(vendors)), re.IGNORECASE)
    found = []
    for path, text in text_files(root / "callwright"):
        own = integration_of(root, path)
        if own is None and (match := pattern.search(path.relative_to(root).as_posix())):
            found.append(f"{where(root, path)}: the path names {match[0]}")
        for line, word in _words(path, text, own):
            found.extend(
                f"{where(root, path, line)}: {match[0]}"
                for match in pattern.finditer(word)
                if match[0].lower() != own
            )
    return found


def _words(path: Path, text: str, integration: str | None) -> Iterator[tuple[int, str]]:
    if integration is None:
        yield from enumerate(text.splitlines(), start=1)
    elif path.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME:
                yield token.start[0], token.string


def test_no_vendor_is_named_outside_its_folder() -> None:
    expect_none(named_outside_their_folder(REPOSITORY))


def test_a_vendor_in_the_core_is_found(tmp_path: Path) -> None:
    write(tmp_path, "callwright/calls/dial.py", "CARRIER = 'x'\nif name == 'TwilioCarrier': pass\n")
    write(tmp_path, "callwright/api/zoho.py")
    assert named_outside_their_folder(tmp_path) == [
        "callwright/api/zoho.py: the path names zoho",
        "callwright/calls/dial.py:2: Twilio",
    ]


def test_a_new_folder_is_a_new_name(tmp_path: Path) -> None:
    write(tmp_path, "callwright/integrations/acme/__init__.py", "ACME_KEY = 'acme'\n")
    write(tmp_path, "callwright/app.yaml", "carrier: acme\n")
    assert named_outside_their_folder(tmp_path) == ["callwright/app.yaml:1: acme"]


def test_an_integration_does_not_use_the_names_of_another(tmp_path: Path) -> None:
    write(tmp_path, "callwright/integrations/acme/client.py", "twilio_key = 'telnyx is a competitor'\n")
    assert named_outside_their_folder(tmp_path) == ["callwright/integrations/acme/client.py:1: twilio"]

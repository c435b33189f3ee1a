"""What every vendor's simulator is: the vendor's side of the wire, strict, scripted, and able to fail."""

from typing import Protocol

from callwright.simulation.faults import Faults
from callwright.simulation.traffic import Traffic


class VendorSimulator(Protocol):
    """One vendor on loopback, constructed as Class(world)."""

    name: str
    faults: Faults
    traffic: Traffic

    async def start(self) -> None:
        """Listen on free loopback ports."""
        ...

    async def stop(self) -> None:
        """Close every socket and task within a few seconds."""
        ...

    def environment(self) -> dict[str, str]:
        """The settings (environment names and values) with which our adapter talks to this simulator."""
        ...

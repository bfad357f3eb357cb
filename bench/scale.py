"""How much is measured: the whole, or the short form."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.content import KIB, MIB


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        seconds: how long a load of many requests goes on.
        large: the size of a large blob, in bytes.
        layers: the layers of a whole image.
        layer_size: the size of each, in bytes.
        listed: how many repositories, and tags of one of them, are listed.
        growth: the numbers of tags at which the cost of each operation is measured.
        growth_seconds: how long, at each of them, each operation is measured at most.
        images: how many images the large repository has.
        clients: how many clients come at once.
    """

    seconds: int = 1
    large: int = 256 * MIB
    layers: int = 20
    layer_size: int = MIB
    listed: int = 10_000
    growth: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    growth_seconds: float = 1.0
    images: int = 100_000
    clients: int = 500

    def shortened(self) -> Scale:
        """Return the same for the short form."""
        return replace(
            self,
            large=64 * MIB,
            layer_size=256 * KIB,
            listed=1_000,
            growth=(1_000, 10_000),
            growth_seconds=0.2,
            images=10_000,
        )

"""Link: how long it takes to get bytes from a host, by a model of four figures.

A request costs the time until its answer begins, which requests that are under way together share, but none begins
sooner after another than a polite client lets it; then bytes come at a steady rate, however many answers they are in.
"""

from __future__ import annotations

from dataclasses import dataclass

from galmorph.sky.remote.client import Manners

__all__ = ["Link"]


@dataclass(frozen=True)
class Link:
    """What lies between here and a host.

    Parameters
    ----------
    latency_s
        From a request to the first byte of its answer: a round trip over an ocean, and a look at a disk.
    bytes_per_s
        How fast bytes come: what archives give to one user, and less than most lines carry.
    """

    latency_s: float = 0.15
    bytes_per_s: float = 1e7

    def time_s(self, size: int, requests: int, manners: Manners) -> float:
        """Return how long so many bytes take, in so many requests."""
        return size / self.bytes_per_s + requests * max(
            1 / manners.requests_per_s, self.latency_s / manners.connections
        )

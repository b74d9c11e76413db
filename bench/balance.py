"""python -m bench.balance: a simulation of what a load balancer's rule does to requests and batches of many pods.

Each pod is a Triton that takes what waits, up to MAX_BATCH, as its next batch as soon as it has done the last one. A
batch of n takes FIXED_MS + n x ITEM_MS, in some pods SLOWER times that: a neighbour on the same machine, or an older
GPU. Requests come at random (Poisson), so many a second as fill the pods to the given share.
"""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from statistics import mean, quantiles

PODS = 20
SLOW_PODS = 4
SLOWER = 2.0
MAX_BATCH = 64
FIXED_MS = 4.0
ITEM_MS = 0.2
REQUESTS = 200_000
SHARES = (0.5, 0.8)


@dataclass
class Pod:
    """A simulated pod; times in ms. waiting: when each request came; batch: those being computed."""

    factor: float
    waiting: list[float] = field(default_factory=list)
    batch: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @property
    def outstanding(self) -> int:
        """How many requests are inside."""
        return len(self.waiting) + len(self.batch)

    def begin(self, now: float) -> float:
        """Take the next batch; tell when it will be done."""
        self.batch, self.waiting = self.waiting[:MAX_BATCH], self.waiting[MAX_BATCH:]
        self.sizes.append(len(self.batch))
        return now + self.factor * (FIXED_MS + ITEM_MS * len(self.batch))


def simulate(choose: Callable[[list[Pod]], Pod], share: float) -> tuple[float, float, float]:
    """Tell the median and the 99th percentile of the time inside, in ms, and the mean batch."""
    random.seed(0)
    pods = [Pod(SLOWER if number < SLOW_PODS else 1.0) for number in range(PODS)]
    a_ms = share * sum(MAX_BATCH / (each.factor * (FIXED_MS + ITEM_MS * MAX_BATCH)) for each in pods)
    arrival = 0.0
    done: list[tuple[float, int]] = []  # when which pod will have done its batch
    took: list[float] = []
    for _ in range(REQUESTS):
        arrival += random.expovariate(a_ms)
        while done and done[0][0] <= arrival:
            now, number = heapq.heappop(done)
            pod = pods[number]
            took += [now - each for each in pod.batch]
            pod.batch = []
            if pod.waiting:
                heapq.heappush(done, (pod.begin(now), number))
        pod = choose(pods)
        pod.waiting.append(arrival)
        if not pod.batch:
            heapq.heappush(done, (pod.begin(arrival), pods.index(pod)))
    cuts = quantiles(took, n=100)
    return cuts[49], cuts[98], mean(size for each in pods for size in each.sizes)


def in_turn(turns: Iterator[int], pods: list[Pod]) -> Pod:
    """Choose the next one."""
    return pods[next(turns)]


def least_of_two(pods: list[Pod]) -> Pod:
    """Choose of two at random the one with fewer requests inside."""
    return min(random.sample(pods, 2), key=lambda each: each.outstanding)


def least(pods: list[Pod]) -> Pod:
    """Choose one of those with the fewest requests inside."""
    fewest = min(each.outstanding for each in pods)
    return random.choice([each for each in pods if each.outstanding == fewest])


def main() -> None:
    """Print a table."""
    print(f"{PODS} pods, {SLOW_PODS} of them {SLOWER:g} times slower; batches of up to {MAX_BATCH}")
    print(f"{'load':>5}  {'rule':20} {'p50 ms':>8} {'p99 ms':>8} {'mean batch':>11}")
    for share in SHARES:
        turns = cycle(range(PODS))
        rules: dict[str, Callable[[list[Pod]], Pod]] = {
            "round robin": partial(in_turn, turns),
            "random": random.choice,
            "least of two": least_of_two,
            "least connections": least,
        }
        for name, choose in rules.items():
            p50, p99, batch = simulate(choose, share)
            print(f"{share:5.0%}  {name:20} {p50:8.1f} {p99:8.1f} {batch:11.1f}", flush=True)


if __name__ == "__main__":
    main()

"""PPO with an LSTM policy: the controller of NASNet and MnasNet.

MnasNet, arXiv 1807.11626, section 4.2; NASNet, arXiv 1707.07012, appendix A.2; PPO's clipped
objective, arXiv 1707.06347, equation 7.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from controller.algorithm import Evaluated, Outcome, Proposal, Skipped, Stopped
from controller.ledger import Ledger
from controller.settings import PpoSettings
from search_space.decisions import Decisions, DecisionSpace, Point


class Policy(nn.Module):
    """An LSTM that reads the decisions made so far and weighs the options of the next one.

    Args:
        option_counts: Options of each of the T decisions; O is their maximum.
        hidden: H, units of the one layer, and width of what stands for a decision at its input.
        init: Every weight starts uniform in `[-init, init]`.
        generator: Of the initial weights.
    """

    unavailable: Tensor
    offsets: Tensor

    def __init__(
        self, option_counts: Sequence[int], *, hidden: int, init: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        steps, widest = len(option_counts), max(option_counts)
        bare = nn.LSTM(hidden, hidden, batch_first=True, device="meta")  # draws nothing
        self.lstm = bare.to_empty(device="cpu")
        self.tokens = nn.Parameter(torch.empty(1 + steps * widest, hidden))
        self.weight = nn.Parameter(torch.empty(steps, widest, hidden))
        self.bias = nn.Parameter(torch.empty(steps, widest))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init, init, generator=generator)
        counts = torch.tensor(option_counts)
        self.register_buffer("unavailable", torch.arange(widest) >= counts[:, None])
        self.register_buffer("offsets", 1 + widest * torch.arange(steps))

    def forward(self, points: Tensor) -> Tensor:
        """Log-probabilities of every option, `[N, T, O]` float32, of ``points`` `[N, T]` int64."""
        before = (points + self.offsets)[:, :-1]
        start = torch.zeros_like(points[:, :1])
        outputs, _ = self.lstm(self.tokens[torch.cat([start, before], dim=1)])
        logits: Tensor = torch.einsum("nth,toh->nto", outputs, self.weight) + self.bias
        return logits.masked_fill(self.unavailable, -math.inf).log_softmax(dim=-1)

    @torch.inference_mode()
    def draw(self, rng: random.Random) -> tuple[Decisions, float]:
        """One point and its log-probability."""
        decisions: list[int] = []
        total, token = 0.0, 0
        cell = tuple(self.lstm.parameters())
        output = memory = self.tokens.new_zeros(1, self.lstm.hidden_size)
        for step, offset in enumerate(self.offsets.tolist()):
            # five times faster than a sequence of one through self.lstm
            output, memory = torch.lstm_cell(self.tokens[token, None], (output, memory), *cell)
            logits = torch.addmv(self.bias[step], self.weight[step], output[0])
            logits = logits.masked_fill(self.unavailable[step], -math.inf)
            log_probabilities = logits.log_softmax(dim=-1).tolist()
            decision = _draw(log_probabilities, rng.random())
            decisions.append(decision)
            total += log_probabilities[decision]
            token = offset + decision
        return tuple(decisions), total

    @torch.inference_mode()
    def log_probability(self, point: Decisions) -> float:
        """Of drawing a point."""
        every = self(torch.tensor([point]))
        return float(every[0, torch.arange(len(point)), torch.tensor(point)].sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Experience:
    """What one outcome teaches."""

    point: Decisions
    log_probability: float
    advantage: float


class Ppo:
    """Learns a distribution over the points of a fixed-length space; a ``SearchAlgorithm``.

    A full minibatch of outcomes, in the order told, makes one update. A proposal's note holds the
    log-probability under the policy that drew it, so an outcome that comes after further updates
    is weighed by PPO's probability ratio. Advantages over the moving average of the rewards are
    divided by their root mean square in the minibatch, which no paper states: rewards of one
    search differ by some hundredths, those of another by tenths.

    What is no reward of its own is taken as bad: ``Failed`` as the lowest reward told so far (and
    as nothing before the first), ``Skipped`` as its bound, or as the lowest where that is lower:
    a bound says what the reward cannot exceed, and the soft reward's is far above what any
    network reaches.

    Args:
        space: A fixed tuple of choices.
        settings: Sizes, rates and weights.
        seed: Of the initial weights; with the index of a proposal also of its draws.
        first: The points of the first proposals, as if they had been drawn.
        start: Its reward is what the moving average begins with.
    """

    def __init__(
        self,
        space: DecisionSpace,
        settings: PpoSettings,
        *,
        seed: int,
        first: Sequence[Point] = (),
        start: Evaluated | None = None,
    ) -> None:
        self._settings = settings
        self._first = tuple(map(space.checked, first))
        self._space = space
        self._seed = seed
        self._ledger = Ledger()
        generator = torch.Generator().manual_seed(random.Random(f"{seed}/policy").getrandbits(63))
        self._policy = Policy(
            space.option_counts,
            hidden=settings.hidden,
            init=settings.init,
            generator=generator,
        )
        self._optimizer = torch.optim.Adam(self._policy.parameters(), lr=settings.learning_rate)
        self._minibatch: list[_Experience] = []
        self._version = 0
        self._lowest = math.inf if start is None else start.reward
        self._baseline = None if start is None else start.reward

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        with _one_thread():
            return tuple(self._propose(index) for index in self._ledger.issue(count))

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``."""
        self._ledger.settle(outcomes)
        for outcome in outcomes:
            reward = self._reward(outcome)
            if reward is None:
                continue
            self._minibatch.append(self._experience(outcome.proposal, reward))
            if len(self._minibatch) == self._settings.minibatch:
                with _one_thread():
                    self._update()

    def _propose(self, index: int) -> Proposal:
        if index < len(self._first):
            point = self._first[index]
            log_probability = self._policy.log_probability(point)
        else:
            rng = random.Random(f"{self._seed}/{index}")
            point, log_probability = self._policy.draw(rng)
        note = {"log_probability": log_probability, "policy": self._version}
        return Proposal(index=index, point=point, note=note)

    def _reward(self, outcome: Outcome) -> float | None:
        match outcome:
            case Evaluated(reward=reward) | Stopped(reward=reward):
                self._lowest = min(self._lowest, reward)
                return reward
            case Skipped(bound=bound):
                return min(bound, self._lowest)
        return None if math.isinf(self._lowest) else self._lowest

    def _experience(self, proposal: Proposal, reward: float) -> _Experience:
        """Its advantage is over the moving average of the rewards before it."""
        baseline = reward if self._baseline is None else self._baseline
        decay = self._settings.baseline_decay
        self._baseline = decay * baseline + (1 - decay) * reward
        return _Experience(
            point=self._space.checked(proposal.point),
            log_probability=cast("float", proposal.note["log_probability"]),
            advantage=reward - baseline,
        )

    def _update(self) -> None:
        batch, self._minibatch = self._minibatch, []
        points = torch.tensor([experience.point for experience in batch])
        old = torch.tensor([experience.log_probability for experience in batch])
        advantages = torch.tensor([experience.advantage for experience in batch])
        advantages = advantages / (advantages.square().mean().sqrt() + 1e-12)
        for _ in range(self._settings.epochs):
            self._optimizer.zero_grad()
            self._loss(points, old, advantages).backward()
            self._optimizer.step()
        self._version += 1

    def _loss(self, points: Tensor, old: Tensor, advantages: Tensor) -> Tensor:
        """PPO's clipped objective and the entropy, both to be maximized, with a minus sign."""
        every = self._policy(points)
        new = every.gather(-1, points[..., None])[..., 0].sum(dim=1)
        finite = every.masked_fill(self._policy.unavailable, 0.0)
        entropy = -(every.exp() * finite).sum(dim=(1, 2)).mean()
        ratio = (new - old).exp()
        clip = self._settings.clip
        clipped = ratio.clamp(1 - clip, 1 + clip)
        objective = torch.minimum(ratio * advantages, clipped * advantages).mean()
        loss: Tensor = -(objective + self._settings.entropy * entropy)
        return loss


def _draw(log_probabilities: Sequence[float], threshold: float) -> int:
    """The option at which the summed probabilities exceed ``threshold``."""
    last, total = 0, 0.0
    for option, value in enumerate(log_probabilities):
        if value == -math.inf:
            continue
        last = option
        total += math.exp(value)
        if total > threshold:
            break
    return last


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums of equal numbers are equal in one thread; how many there are is the caller's."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

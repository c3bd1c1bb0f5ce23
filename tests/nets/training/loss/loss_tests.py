"""LossTests: what every loss keeps, whatever it compares; the tests of a new one inherit them."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch

from galmorph.nets.training.loss import LOSSES
from galmorph.nets.training.loss.interface import Loss, make_loss
from galmorph.nets.training.settings import Augmentation
from galmorph.sky.scheme import Scheme

__all__ = ["ASKED", "LOGITS", "SCHEMES", "VOTES", "LossTests", "named"]

LOGITS = [[0.2, -0.3, 1.0, 0.0, -1.0], [-1.5, 0.4, 0.3, 0.3, 2.0]]
VOTES = [[7.0, 3.0, 1.0, 2.0, 0.0], [0.0, 5.0, 0.0, 1.0, 4.0]]
ASKED = [[10.0] * 2 + [3.0] * 3, [5.0] * 5]
SCHEMES = {
    "tree": tiny.TREE,
    "exclusive": tiny.scheme_of("exclusive", 5),
    "independent": tiny.scheme_of("independent", 5),
}


def named(name: str, outputs, counts=VOTES, totals=ASKED, scheme=tiny.TREE, weight=None, **settings: float) -> float:
    """Compute the loss of a name in double precision."""
    tensors = [torch.as_tensor(v, dtype=torch.float64) for v in (outputs, counts, totals)]
    weights = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    return float(make_loss(name, scheme, **settings)(*tensors, weights))


class LossTests:
    """Laws of a loss; a subclass says its name, and overrides what is otherwise with it."""

    name: str
    kinds = tuple(SCHEMES)
    """Kinds of schemes that it fits."""
    takes_smoothing = True
    learns = 0.97
    """To what share of its first value it falls, at least, when round galaxies are told from flat ones."""

    def outputs(self, n: int, seed: int = 1) -> torch.Tensor:
        """Draw what a network might give for five answers: logits."""
        return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))

    def truthful(self, fractions: torch.Tensor) -> torch.Tensor:
        """Return the outputs at which the loss of vote fractions, (B, 5), of the tree is least."""
        return fractions.log()

    def extremes(self) -> torch.Tensor:
        """Return the most extreme outputs that a network could give."""
        return torch.tensor([[300.0, -300.0, 0.0, 80.0, -80.0]])

    def schemes(self) -> list[Scheme]:
        """List schemes that it fits."""
        return [SCHEMES[kind] for kind in self.kinds]

    def votes(self, n: int, scheme: Scheme, seed: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw 10 votes on each question, (n, 5), and their totals."""
        generator = torch.Generator().manual_seed(seed)
        counts = torch.zeros(n, 5)
        for where in scheme.slices:
            drawn = torch.randint(where.start, where.stop, (n, 10), generator=generator)
            counts += torch.nn.functional.one_hot(drawn, 5).sum(dim=1)
        return counts, torch.full((n, 5), 10.0)

    def loss(self, scheme: Scheme = tiny.TREE, **settings: float) -> Loss:
        """Make it."""
        return make_loss(self.name, scheme, **settings)

    def test_it_has_a_name_a_module_and_tests(self):
        assert self.name in LOSSES
        assert Path(__file__).with_name(f"test_{self.name}.py").is_file()

    def test_it_is_one_finite_number_whose_gradient_is_finite(self):
        for scheme in self.schemes():
            outputs = self.outputs(7).requires_grad_()
            value = self.loss(scheme)(outputs, *self.votes(7, scheme))
            value.backward()
            assert (value.shape, value.dtype) == ((), torch.float32)
            assert float(value.detach()) > 0
            assert torch.isfinite(outputs.grad).all()

    def test_no_votes_at_all_are_no_loss(self):
        for scheme in self.schemes():
            assert float(self.loss(scheme)(self.outputs(3), torch.zeros(3, 5), torch.zeros(3, 5))) == 0.0

    def test_galaxies_without_a_label_weigh_nothing(self):
        """Neither in the sum nor in the mean; the network learns nothing from them."""
        for scheme in self.schemes():
            counts, totals = self.votes(4, scheme)
            blank = torch.zeros(2, 5)
            outputs = self.outputs(6).requires_grad_()
            value = self.loss(scheme)(outputs, torch.cat([counts, blank]), torch.cat([totals, blank]))
            value.backward()
            assert float(value.detach()) == pytest.approx(float(self.loss(scheme)(self.outputs(6)[:4], counts, totals)))
            assert (outputs.grad[4:] == 0).all()
            assert (outputs.grad[:4] != 0).any()

    def test_a_question_nobody_was_asked_adds_nothing(self):
        """Whatever the network says about it, where somebody would have been led to it."""
        counts, totals = (torch.tensor(v) for v in ([[6.0, 4.0, 0.0, 0.0, 0.0]], [[10.0] * 2 + [0.0] * 3]))
        one, other = self.outputs(2)
        other[:2] = one[:2]
        loss = self.loss()
        assert float(loss(one[None], counts, totals)) == pytest.approx(float(loss(other[None], counts, totals)))

    def test_a_weight_of_two_is_the_same_galaxy_twice_and_none_is_no_galaxy(self):
        for scheme in self.schemes():
            loss, outputs, (counts, totals) = self.loss(scheme), self.outputs(3), self.votes(3, scheme)
            twice = [torch.cat([v, v[:1]]) for v in (outputs, counts, totals)]
            assert float(loss(outputs, counts, totals, torch.tensor([2.0, 1.0, 1.0]))) == pytest.approx(
                float(loss(*twice))
            )
            without = loss(outputs[1:], counts[1:], totals[1:])
            assert float(loss(outputs, counts, totals, torch.tensor([0.0, 1.0, 1.0]))) == pytest.approx(float(without))
            assert float(without) != pytest.approx(float(loss(outputs, counts, totals)), rel=1e-3)

    def test_the_order_of_galaxies_does_not_matter(self):
        for scheme in self.schemes():
            loss, values = self.loss(scheme), (self.outputs(5), *self.votes(5, scheme))
            assert float(loss(*(v.flip(0) for v in values))) == pytest.approx(float(loss(*values)), rel=1e-6)

    def test_it_is_least_at_the_truth(self):
        fractions, totals = torch.tensor([[0.7, 0.3, 0.2, 0.5, 0.3]]), torch.tensor([[10.0] * 2 + [3.0] * 3])
        outputs = self.truthful(fractions).requires_grad_()
        self.loss()(outputs, fractions * totals, totals).backward()
        assert torch.allclose(outputs.grad, torch.zeros(1, 5), atol=1e-5)

    def test_smoothing_spreads_a_share_of_the_votes_evenly(self):
        """Or does nothing."""
        counts, totals = [[10.0, 0.0, 0.0, 6.0, 0.0]] * 2, [[10.0] * 2 + [6.0] * 3] * 2
        evened = [[9.5, 0.5, 0.2, 5.6, 0.2]] * 2 if self.takes_smoothing else counts
        outputs = self.outputs(2)
        assert named(self.name, outputs, counts, totals, smoothing=0.1) == pytest.approx(
            named(self.name, outputs, evened, totals)
        )

    def test_extreme_outputs_have_a_finite_gradient(self):
        outputs = self.extremes().requires_grad_()
        self.loss()(outputs, torch.tensor(VOTES[:1]), torch.tensor(ASKED[:1])).backward()
        assert torch.isfinite(outputs.grad).all()

    def test_what_is_no_number_is_no_loss(self):
        """So that a training stops."""
        outputs = self.outputs(3)
        outputs[1, 0] = torch.nan
        assert not torch.isfinite(self.loss()(outputs, *self.votes(3, tiny.TREE)))

    def test_half_precision_around_it_does_not_reach_it(self):
        """Nor what it makes of a network's outputs."""
        for scheme in self.schemes():
            loss, values = self.loss(scheme), (self.outputs(5), *self.votes(5, scheme))
            alone, marginals = loss(*values), loss.marginals(values[0])
            with torch.autocast("cpu", dtype=torch.bfloat16):
                assert torch.equal(loss(*values), alone)
                assert torch.equal(loss.marginals(values[0]), marginals)

    def test_marginals_are_probabilities_multiplied_down_the_tree(self):
        network, stamps, loss = tiny.network(), torch.from_numpy(tiny.stamps(3)), self.loss()
        marginals = loss.marginals(loss.outputs(network, stamps)).detach()
        assert torch.allclose(marginals[:, :2].sum(1), torch.ones(3))
        assert torch.allclose(marginals[:, 2:].sum(1), marginals[:, 1])
        assert torch.allclose(marginals, network.columns(stamps))

    def test_a_network_learns_by_it_which_galaxies_are_round(self):
        ranges = Augmentation(zoom=1.05, shift=0.02)
        trainer = tiny.trainer(ranges, epochs=40, learning_rate=0.02, average=0.9, loss=self.name)
        epochs = list(trainer.epochs())
        assert trainer.best_loss < self.learns * epochs[0].validation_loss
        stamps = tiny.training_set().stamps(torch.arange(12), None, torch.Generator())
        with torch.no_grad():
            p = trainer.loss.marginals(trainer.loss.outputs(trainer.best, stamps))[:, 0]
        assert p[0::2].min() > p[1::2].max()

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_a_gpu_computes_the_same(self):
        for scheme in self.schemes():
            loss, values = self.loss(scheme), (self.outputs(64), *self.votes(64, scheme))
            there = loss(*(v.cuda() for v in values))
            assert float(there) == pytest.approx(float(loss(*values)), rel=1e-5)

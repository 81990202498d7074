"""QuantizationBins: what it says about weights, bytes and loss is what numpy says from the raw weights."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import traitlets

import lmlab as lab
from lmlab.quantization import has_bits
from lmlab.widgets._base import LabWidget
from lmlab.widgets._quantization_words import rival_said, shown_error
from lmlab.widgets._style import plain, spans
from lmlab.widgets._weights import N_BINS, fine_bins
from lmlab.widgets.quantization_bins import METHODS, QuantizationBins

LAYER = "blocks.1.mlp.up"
SAID = "the baker sold the goose. investors panicked."
HAND = (-1.4, -0.2, 0.5, 1.7)


def widget(model: lab.TextModel, **traits: object) -> QuantizationBins:
    return QuantizationBins(model, **{"layer": LAYER, "text": SAID, **traits})


def raw(model: lab.TextModel, layer: str = LAYER) -> np.ndarray:
    return model.model.get_submodule(layer).weight.detach().numpy().astype(np.float64)


def nearest(weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return levels[np.abs(weights[..., None] - levels).argmin(-1)]


def loss_by_hand(model: lab.TextModel, text: str, changed: dict[str, np.ndarray]) -> float:
    """Mean surprise of the text from its start to its end, with some weights exchanged."""
    other = copy.deepcopy(model.model)
    with torch.no_grad():
        for name, weights in changed.items():
            other.get_submodule(name).weight.copy_(torch.from_numpy(weights))
        ids = torch.tensor([model.tokenizer.bos_id, *model.tokenizer.encode(text), model.tokenizer.bos_id])
        return float(F.cross_entropy(other(ids[None, :-1])[0], ids[1:]))


# ---------------------------------------------------------------- error, bytes, loss


def test_levels_by_hand_cost_what_numpy_says(random_model: lab.TextModel) -> None:
    view = widget(random_model, levels=list(HAND)).shown
    w = raw(random_model)
    spread = np.sqrt((w**2).mean())
    rounded = nearest(w, np.array(HAND) * spread)
    assert view.error == pytest.approx(((w - rounded) ** 2).mean() / spread**2, rel=1e-4)
    assert view.levels == pytest.approx(HAND, abs=1e-5)
    before, after = view.losses
    assert before == pytest.approx(loss_by_hand(random_model, SAID, {}), abs=1e-4)
    assert after == pytest.approx(loss_by_hand(random_model, SAID, {LAYER: rounded}), abs=1e-4)
    assert before != pytest.approx(after, abs=1e-5)


def test_min_max_levels_reach_from_the_least_to_the_greatest_weight(random_model: lab.TextModel) -> None:
    view = widget(random_model, bits=2, method="minmax").shown
    z = raw(random_model) / np.sqrt((raw(random_model) ** 2).mean())
    levels = np.linspace(z.min(), z.max(), 4)
    assert view.levels == pytest.approx(levels, abs=1e-4)
    assert view.error == pytest.approx(((z - nearest(z, levels)) ** 2).mean(), rel=1e-3)


def test_groups_are_worked_out_one_by_one(random_model: lab.TextModel) -> None:
    view = widget(random_model, bits=2, method="minmax", group="32").shown
    w = raw(random_model).reshape(-1, 32)
    rounded = np.stack([nearest(g, np.linspace(g.min(), g.max(), 4)) for g in w])
    assert view.error == pytest.approx(((w - rounded) ** 2).sum() / (w**2).sum(), rel=2e-3)
    assert dict(view.methods)["groups of 32"] == pytest.approx(view.error)


def test_all_layers_at_once(random_model: lab.TextModel) -> None:
    w = widget(random_model, levels=list(HAND), scope="all")
    names = list(w._layers)
    assert len(names) == 4 * 7
    changed, error, energy = {}, 0.0, 0.0
    for name in names:
        weights = raw(random_model, name)
        changed[name] = nearest(weights, np.array(HAND) * np.sqrt((weights**2).mean()))
        error += ((weights - changed[name]) ** 2).sum()
        energy += (weights**2).sum()
    costs = {label: mine for label, mine, *_ in w.shown.costs}
    assert costs["mean squared error"] == shown_error(error / energy)
    assert w.shown.losses[1] == pytest.approx(loss_by_hand(random_model, SAID, changed), abs=1e-4)
    assert w.shown.costs[0][0] == "all 28 layers"


def test_bits_and_bytes_are_those_stored(random_model: lab.TextModel) -> None:
    rows, cols = raw(random_model).shape
    costs = {label: (mine, dense) for label, mine, dense in widget(random_model, bits=2).shown.costs}
    assert costs["bits a weight"] == ("2.00", "32.00")
    assert costs["bytes"][0].startswith(f"{(rows * cols * 2 / 8 + 4 + 4) / 1000:.1f}")
    grouped = {label: mine for label, mine, _ in widget(random_model, bits=4, group="32", method="mse").shown.costs}
    assert grouped["bits a weight"] == "4.50"


def test_weights_that_are_bf16_are_compared_with_bf16(random_model: lab.TextModel) -> None:
    half = lab.TextModel(copy.deepcopy(random_model.model).bfloat16().float(), random_model.tokenizer, name="half")
    view = widget(half, bits=2).shown
    assert view.costs[0] == ("this layer", "yours", "bf16")
    assert view.costs[1][2] == "16.00"


# ---------------------------------------------------------------- by hand against k-means


def test_levels_by_hand_compete_with_k_means_in_the_loss_of_the_model(random_model: lab.TextModel) -> None:
    by_method = widget(random_model, bits=2, method="kmeans").shown
    w = widget(random_model, levels=list(HAND))
    view = w.shown
    assert view.costs[0] == ("this layer", "yours", "k-means", "float32")
    k = np.array(by_method.levels) * np.sqrt((raw(random_model) ** 2).mean())
    loss = loss_by_hand(random_model, SAID, {LAYER: nearest(raw(random_model), k)})
    assert view.rival == pytest.approx(loss, abs=1e-4)
    assert view.costs[3] == ("mean squared error", shown_error(view.error), shown_error(view.best_error), "0")
    assert view.best_error == pytest.approx(by_method.error)
    ahead = [("yours win", -1.0), ("k-means is still ahead", 1.0), ("a draw", 0.0)]
    gap = view.losses[1] - loss
    said = ahead[2] if abs(gap) < 0.0005 else ahead[0] if gap < 0 else ahead[1]
    assert said[0] in w.sentence
    assert f"With k-means’ levels it is {loss:.3f}" in w.sentence


def test_each_outcome_of_the_competition_has_its_words() -> None:
    assert "yours win" in plain(spans(*rival_said(0.684, 0.688)))
    assert "k-means is still ahead" in plain(spans(*rival_said(0.690, 0.688)))
    assert "a draw" in plain(spans(*rival_said(0.6881, 0.688)))
    assert rival_said(0.7, None) == rival_said(None, 0.7) == []


# ---------------------------------------------------------------- what the page computes from


@pytest.mark.parametrize("group", ["all", "32"])
def test_fine_bins_give_the_error_of_any_levels(random_model: lab.TextModel, group: str) -> None:
    weights = torch.from_numpy(raw(random_model))
    bins = fine_bins(weights, None if group == "all" else 32)
    w = weights.numpy().reshape(1, -1) if group == "all" else weights.numpy().reshape(-1, 32)
    spread = np.sqrt((w**2).mean(1, keepdims=True))
    levels = np.array([-2.0, -0.7, 0.1, 1.1])
    expected = (spread**2 * (w / spread - nearest(w / spread, levels)) ** 2).sum() / (w**2).sum()
    middle = bins.low + (np.arange(N_BINS) + 0.5) * (bins.high - bins.low) / N_BINS
    level = nearest(middle, levels)
    _, m0, m1, m2 = bins.sums.astype(np.float64)
    assert (m2 - 2 * level * m1 + level**2 * m0).sum() == pytest.approx(expected, abs=1e-5)
    assert bins.sums[0].sum() == w.size


@pytest.mark.parametrize("group", ["all", "32"])
@pytest.mark.parametrize(("method", "bits"), [("integer", 2), ("integer", 3), ("absmax", 2), ("minmax", 3)])
def test_the_axis_holds_every_level_of_a_method_and_stays_while_one_is_dragged(
    method: str, bits: int, group: str
) -> None:
    tok = lab.load("town").tokenizer
    model = lab.Transformer(lab.TransformerConfig.tiny(vocab_size=tok.vocab_size), seed=1)
    with torch.no_grad():
        model.blocks[0].mlp.up.weight[0, 0] = 1.0  # one weight far out on one side
    w = widget(
        lab.TextModel(model, tok, name="lopsided"), layer="blocks.0.mlp.up", method=method, bits=bits, group=group
    )
    view = w.shown
    assert view.low < view.levels[0] < view.levels[-1] < view.high
    w.levels = [0.9 * view.levels[0], *view.levels[1:-1], 0.8 * view.levels[-1]]
    w.wait()
    assert (w.method, w.shown.low, w.shown.high) == ("hand", view.low, view.high)
    w.method = "minmax"
    w.wait()
    assert w.shown.low == pytest.approx(w.shown.levels[0] - 0.15, abs=0.01) or group == "32"


def test_levels_of_the_cell_that_lie_far_out_are_on_the_axis(random_model: lab.TextModel) -> None:
    view = widget(random_model, levels=[-30.0, 0.0, 0.5, 25.0]).shown
    assert view.low < -30
    assert view.high > 25


def test_the_page_receives_the_bins_once(random_model: lab.TextModel) -> None:
    w = widget(random_model)
    assert w._bins == fine_bins(torch.from_numpy(raw(random_model)), None).sums.tobytes()
    assert len(w._bins) == 4 * 4 * N_BINS
    changes: list[object] = []
    w.observe(changes.append, "_bins")
    w.bits = 5
    w.wait()
    assert not changes
    w.group = "32"
    w.wait()
    assert len(changes) == 1


# ---------------------------------------------------------------- state


def test_setting_levels_switches_to_by_hand_and_a_method_takes_them_back(random_model: lab.TextModel) -> None:
    w = widget(random_model, bits=3)
    w.levels = list(HAND)
    w.wait()
    assert (w.method, w.bits, w.shown.levels) == ("hand", 2, pytest.approx(HAND, abs=1e-5))
    w.method = "kmeans"
    w.wait()
    assert w.levels == []
    assert w.shown.error == w.shown.best_error
    assert "no other four levels" in w.sentence


def test_by_hand_begins_where_the_last_method_stood(random_model: lab.TextModel) -> None:
    w = widget(random_model, bits=2, method="minmax")
    before = w.shown.levels
    w.method = "hand"
    w.wait()
    assert w.shown.levels == pytest.approx(before, abs=1e-4)
    w.bits = 3
    w.wait()
    assert len(w.shown.levels) == 8


def test_integer_has_two_bits_or_more(random_model: lab.TextModel) -> None:
    w = widget(random_model, bits=1)
    w.method = "integer"
    w.wait()
    assert (w.bits, len(w.shown.levels)) == (2, 4)
    assert 0 in w.shown.levels
    w.bits = 1
    w.wait()
    assert w.method == "kmeans"


def test_nf4_has_four_bits(random_model: lab.TextModel) -> None:
    w = widget(random_model, bits=2)
    w.method = "nf4"
    w.wait()
    assert (w.bits, len(w.shown.levels)) == (4, 16)
    w.bits = 3
    w.wait()
    assert w.method == "kmeans"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_every_choice_has_a_sentence_with_its_numbers(random_model: lab.TextModel, method: str, bits: int) -> None:
    if not has_bits(method, bits):
        return
    view = widget(random_model, bits=bits, method=method, text="the goose").shown
    said = "".join(text for _, text in view.readout)
    assert shown_error(view.error) in said
    assert "nats per token" in said
    assert list(view.levels) == sorted(view.levels)
    assert len(view.levels) == 2**bits


def test_reset_brings_the_cell_back(random_model: lab.TextModel) -> None:
    w = widget(random_model, levels=list(HAND))
    w.method, w.bits, w.group = "absmax", 7, "row"
    w.wait()
    w.reset()
    w.wait()
    assert (w.method, w.bits, w.group, w.levels) == ("hand", 2, "all", list(HAND))


def test_the_model_is_left_as_it_was(random_model: lab.TextModel) -> None:
    before = {name: value.clone() for name, value in random_model.model.state_dict().items()}
    widget(random_model, scope="all", bits=1)
    assert all(torch.equal(before[name], value) for name, value in random_model.model.state_dict().items())


def test_the_level_in_hand_is_named(random_model: lab.TextModel) -> None:
    w = widget(random_model, levels=list(HAND), held=1)
    assert w.sentence.startswith("Your second level is at −0.20. The mean squared error is 0.1")
    assert len(repr(w)) <= 110


# ---------------------------------------------------------------- texts and refusals


def test_the_town_is_the_text_unless_told_otherwise(random_model: lab.TextModel) -> None:
    view = QuantizationBins(random_model).shown
    assert "held-out documents of the town" in "".join(text for _, text in view.foot)
    assert view.losses[0] == pytest.approx(np.log(random_model.vocab_size), rel=0.5)


@pytest.mark.parametrize("text", [None, [], ""])
def test_without_a_text_the_loss_is_left_out_and_the_sentence_says_why(random_model, text) -> None:
    w = widget(random_model, text=text)
    if text == "":  # an empty document still has an end to predict
        assert w.shown.losses[0] is not None
        return
    assert w.shown.losses == (None, None)
    assert "There is no text to measure the loss on" in w.sentence
    assert w.shown.costs[-1][1:] == ("–", "–")


def test_a_text_longer_than_the_context_is_read_in_pieces(random_model: lab.TextModel) -> None:
    long = "the goose crashed the stock market. " * 200
    w = widget(random_model, text=long)
    assert w.shown.losses[0] > 0
    assert 256 < w._text.n_tokens < 3000


def test_a_model_without_weights_is_refused_in_a_sentence(trigram: lab.TextModel) -> None:
    with pytest.raises(ValueError, match=r"trigram \(NGram\) has no weights in linear layers"):
        QuantizationBins(trigram)
    with pytest.raises(ValueError, match="needs a text model"):
        QuantizationBins("town")


def test_an_unknown_layer_or_level_is_refused(random_model: lab.TextModel) -> None:
    with pytest.raises(traitlets.TraitError, match=r"no linear layer 'layers.9'; it has blocks.0.attention"):
        widget(random_model, layer="layers.9")
    with pytest.raises(traitlets.TraitError):
        widget(random_model, method="magic")
    w = widget(random_model)
    w.levels = [0.0, float("nan")]
    with pytest.raises(ValueError, match="levels must be 2 to 256 finite numbers"):
        w.wait()


def test_it_is_a_lab_widget_with_named_controls() -> None:
    assert issubclass(QuantizationBins, LabWidget)
    labels = [QuantizationBins.class_traits()[n].metadata["control"].label for n in QuantizationBins.controls]
    assert labels == ["Layer", "Bits a weight", "Levels by", "Group", "Quantized", "Reset"]


@pytest.mark.parametrize(
    ("error", "shown"), [(0, "0"), (1.0, "1.00"), (0.12149, "0.121"), (0.00951, "0.0095"), (3.14e-5, "0.000031")]
)
def test_errors_are_shown_to_three_places_or_two_digits(error: float, shown: str) -> None:
    assert shown_error(error) == shown

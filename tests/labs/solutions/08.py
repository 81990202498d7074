"""Lab 08: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import math

import torch

# ---------------------------------------------------------------- training.cross_entropy


def my_loss(logits, targets):
    rows = logits.log_softmax(-1)
    return -rows[torch.arange(len(targets)), targets].mean()


def with_the_wrong_sign(logits, targets):
    return -my_loss(logits, targets)


def sums_it(logits, targets):
    return my_loss(logits, targets) * len(targets)


def in_bits(logits, targets):
    return my_loss(logits, targets) / math.log(2)


def surprise_of_the_mean(logits, targets):
    return -logits.softmax(-1)[torch.arange(len(targets)), targets].mean().log()


def down_the_columns(logits, targets):
    return -logits.log_softmax(0)[torch.arange(len(targets)), targets].mean()


def overflows(logits, targets):
    p = logits.exp() / logits.exp().sum(-1, keepdim=True)
    return -p[torch.arange(len(targets)), targets].log().mean()


# ---------------------------------------------------------------- training.learning_rate


def my_learning_rate(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    way = (step - warmup) / (steps - 1 - warmup)
    return peak * (1 + math.cos(math.pi * way)) / 2


def starts_at_zero(step, steps, warmup, peak):
    return peak * step / warmup if step < warmup else my_learning_rate(step, steps, warmup, peak)


def never_arrives(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def falls_straight(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 - (step - warmup) / (steps - 1 - warmup))


def stays(step, steps, warmup, peak):
    return peak * min(1, (step + 1) / max(1, warmup))


# ---------------------------------------------------------------- training.adamw


def my_adamw(w, g, m, v, t, lr):
    m = 0.9 * m + 0.1 * g
    v = 0.95 * v + 0.05 * g**2
    m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.95**t)
    w = w * (1 - lr * 0.1) - lr * m_hat / (v_hat.sqrt() + 1e-8)
    return w, m, v


def uncorrected(w, g, m, v, t, lr):
    m = 0.9 * m + 0.1 * g
    v = 0.95 * v + 0.05 * g**2
    return w * (1 - lr * 0.1) - lr * m / (v.sqrt() + 1e-8), m, v


def hands_on_the_corrected(w, g, m, v, t, lr):
    w, m, v = my_adamw(w, g, m, v, t, lr)
    return w, m / (1 - 0.9**t), v / (1 - 0.95**t)


def decays_through_the_gradient(w, g, m, v, t, lr):
    g = g + 0.1 * w
    m = 0.9 * m + 0.1 * g
    v = 0.95 * v + 0.05 * g**2
    return w - lr * m / (1 - 0.9**t) / ((v / (1 - 0.95**t)).sqrt() + 1e-8), m, v


def forgets_to_decay(w, g, m, v, t, lr):
    _, m, v = my_adamw(w, g, m, v, t, lr)
    return w - lr * m / (1 - 0.9**t) / ((v / (1 - 0.95**t)).sqrt() + 1e-8), m, v


def plain_descent(w, g, m, v, t, lr):
    return w - lr * g, m, v


def gives_only_w(w, g, m, v, t, lr):
    return my_adamw(w, g, m, v, t, lr)[0]


def adds_up_in_place(w, g, m, v, t, lr):
    m.mul_(0.9).add_(0.1 * g)
    return my_adamw(w, g, m, v, t, lr)


# ---------------------------------------------------------------- training.clip


def my_clip(gradients, longest):
    length = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    return [g * min(1, longest / length) for g in gradients]


def each_for_itself(gradients, longest):
    return [g * min(1, longest / float(g.norm())) for g in gradients]


def cuts_the_numbers(gradients, longest):
    return [g.clamp(-longest, longest) for g in gradients]


def always_as_long(gradients, longest):
    length = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    return [g * longest / length for g in gradients]


def one_long_arrow(gradients, longest):
    return torch.cat([g.flatten() for g in my_clip(gradients, longest)])


RIGHT = {
    "training.cross_entropy": my_loss,
    "training.learning_rate": my_learning_rate,
    "training.adamw": my_adamw,
    "training.clip": my_clip,
}

WRONG = {
    "training.cross_entropy": [
        (with_the_wrong_sign, "the loss is ln"),
        (sums_it, "equal logits the loss is ln"),
        (in_bits, "yours gave 1"),
        (surprise_of_the_mean, "yours gave"),
        (down_the_columns, "the loss is ln"),
        (overflows, "for logits around 500 yours gave nan"),
    ],
    "training.learning_rate": [
        (starts_at_zero, "the rate rises in equal parts; yours gave 0"),
        (never_arrives, "with the last step it has come to zero"),
        (falls_straight, "of the way down half a cosine"),
        (stays, "with the last step it has come to zero"),
    ],
    "training.adamw": [
        (uncorrected, "torch's w is"),
        (hands_on_the_corrected, "torch's m is"),
        (decays_through_the_gradient, "torch's m is"),
        (forgets_to_decay, "torch's w is"),
        (plain_descent, "torch's m is"),
        (gives_only_w, "expected the tuple (w, m, v), got a tensor"),
        (adds_up_in_place, "yours changed its input `m`"),
    ],
    "training.clip": [
        (each_for_itself, "yours are"),
        (cuts_the_numbers, "yours are"),
        (always_as_long, "stay as they are"),
        (one_long_arrow, "expected a list of 2 tensors"),
    ],
}

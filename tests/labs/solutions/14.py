"""Lab 14: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import math

# ---------------------------------------------------------------- quantization.absmax


def my_absmax(weights, bits):
    a = weights.abs().max()
    step = 2 * a / (2**bits - 1)
    if step == 0:
        return weights.clone()
    return ((weights + a) / step).round() * step - a


def one_step_too_many(weights, bits):
    a = weights.abs().max()
    step = 2 * a / 2**bits
    return ((weights + a) / step).round() * step - a


def from_the_least_to_the_greatest(weights, bits):
    low, high = weights.min(), weights.max()
    step = (high - low) / (2**bits - 1)
    return weights.clone() if step == 0 else ((weights - low) / step).round() * step + low


def the_greatest_and_not_the_largest(weights, bits):
    a = weights.max()
    step = 2 * a / (2**bits - 1)
    return weights.clone() if step == 0 else ((weights + a) / step).round().clamp(0, 2**bits - 1) * step - a


def rounds_down(weights, bits):
    a = weights.abs().max()
    step = 2 * a / (2**bits - 1)
    return weights.clone() if step == 0 else ((weights + a) / step).floor() * step - a


def divides_by_zero(weights, bits):
    a = weights.abs().max()
    step = 2 * a / (2**bits - 1)
    return ((weights + a) / step).round() * step - a


def codes_alone(weights, bits):
    a = weights.abs().max()
    return ((weights + a) / (2 * a / (2**bits - 1))).round().long()


# ---------------------------------------------------------------- quantization.decode_block


def my_decode_block(block):
    import struct

    (scale,) = struct.unpack("<e", block[:2])
    codes = [byte % 16 for byte in block[2:]] + [byte // 16 for byte in block[2:]]
    return [scale * (code - 8) for code in codes]


def neighbors_share_a_byte(block):
    import struct

    (scale,) = struct.unpack("<e", block[:2])
    return [scale * (code - 8) for byte in block[2:] for code in (byte % 16, byte // 16)]


def codes_without_a_sign(block):
    import struct

    (scale,) = struct.unpack("<e", block[:2])
    return [scale * code for code in [b % 16 for b in block[2:]] + [b // 16 for b in block[2:]]]


def high_byte_first(block):
    return my_decode_block(block[1::-1] + block[2:])


def a_scale_without_its_sign(block):
    return [x if block[1] < 128 else -x for x in my_decode_block(block)]


def sixteen_weights(block):
    return my_decode_block(block)[:16]


# ---------------------------------------------------------------- quantization.bits_per_weight


def my_bits_per_weight(rows, cols, bits, group_size):
    import math

    return bits + 16 * math.ceil(cols / group_size) / cols


def forgets_the_scales(rows, cols, bits, group_size):
    return bits


def a_share_of_a_scale(rows, cols, bits, group_size):
    return bits + 16 / group_size


def groups_across_rows(rows, cols, bits, group_size):
    return bits + 16 * math.ceil(rows * cols / group_size) / (rows * cols)


def float32_scales(rows, cols, bits, group_size):
    return bits + 32 * math.ceil(cols / group_size) / cols


RIGHT = {
    "quantization.absmax": my_absmax,
    "quantization.decode_block": my_decode_block,
    "quantization.bits_per_weight": my_bits_per_weight,
}

WRONG = {
    "quantization.absmax": [
        (one_step_too_many, "none of the"),
        (from_the_least_to_the_greatest, "none of the"),
        (the_greatest_and_not_the_largest, "none of the"),
        (rounds_down, "is nearer"),
        (divides_by_zero, "not every entry is a finite number"),
        (codes_alone, "expected a tensor of shape"),
    ],
    "quantization.decode_block": [
        (neighbors_share_a_byte, "of yours is"),
        (codes_without_a_sign, "of yours is"),
        (high_byte_first, "of yours is"),
        (a_scale_without_its_sign, "of yours is"),
        (sixteen_weights, "expected a list of 32 numbers"),
    ],
    "quantization.bits_per_weight": [
        (forgets_the_scales, "yours gave"),
        (a_share_of_a_scale, "yours gave"),
        (groups_across_rows, "yours gave"),
        (float32_scales, "yours gave"),
    ],
}

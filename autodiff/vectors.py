"""What the Numba voice does to every number of an array once, a vector at a time: copy, mix, add up, pool.

Emitted as LLVM vector instructions like the tiles of simd.py, where Numba's auto-vectoriser would not find them.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from .llvm import BITS, BYTES, INDEX, Emitter

HALF = BITS // 2  # of a register: for rows of small images, that are shorter than a vector


@intrinsic(prefer_literal=True)
def copy_vector(typing_context, to, to_at, x, x_at, plus, floor, bits):
    """to[to_at + lane] = max(x[x_at + lane] + plus, floor) for the lanes of a vector; bits = 1 stands for one number.

    A NaN stays a NaN.
    """
    i64 = types.int64
    signature = types.void(to, i64, x, i64, x.dtype, x.dtype, bits)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        value = builder.fadd(emit.load(emit.pointer(2), args[3]), emit.broadcast(args[4]))
        emit.store(emit.at_least(value, emit.broadcast(args[5])), emit.pointer(0), args[1])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def copy_every_second(typing_context, to, to_at, x, x_at, plus, floor, bits):
    """to[to_at + lane] = max(x[x_at + 2 lane] + plus, floor) for the lanes of a vector."""
    i64 = types.int64
    signature = types.void(to, i64, x, i64, x.dtype, x.dtype, bits)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        x_, lanes = emit.pointer(2), emit.lanes
        first, second = emit.load(x_, args[3]), emit.load(x_, args[3], lanes - 1)  # which ends at the last one needed
        value = emit.pick(first, second, [*range(0, lanes, 2), *range(lanes + 1, 2 * lanes, 2)])
        value = builder.fadd(value, emit.broadcast(args[4]))
        emit.store(emit.at_least(value, emit.broadcast(args[5])), emit.pointer(0), args[1])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def zip_vectors(typing_context, to, to_at, x, even_at, odd_at, plus, floor, bits):
    """to[to_at + 2 lane] = max(x[even_at + lane] + plus, floor), and to[to_at + 2 lane + 1] likewise from odd_at."""
    i64 = types.int64
    signature = types.void(to, i64, x, i64, i64, x.dtype, x.dtype, bits)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        plus, floor = emit.broadcast(args[5]), emit.broadcast(args[6])
        both = [emit.at_least(builder.fadd(emit.load(emit.pointer(2), at), plus), floor) for at in args[3:5]]
        for i, dealt in enumerate(emit.deal(*both)):
            emit.store(dealt, emit.pointer(0), builder.add(args[1], INDEX(i * emit.lanes)))
        return context.get_dummy_value()

    return signature, codegen


@njit(cache=True)
def copy(to, to_at, to_step, x, x_at, x_step, shape, plus, floor):
    """to[to_at + (i, j) . to_step] = max(x[x_at + (i, j) . x_step] + plus, floor) for all (i, j) within `shape`.

    By vectors, or halves of them, where the j are neighbours in `to`, and neighbours or every second number in x; the
    last one overlaps the one before, so that no short rest is left. The arrays are flat and must not overlap.
    """
    lanes, width = BYTES // x.itemsize, shape[1]
    neighbours, seconds = to_step[1] == x_step[1] == 1, to_step[1] == 1 and x_step[1] == 2
    for i in range(shape[0]):
        to_i, x_i = to_at + i * to_step[0], x_at + i * x_step[0]
        if neighbours and width >= lanes:
            for start in range(0, width, lanes):
                j = min(start, width - lanes)
                copy_vector(to, to_i + j, x, x_i + j, plus, floor, BITS)
        elif neighbours and width >= lanes // 2:
            for j in (0, width - lanes // 2):
                copy_vector(to, to_i + j, x, x_i + j, plus, floor, HALF)
        elif seconds and width >= lanes:
            for start in range(0, width, lanes):
                j = min(start, width - lanes)
                copy_every_second(to, to_i + j, x, x_i + 2 * j, plus, floor, BITS)
        elif seconds and width >= lanes // 2:
            for j in (0, width - lanes // 2):
                copy_every_second(to, to_i + j, x, x_i + 2 * j, plus, floor, HALF)
        else:
            for j in range(shape[1]):
                copy_vector(to, to_i + j * to_step[1], x, x_i + j * x_step[1], plus, floor, 1)


@njit(cache=True)
def interleave(to, to_at, x, even_at, odd_at, count, plus, floor):
    """to[to_at + j] = max(x[even_at + j // 2] + plus, floor) for even j < count, for odd ones from odd_at."""
    lanes, pairs = BYTES // x.itemsize, count // 2
    first = 0
    if pairs >= lanes:
        for start in range(0, pairs, lanes):
            j = min(start, pairs - lanes)
            zip_vectors(to, to_at + 2 * j, x, even_at + j, odd_at + j, plus, floor, BITS)
        first = pairs
    elif pairs >= lanes // 2:
        for j in (0, pairs - lanes // 2):
            zip_vectors(to, to_at + 2 * j, x, even_at + j, odd_at + j, plus, floor, HALF)
        first = pairs
    for j in range(2 * first, count):
        copy_vector(to, to_at + j, x, (odd_at if j % 2 else even_at) + j // 2, plus, floor, 1)


@intrinsic(prefer_literal=True)
def transpose_tile(typing_context, to, to_at, to_step, x, x_at, x_step, bits):
    """to[to_at + j to_step + i] = x[x_at + i x_step + j] for as many i and j as a vector has lanes.

    Vectors i and i + lanes/2 are dealt out, lane by lane, to two neighbours; that turns the digits of the number that
    (i, j) form by one place. After log2(lanes) rounds i and j have changed places.
    """
    i64 = types.int64
    signature = types.void(to, i64, i64, x, i64, i64, bits)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        to_, x_, half = emit.pointer(0), emit.pointer(3), emit.lanes // 2
        _, to_at_, to_step_, _, x_at_, x_step_, _ = args
        rows = [emit.load(x_, builder.add(x_at_, builder.mul(x_step_, INDEX(i)))) for i in range(emit.lanes)]
        for _ in range(emit.lanes.bit_length() - 1):
            pairs = zip(rows[:half], rows[half:], strict=True)
            rows = [dealt for a, b in pairs for dealt in emit.deal(a, b)]
        for j, row in enumerate(rows):
            emit.store(row, to_, builder.add(to_at_, builder.mul(to_step_, INDEX(j))))
        return context.get_dummy_value()

    return signature, codegen


@njit(cache=True)
def transpose(to, to_at, to_step, x, x_at, x_step, rows, cols):
    """to[to_at + j to_step + i] = x[x_at + i x_step + j] for i < rows and j < cols; flat arrays that do not overlap."""
    lanes = BYTES // x.itemsize
    if min(rows, cols) < lanes or lanes == 1:
        for i in range(rows):
            for j in range(cols):
                to[to_at + j * to_step + i] = x[x_at + i * x_step + j]
        return
    for top in range(0, rows, lanes):
        i = min(top, rows - lanes)
        for left in range(0, cols, lanes):
            j = min(left, cols - lanes)
            transpose_tile(to, to_at + j * to_step + i, to_step, x, x_at + i * x_step + j, x_step, BITS)


def linear_map(matrix):
    """A function mix(to, to_at, to_step, x, x_at, x_step, count, plus, floor) that multiplies signals by a matrix:

        to[to_at + t to_step + p] = max( sum_j matrix[t, j] x[x_at + j x_step + p]  + plus, floor )    for p < count

    The numbers of the matrix are part of the code: a zero costs nothing. The arrays are flat and must not overlap.
    """
    i64 = types.int64

    @intrinsic(prefer_literal=True)
    def mix_vector(typing_context, to, to_at, to_step, x, x_at, x_step, plus, floor, bits):
        signature = types.void(to, i64, i64, x, i64, i64, x.dtype, x.dtype, bits)

        def codegen(context, builder, sig, args):
            emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
            to_, x_ = emit.pointer(0), emit.pointer(3)
            _, to_at_, to_step_, _, x_at_, x_step_, plus_, floor_, _ = args
            places = [builder.add(x_at_, builder.mul(x_step_, INDEX(j))) for j in range(len(matrix[0]))]
            signals = [emit.load(x_, place) for place in places]
            for t, row in enumerate(matrix):
                mixed = emit.at_least(emit.combination(row, signals, emit.broadcast(plus_)), emit.broadcast(floor_))
                emit.store(mixed, to_, builder.add(to_at_, builder.mul(to_step_, INDEX(t))))
            return context.get_dummy_value()

        return signature, codegen

    def mix(to, to_at, to_step, x, x_at, x_step, count, plus, floor):
        lanes = BYTES // x.itemsize
        if count >= lanes:
            for start in range(0, count, lanes):
                p = min(start, count - lanes)
                mix_vector(to, to_at + p, to_step, x, x_at + p, x_step, plus, floor, BITS)
        elif count >= lanes // 2:
            for p in (0, count - lanes // 2):
                mix_vector(to, to_at + p, to_step, x, x_at + p, x_step, plus, floor, HALF)
        else:
            for p in range(count):
                mix_vector(to, to_at + p, to_step, x, x_at + p, x_step, plus, floor, 1)

    # Numba names machine code by the name of its function and a number that differs from process to process. Code that
    # several processes have put into its cache may meet in a later one; of two codes with one name, that takes any.
    mix.__name__ = mix.__qualname__ = f"mix_{crc32(np.asarray(matrix, float).tobytes()):08x}"
    return njit(mix)


@intrinsic(prefer_literal=True)
def sum_tile(typing_context, x, at, rounds, vectors, bits):
    """The sum of x[at + i] for i < rounds * vectors * lanes, on as many partial sums as there are `vectors`."""
    V = vectors.literal_value
    signature = x.dtype(x, types.int64, types.int64, vectors, bits)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        first = builder.gep(emit.pointer(0), [args[1]])

        def body(i, sums):
            at = builder.mul(i, INDEX(V * emit.lanes))
            return [[builder.fadd(sums[0][j], emit.load(first, at, j * emit.lanes)) for j in range(V)]]

        total, *others = emit.accumulate(INDEX(0), args[2], 1, V, body)[0]
        for other in others:
            total = builder.fadd(total, other)
        return builder.extract_element(emit.lane_sums([total])[0], ir.IntType(32)(0))

    return signature, codegen


@njit(cache=True)
def sum_of(x, at, count):
    """The sum of x[at + i] for i < count."""
    stride = 4 * BYTES // x.itemsize
    total = sum_tile(x, at, count // stride, 4, BITS)
    for i in range(at + count // stride * stride, at + count):
        total += x[i]
    return total


@intrinsic
def _pointer(typing_context, address, first, like):
    """The address of number `first` of those, of the dtype of `like`, that lie at an address."""

    def codegen(context, builder, sig, args):
        start = builder.inttoptr(args[0], context.get_value_type(sig.return_type))
        return builder.gep(start, [args[1]])

    return types.CPointer(like)(address, first, like), codegen


@njit(cache=True)
def array_at(address, first, count, like):
    """`count` numbers, from the one called `first`, of an array of the dtype of `like` that lies at an address."""
    return carray(_pointer(address, first, like), count)


@intrinsic(prefer_literal=True)
def argmax_2x2_vector(typing_context, y, positions, at, x, upper, lower, start, width, floor, bits):
    """The largest number of each of a vector of neighbouring 2 x 2 windows, at least `floor`, and where it lies.

    Window `lane` holds x[upper + 2 lane], x[upper + 2 lane + 1] and likewise from `lower`; the positions of the four
    are start + 2 lane, + 1, + width, + width + 1. Of equal numbers the first wins; a NaN wins over numbers.
    """
    i64 = types.int64
    signature = types.void(y, positions, i64, x, i64, i64, i64, i64, x.dtype, bits)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        y_, positions_, x_ = (emit.pointer(i) for i in (0, 1, 3))
        _, _, at_, _, upper_, lower_, start_, width_, floor_, _ = args
        i32 = ir.IntType(32)
        integers = ir.VectorType(i32, emit.lanes)

        def broadcast(value):
            lane_0 = builder.insert_element(ir.Constant(integers, ir.Undefined), builder.trunc(value, i32), i32(0))
            return builder.shuffle_vector(lane_0, lane_0, ir.Constant(integers, [0] * emit.lanes))

        def winner(pixel, best):
            wins = builder.fcmp_unordered(">", pixel[0], best[0])
            wins = builder.and_(wins, builder.fcmp_ordered("ord", best[0], best[0]))
            return tuple(builder.select(wins, p, b) for p, b in zip(pixel, best, strict=True))

        def row(at, first):
            halves = emit.load(x_, at), emit.load(x_, at, emit.lanes)
            values = [emit.pick(*halves, range(i, 2 * emit.lanes, 2)) for i in (0, 1)]
            return winner((values[1], builder.add(first, ir.Constant(integers, 1))), (values[0], first))

        steps = ir.Constant(integers, [2 * lane for lane in range(emit.lanes)])
        first = builder.add(broadcast(start_), steps)
        best = row(upper_, first)
        value, position = winner(row(lower_, builder.add(first, broadcast(width_))), best)
        emit.store(emit.at_least(value, emit.broadcast(floor_)), y_, at_)
        place = builder.bitcast(builder.gep(positions_, [at_]), integers.as_pointer())
        builder.store(position, place, align=4)
        return context.get_dummy_value()

    return signature, codegen

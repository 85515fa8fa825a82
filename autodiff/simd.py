"""Vector tiles for the Numba voice: the innermost loops of convolution as LLVM vector instructions.

A convolution spends its time in one loop: load a vector of neighbouring pixels, multiply it by a weight, add
it to a sum. That loop runs at the speed of the machine only if the sums stay in registers, which neither
Numba's arrays nor its auto-vectoriser achieve. Two intrinsics emit it directly. Both work on flat signals:

    correlate_tile    y[f][p]  = sum_s  w[s][f] x[taps[s] + p]     for a tile of filters f and pixels p     (1)
    dot_tile          g[f][s] += sum_p  y[f][p] x[taps[s] + p]     for a tile of filters f and taps s       (2)

A tap is one offset into the signal x, so one loop serves kernels of every size and stride. p runs over vectors
of neighbouring pixels; the table `starts` says where each vector begins. The sizes of a tile are literal ints:
a tile shape is compiled once, and callers can be cached on disk. A tile must fit into the registers of the
machine: FILTERS x VECTORS sums, a vector for each column and one for the broadcast weight.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .llvm import BITS, BYTES, INDEX, Emitter

REGISTERS = 32 if BITS == 512 else 16
FILTERS, VECTORS = 4, (REGISTERS - 1) // 5  # F V sums, V vectors of pixels and a weight fill the registers
FEW_FILTERS, MANY_VECTORS = 2, (REGISTERS - 1) // 3  # for convolutions to one or two channels


@intrinsic(prefer_literal=True)
def correlate_tile(typing_context, y, y_at, y_plane, x, starts, m, taps, first, last, w, w_at, bits, filters, vectors):
    """Equation (1) for `filters` filters and `vectors` vectors of pixels, from starts[m], starts[m + 1], ...

    Sets y[y_at + f * y_plane + starts[m + j] + lane]. The taps are taps[first:last], their weights
    w[w_at + (s - first) * filters + f]. All arrays are flat and contiguous.
    """
    i64 = types.int64
    signature = types.void(y, i64, i64, x, starts, i64, taps, i64, i64, w, i64, bits, filters, vectors)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        _emit_correlation(emit, args, filters.literal_value, vectors.literal_value, emit.pointer(4))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def correlate_tile_and_finish(
    typing_context, y, y_at, y_plane, x, starts, m, taps, first, last, w, w_at, targets, plus, k, floor,
    bits, filters, vectors,
):  # fmt: skip
    """The same, but sets y[y_at + f * y_plane + targets[m + j] + lane] to max(sum + plus[k + f], floor).

    A NaN stays a NaN.
    """
    i64, real = types.int64, x.dtype
    signature = types.void(
        y, i64, i64, x, starts, i64, taps, i64, i64, w, i64, targets, plus, i64, real, bits, filters, vectors
    )

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        targets_, plus_, floor_ = emit.pointer(11), emit.pointer(12), emit.broadcast(args[14])

        def finish(f, total):
            return emit.at_least(builder.fadd(total, emit.broadcast(emit.number(plus_, args[13], f))), floor_)

        _emit_correlation(emit, args, filters.literal_value, vectors.literal_value, targets_, finish)
        return context.get_dummy_value()

    return signature, codegen


def _emit_correlation(emit, args, F, V, targets_, finish=lambda f, total: total):
    """Equation (1) for the arguments of `correlate_tile`; finish(f, sum) is what is stored, at targets_[m + j]."""
    builder = emit.builder
    y_, x_, starts_, taps_, w_ = (emit.pointer(i) for i in (0, 3, 4, 6, 9))
    y_at_, y_plane_, m_, first_, last_, w_at_ = (args[i] for i in (1, 2, 5, 7, 8, 10))
    at = [emit.number(starts_, m_, j) for j in range(V)]
    pixels_ = [builder.gep(x_, [a]) for a in at]
    weights_ = builder.gep(w_, [w_at_])

    def body(s, sums):
        tap = emit.number(taps_, s)
        pixels = [emit.load(p, tap) for p in pixels_]
        row = builder.mul(builder.sub(s, first_), INDEX(F))
        for f in range(F):
            weight = emit.broadcast(emit.number(weights_, row, f))
            sums[f] = [emit.multiply_add(pixels[j], weight, sums[f][j]) for j in range(V)]
        return sums

    sums = emit.accumulate(first_, last_, F, V, body)
    at = [emit.number(targets_, m_, j) for j in range(V)]
    for f in range(F):
        row = builder.gep(y_, [builder.add(y_at_, builder.mul(y_plane_, INDEX(f)))])
        for j in range(V):
            emit.store(finish(f, sums[f][j]), row, at[j])


@intrinsic(prefer_literal=True)
def dot_tile(typing_context, g, g_at, y, y_at, x, starts, M, taps, s, bits, filters, columns):
    """Equation (2) for `filters` filters and the taps taps[s : s + columns], over the first M vectors.

    Adds to g[g_at + t * filters + f], and zeros to what follows up to a whole vector. y holds its vectors one after
    the other, for each the filters side by side: y[y_at + (m * filters + f) * lanes + lane]. All arrays are flat and
    contiguous.
    """
    F, T = filters.literal_value, columns.literal_value
    i64 = types.int64
    signature = types.void(g, i64, y, i64, x, starts, i64, taps, i64, bits, filters, columns)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        g_, y_, x_, starts_, taps_ = (emit.pointer(i) for i in (0, 2, 4, 5, 7))
        g_at_, y_at_, M_, s_ = (args[i] for i in (1, 3, 6, 8))
        shifted_ = [builder.gep(x_, [emit.number(taps_, s_, t)]) for t in range(T)]
        gradients_ = builder.gep(y_, [y_at_])

        def body(m, sums):
            start = emit.number(starts_, m)
            pixels = [emit.load(p, start) for p in shifted_]
            row = builder.mul(m, INDEX(F * emit.lanes))
            for f in range(F):
                gradient = emit.load(gradients_, row, f * emit.lanes)
                sums[f] = [emit.multiply_add(gradient, pixels[t], sums[f][t]) for t in range(T)]
            return sums

        sums = emit.accumulate(INDEX(0), M_, F, T, body)
        totals = emit.lane_sums([sums[f][t] for t in range(T) for f in range(F)])
        for i, total in enumerate(totals):
            at = builder.add(g_at_, INDEX(i * emit.lanes))
            emit.store(builder.fadd(emit.load(g_, at), total), g_, at)
        return context.get_dummy_value()

    return signature, codegen


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
def prefetch(typing_context, x, at, write):
    """Ask for the cache line of x[at], to be read or (write = 1) written soon. Computes nothing."""
    signature = types.void(x, types.int64, write)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, 1)
        emit.prefetch(emit.pointer(0), args[1], write.literal_value)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def argmax_2x2_vector(typing_context, y, positions, at, x, upper, lower, start, width, bits):
    """The largest number of each of a vector of neighbouring 2 x 2 windows, and where it lies.

    Window `lane` holds x[upper + 2 lane], x[upper + 2 lane + 1] and likewise from `lower`; the positions of the four
    are start + 2 lane, + 1, + width, + width + 1. Of equal numbers the first wins; a NaN wins over numbers.
    """
    i64 = types.int64
    signature = types.void(y, positions, i64, x, i64, i64, i64, i64, bits)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        y_, positions_, x_ = (emit.pointer(i) for i in (0, 1, 3))
        _, _, at_, _, upper_, lower_, start_, width_, _ = args
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
        emit.store(value, y_, at_)
        place = builder.bitcast(builder.gep(positions_, [at_]), integers.as_pointer())
        builder.store(position, place, align=4)
        return context.get_dummy_value()

    return signature, codegen


@njit(cache=True)
def copy(to, to_at, to_step, x, x_at, x_step, shape, plus, floor):
    """to[to_at + (i, j) . to_step] = max(x[x_at + (i, j) . x_step] + plus, floor) for all (i, j) within `shape`.

    By vectors where the j are neighbours in both; the last vector overlaps the one before, so that no short
    rest is left. The arrays are flat and must not overlap.
    """
    lanes, last = BYTES // x.itemsize, shape[1] - BYTES // x.itemsize
    for i in range(shape[0]):
        to_i, x_i = to_at + i * to_step[0], x_at + i * x_step[0]
        if to_step[1] == 1 and x_step[1] == 1 and last >= 0:
            for j in range(0, last, lanes):
                copy_vector(to, to_i + j, x, x_i + j, plus, floor, BITS)
            copy_vector(to, to_i + last, x, x_i + last, plus, floor, BITS)
        else:
            for j in range(shape[1]):
                copy_vector(to, to_i + j * to_step[1], x, x_i + j * x_step[1], plus, floor, 1)


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

    @njit
    def mix(to, to_at, to_step, x, x_at, x_step, count, plus, floor):
        lanes, last = BYTES // x.itemsize, count - BYTES // x.itemsize
        if last >= 0:
            for p in range(0, last, lanes):
                mix_vector(to, to_at + p, to_step, x, x_at + p, x_step, plus, floor, BITS)
            mix_vector(to, to_at + last, to_step, x, x_at + last, x_step, plus, floor, BITS)
        else:
            for p in range(count):
                mix_vector(to, to_at + p, to_step, x, x_at + p, x_step, plus, floor, 1)

    return mix

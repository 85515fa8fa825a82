"""Vector tiles for the Numba voice: the innermost loops of convolution as LLVM vector instructions.

A convolution spends its time in one loop: load a vector of neighbouring pixels, multiply it by a weight, add
it to a sum. That loop runs at the speed of the machine only if the sums stay in registers, which neither
Numba's arrays nor its auto-vectoriser achieve. Three intrinsics emit it directly. All work on flat signals:

    correlate_tile    y[f][p]  = sum_s  w[s][f] x[taps[s] + p]     for a tile of filters f and pixels p     (1)
    dot_tile          g[f][s] += sum_p  y[f][p] x[taps[s] + p]     for a tile of filters f and taps s       (2)
    multiply_tile     y[f][p] += sum_s  w[f][s] x[s][p]            for a tile of a product of matrices      (3)

A tap is one offset into the signal x, so one loop serves kernels of every size and stride. p runs over vectors
of neighbouring pixels; the table `starts` says where each vector begins. The largest sizes of a tile are literal ints:
it is compiled once, with a loop for each width up to the largest, and callers can be cached on disk. A tile must fit
into the registers of the machine: FILTERS x VECTORS sums, a vector for each column and one for the broadcast weight.
"""

from __future__ import annotations

from numba import njit, types
from numba.extending import intrinsic

from .llvm import BITS, INDEX, Emitter

REGISTERS = 32 if BITS == 512 else 16
FILTERS, VECTORS = 4, (REGISTERS - 1) // 5  # F V sums, V vectors of pixels and a weight fill the registers
LINE = 64  # bytes in a cache line
FEW_FILTERS, MANY_VECTORS = 2, (REGISTERS - 1) // 3  # for convolutions to one or two channels


@njit(cache=True)
def tile_width(left, most):
    """How many of the columns that are left the next tile takes: of 15, with 6 at most, 5 and 5 and 5."""
    tiles = (left + most - 1) // most
    return (left + tiles - 1) // tiles


@intrinsic(prefer_literal=True)
def correlate_tile(
    typing_context, y, y_at, y_plane, x, starts, m, taps, first, last, w, w_at, count, bits, filters, most
):
    """Equation (1) for `filters` filters and `count` vectors of pixels, from starts[m], starts[m + 1], ...

    Sets y[y_at + f * y_plane + starts[m + j] + lane]. The taps are taps[first:last], their weights
    w[w_at + (s - first) * filters + f]. `count` is from 1 to `most`. All arrays are flat and contiguous.
    """
    i64 = types.int64
    signature = types.void(y, i64, i64, x, starts, i64, taps, i64, i64, w, i64, i64, bits, filters, most)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)

        def correlation(V):
            _emit_correlation(emit, args, filters.literal_value, V, emit.pointer(4))

        emit.for_each_count(args[11], most.literal_value, correlation)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def correlate_tile_and_finish(
    typing_context, y, y_at, y_plane, x, starts, m, taps, first, last, w, w_at, targets, plus, k, floor,
    count, bits, filters, most,
):  # fmt: skip
    """The same, but sets y[y_at + f * y_plane + targets[m + j] + lane] to max(sum + plus[k + f], floor).

    A NaN stays a NaN. With `floor` None there is no maximum.
    """
    i64, unbounded = types.int64, isinstance(floor, types.NoneType)
    floor = floor if unbounded else x.dtype
    signature = types.void(
        y, i64, i64, x, starts, i64, taps, i64, i64, w, i64, targets, plus, i64, floor, i64, bits, filters, most
    )

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        targets_, plus_ = emit.pointer(11), emit.pointer(12)
        floor_ = None if unbounded else emit.broadcast(args[14])

        def finish(f, total):
            total = builder.fadd(total, emit.broadcast(emit.number(plus_, args[13], f)))
            return total if unbounded else emit.at_least(total, floor_)

        def correlation(V):
            _emit_correlation(emit, args, filters.literal_value, V, targets_, finish)

        emit.for_each_count(args[15], most.literal_value, correlation)
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
def dot_tile(typing_context, g, g_at, y, y_at, x, starts, M, taps, s, count, bits, filters, most):
    """Equation (2) for `filters` filters and the taps taps[s : s + count], over the first M vectors.

    Adds to g[g_at + t * filters + f], and zeros to what follows up to a whole vector. y holds its vectors one after
    the other, for each the filters side by side: y[y_at + (m * filters + f) * lanes + lane]. `count` is from 1 to
    `most`. All arrays are flat and contiguous.
    """
    F, i64 = filters.literal_value, types.int64
    signature = types.void(g, i64, y, i64, x, starts, i64, taps, i64, i64, bits, filters, most)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        g_, y_, x_, starts_, taps_ = (emit.pointer(i) for i in (0, 2, 4, 5, 7))
        g_at_, y_at_, M_, s_ = (args[i] for i in (1, 3, 6, 8))
        gradients_ = builder.gep(y_, [y_at_])

        def dots(T):
            shifted_ = [builder.gep(x_, [emit.number(taps_, s_, t)]) for t in range(T)]

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

        emit.for_each_count(args[9], most.literal_value, dots)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def multiply_tile(
    typing_context, y, y_at, y_step, w, w_at, w_step, x, x_at, x_step, count, columns, bits, filters, most
):
    """Equation (3) for `filters` filters, `columns` vectors of p, and s < count.

    Adds to y[y_at + f * y_step + p]. The weights are w[w_at + f * w_step + s], the signals x[x_at + s * x_step + p].
    `columns` is from 1 to `most`. All arrays are flat and contiguous.
    """
    F, i64 = filters.literal_value, types.int64
    signature = types.void(y, i64, i64, w, i64, i64, x, i64, i64, i64, i64, bits, filters, most)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        y_, w_, x_ = (emit.pointer(i) for i in (0, 3, 6))
        _, y_at_, y_step_, _, w_at_, w_step_, _, x_at_, x_step_, count_, *_ = args
        sums_, weights_ = (
            [builder.gep(first, [builder.add(at, builder.mul(step, INDEX(f)))]) for f in range(F)]
            for first, at, step in ((y_, y_at_, y_step_), (w_, w_at_, w_step_))
        )

        def product(V):
            def body(s, sums):
                row = builder.add(x_at_, builder.mul(s, x_step_))
                signals = [emit.load(x_, row, j * emit.lanes) for j in range(V)]
                for f in range(F):
                    weight = emit.broadcast(emit.number(weights_[f], s))
                    sums[f] = [emit.multiply_add(signals[j], weight, sums[f][j]) for j in range(V)]
                return sums

            sums = emit.accumulate(INDEX(0), count_, F, V, body)
            for f in range(F):
                for j in range(V):
                    at = INDEX(j * emit.lanes)
                    emit.store(builder.fadd(emit.load(sums_[f], at), sums[f][j]), sums_[f], at)

        emit.for_each_count(args[10], most.literal_value, product)
        return context.get_dummy_value()

    return signature, codegen


@njit(cache=True)
def prefetch(x, at, count, write):
    """Ask for x[at : at + count] to be read or (`write`) written soon; it may lie outside x. Computes nothing."""
    for i in range(at, at + count, LINE // x.itemsize):
        if write:
            _prefetch_line(x, i, 1)
        else:
            _prefetch_line(x, i, 0)


@intrinsic(prefer_literal=True)
def _prefetch_line(typing_context, x, at, write):
    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, sig, args, x.dtype, BITS)
        emit.prefetch(emit.pointer(0), args[1], write.literal_value)
        return context.get_dummy_value()

    return types.void(x, types.int64, write), codegen

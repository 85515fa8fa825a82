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
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

INDEX = ir.IntType(64)


def register_bits(features: str) -> int:
    """The width of the vector registers, given LLVM's list of features ("+avx2,-avx512f,...")."""
    enabled = features.split(",")
    return 512 if "+avx512f" in enabled else 256 if "+avx2" in enabled else 128


_, _, _features = cpu_target.target_context.codegen().magic_tuple()  # what Numba compiles for
BITS = register_bits(_features)
BYTES = BITS // 8
FILTERS = 4
VECTORS = 6 if BITS == 512 else 3  # 24 sums in 32 registers with AVX-512, else 12 in 16


@intrinsic(prefer_literal=True)
def correlate_tile(typing_context, y, y_at, y_plane, x, starts, m, taps, first, last, w, w_at, bits, filters, vectors):
    """Equation (1) for `filters` filters and `vectors` vectors of pixels, from starts[m], starts[m + 1], ...

    Sets y[y_at + f * y_plane + starts[m + j] + lane]. The taps are taps[first:last], their weights
    w[w_at + (s - first) * filters + f]. All arrays are flat and contiguous.
    """
    F, V = filters.literal_value, vectors.literal_value
    i64 = types.int64
    signature = types.void(y, i64, i64, x, starts, i64, taps, i64, i64, w, i64, bits, filters, vectors)

    def codegen(context, builder, sig, args):
        emit = _Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
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
        for f in range(F):
            row = builder.gep(y_, [builder.add(y_at_, builder.mul(y_plane_, INDEX(f)))])
            for j in range(V):
                emit.store(sums[f][j], row, at[j])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def dot_tile(typing_context, g, g_at, g_row, y, y_at, x, starts, M, taps, s, bits, filters, columns):
    """Equation (2) for `filters` filters and the taps taps[s : s + columns], over the first M vectors.

    Adds to g[g_at + f * g_row + t]. y holds its vectors one after the other, for each the filters side by
    side: y[y_at + (m * filters + f) * lanes + lane]. All arrays are flat and contiguous.
    """
    F, T = filters.literal_value, columns.literal_value
    i64 = types.int64
    signature = types.void(g, i64, i64, y, i64, x, starts, i64, taps, i64, bits, filters, columns)

    def codegen(context, builder, sig, args):
        emit = _Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        g_, y_, x_, starts_, taps_ = (emit.pointer(i) for i in (0, 3, 5, 6, 8))
        g_at_, g_row_, y_at_, M_, s_ = (args[i] for i in (1, 2, 4, 7, 9))
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
        for f in range(F):
            row = builder.gep(g_, [builder.add(g_at_, builder.mul(g_row_, INDEX(f)))])
            for t in range(T):
                to = builder.gep(row, [INDEX(t)])
                builder.store(builder.fadd(builder.load(to), emit.lane_sum(sums[f][t])), to)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def copy_vector(typing_context, to, to_at, x, x_at, plus, bits):
    """to[to_at + lane] = x[x_at + lane] + plus for the lanes of a vector; bits = 1 stands for one number."""
    i64 = types.int64
    signature = types.void(to, i64, x, i64, x.dtype, bits)

    def codegen(context, builder, sig, args):
        emit = _Emitter(context, builder, sig, args, x.dtype, bits.literal_value)
        value = emit.load(emit.pointer(2), args[3])
        emit.store(builder.fadd(value, emit.broadcast(args[4])), emit.pointer(0), args[1])
        return context.get_dummy_value()

    return signature, codegen


@njit(cache=True)
def copy(to, to_at, to_step, x, x_at, x_step, shape, plus):
    """to[to_at + (i, j) . to_step] = x[x_at + (i, j) . x_step] + plus for all (i, j) within `shape`.

    By vectors where the j are neighbours in both; the last vector overlaps the one before, so that no short
    rest is left. The arrays are flat and must not overlap.
    """
    lanes, last = BYTES // x.itemsize, shape[1] - BYTES // x.itemsize
    for i in range(shape[0]):
        to_i, x_i = to_at + i * to_step[0], x_at + i * x_step[0]
        if to_step[1] == 1 and x_step[1] == 1 and last >= 0:
            for j in range(0, last, lanes):
                copy_vector(to, to_i + j, x, x_i + j, plus, BITS)
            copy_vector(to, to_i + last, x, x_i + last, plus, BITS)
        else:
            for j in range(shape[1]):
                copy_vector(to, to_i + j * to_step[1], x, x_i + j * x_step[1], plus, 1)


class _Emitter:
    """The few vector instructions that the tiles are made of, for one dtype and one register width."""

    def __init__(self, context, builder, sig, args, dtype, bits):
        self.context, self.builder, self.sig, self.args = context, builder, sig, args
        self.scalar = context.get_value_type(dtype)
        self.lanes = max(1, bits // dtype.bitwidth)
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.suffix = f"v{self.lanes}f{dtype.bitwidth}"
        self.align = dtype.bitwidth // 8

    def pointer(self, argument):
        """The address of the first element of an array argument."""
        make = self.context.make_array(self.sig.args[argument])
        return make(self.context, self.builder, self.args[argument]).data

    def number(self, pointer, at, plus=0):
        """pointer[at + plus]"""
        return self.builder.load(self.builder.gep(self.builder.gep(pointer, [at]), [INDEX(plus)]))

    def load(self, pointer, at, plus=0):
        """The vector that begins at pointer[at + plus]."""
        address = self.builder.gep(self.builder.gep(pointer, [at]), [INDEX(plus)])
        address = self.builder.bitcast(address, self.vector.as_pointer())
        return self.builder.load(address, align=self.align)

    def store(self, value, pointer, at):
        """Write the vector that begins at pointer[at]."""
        address = self.builder.bitcast(self.builder.gep(pointer, [at]), self.vector.as_pointer())
        self.builder.store(value, address, align=self.align)

    def broadcast(self, value):
        """A vector of equal numbers."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def multiply_add(self, a, b, c):
        """a b + c, fused where the machine can (llvm.fma would call the C library where it cannot)."""
        return self._call("llvm.fmuladd", self.vector, [a, b, c])

    def lane_sum(self, value):
        """The sum of the lanes, by halves (`reassoc` permits that order)."""
        return self._call("llvm.vector.reduce.fadd", self.scalar, [self.scalar(-0.0), value], ("reassoc",))

    def _call(self, name, result, args, flags=()):
        """Call a vector intrinsic of LLVM, whose names llvmlite does not complete by itself."""
        kind = ir.FunctionType(result, [a.type for a in args])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"{name}.{self.suffix}")
        return self.builder.call(function, args, fastmath=flags)

    def accumulate(self, first, last, rows, columns, body):
        """for i in range(first, last): sums = body(i, sums), where sums[row][column] starts at 0."""
        builder = self.builder
        before = builder.block
        test, loop, after = (builder.append_basic_block(name) for name in ("test", "loop", "after"))
        builder.branch(test)
        builder.position_at_end(test)
        i = builder.phi(INDEX)
        sums = [[builder.phi(self.vector) for _ in range(columns)] for _ in range(rows)]
        builder.cbranch(builder.icmp_signed("<", i, last), loop, after)
        builder.position_at_end(loop)
        new = body(i, [list(row) for row in sums])
        i.add_incoming(first, before)
        i.add_incoming(builder.add(i, INDEX(1)), loop)
        zero = ir.Constant(self.vector, [0.0] * self.lanes)
        for phis, values in zip(sums, new, strict=True):
            for phi, value in zip(phis, values, strict=True):
                phi.add_incoming(zero, before)
                phi.add_incoming(value, loop)
        builder.branch(test)
        builder.position_at_end(after)
        return sums

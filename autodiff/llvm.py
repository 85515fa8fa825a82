"""Vector instructions for the Numba voice: which the machine has, and how to emit them.

Numba hands a code generator a builder of LLVM instructions. `Emitter` writes with it the few on whole vectors that
simd.py and vectors.py are made of. Vectors that are wider than the machine's registers work too: LLVM splits them.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils
from numba.core.registry import cpu_target

INDEX = ir.IntType(64)


def register_bits(features: str) -> int:
    """The width of the vector registers, given LLVM's list of features ("+avx2,-avx512f,...")."""
    enabled = features.split(",")
    return 512 if "+avx512f" in enabled else 256 if "+avx2" in enabled else 128


_, _, _features = cpu_target.target_context.codegen().magic_tuple()  # what Numba compiles for
BITS = register_bits(_features)
BYTES = BITS // 8


class Emitter:
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

    def prefetch(self, pointer, at, write):
        """Ask for the cache line of pointer[at], to be read or written soon."""
        byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
        fetch = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0i8")
        address = self.builder.bitcast(self.builder.gep(pointer, [at]), byte)
        self.builder.call(fetch, [address, i32(write), i32(2), i32(1)])  # into the second level and up, of data

    def broadcast(self, value):
        """A vector of equal numbers."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def multiply_add(self, a, b, c):
        """a b + c, fused where the machine can (llvm.fma would call the C library where it cannot)."""
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fmuladd.{self.suffix}"  # llvmlite does not complete the names of vector intrinsics
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c])

    def combination(self, factors, values, total):
        """total plus the sum of factor * value, for constant factors."""
        for factor, value in zip(factors, values, strict=True):
            if factor in (1, -1):
                total = (self.builder.fadd if factor == 1 else self.builder.fsub)(total, value)
            elif factor != 0:
                total = self.multiply_add(ir.Constant(self.vector, [float(factor)] * self.lanes), value, total)
        return total

    def at_least(self, value, floor):
        """max(value, floor); a NaN stays a NaN."""
        return self.builder.select(self.builder.fcmp_ordered("<", value, floor), floor, value)  # one instruction

    def lane_sums(self, values):
        """The sum of the lanes of each value, as the lanes of one vector after the other, zeros behind the last.

        By halves, two vectors at a time: the lower half of a + b is made to hold what is left of a, the upper what is
        left of b. After log2(lanes) rounds every lane belongs to one value.
        """

        def both(lanes):
            return [*lanes, *(self.lanes + i for i in lanes)]

        width = self.lanes  # of the neighbours that belong to one value
        while width > 1:
            values = [*values, *[self.zero()] * (len(values) % 2)]
            low, high = ([i for i in range(self.lanes) if (i % width < width // 2) == lower] for lower in (True, False))
            pairs = zip(values[::2], values[1::2], strict=True)
            values = [self.builder.fadd(*(self.pick(a, b, both(lanes)) for lanes in (low, high))) for a, b in pairs]
            width //= 2
        return values

    def zero(self):
        return ir.Constant(self.vector, [0.0] * self.lanes)

    def pick(self, a, b, lanes):
        """A vector of these lanes of a followed by b."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), list(lanes)))

    def deal(self, a, b):
        """The numbers of a and b in turn, a[0], b[0], a[1], b[1], ..., as two vectors."""
        lanes = [lane for i in range(self.lanes) for lane in (i, self.lanes + i)]
        return self.pick(a, b, lanes[: self.lanes]), self.pick(a, b, lanes[self.lanes :])

    def for_each_count(self, count, most, emit):
        """Code for every count from 1 to `most`, emit(1), ..., of which the one of `count` runs."""
        builder = self.builder
        cases = [builder.append_basic_block(f"count{n}") for n in range(1, most + 1)]
        after = builder.append_basic_block("after")
        switch = builder.switch(count, cases[-1])
        for n, case in enumerate(cases, 1):
            if n < most:
                switch.add_case(INDEX(n), case)
            builder.position_at_end(case)
            emit(n)
            builder.branch(after)
        builder.position_at_end(after)

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
        zero = self.zero()
        for phis, values in zip(sums, new, strict=True):
            for phi, value in zip(phis, values, strict=True):
                phi.add_incoming(zero, before)
                phi.add_incoming(value, loop)
        builder.branch(test)
        builder.position_at_end(after)
        return sums

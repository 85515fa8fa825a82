"""Why a gradient differs: the hypotheses that are tried, in the order of HYPOTHESES, when a check has failed.

    g       J^T u as the tape has it                 d   the same by differences, element by element
    wrong   the elements at which they differ

Each is a function of the evidence that returns a sentence if it explains everything, otherwise "".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations

import numpy as np

from .evidence import Evidence, unit
from .gradients import gradients_of
from .slopes import central, evaluate, jacobian


def not_a_number(seen: Evidence) -> str:
    return (
        "" if np.isfinite(seen.claimed).all() else "the gradient is not finite: a division by zero, or a log of zero?"
    )


def rounding(seen: Evidence) -> str:
    if not seen.wrong.any():
        return "rounding: no element differs by more than differences can tell"
    if seen.claimed.dtype == np.float64 or seen.arrays[seen.i].dtype != np.float64:
        return ""
    wide = gradients_of(seen.fun, seen.arrays, seen.u)[seen.i].ravel()[seen.places].reshape(seen.d.shape)
    return f"rounding: the same gradient computed in float64 is right, in {seen.claimed.dtype} it is not" * seen.agree(
        wide, seen.d
    )


def kink(seen: Evidence) -> str:
    """Are all wrong elements on a kink, and does the gradient lie between the slopes on its two sides?"""
    wrong = np.flatnonzero(seen.wrong)
    sides = [seen.sides([place]) for place in seen.places[wrong]]
    if not all(kinked for _, _, kinked in sides):
        return ""
    kinds = sorted({kind for k in wrong for kind in seen.slopes[k].kinks})
    name = f"a kink ({', '.join(kinds)})" if kinds else "a kink that no op noted"
    before, after, _ = seen.sides(list(seen.places[wrong]))
    together = float(seen.g.ravel()[wrong].sum())
    each = [(*side[:2], g) for side, g in zip(sides, seen.g.ravel()[wrong], strict=True)]
    if all(_within(*side) for side in [*each, (before, after, together)]):
        return f"{name}: the gradient is one of the subgradients there, a matter of convention; exclude kinks to go on"
    if all(_within(*side) for side in each):
        return (
            f"the wrong rule at ties, {name}: when the {len(wrong)} elements move together the slope is "
            f"{min(before, after):.6g} to {max(before, after):.6g}, the gradient says {together:.6g}"
        )
    return f"the wrong rule at {name}: the gradient is not between the slopes before and after it"


def absent(seen: Evidence) -> str:
    return "" if np.any(seen.claimed) else "the gradient is zero: a detached input, or a vjp that was forgotten"


def gy_ignored(seen: Evidence) -> str:
    rng = np.random.default_rng(1)
    other = rng.standard_normal(seen.u.shape)
    g, g_other, g_sum = (
        gradients_of(seen.fun, seen.arrays, u)[seen.i].astype(float) for u in (seen.u, other, seen.u + other)
    )
    if seen.agree(g, g_other):
        return "the vjp does not use gy: it returns the derivative, not its product with gy"
    return "" if seen.agree(g + g_other, g_sum) else "the vjp is not linear in gy"


def sign(seen: Evidence) -> str:
    return "the sign" * seen.agree(seen.g, -seen.d)


def factor(seen: Evidence) -> str:
    scale = float(np.vdot(seen.d, seen.g) / max(np.vdot(seen.d, seen.d), 1e-300))
    if not seen.agree(seen.g, scale * seen.d):
        return ""
    sizes = {f"the size {n} of axis {a}": n for a, n in enumerate(seen.claimed.shape)}
    sizes |= {f"the {seen.claimed.size} elements of the input": seen.claimed.size}
    sizes |= {f"the {seen.u.size} elements of the result": seen.u.size}
    known = (f"; {name}?" for name, n in sizes.items() if n > 2 and np.isclose(max(scale, 1 / scale), n, rtol=1e-3))
    return f"a constant factor: the gradient is {scale:.6g} times what it should be{next(known, '')}"


def of_another_input(seen: Evidence) -> str:
    for j in seen.like():
        if j != seen.i and seen.whole:
            d = [central(seen.fun, seen.arrays, j, unit(seen.arrays[j], [p]), seen.u).value for p in seen.places]
            if seen.agree(seen.g, np.reshape(d, seen.g.shape)):
                return f"it is the gradient of input {j}: two inputs are exchanged"
    return ""


def rearranged(seen: Evidence) -> str:
    if not seen.whole:
        return ""
    axes = [a for a, n in enumerate(seen.d.shape) if n > 1]
    for some in (c for n in range(1, len(axes) + 1) for c in combinations(axes, n)):
        if seen.agree(seen.g, np.flip(seen.d, some)):
            return f"it is flipped along axes {some}: a filter that is flipped where it must not be, or the reverse"
    for order in permutations(range(seen.d.ndim)):
        if order != tuple(range(seen.d.ndim)) and seen.d.transpose(order).shape == seen.d.shape:
            if seen.agree(seen.g, seen.d.transpose(order)):
                return f"it is transposed: its axes are in the order {order}"
    return ""


def not_transposed(seen: Evidence) -> str:
    """Is g = J u where it must be J^T u?"""
    if seen.u.size != seen.claimed.size or not seen.whole:
        return ""
    J, _ = jacobian(seen.fun, seen.arrays, seen.i, seen.step)
    straight = (J @ seen.u.ravel()).reshape(seen.g.shape)
    return "the Jacobian is not transposed: a matrix without its transpose, a filter that is not flipped" * seen.agree(
        seen.g, straight
    )


def border(seen: Evidence) -> str:
    """Are the wrong elements all on faces of the array, and the inside right?"""
    if not seen.whole:
        return ""
    for faces in (f for n in range(1, 5) for f in combinations(list(_faces(seen.wrong.shape)), n)):
        frame = np.zeros(seen.wrong.shape, bool)
        for axis, end in faces:
            frame[(slice(None),) * axis + (end,)] = True
        if not (seen.wrong & ~frame).any() and seen.wrong[frame].mean() > 0.5:
            named = ", ".join(f"{'last' if end else 'first'} of axis {axis}" for axis, end in faces)
            return f"only the border is wrong ({named}): a border term"
    return ""


def shifted(seen: Evidence) -> str:
    if not seen.whole:
        return ""
    for axis, n in enumerate(seen.d.shape):
        for s in (1, 2):
            if n - s < 2:
                continue
            late, early = ((slice(None),) * axis + (part,) for part in (slice(s, None), slice(None, -s)))
            for first, second, way in ((late, early, "later"), (early, late, "earlier")):
                if seen.agree(seen.g[first], seen.d[second]):
                    return f"it is shifted: {s} {way} along axis {axis} than it should be, an alignment or a padding"
    return ""


def missing_term(seen: Evidence) -> str:
    left = seen.d - seen.g
    for name, term in _quantities(seen):
        scale = float(np.vdot(term, left) / max(np.vdot(term, term), 1e-300))
        if scale and seen.agree(scale * term, left):
            return f"a term is missing: {scale:.6g} {name} (a product or chain rule?)"
    return ""


def constant_taken(seen: Evidence) -> str:
    """Is what is missing, along some axis, a combination of 1 and x, as for a mean, a norm or a deviation?"""
    if not seen.whole:
        return ""
    for axis, n in enumerate(seen.g.shape):
        if n < 5:  # two numbers would explain too much
            continue
        left, x = (np.moveaxis(a, axis, -1).reshape(-1, n) for a in (seen.d - seen.g, seen.input(seen.i)))
        designs = np.stack([np.ones_like(x), x], axis=-1)
        fitted = [A @ np.linalg.lstsq(A, b, rcond=None)[0] for A, b in zip(designs, left, strict=True)]
        if seen.agree(np.array(fitted), left):
            return f"a term is missing that sums along axis {axis}: a mean, norm or deviation taken as a constant"
    return ""


def missing_factor(seen: Evidence) -> str:
    for name, quantity in _quantities(seen, of_gy=False):
        for a, b, verdict in ((seen.g * quantity, seen.d, "missing"), (seen.d * quantity, seen.g, "too many")):
            scale = float(np.vdot(a, b) / max(np.vdot(a, a), 1e-300))
            if scale and seen.agree(scale * a, b):
                constant = "" if np.isclose(abs(scale), 1, rtol=1e-3) else f"{scale:.6g} "
                return f"a factor {constant}{name} is {verdict} (the chain rule?)"
    return ""


def only_some(seen: Evidence) -> str:
    count, size = int(seen.wrong.sum()), seen.wrong.size
    if count == size:
        return ""
    x = seen.input(seen.i)
    for place, name in ((x < 0, "negative"), (x > 0, "positive")):
        if place.any() and (seen.wrong == place).all():
            return f"it is wrong exactly where the input is {name}: a case distinction"
    places = np.argwhere(seen.wrong)
    for axis, n in enumerate(seen.wrong.shape):
        if n > 1 and (places[:, axis] == places[0, axis]).all():
            return f"only {count} of {size} elements are wrong, all at index {places[0, axis]} of axis {axis}"
    return f"only {count} of {size} elements are wrong"


HYPOTHESES: Sequence[Callable[[Evidence], str]] = (
    not_a_number,
    rounding,
    kink,
    absent,
    gy_ignored,
    sign,
    factor,
    of_another_input,
    rearranged,
    not_transposed,
    border,
    shifted,
    missing_term,
    constant_taken,
    missing_factor,
    only_some,
)


def _quantities(seen: Evidence, of_gy: bool = True) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays of the input's shape that formulas are made of: inputs, the result, their powers, times gy or not."""
    y, _ = evaluate(seen.fun, seen.arrays)
    same = y.shape == seen.claimed.shape
    known = [(f"input {j}", seen.input(j)) for j in seen.like()]
    if same:
        known.append(("the result", y.astype(float).ravel()[seen.places].reshape(seen.g.shape)))
    plain = known + [(f"the square of {name}", q**2) for name, q in known]
    if not of_gy:
        yield from plain
        return
    yield "in every element, a sum over all of them", np.ones(seen.g.shape)
    if same:
        gy = seen.u.ravel()[seen.places].reshape(seen.g.shape)
        yield "gy", gy
        yield from ((f"gy times {name}", gy * q) for name, q in plain)


def _faces(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """(axis, 0 or -1) of the last two axes that are long enough to have an inside."""
    for axis in range(max(0, len(shape) - 2), len(shape)):
        if shape[axis] >= 3:
            yield from ((axis, 0), (axis, -1))


def _within(before: float, after: float, value: float) -> bool:
    slack = 1e-3 * max(abs(before), abs(after))
    return min(before, after) - slack <= value <= max(before, after) + slack

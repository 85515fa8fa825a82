"""IC-STN: a C-STN whose steps are all taken by the same localisation network (section 4.1 (5); Lin and Lucey 2017).

    M_1 = localisation(I)
    M_k+1 = M_k o localisation(I_k),  I_k = sampler(I, M_k)

It has the parameters of an Affine-STN, under the same names, however many steps it takes: a recurrent network, whose
gradient is the sum over its steps. "Inverse compositional" is an analogy to that form of the algorithm of Lucas and
Kanade (Baker and Matthews 2004), which computes gradient and Hessian of the template once for all its steps; nothing is
inverted here.
"""

from __future__ import annotations

from typing import Any

from autodiff.nn import Module

from .affine_stn import localisation_layers
from .c_stn import CSTN


class ICSTN(CSTN):
    """The inverse compositional transformer: 263,358 parameters on 60x60 images. The options are those of CSTN."""

    name = "ic_stn"

    def predictors(self) -> list[Module]:
        return [self.localisation] * self.steps

    def _localisation(self, common: dict[str, Any]) -> Any:
        return localisation_layers(self.image_size, **common)

"""Both kernel modules against numbers that PyTorch computed; make_pytorch_vectors.py says how."""

import json
from pathlib import Path

import numpy as np
import pytest
from kernel_cases import DTYPES, OPTIMIZERS, REDUCTIONS, assert_close, optimizer_steps

from minigrad.kernels import reference

VECTORS = dict(np.load(Path(__file__).with_name("pytorch_vectors.npz")))
LOSS_CASES = [key.removesuffix("/kernel") for key in VECTORS if key.endswith("/kernel")]

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])


@pytest.fixture(params=["native", "reference"])
def module(request):
    return request.getfixturevalue("native") if request.param == "native" else reference


@pytest.mark.parametrize("case", LOSS_CASES)
@each_dtype
def test_losses(module, case, dtype):
    row = json.loads(str(VECTORS[f"{case}/kernel"]))
    arrays = [VECTORS[f"{case}/{name}"] for name in row["arrays"]]
    arrays = [array.astype(dtype) if array.dtype.kind == "f" else array for array in arrays]
    for reduction in REDUCTIONS:
        value, gradient = getattr(module, row["kernel"])(
            *arrays, **row["options"], reduction=reduction, need_gradient=True
        )
        assert_close(value, VECTORS[f"{case}/{reduction}/value"], what=reduction)
        assert_close(gradient, VECTORS[f"{case}/{reduction}/gradient"], what=reduction)


@pytest.mark.parametrize("name", OPTIMIZERS)
@each_dtype
def test_optimizers(module, name, dtype):
    """After every number of steps, each run from the start."""
    start, gradients, after = (VECTORS[f"step-{name}/{what}"] for what in ("start", "gradients", "after"))
    for steps in range(1, len(after) + 1):
        p = start.astype(dtype)
        optimizer_steps(module, name, [p], [[g.astype(dtype)] for g in gradients[:steps]])
        assert_close(p, after[steps - 1], ulps=100, what=steps)


def test_every_loss_is_covered(native):
    covered = {json.loads(str(VECTORS[f"{case}/kernel"]))["kernel"] for case in LOSS_CASES}
    assert len(covered) == 9 and all(hasattr(native, kernel) for kernel in covered)

"""Bad arguments raise, name themselves, and change nothing."""

import numpy as np
import pytest
from kernel_cases import LOSSES, OPTIMIZERS, ROW_LOSSES, loss_case

from minigrad.kernels import Table, reference


@pytest.fixture(params=["native", "reference"])
def module(request):
    return request.getfixturevalue("native") if request.param == "native" else reference


def loss(module, name, arrays, **changed):
    kernel, _, options, _ = loss_case(name, np.float32, (4, 3) if name in ROW_LOSSES else (4,))
    return getattr(module, kernel)(*arrays, **{**options, "reduction": "mean", "need_gradient": True, **changed})


@pytest.mark.parametrize("name", LOSSES)
def test_losses_refuse_other_dtypes_and_shapes(module, name):
    """Each argument in turn is one element longer, one axis more, or of another dtype."""
    kernel, arrays, _, _ = loss_case(name, np.float32, (4, 3) if name in ROW_LOSSES else (4,))
    for position, array in enumerate(arrays):
        if array is None:
            continue
        argument = ("input|logits|scores|target", "target", "weight", "pos_weight")[position]
        for bad, error in (
            (np.concatenate([array, array[:1]]), ValueError),
            (array[:-1], ValueError),
            (array[None], ValueError),
            (array.astype(np.int32), TypeError),
            (array.astype(np.float16), TypeError),
            (array.astype(array.dtype.newbyteorder()), TypeError),
        ):
            with pytest.raises(error, match=rf"^{kernel}\(\): ({argument})"):
                loss(module, name, [*arrays[:position], bad, *arrays[position + 1 :]])


@pytest.mark.parametrize("name", LOSSES)
def test_losses_refuse_an_unknown_reduction(module, name):
    _, arrays, _, _ = loss_case(name, np.float32, (4, 3) if name in ROW_LOSSES else (4,))
    with pytest.raises(ValueError, match="'average'"):
        loss(module, name, arrays, reduction="average")


@pytest.mark.parametrize("name", ["index", "index-weight-smooth", "margin-1", "margin-2-weight"])
@pytest.mark.parametrize("bad", [3, 4, -1, -101, 2**62, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_bad_class(module, name, bad, reduction):
    _, arrays, _, _ = loss_case(name, np.float32, (4, 3))
    arrays[1][2] = bad
    with pytest.raises(IndexError, match=rf"target\[2\] is {bad}, expected a class from 0 to 2"):
        loss(module, name, arrays, reduction=reduction)


def test_first_bad_class_of_many_threads(native, threads):
    """The first one is named, whichever thread meets one first."""
    threads(3)
    target = np.zeros(10_000, np.int64)
    target[[7000, 3000, 9999]] = 5
    with pytest.raises(IndexError, match=r"target\[3000\] is 5"):
        native.multi_margin_loss(
            np.zeros((10_000, 3)), target, p=1, margin=1.0, reduction="mean", need_gradient=True
        )


def test_margin_power(module):
    with pytest.raises(ValueError, match="p is 3, expected 1 or 2"):
        loss(module, "margin-1", loss_case("margin-1", np.float32, (4, 3))[1], p=3)


@pytest.mark.parametrize("bad", [-1e-7, 1.0000001, np.nan, np.inf, -np.inf])
def test_bad_probability(module, bad):
    x = np.full((3, 4), 0.5, np.float32)
    x[1, 2] = bad
    with pytest.raises(RuntimeError, match=r"^binary_cross_entropy\(\): input\[1, 2\] is .* in \[0, 1\]"):
        module.binary_cross_entropy(x, x.copy(), reduction="mean", need_gradient=True)


def optimizer_call(module, name, parameters, gradients, states):
    kernel, _, options = OPTIMIZERS[name]
    count = {"first": False} if kernel == "sgd" else {} if kernel == "rmsprop" else {"step": 1}
    getattr(module, kernel)(parameters, gradients, *states, **options, **count)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_refuse_what_does_not_match(module, name):
    """A list too short, an array of another shape or dtype, for gradients and each state in turn."""
    make = lambda: [np.ones(4, np.float32), np.ones((2, 3), np.float32)]
    present = OPTIMIZERS[name][1]
    for wrong, error in (
        ([np.ones(4, np.float32)], ValueError),
        ([np.ones(4, np.float32), np.ones((3, 2), np.float32)], ValueError),
        ([np.ones(4, np.float32), np.ones(6, np.float32)], ValueError),
        ([np.ones(4, np.float32), np.ones((2, 3))], TypeError),
    ):
        for position in range(1 + len(present)):
            if position and not present[position - 1]:
                continue
            parameters, gradients = make(), make()
            states = [make() if there else None for there in present]
            if position:
                states[position - 1] = wrong
            else:
                gradients = wrong
            with pytest.raises(error, match=rf"^{OPTIMIZERS[name][0]}\(\): "):
                optimizer_call(module, name, parameters, gradients, states)
            for array, before in zip(parameters, make()):
                np.testing.assert_array_equal(before, array)


def test_native_writes_only_what_can_be_written_in_place(native):
    strided, read_only = np.ones(8, np.float32)[::2], np.ones(4, np.float32)
    read_only.flags.writeable = False
    unaligned = np.ones(17, np.uint8)[1:].view(np.float32)
    good = np.ones(4, np.float32)
    for bad in (strided, read_only, unaligned):
        with pytest.raises(ValueError, match=r"adagrad\(\): parameters: array 0 is not C-contiguous"):
            optimizer_call(native, "adagrad", [bad], [good], [[good.copy()]])
        with pytest.raises(ValueError, match=r"adagrad\(\): sums: array 0 is not C-contiguous"):
            optimizer_call(native, "adagrad", [good], [good], [[bad]])
    np.testing.assert_array_equal(np.ones(4), good)


def test_table_takes_one_float_dtype():
    with pytest.raises(TypeError, match="int64, expected float32 or float64"):
        Table([np.arange(3)])
    with pytest.raises(TypeError, match="array 1 is float64, expected float32"):
        Table([np.ones(3, np.float32), np.ones(3)])


@pytest.mark.parametrize("name, missing", [("adam", 2), ("adam", 3), ("adamw", 2), ("adagrad", 2), ("rmsprop", 2)])
def test_required_state(native, name, missing):
    """None is refused where C would look for addresses."""
    numbers = {
        "adam": dict(lr=0.1, beta1=0.9, beta2=0.9, eps=0.1, weight_decay=0, maximize=False, step=1),
        "adagrad": dict(lr=0.1, lr_decay=0, weight_decay=0, eps=0.1, maximize=False, step=1),
        "rmsprop": dict(lr=0.1, alpha=0.9, eps=0.1, weight_decay=0, momentum=0, maximize=False),
    }
    arrays = [[np.ones(3, np.float32)] for _ in range(4 if name.startswith("adam") else 3)]
    arrays[missing] = None
    with pytest.raises(TypeError, match=rf"^{name}\(\): .* is None, expected arrays"):
        getattr(native, name)(*arrays, **numbers["adam" if name == "adamw" else name])

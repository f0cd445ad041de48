"""The gradient checker finds every planted mistake, and says where it is."""

import numpy as np
import pytest

import minigrad
from minigrad import autograd
from minigrad.graph import Node
from minigrad.primitive import Primitive


def leaf(values):
    return minigrad.tensor(values, dtype=minigrad.float64, requires_grad=True)


def square(rule):
    """x^2 with the given derivative rule."""
    return Primitive(lambda x: x * x, "square").vjps(rule)


def product(x_rule, y_rule):
    return Primitive(lambda x, y: x * y, "product").vjps(x_rule, y_rule)


def _one_element(grad, _out, x):
    mask = np.ones(x.shape)
    mask.flat[-1] = 0.5
    return grad * 2.0 * x * mask


WRONG = {
    "sign": lambda grad, _out, x: -grad * 2.0 * x,
    "factor 2": lambda grad, _out, x: grad * x,
    "one element": _one_element,
    "one part in 200": lambda grad, _out, x: grad * 2.01 * x,
    "upstream ignored": lambda grad, _out, x: grad * 0.0 + 2.0 * x,
    "upstream read only in part": lambda grad, _out, x: grad.reshape(-1)[:1] * 2.0 * x,
    "no gradient": lambda grad, _out, x: None,
    "not a number": lambda grad, _out, x: grad * float("nan"),
    "not a number unless 0": lambda grad, _out, x: np.where(grad == 0, 0.0, np.nan),
}


def test_right_rule():
    """The right rule passes, for 0-d, empty and larger inputs."""
    right = square(lambda grad, _out, x: grad * 2.0 * x)
    for shape in [(), (0,), (2, 3)]:
        assert autograd.gradcheck(right, minigrad.randn(*shape, dtype=minigrad.float64, requires_grad=True))


@pytest.mark.parametrize("rule", WRONG.values(), ids=WRONG)
def test_wrong_rule(rule):
    """A wrong rule fails, by an exception or by False."""
    x = leaf([0.5, -1.5, 2.0])
    with pytest.raises(autograd.GradcheckError, match="square"):
        autograd.gradcheck(square(rule), x)
    assert not autograd.gradcheck(square(rule), x, raise_exception=False)


def test_message():
    """The failure names function, input, index, both values and the bound."""
    wrong = product(lambda grad, _out, _x, y: grad * y, lambda grad, _out, x, y: grad * x * [1.0, 1.0, 3.0])
    with pytest.raises(autograd.GradcheckError) as caught:
        autograd.gradcheck(wrong, (leaf([1.0, 2.0, 3.0]), leaf([4.0, 5.0, 6.0])))
    message = str(caught.value)
    assert "product: 1 of 3 gradients for input 1, of shape (3,)" in message
    assert "index (2,): analytic" in message
    assert "bound" in message
    analytic, numeric = (float(message.split(word)[1].split(",")[0]) for word in ("analytic", "numeric"))
    assert 3.0 == pytest.approx(analytic / numeric, rel=1e-6)


def test_second_derivative_of_wrong_rule():
    """A rule whose own derivative is cut off passes first order and fails second."""

    def cut(grad, _out, x):
        return grad * (2.0 * (x.detach() if isinstance(x, minigrad.Tensor) else x))

    x = leaf([0.5, -1.5])
    assert autograd.gradcheck(square(cut), x)
    with pytest.raises(autograd.GradcheckError, match="gradient of square"):
        autograd.gradgradcheck(square(cut), x)


def test_forgotten_broadcast_sum():
    """Without the sum over repeated axes, the walk refuses the gradient of a broadcast argument."""
    wrong = product(lambda grad, _out, _x, y: (grad * y)[..., None] * np.ones(4), lambda grad, _out, x, _y: grad * x)
    with pytest.raises(ValueError, match=r"does not fit a value of shape \(3,\)"):
        autograd.gradcheck(wrong, (leaf([1.0, 2.0, 3.0]), leaf([4.0, 5.0, 6.0])))


def test_several_outputs_and_constants():
    """All outputs count; constants and integer inputs are left alone."""
    index = minigrad.tensor([0, 0, 1])

    def function(x, index, factor):
        return x[index] * factor, index, x.sum()

    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert autograd.gradcheck(function, (x, index, 2.5))
    assert [[1.0, 2.0], [3.0, 4.0]] == x.tolist()


def test_written_input():
    """A function that writes to its input is refused."""

    def clumsy(x):
        with minigrad.no_grad():
            x.add_(1.0)
        return x * 2

    with pytest.raises(autograd.GradcheckError, match="clumsy: input 0 was written to"):
        autograd.gradcheck(clumsy, leaf([1.0, 2.0]))


def test_unsteady_backward():
    """A backward pass that differs between two runs fails, unless the difference is allowed."""
    count = [0]

    def unsteady(grad, _out, x):
        count[0] += 1
        return grad * 2.0 * x + grad * (count[0] * 1e-7)

    with pytest.raises(autograd.GradcheckError, match="two backward passes"):
        autograd.gradcheck(square(unsteady), leaf([1.0]))
    assert autograd.gradcheck(square(unsteady), leaf([1.0]), nondet_tol=1e-6)


def test_input_is_restored():
    """Even if the function raises in the middle, the input keeps its values."""
    calls = [0]

    def failing(x):
        calls[0] += 1
        if calls[0] == 4:
            raise KeyError
        return x * 2

    x = leaf([1.0, 2.0])
    with pytest.raises(KeyError):
        autograd.gradcheck(failing, x)
    assert [1.0, 2.0] == x.tolist()


def test_memory_layout_of_input():
    """Inputs that are not contiguous are checked in place."""
    x = minigrad.from_numpy(np.arange(6.0).reshape(2, 3).T[::2]).requires_grad_()
    assert autograd.gradcheck(lambda x: minigrad.sin(x), x)


def test_nothing_to_check():
    """Without an input or an output in the graph there is nothing to check, which is an error."""
    x = leaf([1.0])
    with pytest.raises(ValueError, match="no input requires grad"):
        autograd.gradcheck(minigrad.exp, minigrad.ones(1))
    with pytest.raises(ValueError, match="no output depends"):
        autograd.gradcheck(lambda x: x.detach(), x)


def test_float32_warns():
    """Finite differences in float32 are mostly rounding, and the warning says so."""
    with pytest.warns(UserWarning, match="input 0 is float32.*float64"):
        autograd.gradcheck(minigrad.exp, minigrad.ones(1, requires_grad=True), raise_exception=False)


def test_wrong_dtype_from_rule():
    """The walk refuses a gradient of another dtype than its value, naming the primitive."""
    wrong = square(lambda grad, _out, x: (grad * 2 * x).astype(np.float64))
    x = minigrad.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"square\(\).*float64, expected float32"):
        wrong(x).sum().backward()
    assert isinstance(wrong(x).grad_fn, Node)

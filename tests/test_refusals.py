"""Every refused call says who refuses, what came and what was expected."""

import numpy as np
import pytest

import minigrad
from minigrad import autograd

M = minigrad


def leaf(*shape):
    return M.ones(*shape, requires_grad=True)


def _function(backward):
    class Wrong(autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

    Wrong.backward = staticmethod(backward)
    return Wrong.apply(leaf(2), leaf(2)).sum().backward()


class _NoTensor(autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 3.0


def _twice():
    y = (leaf(2) * leaf(2)).sum()
    y.backward()
    y.backward()


REFUSED = {
    # Making
    "tensor: text": (lambda: M.tensor("a"), TypeError, r"tensor\(\).*numbers.*str"),
    "tensor: complex": (lambda: M.tensor([1j]), TypeError, r"tensor\(\).*complex128"),
    "tensor: dtype": (lambda: M.tensor([1.0], dtype=np.float16), TypeError, r"tensor.*float16.*float32"),
    "zeros: size": (lambda: M.zeros(2, -1), ValueError, r"zeros\(\).*non-negative.*\(2, -1\)"),
    "from_numpy: list": (lambda: M.from_numpy([1.0]), TypeError, r"from_numpy\(\).*list"),
    "randint: bounds": (lambda: M.randint(3, 3, (2,)), ValueError, r"randint\(\).*3.*3"),
    "manual_seed: negative": (lambda: M.manual_seed(-1), ValueError, r"manual_seed\(\).*-1"),
    "requires_grad: integers": (lambda: M.tensor([1], requires_grad=True), RuntimeError, "floating-point.*int64"),
    "requires_grad: result": (lambda: (leaf(2) * 2).requires_grad_(False), RuntimeError, r"leaf.*detach\(\)"),
    "grad: shape": (lambda: setattr(leaf(2), "grad", M.ones(3)), TypeError, r"grad.*\(2,\).*\(3,\)"),
    "grad: untracked": (lambda: setattr(M.ones(2), "grad", M.ones(2)), RuntimeError, "grad.*requires_grad_"),
    "data: array": (lambda: setattr(M.ones(2), "data", np.ones(2)), TypeError, "data.*ndarray"),
    "retain_grad: untracked": (lambda: M.ones(2).retain_grad(), RuntimeError, r"retain_grad\(\)"),
    # Python numbers
    "item: several": (lambda: M.ones(2).item(), RuntimeError, r"item\(\).*\(2,\).*2 values"),
    "bool: several": (lambda: bool(M.ones(2)), RuntimeError, r"bool\(\).*\(2,\).*any\(\)"),
    "index: float": (lambda: [1, 2][M.tensor(1.0)], TypeError, "integer.*float32"),
    "len: number": (lambda: len(M.tensor(1.0)), TypeError, r"len\(\)"),
    "iteration: number": (lambda: list(M.tensor(1.0)), TypeError, "iteration"),
    "to: device": (lambda: M.ones(1).to("cuda"), RuntimeError, r"to\(\).*'cpu'.*'cuda'"),
    # Elementwise
    "add: shapes": (lambda: leaf(2) + leaf(3), RuntimeError, r"add\(\).*\(2,\) \(3,\)"),
    "where: shapes": (lambda: M.where(M.ones(2) > 0, leaf(3), 0.0), RuntimeError, r"where\(\).*\(2,\)"),
    "mul: text": (lambda: leaf(2) * "a", TypeError, r"mul\(\).*str"),
    "mul: complex": (lambda: leaf(2) * np.ones(2, complex), TypeError, r"mul\(\).*complex"),
    "clamp: no bounds": (lambda: leaf(2).clamp(), ValueError, r"clamp\(\).*min and max"),
    "pow: integers": (lambda: M.tensor([2]) ** -1, RuntimeError, r"pow\(\).*negative"),
    # Dims
    "sum: dim": (lambda: leaf(2, 3).sum(2), IndexError, r"sum\(\): dim 2 .*-2 to 1"),
    "sum: twice": (lambda: leaf(2, 3).sum((0, -2)), RuntimeError, r"sum\(\).*\(0, -2\).*twice"),
    "mean: integers": (lambda: M.arange(3).mean(), RuntimeError, r"mean\(\).*int64.*float\(\)"),
    "var: integers": (lambda: M.arange(3).var(), RuntimeError, r"var\(\).*int64"),
    "max: nothing": (lambda: M.zeros(0).max(), RuntimeError, r"amax\(\).*\(0,\)"),
    "argmax: nothing": (lambda: M.zeros(0, 3).argmax(0), IndexError, r"argmax\(\).*\(0, 3\)"),
    "softmax: dim": (lambda: M.softmax(leaf(2), -2), IndexError, r"softmax\(\): dim -2"),
    "cat: dim": (lambda: M.cat([leaf(2), leaf(2)], 1), IndexError, r"cat\(\): dim 1"),
    "squeeze: dim": (lambda: leaf(2).squeeze(1), IndexError, r"squeeze\(\): dim 1"),
    "unsqueeze: dim": (lambda: leaf(2).unsqueeze(2), IndexError, r"unsqueeze\(\): dim 2"),
    "transpose: dim": (lambda: leaf(2, 2).transpose(0, 2), IndexError, r"transpose\(\): dim 2"),
    # Shapes
    "reshape": (lambda: leaf(2, 3).reshape(4, -1), RuntimeError, r"reshape\(\).*\(4, -1\).*\(2, 3\)"),
    "view": (lambda: leaf(2, 3).T.view(6), RuntimeError, r"view\(\).*\(6,\).*reshape\(\)"),
    "flatten": (lambda: leaf(2, 3).flatten(1, 0), RuntimeError, r"flatten\(\).*1.*0"),
    "permute": (lambda: leaf(2, 3).permute(0, 0), RuntimeError, r"permute\(\).*\(0, 0\).*2 axes"),
    "t": (lambda: leaf(2, 3, 4).t(), RuntimeError, r"t\(\).*\(2, 3, 4\)"),
    "expand": (lambda: leaf(2).expand(3), RuntimeError, r"expand\(\).*\(2,\).*\(3,\)"),
    "expand: fewer": (lambda: leaf(2, 1).expand(2), RuntimeError, r"expand\(\).*\(2, 1\)"),
    "expand: new -1": (lambda: leaf(2).expand(-1, 2), RuntimeError, r"expand\(\).*\(-1, 2\)"),
    "cat: shapes": (lambda: M.cat([leaf(2, 3), leaf(2, 4)]), RuntimeError, r"cat\(\): tensors\[1\].*\(2, 4\).*\(2, 3\)"),
    "cat: nothing": (lambda: M.cat([]), RuntimeError, r"cat\(\).*at least one"),
    "stack: shapes": (lambda: M.stack([leaf(2), leaf(3)]), RuntimeError, r"stack\(\): tensors\[1\].*\(3,\).*\(2,\)"),
    "split: sizes": (lambda: leaf(5).split([2, 2]), RuntimeError, r"split\(\).*\[2, 2\].*5"),
    "index: range": (lambda: leaf(3)[3], IndexError, "3.*out of bounds.*3"),
    "index: too many": (lambda: leaf(3)[0, 0], IndexError, "too many indices"),
    "gather: range": (lambda: M.gather(leaf(3), 0, M.tensor([3])), IndexError, "3.*out of bounds"),
    # Products
    "matmul: inner": (lambda: leaf(2, 3) @ leaf(2, 3), RuntimeError, r"matmul\(\).*\(2, 3\) and \(2, 3\)"),
    "matmul: leading": (lambda: leaf(2, 3, 4) @ leaf(5, 4, 2), RuntimeError, r"matmul\(\).*leading.*\(5, 4, 2\)"),
    "matmul: number": (lambda: leaf(2) @ M.tensor(1.0), RuntimeError, r"matmul\(\).*axis"),
    "matmul: dtypes": (lambda: leaf(2) @ M.ones(2, dtype=M.float64), RuntimeError, r"matmul\(\).*float32 and float64"),
    "matmul: list": (lambda: M.matmul(leaf(2), [1.0, 2.0]), TypeError, r"matmul\(\).*list"),
    "mm: vector": (lambda: M.mm(leaf(2), leaf(2)), RuntimeError, r"mm\(\).*2 and 2 axes.*\(2,\)"),
    "mv: vectors": (lambda: M.mv(leaf(2), leaf(2)), RuntimeError, r"mv\(\)"),
    "outer: matrix": (lambda: M.outer(leaf(2, 2), leaf(2)), RuntimeError, r"outer\(\)"),
    # Backward
    "backward: several values": (lambda: (leaf(2) * 2).backward(), RuntimeError, r"backward\(\).*\(2,\).*gradient="),
    "backward: untracked": (lambda: M.ones(1).backward(), RuntimeError, "does not require grad.*requires_grad=True"),
    "backward: twice": (_twice, RuntimeError, "already used.*retain_graph=True"),
    "backward: shape": (lambda: (leaf(2) * 2).backward(M.ones(3)), RuntimeError, r"gradient.*\(2,\).*\(3,\)"),
    "backward: array": (lambda: (leaf(2) * 2).backward(np.ones(2)), RuntimeError, "gradient.*tensor.*ndarray"),
    "backward: dtype": (
        lambda: (leaf(2) * 2).backward(M.ones(2, dtype=M.float64)), RuntimeError, "gradient.*float32.*float64"),
    "backward: inputs": (lambda: leaf(1).backward(inputs=[M.ones(1)]), RuntimeError, "inputs.*require grad"),
    "backward: no inputs": (lambda: leaf(1).backward(inputs=[]), RuntimeError, "inputs.*one or more"),
    "backward: no rule": (lambda: (leaf(1) // 2).backward(), NotImplementedError, r"floor_divide\(\).*argument 0"),
    "grad: input": (lambda: autograd.grad(leaf(1), M.ones(1)), RuntimeError, r"grad\(\): inputs\[0\]"),
    "grad: count": (lambda: autograd.grad([leaf(1)], leaf(1), [None, None]), RuntimeError, "2 upstream.*1 output"),
    # Function
    "Function: result": (lambda: _NoTensor.apply(leaf(1)), TypeError, "_NoTensor.forward: result 0 is float"),
    "Function: count": (lambda: _function(lambda ctx, grad: grad), RuntimeError, "Wrong.backward.*1 gradients, expected 2"),
    "Function: shape": (
        lambda: _function(lambda ctx, grad: (grad, grad[:1])), RuntimeError, r"Wrong.*argument 1.*\(2,\).*\(1,\)"),
    "Function: array": (
        lambda: _function(lambda ctx, grad: (grad, 1.0)), RuntimeError, r"Wrong.*argument 1.*tensor.*float"),
    "Function: dtype": (lambda: _function(lambda ctx, grad: (grad, grad.double())), TypeError, "Wrong.*float64.*float32"),
    "Function: no forward": (lambda: autograd.Function.apply(leaf(1)), NotImplementedError, "forward"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(call, error, message):
    """The error has the type that PyTorch's users expect, and names function, argument and mend."""
    with pytest.raises(error, match=message):
        call()


def test_refused_backward_changes_nothing():
    """After a refused backward no gradient has been filled, and the right call still works."""
    x = leaf(2)
    y = x * 2
    for gradient in (None, M.ones(3), np.ones(2)):
        with pytest.raises(RuntimeError):
            y.backward(gradient)
        assert x.grad is None
    y.backward(M.ones(2))
    assert [2.0, 2.0] == x.grad.tolist()

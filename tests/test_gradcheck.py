"""The gradient checker: what it takes, and what it leaves alone. Its verdicts: test_gradcheck_verdict.py."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from rules import cause_of, leaf, product, right, square

import minigrad
from minigrad import autograd, gradcheck, gradgradcheck, nn
from minigrad.gradcheck import __main__ as command


# In a test


def test_pytest_shows_the_line_of_the_test():
    """A wrong gradient is the business of whoever called, not of the checker's own lines."""
    with pytest.raises(minigrad.GradcheckError) as caught:
        gradcheck(square(lambda grad, _out, x: grad * x), leaf([1.0, 2.0]))
    shown = [entry.name for entry in caught.traceback if not entry.frame.f_locals.get("__tracebackhide__")]
    assert ["test_pytest_shows_the_line_of_the_test"] == shown


# Steadiness


def test_unsteady_backward():
    """A backward pass that differs between two runs fails, unless the difference is allowed."""
    count = [0]

    def unsteady(grad, _out, x):
        count[0] += 1
        return grad * 2.0 * x + grad * (count[0] * 1e-9)

    with pytest.raises(minigrad.GradcheckError, match="not deterministic: two backward passes for input 0"):
        gradcheck(square(unsteady), leaf([1.0]))
    assert gradcheck(square(unsteady), leaf([1.0]), nondet_tol=1e-6)


def test_dropout_is_not_deterministic():
    """While training; and the check leaves the random numbers where they were."""
    state = minigrad.random.default_generator.get_state()
    layer, x = nn.Dropout(0.5), minigrad.randn(20, requires_grad=True, generator=minigrad.Generator(1))
    assert "not deterministic" == cause_of(layer, x)
    assert gradcheck(layer.eval(), x)
    assert state == minigrad.random.default_generator.get_state()


# What it takes


def test_several_outputs_and_constants():
    """All outputs count; constants and integer inputs are left alone."""
    index = minigrad.tensor([0, 0, 1])

    def function(x, index, factor):
        return x[index] * factor, index, x.sum()

    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert gradcheck(function, (x, index, 2.5))
    assert [[1.0, 2.0], [3.0, 4.0]] == x.tolist()


def test_mixed_dtypes():
    """Inputs of both dtypes are judged by the coarser one."""
    assert gradcheck(lambda x, y: x * y, (leaf([1.0, 2.0]), leaf([3.0, 4.0], minigrad.float32)))
    wrong = product(lambda grad, _out, _x, y: grad * y * 1.01, lambda grad, _out, x, _y: grad * x)
    double = lambda x, y: wrong(x, y.to(minigrad.float64))
    assert "constant factor" == cause_of(double, (leaf([1.0, 2.0]), leaf([3.0, 4.0], minigrad.float32)))


def test_memory_layout_of_input():
    """Inputs that are not contiguous, or whose elements overlap, are checked as any other."""
    values = np.arange(6.0)
    for array in (values.reshape(2, 3).T[::2], values[::-1], np.broadcast_to(values, (2, 6))):
        assert gradcheck(minigrad.sin, minigrad.from_numpy(array).requires_grad_())


def test_the_same_tensor_twice():
    """Its gradient is the sum over both places."""
    x = leaf([1.0, 2.0])
    assert gradcheck(lambda x, y: x * y, (x, x))


def test_module():
    """A module's parameters are checked by name, also behind a bound method; nothing of it changes."""
    layer, x = nn.Linear(3, 2), minigrad.randn(4, 3)
    kept = {name: (p.array, p.array.copy()) for name, p in layer.named_parameters()}
    for subject in (layer, layer.forward):
        assert ["weight", "bias"] == [part.name for part in gradcheck(subject, x).checked]
    for name, parameter in layer.named_parameters():
        assert parameter.array is kept[name][0]
        assert np.array_equal(parameter.array, kept[name][1])
        assert parameter.grad is None
    layer.weight.requires_grad_(False)
    assert ["bias"] == [part.name for part in gradcheck(layer, x).checked]


def test_a_closure_over_float32():
    """A function that mixes in float32 constants and refuses float64 is checked in float32."""
    layer = nn.Linear(3, 2)
    report = gradcheck(lambda x: layer(x).tanh(), minigrad.randn(4, 3, requires_grad=True))
    assert "float64" not in report.method
    assert "float64 copy" in gradcheck(layer, minigrad.randn(4, 3)).method


# What it leaves alone


def test_written_input():
    """A function that writes to its input is found, and the input restored."""

    def clumsy(x):
        with minigrad.no_grad():
            x.add_(1.0)
        return x * 2

    x = leaf([1.0, 2.0])
    with pytest.raises(minigrad.GradcheckError, match="clumsy: .*input written: input 0 was changed by the forward"):
        gradcheck(clumsy, x)
    assert [1.0, 2.0] == x.tolist()


def test_input_is_restored():
    """Even if the function raises in the middle, the input keeps its values, and its memory is never written."""
    calls = [0]

    def failing(x):
        calls[0] += 1
        if calls[0] == 20:
            raise KeyError
        return x * 2

    array = np.array([1.0, 2.0])
    array.flags.writeable = False
    x = minigrad.from_numpy(array.copy()).requires_grad_()
    x.array = array
    with pytest.raises(KeyError):
        gradcheck(failing, x)
    assert x.array is array
    assert gradcheck(minigrad.exp, x)
    assert x.grad is None


def test_shape_of_a_gradient_that_does_not_fit():
    """The walk's error gives the shape that came, before any axis was summed."""
    wrong = square(lambda grad, _out, x: np.ones((2, 5, 4)))
    with pytest.raises(ValueError, match=r"a gradient of shape \(2, 5, 4\) does not fit a value of shape \(3,\)"):
        wrong(leaf([1.0, 2.0, 3.0])).sum().backward()


# Second derivatives


def test_second_derivative_of_wrong_rule():
    """A rule whose own derivative is cut off passes first order and fails second."""

    def cut(grad, _out, x):
        return grad * (2.0 * (x.detach() if isinstance(x, minigrad.Tensor) else x))

    x = leaf([0.5, -1.5])
    assert gradcheck(square(cut), x)
    with pytest.raises(minigrad.GradcheckError, match="gradient of square: .*zero"):
        gradgradcheck(square(cut), x)
    assert gradgradcheck(square(right), x, leaf([1.0, 2.0]))
    assert gradgradcheck(square(right), leaf([0.5, -1.5], minigrad.float32))
    assert autograd.gradgradcheck is gradgradcheck


# Functions of NumPy arrays


def test_numpy_function():
    """A number or an array, one input or several, a gradient computed before or a function."""
    x = np.array([0.5, -1.0, 2.0])
    assert gradcheck(lambda x: np.sum(x**3), x, grad=lambda x: 3 * x**2)
    assert gradcheck(lambda x: np.sum(x**3), x, grad=3 * x**2)
    assert gradcheck(lambda x: x**3, 2.0, grad=lambda x: 3 * x**2)
    assert gradcheck(lambda x: sum(x**3), [1, 2, 3], grad=lambda x: 3 * x**2)
    assert gradcheck(np.sin, x, grad=lambda x, upstream: upstream * np.cos(x))
    assert gradcheck(lambda x, y: x @ y, (x, x + 1), grad=lambda x, y: (y, x))
    assert gradcheck(lambda w, x: x @ w, (x, np.eye(3)), grad=lambda w, x, u: (x.T @ u, np.outer(u, w)))
    assert gradcheck(lambda x: max(0, 1 - x), 2.0, grad=lambda x: -1 if x < 1 else 0)  # an integer at 2
    assert gradcheck(lambda x: (x.sum(), x * x), x, grad=lambda x, u, v: u + v * 2 * x)
    assert gradcheck(np.sin, x, grad=np.cos(x))  # of the sum of the results
    rows = np.array([0, 2])
    assert gradcheck(lambda x, rows: x[rows].sum(), (x, rows), grad=lambda x, rows: (np.array([1.0, 0, 1]), None))
    assert "constant factor: 1/3, 3 being the size of axis 0 of input 0, the gradient for input 0" == gradcheck(
        lambda x: np.sum(x), x, grad=lambda x: np.ones(3) / 3, raise_exception=False
    ).cause


def test_integers_are_checked():
    """Numbers, and arrays where there are no others, count as floats, unless the function takes none there."""
    product = lambda x, y: x * y
    for inputs in ((-2, 5), (-2, 5.0), (-2.0, 5), (np.int64(-2), np.float64(5)), (np.array([1, 2]), np.array([3, 4]))):
        gradient = lambda x, y, *u: (y, x)
        gradient = gradient if np.ndim(inputs[0]) == 0 else lambda x, y, u: (u * y, u * x)
        assert ["input 0", "input 1"] == [part.name for part in gradcheck(product, inputs, grad=gradient).checked]
    assert "input 0" in gradcheck(product, (-2, 5), grad=lambda x, y: (y + 1, x), raise_exception=False).cause
    assert "input 0" in gradcheck(product, (-2, 5.0), grad=lambda x, y: (y + 1, x), raise_exception=False).cause
    # but an axis, a size, an index or a flag
    x = np.array([[0.5, -1.0, 2.0], [1.0, 3.0, 4.0]])
    for function in (lambda x, n: x.sum(n), lambda x, n: x[n], lambda x, n: x * np.ones(n)):
        report = gradcheck(lambda x, n, f=function: f(x, n).sum(), (x, 1), raise_exception=False, grad=np.ones((2, 3)))
        assert ["input 0"] == [part.name for part in report.checked]
    assert gradcheck(lambda x, wide: x.sum() if wide else 0, (x, True), grad=lambda x, wide: (np.ones((2, 3)), None))
    with pytest.raises(ValueError, match=r"no input holds floats.* got bool. Use x.astype\(float\)"):
        gradcheck(np.sum, np.ones(2, bool), grad=np.ones(2))


@pytest.mark.parametrize("refusal", [AssertionError, ValueError, IndexError, ZeroDivisionError])
def test_a_function_that_refuses_arguments(refusal):
    """Steps that lead out of its domain are no steps, whatever it says to them."""

    def log(x):
        if not (x > 0).all():
            raise refusal
        return np.log(x).sum()

    x = np.array([0.01, 1.0])
    assert gradcheck(log, x, grad=lambda x: 1 / x)
    assert "constant factor" == cause_of(log, x, grad=lambda x: 2 / x)
    with pytest.raises(refusal):
        gradcheck(log, -x, grad=lambda x: 1 / x)


def test_numpy_gradient_of_wrong_shape():
    """The shape of a hand-written gradient counts, and mostly says what was forgotten."""
    x, w, b = np.ones((5, 3)), np.ones((3, 2)), np.ones(2)
    affine = lambda w, b: np.sum((x @ w + b) ** 2)
    slope = lambda w, b: 2 * (x @ w + b)
    assert gradcheck(affine, (w, b), grad=lambda w, b: (x.T @ slope(w, b), slope(w, b).sum(0)))
    report = gradcheck(affine, (w, b), grad=lambda w, b: (x.T @ slope(w, b), slope(w, b)), raise_exception=False)
    assert "forgotten sum: over axis 0; the gradient for input 1 has shape (5, 2), expected (2,)" == report.cause
    assert "transposed" == cause_of(affine, (w, b), grad=lambda w, b: (slope(w, b).T @ x, slope(w, b).sum(0)))
    with pytest.raises(ValueError, match="grad gave 1 gradients for 2 inputs"):
        gradcheck(affine, (w, b), grad=lambda w, b: x.T @ slope(w, b))


def test_complex_step():
    """It is used where the function goes along, and not trusted where it does so wrongly."""
    x = np.array([0.5, -1.0, 2.0])
    report = gradcheck(lambda x: np.sum(np.exp(x) / x), x, grad=lambda x: np.exp(x) / x - np.exp(x) / x**2)
    assert "complex step" in report.method
    assert report.error_estimate < 1e-14
    real = lambda x: np.real(x) ** 2, lambda x: 2 * x
    cbrt = np.cbrt, lambda x: np.cbrt(x) / 3 / x
    for function, slope in ((np.abs, np.sign), real, cbrt):
        report = gradcheck(lambda x, function=function: function(x).sum(), x, grad=slope)
        assert "complex" not in report.method


def test_numpy_input_is_left_alone():
    """The caller's array is not written, not even for a moment, and a function that writes it is found."""
    x = np.array([1.0, 2.0])
    x.flags.writeable = False
    assert gradcheck(lambda x: np.sum(x * x), x, grad=lambda x: 2 * x)
    x = np.array([1.0, 2.0])

    def writes(x):
        x *= 2
        return x.sum()

    assert "input written" == cause_of(writes, x, grad=np.ones(2))
    assert [1.0, 2.0] == x.tolist()


# Progress


def test_progress(monkeypatch):
    """Long work moves a bar on a terminal, and is silent in a pipe."""
    bars = []

    class Bar:
        def __init__(self, **options):
            bars.append((options["total"], self))
            self.count = 0

        def update(self):
            self.count += 1

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            pass

    monkeypatch.setitem(sys.modules, "tqdm", type(sys)("tqdm"))
    sys.modules["tqdm"].tqdm = Bar
    monkeypatch.setattr(sys.modules["minigrad.gradcheck.verdict"], "PATIENCE", 0.0)
    x = leaf([1.0, 2.0, 3.0])
    assert gradcheck(minigrad.exp, x)
    assert [] == bars
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert gradcheck(minigrad.exp, x)
    assert [3] == [bar.count for _, bar in bars]


# The picture and the command


def test_plot(tmp_path):
    """Both panels are drawn for vectors, matrices and more axes, right or wrong, and saved."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    for shape in [(), (5,), (3, 4), (2, 3, 4)]:
        x = minigrad.randn(*shape, requires_grad=True)
        gradcheck(minigrad.exp, x).plot(tmp_path / "right.png")
        wrong = gradcheck(square(lambda grad, _out, x: grad * x), x, raise_exception=False)
        figure = wrong.plot(tmp_path / "wrong.png")
        assert [2, 2] == [len(ax.get_title() and "ok") for ax in figure.axes[:2]]
        worst = list(wrong.checked[0].worst)
        assert f"Remainder at input 0{worst}" == figure.axes[0].get_title()
    figure = gradcheck(minigrad.exp, minigrad.randn(3, requires_grad=True)).plot()
    assert "Remainder along a random direction, input 0" == figure.axes[0].get_title()
    fast = gradcheck(square(lambda grad, _out, x: grad * x), x, raise_exception=False, fast_mode=True)
    assert fast.plot().axes[0].get_title() == ("Remainder at input 0" + str(list(fast.checked[0].worst)))
    assert (tmp_path / "wrong.png").stat().st_size > 10_000


CASES = """
import numpy as np, minigrad
def right():
    return minigrad.tanh, minigrad.randn(3, requires_grad=True)
def wrong():
    return lambda x: np.sum(x * x), np.arange(3.0), lambda x: x
def nothing():
    return 3
def empty():
    return minigrad.tanh, minigrad.randn(0, requires_grad=True)
def short():
    return minigrad.tanh,
def pair():
    return [minigrad.tanh, minigrad.randn(3, requires_grad=True)]
def raises():
    return 1 / 0
def checked(x):
    return x
def inner():
    return lambda x: {}["key"], minigrad.randn(3, requires_grad=True)
def unasked():
    return np.sin, np.arange(3.0), lambda x: np.cos(x)
def early():
    def f(x):
        x *= 2
        return x.sum()
    return f, np.ones(3), np.ones(3)
"""


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["cases:right"], 0, "tanh: the gradient is right"),
        (["cases:right", "--gradgrad"], 0, "gradient of tanh: the gradient is right"),
        (["cases:wrong"], 1, "constant factor: 1/2"),
        (["cases:nothing"], 2, "gave int, expected a tuple"),
        (["cases:short"], 2, "gave tuple of 1, expected a tuple"),
        (["cases:pair"], 0, "tanh: the gradient is right"),
        (["cases:raises"], 2, "error: cases:raises: ZeroDivisionError: division by zero, in cases.py, line 16"),
        (["cases:inner"], 2, "error: cases:inner: KeyError: 'key', in cases.py, line 20"),
        (["cases:checked"], 2, "cases:checked takes arguments. Name a function that takes none and returns (checked,"),
        (["cases:unasked"], 2, "grad does not take 2 arguments"),
        (["cases:missing"], 2, "error: cases:missing: AttributeError: module 'cases' has no attribute 'missing'"),
        (["absent:right"], 2, "error: absent:right: ModuleNotFoundError: No module named 'absent'"),
        (["cases"], 2, "expected module:function"),
        (["cases:wrong", "--gradgrad"], 2, "--gradgrad needs"),
        (["--help"], 0, "loss:check_square"),
    ],
)
def test_command(arguments, status, said, tmp_path):
    """python -m minigrad.gradcheck: prints the report, and its status says the verdict."""
    (tmp_path / "cases.py").write_text(CASES)
    root = str(minigrad.__path__[0]).removesuffix("minigrad")
    command = [sys.executable, "-W", "error", "-m", "minigrad.gradcheck", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": root}, timeout=60)
    assert (status, True) == (done.returncode, said in done.stdout + done.stderr), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_command_with_a_picture(tmp_path, monkeypatch, capsys):
    """--plot without Matplotlib, or where there is nothing to draw, is said; the verdict stands."""
    (tmp_path / "cases.py").write_text(CASES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="2"):
        command.main(["cases:wrong", "--plot", "a.png"])
    assert "--plot needs Matplotlib: pip install matplotlib" in capsys.readouterr().err
    monkeypatch.setattr(command, "find_spec", find_spec)
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert 1 == command.main(["cases:wrong", "--plot", "a.png"])
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert 1 == command.main(["cases:early", "--plot", "a.png"])
    assert "no picture: " in capsys.readouterr().err
    assert 2 == command.main(["cases:empty", "--plot", "a.png"])
    assert "nothing to draw of the check of tanh: its inputs have no elements" in capsys.readouterr().err
    assert 2 == command.main(["cases:right", "--plot", "absent/a.png"])
    assert "no picture: " in capsys.readouterr().err


def test_what_the_backward_pass_raised_comes_along():
    """With its traceback, which leads to the line."""

    class Slip(minigrad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return grad * len(3)

    with pytest.raises(autograd.GradcheckError) as caught:
        gradcheck(Slip.apply, minigrad.ones(2, requires_grad=True))
    assert isinstance(caught.value.__cause__, TypeError)

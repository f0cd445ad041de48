"""check_optimizer passes minigrad's optimizers with every option, and names what a wrong one does instead."""

import numpy as np
import pytest
from wrong_optimizers import ADAM, TAMPERED, WRITTEN, Own, adam, around, back, kept, momentum_sgd, only, tampered

import minigrad
from minigrad import check_optimizer, optim
from minigrad.kernels.parallel import SMALLEST_SPLIT

RIGHT = ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW"]


@pytest.mark.parametrize("name", RIGHT)
def test_minigrads_own_are_right_with_every_option_in_both_dtypes_and_kernels(name):
    report = check_optimizer(getattr(optim, name), steps=8)
    kernels = len(minigrad.kernels.available())
    assert report and report.cause is None and report.error_estimate < 6
    assert {"SGD": 20, "RMSprop": 64}.get(name, 32) * 2 * kernels == len(report.runs)
    assert str(report).startswith(f"{name}: right, off by at most ")


def test_many_steps_and_lost_digits():
    """Where weight decay outweighs a tiny gradient, errors grow from step to step and `centered` loses digits."""
    options = [dict(alpha=0.8, centered=True, weight_decay=0.1, momentum=0.7), {}]
    assert check_optimizer(optim.RMSprop, options=options, steps=100)


# ---- planted ----


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize("cause, kind, options", TAMPERED, ids=[row[0] for row in TAMPERED])
def test_a_wrong_optimizer_is_named(cause, kind, options):
    options = {"lr": 0.05, **options}
    report = check_optimizer(kind, options=[options], steps=12, raise_exception=False)
    assert not report
    assert report.cause == cause or report.cause.startswith(cause + ","), str(report)


@pytest.mark.parametrize(
    "cause, kind",
    [
        ("weight decay missing", tampered(optim.Adam, weight_decay=0)),
        ("maximize ignored", tampered(optim.SGD, maximize=False)),
        ("bias correction missing", tampered(optim.Adam, step=lambda t: 10**9)),
    ],
)
def test_over_all_options_the_cause_is_what_explains_every_wrong_run(cause, kind):
    report = check_optimizer(kind, steps=8, raise_exception=False)
    assert report.cause == cause
    assert 0 < len(report.wrong) <= len(report.runs)


@pytest.mark.parametrize("cause, name, rule, options", WRITTEN, ids=[row[0] for row in WRITTEN])
def test_a_wrong_recurrence_is_named(cause, name, rule, options):
    report = check_optimizer(lambda params: Own(params, rule, **options), name, steps=12, raise_exception=False)
    assert report.cause == cause, str(report)


def test_the_same_written_right_passes():
    assert check_optimizer(lambda params: Own(params, adam("right"), **ADAM), "Adam")
    assert check_optimizer(lambda params: Own(params, momentum_sgd, lr=0.1, momentum=0.9, dampening=0), "SGD")


def test_adam_and_adamw_are_told_apart():
    options = [{"lr": 0.1, "weight_decay": 0.1}]
    report = check_optimizer(optim.AdamW, "Adam", options=options, raise_exception=False)
    assert report.cause == "weight decay decoupled, where it belongs to the gradient"
    report = check_optimizer(optim.Adam, "AdamW", options=options, raise_exception=False)
    assert report.cause == "weight decay added to the gradient, where it should be decoupled"


@pytest.mark.skipif("native" not in minigrad.kernels.available(), reason="the C kernels are not built")
def test_wrong_in_c_alone_is_said(monkeypatch):
    from minigrad.kernels import native

    right = native.adam
    monkeypatch.setattr(native, "adam", lambda *arrays, **options: right(*arrays, **{**options, "eps": 0}))
    report = check_optimizer(optim.Adam, options=[{"eps": 1e-6}], raise_exception=False)
    assert report.cause == "eps missing, where memory is contiguous, in the native kernels only"


# ---- a recurrence of one's own ----


def lion(p, g, s, o, t):
    m = s.get("m", 0)
    s["m"] = o.betas[1] * m + (1 - o.betas[1]) * g
    return p - o.lr * np.sign(o.betas[0] * m + (1 - o.betas[0]) * g)


def lion_steps(p, o):
    m = np.zeros_like(p)
    while True:
        g = yield p
        p = p - o.lr * np.sign(o.betas[0] * m + (1 - o.betas[0]) * g)
        m = o.betas[1] * m + (1 - o.betas[1]) * g


class Lion(Own):
    def __init__(self, params, lr=1e-2, betas=(0.9, 0.99), sign=-1):
        self.sign = sign
        super().__init__(params, self.move, lr=lr, betas=betas)

    def move(self, p, g, s, lr, betas):
        m = s.get("m", 0)
        s["m"] = betas[1] * m + (1 - betas[1]) * g
        return p + self.sign * lr * np.sign(betas[0] * m + (1 - betas[0]) * g)


@pytest.mark.parametrize("recurrence", [lion, lion_steps])
def test_a_recurrence_of_ones_own(recurrence):
    assert check_optimizer(Lion, recurrence, options=[{}, {"lr": 0.1}, {"betas": (0.5, 0.6)}])
    report = check_optimizer(Lion, recurrence, options=[{"sign": 1}], raise_exception=False)
    assert report.cause == "wrong sign of the step"


def ends_early(p, o):
    for _ in range(2):
        p = p - o.lr * (yield p)


@pytest.mark.parametrize(
    ("recurrence", "said"),
    [
        (lambda p, g, s, o, t: None, r"gave NoneType after step 1 of a parameter of shape \(\), expected the new para"),
        (lambda p, g, s, o, t: (p - o.lr * g).sum(), r"gave shape \(\) after step 1 of a parameter of shape \(1,\)"),
        (lambda p, g, s, o, t: (p, s), "gave tuple after step 1"),
        (lambda p, g, s, o, t: "p", "gave str after step 1"),
        (ends_early, "gave NoneType after step 2"),
    ],
)
def test_a_recurrence_that_gives_no_parameter(recurrence, said):
    with pytest.raises(ValueError, match=f"^check_optimizer: recurrence {said}"):
        check_optimizer(optim.SGD, recurrence, options=[{"lr": 0.1}])


# ---- large parameters, which threads share ----


LARGEST = SMALLEST_SPLIT + 23  # that are tried


@pytest.mark.parametrize("size", [5000, LARGEST - 1])
@pytest.mark.parametrize("name", RIGHT)
def test_wrong_in_large_parameters_alone(name, size):
    """What goes wrong beyond some size alone, in all elements, or in the last, as if a thread forgot them."""
    only_there = f"in parameters of shape ({LARGEST},) only"
    options = dict(options=[{"lr": 0.1}], steps=5, dtypes=["float32"], raise_exception=False)
    all_kept = around(getattr(optim, name), only(lambda n: slice(0, n * (n > size)), kept))
    cause = check_optimizer(all_kept, **options).cause
    assert f"never updated, {only_there}" == cause
    last_back = around(getattr(optim, name), only(lambda n: slice(n - 7 * (n > size), n), back))
    cause = check_optimizer(last_back, **options).cause
    assert f"wrong sign of the step, in the elements left over by vectors of 8, {only_there}" == cause


@pytest.mark.skipif("native" not in minigrad.kernels.available(), reason="the C kernels are not built")
def test_wrong_where_threads_share_a_call(monkeypatch):
    """A slice of a shared call that is left out is seen, even with one thread to check on."""
    from minigrad.kernels import native

    right = native.sgd

    def forgetful(parameters, gradients, *arrays, **options):
        lost = [p.reshape(-1)[-9:] for p in parameters.arrays if p.size >= LARGEST]
        kept = [last.copy() for last in lost]
        right(parameters, gradients, *arrays, **options)
        for last, old in zip(lost, kept):
            last[...] = old

    monkeypatch.setattr(native, "sgd", forgetful)
    cause = check_optimizer(optim.SGD, steps=5, raise_exception=False).cause
    assert f"never updated, in parameters of shape ({LARGEST},) only, in the native kernels only" == cause


# ---- the report ----


def test_a_wrong_one_raises_the_report():
    with pytest.raises(minigrad.autograd.GradcheckError) as caught:
        check_optimizer(tampered(optim.SGD, momentum=0), options=[{"lr": 0.5, "momentum": 0.9}], dtypes=["float32"])
    report = caught.value.report
    assert report.cause == "momentum ignored" and len(report.wrong) == len(report.runs)
    assert str(report) in str(caught.value)
    assert "float32, numpy   momentum=0.9, lr=0.5: first wrong after step 2, shape (" in str(report)


def test_an_unknown_optimizer_needs_its_recurrence():
    with pytest.raises(ValueError, match=r"no recurrence is known for Lion. Pass recurrence=, a function step\(p, g, "):
        check_optimizer(Lion)
    with pytest.raises(ValueError, match="no recurrence is known for Lamb"):
        check_optimizer(optim.SGD, "Lamb")


BAD = [
    (dict(factory=3), TypeError, "check_optimizer: factory must be a class of optimizers, or .* got 3. Pass the class"),
    (dict(factory=optim.SGD([minigrad.ones(1, requires_grad=True)])), TypeError, "factory must be .* got SGD"),
    (dict(factory=lambda params: None), ValueError, r"factory gave NoneType, expected an optimizer with step\(\)"),
    (dict(factory=lambda params, lr, size: None), ValueError, "lr=0.02.* raised TypeError.*'size'. options= says"),
    (dict(recurrence=3), TypeError, "recurrence must be the name of a known optimizer"),
    (dict(options={"lr": 0.1}), TypeError, r"options must be a list of dictionaries.* options=\[{'lr': 0.1}\]"),
    (dict(options=["lr"]), ValueError, "options must be a list of dictionaries"),
    (dict(options=[]), ValueError, "options must be a list of dictionaries"),
    (dict(options=[{}, {"momentm": 0.9}]), ValueError, r"factory\(params, momentm=0.9\) raised TypeError"),
    (dict(options=[{"lr": -1}]), ValueError, r"factory\(params, lr=-1\) raised ValueError: SGD"),
    (dict(steps=3), ValueError, "steps must be 4 or more, got 3"),
    (dict(steps=4.5), TypeError, "steps must be 4 or more, got 4.5"),
    (dict(dtypes="float64"), TypeError, "dtypes must be a list of 'float64' and 'float32', got 'float64'"),
    (dict(dtypes=["int64"]), ValueError, "dtypes must be a list"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "error", "said"), BAD)
def test_bad_arguments(arguments, error, said):
    """Each is refused by one error, before anything is run for long."""
    with pytest.raises(error, match=said):
        check_optimizer(**{"factory": optim.SGD, **arguments})


# ---- which options are tried ----

KERNELS = len(minigrad.kernels.available())


class Plain:
    """SGD with momentum, known to nobody, with an option that no recurrence has."""

    def __init__(self, params, lr=0.1, momentum=0.0, pace=1):
        self.param_groups, self.velocity = [dict(params=params, lr=lr, momentum=momentum)], {}

    def step(self):
        lr, momentum = self.param_groups[0]["lr"], self.param_groups[0]["momentum"]
        for i, p in enumerate(self.param_groups[0]["params"]):
            if p.grad is not None:
                v = self.velocity[i] = momentum * self.velocity.get(i, 0) + p.grad.numpy()
                p.detach().numpy()[...] -= (lr * v).astype(v.dtype)


REFUSED = "dampening, nesterov, weight_decay, maximize: refused by factory"


@pytest.mark.parametrize(
    ("factory", "recurrence", "runs", "said"),
    [
        (Plain, "SGD", 2, ["lr 0.05; momentum 0, 0.9", REFUSED, "pace: no values known, give some by options="]),
        (lambda p, **k: Plain(p, **k), "SGD", 2, ["lr 0.05; momentum 0, 0.9", REFUSED]),
        (lambda p, lr, **k: Plain(p, lr, **k), "SGD", 2, ["lr 0.05; momentum 0, 0.9", REFUSED]),
        (lambda p, **k: optim.SGD(p, **k), None, 20, ["nesterov False, True", "12 of 32 combinations: SGD: nest"]),
        (lambda p, lr: optim.Adagrad(p, lr), None, 1, ["tried: lr 0.1\n", "maximize: refused by factory"]),
        (lambda p: optim.AdamW(p), None, 1, ["tried: as factory has them", "not tried: lr, betas, eps, amsgrad, "]),
        (Plain, lambda p, g, s, o, t: p - o.lr * g, 1, ["tried: as factory has them", "lr, momentum, pace: no values"]),
    ],
)
def test_options_are_found(factory, recurrence, runs, said):
    """All that the recurrence knows and the factory takes are tried, and the report says which, and which are not."""
    report = check_optimizer(factory, recurrence, steps=5, dtypes=["float64"])
    assert runs * KERNELS == len(report.runs)
    for words in said:
        assert words in str(report)


def test_options_that_the_class_does_not_take_are_left_out():
    class Adam(Own):
        def __init__(self, params, lr, eps):
            super().__init__(params, adam("right"), lr=lr, eps=eps, betas=(0.9, 0.99))

    assert 2 * 2 * KERNELS == len(check_optimizer(Adam).runs)


def test_values_that_are_refused_are_left_out():
    """An optimizer need not have everything; what it does not have is said with its own words."""

    class Picky(optim.Adam):
        def __init__(self, params, amsgrad=False, **options):
            if amsgrad:
                raise NotImplementedError("amsgrad is not supported")
            super().__init__(params, **options)

    report = check_optimizer(Picky, steps=5, dtypes=["float64"])
    assert 16 * KERNELS == len(report.runs)
    assert report.tried["amsgrad"] == [False]
    assert report.untried == {"amsgrad is not supported": ["16 of 32 combinations"]}


def test_a_wrong_one_behind_a_function_is_found_by_its_options():
    """What goes wrong with one option alone, which a function passes on."""
    kind = tampered(optim.SGD, weight_decay=0)
    report = check_optimizer(lambda params, **options: kind(params, **options), steps=5, raise_exception=False)
    assert report.cause == "weight decay missing"
    assert len(report.wrong) == len(report.runs) // 2


def test_options_that_the_constructor_mixes_up():
    """What was asked for counts, not what the optimizer says it took."""

    class Swapped(minigrad.optim.Adam):
        def __init__(self, params, betas=(0.9, 0.999), **options):
            super().__init__(params, betas=betas[::-1], **options)

    report = check_optimizer(Swapped, raise_exception=False)
    assert not report and "betas swapped" in str(report)

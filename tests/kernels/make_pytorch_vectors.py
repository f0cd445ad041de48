"""Makes pytorch_vectors.npz: what PyTorch computes, kept so that the tests need no PyTorch.

Run by hand, with PyTorch installed: `python tests/kernels/make_pytorch_vectors.py`.
Keys are `case/what`; a case's options are one JSON string. All numbers are float64, made on the CPU.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

RNG = np.random.default_rng(2024)
ROWS, CLASSES, STEPS = 7, 5, 4
vectors = {"torch": np.array(torch.__version__.split("+")[0])}


def normal(*shape):
    return RNG.normal(size=shape) * 2


def uniform(*shape):
    return RNG.uniform(0.05, 0.95, shape)


def keep_loss(case, kernel, function, arrays, options, **torch_options):
    """One loss under each reduction, with the gradient of the sum of its result."""
    for name, array in arrays.items():
        vectors[f"{case}/{name}"] = array
    vectors[f"{case}/kernel"] = np.array(json.dumps({"kernel": kernel, "arrays": list(arrays), "options": options}))
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    x, y = list(tensors.values())[:2]
    weights = {name: tensor for name, tensor in tensors.items() if name in ("weight", "pos_weight")}
    for reduction in ("mean", "sum", "none"):
        leaf = x.clone().requires_grad_()
        value = function(leaf, y, **weights, **torch_options, reduction=reduction)
        value.sum().backward()
        vectors[f"{case}/{reduction}/value"] = value.detach().numpy()
        vectors[f"{case}/{reduction}/gradient"] = leaf.grad.numpy()


def keep_losses():
    pair = lambda: {"input": normal(ROWS, 3), "target": normal(ROWS, 3)}
    keep_loss("mse", "mse_loss", F.mse_loss, pair(), {})
    keep_loss("l1", "l1_loss", F.l1_loss, pair(), {})
    for beta in (0.0, 0.5, 2.0):
        keep_loss(f"smooth_l1-{beta}", "smooth_l1_loss", F.smooth_l1_loss, pair(), {"beta": beta}, beta=beta)
    for delta in (0.5, 2.0):
        keep_loss(f"huber-{delta}", "huber_loss", F.huber_loss, pair(), {"delta": delta}, delta=delta)

    for weights in ((), ("weight",)):
        arrays = {name: uniform(ROWS, 3) for name in ("input", "target", *weights)}
        keep_loss("-".join(("bce", *weights)), "binary_cross_entropy", F.binary_cross_entropy, arrays, {})
    for weights in ((), ("weight",), ("weight", "pos_weight")):
        arrays = {"input": normal(ROWS, 3), **{name: uniform(ROWS, 3) * 2 for name in ("target", *weights)}}
        arrays["target"] /= 2
        kernel = "binary_cross_entropy_with_logits"
        keep_loss("-".join(("logits", *weights)), kernel, getattr(F, kernel), arrays, {})

    for weights in ({}, {"weight": uniform(CLASSES)}):
        name = "-weight" if weights else ""
        for e in (0.0, 0.1):
            target = RNG.integers(0, CLASSES, ROWS)
            target[[1, 4]] = -100
            options = {"ignore_index": -100, "label_smoothing": e}
            arrays = {"logits": normal(ROWS, CLASSES), "target": target, **weights}
            keep_loss(f"index-{e}{name}", "cross_entropy", F.cross_entropy, arrays, options, **options)
            arrays = {"logits": normal(ROWS, CLASSES), "target": RNG.dirichlet(np.ones(CLASSES), ROWS), **weights}
            options = {"label_smoothing": e}
            keep_loss(f"rows-{e}{name}", "cross_entropy_probabilities", F.cross_entropy, arrays, options, **options)
        for p, margin in ((1, 1.0), (2, 0.5)):
            options = {"p": p, "margin": margin}
            arrays = {"scores": normal(ROWS, CLASSES), "target": RNG.integers(0, CLASSES, ROWS), **weights}
            keep_loss(f"margin-{p}{name}", "multi_margin_loss", F.multi_margin_loss, arrays, options, **options)


def keep_optimizer(name, optimizer, **options):
    """The parameter after each of a few steps. `name` is a row of kernel_cases.OPTIMIZERS."""
    start, gradients = normal(6), normal(STEPS, 6)
    p = torch.tensor(start, requires_grad=True)
    optimizer = optimizer([p], **options)
    after = []
    for gradient in gradients:
        p.grad = torch.tensor(gradient)
        optimizer.step()
        after.append(p.detach().numpy().copy())
    for what, array in (("start", start), ("gradients", gradients), ("after", np.array(after))):
        vectors[f"step-{name}/{what}"] = array


def keep_optimizers():
    up = {"weight_decay": 0.1, "maximize": True}
    adam = {"lr": 0.01, "betas": (0.9, 0.99)}
    rmsprop = {"lr": 0.01, "alpha": 0.9}
    keep_optimizer("sgd", torch.optim.SGD, lr=0.1)
    keep_optimizer("sgd-decay-maximize", torch.optim.SGD, lr=0.1, **up)
    keep_optimizer("sgd-momentum", torch.optim.SGD, lr=0.1, momentum=0.9, dampening=0.3, **up)
    keep_optimizer("sgd-nesterov", torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True)
    keep_optimizer("adagrad", torch.optim.Adagrad, lr=0.1)
    keep_optimizer("adagrad-decay-maximize", torch.optim.Adagrad, lr=0.1, lr_decay=0.1, **up)
    keep_optimizer("rmsprop", torch.optim.RMSprop, **rmsprop)
    keep_optimizer("rmsprop-centered", torch.optim.RMSprop, **rmsprop, centered=True, eps=0.01, **up)
    keep_optimizer("rmsprop-momentum", torch.optim.RMSprop, **rmsprop, momentum=0.9)
    keep_optimizer("rmsprop-both", torch.optim.RMSprop, **rmsprop, centered=True, eps=0.01, momentum=0.5)
    keep_optimizer("adam", torch.optim.Adam, **adam)
    keep_optimizer("adam-decay-maximize", torch.optim.Adam, **adam, **up)
    keep_optimizer("adam-amsgrad", torch.optim.Adam, **adam, amsgrad=True)
    keep_optimizer("adamw", torch.optim.AdamW, **adam, **up)
    keep_optimizer("adamw-amsgrad", torch.optim.AdamW, **adam, amsgrad=True, weight_decay=0.01)


if __name__ == "__main__":
    keep_losses()
    keep_optimizers()
    np.savez_compressed(Path(__file__).with_name("pytorch_vectors.npz"), **vectors)

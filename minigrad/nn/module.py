"""`Parameter`, `Module`, and the modules that hold other modules."""

from collections import namedtuple
from random import getrandbits
from weakref import WeakKeyDictionary

import numpy as np

from .. import dtypes
from ..graph import touch
from ..tensor import Tensor, clear_grads

Keys = namedtuple("Keys", "missing_keys unexpected_keys")


class Settings:
    """What may have changed about modules, for those who saw them before."""

    changes = 0  # how often an attribute of some module got another value
    modes = 0  # a number for which modules are in training: that of each comes in or goes out when it changes over
    tokens = WeakKeyDictionary()

    def token(self, module):
        """A number of the module's own; neighbouring ids would cancel each other."""
        return self.tokens.setdefault(module, getrandbits(64))


settings = Settings()


class Parameter(Tensor):
    """A tensor that a `Module` trains: it requires grad, and a module that holds it finds it.

    It shares the memory of `data`. Raises TypeError when `data` is not a tensor.

    Example:
        >>> import minigrad
        >>> minigrad.nn.Parameter(minigrad.zeros(1))
        Parameter containing:
        tensor([0.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: expected a tensor, got {type(data).__name__}. Use Parameter(minigrad.tensor(...))")
        self.array = data.array
        self.node = self.view_of = None
        self.requires_grad_(requires_grad)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


class Module:
    """The base of all layers and models. Define `forward`, assign parameters and modules as attributes.

    What a module holds is read from its attributes: there is no second list to keep in step.

    Example:
        >>> import minigrad
        >>> from minigrad import nn
        >>> class Line(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.slope = nn.Parameter(minigrad.ones(1))
        ...     def forward(self, x):
        ...         return self.slope * x
        >>> [name for name, parameter in Line().named_parameters()]
        ['slope']
    """

    training = True
    buffer_names = saved_buffer_names = frozenset()

    def forward(self, *args, **named):
        """Compute the result: each module defines its own, and calling the module calls it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def __call__(self, *args, **named):
        return self.forward(*args, **named)

    def __setattr__(self, name, value):
        if isinstance(vars(self).get(name), Parameter) and not isinstance(value, (Parameter, type(None))):
            raise TypeError(
                f"{type(self).__name__}: {name} is a Parameter and would no longer be trained as {type(value).__name__}. "
                f"Use Parameter(...), or change {name}.data"
            )
        if name == "training":
            settings.modes ^= settings.token(self) if bool(value) != bool(self.training) else 0
        elif vars(self).get(name, settings) is not value:
            settings.changes += 1
        super().__setattr__(name, value)

    def __delattr__(self, name):
        settings.changes += 1
        super().__delattr__(name)

    # What it holds

    def register_parameter(self, name, parameter):
        """Hold a parameter: the same as assigning the attribute."""
        setattr(self, name, parameter)

    def register_module(self, name, module):
        """Hold a module: the same as assigning the attribute."""
        setattr(self, name, module)

    add_module = register_module

    def register_buffer(self, name, tensor, persistent=True):
        """Hold a tensor that is not trained; `state_dict` includes it if `persistent`.

        Example:
            >>> import minigrad
            >>> module = minigrad.nn.Module()
            >>> module.register_buffer("mean", minigrad.zeros(2))
            >>> [name for name, buffer in module.named_buffers()]
            ['mean']
        """
        setattr(self, name, tensor)
        self.buffer_names |= {name}
        saved = self.saved_buffer_names
        self.saved_buffer_names = saved | {name} if persistent else saved - {name}

    def named_children(self):
        """The modules held directly, with their names."""
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Module))

    def children(self):
        """The modules held directly."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix="", seen=None, remove_duplicate=True):
        """This module and all below it, each once unless `remove_duplicate` is off, with dotted names."""
        seen = set() if seen is None else seen
        if self not in seen or not remove_duplicate:
            seen.add(self)
            yield prefix, self
            for name, module in self.named_children():
                yield from module.named_modules(f"{prefix}.{name}" if prefix else name, seen, remove_duplicate)

    def modules(self):
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self):
        """All parameters, each once, with dotted names."""
        return _once(self._entries(lambda module, name, value: isinstance(value, Parameter)))

    def parameters(self):
        """All parameters, each once: what an optimizer takes."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self):
        """All buffers, each once, with dotted names."""
        return _once(self._entries(lambda module, name, value: name in module.buffer_names and value is not None))

    def buffers(self):
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers())

    def _entries(self, wanted, remove_duplicate=True):
        for prefix, module in self.named_modules(remove_duplicate=remove_duplicate):
            for name, value in vars(module).items():
                if wanted(module, name, value):
                    yield f"{prefix}.{name}" if prefix else name, value

    # What it does to all of it

    def apply(self, function):
        """Call `function` on every module, this one last. Returns the module."""
        for module in self.children():
            module.apply(function)
        function(self)
        return self

    def train(self, mode=True):
        """Switch this module and all below it to training, which matters to such as Dropout. Returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Switch to evaluation. Returns the module."""
        return self.train(False)

    def zero_grad(self, set_to_none=True):
        """Forget the gradients of all parameters, or fill them with zeros."""
        clear_grads(self.parameters(), set_to_none)

    def requires_grad_(self, requires_grad=True):
        """Train all parameters, or freeze them. Returns the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def to(self, target="cpu", *, dtype=None, device="cpu"):
        """Convert all floating-point parameters and buffers to a dtype; "cpu" changes nothing."""
        target = target if dtype is None else dtype
        if target != "cpu":
            dtype = dtypes.check(target, "to()")
            for tensor in (*self.parameters(), *self.buffers()):
                if tensor.is_floating_point() and tensor.dtype != dtype:
                    grad, tensor.grad = tensor.grad, None
                    tensor.data = tensor.detach().to(dtype)
                    if grad is not None:
                        tensor.grad = grad.detach().to(dtype)
        return self

    def cpu(self):
        """The module itself: the CPU is where it is."""
        return self

    def float(self):
        """Convert to float32, as `to` does."""
        return self.to(dtypes.float32)

    def double(self):
        """Convert to float64, as `to` does."""
        return self.to(dtypes.float64)

    # Saving

    def state_dict(self):
        """Names and values of all parameters and buffers; the tensors share the module's memory.

        What is shared within the module stands under each of its names.

        Example:
            >>> from minigrad import nn
            >>> model = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
            >>> {name: value.shape for name, value in model.state_dict().items()}
            {'0.weight': (1, 2), '0.bias': (1,)}
        """

        def is_kept(module, name, value):
            return isinstance(value, Parameter) or name in module.saved_buffer_names

        kept = self._entries(is_kept, remove_duplicate=False)
        return {name: value.detach() for name, value in kept if value is not None}

    def load_state_dict(self, state_dict, strict=True):
        """Copy values into parameters and buffers, by name.

        The dtypes stay the module's. Raises RuntimeError, and changes nothing, when a shape differs,
        or, if `strict`, when names are missing or unknown. Returns (missing_keys, unexpected_keys).

        Example:
            >>> from minigrad import nn
            >>> model, other = nn.Linear(2, 1), nn.Linear(2, 1)
            >>> other.load_state_dict(model.state_dict())
            Keys(missing_keys=[], unexpected_keys=[])
            >>> bool((other.weight == model.weight).all())
            True
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        problems = []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        loaded = {}
        for name in own:
            if name not in state_dict:
                continue
            value = state_dict[name]
            loaded[name] = value.array if isinstance(value, Tensor) else np.asarray(value)
            if loaded[name].dtype.kind not in "biuf":
                problems.append(f"{name} is a {type(value).__name__}, expected a tensor")
            elif loaded[name].shape != own[name].shape:
                problems.append(f"{name} has shape {loaded[name].shape}, expected {own[name].shape}")
        if problems:
            raise RuntimeError(f"load_state_dict({type(self).__name__}): " + "; ".join(problems))
        for name, array in loaded.items():
            np.copyto(own[name].array, array, casting="unsafe")
            touch(own[name].array)
        return Keys(missing, unexpected)

    # Printing

    def extra_repr(self):
        """What stands between the parentheses."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        children = [f"({name}): {module!r}" for name, module in self.named_children()]
        if not children:
            return f"{type(self).__name__}({extra})"
        lines = [line.replace("\n", "\n  ") for line in ([extra] if extra else []) + children]
        return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"


def _once(entries):
    seen = set()
    for name, value in entries:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


class ModuleList(Module):
    """A list of modules that a module may hold; it is not called itself.

    Raises TypeError for what is not a module.

    Example:
        >>> from minigrad import nn
        >>> layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
        >>> len(layers), len(list(layers.parameters()))
        (2, 4)
    """

    def __init__(self, modules=()):
        super().__init__()
        self.extend(modules)

    def append(self, module):
        """Add a module at the end. Returns the list."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: expected a Module, got {type(module).__name__}")
        setattr(self, str(len(self)), module)
        return self

    def extend(self, modules):
        """Add several modules at the end. Returns the list."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self):
        return len(list(self.children()))

    def __iter__(self):
        return self.children()

    def __getitem__(self, index):
        """A module, or for a slice a new container of the same kind with the modules themselves."""
        chosen = list(self.named_children())[index]
        return self._of(chosen) if isinstance(index, slice) else chosen[1]

    def _of(self, named):
        return type(self)([module for _, module in named])


class Sequential(ModuleList):
    """Modules called one after the other, each on the result of the one before.

    Example:
        >>> from minigrad import nn
        >>> nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        Sequential(
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): ReLU()
        )
    """

    def __init__(self, *modules):
        if len(modules) == 1 and isinstance(modules[0], dict):
            Module.__init__(self)
            for name, module in modules[0].items():
                setattr(self, name, module)
        else:
            super().__init__(modules)

    def _of(self, named):
        return type(self)(dict(named))

    def forward(self, x):
        """Pass x through all modules in order."""
        for module in vars(self).values():
            if isinstance(module, Module):
                x = module(x)
        return x

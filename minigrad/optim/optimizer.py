"""What all optimizers share: parameter groups, state, and the loop over parameters."""

from operator import is_

import numpy as np

from .. import kernels
from ..graph import RepeatedMethods, enable_grad, stamp, tell_watcher, writes_to
from ..tensor import Tensor, clear_grads, wrap


class Batch:
    """Parameters that one kernel call updates together, with pointers that stay good for many steps."""

    __slots__ = ("parameters", "arrays", "states", "kept", "writes", "tables", "fresh", "contiguous")

    def __init__(self, parameters, states, names, fresh, contiguous):
        self.parameters, self.arrays = parameters, [parameter.array for parameter in parameters]
        self.states, self.kept = states, {name: [state[name].array for state in states] for name in names}
        self.writes = [writes_to(array) for array in self.arrays]
        collect = kernels.Table if contiguous else list
        self.tables = collect(self.arrays), {name: collect(arrays) for name, arrays in self.kept.items()}
        self.fresh, self.contiguous = fresh, contiguous


def is_idle(parameter):
    """Whether a parameter is left alone: frozen, or without a gradient."""
    return parameter.node is None or parameter.node.grad is None


class Plan:
    """How a parameter group is updated, for as long as nothing changes about it but numbers."""

    __slots__ = ("parameters", "idle", "initial", "batches")

    def __init__(self, parameters, idle, initial, batches):
        self.parameters, self.idle, self.initial, self.batches = list(parameters), idle, initial, batches

    def gradients(self, parameters, initial):
        """Pairs (batch, gradients), or None for another set of parameters, gradients, arrays or kinds of state."""
        if initial != self.initial or len(parameters) != len(self.parameters):
            return None
        if not all(map(is_, parameters, self.parameters)) or self.idle and not all(map(is_idle, self.idle)):
            return None
        found = []
        for batch in self.batches:
            gradients = []
            for parameter, array in zip(batch.parameters, batch.arrays):
                node = parameter.node
                if parameter.array is not array or node is None or (gradient := node.grad) is None:
                    return None
                gradients.append(gradient.array)
            for name, arrays in batch.kept.items():
                for state, array in zip(batch.states, arrays):
                    if state[name].array is not array:
                        return None
            found.append((batch, gradients))
        return found


class Group(dict):
    """A parameter group."""

    def __setitem__(self, name, value):
        tell_watcher(f"it sets {name} of a parameter group. Use a scheduler, or set it outside")
        super().__setitem__(name, value)

    def update(self, *others, **named):
        tell_watcher("it changes a parameter group. Use a scheduler, or do it outside")
        super().update(*others, **named)


class Optimizer(RepeatedMethods):
    """The base of the optimizers.

    A subclass says what it keeps for each parameter (`initial_state`) and how many parameters are
    updated at once (`update`, one kernel call).

    Args:
        params: an iterable of parameters, or of dictionaries, each a group: "params" and what differs
            from the defaults.
        defaults: the hyperparameters by name.

    Raises:
        ValueError: for an empty list of parameters, one given twice, one that is not a leaf or not
            floating-point, or an impossible hyperparameter.
        TypeError: for anything that is not a tensor.

    Example:
        >>> import minigrad
        >>> w, b = minigrad.ones(2, requires_grad=True), minigrad.zeros(1, requires_grad=True)
        >>> optimizer = minigrad.optim.SGD([{"params": [w]}, {"params": [b], "lr": 0.01}], lr=0.1)
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
    """

    repeated_methods = "step", "zero_grad"

    def __init__(self, params, defaults):
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: params must be an iterable of tensors or dictionaries, got one tensor. Use [tensor]")
        self.defaults, self.param_groups, self.state = defaults, [], {}
        self.steps, self._plans = 0, {}
        groups = list(params)
        if not groups:
            raise ValueError(f"{self._name}: params is empty. Pass model.parameters() of a model that has some")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    @property
    def _name(self):
        return type(self).__name__

    def add_param_group(self, group):
        """Add parameters, with their own hyperparameters where the dictionary gives any; errors as above."""
        if not isinstance(group, dict):
            raise TypeError(f"{self._name}: a parameter group must be a dictionary, got {type(group).__name__}")
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        known = {parameter for other in self.param_groups for parameter in other["params"]}
        for i, parameter in enumerate(params):
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{self._name}: params[{i}] must be a tensor, got {type(parameter).__name__}")
            if not parameter.is_leaf:
                raise ValueError(f"{self._name}: params[{i}] is not a leaf; optimize the tensor it was computed from")
            if not parameter.is_floating_point():
                raise ValueError(f"{self._name}: params[{i}] is {parameter.dtype}, expected a floating-point tensor")
            if parameter in known:
                raise ValueError(f"{self._name}: params[{i}] appears more than once")
            known.add(parameter)
        group = Group({"params": params, **self.defaults, **{k: v for k, v in group.items() if k != "params"}})
        self.check(group)
        self.param_groups.append(group)

    def require(self, group, **bounds):
        """Raise ValueError unless each hyperparameter is at least its bound."""
        for name, bound in bounds.items():
            if not group[name] >= bound:
                raise ValueError(f"{self._name}: {name} must be >= {bound}, got {group[name]}")

    # What a subclass defines

    def check(self, group):
        """Raise ValueError for impossible hyperparameters."""

    def initial_state(self, group):
        """The starting value of each array kept per parameter, by name; without those not in use."""
        return {}

    def update(self, kernel, group, step, fresh, parameters, gradients, **state):
        """Update many parameters by one call of a function of `kernel`."""
        raise NotImplementedError

    # The loop

    def zero_grad(self, set_to_none=True):
        """Forget the gradients, or fill them with zeros."""
        for group in self.param_groups:
            clear_grads(group["params"], set_to_none)

    def step(self, closure=None):
        """Update all parameters that have a gradient; the others, and their state, stay as they are.

        `closure`, if given, computes the loss again and returns it.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        due = []  # all is gathered before anything is changed
        for index, group in enumerate(self.param_groups):
            parameters, initial, plan = group["params"], self.initial_state(group), self._plans.get(index)
            if plan is None or (found := plan.gradients(parameters, initial)) is None:
                plan = self._make_plan(parameters, initial)
                found = plan.gradients(parameters, initial)
                self._plans[index] = None if any(batch.fresh for batch in plan.batches) else plan
            due.append((group, found))
        for group, found in due:
            for batch, gradients in found:
                # The kernels in C want contiguous memory; the reference takes any.
                kernel, (parameters, state) = kernels.active if batch.contiguous else kernels.reference, batch.tables
                step = batch.states[0]["step"] + 1
                self.update(kernel, group, step, batch.fresh, parameters, gradients, **state)
                stamp(batch.writes)
                for kept in batch.states:
                    kept["step"] = step
        self.steps += 1
        return loss

    def _make_plan(self, parameters, initial):
        """Gather the parameters by what a kernel call must have in common, and make the state that is missing."""
        gathered, idle = {}, []
        for parameter in parameters:
            if is_idle(parameter):
                idle.append(parameter)
                continue
            state = self.state.setdefault(parameter, {"step": 0})
            fresh = state["step"] == 0 or not initial.keys() <= state.keys()
            for name, value in initial.items():
                if name not in state:
                    state[name] = wrap(np.full(parameter.shape, value, parameter.dtype))
            key = parameter.dtype, state["step"], fresh, parameter.array.flags.carray
            gathered.setdefault(key, []).append((parameter, state))
        batches = [
            Batch([p for p, _ in members], [state for _, state in members], tuple(initial), fresh, contiguous)
            for (_, _, fresh, contiguous), members in gathered.items()
        ]
        return Plan(parameters, idle, initial, batches)

    # Saving

    def state_dict(self):
        """Hyperparameters and state, parameters replaced by their numbers; for `minigrad.save`.

        Example:
            >>> import minigrad
            >>> w = minigrad.ones(1, requires_grad=True)
            >>> w.sum().backward()
            >>> optimizer = minigrad.optim.SGD([w], lr=0.5, momentum=0.9)
            >>> optimizer.step()
            >>> optimizer.state_dict()["state"]
            {0: {'step': 1, 'momentum_buffer': tensor([1.])}}
        """
        order = [parameter for group in self.param_groups for parameter in group["params"]]
        number = {parameter: i for i, parameter in enumerate(order)}
        groups = [{**group, "params": [number[p] for p in group["params"]]} for group in self.param_groups]
        return {"state": {number[p]: dict(state) for p, state in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Take over what `state_dict` returned. Raises ValueError, changing nothing, when it does not fit.

        Example:
            >>> import minigrad
            >>> w = minigrad.ones(1, requires_grad=True)
            >>> first, second = minigrad.optim.Adam([w], lr=0.5), minigrad.optim.Adam([w])
            >>> second.load_state_dict(first.state_dict())
            >>> second.param_groups[0]["lr"]
            0.5
        """
        name = f"{self._name}.load_state_dict"
        if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= state_dict.keys():
            raise ValueError(f"{name}: expected a dictionary with 'state' and 'param_groups', as state_dict() returns")
        groups = state_dict["param_groups"]
        sizes, own = [len(g["params"]) for g in groups], [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise ValueError(f"{name}: groups of {sizes} parameters, expected {own}")
        for group, saved in zip(self.param_groups, groups):
            unknown = saved.keys() - group.keys() - {"initial_lr"}
            if unknown:
                raise ValueError(f"{name}: {', '.join(sorted(unknown))} unknown here; was it saved by another optimizer?")
            self.check({**group, **saved})
        parameters = [p for group in self.param_groups for p in group["params"]]
        numbers = [number for group in groups for number in group["params"]]
        loaded = {}
        for number, parameter in zip(numbers, parameters):
            saved = state_dict["state"].get(number, state_dict["state"].get(str(number)))
            if saved is None:
                continue
            kept = loaded[parameter] = {"step": int(saved.get("step", 0))}
            for key, value in saved.items():
                if key == "step":
                    continue
                array = value.array if isinstance(value, Tensor) else np.asarray(value)
                if array.shape != parameter.shape:
                    raise ValueError(
                        f"{name}: {key} of parameter {number} has shape {array.shape}, expected {parameter.shape}"
                    )
                kept[key] = wrap(np.array(array, dtype=parameter.dtype, order="C"))
        self.state, self._plans = loaded, {}
        for group, saved in zip(self.param_groups, groups):
            group.update({name: value for name, value in saved.items() if name != "params"})

    def __getstate__(self):
        return {**vars(self), "_plans": {}}  # a copy makes its own

    def __repr__(self):
        lines = [f"{self._name} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

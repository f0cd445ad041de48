"""The lecture notes "Neural nets: loss and optimization", one example for each section, in the notes' order.

    python -m examples.notes                     all of them, and one page with all pictures
    python -m examples.notes.momentum            one of them

Each module has a `TITLE` and a function `show(page)`; `page` is explained in `page.py`.
"""

SECTIONS = (
    "losses_for_regression",
    "losses_for_classification",
    "random_search",
    "numeric_gradient",
    "analytic_gradient",
    "gradient_check",
    "gradient_descent",
    "stochastic_gradient_descent",
    "mini_batch",
    "problems_with_sgd",
    "momentum",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adam",
    "learning_rate_scheduling",
    "summary",
)

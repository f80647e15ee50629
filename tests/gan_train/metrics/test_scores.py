from __future__ import annotations

from gan_train.metrics.scores import MEASURES


def test_measures_stand_in_the_order_in_which_runs_have_always_written_them() -> None:
    """A run that goes on writes the same bytes; a new measure comes last."""
    assert list(MEASURES)[:12] == [
        *("frechet", "intra_class_frechet", "kernel", "kernel_spread", "precision", "recall", "density"),
        *("coverage", "variety", "label_accuracy", "memorised", "memorised_pixels"),
    ]

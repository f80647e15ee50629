from __future__ import annotations

import math

import pytest

from gan_train.tasks.figures import LOSS, SCORE, Figure
from gan_train.tasks.generate import FIGURES
from gan_train.training import rollback, watchdog

WELL = {"generator_loss": 0.8, "discriminator_loss": 1.2, "belief_in_real": 0.6, "belief_in_fake": 0.4}
GOOD = {"frechet": 5.0, "coverage": 0.8, "variety": 0.95}


def test_a_run_that_goes_well_gives_no_alarm() -> None:
    assert watchdog.check(FIGURES, WELL, {}, []) is None
    assert watchdog.check(FIGURES, WELL, GOOD, [{"frechet": 9.0, "coverage": 0.6, "variety": 0.9}]) is None


@pytest.mark.parametrize(
    ("means", "values"),
    [
        ({**WELL, "generator_loss": math.nan}, GOOD),
        ({**WELL, "discriminator_loss": -math.inf}, {}),
        ({**WELL, "generator_loss": -3e7}, GOOD),
        (WELL, {**GOOD, "frechet": math.nan}),
    ],
)
def test_what_is_not_finite_or_runs_away_is_an_alarm_at_once(
    means: dict[str, float], values: dict[str, float]
) -> None:
    alarm = watchdog.check(FIGURES, means, values, [GOOD])
    assert alarm is not None
    assert alarm.kind == "diverged"
    assert alarm.at_once


def test_collapse_is_variety_or_coverage_lost_where_it_had_been_there() -> None:
    for now in ({**GOOD, "variety": 0.1}, {**GOOD, "coverage": 0.3}):
        now["frechet"] = 30.0
        alarm = watchdog.check(FIGURES, WELL, now, [GOOD])
        assert alarm is not None
        assert (alarm.kind, alarm.at_once) == ("collapse", False)
        assert watchdog.check(FIGURES, WELL, now, []) is None  # the first report may be bad
        poor = {"frechet": 40.0, "variety": now["variety"], "coverage": now["coverage"]}
        assert watchdog.check(FIGURES, WELL, now, [poor]) is None


def test_a_discriminator_has_won_where_it_is_sure_and_samples_get_no_better() -> None:
    sure = {**WELL, "belief_in_real": 0.999, "belief_in_fake": 0.002}
    alarm = watchdog.check(FIGURES, sure, {**GOOD, "frechet": 8.0}, [GOOD])
    assert alarm is not None
    assert alarm.kind == "won"
    assert watchdog.check(FIGURES, sure, {**GOOD, "frechet": 4.0}, [GOOD]) is None
    assert watchdog.check(FIGURES, sure, {}, []) is not None  # nothing is measured: beliefs alone speak
    assert watchdog.check(FIGURES, {**sure, "belief_in_fake": 0.3}, {}, []) is None
    worse = {**GOOD, "frechet": 8.0}
    assert watchdog.check(FIGURES, sure, worse, [GOOD], teaches_when_sure=True) is None
    alike = watchdog.check(FIGURES, sure, {**worse, "variety": 0.1}, [GOOD], teaches_when_sure=True)
    assert alike is not None
    assert alike.kind == "collapse"


def test_samples_that_do_not_change_are_told() -> None:
    alarm = watchdog.check(FIGURES, WELL, GOOD, [{"frechet": 9.0}, {"frechet": 5.0}])
    assert alarm is not None
    assert alarm.kind == "stuck"
    assert watchdog.check(FIGURES, WELL, GOOD, [{"frechet": 5.0}, {"frechet": 9.0}]) is None


def test_every_alarm_has_something_to_try() -> None:
    assert set(rollback.ADVICE) == {"diverged", "stuck", "won", "collapse"}


def test_each_discriminator_is_judged_by_its_own_scores() -> None:
    figures = (
        Figure("a_real", "real", SCORE, "critic_a", of_real=True),
        Figure("a_fake", "fake", SCORE, "critic_a", of_real=False),
        Figure("b_real", "real", SCORE, "critic_b", of_real=True),
        Figure("b_fake", "fake", SCORE, "critic_b", of_real=False),
        Figure("only_real", "real", SCORE, "critic_c", of_real=True),
        Figure("cycle", "cycle", LOSS, "both"),
    )
    well = {"a_real": 0.995, "a_fake": 0.3, "b_real": 0.7, "b_fake": 0.001, "only_real": 1.0, "cycle": 3.0}
    assert watchdog.check(figures, well, {}, []) is None
    alarm = watchdog.check(figures, {**well, "b_real": 0.999}, {}, [])
    assert alarm is not None
    assert (alarm.kind, "critic b has won" in alarm.text) == ("won", True)
    alarm = watchdog.check(figures, {**well, "cycle": 3e7}, {}, [])
    assert alarm is not None
    assert (alarm.kind, alarm.text) == ("diverged", "the cycle ran away to 3e+07")
    assert watchdog.check(figures, {**well, "other": 3e7}, {}, []) is None  # not among the losses

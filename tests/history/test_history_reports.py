"""Claims to report: one holder at a time, whoever asks and from wherever, and none that is kept for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import URL, create_engine, text

from ci_scripts.history import HistoryFailed, open_history

pytest_plugins = ["tests.integration.history_fixtures"]
pytestmark = pytest.mark.timeout(120)

PLACE = "1,1 check https://review.example.org"
LONG = 3600.0


def test_a_place_has_one_holder_until_it_is_given_back(new_place: URL) -> None:
    with open_history(new_place, timeout=20) as history:
        assert history.claim_report(PLACE, "a", LONG).taken
        refused = history.claim_report(PLACE, "b", LONG)
        assert not refused.taken and refused.holder == "a" and 0 <= refused.age < LONG
        assert history.claim_report(PLACE, "a", LONG).taken, "its own holder may ask again"
        assert history.claim_report("2,1 check", "b", LONG).taken, "another place is another's"

        history.give_back_report(PLACE, "b")
        assert not history.claim_report(PLACE, "b", LONG).taken, "only its holder gives it back"
        history.give_back_report(PLACE, "a")
        assert history.claim_report(PLACE, "b", LONG).taken


def test_the_claim_of_a_dead_reporter_is_taken_over(new_place: URL) -> None:
    with open_history(new_place, timeout=20) as history:
        assert history.claim_report(PLACE, "dead", LONG).taken
        assert history.claim_report(PLACE, "b", 0).taken
        assert history.claim_report(PLACE, "c", LONG).holder == "b"
        history.give_back_report(PLACE, "dead")
        assert not history.claim_report(PLACE, "c", LONG).taken


def test_a_claim_from_the_future_is_no_claim(new_place: URL) -> None:
    with open_history(new_place, timeout=20) as history:
        history.claim_report(PLACE, "a", LONG)
        engine = create_engine(new_place)
        with engine.begin() as connection:
            connection.execute(text("UPDATE history_reports SET claimed = claimed + 100000"))
        engine.dispose()
        assert history.claim_report(PLACE, "b", LONG).taken


def test_what_was_reported_is_kept_and_ends_the_claim(new_place: URL) -> None:
    with open_history(new_place, timeout=20) as history:
        history.claim_report(PLACE, "a", LONG)
        history.note_report(PLACE, ["run-2", "run-1"], "m1", -1)
        claim = history.claim_report(PLACE, "b", LONG)
        assert claim.taken and claim.runs == ("run-1", "run-2")
        history.note_report("nobody claimed it", ["run-3"], "m2", 0)
        assert history.claim_report("nobody claimed it", "b", LONG).runs == ("run-3",)


def test_old_reports_are_forgotten(new_place: URL) -> None:
    with open_history(new_place, timeout=20) as history:
        history.note_report(PLACE, ["run-1"], "m1", 1)
        history.forget_before(datetime.now(UTC) - timedelta(days=1))
        assert history.claim_report(PLACE, "a", LONG).runs == ("run-1",)
        history.forget_before(datetime.now(UTC) + timedelta(days=1))
        assert history.claim_report(PLACE, "b", LONG).runs == ()


def test_of_many_at_once_one_gets_it(new_place: URL) -> None:
    open_history(new_place, timeout=20)

    def ask(number: int) -> bool:
        with open_history(new_place, timeout=30) as history:
            return history.claim_report(PLACE, f"holder-{number}", LONG).taken

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(ask, range(8))) == 1


def test_a_history_that_is_gone_says_so(new_place: URL) -> None:
    with open_history(new_place, timeout=20) as history:
        engine = create_engine(new_place)
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE history_reports"))
        engine.dispose()
        with pytest.raises(HistoryFailed):
            history.claim_report(PLACE, "a", LONG)

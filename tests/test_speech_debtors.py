"""What simulated debtors play, and that the detector takes each for what it is."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from dialer.config import Settings, load_settings
from dialer.domain.detection import (
    DetectionState,
    TalkRules,
    Verdict,
    final,
    next_check,
    observe,
    verdict,
)
from dialer.domain.events import TalkingStarted, TalkingStopped
from dialer.domain.model import DetectionResult
from dialer.speech import audio, tones
from dialer.speech.analysis import find_prompt
from dialer.speech.audio import RATE, Samples, silence
from dialer.speech.debtor_lines import (
    SPOKEN,
    TONES,
    debtor_lines_dir,
    ensure_debtor_lines,
    line_samples,
)
from dialer.speech.talk import Talk, call_events, talk_reports

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
RULES = TalkRules()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("lines")
    return load_settings(home=home, cache=home / "cache", voice="espeak")


def buzz(seconds: float, level: float = 0.2) -> Samples:
    return tones.tone((300.0, 700.0), seconds, 20 * np.log10(level))


def judged(samples: Samples) -> Verdict:
    """The verdict on a far end that sounds like this and then stays silent, timer included."""
    state = DetectionState()
    whole = np.concatenate([samples, silence(10.0)])
    for event in call_events(whole, RULES.silence, RULES.level, START):
        timer = next_check(state)
        if timer is not None and timer < event.at and (told := verdict(state, timer)):
            return told
        state = observe(state, event, event.at)
    timer = next_check(state)
    return final(state, START) if timer is None else verdict(state, timer) or final(state, timer)


def test_every_line_that_the_carrier_plays_is_there(settings: Settings) -> None:
    folder = ensure_debtor_lines(settings)
    assert folder == debtor_lines_dir(settings)
    names = {path.name for path in folder.iterdir()}
    wanted = ("diga", "diga_diga", "voicemail", "sit", "announcement_changed", "fax_ced", "chatter")
    assert {f"{name}.alaw" for name in wanted} <= names
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {path.name: path.stat().st_mtime_ns for path in ensure_debtor_lines(settings).iterdir()}
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert after == before  # nothing is written twice
    (folder / "diga.alaw").write_bytes(b"broken")
    ensure_debtor_lines(settings)
    assert len((folder / "diga.alaw").read_bytes()) > RATE // 2


def test_lengths_are_those_of_people(settings: Settings) -> None:
    def seconds(name: str) -> float:
        return len(line_samples(settings, name)) / RATE

    assert 0.4 < seconds("diga") < 1.4
    assert 0.6 < seconds("diga_diga") < 2.5
    assert 1.0 < seconds("chatter") < 2.0
    assert 6.0 < seconds("voicemail") < 14.0
    assert seconds("fax_ced") == 3.0


def test_a_voicemail_ends_with_its_beep(settings: Settings) -> None:
    samples = line_samples(settings, "voicemail")
    score, offset = find_prompt(samples, tones.beep())
    assert score > 0.99
    assert offset == pytest.approx(len(samples) / RATE - 0.4, abs=0.002)


def test_spoken_lines_are_quieter_than_prompts(settings: Settings) -> None:
    for name in SPOKEN:
        assert np.abs(line_samples(settings, name)).max() <= 10 ** (-9.9 / 20)
    assert set(TONES).isdisjoint(SPOKEN)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("diga", DetectionResult.PERSON),
        ("diga_diga", DetectionResult.PERSON),
        ("chatter", DetectionResult.PERSON),
        ("voicemail", DetectionResult.MACHINE),
    ],
)
@pytest.mark.parametrize("voice", ["espeak", "pico"])
def test_the_detector_knows_people_from_machines(
    settings: Settings, voice: str, name: str, result: DetectionResult
) -> None:
    if voice == "pico":
        pytest.importorskip("ttspico", reason="the pico voice is an extra: pip install ttspico")
    told = settings.model_copy(update={"voice": voice})
    samples = np.concatenate([silence(0.5), line_samples(told, name)])
    assert judged(samples)[0] is result


# --- what TALK_DETECT would report ----------------------------------------------------------


def test_talk_is_reported_when_it_starts_and_once_silence_has_lasted() -> None:
    samples = np.concatenate([silence(0.5), buzz(1.0), silence(1.0)])
    started, stopped = talk_reports(samples, 0.25, 512)
    assert started == Talk(0.5, None)
    assert stopped.at == pytest.approx(1.74, abs=0.021)
    assert stopped.seconds == pytest.approx(1.0, abs=0.021)


def test_pauses_shorter_than_the_silence_do_not_stop_talk() -> None:
    samples = np.concatenate([buzz(0.5), silence(0.2), buzz(0.5), silence(1.0)])
    assert [one.seconds is None for one in talk_reports(samples, 0.25, 512)] == [True, False]
    assert len(talk_reports(samples, 0.15, 512)) == 4


def test_sound_below_the_level_is_silence() -> None:
    assert talk_reports(buzz(1.0, level=0.01), 0.25, 512) == []
    assert talk_reports(np.zeros(0), 0.25, 512) == []


def test_talk_that_goes_on_is_not_stopped() -> None:
    assert talk_reports(buzz(2.0), 0.25, 512) == [Talk(0.0, None)]


def test_reports_become_events_of_a_call() -> None:
    samples = np.concatenate([silence(0.5), buzz(1.0), silence(1.0)])
    _, started, stopped = call_events(samples, 0.25, 512, START, "a1")
    assert isinstance(started, TalkingStarted)
    assert isinstance(stopped, TalkingStopped)
    assert (started.at - START).total_seconds() == pytest.approx(0.5)
    assert started.attempt_id == stopped.attempt_id == "a1"


def test_a_line_keeps_its_sound_in_the_file(settings: Settings) -> None:
    folder = ensure_debtor_lines(settings)
    played = audio.load(folder / "chatter.alaw")
    assert find_prompt(played, line_samples(settings, "chatter"))[0] > 0.99

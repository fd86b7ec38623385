"""Speech by a program of the machine: what it is told and how, and that it is ended whatever it does."""

from __future__ import annotations

import asyncio
import io
import shutil
import wave
from pathlib import Path

import pytest

from rating_engine.adapters.espeak import Espeak
from rating_engine.services.support.speech import MAX_SPOKEN, SpeechFailed
from tests.support.narayana import narayana_on
from tests.support.speech import WAV, speaker
from tests.support.waiting import until_holds


async def test_what_is_said_goes_to_its_input_alone(tmp_path):
    wav = await Espeak(speaker(tmp_path)).speak("-f /etc/passwd; äöü", "de")

    assert (tmp_path / "said").read_text() == "-f /etc/passwd; äöü"
    assert (tmp_path / "arguments").read_text() == "--stdin --stdout -v de\n"
    assert int.from_bytes(wav[4:8], "little") == len(wav) - 8
    assert int.from_bytes(wav[40:44], "little") == len(b"sound")


def lives(directory: Path) -> bool:
    """Whether the program runs that has noted its number."""
    return Path(f"/proc/{(directory / 'pid').read_text().strip()}").exists()


FAILING = {
    "fails": "exit 1", "says nothing": "exit 0", "is no speaker": "head -c 100 /dev/zero",
    "never ends": "exec sleep 3600", "leaves a child": "sleep 5 & exec sleep 3600",
    "never stops": f"{WAV}; exec cat /dev/zero",
}  # fmt: skip


@pytest.mark.parametrize("script", FAILING.values(), ids=FAILING)
async def test_a_program_that_fails_is_told_of_and_leaves_nothing_behind(tmp_path, script):
    espeak = Espeak(speaker(tmp_path, f"echo $$ >{tmp_path}/pid; {script}"), timeout_seconds=2)

    with pytest.raises(SpeechFailed):
        await espeak.speak("hello", "en")
    assert not lives(tmp_path)


async def test_who_leaves_ends_its_program(tmp_path):
    script = f"echo $$ >{tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 3600"
    saying = asyncio.create_task(Espeak(speaker(tmp_path, script)).speak("hello", "en"))
    await until_holds((tmp_path / "pid").exists)
    saying.cancel()
    await asyncio.wait([saying])

    assert not lives(tmp_path)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_the_real_program_makes_a_wav_file_that_players_read():
    with wave.open(io.BytesIO(await Espeak("espeak-ng").speak("Your balance is five euros", "en"))) as sound:
        assert sound.getnframes() > sound.getframerate() / 2
        assert sound.getnchannels() == 1
    with pytest.raises(SpeechFailed):
        await Espeak("espeak-ng").speak("hello", "qqq")


async def test_without_a_program_or_with_too_much_to_say_the_error_is_told_at_once(database_url, tmp_path):
    async with narayana_on(database_url, speech_program=str(tmp_path / "none")) as narayana:
        assert await narayana.code("createTTS", login="anna", text="hello") == "E_TTS_ERROR"
        assert await narayana.code("createTTS", login="anna", text="x" * (MAX_SPOKEN + 1)) == "E_DATA_ABORT"
        assert await narayana.code("createTTS", login="anna", text=" ") == "E_DATA_ABORT"
        assert await narayana.code("createTTS", login="anna") == "E_MISSING_ARGUMENT"
        speaker(tmp_path)
        (tmp_path / "speak").rename(tmp_path / "none")
        await narayana.ask("updateUser", login="anna", language="german")
        for key, login in (("server", "anna"), ("lines", "1001")):
            answer = await narayana.raw("createTTS", key=key, login=login, text="Guten Tag")
            assert answer.headers["content-type"] == "audio/wav"
            assert answer.content.startswith(b"RIFF")
        assert (tmp_path / "arguments").read_text().endswith("-v de\n")

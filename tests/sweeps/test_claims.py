"""Who works on a trial."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from genmodels.sweeps import claims
from genmodels.sweeps.claims import alone, claim


def test_one_worker_at_a_time_until_it_lets_go(tmp_path: Path) -> None:
    held = claim(tmp_path, 3)
    assert held is not None
    assert claim(tmp_path, 3) is None
    other = claim(tmp_path, 4)
    assert other is not None
    held.release()
    again = claim(tmp_path, 3)
    assert again is not None
    again.release()
    other.release()
    assert not list((tmp_path / "claims").iterdir())


def test_a_killed_worker_of_this_host_has_let_go(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        claim(tmp_path, 0)
        (tmp_path / "claimed").touch()
        time.sleep(60)
        os._exit(0)
    while not (tmp_path / "claimed").exists():
        time.sleep(0.01)
    assert claim(tmp_path, 0) is None
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    held = claim(tmp_path, 0)
    assert held is not None
    held.release()


def test_a_worker_of_another_host_lives_while_its_file_is_renewed(tmp_path: Path) -> None:
    """Its lock does not show here, as on disks that keep locks to a host."""
    file = tmp_path / "claims" / "0"
    file.parent.mkdir()
    file.write_text("elsewhere")
    assert claim(tmp_path, 0) is None
    os.utime(file, (time.time() - claims._DEAD - 5,) * 2)
    held = claim(tmp_path, 0)
    assert held is not None
    held.release()


def test_a_claim_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_BEAT", 0.01)
    held = claim(tmp_path, 0)
    assert held is not None
    file = tmp_path / "claims" / "0"
    os.utime(file, (0, 0))
    deadline = time.monotonic() + 10
    while file.stat().st_mtime == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    held.release()


def test_a_body_alone_keeps_others_waiting(tmp_path: Path) -> None:
    entered = threading.Event()

    def other() -> None:
        with alone(tmp_path):
            entered.set()

    waiting = threading.Thread(target=other)
    with alone(tmp_path):
        waiting.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    waiting.join()

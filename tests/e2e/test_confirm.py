"""--confirm-within: live at once, back by itself unless confirmed, also after kill -9."""

from __future__ import annotations

import time

from sluicelab.daemon import Sluiced
from traffic import V4, in_client


def weights(sluiced: Sluiced) -> dict[str, int]:
    return {p["pool"]: p["weight"] for p in sluiced.route("web")["rules"][0]["pools"]}


def wait_generation(sluiced: Sluiced, generation: int, patience_s: float = 20) -> None:
    deadline = time.monotonic() + patience_s
    while sluiced.status()["generation"] < generation:
        assert time.monotonic() < deadline, f"generation {generation} did not come"
        time.sleep(0.02)


def newest(sluiced: Sluiced) -> list[dict]:
    return sluiced.call("history", limit=2)["generations"]


def assert_taken_back(sluiced: Sluiced, generation: int) -> None:
    back, change = newest(sluiced)
    assert back["generation"] == generation + 1 == change["generation"] + 1
    assert (back["author"], back["verb"]) == ("sluiced", "rollback")
    assert back["reason"].startswith(f"generation {generation} was not confirmed within")
    assert change["confirm"]["outcome"] == "expired"
    assert weights(sluiced) == {"web-v1": 100, "web-v2": 0}
    assert sluiced.call("verify", route="web")["proof"]["verdict"] == "proved"
    assert newest(sluiced)[0]["verdict"] == "proved"
    stack = in_client(sluiced.lab, "curl", "-sf", "-m5", f"http://{V4.virtual}/").stdout
    assert "blue" in stack


def test_it_comes_back_in_time(sluiced: Sluiced) -> None:
    begin = time.monotonic()
    done = sluiced.cli_json("switch", "web", "--to", "web-v2", "--confirm-within", "2s")
    assert done["proof"]["verdict"] == "proved"
    assert "green" in in_client(sluiced.lab, "curl", "-sf", "-m5", f"http://{V4.virtual}/").stdout
    assert "awaits confirmation" in sluiced.cli("status").stdout
    wait_generation(sluiced, done["generation"] + 1)
    assert time.monotonic() - begin >= 2
    assert_taken_back(sluiced, done["generation"])
    assert "(expired)" in sluiced.cli("history").stdout


def test_confirmed_it_stays(sluiced: Sluiced) -> None:
    done = sluiced.cli_json("weight", "web", "web-v1=70", "web-v2=30", "--confirm-within", "2s")
    assert sluiced.cli("drain", "web-v2").returncode == 1  # one at a time
    confirmed = sluiced.cli_json("confirm", "--reason", "looks right")
    assert confirmed["generation"] == done["generation"]
    time.sleep(2.5)
    assert sluiced.status()["generation"] == done["generation"]
    assert sluiced.cli("confirm").returncode == 1
    sluiced.cli_json("rollback")


def test_kill_9_before_the_time_is_up(sluiced: Sluiced) -> None:
    done = sluiced.cli_json("switch", "web", "--to", "web-v2", "--confirm-within", "20s")
    asked = time.time()
    sluiced.kill()
    sluiced.start()
    pending = sluiced.status()["confirm"]
    assert pending["generation"] == done["generation"] == sluiced.status()["generation"]
    left_s = pending["remaining_ms"] / 1000
    assert left_s <= 20 and abs(20 - (time.time() - asked) - left_s) < 2
    sluiced.cli_json("rollback")


def test_kill_9_and_the_time_passes(sluiced: Sluiced) -> None:
    sluiced.wait_all_usable()
    done = sluiced.cli_json("switch", "web", "--to", "web-v2", "--confirm-within", "1s")
    sluiced.kill()
    time.sleep(1.2)
    sluiced.start()
    assert sluiced.status()["generation"] == done["generation"] + 1
    sluiced.wait_all_usable()
    assert_taken_back(sluiced, done["generation"])

"""kill -9 at any moment: the next start serves a whole, committed generation."""

from __future__ import annotations

import random
import threading
import time

from sluicelab.control import Control
from sluicelab.daemon import Sluiced
from traffic import V4, in_client

APPLIES = 1000
KILLS = 8
SEED = 20261123


def variant(text: str, number: int) -> str:
    """The lab's file with another split, and a comment that names the number."""
    green = 1 + number % 99
    old = '{ pool = "web-v1", weight = 100 },\n  { pool = "web-v2", weight = 0 }'
    assert old in text
    new = (f'{{ pool = "web-v1", weight = {100 - green} }},\n'
           f'  {{ pool = "web-v2", weight = {green} }}')
    return f"# apply {number}\n" + text.replace(old, new)


class Applier(threading.Thread):
    """Applies variants one after the other until sluiced is gone; keeps what was acknowledged."""

    def __init__(self, sluiced: Sluiced, text: str, first: int) -> None:
        super().__init__(daemon=True)
        self._control = sluiced.control(timeout_s=20)
        self._text = text
        self.asked = first - 1
        self.acknowledged: dict[int, int] = {}  # generation → number of the apply
        self.refusal: Exception | None = None

    def run(self) -> None:
        try:
            while True:
                self.asked += 1
                result = self._control.call("config.apply", text=variant(self._text, self.asked),
                                            file="lab.toml", wait_ms=1000)
                self.acknowledged[result["generation"]] = self.asked
        except OSError:
            return  # killed: the last one asked may or may not be committed
        except Exception as error:
            self.refusal = error


def test_kill_9_during_a_thousand_applies(sluiced: Sluiced) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    text = sluiced.config_path.read_text()
    number, kills = 1, 0
    while number <= APPLIES:
        last_kill = kills >= KILLS
        applier = Applier(sluiced, text, number)
        applier.start()
        until = number + APPLIES // KILLS
        while applier.is_alive() and applier.asked < until:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.02))
        sluiced.kill()
        kills += 1
        applier.join(timeout=30)
        assert not applier.is_alive() and applier.refusal is None, applier.refusal
        assert applier.acknowledged
        sluiced.start()
        check_committed(sluiced, text, applier)
        number = applier.asked + 1
        assert not last_kill or number > APPLIES
    assert kills >= KILLS
    verified = sluiced.cli("audit", "verify")
    assert verified.returncode == 0, verified.stdout
    offline = sluiced.cli_json("audit", "verify", "--state-dir",
                               str(sluiced.lab.run_dir / "state"))
    assert offline["whole"] and offline["records"] > APPLIES
    assert in_client(sluiced.lab, "curl", "-sf", "-m5", f"http://{V4.virtual}/").stdout


def check_committed(sluiced: Sluiced, text: str, applier: Applier) -> None:
    """It serves the last acknowledged apply, or the one that was under way: a whole one."""
    with Control(sluiced.lab.socket_path) as control:
        config = control.call("config.get", kind="config")
        status = control.call("status")
        history = control.call("history", limit=5)["generations"]
    generation = config["generation"]
    last = max(applier.acknowledged)
    if generation == last:
        expected = applier.acknowledged[last]
    else:
        assert generation == last + 1, f"acknowledged {last}, serves {generation}"
        expected = applier.asked
    assert config["text"] == variant(text, expected)
    assert status["generation"] == generation == history[0]["generation"]
    assert all(worker["generation"] == generation for worker in status["workers"])
    weights = {p["pool"]: p["weight"]
               for route in status["routes"] if route["name"] == "web"
               for p in route["rules"][0]["pools"]}
    green = 1 + expected % 99
    assert weights == {"web-v1": 100 - green, "web-v2": green}


def test_weights_set_by_hand_survive_a_kill(sluiced: Sluiced) -> None:
    done = sluiced.cli_json("weight", "web", "web-v1=37", "web-v2=63")
    sluiced.kill()
    sluiced.start()
    status = sluiced.status()
    assert status["generation"] == done["generation"]
    weights = {p["pool"]: p["weight"] for p in sluiced.route("web")["rules"][0]["pools"]}
    assert weights == {"web-v1": 37, "web-v2": 63}


def test_tuples_keep_their_backend_over_a_restart(sluiced: Sluiced) -> None:
    """The drawn hash key is kept in the state directory."""
    asked = [{"protocol": "tcp", "source": f"10.0.0.10:{port}", "destination": f"{V4.virtual}:80"}
             for port in range(20000, 20050)]
    sluiced.wait_all_usable()
    before = [sluiced.call("explain", **tuple_)["backend"] for tuple_ in asked]
    sluiced.kill()
    sluiced.start()
    sluiced.wait_all_usable()
    assert [sluiced.call("explain", **tuple_)["backend"] for tuple_ in asked] == before
    assert len(set(before)) > 1

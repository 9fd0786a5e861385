"""Profiles: all shipped ones hold, each fact has a source, and a device finds its own by its name."""

import pytest

from devices.profiles import find_profile, match, parse_profile, profiles
from edgenet.errors import InputError

GOOD = 'title = "A"\nmodels = ["A board"]\n[sources]\nd = "a document"\n[facts]\ncores = { value = 4, source = "d" }\n'


def test_the_shipped_profiles() -> None:
    assert {"raspberry-pi-3-b-plus", "raspberry-pi-4", "raspberry-pi-5", "raspberry-pi-zero-2-w"} < set(profiles())
    assert {"coral-dev-board", "coral-usb-accelerator", "jetson-nano", "jetson-orin-nano"} < set(profiles())
    assert {"pixel-6", "pixel-8"} < set(profiles())
    for profile in profiles().values():
        assert all(profile.sources[fact.source] for fact in profile.facts.values())
    names = [model for profile in profiles().values() for model in profile.models]
    assert len(names) == len(set(names))


def test_facts_that_the_reference_gives() -> None:
    facts = find_profile("raspberry-pi-3-b-plus").facts
    assert (facts["soft_limit_c"].value, facts["throttle_c"].value) == (60, 80)
    assert find_profile("raspberry-pi-5").facts["max_frequency_hz"].value == [2_400_000_000]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4\0", "raspberry-pi-4"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "raspberry-pi-3-b-plus"),
        ("Raspberry Pi 3 Model B Rev 1.2", ""),
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberry-pi-5"),
        ("Raspberry Pi Zero 2 W Rev 1.0", "raspberry-pi-zero-2-w"),
        ("NVIDIA Jetson Nano Developer Kit", "jetson-nano"),
        ("Freescale i.MX8MQ Phanbell", "coral-dev-board"),
        ("Pixel 6", "pixel-6"),
        ("Google Pixel 8", "pixel-8"),
        ("Pixel 6 Pro", ""),
        ("Pixel 6a", ""),
        ("", ""),
    ],
)
def test_a_device_finds_its_profile(model: str, name: str) -> None:
    assert match(model) == name


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("cores", "core", "facts.core"),
        ("value = 4", 'value = "four"', "cores has to be of type int"),
        ('source = "d" }', 'source = "e" }', "sources named or used only: d, e"),
        ("models", "names", "models: Field required"),
        ("[facts]", "[more]\nx = 1\n[facts]", "more: Extra inputs"),
        ("value = 4", "value = [0]", "facts.cores"),
        ("[facts]", "[facts", "is no TOML"),
    ],
)
def test_a_profile_is_strict(old: str, new: str, says: str) -> None:
    parse_profile(GOOD.encode(), "a.toml")
    with pytest.raises(InputError) as caught:
        parse_profile(GOOD.replace(old, new).encode(), "a.toml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("a.toml")


def test_an_unknown_profile() -> None:
    with pytest.raises(InputError, match=r"unknown profile 'raspberry-pi-6'; allowed: .*did you mean raspberry-pi-"):
        find_profile("raspberry-pi-6")

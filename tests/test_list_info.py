"""What `edgenet list` and `edgenet info` print."""

import json

import pytest

from edgenet.__main__ import main
from edgenet.counts import count
from edgenet.layers import expand
from edgenet.variants import VARIANTS


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> "Printed":
    monkeypatch.delenv("COLUMNS", raising=False)
    return Printed(capsys)


class Printed:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str) -> list[str]:
        assert main(arguments) == 0
        return [line.rstrip() for line in self.capsys.readouterr().out.splitlines()]


def test_list_has_a_row_a_variant(printed: Printed) -> None:
    lines = printed("list")
    assert [line.split()[0] for line in lines[3:27]] == list(VARIANTS)
    assert lines[7].split() == ["b4", "380", "19.34", "4,394", "18.7", "82.6", "-"]
    assert max(map(len, lines)) <= 80


def test_list_of_a_family_names_only_its_source(printed: Printed) -> None:
    lines = printed("list", "--family", "edgetpu")
    assert [line.split()[0] for line in lines[3:6]] == ["edgetpu-s", "edgetpu-m", "edgetpu-l"]
    assert lines[-1] == "  edgetpu-s..edgetpu-l: tensorflow/tpu, EfficientNet-EdgeTPU README"


def test_list_as_json_keeps_computed_and_published_apart(printed: Printed) -> None:
    rows = json.loads("\n".join(printed("list", "--json")))["variants"]
    assert [row["variant"] for row in rows] == list(VARIANTS)
    b5 = rows[5]
    assert b5["computed"]["macs"] == count(expand(VARIANTS["b5"])).macs
    assert b5["published"]["multiply_adds"] == 9_900_000_000
    assert b5["published"]["source"] == "arXiv 1905.11946v1, table 2"


def test_info_shows_published_beside_computed(printed: Printed) -> None:
    lines = printed("info", "b4")
    assert lines[0] == "b4: 380 x 380 RGB to 1000 classes, swish"
    assert "parameters, trainable                         19,341,616       19 M" in lines
    assert "multiply-accumulates                           4,393.8 M    4,200 M" in lines
    assert "Published at 380 px: arXiv 1905.11946v1, table 2" in lines
    assert lines[-1].split() == ["classifier", "dense", "1x1x1000", "1,793,000", "1.8"]


@pytest.mark.parametrize("name", VARIANTS)
def test_info_fits_80_columns_and_its_stages_add_up(printed: Printed, name: str) -> None:
    lines = printed("info", name, "--layers")
    assert max(map(len, lines)) <= 80
    start = next(index for index, line in enumerate(lines) if line.startswith("stem "))
    stop = next(index for index, line in enumerate(lines) if line.startswith("classifier "))
    counts = count(expand(VARIANTS[name]))
    parameters = [int(line.split()[-2].replace(",", "")) for line in lines[start : stop + 1]]
    assert sum(parameters) == counts.trainable
    layers = [line for line in lines if line.startswith(("conv_", "blocks.", "classifier "))]
    assert len(layers) == len(expand(VARIANTS[name]).layers) + 1  # the classifier is a stage and a layer


def test_info_takes_side_and_classes(printed: Printed) -> None:
    document = json.loads("\n".join(printed("info", "EfficientNetB0", "--side", "64", "--classes", "7", "--json")))
    assert (document["variant"], document["side_px"], document["num_classes"]) == ("b0", 64, 7)
    assert document["layers"][0]["output_shape"] == [32, 32, 32]
    assert document["layers"][-1]["weight_shape"] == [7, 1280]
    assert document["computed"]["macs"] == sum(layer["macs"] for layer in document["layers"])
    assert document["computed"]["trainable"] == sum(layer["parameters"] for layer in document["layers"])


def test_info_of_a_scaled_variant_has_nothing_published(printed: Printed) -> None:
    assert not any("ublished" in line for line in printed("info", "scaled:0.5"))
    assert json.loads("\n".join(printed("info", "scaled:0.5", "--json")))["published"] is None

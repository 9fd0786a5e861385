"""Recipes: TOML in and out, and what is wrong with one said by name."""

from dataclasses import replace
from pathlib import Path

import pytest

from converters.repair.recipe import (
    LayerRule,
    Recipe,
    layer_precisions,
    layer_roundings,
    matching,
    read_recipe,
    recipe_of_text,
)
from edgenet.errors import InputError

LAYERS = {
    "conv_stem": "CONV_2D",
    "blocks.0.0.conv_dw": "DEPTHWISE_CONV_2D",
    "blocks.1.0.conv_dw": "DEPTHWISE_CONV_2D",
    "classifier": "FULLY_CONNECTED",
}
RECIPES = {
    "plain": Recipe("margin"),
    "usual tools": Recipe("minmax", bias_correction=False, rounding="nearest"),
    "repaired": Recipe(
        "error",
        rounding="learned",
        equalize=("conv_stem", "blocks.0.*"),
        rules=(LayerRule("blocks.1.*", "fp32"), LayerRule("classifier", "w8a16")),
    ),
    "by op": Recipe(
        "error",
        rules=(
            LayerRule("*", rounding="nearest", op="DEPTHWISE_CONV_2D"),
            LayerRule("blocks.1.*", "w8", "learned", "CONV_2D"),
        ),
    ),
    "odd names": Recipe("error", equalize=('a"b\\c',)),
}
HEAD = 'schema_version = 1\nranges = "error"\n'
WRONG = {
    "no TOML": ("ranges = ", "no TOML"),
    "no version": ('ranges = "error"', "schema_version"),
    "another version": ('schema_version = 2\nranges = "error"', "schema_version"),
    "unknown ranges": ('schema_version = 1\nranges = "best"', "ranges"),
    "unknown rounding": (HEAD + 'rounding = "up"', "rounding"),
    "unknown key": (HEAD + "speed = 3", "speed"),
    "unknown precision": (HEAD + '[[layer]]\nname = "a"\nprecision = "int4"', "layer.0.precision"),
    "unknown op": (HEAD + '[[layer]]\nop = "MUL"\nprecision = "fp32"', "layer.0.op"),
    "a rule that says nothing": (HEAD + '[[layer]]\nname = "a"', "neither precision nor rounding"),
    "empty pattern": (HEAD + 'equalize = [""]', "equalize.0"),
    "a word for a truth": (HEAD + 'bias_correction = "yes"', "bias_correction"),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_recipe_survives_its_own_text(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(recipe.toml)
    assert read_recipe(path) == recipe
    assert recipe_of_text(recipe.toml) == recipe


def test_the_recipe_in_the_readme_is_one(tmp_path: Path) -> None:
    readme = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
    path = tmp_path / "readme.toml"
    [text] = [block.partition("```")[0] for block in readme.split("```toml\n") if block.startswith("schema_version")]
    path.write_text(text)
    recipe = read_recipe(path)
    assert recipe.equalize == ("conv_stem",)
    assert recipe.rules == (LayerRule("blocks.0.*", "fp32"), LayerRule("*", rounding="nearest", op="FULLY_CONNECTED"))


@pytest.mark.parametrize(("text", "named"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named(text: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    assert "wrong.toml" in str(caught.value)
    assert named in str(caught.value)


def test_a_recipe_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml"):
        read_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("rules", "precisions"),
    [
        ((), {}),
        ((LayerRule("conv_stem", "fp32"),), {"conv_stem": "fp32"}),
        ((LayerRule("blocks.*", "w8"),), {"blocks.0.0.conv_dw": "w8", "blocks.1.0.conv_dw": "w8"}),
        (
            (LayerRule("*", "w8a16"), LayerRule("conv_*", "fp32")),
            dict.fromkeys(LAYERS, "w8a16") | {"conv_stem": "fp32"},
        ),
        (
            (LayerRule("*", "w8", op="DEPTHWISE_CONV_2D"), LayerRule("blocks.1.*", "fp32", op="DEPTHWISE_CONV_2D")),
            {"blocks.0.0.conv_dw": "w8", "blocks.1.0.conv_dw": "fp32"},
        ),
        ((LayerRule("conv_stem", "fp32"), LayerRule("*", rounding="nearest")), {"conv_stem": "fp32"}),
    ],
)
def test_the_last_rule_that_fits_counts(rules: tuple[LayerRule, ...], precisions: dict[str, str]) -> None:
    assert layer_precisions(Recipe("error", rules=rules), LAYERS) == precisions


def test_layers_round_as_the_recipe_does_but_for_the_rules() -> None:
    rules = (LayerRule("blocks.*", rounding="learned"), LayerRule("*", rounding="nearest", op="FULLY_CONNECTED"))
    assert layer_roundings(Recipe("error", rules=rules), LAYERS) == {
        "conv_stem": "kernel_sums",
        "blocks.0.0.conv_dw": "learned",
        "blocks.1.0.conv_dw": "learned",
        "classifier": "nearest",
    }


def test_recipes_that_differ_in_constants_alone_have_one_form() -> None:
    one = Recipe("error", rounding="learned", equalize=("conv_stem",), rules=(LayerRule("blocks.*", "w8", "learned"),))
    same = Recipe("minmax", rounding="nearest", equalize=("conv_stem",), rules=(LayerRule("blocks.*", "w8"),))
    assert one.form == same.form
    assert one.form != replace(one, equalize=()).form
    assert one.form != replace(one, rules=(LayerRule("blocks.*", "fp32"),)).form
    assert replace(one, rules=(LayerRule("*", rounding="nearest"),)).form == replace(one, rules=()).form


def test_an_op_that_no_layer_has_is_refused() -> None:
    recipe = Recipe("error", rules=(LayerRule("*", "fp32", op="FULLY_CONNECTED"),))
    with pytest.raises(InputError, match=r"FULLY_CONNECTED is that of no layer; allowed: CONV_2D"):
        layer_precisions(recipe, {"conv_stem": "CONV_2D"})


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"'stem'.*no layer"):
        matching("stem", LAYERS, "layer")

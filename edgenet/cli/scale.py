"""`edgenet scale`: compound scaling, explained, searched on one's own images, or chosen by a device's latency."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli.console import say
from edgenet.cli.options import Json, Side
from edgenet.cli.progress import StepProgress
from edgenet.cli.scale_options import (
    Base,
    Budget,
    CoefficientsFlag,
    Data,
    GridFlag,
    LatencyOn,
    MaxMs,
    Mode,
    Out,
    PrecisionFlag,
    ProtocolFlag,
    RecipeFlag,
    Resume,
    Search,
    Seed,
    Threads,
    chosen_base,
    milliseconds,
    refuse_other_modes,
)
from edgenet.errors import InputError

if TYPE_CHECKING:
    from edgenet.coefficients import Coefficients
    from edgenet.scaling.search import SearchRequest

SEARCH, LATENCY = "--search", "--latency-on"


def command(
    search: Search = False, latency_on: LatencyOn = "", base: Base = "", coefficients: CoefficientsFlag = None,
    data: Data = None, budget: Budget = None, out: Out = None, side: Side = None, recipe: RecipeFlag = None,
    grid: GridFlag = None, seed: Seed = None, resume: Resume = False, max_ms: MaxMs = "",
    precision: PrecisionFlag = "", protocol: ProtocolFlag = "", threads: Threads = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Show what scaled:PHI makes of a variant, search for better coefficients, or find the largest PHI for a device.

    \b
    edgenet scale --base lite0
    edgenet scale --search --base lite0 --data flowers --side 96 --budget 10 --out run
    edgenet scale --search --resume --out run
    edgenet scale --latency-on ssh://pi@raspberrypi.local --max-ms 20 --precision w8a8 --coefficients run
    edgenet train --variant scaled:1@run --data flowers --out scaled
    """
    if search and latency_on:
        raise InputError(f"{SEARCH} beside {LATENCY}", allowed="one of them", mend="search first, then choose PHI")
    searching: dict[str, object] = {
        "--data": data, "--budget": budget, "--out": out, "--side": side, "--recipe": recipe, "--grid": grid,
        "--seed": seed is not None, "--resume": resume,
    }  # fmt: skip
    measuring: dict[str, object] = {
        "--max-ms": max_ms, "--precision": precision, "--protocol": protocol, "--threads": threads,
    }  # fmt: skip
    chosen = SEARCH if search else LATENCY if latency_on else ""
    refuse_other_modes(chosen, (Mode(SEARCH, searching), Mode(LATENCY, measuring)))
    if not search:
        factors = _coefficients(base, coefficients)
        if latency_on:
            _choose(factors, latency_on, milliseconds(max_ms), precision, protocol, threads or 1, as_json)
        else:
            from edgenet.cli.scale_show import show_family

            show_family(factors, coefficients, as_json)
        return
    if coefficients:
        raise InputError(f"--coefficients beside {SEARCH}", allowed="what the search is for", mend="drop it")
    if out is None:
        raise InputError("no folder for the search was given", allowed="--out RUN", mend="add it")
    if resume:
        _refuse_beside_resume(base, budget, side, recipe, grid, seed is not None)
        _search(out, data, as_json)
    else:
        _search(_request(base, data, budget, out, side, recipe, grid, seed or 0), None, as_json)


def _coefficients(base: str, file: Path | None) -> Coefficients:
    from edgenet.coefficients import paper, read_coefficients

    if file is None:
        return paper(chosen_base(base or "b0"))
    found = read_coefficients(file)
    if base and chosen_base(base) != found.base:
        raise InputError(f"{file} scales {found.base}, not {base}", allowed=found.base, mend="drop --base")
    return found


def _choose(
    factors: Coefficients, device: str, max_s: float, precision: str, protocol: str, threads: int, as_json: bool
) -> None:
    from benchmarks.protocol import parse_protocol
    from devices.inventory import resolve
    from edgenet.cli.scale_show import show_latency
    from edgenet.precision import parse_precisions
    from edgenet.scaling.latency_measure import LatencyRequest, choose_phi

    chosen = parse_precisions(precision or "fp32")
    if len(chosen) != 1:
        raise InputError(f"--precision cannot be {precision!r}", allowed="one of them", mend="run it once for each")
    rules = parse_protocol(protocol or "quick", None)
    resolve(device)  # a name that is none is refused before anything is converted
    request = LatencyRequest(factors, device, max_s, chosen[0], rules.name, threads)
    say(
        f"{factors.spelling} in {chosen[0]} on {device}: at most {1e3 * max_s:g} ms, {rules.name} protocol; "
        "random weights, since the work is the same for any"
    )
    with StepProgress() as report:
        record = choose_phi(request, ("edgenet", *sys.argv[1:]), report)
    show_latency(record, as_json)


def _request(
    base: str, data: Path | None, budget: int | None, out: Path, side: int | None, recipe: Path | None,
    grid: Path | None, seed: int,
) -> SearchRequest:  # fmt: skip
    from edgenet.scaling.grid import read_grid_text, shipped_grid
    from edgenet.scaling.proxy import proxy_recipe
    from edgenet.scaling.search import SearchRequest

    if data is None:
        raise InputError("no images were given", allowed="--data DIR", mend="one folder a class in it")
    if budget is None:
        raise InputError("no budget was given", allowed="--budget EPOCHS, of each candidate", mend="try --budget 10")
    text = read_grid_text(grid) if grid else shipped_grid()
    return SearchRequest(data, out, chosen_base(base or "b0"), budget, proxy_recipe(recipe), text, side or 0, seed)


def _search(request: SearchRequest | Path, data: Path | None, as_json: bool) -> None:
    """Begin the search of a request, or go on with that in a folder."""
    from edgenet.cli.scale_show import show_search
    from edgenet.scaling import search

    words, out = ("edgenet", *sys.argv[1:]), request if isinstance(request, Path) else request.out
    with StepProgress() as report:
        if isinstance(request, Path):
            record = search.reopen(request, data, report)
        else:
            record = search.begin(request, words, report)
        try:
            record = search.search(record, out, words, report, say)
        except KeyboardInterrupt:
            say(f"to go on: edgenet scale --search --resume --out {out}")
            raise
    show_search(record, out, as_json)


def _refuse_beside_resume(*given: object) -> None:
    if any(given):
        raise InputError(
            "--resume goes on with the search as it was",
            allowed="--out, --data and --json beside it",
            mend="drop the rest",
        )

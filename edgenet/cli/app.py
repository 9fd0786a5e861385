"""The table of verbs, and the parser that imports only the verb that was asked for."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any

import typer

from edgenet import __version__
from edgenet.cli.repair_options import with_repair_target
from edgenet.errors import InputError


@dataclass(frozen=True)
class Verb:
    """One row of the table: the module whose function `command` runs the verb, and its line in `edgenet --help`."""

    module: str
    help: str


class Group(Verb):
    """A verb with sub-verbs: the module's table `COMMANDS` names them and the function of each."""


VERBS = {
    "list": Verb("edgenet.cli.list", "Show every variant with its size, cost and published accuracy."),
    "info": Verb("edgenet.cli.info", "Show one variant: counts, stages and layers; or what a .tflite file holds."),
    "train": Verb("edgenet.cli.train", "Train a variant on classes of your own."),
    "scale": Verb(
        "edgenet.cli.scale", "Scale a variant: show, search on your images, or choose by a device's latency."
    ),
    "convert": Verb("edgenet.cli.convert", "Write a variant as verified .tflite files."),
    "quantize": Verb("edgenet.cli.quantize", "Write a float .tflite file of any origin in smaller precisions."),
    "verify": Verb("edgenet.cli.verify", "Hold files against their float network, on photos, with gates."),
    "evaluate": Verb("edgenet.cli.evaluate", "Tell how accurate files are on labelled images, with intervals."),
    "try": Verb("edgenet.cli.try", "Show what a file answers to photos, and what it saw of them."),
    "bundle": Verb("edgenet.cli.bundle", "Write a file as source for an app, with golden vectors; or check a bundle."),
    "diagnose": Verb("edgenet.cli.diagnose", "Find the layers that a quantized file loses its answers in."),
    "check": Verb("edgenet.cli.check", "Tell what an accelerator will take of a file, and why not the rest."),
    "compile": Verb("edgenet.cli.compile", "Have the real Edge TPU compiler compile files, wherever it is."),
    "benchmark": Verb("edgenet.cli.benchmark", "Measure the latency of files on this machine, a board or a phone."),
    "compare": Verb("edgenet.cli.compare", "Tell whether one result is faster or slower than another, beyond noise."),
    "sweep": Verb("edgenet.cli.sweep", "Run variants x precisions x devices, each cell once, resumable."),
    "report": Verb("edgenet.cli.report", "Write benchmark results or a sweep as one HTML page, and as CSV."),
    "recommend": Verb("edgenet.cli.recommend", "Name the most accurate file that is fast enough on a device."),
    "devices": Group("edgenet.cli.devices", "List, check and prepare the devices to measure on."),
    "doctor": Verb("edgenet.cli.doctor", "Show what is installed here, and how to get what is not."),
}

# The common base of typer's usage errors. Its home moved from click to typer's own copy; this name works in both.
USAGE_ERROR: type[BaseException] = typer.BadParameter.__mro__[1]


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; raise InputError for one that cannot be understood."""
    verb, rest = _verb_of(arguments)
    app = _application(verb)
    words = [verb]
    if isinstance(VERBS.get(verb), Group):
        commands = _add_group(app, verb)
        words.append(_known(rest, commands, f"edgenet {verb}"))
        if not rest:
            arguments = [*arguments, "--help"]
    command = typer.main.get_command(app)
    try:
        # Not command.main(): that one turns interrupts and broken pipes into codes of its own.
        with command.make_context("edgenet", with_repair_target(arguments) or ["--help"]) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except USAGE_ERROR as error:
        raise _usage_error(error, " ".join(filter(None, ["edgenet", *words]))) from None
    return 0


def _verb_of(arguments: list[str]) -> tuple[str, list[str]]:
    """Return the verb of a command line, "" where there is none, and what follows it; raise InputError."""
    verb = _known(arguments, VERBS, "edgenet")
    return verb, arguments[arguments.index(verb) + 1 :] if verb else []


def _known(arguments: list[str], commands: Collection[str], program: str) -> str:
    """Return the first word that is no option, "" where there is none; raise InputError if it is no command."""
    word = next((word for word in arguments if not word.startswith("-")), "")
    if word and word not in commands:
        close = get_close_matches(word, commands, n=1)
        mend = f"did you mean {close[0]}?" if close else f"{program} --help shows them all"
        raise InputError(f"unknown command {word!r}", allowed=", ".join(commands), mend=mend)
    return word


def _application(verb: str) -> typer.Typer:
    """Return a parser with every verb in its help, of which only `verb` is imported."""
    # Plain help: rich's panels would import rich before there is anything to show.
    app = typer.Typer(
        rich_markup_mode=None, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]}
    )
    app.callback(help="Take an EfficientNet variant to a TFLite file and prove that the file is right.")(_root)
    for name, row in VERBS.items():
        if name != verb:
            app.command(name, help=row.help)(_absent)
        elif not isinstance(row, Group):
            app.command(name)(_load(row))
    return app


def _add_group(app: typer.Typer, verb: str) -> Collection[str]:
    """Add a verb's sub-verbs to the parser and return their names."""
    commands: dict[str, Callable[..., None]] = import_module(VERBS[verb].module).COMMANDS
    group = typer.Typer(rich_markup_mode=None, add_completion=False)
    for name, command in commands.items():
        group.command(name)(command)
    app.add_typer(group, name=verb, help=VERBS[verb].help)
    return commands


def _load(row: Verb) -> Callable[..., None]:
    command: Callable[..., None] = import_module(row.module).command
    return command


def _absent() -> None:
    """Stand for a verb in the help of the others."""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"edgenet {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def _usage_error(error: Any, program: str) -> InputError:
    """Say a usage error in edgenet's way: one line with a mend."""
    close = getattr(error, "possibilities", None)
    if close:
        return InputError(f"unknown option {error.option_name}", mend=f"did you mean {' or '.join(sorted(close))}?")
    what = error.format_message().rstrip(".")
    return InputError(what[:1].lower() + what[1:], mend=f"{program} --help shows what it takes")

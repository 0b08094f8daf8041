"""The command `edgewright`. Each subcommand is a module of its own, imported when it is used."""

import importlib
import sys

import click

from gateway.core.errors import ConfigError, GatewayError

COMMANDS = {
    "demo": "A simulated plant, the gateway, the cloud and the console, in one go.",
    "browse": "Show what an OPC UA server has.",
    "init": "Write a configuration and tag lists, from a server or a register map.",
    "run": "Run the gateway.",
    "check": "Check a configuration: every mistake at once, and what to expect of it.",
    "apply": "Put a configuration in force on the running gateway, on trial first.",
    "console": "The terminal UI for technicians.",
    "status": "How the gateway is, in a few lines.",
    "tail": "Follow values and events as they come.",
    "alarms": "List alarms, deal with them, and see whether there are too many.",
    "cases": "What is wrong with which asset; say what was behind it.",
    "write": "Write a value to a machine, in two steps.",
    "modbus": "Look into a Modbus device: read values, find units and addresses.",
    "twin": "Show the digital twins.",
    "sparkplug": "Find what the edge nodes behind an MQTT broker report.",
    "models": "List, promote and roll back models.",
    "deadletters": "List what a far end refuses for good, and send it again.",
    "certs": "List, trust and reject the certificates of OPC UA servers.",
    "export": "Samples of the log as a CSV or Parquet file.",
    "log": "Look after the record log: make a key to encrypt it with.",
    "import": "Take in a recording as history, before the first start.",
    "train": "Train a model from recordings.",
    "score": "Score a recording with a model.",
    "diagnose": "Tell the fault of a machine from a waveform of its vibration.",
    "detect": "Find objects on pictures with a vision model.",
    "bench": "Measure what the gateway costs, as ratios in one run.",
    "cloud": "Run and operate the cloud side.",
    "simulate": "A simulated plant with real OPC UA and Modbus servers.",
}
"""Names and one-line descriptions, known without importing the command."""

MODULES = {"import": "importing"}
"""Commands whose name cannot be a module's."""

EXIT_FAILED = 1
EXIT_USAGE = 2


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is run or its own help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module = MODULES.get(cmd_name, cmd_name)
        command = importlib.import_module(f"gateway.cli.{module}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="edgewright")
def edgewright() -> None:
    """Edgewright keeps machines running.

    It polls OPC UA and Modbus equipment, keeps a digital twin of every asset, finds trouble on
    the spot, survives outages without losing a sample, and lets a cloud retrain its models.

    New here? Try `edgewright demo`.
    """


def main() -> None:
    """Run the command; a mistake of a person gives a message, never a traceback."""
    try:
        # What a command ends with by `Exit`, click returns here; otherwise commands return nothing.
        code = edgewright.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else None)
    except click.Abort:
        sys.exit(EXIT_FAILED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        for mistake in error.mistakes:
            click.echo(mistake, err=True)
        sys.exit(EXIT_USAGE)
    except GatewayError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_FAILED)

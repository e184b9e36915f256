"""`edge completion`: what a shell needs to complete `edge` and `bench`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from edge.terminal.commandline import command

SHELLS = ("bash", "zsh", "fish")
PROGRAMS = ("edge", "bench")


@command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes `edge` and `bench` in SHELL.

    Add it to the file that SHELL reads when it starts: `edge completion bash >> ~/.bashrc`, `edge completion zsh
    >> ~/.zshrc`, `edge completion fish >> ~/.config/fish/config.fish`.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    for program in PROGRAMS:
        # The script asks the program itself; what it completes never grows old. bash >= 4.4, as Click says.
        template = kind(click.Command(program), {}, program, f"_{program.upper()}_COMPLETE")
        click.echo(template.source_template % template.source_vars())

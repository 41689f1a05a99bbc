"""`flatdense completion SHELL`: what the Tab key needs to know."""

import click
from click.shell_completion import get_completion_class

_PROGRAM = "flatdense"
_VARIABLE = "_FLATDENSE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Write the script that makes the Tab key work.

    Your shell reads it when it starts, and then completes commands, options, files, labels and
    versions:

    \b
      bash   echo 'eval "$(flatdense completion bash)"' >> ~/.bashrc
      zsh    echo 'eval "$(flatdense completion zsh)"' >> ~/.zshrc
      fish   flatdense completion fish > ~/.config/fish/completions/flatdense.fish

    \b
    Example, for this shell alone:
      eval "$(flatdense completion bash)"
    """  # noqa: D301  # click's mark: these lines stay as they are
    kind = get_completion_class(shell)
    command = context.find_root().command
    if kind is not None:
        click.echo(kind(command, {}, _PROGRAM, _VARIABLE).source())

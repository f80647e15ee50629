"""`gan-infer doctor`: one page on this machine, with the command that fixes each problem."""

from __future__ import annotations

import dataclasses

import click

from gan_infer import console


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check this machine for problems, and say how to fix them.

    The exit code is 1 if there are any, else 0.
    """
    from gan_infer.apps import doctor as checks

    found = []
    for finding in checks.examine():
        found.append(finding)
        if not as_json:
            console.echo(f"{finding.state:<8} {finding.name:<19} {' '.join(finding.text.split())}")
            if finding.mend:
                console.echo(f"{'':<8} {'':<19} type: {finding.mend}")
    problems = sum(finding.state == "problem" for finding in found)
    if as_json:
        facts = {"problems": problems, "findings": [dataclasses.asdict(finding) for finding in found]}
        console.echo_json(facts, indent=2)
    else:
        console.echo(f"{problems or 'no'} problem{'' if problems == 1 else 's'} found")
    context.exit(1 if problems else 0)

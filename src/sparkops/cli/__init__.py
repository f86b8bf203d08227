"""The command `sparkops`. Each group of commands is one file; what a command needs is imported when it runs."""

import click

from sparkops import __version__
from sparkops.cli.apply import apply
from sparkops.cli.audit import audit
from sparkops.cli.doctor import doctor
from sparkops.cli.doors import api, demo, up, worker
from sparkops.cli.recover import recover
from sparkops.cli.schema import migrate
from sparkops.cli.secrets import secrets
from sparkops.cli.users import users


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sparkops", message="%(prog)s %(version)s")
def main() -> None:
    """Run and look after Spark-Ops, a control plane for AI agents."""


main.add_command(up)
main.add_command(demo)
main.add_command(api)
main.add_command(worker)
main.add_command(apply)
main.add_command(users)
main.add_command(secrets)
main.add_command(migrate)
main.add_command(doctor)
main.add_command(recover)
main.add_command(audit)

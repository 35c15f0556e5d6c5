"""`python -m gateway.cli` is `dmp-gateway`."""

from gateway.cli.main import main

main(prog_name="dmp-gateway")

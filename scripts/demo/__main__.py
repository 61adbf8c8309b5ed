"""Serve a finished run as a page, or write the folder for a hosting space.

python -m scripts.demo --run runs/shop
python -m scripts.demo --run runs/shop --export space
"""

import argparse
import errno
import socket
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from events.errors import InputError
from scripts.cli import bare_parser, guarded
from scripts.demo.desk import Desk
from scripts.demo.export import export
from scripts.demo.export_texts import SDKS
from scripts.demo.shop import Shop

HOST = "127.0.0.1"
PORTS = range(7860, 7960)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    made = bare_parser("Serve a finished run as a page.", "python -m scripts.demo --run runs/shop --port 7860")
    made.add_argument("--run", type=Path, required=True, help="folder of the run, such as runs/shop")
    made.add_argument("--host", default=HOST, help=f"address to listen on ({HOST}: this machine alone)")
    made.add_argument("--port", type=int, help=f"port to listen on (the first free one from {PORTS[0]})")
    made.add_argument(
        "--export", type=Path, metavar="FOLDER", help="write a folder that a hosting space takes as it is, and leave"
    )
    made.add_argument(
        "--sdk",
        choices=sorted(SDKS),
        default="docker",
        help="kind of hosting space (docker: it builds the Dockerfile; gradio: its own image may want other versions)",
    )
    return made.parse_args(argv)


def free_port(host: str, ports: Sequence[int]) -> int:
    """The first of these ports that nobody listens on.

    Raises
    ------
    InputError
        If there is none, or the machine has no such address.
    """
    for port in ports:
        if not 0 < port < 65_536:
            raise InputError(f"--port {port}", None, "there is no such port", "give one from 1 to 65535")
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(address)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            problem = "this machine has no such address"
            raise InputError(f"--host {host}", None, problem, f"give {HOST}, or 0.0.0.0 for all") from None
        return port
    raise InputError(f"port {ports[0]}", None, "others listen there, or it is not allowed", "give another by --port")


def _serve(run: Path, host: str, port: int | None) -> None:
    if find_spec("gradio") is None:
        raise InputError("gradio", None, "the page needs it, and it is not installed", "run make demo")
    from scripts.demo.page import serve  # Gradio takes seconds to load

    port = free_port(host, PORTS if port is None else [port])
    desk = Desk(Shop.open(run))
    print(f"http://{host}:{port} (Ctrl+C stops it)", flush=True)
    serve(desk, host, port)


def main(argv: list[str] | None = None) -> int:
    """Command line."""

    def work() -> None:
        arguments = _arguments(argv)
        if arguments.export is None:
            _serve(arguments.run, arguments.host, arguments.port)
            return
        print("copying, and asking the copy: half a minute", flush=True)
        size = export(arguments.run, arguments.export, arguments.sdk)
        print(f"{arguments.export}: {size['all'] / 1e6:.1f} MB, of which the run is {size['run'] / 1e6:.1f} MB")

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())

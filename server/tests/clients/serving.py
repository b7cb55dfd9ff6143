"""Servers to try clients on: `artifact-store serve`, and a SeaweedFS behind one of its stores."""

import os
import pathlib
import re
import socket
import subprocess
import time

KEY, SECRET, REGION = "clients", "secret of clients", "us-east-1"


class Absent(Exception):
    """A client that this machine does not have."""


def free_ports(count: int) -> list[int]:
    # All are held until each has its number.
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in held]
    for listener in held:
        listener.close()
    return ports


def until(what: str, process: subprocess.Popen, found, seconds: float = 60):
    """What `found` returns as soon as that is something."""
    deadline = time.monotonic() + seconds
    while (result := found()) is None:
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} does not answer within {seconds} s")
        time.sleep(0.05)
    return result


def listens(port: int):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return None
    return True


class Program:
    """A process in the background, with its output in a file. It ends with this value."""

    def __init__(self, command: list, log: pathlib.Path, environment: dict[str, str]):
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                command,
                cwd=log.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def store(name: str, place: pathlib.Path, backend: str = "fs", more: str = "") -> str:
    """A store of the configuration, on a directory of its own."""
    directory = place / "stores" / name
    directory.mkdir(parents=True)
    return (
        f"[stores.{name}]\nbackend = '{backend}'\n"
        f"directories = [{{ host = '{directory}', guest = '/' }}]\n{more}\n"
    )


def configuration(stores: list[str]) -> str:
    key = f"[serve.keys.clients]\nid = '{KEY}'\nsecret-from = 'SERVER_SECRET'\naccess = 'write'\n"
    return "\n".join([*stores, key])


class Server(Program):
    """`artifact-store serve` with this configuration."""

    def __init__(self, binary: pathlib.Path, place: pathlib.Path, stores: list[str], name: str):
        file = place / f"{name}.toml"
        file.write_text(configuration(stores))
        command = [binary, "--config", file, "serve", "--s3", "127.0.0.1:0"]
        environment = os.environ | {"SERVER_SECRET": SECRET}
        super().__init__(command, place / f"{name}.log", environment)
        try:
            self.port = until("the server", self.process, self._port)
        except BaseException:
            self.__exit__()
            print(self.log.read_text())
            raise
        self.address = f"127.0.0.1:{self.port}"
        self.endpoint = f"http://{self.address}"

    def _port(self):
        said = re.search(r" on http://127\.0\.0\.1:(\d+)\n", self.log.read_text())
        return said and int(said[1])


class Weed(Program):
    """The SeaweedFS that the variable `WEED` names, with one bucket."""

    BUCKET = "artifacts"
    PORTS = (
        "s3.port s3.port.grpc s3.port.iceberg s3.port.lance master.port master.port.grpc "
        "filer.port filer.port.grpc volume.port volume.port.grpc admin.port admin.port.grpc "
        "webdav.port debug.port"
    ).split()

    def __init__(self, place: pathlib.Path):
        binary = os.environ.get("WEED")
        if not binary:
            raise Absent("WEED names no SeaweedFS")
        directory = place / "weed"
        directory.mkdir()
        ports = free_ports(len(self.PORTS))
        command = [binary, "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={directory}"]
        command += ["-master.telemetry=false", "-webdav=false", "-admin.ui=false"]
        command += ["-s3.autoCreateBucket=false", f"-bucket={self.BUCKET}"]
        command += [f"-{name}={port}" for name, port in zip(self.PORTS, ports)]
        environment = os.environ | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        super().__init__(command, place / "weed.log", environment)
        self.endpoint = f"http://127.0.0.1:{ports[0]}"
        try:
            until("SeaweedFS", self.process, lambda: listens(ports[0]))
        except BaseException:
            self.__exit__()
            raise

    def store(self, name: str, place: pathlib.Path) -> str:
        """A store of the backend `s3` in its bucket."""
        settings = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "S3_BUCKET": self.BUCKET,
            "S3_PREFIX": name,
        }
        table = ", ".join(f"{name} = '{value}'" for name, value in settings.items())
        return store(name, place, "s3", f"env = {{ {table} }}\n")

"""A RabbitMQ node of our own, from the binaries that are installed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from dev import amqp, binaries
from dev.owner import password_in, write_for_owner
from dev.processes import find, has_variable, program
from dev.say import Failure
from dev.server import PrivateServer
from dev.vhost import ensure_vhost

USER = "duly"
CONFIGURATION = "rabbitmq.conf"


class PrivateRabbitmq(PrivateServer):
    """One private RabbitMQ node; a name is a virtual host. Takes the two next ports as well."""

    kind = "rabbitmq"
    stop_signal = signal.SIGTERM

    @property
    def node(self) -> str:
        """The name by which other nodes know it."""
        return f"duly-{self.port}@localhost"

    def is_up(self) -> bool:
        return bool(self.pid()) and amqp.opens(self.url("/"))

    def pid(self) -> int | None:
        machines = self._running(lambda process: program(process) == "beam.smp")
        return machines[0] if machines else None

    def url(self, name: str) -> str:
        login = f"{USER}:{password_in(self.folder)}"
        return f"amqp://{login}@127.0.0.1:{self.port}/{quote(name, safe='')}"

    def ensure(self, name: str) -> None:
        ensure_vhost(self.url(name), USER, self.control)

    def control(self, *arguments: str) -> None:
        """Run rabbitmqctl. Raises Failure."""
        self._check(self._program("rabbitmqctl"), *arguments)

    def _launch(self) -> None:
        for file, text in self._configuration().items():
            write_for_owner(self.folder / file, text)
        # Out of our session, and not our child to wait for.
        self._check(Path("setsid"), "--fork", str(self._program("rabbitmq-server")))

    def _configuration(self) -> dict[str, str]:
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{self.port}",
            "default_user": USER,
            "default_pass": password_in(self.folder),
            "disk_free_limit.absolute": "50MB",
            "log.console.level": "info",
        }
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        nothing = "[].\n"
        return {
            CONFIGURATION: "".join(lines),
            "advanced.config": nothing,
            "enabled_plugins": nothing,
            "rabbitmq-env.conf": "",
        }

    def _lives(self) -> bool:
        # The start script is the first to run and the port mapper (epmd) outlives the node.
        return bool(self._running(lambda process: program(process) != "epmd"))

    def _running(self, wanted: Callable[[Path], bool]) -> list[int]:
        """Of its processes those that are wanted; none where its folder was deleted meanwhile.

        Such a node runs on, and nobody can use it: its password is gone, and what it keeps.
        """
        if not (self.folder / CONFIGURATION).exists():
            return []
        return find(lambda process: wanted(process) and self._owns(process))

    def _owns(self, process: Path) -> bool:
        # Each process of a node inherits this.
        return has_variable(process, f"RABBITMQ_MNESIA_BASE={self.data}")

    def _environment(self) -> dict[str, str]:
        # All that the system's own node would otherwise share with this one, in /etc and /var.
        return {
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),  # where the cookie lies
            "ERL_EPMD_PORT": str(self.port + 2),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self.port + 1),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONFIG_FILE": str(self.folder / CONFIGURATION),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "config"),
            "RABBITMQ_MNESIA_BASE": str(self.data),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
        }

    def _program(self, name: str) -> Path:
        folder = binaries.rabbitmq()
        if folder is None:
            raise Failure("rabbitmq: not installed")
        return folder / name

"""A private RabbitMQ with its management API."""

from pathlib import Path

from dev.owner import password_in
from dev.ports import free_port
from dev.rabbitmq import CONFIGURATION, USER, PrivateRabbitmq


class ManagedRabbitmq(PrivateRabbitmq):
    """The same node with the plugin rabbitmq_management."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, port)
        self._management_port = free_port()

    @property
    def management_url(self) -> str:
        """The address of the API, with an administrator's login."""
        return f"http://{USER}:{password_in(self.folder)}@127.0.0.1:{self._management_port}"

    def _configuration(self) -> dict[str, str]:
        files = super()._configuration()
        listener = (
            "management.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self._management_port}\n"
            "collect_statistics_interval = 1000\n"
        )
        plugins = {"enabled_plugins": "[rabbitmq_management].\n"}
        return files | plugins | {CONFIGURATION: files[CONFIGURATION] + listener}

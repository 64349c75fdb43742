"""A checkout was deleted while its servers ran, and another takes its place."""

import shutil
import tempfile
from pathlib import Path

import pytest

from dev.ports import free_port
from dev.processes import PROC
from dev.rabbitmq import PrivateRabbitmq


@pytest.mark.slow
def test_a_node_whose_folder_was_deleted_makes_way_for_a_new_one() -> None:
    with tempfile.TemporaryDirectory(prefix="duly-faults-") as folder:
        Path(folder).chmod(0o711)  # so that the user it runs as can enter
        node = PrivateRabbitmq(Path(folder, "rabbitmq"), free_port())
        try:
            node.start()
            orphan = node.pid()
            shutil.rmtree(node.folder, ignore_errors=True)  # it may write meanwhile
            again = PrivateRabbitmq(node.folder, free_port())
            assert not again.is_up()
            again.start()
            assert again.is_up()
            assert not (PROC / str(orphan)).exists()
        finally:
            node.kill()

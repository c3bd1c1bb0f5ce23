"""Events: losses as TensorBoard reads them, where that is installed and asked for."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from galmorph.errors import PipelineError
from galmorph.nets.training.loop import Epoch

__all__ = ["Events", "check_tensorboard"]


def check_tensorboard() -> Any:
    """Return torch's writer of events.

    Raises
    ------
    PipelineError
        If TensorBoard is not installed.
    """
    try:
        return importlib.import_module("torch.utils.tensorboard").SummaryWriter
    except ImportError as error:
        raise PipelineError(
            "tensorboard = true in [train], but TensorBoard is not installed: install it with "
            "pip install 'galmorph[tensorboard]', or leave the setting out"
        ) from error


class Events:
    """Writes the losses of one network into a folder of its own.

    Parameters
    ----------
    folder
        Receives the files.
    done
        Epochs of an earlier run that goes on: what it wrote beyond them is not shown.
    """

    def __init__(self, folder: Path, done: int) -> None:
        self._writer = check_tensorboard()(str(folder), purge_step=done + 1 if done else None)

    def add(self, epoch: Epoch) -> None:
        """Write what an epoch gave."""
        values = {
            "loss/train": epoch.train_loss,
            "loss/validation": epoch.validation_loss,
            "learning_rate": epoch.learning_rate,
        }
        if epoch.disagreement:
            values["loss/disagreement"] = epoch.disagreement
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch.number)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

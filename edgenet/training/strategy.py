"""One device, all devices of this machine, one machine of several that TF_CONFIG names, or the cores of a TPU."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from edgenet.errors import InputError, MissingError

StrategyName = Literal["single", "mirrored", "multiworker", "tpu"]
BFLOAT16_CAPABILITY, FLOAT16_CAPABILITY = (8, 0), (7, 0)  # of the first NVIDIA GPUs with fast units for it


@dataclass(frozen=True)
class Rows:
    """The rows of each global batch that one input pipeline makes, in batches of one replica's size."""

    first: int
    count: int
    batch: int


@dataclass(frozen=True)
class Devices:
    """A tf.distribute strategy, and this process's place among those that train together."""

    strategy: Any
    workers: int
    worker: int

    @property
    def replicas(self) -> int:
        """Return the number of devices over all workers."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def is_chief(self) -> bool:
        """Tell whether this process writes the run's files."""
        return self.worker == 0

    def rows(self, batch_size: int) -> Rows:
        """Return this worker's rows of a global batch."""
        count = batch_size // self.workers
        return Rows(self.worker * count, count, batch_size // self.replicas)


def open_devices(name: str, batch_size: int) -> Devices:
    """Open the devices of a strategy; raise InputError for an unknown one, or a batch that cannot be shared out.

    Raise MissingError where there is no TPU.
    """
    import tensorflow as tf

    if name not in get_args(StrategyName):
        raise InputError(f"unknown strategy {name!r}", allowed=", ".join(get_args(StrategyName)))
    if name == "multiworker":
        workers, worker = _cluster()
        devices = Devices(tf.distribute.MultiWorkerMirroredStrategy(), workers, worker)
    elif name == "mirrored":
        devices = Devices(tf.distribute.MirroredStrategy(), 1, 0)
    elif name == "tpu":
        devices = Devices(_tpu(), 1, 0)
    else:
        devices = Devices(tf.distribute.get_strategy(), 1, 0)
    if batch_size % (2 * devices.replicas):
        raise InputError(
            f"a batch of {batch_size} cannot be shared out to {devices.replicas} devices in pairs",
            allowed=f"a multiple of {2 * devices.replicas}",
            mend="set schedule.batch_size in the recipe",
        )
    return devices


def _tpu() -> Any:
    """Return the strategy of the TPU of this host, or of the one that TPU_NAME names."""
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=os.environ.get("TPU_NAME", "local"))
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.OpError, ValueError, OSError) as error:
        raise MissingError(
            f"no TPU was found: {str(error).splitlines()[0].split('. ')[0]}",
            allowed="a TPU of this host, or TPU_NAME in the environment",
            mend="run on the TPU's own machine, or choose another --strategy",
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def _cluster() -> tuple[int, int]:
    """Return the number of workers and this one's index from TF_CONFIG; raise InputError for one that does not fit."""
    text = os.environ.get("TF_CONFIG", "")
    allowed = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    mend = "set TF_CONFIG in the environment of each worker"
    try:
        settings = json.loads(text)
        workers, task = settings["cluster"]["worker"], settings["task"]
        index, others = int(task["index"]), set(settings["cluster"]) - {"worker"}
        fits = task["type"] == "worker" and not others and 0 <= index < len(workers)
    except (ValueError, TypeError, KeyError):
        fits = False
    if not fits:
        raise InputError(f"TF_CONFIG is {text[:200]!r}", allowed=allowed, mend=mend)
    return len(workers), index


def total(devices: Devices, value: Any) -> Any:
    """Return the sum of each worker's array over all workers; every worker gets the same."""
    import tensorflow as tf

    if devices.workers == 1:
        return value
    values = devices.strategy.experimental_distribute_values_from_function(lambda context: tf.constant(value))
    summed = devices.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)
    return summed.numpy() / (devices.replicas // devices.workers)  # each replica of a worker brought the same


def set_precision(strategy: str, *, exact: bool = False) -> str:
    """Choose the arithmetic of the layers, 16 bits where the device has fast units for it and `exact` is not asked for.

    Return its name.
    """
    import tensorflow as tf
    import tf_keras

    gpus = tf.config.list_physical_devices("GPU")
    capabilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    fastest = "mixed_bfloat16" if strategy == "tpu" else precision_of(capabilities)
    name = "float32" if exact else fastest
    tf_keras.mixed_precision.set_global_policy(name)
    if not gpus and strategy != "tpu":
        # The same sums in the same order each time: a resumed run is the same run to the last bit.
        tf.config.experimental.enable_op_determinism()
    return name


def precision_of(capabilities: Sequence[tuple[int, int]]) -> str:
    """Return the arithmetic that the weakest GPU is fast in; without one float32, since CPUs mostly emulate others.

    bfloat16 goes before float16: its range needs no loss scaling.
    """
    weakest = min(capabilities, default=(0, 0))
    if weakest >= BFLOAT16_CAPABILITY:
        return "mixed_bfloat16"
    return "mixed_float16" if weakest >= FLOAT16_CAPABILITY else "float32"

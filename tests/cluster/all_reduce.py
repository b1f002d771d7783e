"""A worker of a gang with a real framework: prints the sum of 10^rank over all workers.

The framework finds the others by the environment of the pod alone.
"""

import os
import sys


def torch():
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    number = torch.tensor([10 ** dist.get_rank()])
    dist.all_reduce(number)
    dist.destroy_process_group()
    return int(number[0])


def jax():
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It reads JAX_COORDINATOR_ADDRESS itself, but not the other two.
    jax.distributed.initialize(
        num_processes=int(os.environ["JAX_NUM_PROCESSES"]),
        process_id=int(os.environ["JAX_PROCESS_ID"]),
    )
    from jax.experimental import multihost_utils

    numbers = multihost_utils.process_allgather(jax.numpy.array([10 ** jax.process_index()]))
    return int(numbers.sum())


print({"Torch": torch, "Jax": jax}[sys.argv[1]]())

"""Describe a run that begins, for its run.json: what it learns from which zoos, with which software."""

import platform
from collections.abc import Mapping, Sequence

import torch

from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.plugins import plugin_of
from mnfn_cli.tasks.data import Skipped
from mnfn_cli.tasks.task import Task
from mnfn_cli.training.record import PluginReference, RunRecord, Versions, ZooReference
from mnfn_cli.version import __version__
from mnfn_cli.zoo.store import Zoo


def describe_run(
    task: Task, zoos: Sequence[Zoo], counts: Mapping[str, int], skipped: Skipped, context: Context
) -> RunRecord:
    """Return the contents of run.json of a run that begins.

    Args:
        task: the task, on the zoos.
        zoos: the zoos, in the order of the recipe.
        counts: the number of networks in each split, without those that are left out.
        skipped: the networks that are left out.
        context: the command line of the run.
    """
    plugin = plugin_of(type(task.recipe.model))
    layouts = [space.layout for zoo in zoos for space in zoo.spaces if space.layout is not None]
    record = RunRecord(
        **RunRecord.describe(task.specs),
        state="running",
        task=task.recipe.task,
        facts=task.facts.to_json(),
        inr=task.fit,
        zoos=tuple(map(_reference, zoos)),
        networks=dict(counts),
        skipped=tuple(sorted(skipped)),
        command=context.command,
        versions=Versions(mnfn=__version__, torch=torch.__version__, python=platform.python_version()),
        plugins=(PluginReference(name=plugin.name, sha256=plugin.sha256),) if plugin else (),
    )
    return record.changed(layouts=tuple(layouts)) if layouts else record


def _reference(zoo: Zoo) -> ZooReference:
    made = {"command": zoo.record.made.command} if zoo.record.made.command else {}
    return ZooReference(path=str(zoo.path), fingerprint=zoo.fingerprint, **made)

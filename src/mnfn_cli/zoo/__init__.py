"""Zoos, which are folders of many networks: building, reading, writing, augmentation and export."""

from typing import TYPE_CHECKING

from mnfn_cli.lazy_names import lazy_names

if TYPE_CHECKING:
    from mnfn_cli.zoo.augment import AugmentReport as AugmentReport
    from mnfn_cli.zoo.augment import augment_zoo as augment_zoo
    from mnfn_cli.zoo.build.zoos import build_cnn_zoo as build_cnn_zoo
    from mnfn_cli.zoo.build.zoos import build_mlp_zoo as build_mlp_zoo
    from mnfn_cli.zoo.build.zoos import build_siren_zoo as build_siren_zoo
    from mnfn_cli.zoo.export import export_zoo as export_zoo
    from mnfn_cli.zoo.images import ImageSet as ImageSet
    from mnfn_cli.zoo.images import load_images as load_images
    from mnfn_cli.zoo.importers.architecture import Architecture as Architecture
    from mnfn_cli.zoo.importers.folder import plan_folder as plan_folder
    from mnfn_cli.zoo.importers.folder_labels import LabelOptions as LabelOptions
    from mnfn_cli.zoo.importers.inr_facts import InrOptions as InrOptions
    from mnfn_cli.zoo.importing import import_zoo as import_zoo
    from mnfn_cli.zoo.inr_design import InrDesign as InrDesign
    from mnfn_cli.zoo.magnitudes import Magnitudes as Magnitudes
    from mnfn_cli.zoo.magnitudes import look_at_magnitudes as look_at_magnitudes
    from mnfn_cli.zoo.plan import Plan as Plan
    from mnfn_cli.zoo.plan import write_plan as write_plan
    from mnfn_cli.zoo.selection import plan_filter as plan_filter
    from mnfn_cli.zoo.selection import plan_merge as plan_merge
    from mnfn_cli.zoo.selection import plan_split as plan_split
    from mnfn_cli.zoo.store import Zoo as Zoo
    from mnfn_cli.zoo.store import ZooItem as ZooItem
    from mnfn_cli.zoo.store import collate as collate
    from mnfn_cli.zoo.store import open_zoo as open_zoo
    from mnfn_cli.zoo.twins import Twins as Twins
    from mnfn_cli.zoo.twins import find_twins as find_twins
    from mnfn_cli.zoo.verification import verify_zoo as verify_zoo
    from mnfn_cli.zoo.writer import save_zoo as save_zoo

__all__ = [
    "Architecture",
    "AugmentReport",
    "ImageSet",
    "InrDesign",
    "InrOptions",
    "LabelOptions",
    "Magnitudes",
    "Plan",
    "Twins",
    "Zoo",
    "ZooItem",
    "augment_zoo",
    "build_cnn_zoo",
    "build_mlp_zoo",
    "build_siren_zoo",
    "collate",
    "export_zoo",
    "find_twins",
    "import_zoo",
    "load_images",
    "look_at_magnitudes",
    "open_zoo",
    "plan_filter",
    "plan_folder",
    "plan_merge",
    "plan_split",
    "save_zoo",
    "verify_zoo",
    "write_plan",
]

__getattr__ = lazy_names(
    __name__,
    {
        "mnfn_cli.zoo.augment": "AugmentReport augment_zoo",
        "mnfn_cli.zoo.build.zoos": "build_cnn_zoo build_mlp_zoo build_siren_zoo",
        "mnfn_cli.zoo.export": "export_zoo",
        "mnfn_cli.zoo.images": "ImageSet load_images",
        "mnfn_cli.zoo.importers.architecture": "Architecture",
        "mnfn_cli.zoo.importers.folder": "plan_folder",
        "mnfn_cli.zoo.importers.folder_labels": "LabelOptions",
        "mnfn_cli.zoo.importers.inr_facts": "InrOptions",
        "mnfn_cli.zoo.importing": "import_zoo",
        "mnfn_cli.zoo.inr_design": "InrDesign",
        "mnfn_cli.zoo.magnitudes": "Magnitudes look_at_magnitudes",
        "mnfn_cli.zoo.plan": "Plan write_plan",
        "mnfn_cli.zoo.selection": "plan_filter plan_merge plan_split",
        "mnfn_cli.zoo.store": "Zoo ZooItem collate open_zoo",
        "mnfn_cli.zoo.twins": "Twins find_twins",
        "mnfn_cli.zoo.verification": "verify_zoo",
        "mnfn_cli.zoo.writer": "save_zoo",
    },
)

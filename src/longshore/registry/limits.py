"""The quotas of ECR, each adjustable here (ECR user guide, "Amazon ECR service quotas")."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of everything there may be. Sizes are bytes."""

    repositories_per_registry: int = 100_000
    images_per_repository: int = 100_000
    tags_per_image: int = 1_000
    resource_tags_per_repository: int = 50
    creation_templates_per_registry: int = 1_000
    pull_time_exclusions_per_registry: int = 100
    layer_size: int = 52_000 * MIB
    layer_parts: int = 4_200
    layer_part_smallest: int = 5 * MIB
    layer_part_largest: int = 20 * MIB
    manifest_size: int = 4 * MIB

"""What docs/OPERATIONS.md tells operators to do for a cluster's life does what it says."""

from collections.abc import Iterator

import pytest
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service

from .conftest import MakeLab
from .recipes import Cook, Recipe, recipes_in

LIFE = recipes_in("OPERATIONS.md")


@pytest.fixture(scope="module")
def bare_hosts(make_lab: MakeLab) -> Iterator[Lab]:
    """Three hosts on which nothing was ever started."""
    lab = make_lab(3, local=True)
    for name in lab.plan.names:
        lab.stop(name, [Service.PMXCFS])
        lab.exec(name, "sh", "-c", "rm -rf /var/lib/pve-cluster/config.db*")
    yield lab
    lab.down()


def test_the_document_has_the_recipes_of_a_clusters_life() -> None:
    assert len(LIFE) == 9
    assert all(recipe.steps for recipe in LIFE)


@pytest.mark.thorough
def test_a_clusters_life_goes_as_it_is_written(bare_hosts: Lab) -> None:
    cook = Cook(bare_hosts)
    for recipe in LIFE:
        carry_out(cook, recipe)


def carry_out(cook: Cook, recipe: Recipe) -> None:
    try:
        cook.carry_out(recipe)
    except AssertionError as error:
        error.add_note(f"in the recipe: {recipe.title}")
        raise

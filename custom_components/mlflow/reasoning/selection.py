"""Which entities are the evidence of a state: targets of the form, as entity ids."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids

from .settings import Source

# More is no evidence any more, but the whole home.
MAX_ENTITIES = 150


@dataclass(frozen=True, slots=True)
class Want:
    """What is told of an entity: attributes beside its state, and changes as far back as this."""

    attributes: tuple[str, ...] = ()
    look_back: timedelta = timedelta()

    def also(self, source: Source) -> Want:
        """Return what this and another source want together."""
        return Want(
            tuple(dict.fromkeys((*self.attributes, *source.attributes))),
            max(self.look_back, source.look_back),
        )


@callback
def select(
    hass: HomeAssistant, sources: Iterable[Source], subentry_id: str | None
) -> Mapping[str, Want]:
    """Return the entities of all sources, those named by their id first.

    What belongs to the state itself is left out: an answer is no evidence for itself.
    """
    registry = er.async_get(hass)
    named: dict[str, Want] = {}
    found: dict[str, Want] = {}
    for source in sources:
        # a group is asked for its own state, not for those of its members
        selected = async_extract_referenced_entity_ids(
            hass, TargetSelection(dict(source.target)), expand_group=False
        )
        for wants, entity_ids in (
            (named, selected.referenced),
            (found, selected.indirectly_referenced),
        ):
            for entity_id in entity_ids:
                wants[entity_id] = wants.get(entity_id, Want()).also(source)
    wanted = dict(named)
    for entity_id in sorted(found):
        before = wanted.get(entity_id)
        if before is None and len(wanted) >= MAX_ENTITIES:
            break
        more = found[entity_id]
        wanted[entity_id] = (
            before.also(Source({}, more.attributes, more.look_back)) if before else more
        )
    return {
        entity_id: want
        for entity_id, want in wanted.items()
        if not _is_own(registry, entity_id, subentry_id)
    }


def _is_own(registry: er.EntityRegistry, entity_id: str, subentry_id: str | None) -> bool:
    entry = registry.async_get(entity_id)
    return (
        entry is not None
        and entry.config_subentry_id is not None
        and (entry.config_subentry_id == subentry_id)
    )

"""The prompts of the home: the last known good version of each, in memory and on disk.

A conversation takes what is here and never waits for MLflow; the coordinator refreshes it.
"""

import asyncio
from contextlib import suppress
from dataclasses import asdict
from typing import Any, TypedDict

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.storage import Store

from .const import DOMAIN, EXPERIMENT_NAME, STARTER_ALIAS, STARTER_PROMPT, STARTER_TEXT
from .tracking import Message, PromptReference, PromptVersion, TrackingClient

_FIRST_LOOK_SECONDS = 2.0
_STARTER_DESCRIPTION = "Written by the integration as a start. Edit it: a new version is yours."


class _Stored(TypedDict):
    """What is on disk; `versions` by reference."""

    starter_made: bool
    versions: dict[str, dict[str, Any]]
    good: dict[str, dict[str, Any]]


class PromptLibrary:
    """Prompt versions by reference, for as long as an agent wants them."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._store: Store[_Stored] = Store(hass, 1, f"{DOMAIN}.prompts.{entry_id}")
        self._versions: dict[PromptReference, PromptVersion] = {}
        self._good: dict[PromptReference, PromptVersion] = {}
        self.missing: set[PromptReference] = set()
        self._wanted: list[PromptReference] = []
        self._looked = asyncio.Event()
        self._starter_made = False

    async def load(self) -> None:
        """Read what was known when Home Assistant last ran."""
        if stored := await self._store.async_load():
            self._starter_made = stored["starter_made"]
            self._versions = _from_stored(stored["versions"])
            self._good = _from_stored(stored.get("good", {}))

    async def flush(self) -> None:
        """Write now what would be written in a moment."""
        await self._store.async_save(self._stored())

    async def forget(self) -> None:
        """Remove the copy on disk."""
        await self._store.async_remove()

    @callback
    def want(self, reference: PromptReference) -> CALLBACK_TYPE:
        """Keep a prompt fresh from now on; call the result when it is no longer wanted."""
        self._wanted.append(reference)
        return lambda: self._wanted.remove(reference)

    @callback
    def get(self, reference: PromptReference) -> PromptVersion | None:
        """Return the last known version, or None when the prompt was never seen."""
        return self._versions.get(reference)

    @callback
    def expect_nothing(self) -> None:
        """Let nobody wait for a first look: there is no MLflow to look at."""
        self._looked.set()

    async def get_first(self, reference: PromptReference) -> PromptVersion | None:
        """Return the last known version; a prompt never seen may take a moment, just after start."""
        if reference not in self._versions:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_LOOK_SECONDS):
                    await self._looked.wait()
        return self.get(reference)

    @callback
    def get_good(self, reference: PromptReference) -> PromptVersion | None:
        """Return the last version that could be rendered."""
        return self._good.get(reference)

    @callback
    def note_good(self, reference: PromptReference, version: PromptVersion) -> None:
        """Remember that a version could be rendered."""
        if self._good.get(reference) != version:
            self._good[reference] = version
            self._store.async_delay_save(self._stored, 1)

    @property
    def versions(self) -> dict[str, int]:
        """The version number in use by reference."""
        return {str(reference): version.version for reference, version in self._versions.items()}

    async def refresh(self, client: TrackingClient) -> None:
        """Fetch all wanted prompts; a prompt that is gone from MLflow stays as it was."""
        try:
            await self._refresh(client)
        finally:
            self._looked.set()

    async def _refresh(self, client: TrackingClient) -> None:
        if not self._starter_made:
            await self._make_starter(client)
        known = dict(self._versions)
        missing = set()
        for reference in dict.fromkeys(self._wanted):
            if version := await client.prompt(reference):
                self._versions[reference] = version
            else:
                missing.add(reference)
        self.missing = missing
        if known != self._versions:
            await self._store.async_save(self._stored())

    async def _make_starter(self, client: TrackingClient) -> None:
        """Give a new home its first prompt; one that is there already is left alone.

        A reload may have cut an earlier start off half way: what is missing of ours is then added.
        """
        experiment_id = await client.experiment_id(EXPERIMENT_NAME)
        await client.create_prompt(STARTER_PROMPT, experiment_id)
        if await client.prompt(PromptReference(STARTER_PROMPT, alias=STARTER_ALIAS)) is None:
            first = await client.prompt(PromptReference(STARTER_PROMPT, version=1))
            number = 1
            if first is None:
                number = await client.create_prompt_version(
                    STARTER_PROMPT, STARTER_TEXT, _STARTER_DESCRIPTION
                )
            if first is None or first.messages == (Message("system", STARTER_TEXT),):
                await client.set_alias(STARTER_PROMPT, STARTER_ALIAS, number)
        self._starter_made = True
        await self._store.async_save(self._stored())

    def _stored(self) -> _Stored:
        return {
            "starter_made": self._starter_made,
            "versions": _to_stored(self._versions),
            "good": _to_stored(self._good),
        }


def _to_stored(versions: dict[PromptReference, PromptVersion]) -> dict[str, dict[str, Any]]:
    return {str(reference): asdict(version) for reference, version in versions.items()}


def _from_stored(stored: dict[str, dict[str, Any]]) -> dict[PromptReference, PromptVersion]:
    return {
        PromptReference.parse(reference): PromptVersion(
            name=version["name"],
            version=version["version"],
            messages=tuple(Message(**message) for message in version["messages"]),
            settings=version["settings"],
        )
        for reference, version in stored.items()
    }

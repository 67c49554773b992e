"""Keeps the recent past of the evidence in memory, as it goes on happening.

The recorder is read once for each entity. From then on the changes are noted as they come, so that a
thought neither asks a database that may be on an SD card nor misses what is not written yet.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from homeassistant.core import HomeAssistant, State, callback

from .history import MAX_ROWS, Past, Rows, async_read, sum_up_all
from .selection import Want


@dataclass(slots=True)
class _Track:
    """The changes of one entity: all of them since `complete_from`, for a look back of `window`."""

    window: timedelta
    complete_from: datetime
    rows: deque[tuple[datetime, str]] = field(default_factory=lambda: deque(maxlen=MAX_ROWS))
    is_read: bool = False

    def note(self, when: datetime, state: str) -> None:
        """Add the newest; it may push the oldest out."""
        rows = self.rows
        if rows and (rows[-1][1] == state or rows[-1][0] > when):
            return
        if len(rows) == MAX_ROWS:
            self.complete_from = rows[1][0]
        rows.append((when, state))

    def since(self, start: datetime, now: datetime) -> Rows:
        """Return the rows from this time on, and the one before them; what nobody asks for goes."""
        rows = self.rows
        while len(rows) > 1 and rows[1][0] <= now - self.window:
            rows.popleft()
        first = bisect_right(rows, start, key=lambda row: row[0])
        return list(rows)[max(first - 1, 0) :]


class RecentPast:
    """The recent past of every entity that some state looks back on."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._tracks: dict[str, _Track] = {}

    @callback
    def note(self, entity_id: str, state: State | None) -> None:
        """Take a change of an entity's state; this must cost next to nothing."""
        if state is None:
            self._tracks.pop(entity_id, None)  # should it come back, the recorder knows its past
        elif (track := self._tracks.get(entity_id)) is not None:
            track.note(state.last_changed, state.state)

    @callback
    def keep(self, entity_ids: Collection[str]) -> None:
        """Forget the entities whose changes are not told any more."""
        for entity_id in self._tracks.keys() - set(entity_ids):
            del self._tracks[entity_id]

    async def look_back(self, wants: Mapping[str, Want], now: datetime) -> Mapping[str, Past]:
        """Return the past of the entities that have one; nothing where the recorder does not run."""
        found: dict[str, tuple[Rows, timedelta]] = {}
        for entity_id, want in wants.items():
            if not want.look_back:
                continue
            track = await self._track(entity_id, want.look_back, now)
            if track is not None:
                start = max(now - want.look_back, track.complete_from)
                found[entity_id] = track.since(start, now), now - start
        return await self._hass.async_add_executor_job(sum_up_all, found, now)

    async def _track(self, entity_id: str, window: timedelta, now: datetime) -> _Track | None:
        """Return what is noted of an entity; the recorder is read where that does not go so far."""
        track = self._tracks.get(entity_id)
        if track is not None and track.is_read and track.window >= window:
            return track
        # noted from now on, while the recorder is read
        self._tracks[entity_id] = fresh = _Track(window, now - window)
        read = await async_read(self._hass, entity_id, window, now)
        if read is None:
            self._tracks.pop(entity_id, None)
            return None
        meanwhile = list(fresh.rows)
        rows, complete = read
        fresh.complete_from = now - complete
        fresh.rows.clear()
        state = self._hass.states.get(entity_id)
        # the recorder writes what is newest a few seconds later
        present = [(state.last_changed, state.state)] if state is not None else []
        for when, value in (*rows, *meanwhile, *present):
            fresh.note(when, value)
        fresh.is_read = True
        return fresh

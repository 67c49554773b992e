"""Reasoned states: a model reads several sensors, the time and the recent past, and decides."""

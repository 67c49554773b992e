"""Every language says everything that English says, with the same placeholders."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from custom_components.mlflow import issues, reasoned_sensor, sensor

PACKAGE = Path(__file__).parents[2] / "custom_components" / "mlflow"
TRANSLATIONS = PACKAGE / "translations"
LANGUAGES = ("de", "es", "fr", "it", "nl")


def sentences(language: str) -> dict[str, str]:
    """All sentences of a language by the path to them."""
    found: dict[str, str] = {}

    def walk(node: dict[str, Any], path: str) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{path}{key}.")
            else:
                found[f"{path}{key}"] = value

    walk(json.loads((TRANSLATIONS / f"{language}.json").read_text()), "")
    return found


def placeholders(sentence: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", sentence))


def test_these_are_all_languages() -> None:
    assert {path.stem for path in TRANSLATIONS.glob("*.json")} == {"en", *LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_complete(language: str) -> None:
    english, translated = sentences("en"), sentences(language)
    assert sorted(english.keys() - translated.keys()) == [], "not translated"
    assert sorted(translated.keys() - english.keys()) == [], "no longer in English"
    wrong = [
        path
        for path, text in english.items()
        if placeholders(text) != placeholders(translated[path])
    ]
    assert wrong == [], "other placeholders than in English"
    blank = [path for path, text in translated.items() if text != text.strip() or not text]
    assert blank == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_not_english(language: str) -> None:
    english, translated = sentences("en"), sentences(language)
    long = [path for path, text in english.items() if text.count(" ") > 4]
    assert [path for path in long if english[path] == translated[path]] == []


def test_everything_that_has_a_name_has_it_in_english_and_an_icon() -> None:
    english = json.loads((TRANSLATIONS / "en.json").read_text())
    icons = json.loads((PACKAGE / "icons.json").read_text())
    for description in (*sensor.DESCRIPTIONS, *reasoned_sensor.DETAILS):
        assert english["entity"]["sensor"][description.translation_key]["name"]
        if description.device_class is None:
            assert icons["entity"]["sensor"][description.translation_key]["default"]
    for key in issues.KEYS:
        assert english["issues"][key]["title"]
    actions = yaml.safe_load((PACKAGE / "services.yaml").read_text())
    assert actions.keys() == english["services"].keys() == icons["services"].keys()
    for name, action in actions.items():
        assert (action.get("fields") or {}).keys() == english["services"][name]["fields"].keys()
    used = re.findall(
        r'translation_key="(\w+)"|(?<=\bkey = ")(\w+)(?=")',
        "".join(path.read_text() for path in sorted(PACKAGE.rglob("*.py"))),
    )
    known = english["exceptions"] | english["issues"] | english["entity"]
    known |= english["selector"] | english["device"]
    for entities in english["entity"].values():
        known |= entities
    names = {first or second for first, second in used}
    assert sorted(names - known.keys()) == []

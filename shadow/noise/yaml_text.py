"""A suggested mask as text for the rules file. Pure."""

from __future__ import annotations

import json
from datetime import date

from shadow.noise.suggesting import Suggestion
from shadow.spec import Mask

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-./")


def as_yaml(suggestion: Suggestion, route: str, expires: date) -> list[str]:
    """Lines of one item of a comparison's `masks`, to be indented by whoever pastes it; an owner is still to be named.

    `expires` is proposed because what legacy does today, it need not do for ever.
    """
    mask = suggestion.mask
    lines = [f"# {suggestion.sentence}: {suggestion.support} of {suggestion.examples} examples"]
    if not suggestion.from_noise:
        lines.append("# WITHOUT evidence of noise: legacy, asked again, was never seen to differ from itself here")
    options = {**_options(mask), "routes": f"[{_scalar(route)}]"}
    lines += [f"{'- ' if index == 0 else '  '}{key}: {value}" for index, (key, value) in enumerate(options.items())]
    lines.append(f"  reason: {_scalar(_reason(suggestion))}")
    lines.append(f"  expires: {expires.isoformat()}")
    lines.append("  # owner: who answers for it")
    return lines


def _options(mask: Mask) -> dict[str, str]:
    plain = mask.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return {key: str(value) if isinstance(value, int) else _scalar(str(value)) for key, value in plain.items()}


def _reason(suggestion: Suggestion) -> str:
    return suggestion.sentence if suggestion.from_noise else f"{suggestion.sentence}; legacy shows no noise here"


def _scalar(text: str) -> str:
    """Plain where nothing can be mistaken, else with JSON's quotes, which YAML 1.2 reads alike (section 5.7)."""
    plain = text and text[0].isalpha() and set(text.lower()) <= _PLAIN and text.lower() not in _WORDS
    return text if plain or (text.startswith("/") and set(text.lower()) <= _PLAIN) else json.dumps(text)


_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))

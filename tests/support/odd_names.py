"""Learners and courses with names that are made to break a page."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

import toolkit as tk
from toolkit.config import settings
from toolkit.loading.platform import Platform

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
LEARNERS = 60  # of each course
SITE = "https://evil.example/"

LONG = "Foundations of a very long and thorough name " * 4
# One of each kind; the long ones differ only in the middle.
ODD = {
    "element": f'<img src="{SITE}a.png" onerror="window.ran = 1">',
    "script": "</script><script>window.ran = 1</script>",
    "refresh": f'<meta http-equiv="refresh" content="0;url={SITE}">',
    "style": "</style><style>body { display: none }</style>",
    "frame": "<iframe srcdoc='<script>parent.ran = 1</script>'></iframe><svg onload=ran=1>",
    "link": f"[free marks]({SITE}) <a href='javascript:window.ran=1'>here</a>",
    "markdown": f"# A heading\n\n**bold** `code` | ~~out~~ ![pic]({SITE}b.png) $$x^2$$",
    "template": "{{ 7 * 7 }} {% raw %} ${7*7} <%= 7 %>",
    "formula": f'=HYPERLINK("{SITE}"; "open")',
    "arabic": "مقدمة في الإحصاء",
    "override": "abc\u202edcba\u2066 (reversed)",
    "hebrew": "מבוא לסטטיסטיקה 101",
    "chinese": "統計學導論與數據分析基礎" * 5,
    "emoji": "👩🏽‍🔬 Science 🧪🏳️‍🌈 " * 3,
    "combining": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞",
    "escape": "Red \x1b[31mAlert\x1b[0m \x07\x08",
    "nul": "Nil\x00Null\x9b31m",
    "broken": "Line one\nline two\r\n\tline three\u2028four",
    "reserved": "unknown",
    "number": "0049",
    "colour": "#1A1A1A",
    "quotes": "\"'`&amp;&lt;&#x3c;\\u003c\\",
    "spaces": "\u00a0\u3000 \u200b",
    "word": "W" * 200,
    "long": LONG + "until its middle, by day, " + LONG,
    "longer": LONG + "until its middle, at night, " + LONG,
}


def records() -> dict[str, list[dict[str, object]]]:
    """Return the three resources: each odd name is a course, its id, a mode and in usernames.

    Every third course has no title, so that its id is shown.
    """
    found: dict[str, list[dict[str, object]]] = {"grades": [], "enrollments": [], "completion": []}
    for place, (kind, odd) in enumerate(ODD.items()):
        for number in range(LEARNERS):
            who = {
                "username": f"{odd} {number}",
                "email": f"{kind}{number}@example.com",
                "course_id": f"{odd}" if place % 3 == 0 else f"course-v1:{odd}+{kind}+2024",
            }
            done = (number * 7 + place * 5) % LEARNERS / LEARNERS
            created = AS_OF - timedelta(days=30 + 11.3 * number)
            is_passed = done > 0.4 + place / 100 and number % 5 > 0
            passed = min(created + timedelta(days=20 + 90 * done), AS_OF)
            grades = {
                "display_name": None if place % 3 == 0 else odd,
                "percent_grade": f"{done:.2f}",
                "letter_grade": "Pass" if is_passed else "",
                "passed_timestamp": f"{passed:%Y-%m-%d %H:%M:%S}" if is_passed else None,
                "last_date": f"{AS_OF:%Y-%m-%d}",
            }
            found["grades"].append(who | grades)
            mode = list(ODD.values())[(place + number) % len(ODD)]
            found["enrollments"].append(
                who | {"is_active": True, "mode": mode, "created": f"{created:%Y-%m-%d %H:%M}"}
            )
            found["completion"].append(who | {"completion": f"{done:.2f}"})
    return found


@contextmanager
def platform_of(found: dict[str, list[dict[str, object]]]) -> Iterator[Platform]:
    """Yield a platform that sends these records, as of `AS_OF`."""
    bodies = {name: json.dumps(rows).encode() for name, rows in found.items()}
    date = f"{AS_OF:%a, %d %b %Y %H:%M:%S} GMT"

    def answer(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rstrip("/").rpartition("/")[2]
        return httpx.Response(200, stream=httpx.ByteStream(bodies[name]), headers={"Date": date})

    known = settings(base_url="https://platform.example.com", token="a-token-of-nobody")
    with Platform(known, transport=httpx.MockTransport(answer)) as platform:
        yield platform


def odd_snapshot(folder: Path) -> tk.Snapshot:
    """Take a snapshot of the odd learners, with their usernames."""
    with platform_of(records()) as platform:
        return tk.take_snapshot(platform, folder, identities="keep", key=secrets.token_hex(32))

"""What a crawl brings home besides text: menus, keyword spam, chatter, code, noise. All of it is written here.

Each function draws one page from a `Random`; the words are few, the sentences are ours, and no page of a real site is
copied.
"""

from __future__ import annotations

import base64
from random import Random

from lmlab.assets import asset

LANGUAGES = ("german", "spanish", "arabic", "chinese", "hindi")
_MENU = (
    "Home|About us|Contact|Login|Register|My account|Cart (0)|Checkout|Help|Sitemap|Privacy|Terms of use|Cookies|"
    "Newsletter|Careers|Press|Imprint|Search|Next »|« Previous|Back to top|Share|Tweet|Print|Read more…|Show all|"
    "Sort by price|Sort by date|Filter|12 comments|Reply|Report|Follow us|Download|Subscribe|RSS|English|Deutsch"
).split("|")
_GOODS = "shoes phones pills watches loans mattresses tickets batteries printers holidays insurance sofas".split()
_PRAISE = "cheap best discount buy free online top quality review sale deal fast shipping 2024 near me price".split()
_PROMISES = (
    "Are you looking for the best {a}? Look no further.",
    "In this article we will talk about {a} and everything that you need to know about {a}.",
    "There are many reasons why {a} are so popular these days, and here is the truth about them.",
    "First of all, it is important to know that not all {a} are the same.",
    "Experts agree that choosing the right {a} can change your life, and so can {b}.",
    "But what about {b}? Many people ask this question, and the answer may surprise you.",
    "At the end of the day, {a} are {a}, and you deserve the very best of them.",
    "We hope that this guide to {a} was of help to you. Do not forget to share it with your friends.",
    "Thousands of happy customers have already said yes to our {a}, and you could be the next.",
    "When it comes to {b}, one thing is for sure: you get what you pay for.",
)
_CHATTER = (
    "lol same here, did u ever find a fix for the {a} thing??",
    "bump. anyone?",
    "i tried that and it did not work for me, idk what to do with my {a} now",
    "thx that worked!!! you are the best",
    "^ this. my cousin had it with {b} and he just turned it off and on again haha",
    "can some 1 please help me its urgent, my {a} are broken and i dont have the money for {b}",
    "not sure if this is the right place to ask but what do you guys think of {a}",
    "first!!",
    "this has been posted like a hundred times, use the search and stop asking about {a}",
    "ok so i read all of the posts and i still have no idea, can you post a pic of the {b}",
)
_BAD_HOSTS = ("casino-royal", "hot-dates", "free-pills", "warez-box", "win-a-phone", "poker-king")
_GOOD_HOSTS = ("docs.example.org", "manual.example.net", "mirror.example.com", "wiki.example.edu", "notes.example.io")
_LURES = (
    "Members of the club have found that the evening is the best time to play, and that the house is kind to them.",
    "You will be asked for your name and for the number of your card, and then the fun can begin.",
    "It is said that he who waits for luck waits long, so come to our tables and have it find you.",
    "The offer is good for today, and it will not be there for you tomorrow.",
    "Many of those that join us have never had to work with numbers, and they do not have to here.",
    "There is a room for every taste, and a host who will be glad to have you as a guest.",
    "All that you need to do is to sign in and to tell us that you are of age.",
    "The winners of the week have been told, and their names will be read to the guests at midnight.",
)


def navigation(rng: Random) -> str:
    """A menu, a list of links, the same again at the foot."""
    top = rng.sample(_MENU, 12)
    middle = [f"{rng.choice(_GOODS).title()} ({rng.randint(2, 900)})" for _ in range(rng.randint(8, 25))]
    lines = [*top, *(f"• {line}" if rng.random() < 0.5 else line for line in middle), *top]
    return "\n".join([*lines, f"© {rng.randint(2004, 2024)} All rights reserved"])


def spam(rng: Random) -> str:
    """The words that people search for, again and again."""
    goods = rng.sample(_GOODS, 2)
    phrases = [f"{rng.choice(_PRAISE)} {rng.choice(goods)} {rng.choice(_PRAISE)}" for _ in range(rng.randint(40, 90))]
    return "\n".join(" ".join(phrases[i : i + 8]) for i in range(0, len(phrases), 8))


def low_quality(rng: Random, taken: str) -> str:
    """English that says little: an article made for search engines, a thread of chatter, or somebody else's page,
    `taken` and stuffed with promises."""
    a, b = rng.sample(_GOODS, 2)
    kind = rng.randrange(3)
    lines = [rng.choice(_CHATTER if kind == 1 else _PROMISES).format(a=a, b=b) for _ in range(rng.randint(10, 20))]
    if kind == 0:
        return "\n\n".join(" ".join(lines[i : i + 3]) for i in range(0, len(lines), 3))
    if kind == 1:
        return "\n".join(f"{rng.choice(_GOODS)}{rng.randint(1, 99)}: {line}" for line in lines)
    parts = taken[:700].split("\n")
    for line in lines[: rng.randint(3, 8)]:
        parts.insert(rng.randrange(len(parts) + 1), line)
    return "\n".join(parts)


def lure(rng: Random) -> str:
    """Clean sentences from an address that no one should learn from."""
    return "\n\n".join(" ".join(rng.sample(_LURES, 3)) for _ in range(rng.randint(3, 6)))


def line_noise(rng: Random) -> str:
    """An attachment, a table of numbers, or a file shown in the wrong encoding."""
    size = rng.randint(500, 1_200)
    kind = rng.randrange(3)
    if kind == 0:
        encoded = base64.b64encode(rng.randbytes(size)).decode("ascii")
        return "\n".join(encoded[i : i + 76] for i in range(0, len(encoded), 76))
    if kind == 1:
        return "\n".join(" ".join(f"{rng.gauss(0, 100):.3f}" for _ in range(8)) for _ in range(size // 60))
    return "".join(chr(rng.choice((rng.randint(0xC0, 0x17F), rng.randint(0x21, 0x40), 32))) for _ in range(size))


def foreign(rng: Random) -> str:
    """Some sentences of another language, in an order of their own."""
    language = rng.choice(LANGUAGES)
    text = asset(f"texts/{language}.txt").read_text(encoding="utf-8")
    stop = {"chinese": "。", "hindi": "।"}.get(language, ".")
    sentences = [s.strip() + stop for s in text.replace("\n", " ").split(stop) if s.strip()]
    return " ".join(rng.sample(sentences, min(len(sentences), rng.randint(5, 9))))


def near_copy(text: str, rng: Random) -> str:
    """The same page on another site: its own header and footer, and a word changed here and there."""
    words = text.split(" ")
    for i in rng.sample(range(len(words)), max(1, len(words) // 120)):
        words[i] = rng.choice(_GOODS)
    return f"{' | '.join(rng.sample(_MENU, 4))}\n\n{' '.join(words)}\n\nMirrored on {rng.randint(1, 28)} May."


def address(rng: Random, topic: str, *, bad: bool = False) -> str:
    """A URL that nobody has: its hosts are reserved for examples, or invented."""
    host = f"www.{rng.choice(_BAD_HOSTS)}{rng.randint(1, 99)}.example" if bad else rng.choice(_GOOD_HOSTS)
    return f"https://{host}/{topic}/{rng.randrange(16**6):06x}"

"""What an HTML text is made of, to hold true that what a model writes is never part of it."""

from __future__ import annotations

from html.parser import HTMLParser

TAGS = {"div", "span", "pre", "code", "details", "summary", "table", "thead", "tbody", "tr", "th", "td"}
HOSTILE = (
    "<script>alert(1)</script></pre></div><img src=x onerror=alert(1)> \" onclick='x' &lt;b&gt; "
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 $x$ \\(y\\) \u202edesrever"
)


class _Parts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.depth = 0
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.depth += 1

    def handle_endtag(self, tag):
        self.depth -= 1

    def handle_data(self, data):
        self.text += data


def text_of(html: str) -> str:
    """The text that HTML shows. Fails where there is more in it than our own inert elements, all of them closed."""
    parts = _Parts()
    parts.feed(html)
    parts.close()
    assert parts.tags <= TAGS, parts.tags - TAGS
    assert parts.attributes <= {"style", "class"}, parts.attributes
    assert parts.depth == 0
    assert not {character for character in html if ord(character) < 32 and character not in "\n\t"}
    return parts.text

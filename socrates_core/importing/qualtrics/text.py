"""Survey texts as Qualtrics stores them: HTML made plain, piped text filled in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

MAX_TEXT = 100_000
MAX_PIPES = 100  # pipes filled in one text, so that fields of fields cannot grow without end
MAX_WORDS = 10_000  # characters of one field
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_PIPE = re.compile(r"\$\{\s{0,3}(\w{1,10})://([^{}]{1,300})\}")
# Comments, and "<![if IE]>", which stops the parser.
_UNSPOKEN = re.compile(r"<!--.*?(?:-->|\Z)|<[!?][^<>]*>?", re.DOTALL)
_NO_TAG = re.compile(r"<(?![/a-zA-Z][^<>]*>)")  # the parser takes quadratic time on unclosed tags
_HIDDEN = {"script", "style", "head", "title", "template"}
_BREAKS = {
    "br",
    "p",
    "div",
    "li",
    "tr",
    "table",
    "ul",
    "ol",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "blockquote",
}
_SEEN_ONLY = {
    "img": "picture",
    "svg": "picture",
    "video": "video",
    "audio": "sound",
    "iframe": "embedded page",
}


@dataclass(frozen=True)
class Filled:
    """A text with its pipes filled; `unknown` are the pipes that became a bracketed word, such as "Field/Name"."""

    text: str
    unknown: tuple[str, ...] = ()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag in _BREAKS:
            self.parts.append("\n")
        elif tag in _SEEN_ONLY:
            description = " ".join((dict(attrs).get("alt") or "").split())[:200]
            self.parts.append(f" [{_SEEN_ONLY[tag]}{': ' + description if description else ''}] ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BREAKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def plain_text(html: object) -> str:
    """The words of an HTML text, a line for each paragraph, without tags, scripts or control characters.

    A picture, video or sound leaves a bracketed word with its description. Anything but text is empty.
    """
    if not isinstance(html, str):
        return "" if html is None or isinstance(html, bool | dict | list) else str(html)
    text = html[:MAX_TEXT].replace("\r", "\n")
    if "<" in text or "&" in text:
        reader = _Reader()
        reader.feed(_NO_TAG.sub("&lt;", _UNSPOKEN.sub(" ", text.replace("\n", " "))))
        reader.close()
        text = "".join(reader.parts)
    return _LINES.sub("\n", _SPACES.sub(" ", _CONTROL.sub("", text))).strip()


def fill_pipes(text: str, known: Mapping[str, str]) -> Filled:
    """The text with every `${e://Field/Name}` replaced by `known["Field/Name"]`.

    An unknown field becomes its last word in brackets. The answer to a question becomes that question's name, which
    `known` has under "q://" and its id.
    """
    unknown: list[str] = []

    def word(pipe: re.Match[str]) -> str:
        path = f"{pipe[1]}://{pipe[2]}".removeprefix("e://").strip()
        if path in known:
            return known[path][:MAX_WORDS]
        unknown.append(path)
        if path.startswith("q://"):
            question = "/".join(path.split("/")[:3])
            return f"[the answer to {known.get(question, question[4:])}]"
        return f"[{path.removeprefix('Field/').rsplit('/', 1)[-1]}]"

    return Filled(_PIPE.sub(word, text, count=MAX_PIPES)[:MAX_TEXT], tuple(dict.fromkeys(unknown)))

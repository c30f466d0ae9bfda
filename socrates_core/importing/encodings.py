"""Which encoding the texts of an old file are in, by the letters and signs that languages use most."""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

from socrates_core.errors import UserError

_SAMPLE = 200_000  # bytes of lines with other letters than ASCII
_SURE = 0.35  # below this score no language fits
_LATIN = {  # letters beyond a to z
    "fr": "éèêàâçùûôîïëœÉÈÀÇ",
    "de": "äöüßÄÖÜ",
    "es": "áéíóúñüÁÉÍÓÚÑ¿¡ºª",
    "pt": "ãõáéíóúâêôçàÁÉÃÇ",
    "it": "àèéìòùÈÀ",
    "sv": "åäöéÅÄÖ",
    "da": "åæøéÅÆØ",
    "nl": "ëïéèöüê",
    "pl": "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ",
    "cs": "áčďéěíňóřšťúůýžÁČĎÉĚÍŇÓŘŠŤÚŮÝŽ",
    "hu": "áéíóöőúüűÁÉÍÓÖŐÚÜŰ",
    "ro": "ăâîşţĂÂÎŞŢ",
    "hr": "čćđšžČĆĐŠŽ",
    "tr": "çğıöşüÇĞİÖŞÜ",
    "lt": "ąčęėįšųūžĄČĘĖĮŠŲŪŽāēģīķļņĀĒĢĪĶĻŅ",
}
_PUNCTUATION = "“”‘’„‚–—…«»°€ \u00ad§·"
_SCRIPTS = {  # the most frequent letters or signs; the range of the others
    "ru": ("оеаинтсрвлкмдпуяыьзО", "Ѐ", "ӿ"),
    "el": ("αοιετσνηυρπκλμςωδάέήίόύώ", "Ͱ", "Ͽ"),
    "he": ("יוהלאמרתבנשדקםעח", "֐", "׿"),
    "ar": ("اليمونرتبةعدسفهكحأق", "؀", "ۿ"),
    "th": ("านรกเอยงมลดวทสตปหคพไ่้ัิี็์ใมข", "฀", "๿"),
    "ja": (
        "日本人大一国年会中出生学上見行合自分間社者時事前手方業地今場長理体目下市家気入東部代動高作不満足男女"
        "性回答問番号無年齢職非常思言意味全然少多何度以",
        "ぁ",
        "ー",
    ),
    "zh": (
        "的一是不了在人有我他这中大来上国和地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方"
        "多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已"
        "工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产新己制身果加西斯月话合回特代"
        "内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安"
        "少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光"
        "放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运男编"
        "号满龄否拒答同意愿",
        "一",
        "龥",
    ),
    "zh-tw": (
        "的一是不了在人有我他這中大來上國和地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種事成方"
        "多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日者意無力它與長把機十民第公此已工"
        "使情明性知全三又關點正業外將兩高間由問很最重並物手應向頭文體政美相見被利什二等產新己制身果加西月話合回特代內信表化"
        "老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活更別打女變四神總何電數安少報才結"
        "反受目太量再感建務做接必場件計管期市直資命山金指許統區保至隊形社便空決治展科司五基眼書非則聽白卻界達光放強即像難且"
        "權思王象完設式色路記南品住告類求據程北邊男編號滿齡否拒答願",
        "一",
        "龥",
    ),
    "ko": (
        "이다는을가의에지하고한도사기나를은자로어시대아인그라해수리있서과정보일스부장제주들게전만거상것오여조공비성원"
        "우선구국유세신위마무면안동연방소경미적중분적입모물없연교내생학진재요강관간계실개단당번호질문매우만족름별남녀령답않습니"
        "까응잘통렇음용저더생각약거절",
        "가",
        "힣",
    ),
}
_WESTERN = ("fr", "de", "es", "pt", "it", "sv", "da", "nl")
_CENTRAL = ("pl", "cs", "hu", "ro", "hr", "de")
# Python's name, the name that readers of statistical files know, what a person calls it, and its languages. The usual
# ones come first, because the first of two that fit as well counts.
_ENCODINGS = (
    ("cp1252", "WINDOWS-1252", "Western European", _WESTERN),
    ("cp1250", "WINDOWS-1250", "Central European", _CENTRAL),
    ("cp1254", "WINDOWS-1254", "Turkish", ("tr",)),
    ("cp1257", "WINDOWS-1257", "Baltic", ("lt",)),
    ("cp1251", "WINDOWS-1251", "Cyrillic", ("ru",)),
    ("cp1253", "WINDOWS-1253", "Greek", ("el",)),
    ("cp1255", "WINDOWS-1255", "Hebrew", ("he",)),
    ("cp1256", "WINDOWS-1256", "Arabic", ("ar",)),
    ("cp874", "CP874", "Thai", ("th",)),
    ("cp932", "CP932", "Japanese (Shift JIS)", ("ja",)),
    ("euc_jp", "EUC-JP", "Japanese (EUC)", ("ja",)),
    ("gb18030", "GB18030", "simplified Chinese", ("zh",)),
    ("big5", "BIG5", "traditional Chinese", ("zh-tw",)),
    ("cp949", "CP949", "Korean", ("ko",)),
    ("koi8_r", "KOI8-R", "Cyrillic (KOI8)", ("ru",)),
    ("cp866", "CP866", "Cyrillic (DOS)", ("ru",)),
    ("iso8859_2", "ISO-8859-2", "Central European (ISO)", _CENTRAL),
    ("mac_roman", "MACINTOSH", "Western European (Macintosh)", _WESTERN),
    ("cp850", "CP850", "Western European (DOS)", _WESTERN),
)
NAMES = ("utf-8", "utf-16", "latin-1", *(encoding for encoding, _, _, _ in _ENCODINGS))


@dataclass(frozen=True)
class Encoding:
    """An encoding: Python's name, the name that readers of statistical files know, and what a person calls it."""

    name: str
    iconv: str
    title: str


WESTERN = Encoding("cp1252", "WINDOWS-1252", "Western European")


def named_encoding(name: str) -> Encoding:
    """The encoding that a person names, in any spelling. Raises UserError for one that is not known."""
    try:
        known = codecs.lookup(name.strip())
        "a".encode(known.name)  # raises LookupError for a codec that is no encoding of text, such as rot13
    except (LookupError, ValueError) as error:
        listed = ", ".join(NAMES)
        raise UserError(f"There is no text encoding {name!r}. Name one such as {listed}.") from error
    for encoding, iconv, title, _ in _ENCODINGS:
        if codecs.lookup(encoding).name == known.name:
            return Encoding(encoding, iconv, title)
    return Encoding(known.name, known.name.upper().replace("_", "-"), known.name.upper())


def guess_encoding(content: bytes) -> Encoding | None:
    """The encoding of a text that is not UTF-8; None if no language fits, or if there is nothing but ASCII."""
    if b"\x1b$" in content or b"\x1b(" in content:
        return Encoding("iso2022_jp", "ISO-2022-JP", "Japanese (JIS)")
    sample = b"\n".join(line for line in re.split(rb"[\r\n]+", content) if re.search(rb"[\x80-\xff]", line))
    best, chosen = _SURE, None
    for name, iconv, title, languages in _ENCODINGS:
        try:
            text = sample[:_SAMPLE].decode(name)
        except UnicodeDecodeError as error:
            # The sample may end within a character of several bytes.
            if len(sample) <= _SAMPLE or error.start < _SAMPLE - 4:
                continue
            text = sample[: error.start].decode(name)
        for language in languages:
            if (score := _score(text, language)) > best + 0.01:
                best, chosen = score, Encoding(name, iconv, title)
    return chosen


def is_nearly_utf8(content: bytes) -> bool:
    """Whether the text is UTF-8 but for a few damaged characters, such as a cell that was cut within one."""
    text = content.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = sum(sign > "\x7f" for sign in text) - bad
    return good >= 20 * bad


def _score(text: str, language: str) -> float:
    """How well the letters beyond ASCII fit a language: 1 if all are usual in it, below 0 if hardly any is."""
    total = 0.0
    n = 0
    for word in re.findall(r"[^\W\d_]+|[^\x00-\x7f]", text):
        other = [sign for sign in word if sign > "\x7f"]
        n += len(other)
        total += sum(_weights(word, other, language))
    return total / n if n else 0.0


def _weights(word: str, other: Sequence[str], language: str) -> list[float]:
    if all(sign in _PUNCTUATION for sign in other):
        return [0.9] * len(other)
    torn = (
        re.search(r"[^\W\d_A-Z]", word) and not word.istitle() and not word.islower() and not word.isupper()
    )
    if language in _LATIN:
        lone = len(word) > 1 and len(other) == len(word)
        usual = _LATIN[language]
        return [(-1.0 if torn or lone else 1.0) if sign in usual else -1.0 for sign in other]
    frequent, low, high = _SCRIPTS[language]
    mixed = len(other) < len(word) or (torn and language in ("ru", "el"))
    syllables = language == "ja"

    def weight(sign: str) -> float:
        if sign in frequent or (syllables and "ぁ" <= sign <= "ー"):
            return 1.0
        if low <= sign <= high or (syllables and "一" <= sign <= "龥"):
            return 0.3
        return 0.3 if "\u3000" <= sign <= "〟" or "！" <= sign <= "～" else -1.0

    return [-0.5 if mixed and language in ("ru", "el", "he", "ar") else weight(sign) for sign in other]

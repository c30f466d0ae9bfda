"""Labels that as a whole mean no answer: "Refused", "97. Don't know", "keine Angabe".

A word inside a label is not enough: "Refuse the offer" is an answer. So are "Refuse" and "Not sure", and words that
some languages use on scales ("trifft nicht zu").
"""

import re
from collections.abc import Mapping

_WHOLE = r"""
# English
(?:i )?(?:would |i'd )?(?:prefer|rather|choose|chose|wish|want) not(?: to)?(?: this| the question| this question)?
(?:i )?(?:would |i'd )?(?:prefer|rather|choose|chose|wish|want) not(?: to)? (?:say|tell|disclose|share|state)(?: this)?
(?:i )?(?:would |i'd )?(?:prefer|rather|choose|chose|wish|want) not(?: to)? (?:answer|respond|reply)(?: this question)?
(?:i )?(?:do not|don't|dont|did not|didn't) (?:know|want to (?:say|tell|answer|respond))(?: the answer)?
(?:i )?(?:can't|cannot|can not) (?:say|answer|choose|decide)
(?:i |respondent )?(?:did not|didn't) (?:answer|respond|reply)
(?:respondent )?skipped(?: by respondent)?
do not wish to (?:say|answer|respond)
d/?k
d\.k\.
rf
n/?a
n\. ?a\.?
dk ?/ ?n[ar]
refused(?: to (?:answer|say|respond|state))?
refusal
declined(?: to (?:answer|say|respond|state))?
(?:refuse|decline) to (?:answer|say|respond|state)
no (?:answer|response|reply|data|information)(?: given| provided)?
not (?:applicable|answered|ascertained|available|given|presented|reported|shown|stated|provided|disclosed)
(?:question )?not asked(?: in (?:this )?(?:survey|country|wave|split|version))?
(?:niu|not in (?:the )?universe)
(?:logical|valid|legitimate|legit) skip
(?:dk|don't know|rf|ref|na) ?/ ?(?:dk|rf|ref|na|refused)(?: ?/ ?(?:dk|rf|ref|na|refused))?
ref
iap
web blank
(?:other|all other) missing
no (?:pre-?election|post-?election) (?:interview|data).{0,60}
technical error
interview break-?off.{0,60}
tnz(?:: ?split)?
missing(?: value| data| answer)?
(?:system|user)[ -]missing
inap(?:p|plicable)?\.?(?: not asked)?
left blank
unanswered
non-?response
item non-?response
seen but (?:un|not )answered
unknown
# German
keine? (?:angaben?|antwort)(?: gemacht)?
k\.? ?a\.?
(?:ich )?wei(?:ß|ss)(?: ich| es)?(?: es)? nicht
(?:antwort )?verweigert
nicht (?:erhoben|gefragt|beantwortet|anwendbar)
fehlend(?:er wert)?
entfällt
(?:das )?möchte (?:ich )?(?:nicht|lieber nicht) (?:sagen|beantworten|antworten)
(?:das )?kann ich nicht (?:sagen|beurteilen|beantworten)
nicht generierbar
datenfehler
# Spanish
no (?:lo )?(?:sabe|sé|se)
no (?:contesta|contestó|responde|respondió|aplica|procede|sabe no contesta)
n\.?s\.?[ /-]*n\.?[cr]\.?
prefiero no (?:decir|contestar|responder)(?:lo)?
sin respuesta
(?:rechaza|se niega a) (?:contestar|responder)
sin datos?
# French
(?:je )?ne sai[st] pas
ne se prononce pas
nspp?
nsp ?/ ?nr
sans (?:réponse|objet|avis)
pas de réponse
aucune réponse
non[ -]réponse
refus de répondre
(?:je )?préf[èe]re ne pas (?:répondre|dire|le dire)
(?:je )?ne (?:souhaite|veut|veux) pas (?:répondre|le dire)
non (?:applicable|concernée?)
# Italian, Portuguese
non (?:so|sa|lo so|risponde|risposta|applicabile)
nessuna risposta
preferisco non (?:rispondere|dire|dirlo)
rifiut[ao] di rispondere
não (?:sabe|sei|responde|respondeu|se aplica|aplicável)
prefiro não (?:responder|dizer)
sem resposta
recus(?:a|ou) responder
# Dutch, Swedish, Norwegian, Danish, Finnish
weet (?:ik )?(?:het )?niet
geen (?:antwoord|opgave)
(?:wil|zeg) (?:ik )?(?:liever )?niet(?: zeggen)?
geweigerd
niet van toepassing
n\.?v\.?t\.?
vet (?:jag )?(?:ej|inte|ikke)
ved ikke
inget svar
intet svar
ej svar
ikke (?:svar|besvart|relevant|aktuelt)
ubesvar[et]t?
uoppgitt
(?:vill|ønsker) (?:ej|inte|ikke) (?:å |at )?svar[ae]?
en osaa sanoa
ei vastausta
en halua sanoa
# Polish, Czech, Hungarian, Turkish, Russian
nie wiem
odmowa(?: odpowiedzi)?
brak (?:odpowiedzi|danych)
nie dotyczy
trudno powiedzieć
nevím
neví
bez odpovědi
nem tudja
nem tudom
nem válaszol
bilmiyor(?:um)?
cevap yok
cevap vermek istemiyorum
не знаю
затрудняюсь ответить
отказ(?: от ответа)?
нет ответа
неприменимо
# Greek, Hebrew, Arabic, Romanian, Croatian, Serbian, Bulgarian, Ukrainian
δεν (?:ξέρω|γνωρίζω|απαντώ|απάντησε)
δξ ?/ ?δα
(?:אני )?לא יוד(?:ע|עת)(?:/ת)?
מסר(?:ב|בת)(?: לענות)?
(?:لا أعرف|لا اعرف)
(?:رفض|أرفض) الإجابة
nu (?:știu|stiu|știe|răspunde|raspunde)
ne znam
bez odgovora
не зная
без отговор
не знаю
важко відповісти
# Indonesian, Vietnamese, Thai, Filipino, Hindi, Swahili
tidak (?:tahu|menjawab)
không biết
không trả lời
ไม่ทราบ
ไม่ตอบ
hindi (?:alam|sumagot)
(?:पता|मालूम) नहीं
sijui
# Chinese, Japanese, Korean
不知道
不清楚
拒絕回答
无法回答
無法回答
拒绝回答
拒答
不适用
不適用
无回答
未回答
わからない
分からない
無回答
答えたくない
非該当
(?:잘 )?모르겠(?:다|음|습니다)
모름
무응답
응답 ?거절
"""
_PATTERNS = [line for line in _WHOLE.splitlines() if line and not line.startswith("#")]
_NO_ANSWER = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))
_EDGES = " \t.:*-–—<>\"'“”"
_WITH_OTHERS = (
    "not sure",
    "unsure",
    "vol",
    "volunteered",
    "spontaneous",
    "no opinion",
    "keine meinung",
    "fikrim yok",
)  # alone they are answers
_LED = re.compile(r"^[\[(]?-?\d{1,5}[\])]?\s*[-–—:.=)]*\s+(?=\D)")  # "97. ", "(-9) "
_PARTS = re.compile(r"\s*(?:/|;|,|:|・|、|\bor\b|\band\b|\boder\b|\bund\b|\bou\b|\bo\b|\bof\b)\s*")


def is_no_answer(label: str) -> bool:
    """Whether the whole label means no answer, in one of the languages above."""
    text = " ".join(re.sub("[’‘´`]", "'", label).casefold().split())
    text = _LED.sub("", text)
    outside = re.sub(r"[(\[{][^()\[\]{}]*[)\]}]", " ", text).strip(_EDGES)
    if outside:  # brackets only say when or how: "Refused (VOL.)", "Don't know (FTF only)"
        return _means_none(" ".join(outside.split()))
    pieces = [piece.strip(_EDGES) for piece in re.split(r"[()\[\]{}]", text)]
    no_answer = [_means_none(piece) for piece in pieces if piece and piece not in _WITH_OTHERS]
    return len(no_answer) > 0 and all(no_answer)


def _means_none(text: str) -> bool:
    if _NO_ANSWER.fullmatch(text):
        return True
    parts = [part.strip(_EDGES) for part in _PARTS.split(text)]  # "Don't know / not sure"
    no_answer = [bool(_NO_ANSWER.fullmatch(part)) for part in parts if part and part not in _WITH_OTHERS]
    return len(parts) > 1 and len(no_answer) > 0 and all(no_answer)


def no_answers(labels: Mapping[str, str]) -> tuple[str, ...]:
    """The cells whose label means no answer; none if fewer than two answers would be left.

    "Accepted" and "Refused" are two answers.
    """
    cells = tuple(cell for cell, label in labels.items() if is_no_answer(label))
    return cells if len(labels) - len(cells) >= 2 or len(cells) == len(labels) else ()

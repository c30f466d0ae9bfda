"""Texts that want to be code, in every place that people or files can write, on every page of the real browser."""

import io
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlencode

from playwright.sync_api import Browser, Dialog, Page, Request, expect

from socrates_core.asking.request import ModelRequest
from socrates_core.corpus import open_corpus
from socrates_core.evaluations.submission import submit_evaluation
from socrates_core.importing.uploads import keep_files
from socrates_core.jobs import store
from socrates_core.populations.margins import keep_margins
from socrates_core.projects import drafts
from socrates_core.projects.experiments import Specification, submit_experiment
from socrates_core.projects.paraphrases import Paraphrase
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.surveys.draft import ConditionSpec, OutcomeSpec
from socrates_core.surveys.start import draft_from_study
from tests.support.browser import IN_BROWSER
from tests.support.commands import command
from tests.support.drafts import make_draft
from tests.support.jobs import finish_jobs
from tests.support.pages import STUDY_VIEWS
from tests.support.servers import free_port, serve
from tests.support.small_corpora import small_corpus, two_arms
from tests.support.waiting import PATIENCE

pytestmark = IN_BROWSER
ELSEWHERE = "http://evil.invalid"
XSS = [
    "<script>alert('a')</script>",
    "<img src=x onerror=alert('b')>",
    "<svg/onload=alert('c')>",
    '"><iframe srcdoc="<script>parent.alert(\'d\')</script>"></iframe>',
    "[click](javascript:alert('e'))",
    f"![]({ELSEWHERE}/pixel.png) <img src={ELSEWHERE}/pixel2.png>",
    "<a href=\"javascript:alert('f')\" onmouseover=alert('g')>x</a>",
    "{{constructor.constructor('alert(1)')()}} ${alert('h')}",
    "$\\href{javascript:alert('i')}{x}$ :material/delete:",
    f"<style>@import url({ELSEWHERE}/x.css)</style><link rel=stylesheet href={ELSEWHERE}/y.css>",
    "</textarea></script><script>alert('j')</script>",
    "<details open ontoggle=alert('k')>",
    "'-alert('l')-' \\'-alert('m')//",
    "<math><mtext></p><style><img src=x onerror=alert('n')></style>",
]
ALL = " ".join(XSS)
RUN_BY_NOW = """() => [...document.querySelectorAll(
  '[onerror],[onload],[ontoggle],[onmouseover],a[href^="javascript:"],iframe[srcdoc],[src*="evil.invalid"]')]
  .map(each => each.outerHTML.slice(0, 200))"""


def hostile_home(home: Path) -> list[str]:
    """Fills the home with hostile texts and returns the links of all pages that show them."""
    rows = [
        {**row, "text": f"{row['condition']} {ALL}", "question": f"How much? {ALL}"} for row in two_arms(16)
    ]
    small_corpus(
        "mine", rows, title=ALL, topic=ALL, source=ALL, url="javascript:alert(1)", licence=ALL, notes=[ALL]
    )
    own = draft_from_study(open_corpus("mine"), "one")
    made = make_draft(
        title=ALL,
        conditions=(ConditionSpec(name=XSS[1], text=ALL), ConditionSpec(name=XSS[2], text=f"b {ALL}")),
        outcomes=(OutcomeSpec(name=XSS[3], question=ALL),),
    )
    ids = [drafts.create(draft) for draft in (own, made)]
    drafts.keep_version(ids[1], made, ALL)
    drafts.DRAFTS.delete(drafts.create(made))
    pairs = zip((own, made), ids, strict=True)
    runs = [submit_simulation(draft, ModelRequest("echo"), draft_id=each).id for draft, each in pairs]
    words = [Paraphrase(name=XSS[0], outcomes={XSS[3]: f"{ALL} Again?"})]
    tried = [Specification(ModelRequest("echo"), "as written", each) for each in ("as written", XSS[0])]
    experiment = submit_experiment(made, tried, paraphrases=words)
    evaluation = submit_evaluation(ModelRequest("echo"), corpus="mine", studies=["one"], cap=4, seed=0)
    finish_jobs()
    failed = store.submit("simulate", ALL, {"run_id": ALL}, key="x")
    claimed = store.claim_next()
    assert claimed is not None and claimed.id == failed.id
    store.finish(claimed, "failed", ALL)
    (failed.path / "log.txt").write_text(f"2026-01-01T00:00:00 ERROR {ALL}\n")
    model = home / "models" / "<img src=x onerror=alert('o')>"
    model.mkdir(parents=True)
    (model / "config.json").write_text('{"model_type": "<script>alert(1)</script>"}')
    (home / "models" / "plain").mkdir()
    card = '{"title": "<img src=x onerror=alert(1)>", "source": "<script>alert(1)</script>"}'
    (home / "models" / "plain" / "card.json").write_text(card)
    keep_margins(
        "people.csv", b"field,category,share\ngender,<img src=x onerror=alert(1)>,0.5\ngender,Male,0.5\n"
    )
    table = f'id,"{XSS[1]}",q\n' + "".join(f'{n},"{XSS[n % 2]}",{n % 7 + 1}\n' for n in range(20))
    upload = keep_files([("answers.csv", io.BytesIO(table.encode()))])
    study = [("study", {"corpus": "mine", "study": "one", "study_view": view}) for view in STUDY_VIEWS]
    pages: list[tuple[str, dict[str, str]]] = [
        ("", {}),
        *study,
        ("map", {}),
        ("import_study", {"upload": upload.upload_id}),
        ("draft", {}),
        *[("draft", {"draft": each}) for each in ids],
        *[("results", {"run": each}) for each in runs],
        ("compare_runs", {"runs": f"{runs[1]},{experiment.run_ids[1]}"}),
        ("compare", {"evaluations": evaluation.id}),
        ("experiment", {"experiment": experiment.experiment_id}),
        ("power", {"run": runs[1]}),
        ("launch", {}),
        ("finetunes", {}),
        ("models", {}),
        ("models", {"model": "plain"}),
        ("jobs", {"job": failed.id}),
        *[("storage", {"kind": kind}) for kind in ("draft", "model")],
        *[
            (page, {name: ALL})
            for page, name in (
                ("study", "study"),
                ("draft", "draft"),
                ("results", "run"),
                ("compare", "evaluations"),
                ("jobs", "job"),
                ("experiment", "experiment"),
                ("models", "model"),
                ("storage", "kind"),
                ("map", "corpora"),
                ("", "words"),
            )
        ],
    ]
    return [f"{page}?{urlencode(told, quote_via=quote)}" for page, told in pages] + [runs[1]]


def look(page: Page, link: str, ran: list[str]) -> None:
    page.goto(link)
    expect(page.get_by_test_id("stMain").locator("h1, textarea, [data-testid=stAlert]").first).to_be_visible()
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    for tab in page.get_by_role("tab").all()[1:]:
        tab.click()
    closed = page.locator("details:not([open]) > summary")
    for _ in range(20):
        if not (n_closed := closed.count()):
            break
        closed.first.click()
        with suppress(AssertionError):  # a page that is drawn again closes what was opened
            expect(closed).not_to_have_count(n_closed, timeout=3000)
    expect(closed).to_have_count(0)
    page.wait_for_timeout(100)
    assert page.get_by_test_id("stException").count() == 0, link
    assert not ran and page.evaluate(RUN_BY_NOW) == [], (link, ran)


def test_no_text_becomes_code_on_any_page(quiet_home: Path, tmp_path: Path, browser: Browser) -> None:
    *links, run_id = hostile_home(quiet_home)
    command("report", run_id, "--output", str(tmp_path / "report"))
    served = serve(port := free_port())
    page, ran = browser.new_page(), list[str]()
    page.set_default_timeout(PATIENCE * 1000)

    def stop(dialog: Dialog) -> None:
        ran.append(dialog.message)
        dialog.dismiss()

    def note(request: Request) -> None:
        ran.extend([request.url] if request.url.startswith(ELSEWHERE) else [])

    page.on("dialog", stop)
    page.on("request", note)
    for link in links:
        look(page, f"http://localhost:{port}/{link}", ran)
    reports = list((tmp_path / "report").rglob("*.html"))
    assert reports
    for report in reports:
        page.goto(report.as_uri())
        page.wait_for_timeout(300)
        assert not ran and page.evaluate(RUN_BY_NOW) == [], (report, ran)
    page.set_content(ALL)  # what the texts do where nothing stops them
    page.wait_for_timeout(300)
    assert ran and page.evaluate(RUN_BY_NOW)
    served.terminate()
    served.wait(PATIENCE)

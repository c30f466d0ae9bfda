"""Figures as files for papers: SVG and PNG on white, drawn by the machine's own Chrome or Chromium."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import plotly.graph_objects as go

from socrates_core.errors import UserError

FORMATS = ("svg", "png")


def to_svg_png(figure: go.Figure, *, width: int = 900) -> dict[str, bytes]:
    """The figure as {"svg": ..., "png": ...} on white, `width` pixels wide (the PNG at twice that).

    Nothing is fetched from the network. Raises UserError if no Chrome or Chromium is found or it fails.
    """
    printed = go.Figure(figure).update_layout(paper_bgcolor="white", plot_bgcolor="white", width=width)
    # A thread of its own, because the caller's may already run an event loop.
    with ThreadPoolExecutor(max_workers=1) as one:
        return one.submit(asyncio.run, _drawn(printed)).result()


async def _drawn(figure: go.Figure) -> dict[str, bytes]:
    import kaleido
    from kaleido.errors import BrowserClosedError, BrowserFailedError, ChromeNotFoundError, KaleidoError

    # By default kaleido's page loads MathJax from the internet.
    page = kaleido.PageGenerator(mathjax=False)
    try:
        async with kaleido.Kaleido(page_generator=page) as printer:
            return {
                suffix: await printer.calc_fig(
                    figure, opts={"format": suffix, "scale": 1 + (suffix == "png")}
                )
                for suffix in FORMATS
            }
    except ChromeNotFoundError as error:
        raise UserError(
            "Saving a figure as SVG or PNG needs Chrome or Chromium, and neither was found. Install one "
            "(on Debian: apt-get install chromium) or set BROWSER_PATH to it, or save the figure with the camera in "
            "its corner."
        ) from error
    except (BrowserFailedError, BrowserClosedError, KaleidoError, TimeoutError) as error:
        reason = str(error)[:200] or "it took too long"
        raise UserError(f"The browser that draws figures failed ({reason}). Try again.") from error

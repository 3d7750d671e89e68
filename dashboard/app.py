"""The dashboard: streamlit run dashboard/app.py, by way of `make dashboard`."""

from __future__ import annotations

import duckdb
import streamlit as st

from dashboard import accounts, closed_loop, overview, quality, response, segments, voices
from dashboard.filters import choose, period_label
from dashboard.published import Published
from orchestration.settings import Settings

PAGES = {
    "Overview": overview,
    "Segments": segments,
    "Voices": voices,
    "Closed loop": closed_loop,
    "Accounts": accounts,
    "Response": response,
    "Quality": quality,
}
# How often an open page looks whether there is a new publication.
LOOK_EVERY_SECONDS = 30


def main() -> None:
    """Draw the page that the address names, from the file that is published now."""
    st.set_page_config(page_title="NPS", layout="wide")
    served = Settings.from_env().serving
    if not served.exists():
        st.info("Nothing is published yet: `make demo` or `make run` does it.")
        return
    # In the address like every filter; a path of its own per page would make the browser ask for what is not there.
    name = st.sidebar.radio("Page", list(PAGES), key="page", bind="query-params")
    st.title(name)
    with Published(served) as published:
        follow(published.publication_id)
        try:
            filters = choose(published)
            if PAGES[name] is not quality:  # what is about the data is of no period
                st.markdown(f"**{period_label(filters.grain, filters.start, filters.end)}**")
            PAGES[name].show(published, filters)
        except duckdb.CatalogException as error:
            st.error(f"The published file is of another version of the code; the next run renews it. {error}")
        st.caption(f"Publication {published.publication_id}, {published.published_at:%Y-%m-%d %H:%M} UTC")


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def follow(publication_id: str) -> None:
    """Draw an open page anew when another publication has replaced the one it shows."""
    with Published(Settings.from_env().serving) as latest:
        if latest.publication_id != publication_id:
            st.rerun()


if __name__ == "__main__":
    main()

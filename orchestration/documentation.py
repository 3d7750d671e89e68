"""The documentation as one site of plain files, which needs no network and no server.

Made from the Markdown of the repository, the published file (tables, comments, metrics_catalog), the dbt manifest
(owners, examples, metrics) and the comments of macros/statistics.sql: nothing is written here that stands elsewhere.
"""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import jinja2
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from orchestration.served_file import named_rows
from orchestration.settings import DBT_PROJECT_DIR, ROOT, Settings

TEMPLATES = Path(__file__).parent
# Markdown outside docs/, by the page it becomes.
PAGES = {
    "index": ROOT / "README.md",
    "decisions": DBT_PROJECT_DIR / "DECISIONS.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "changelog": ROOT / "CHANGELOG.md",
}
# Steps of the README that people look for by name.
README_STEPS = ("Your own file", "Add a segment", "Edit the themes", "Change a threshold, exclude an answer")
STATISTICS = DBT_PROJECT_DIR / "macros" / "statistics.sql"


@dataclass(frozen=True)
class Page:
    """A page of the site: its file, as every other page names it, and what it shows as HTML."""

    url: str
    title: str
    content: str
    is_prose: bool = True


def write_site(settings: Settings, folder: Path) -> Path:
    """Write the site into `folder`, in the place of an earlier one; its first page.

    Raises:
        ConfigError: nothing is published.
    """
    served = settings.published_file()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "images", folder / "images")
    manifest = json.loads((settings.dbt_target / "manifest.json").read_text(encoding="utf-8"))
    tables = read_tables(served, manifest)
    how_tos = [_markdown_page(path.stem, path) for path in sorted((ROOT / "docs").glob("*.md"))]
    texts = [_markdown_page(name, path) for name, path in PAGES.items()]
    start, *reference = texts
    statistics = _statistics_page(tables)
    metrics = _metrics_page(json.loads((settings.dbt_target / "semantic_manifest.json").read_text(encoding="utf-8")))
    table_pages = [_table_page(table) for table in tables]
    menu = {
        "Start": [("Overview", start.url)],
        "How to": [
            *((name, f"{start.url}#{anchor(name)}") for name in README_STEPS),
            *((page.title, page.url) for page in how_tos),
        ],
        "Why it is so": [("Statistics", statistics.url), *((page.title, page.url) for page in reference)],
        "Generated": _copy_generated(settings, folder),
        "Metrics": [("All metrics", metrics.url)],
    }
    for page in table_pages:
        schema, name = page.title.split(".")
        menu.setdefault(f"Tables: {schema}", []).append((name, page.url))
    pages = [*texts, *how_tos, statistics, metrics, *table_pages]
    layout = _environment().get_template("documentation.html.j2")
    for page in pages:
        (folder / page.url).write_text(layout.render(page=page, menu=menu), encoding="utf-8")
    sections = json.dumps([section for page in pages for section in sections_of(page)])
    (folder / "search.js").write_text(f"window.sections = {sections};\n", encoding="utf-8")
    return folder / start.url


def read_tables(serving: Path, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every published table with its comment, rows, owner and example, and of each column type, comment and figure."""
    with duckdb.connect(serving, read_only=True) as connection:
        tables = named_rows(
            connection,
            """
            select tables.schema_name || '.' || tables.table_name as name, tables.comment, counted.row_count as rows
            from duckdb_tables() as tables
            left join quality.published_tables as counted
                on tables.schema_name || '.' || tables.table_name = counted.table_name
            where not tables.internal
            order by name
            """,
        )
        columns = named_rows(
            connection,
            """
            select
                schema_name || '.' || table_name as table_name, column_name as name, data_type as type, comment
            from duckdb_columns() where not internal order by table_name, column_index
            """,
        )
        figures = {
            (figure["table_name"], figure["column_name"]): figure
            for figure in named_rows(connection, "from marts.metrics_catalog")
        }
    models = {f"{node['schema']}.{node['name']}": node for node in manifest["nodes"].values()}
    owners = {group["name"]: group["owner"]["name"] for group in manifest["groups"].values()}
    for table in tables:
        config = models.get(table["name"], {}).get("config", {})
        table["owner"] = owners.get(config.get("group"))
        table["example"] = config.get("meta", {}).get("example", "").strip()
        table["columns"] = [
            column | {"figure": figures.get((table["name"], column["name"]))}
            for column in columns
            if column["table_name"] == table["name"]
        ]
    return tables


def read_statistics(sql: str) -> tuple[str, list[dict[str, str]]]:
    """What a file of macros says of itself, and each macro that has a comment before it: name, arguments, comment."""
    head = re.match(r"\{#-(.*?)-#\}", sql, re.DOTALL)
    found = re.finditer(
        r"\{#-(?P<comment>(?:(?!-#\}).)*)-#\}\s*\{% macro (?P<name>\w+)\((?P<arguments>[^)]*)\)", sql, re.DOTALL
    )
    macros = [{key: " ".join(value.split()) for key, value in match.groupdict().items()} for match in found]
    return " ".join(head[1].split()) if head else "", macros


def table_page(table: str) -> str:
    """The page of a published table, named with its schema."""
    return f"table-{table}.html"


def anchor(heading: str) -> str:
    """The name of a heading in an address, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def prose(text: str) -> Markup:
    """A sentence of a description or comment as HTML, with what stands in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False)))


def sections_of(page: Page) -> Iterable[dict[str, str]]:
    """The parts of a page that begin with a heading or are a row of a table with a name, for the search."""
    parts = re.split(r'<(?:h[1-3]|tr)(?: id="([^"]*)")?>', page.content)
    for name, content in zip(parts[1::2], parts[2::2], strict=True):
        words = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())
        if name is None and not content.partition("</h1>")[1]:
            continue  # a row without a name is found with the heading above
        title = html.unescape(re.sub(r"<[^>]*>", "", re.split(r"</h[1-3]>|</td>", content)[0]))
        url = f"{page.url}#{name}" if name else page.url
        yield {"title": title, "page": page.title, "url": url, "text": words}


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["prose"] = prose
    return environment


def _markdown_page(name: str, source: Path) -> Page:
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(source.read_text(encoding="utf-8"))
    title = ""
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and following is not None:
            title = title or following.content
            if token.tag != "h1":
                token.attrSet("id", anchor(following.content))
        for child in token.children or []:
            _lead_within_the_site(child, source)
    content = parser.renderer.render(tokens, parser.options, {})
    content = content.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    # A link to what has no page here (a folder, a file of code) is its text.
    content = re.sub(r'<a href="">(.*?)</a>', r"\1", content, flags=re.DOTALL)
    return Page(url=f"{name}.html", title=title, content=content)


def _lead_within_the_site(token: Token, source: Path) -> None:
    """Point a link or image of a Markdown file to the page or copy of what it names; to nothing where there is none."""
    if token.type == "image":
        token.attrSet("src", f"images/{Path(str(token.attrGet('src'))).name}")
    elif token.type == "link_open":
        path, _, part = str(token.attrGet("href")).partition("#")
        if path.startswith(("http://", "https://")):
            return
        target = (source.parent / path).resolve() if path else source
        names = {known: name for name, known in PAGES.items()}
        if target.parent == ROOT / "docs" and target.suffix == ".md" and target.exists():
            names[target] = target.stem
        url = f"{names[target]}.html" if target in names else ""
        token.attrSet("href", f"{url}#{part}" if url and part else url)


def _table_page(table: Mapping[str, Any]) -> Page:
    content = _environment().get_template("documentation_table.html.j2").render(table=table)
    return Page(url=table_page(table["name"]), title=str(table["name"]), content=content, is_prose=False)


def _statistics_page(tables: Iterable[Mapping[str, Any]]) -> Page:
    """Each formula with its source, and the columns that were computed by it."""
    computed: dict[str, list[str]] = {}
    for table in tables:
        for column in table["columns"]:
            if column["figure"] and column["figure"]["statistic"]:
                link = f'<a href="{table_page(table["name"])}#{column["name"]}">{table["name"]}.{column["name"]}</a>'
                computed.setdefault(column["figure"]["statistic"], []).append(link)
    head, macros = read_statistics(STATISTICS.read_text(encoding="utf-8"))
    parts = [f"<h1>Statistics</h1><p>{prose(head)}</p>"]
    for macro in macros:
        name = macro["name"]
        parts.append(f'<h2 id="{name}">{name}</h2><p><code>{name}({html.escape(macro["arguments"])})</code></p>')
        parts.append(f"<p>{prose(macro['comment'])}</p>")
        if columns := computed.get(name):
            parts.append(f"<details><summary>{len(columns)} columns</summary><p>{', '.join(columns)}</p></details>")
    return Page(url="statistics.html", title="Statistics", content="\n".join(parts))


def _metrics_page(semantic_manifest: Mapping[str, Any]) -> Page:
    """The metrics that `make mf` answers, and the dimensions they can be cut by."""
    parts = [
        "<h1>Metrics</h1><p>The figures of the marts for any cut. For example:</p>",
        '<pre><code>make mf ARGS="query --metrics nps,responses --group-by response__survey_type,metric_time__quarter"'
        "</code></pre>",
        '<div class="wide"><table><tr><th>Metric</th><th>Name</th><th>Meaning</th></tr>',
    ]
    for metric in semantic_manifest["metrics"]:
        name, label, meaning = (prose(metric[key]) for key in ("name", "label", "description"))
        parts.append(f'<tr id="{name}"><td><code>{name}</code></td><td>{label}</td><td>{meaning}</td></tr>')
    parts.append("</table></div>")
    for model in semantic_manifest["semantic_models"]:
        if not model["measures"]:
            continue
        entity = next(entity["name"] for entity in model["entities"] if entity["type"] == "primary")
        parts.append(f'<h2 id="{model["name"]}">Dimensions of {model["name"]}</h2><div class="wide"><table>')
        for dimension in model["dimensions"]:
            meaning = prose(dimension["description"] or "")
            parts.append(f"<tr><td><code>{entity}__{dimension['name']}</code></td><td>{meaning}</td></tr>")
        parts.append("</table></div>")
    return Page(url="metrics.html", title="Metrics", content="\n".join(parts), is_prose=False)


def _copy_generated(settings: Settings, folder: Path) -> list[tuple[str, str]]:
    """Copy what dbt and the guards wrote of themselves, as far as they did; what it is called and where it is."""
    entries = []
    if (dbt := settings.dbt_target / "static_index.html").exists():
        shutil.copyfile(dbt, folder / "dbt.html")
        entries.append(("dbt: models, code, lineage", "dbt.html"))
    if settings.data_docs.exists():
        shutil.copytree(settings.data_docs, folder / "quality")
        entries.append(("Data quality: last checks", "quality/index.html"))
    return entries

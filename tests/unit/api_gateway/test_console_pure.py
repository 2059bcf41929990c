"""The console's pure parts: graph, waterfall, markup, assets."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironclaw_api_gateway.console.graph import NODE_HEIGHT, NODE_WIDTH, laid_out, layers
from ironclaw_api_gateway.console.markup import diff_lines, image_type, markdown, plain
from ironclaw_api_gateway.console.rendering import environment, first_line, size
from ironclaw_api_gateway.console.waterfall import waterfall
from ironclaw_contracts.events import Event, EventType

ROOT = Path(__file__).resolve().parents[3]
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def event(seq: int, kind: EventType, seconds: float, order_id: str | None = "o", attempt: int = 1) -> Event:
    return Event(
        seq=seq,
        event_id=str(seq),
        ts=BEGIN + timedelta(seconds=seconds),
        type=kind,
        garrison_id="g",
        theater_id="t",
        run_id="r",
        order_id=order_id,
        unit_id=None,
        source="co",
        payload={"attempt": attempt},
        prev_hash="0" * 64,
        hash="0" * 64,
    )


def test_given_a_diamond_when_laid_out_then_each_node_stands_right_of_what_it_needs() -> None:
    needs = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["elsewhere"]}
    assert layers(needs) == [["a", "e"], ["b", "c"], ["d"]]
    graph = laid_out(needs)
    at = {node.id: node for node in graph.nodes}
    assert at["a"].x < at["b"].x == at["c"].x < at["d"].x and len(graph.edges) == 4
    assert graph.width >= at["d"].x + NODE_WIDTH and graph.height >= at["c"].y + NODE_HEIGHT


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7))))
def test_given_any_dependencies_when_laid_out_then_every_node_has_a_box_of_its_own(
    edges: set[tuple[int, int]],
) -> None:
    needs = {str(node): [str(need) for other, need in edges if other == node] for node in range(6)}
    graph = laid_out(needs)  # circles too: a page must not hang on what it is given
    assert {node.id for node in graph.nodes} == needs.keys()
    assert len({(node.x, node.y) for node in graph.nodes}) == len(needs)


def test_given_two_attempts_when_drawn_then_each_stretch_has_its_kind_and_length() -> None:
    events = [
        event(1, EventType.RUN_CREATED, 0, None),
        event(2, EventType.ORDER_ENQUEUED, 1),
        event(3, EventType.ORDER_CLAIMED, 2),
        event(4, EventType.ORDER_STARTED, 3),
        event(5, EventType.ORDER_FAILED, 5),
        event(6, EventType.ORDER_ENQUEUED, 6, attempt=2),
        event(7, EventType.ORDER_CLAIMED, 10, attempt=2),
    ]
    drawn = waterfall(events, None)
    bars = drawn.rows[0].bars
    assert [(bar.kind, bar.attempt, bar.seconds) for bar in bars] == [
        ("queued", 1, 1.0),
        ("claimed", 1, 1.0),
        ("running", 1, 2.0),
        ("queued", 2, 4.0),
        ("claimed", 2, 0.0),
    ]
    assert drawn.seconds == 10.0 and (bars[2].x, bars[2].width) == (30.0, 20.0)
    open_bar = waterfall(events, BEGIN + timedelta(seconds=20)).rows[0].bars[-1]
    assert open_bar.seconds == 10.0
    assert waterfall([], None).rows == []


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](data:text/html,<script>alert(1)</script>)",
        "[a](  javascript:alert(1))",
        "[a](/console/sign-out)",
        "![a](https://tracker.example/p.png)",
        "<https://ok.example/<script>>",
        '[a](https://ok.example "\\" onmouseover=alert(1) ")',
        "`<b>`",
        "| a |\n|---|\n| <iframe src=x> |",
        "&lt;script&gt;",
    ],
)
def test_given_hostile_markdown_when_rendered_then_no_markup_script_or_picture_of_its_own_is_left(
    text: str,
) -> None:
    html = markdown(text).lower()
    for wrong in (
        "<script",
        "<img",
        "<iframe",
        "<b>",
        'href="javascript',
        'href="data',
        'href="/',
        " onmouseover=",
    ):
        assert wrong not in html.replace("&quot; onmouseover=", ""), html


def test_given_text_when_shown_plainly_then_it_is_escaped_and_cut_where_it_is_long() -> None:
    assert "&lt;b&gt;" in plain("<b>")
    assert "The rest is not shown" in plain("x" * 300_000) and "The rest is not shown" not in plain("x")


def test_given_bytes_when_looked_at_then_only_pictures_without_scripts_are_pictures() -> None:
    assert image_type(b"\x89PNG\r\n\x1a\n....") == "image/png"
    assert image_type(b"RIFF\0\0\0\0WEBPVP8 ") == "image/webp"
    assert image_type(b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>") is None
    assert image_type(b"") is None


def test_given_a_diff_when_split_then_each_line_has_its_kind() -> None:
    lines, cut = diff_lines("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same")
    assert [line.kind for line in lines] == ["file", "file", "file", "hunk", "del", "add", "same"] and not cut
    assert diff_lines("+\n" * 5_000)[1]


def test_given_a_template_variable_when_rendered_then_it_is_escaped_without_being_asked_to() -> None:
    assert environment().from_string("{{ x }}").render(x="<b>&\"'") == "&lt;b&gt;&amp;&#34;&#39;"


def test_given_numbers_and_long_lines_when_shown_then_people_can_read_them() -> None:
    assert [size(n) for n in (None, 5, 2_048, 3 * 1024**2)] == ["unknown size", "5 B", "2.0 KiB", "3.0 MiB"]
    assert first_line("a\nb") == "a" and len(first_line("x" * 500)) == 120


def test_given_the_vendored_files_when_checked_then_they_are_those_that_were_pinned() -> None:
    script = ROOT / "services" / "api_gateway" / "assets" / "vendor.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_given_the_consoles_own_files_when_read_then_nothing_is_fetched_from_elsewhere() -> None:
    folder = ROOT / "services" / "api_gateway" / "ironclaw_api_gateway" / "console"
    for path in [*folder.rglob("*.html"), *folder.glob("static/*.css"), *folder.glob("static/*.js")]:
        text = path.read_text(encoding="utf-8")
        assert "//" not in text.replace("http://www.w3.org", "").replace("// ", ""), path
        assert " style=" not in text and "<style" not in text and " onclick" not in text, path

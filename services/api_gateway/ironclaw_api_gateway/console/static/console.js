// What HTML cannot do alone: relative times, the theme, the state of the connection, a few keys.
"use strict";
(() => {
  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  const relative = (seconds) => {
    const size = Math.abs(seconds);
    if (size < 1) return "now";
    const [unit, scale] = UNITS.find(([, scale]) => size >= scale);
    const text = `${Math.floor(size / scale)} ${unit}`;
    return seconds < 0 ? `in ${text}` : `${text} ago`;
  };

  const tell = (root) => {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const text = relative((Date.now() - Date.parse(element.dateTime)) / 1000);
      if (element.textContent !== text) element.textContent = text;
    }
  };

  // Pages are replaced in parts; what a person has opened or scrolled stays so.
  const kept = new WeakMap();
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    const part = event.target;
    kept.set(part, {
      open: [...part.querySelectorAll("details")].map((details) => details.open),
      scrolled: [...part.querySelectorAll(".scroll, .diff, pre")].map((box) => [box.scrollLeft, box.scrollTop]),
    });
  });
  document.addEventListener("htmx:sseMessage", (event) => {
    const part = event.target;
    const before = kept.get(part);
    if (before) {
      part.querySelectorAll("details").forEach((details, at) => {
        if (at in before.open) details.open = before.open[at];
      });
      part.querySelectorAll(".scroll, .diff, pre").forEach((box, at) => {
        if (at in before.scrolled) [box.scrollLeft, box.scrollTop] = before.scrolled[at];
      });
    }
    tell(part);
  });

  const banner = document.getElementById("connection");
  document.addEventListener("htmx:sseOpen", (event) => {
    banner.hidden = true;
    document.documentElement.dataset.live = "yes";
    const source = event.detail.source;
    source.addEventListener("signed-out", () => location.assign("/console/sign-in?next=" + encodeURIComponent(location.pathname + location.search)));
    source.addEventListener("ended", () => {
      source.close();
      document.documentElement.dataset.live = "ended";
    });
  });
  document.addEventListener("htmx:sseError", () => {
    if (document.documentElement.dataset.live === "ended") return;
    banner.hidden = false;
    document.documentElement.dataset.live = "no";
  });

  // On a narrow screen the bar scrolls: what is open has to be seen in it.
  document.querySelector(".bar nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  for (const suggestion of document.querySelectorAll("[data-try]")) {
    suggestion.addEventListener("click", () => {
      const field = document.getElementById("message");
      field.value = suggestion.dataset.try;
      field.focus();
    });
  }

  const THEMES = ["system", "light", "dark"];
  const themeButton = document.getElementById("theme");
  const showTheme = (name) => {
    themeButton.textContent = `Theme: ${name}`;
    themeButton.setAttribute("aria-label", `Colour theme: ${name}`);
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    document.dispatchEvent(new CustomEvent("ironclaw:theme"));
  };
  const storedTheme = () => localStorage.getItem("ironclaw-theme") || "system";
  showTheme(storedTheme());
  themeButton.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(storedTheme()) + 1) % THEMES.length];
    localStorage.setItem("ironclaw-theme", next);
    showTheme(next);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches("textarea")) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
  });

  document.addEventListener("input", (event) => {
    if (event.target.id === "at_seq") document.getElementById("at_seq_shown").textContent = event.target.value;
  });

  // Charts: the part that is sent again carries the figures, the drawing stands outside of it.
  const CHART_HEIGHT = 200;
  const charts = new Map();
  const colour = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const draw = (data) => {
    const box = document.getElementById(data.dataset.chart);
    const series = [JSON.parse(data.dataset.times), JSON.parse(data.dataset.values)];
    const known = charts.get(box);
    if (known) return known.setData(series);
    const axis = () => ({ stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } });
    const chart = new uPlot({
      width: box.clientWidth - 16,
      height: CHART_HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(high, 4)] } },
      axes: [{ ...axis(), values: (_, at) => at.map((time) => new Date(time * 1000).toISOString().slice(11, at[1] - at[0] < 60 ? 19 : 16)) }, axis()],
      series: [{}, { label: data.dataset.label, stroke: colour("--accent"), width: 2, points: { show: false }, fill: colour("--busy-ground"), paths: uPlot.paths.stepped({ align: 1 }) }],
    }, series, box);
    charts.set(box, chart);
  };
  const drawAll = (root) => root.querySelectorAll("[data-chart]").forEach(draw);
  document.addEventListener("htmx:sseMessage", (event) => drawAll(event.target));
  const redraw = () => {
    for (const [box, chart] of charts) chart.destroy(), charts.delete(box);
    drawAll(document);
  };
  document.addEventListener("ironclaw:theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("resize", () => charts.forEach((chart, box) => chart.setSize({ width: box.clientWidth - 16, height: CHART_HEIGHT })));

  drawAll(document);
  tell(document);
  setInterval(() => tell(document), 5000);
  document.addEventListener("htmx:load", (event) => tell(event.target));
})();

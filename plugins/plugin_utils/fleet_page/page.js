// Sorts and filters the table, and draws the plots. Text goes into the page by textContent alone.
"use strict";
(() => {
  const find = document.getElementById("find");
  const show = document.getElementById("show");
  const sort = document.getElementById("sort");
  const count = document.getElementById("count");
  const none = document.getElementById("none");
  const body = document.querySelector("#fleet tbody");
  const rows = [...body.rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const kind = !show.value || row.dataset.kinds.split(" ").includes(show.value);
      row.hidden = !(kind && words.every((word) => texts.get(row).includes(word)));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${rows.length} hosts`;
    none.hidden = shown > 0;
  };

  // Names as people count, figures as such; what is not told comes last, whichever way.
  const compare = (key, down) => (one, other) => {
    const [a, b] = [one.dataset[key], other.dataset[key]];
    if (key === "host") {
      return (down ? -1 : 1) * a.localeCompare(b, undefined, { numeric: true });
    }
    const [x, y] = [a, b].map((text) => (text === "None" ? NaN : Number(text)));
    if (Number.isNaN(x) || Number.isNaN(y)) {
      return Number.isNaN(x) - Number.isNaN(y);
    }
    return (down ? -1 : 1) * (x - y);
  };
  const order = (key, down) => {
    body.append(...rows.sort(compare(key, down)));
    for (const button of document.querySelectorAll("[data-sort]")) {
      const head = button.closest("th");
      head.removeAttribute("aria-sort");
      if (button.dataset.sort === key) {
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
      }
    }
  };
  const highestFirst = ["rate", "spent", "busy", "tokens"];
  let ordered = { key: "urgency", down: false };
  for (const button of document.querySelectorAll("[data-sort]")) {
    button.addEventListener("click", () => {
      const key = button.dataset.sort;
      const down = ordered.key === key ? !ordered.down : highestFirst.includes(key);
      ordered = { key, down };
      order(key, down);
    });
  }
  sort.addEventListener("change", () => {
    ordered = { key: sort.value, down: highestFirst.includes(sort.value) };
    order(ordered.key, ordered.down);
  });
  find.addEventListener("input", filter);
  show.addEventListener("change", filter);
  document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
  // What a browser has kept of an earlier visit.
  filter();

  const plots = JSON.parse(document.getElementById("figures").textContent);
  const places = [...document.querySelectorAll("#plots figure")];
  const HEIGHT = 240;
  const FONT = "12px system-ui, sans-serif";
  const LONGEST_LABEL = 16;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = (text) => (text.length > LONGEST_LABEL ? `${text.slice(0, LONGEST_LABEL - 1)}…` : text);
  const told = (value, unit) => {
    if (value === null || value === undefined) {
      return "not told";
    }
    return unit === "dollars" ? `$${value.toFixed(2)}` : `${Number(value.toFixed(1))} ${unit}`;
  };
  const axis = (more) => ({
    stroke: colour("--quiet"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 },
    font: FONT,
    ...more,
  });
  const usd = (_plot, values) => values.map((value) => `$${value}`);
  const plain = (_plot, values) => values.map(String);

  const pen = document.createElement("canvas").getContext("2d");
  pen.font = FONT;
  const bars = (plot, width, say) => {
    const labels = plot.labels.map(short);
    const longest = Math.max(...labels.map((label) => pen.measureText(label).width));
    return [
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: {
          x: { time: false, range: [-0.6, plot.labels.length - 0.4] },
          y: { range: (_plot, _low, high) => [0, plot.most || (high > 0 ? high * 1.1 : 1)] },
        },
        axes: [
          axis({
            rotate: -90,
            size: Math.ceil(longest) + 20,
            grid: { show: false },
            splits: () => labels.map((_label, index) => index),
            values: () => labels,
          }),
          axis({ size: 56, values: plot.unit === "dollars" ? usd : plain }),
        ],
        series: [
          {},
          {
            fill: colour("--one"),
            stroke: colour("--one"),
            paths: uPlot.paths.bars({ size: [0.7, 48] }),
            points: { show: false },
          },
        ],
        hooks: {
          setCursor: [
            (drawn) => {
              const at = drawn.cursor.idx;
              const name = plot.labels[at];
              say(name === undefined ? "" : `${name}: ${told(plot.values[at], plot.unit)}`);
            },
          ],
        },
      },
      [plot.labels.map((_label, index) => index), plot.values],
    ];
  };

  const hours = (_plot, values) => values.map((value) => (value ? `${value > 0 ? "+" : ""}${value} h` : "then"));
  const line = (plot, width, say) => [
    {
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { x: { time: false }, y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [axis({ space: 60, values: hours }), axis({ size: 56, values: usd })],
      series: [
        {},
        { stroke: colour("--one"), width: 2, points: { show: false } },
        { stroke: colour("--one"), width: 2, dash: [6, 5], points: { show: false } },
      ],
      hooks: {
        setCursor: [
          (drawn) => {
            const at = drawn.cursor.idx;
            if (at === null || at === undefined) {
              say("");
              return;
            }
            const value = plot.happened[at] ?? plot.expected[at];
            say(`${Number(plot.hours[at].toFixed(1))} h from then: ${told(value, "dollars")}`);
          },
        ],
      },
    },
    [plot.hours, plot.happened, plot.expected],
  ];

  let drawn = [];
  const draw = () => {
    for (const one of drawn) {
      one.destroy();
    }
    drawn = plots.map((plot, index) => {
      const place = places[index].querySelector(".plot");
      const read = places[index].querySelector(".read");
      const say = (text) => {
        read.textContent = text;
      };
      const [options, data] = (plot.kind === "line" ? line : bars)(plot, place.clientWidth, say);
      return new uPlot(options, data, place);
    });
  };
  draw();
  // The colours of a canvas and its width do not follow the page by themselves.
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) {
      width = window.innerWidth;
      draw();
    }
  });
})();

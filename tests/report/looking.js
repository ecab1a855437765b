// What is wrong with the page as it is shown now, by the name of the check that says so. Run by the drill.
const wrong = { layout: [], colours: [], plots: [] };
// A page that is too wide makes a phone's window wider, so what was asked for counts.
const width = arguments[0];
const name = (node) => {
  const place = node.closest("[data-label], figure, .tile, .timeline, header, form") || node;
  return `${node.tagName.toLowerCase()} "${node.textContent.trim().slice(0, 40)}" in ${place.tagName.toLowerCase()}`;
};

// Layout: nothing is wider than the page, nothing is cut, no text lies on another.
if (document.documentElement.scrollWidth > width) {
  wrong.layout.push(`the page is ${document.documentElement.scrollWidth} wide`);
}
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const pieces = [];
while (walker.nextNode()) {
  const node = walker.currentNode;
  const holder = node.parentElement;
  if (!node.textContent.trim() || holder.closest("script, style, option, title, [hidden]")) {
    continue;
  }
  const range = document.createRange();
  range.selectNodeContents(node);
  const boxes = [...range.getClientRects()].filter((box) => box.width > 0.5 && box.height > 0.5);
  if (boxes.length === 0 && holder.offsetParent !== null) {
    wrong.layout.push(`${name(holder)} is not to be seen`);
  }
  for (const box of boxes) {
    if (box.left < -0.5 || box.right > width + 0.5) {
      wrong.layout.push(`${name(holder)} is cut by the edge of the page`);
    }
    pieces.push({ holder, box });
  }
  for (let part = holder; part && part !== document.body; part = part.parentElement) {
    const style = getComputedStyle(part);
    const clips = part.namespaceURI.endsWith("svg") ? part.tagName === "svg" : style.overflow !== "visible";
    const frame = part.getBoundingClientRect();
    for (const box of clips ? boxes : []) {
      const inside = box.left >= frame.left - 1 && box.right <= frame.right + 1;
      if (!inside || box.top < frame.top - 2 || box.bottom > frame.bottom + 2) {
        wrong.layout.push(`${name(holder)} is cut by ${part.tagName.toLowerCase()}`);
      }
    }
  }
}
pieces.sort((one, other) => one.box.top - other.box.top);
for (const [index, { holder, box }] of pieces.entries()) {
  for (let next = index + 1; next < pieces.length && pieces[next].box.top < box.bottom - 2; next += 1) {
    const other = pieces[next];
    const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
    const down = Math.min(box.bottom, other.box.bottom) - other.box.top;
    // Lines of one text are set closer than their boxes are high.
    if (across > 1 && down > 4 && other.holder !== holder) {
      wrong.layout.push(`${name(holder)} lies on ${name(other.holder)}`);
    }
  }
}
for (const field of document.querySelectorAll("input, select, button")) {
  const box = field.getBoundingClientRect();
  if (box.width && (box.left < 0 || box.right > width + 0.5)) {
    wrong.layout.push(`${field.tagName.toLowerCase()} #${field.id} is cut by the edge of the page`);
  }
}

// Colours: every text stands out from what is behind it, by the contrast that WCAG asks for.
const channels = (text) => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
const light = (text) => {
  const parts = channels(text).slice(0, 3).map((value) => value / 255);
  const linear = parts.map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const behind = (node) => {
  for (let part = node; part; part = part.parentElement) {
    const colour = getComputedStyle(part).backgroundColor;
    const [, , , alpha = 1] = channels(colour);
    if (alpha > 0.99) {
      return colour;
    }
  }
  return "rgb(255, 255, 255)";
};
for (const holder of new Set(pieces.map((piece) => piece.holder))) {
  const style = getComputedStyle(holder);
  const front = holder.namespaceURI.endsWith("svg") ? style.fill : style.color;
  const [one, other] = [light(front), light(behind(holder))].sort((a, b) => b - a);
  if ((one + 0.05) / (other + 0.05) < 4.5) {
    wrong.colours.push(`${name(holder)} has ${front} on ${behind(holder)}`);
  }
}
const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
if (light(getComputedStyle(document.body).backgroundColor) < 0.2 !== dark) {
  wrong.colours.push(`the page is ${dark ? "light where dark" : "dark where light"} was asked for`);
}

// Plots: each has pixels in the colour of what it shows, each timeline has bars that are to be seen.
const one = getComputedStyle(document.documentElement).getPropertyValue("--one").trim();
const wanted = [1, 3, 5].map((at) => parseInt(one.slice(at, at + 2), 16));
let drawn = 0;
for (const figure of document.querySelectorAll("#plots figure")) {
  const canvas = figure.querySelector("canvas");
  let coloured = 0;
  if (canvas && canvas.width && canvas.height) {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const beside = [0, canvas.width - 1];
    const edge = (x, y) => data[4 * (y * canvas.width + x) + 3] > 0;
    const sides = [...Array(canvas.height).keys()].some((y) => beside.some((x) => edge(x, y)));
    if (sides || [...Array(canvas.width).keys()].some((x) => edge(x, canvas.height - 1))) {
      wrong.layout.push(`what ${figure.textContent.trim()} says is cut by its edge`);
    }
    for (let at = 0; at < data.length; at += 4) {
      coloured += wanted.every((value, part) => Math.abs(data[at + part] - value) < 3) ? 1 : 0;
    }
  }
  if (coloured < 20) {
    wrong.plots.push(`${figure.textContent.trim()} is empty`);
  } else {
    drawn += 1;
  }
  if (canvas && canvas.getBoundingClientRect().right > figure.getBoundingClientRect().right) {
    wrong.layout.push(`${figure.textContent.trim()} is wider than its frame`);
  }
}
for (const svg of document.querySelectorAll("[data-plot=timeline]")) {
  const bars = [...svg.querySelectorAll("rect")].map((bar) => bar.getBoundingClientRect());
  const frame = svg.getBoundingClientRect();
  if (!bars.some((bar) => bar.width > 1 && bar.height > 1)) {
    wrong.plots.push(`the timeline "${svg.getAttribute("aria-label")}" is empty`);
  } else {
    drawn += 1;
  }
  if (bars.some((bar) => bar.right > frame.right + 1)) {
    wrong.layout.push(`the timeline "${svg.getAttribute("aria-label")}" is cut`);
  }
}
return { wrong, drawn };

"use strict";
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const body = byId("rows");
const rows = [...body.rows];
const heads = [...document.querySelectorAll("thead button[data-column]")];
const ticks = rows.map((row) => row.querySelector("input"));
const texts = rows.map((row) => row.textContent.toLowerCase());
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333"]; // Okabe and Ito
const DASHES = ["solid", "dash", "dot", "dashdot"];
const choices = [...document.querySelectorAll("#chooser input")];
const hiding = document.head.appendChild(document.createElement("style"));
const numberOf = (row) => Number(row.dataset.run);
const colourOf = (run) => COLOURS[run % COLOURS.length];
const listed = () => [...body.rows].filter((row) => !row.hidden);
const shown = () => listed().map(numberOf).filter((run) => ticks[run].checked);

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function sortBy(head, order) {
  const column = Number(head.dataset.column) + 1;
  const isText = "text" in head.dataset;
  const sign = order === "ascending" ? 1 : -1;
  const keys = rows.map((row) => {
    const key = row.cells[column].dataset.key;
    return key === undefined || isText ? key : Number(key);
  });
  const sorted = [...rows].sort((one, other) => {
    const [a, b] = [keys[numberOf(one)], keys[numberOf(other)]];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return sign * (isText ? a.localeCompare(b) : a - b);
  });
  for (const other of heads) other.parentElement.removeAttribute("aria-sort");
  head.parentElement.setAttribute("aria-sort", order);
  byId("sort").value = head.dataset.column;
  body.append(...sorted);
  drawSamples();
}

function reversed(head) {
  const now = head.parentElement.getAttribute("aria-sort");
  return now === null ? head.dataset.first : now === "ascending" ? "descending" : "ascending";
}

function filter() {
  const words = byId("filter").value.toLowerCase().split(/\s+/);
  for (const row of rows) row.hidden = !words.every((word) => texts[numberOf(row)].includes(word));
  byId("count").textContent = `${listed().length} of ${rows.length} runs`;
  drawShown();
}

function chooseColumns() {
  const hidden = choices.filter((choice) => !choice.checked).map((choice) => Number(choice.value) + 2);
  const cells = hidden.map((place) => `#leaderboard :is(th, td):nth-child(${place})`); // a rule is quicker than cells
  hiding.textContent = cells.length > 0 ? `${cells.join()} { display: none !important; }` : "";
  byId("chosen").textContent = `${choices.length - hidden.length} of ${choices.length}`;
}

function drawCurves() {
  const name = byId("logged").value;
  const curves = data.curves[name] ?? {};
  const runs = shown();
  const overSteps = byId("over").value === "steps";
  const logged = runs.filter((run) => run in curves);
  const drawn = logged.filter((run) => overSteps || data.examples[run] !== null);
  const traces = drawn.map((run) => ({
    x: overSteps ? curves[run][0] : curves[run][0].map((step) => step * data.examples[run]),
    y: curves[run][1],
    name: data.names[run].replaceAll("&", "&amp;").replaceAll("<", "&lt;"), // Plotly takes names for markup
    mode: curves[run][0].length < 30 ? "lines+markers" : "lines",
    marker: { size: 5 },
    line: { width: 1.6, color: colourOf(run), dash: DASHES[Math.floor(run / COLOURS.length) % DASHES.length] },
  }));
  const axis = { gridcolor: "#e6e9ec", zeroline: false, automargin: true };
  Plotly.react(byId("chart"), traces, {
    margin: { l: 50, r: 15, t: 15, b: 45 },
    font: { family: getComputedStyle(document.body).fontFamily, color: "#1c2024" },
    xaxis: { ...axis, title: { text: overSteps ? "step" : "training examples seen" } },
    yaxis: { ...axis, title: { text: name }, type: byId("log-scale").checked ? "log" : "linear" },
    showlegend: false, // the ticked rows of the leaderboard are the legend, and can be reached with the keyboard
    hovermode: "closest",
    hoverlabel: { namelength: -1 },
  }, { responsive: true, displaylogo: false, displayModeBar: false });
  const notes = [[runs.length - logged.length, "did not log this"], [logged.length - drawn.length, "do not say how many examples a step takes"]]
    .filter(([without]) => without > 0).map(([without, why]) => `${without} of the ${runs.length} ticked runs ${why}.`);
  byId("without-curve").textContent = runs.length === 0 ? "No run is ticked and listed." : notes.join(" ");
}

function drawSamples() {
  const zoom = Number(byId("zoom").value);
  const runs = shown();
  const figures = runs.filter((run) => data.samples[run]).map((run) => {
    const sample = data.samples[run];
    const name = element("b", { textContent: data.names[run] });
    const file = element("a", { href: sample.link, textContent: sample.file });
    const caption = element("figcaption", {}, name, document.createElement("br"), file);
    if (sample.uri === null) return element("figure", {}, caption, "left out: the page would grow too large");
    const image = { src: sample.uri, alt: `Samples of ${data.names[run]}`, width: sample.width * zoom, height: sample.height * zoom };
    return element("figure", { tabIndex: 0 }, caption, element("img", { ...image, loading: "lazy", decoding: "async" }));
  });
  const without = runs.length - figures.length;
  const note = without > 0 ? [element("p", { className: "hint", textContent: `${without} of the ${runs.length} ticked runs have drawn no samples.` })] : [];
  byId("grids").replaceChildren(...figures, ...note);
}

function drawShown() {
  drawCurves();
  drawSamples();
}

function showDifference() {
  const [first, second] = ["first", "second"].map((id) => Number(byId(id).value));
  const cell = (text) => element("td", { textContent: text });
  const lines = Object.entries(data.differences)
    .filter(([, values]) => values[first] !== values[second])
    .map(([key, values]) => element("tr", {}, cell(key), cell(values[first]), cell(values[second])));
  const same = element("tr", {}, element("td", { colSpan: 3, textContent: "They do not differ." }));
  byId("differences").tBodies[0].replaceChildren(...(lines.length > 0 ? lines : [same]));
}

for (const head of heads) head.addEventListener("click", () => sortBy(head, reversed(head)));
byId("sort").addEventListener("change", () => { const head = heads[byId("sort").value]; sortBy(head, head.dataset.first); });
byId("reverse").addEventListener("click", () => { const head = heads[byId("sort").value]; sortBy(head, reversed(head)); });
byId("filter").addEventListener("input", filter);
body.addEventListener("change", drawShown);
byId("show-all").addEventListener("click", () => { for (const row of listed()) ticks[numberOf(row)].checked = true; drawShown(); });
byId("show-none").addEventListener("click", () => { for (const tick of ticks) tick.checked = false; drawShown(); });
for (const choice of choices) choice.addEventListener("change", chooseColumns);
for (const id of ["logged", "over", "log-scale"]) byId(id).addEventListener("change", drawCurves);
byId("zoom").addEventListener("change", drawSamples);
for (const id of ["first", "second"]) byId(id).addEventListener("change", showDifference);

chooseColumns();
rows.forEach((row, run) => { row.querySelector(".swatch").style.background = colourOf(run); });
for (const name of Object.keys(data.curves)) byId("logged").append(element("option", { value: name, textContent: name }));
byId("second").value = String(Math.min(1, rows.length - 1));
showDifference();
drawShown();

// Asks the page other questions. Without it the answer, the tables and the plots are as they were asked for.
// What is chosen, and the words for it, are those of choice.py and words.py of benchmarks/sweep_report.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("question");
const KINDS = ["latency", "accuracy", "size"]; // in the order in which bounds are said
const AXES = [["accuracy", -1], ["latency", 1], ["size", 1]];
const INSIDE = "the bound lies inside the 95 % interval, so that another measurement may say otherwise";
const EMULATED = "emulated: no real device takes these times";
const WRONG = "whose golden answers the device got wrong";
const SAME = "its interval overlaps with the pick's: the images do not tell the two apart";

const place = (point) => AXES.map(([kind, sense]) => (point[kind] ? sense * point[kind][0] : null));

function frontOf(points) {
  const placed = points.map((point) => [point, place(point)]);
  const used = AXES.map((_, axis) => placed.some(([, figures]) => figures[axis] !== null));
  const whole = placed.filter(([, figures]) => figures.every((figure, axis) => figure !== null || !used[axis]));
  const beats = (one, other) => one.every((figure, axis) => figure <= other[axis]) && one.some((figure, axis) => figure < other[axis]);
  return whole.filter(([, mine]) => !whole.some(([, other]) => beats(other, mine))).map(([point]) => point);
}

function held(point, bounds) {
  const asked = KINDS.filter((kind) => bounds[kind] !== null);
  if (asked.some((kind) => !point[kind])) return null;
  return asked.map((kind) => {
    const [value, low, high] = point[kind];
    const sense = kind === "accuracy" ? 1 : -1;
    const short = Math.max(0, sense * (bounds[kind] - value));
    const miss = short ? short / bounds[kind] : 0;
    return { kind, miss, doubtful: low < bounds[kind] && bounds[kind] < high };
  });
}

function preferred(one, other) {
  for (const [kind, sense] of AXES) {
    const [mine, theirs] = [one, other].map((point) => (point[kind] ? sense * point[kind][0] : Infinity));
    if (mine !== theirs) return mine < theirs ? -1 : 1;
  }
  return one.name < other.name ? -1 : one.name > other.name ? 1 : 0;
}

const worst = (rows) => Math.max(...rows.map((row) => row.miss));
const figures = (point) => AXES.map(([kind]) => point.words[kind]).filter(Boolean).join(", ") || "no figures";
const named = (point) => `${point.name}: ${figures(point)}`;
// As Python's :g, six digits that count.
const short = (number) => String(Number(number.toPrecision(6)));

function boundWords(kind, bounds) {
  if (kind === "latency") return `at most ${short(1000 * bounds.latency)} ms`;
  if (kind === "accuracy") return `${data.measure} at least ${short(100 * bounds.accuracy)} %`;
  return `at most ${short(bounds.size / 1e6)} MB`;
}

function reasons(point, bounds) {
  const rows = held(point, bounds).map(({ kind, miss, doubtful }) => {
    const missed = miss ? ` is missed by ${(100 * miss).toFixed(1)} %` : "";
    return ["why", `${boundWords(kind, bounds)}${missed}: ${point.words[kind]}${doubtful ? `; ${INSIDE}` : ""}`];
  });
  return point.remark ? [...rows, ["why", point.remark]] : rows;
}

function runnerUp(point, pick, bounds) {
  const [mine, theirs] = [point.accuracy, pick.accuracy];
  const same = mine && theirs && mine[1] < mine[2] && mine[2] >= theirs[1] ? `; ${SAME}` : "";
  const doubts = held(point, bounds).filter((row) => row.doubtful);
  const said = doubts.map((row) => `; ${boundWords(row.kind, bounds)} lies inside its 95 % interval`).join("");
  return ["runner-up", `runner-up: ${named(point)}${same}${said}${point.remark ? `; ${point.remark}` : ""}`];
}

function answerLines(points, bounds) {
  if (!points.length) return [["none", "nothing here to choose from"]];
  if (KINDS.every((kind) => bounds[kind] === null)) {
    const members = frontOf(points).sort((one, other) => (one.latency?.[0] ?? 0) - (other.latency?.[0] ?? 0));
    const lead = "no other beats one of these in accuracy, latency and size at once:";
    return [["lead", lead], ...members.map((point) => ["front", named(point)])];
  }
  const known = points.map((point) => [point, held(point, bounds)]).filter(([, rows]) => rows);
  const kept = known.filter(([, rows]) => !worst(rows)).map(([point]) => point).sort(preferred);
  if (kept.length) {
    const rest = kept.length > 1 ? [runnerUp(kept[1], kept[0], bounds)] : [];
    return [["pick", named(kept[0])], ...reasons(kept[0], bounds), ...rest];
  }
  if (!known.length) return [["none", "none has the figures that the bounds are about"]];
  const [[nearest]] = known.sort(([one, mine], [other, theirs]) => worst(mine) - worst(theirs) || preferred(one, other));
  return [["none", "none meets the bounds"], ["nearest", `the nearest is ${named(nearest)}`], ...reasons(nearest, bounds)];
}

function bound(name, factor) {
  const field = form.elements[name];
  return field.value === "" ? null : field.valueAsNumber * factor;
}

function question() {
  const precisions = [...form.querySelectorAll("input[name=precision]")].filter((box) => box.checked);
  return {
    device: form.elements.device.value,
    variant: form.elements.variant.value,
    precisions: new Set(precisions.map((box) => box.value)),
    bounds: { latency: bound("latency", 1e-3), accuracy: bound("accuracy", 1e-2), size: bound("size", 1e6) },
  };
}

const fits = (asked, device, variant, precision) =>
  (!asked.device || asked.device === device) && (!asked.variant || asked.variant === variant) && asked.precisions.has(precision);

function paragraph([kind, text]) {
  const element = document.createElement("p");
  element.className = kind;
  element.textContent = text;
  return element;
}

function say(asked, groups) {
  const words = KINDS.filter((kind) => asked.bounds[kind] !== null).map((kind) => boundWords(kind, asked.bounds)).join(", ");
  const where = asked.device ? `on ${asked.device}` : "on each device";
  document.getElementById("asked").textContent = words ? `Asked for ${where}: ${words}.` : `The front ${where}: nothing more was asked for.`;
  const told = groups.filter((group) => !asked.device || group.device === asked.device).map((group) => {
    const box = document.createElement("div");
    box.className = `said ${group.provenance}-answer`;
    const title = document.createElement("h3");
    title.textContent = group.title;
    const caution = group.provenance === "emulated" ? [["emulation", EMULATED]] : [];
    if (group.wrong) caution.push(["wrong", `left out: ${group.wrong} ${WRONG}`]);
    box.append(title, ...[...caution, ...answerLines(group.right, asked.bounds)].map(paragraph));
    return box;
  });
  document.getElementById("lines").replaceChildren(...told);
}

function share(scale, value) {
  const [low, high, logarithmic] = scale;
  return logarithmic ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
}

function drawLimits(section, group, bounds) {
  for (const plot of section.querySelectorAll("svg.scatter")) {
    for (const line of plot.querySelectorAll(".limit")) {
      const kind = line.dataset.bound;
      const scales = group.scales[plot.dataset.kind];
      const value = bounds[kind] === null ? NaN : bounds[kind] * { latency: 1000, accuracy: 100, size: 1e-6 }[kind];
      const at = share(kind === "accuracy" ? scales.y : scales.x, value);
      line.setAttribute("visibility", at >= 0 && at <= 1 ? "visible" : "hidden");
      if (!(at >= 0 && at <= 1)) continue;
      const [names, position] = kind === "accuracy" ? [["y1", "y2"], 10 + 300 * (1 - at)] : [["x1", "x2"], `${100 * at}%`];
      for (const name of names) line.setAttribute(name, position);
    }
  }
}

// Names of the front's members beside their marks, the most accurate first, where no other name stands yet.
function drawLabels(section, width) {
  for (const plot of section.querySelectorAll("svg.scatter")) {
    const taken = [];
    const marks = [...plot.querySelectorAll(".mark.front:not([hidden]) > svg")].map((mark) => ({
      name: data.points[mark.parentElement.dataset.point].name.split(",")[0],
      x: (parseFloat(mark.getAttribute("x")) / 100) * width,
      y: parseFloat(mark.getAttribute("y")),
    }));
    const labels = marks.sort((one, other) => one.y - other.y).map(({ name, x, y }) => {
      const long = 6.6 * name.length;
      const left = x + 10 + long > width ? x - 10 - long : x + 10;
      const box = { left, right: left + long, top: y - 8, bottom: y + 8 };
      if (left < 0 || taken.some((other) => box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom)) return null;
      taken.push(box);
      const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      text.setAttribute("x", left);
      text.setAttribute("y", y + 4);
      text.textContent = name;
      return text;
    });
    plot.querySelector(".labels").replaceChildren(...labels.filter(Boolean));
  }
}

const rows = [...document.querySelectorAll("tr[data-point]")];
const marks = [...document.querySelectorAll("g[data-point]")];
const sections = [...document.querySelectorAll("section.group")];
const others = [...document.querySelectorAll("details.file, .left > li")];

// What is no bound is refused, in the browser's own words, and the answer stays that of the last question.
function refused() {
  const wrong = [...form.elements].find((field) => field.willValidate && !field.validity.valid);
  document.getElementById("refused").textContent = wrong ? `${wrong.labels[0].firstChild.data.trim()}: ${wrong.validationMessage}` : "";
  return Boolean(wrong);
}

function update() {
  if (refused()) return;
  const asked = question();
  const shown = data.points.map((point) => fits(asked, data.groups[point.group].device, point.variant, point.precision));
  const groups = data.groups.map((group, number) => {
    const own = data.points.filter((point, index) => point.group === number && shown[index]);
    const right = own.filter((point) => !point.wrong);
    return { ...group, right, wrong: own.length - right.length, front: new Set(frontOf(right)) };
  });
  const best = new Set(groups.flatMap((group) => [...group.front]));
  for (const row of rows) {
    row.hidden = !shown[row.dataset.point];
    row.querySelector(".on-front").textContent = best.has(data.points[row.dataset.point]) ? "front" : "";
  }
  for (const mark of marks) {
    mark.toggleAttribute("hidden", !shown[mark.dataset.point]);
    mark.classList.toggle("front", best.has(data.points[mark.dataset.point]));
  }
  for (const element of others) {
    const { device, variant, precision } = element.dataset;
    element.hidden = !fits(asked, device ?? asked.device, variant, precision); // a file is on every device
  }
  sections.forEach((section, number) => {
    const own = data.points.map((point, index) => point.group === number && shown[index]);
    section.hidden = !own.some(Boolean); // one that never had a point has nothing to show but its answer
    drawLimits(section, groups[number], asked.bounds);
  });
  say(asked, groups);
  document.getElementById("count").textContent = `${shown.filter(Boolean).length} of ${shown.length} measurements shown.`;
  relabel();
}

function relabel() {
  const shown = sections.filter((section) => !section.hidden);
  const width = shown[0]?.querySelector("svg.scatter")?.clientWidth; // all are equally wide
  if (width) for (const section of shown) drawLabels(section, width);
}

// A file that is linked to opens.
function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.parentElement.matches("details.file")) target.parentElement.open = true;
}

form.hidden = false;
form.addEventListener("input", update);
form.addEventListener("reset", () => setTimeout(update));
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("resize", () => requestAnimationFrame(relabel));
addEventListener("hashchange", openTarget);
update();
openTarget();

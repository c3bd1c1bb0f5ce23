// Draws a map of galaxies, and lets people choose some. Nothing is loaded: all data lie in the page.
"use strict";
(() => {
const $ = (id) => document.getElementById(id);
const head = JSON.parse($("head").textContent), ids = JSON.parse($("ids").textContent);
const ARRAYS = { f4: Float32Array, f8: Float64Array, i4: Int32Array, u1: Uint8Array };

function unpacked(id, kind) {
  const text = atob($(id).textContent.trim()), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  $(id).remove();
  return new ARRAYS[kind](bytes.buffer);
}

const n = ids.length, places = unpacked("places", "f4"), rows = unpacked("rows", "i4");
const ground = head.ground ? unpacked("ground", "f4") : new Float32Array(0);
const sky = head.sky ? unpacked("sky", "f8") : null;
const unpackedColumns = head.columns.map(() => null);
const valuesOf = (column) => unpackedColumns[column] ??= unpacked(`column-${column}`, head.columns[column].type);

// ---------------------------------------------------------------- what can be coloured by

const options = [];
head.columns.forEach((column, number) => {
  if (column.kind !== "flags") { options.push({ title: column.name, column: number, kind: column.kind, group: "Columns" }); return; }
  const bits = valuesOf(number).reduce((all, value) => all | value, 0);
  options.push({ title: "any flag", column: number, kind: "flag", mask: -1, group: column.name });
  for (const flag of head.flags) {
    if (bits & flag.bit) options.push({ title: flag.name, about: flag.meaning, column: number, kind: "flag", mask: flag.bit, group: column.name });
  }
});
options.push({ title: "(one colour)", column: -1, kind: "plain", group: "Columns" });

// Numbers of classes, from 1; 0 for none. Of a flag: 1 without it, 2 with it.
function classesOf(option) {
  if (option.kind === "class") return { names: head.columns[option.column].classes, codes: valuesOf(option.column) };
  const values = valuesOf(option.column), codes = new Uint8Array(n);
  for (let i = 0; i < n; i++) codes[i] = values[i] & option.mask ? 2 : 1;
  return { names: ["without", `with ${option.mask === -1 ? "flags" : option.title}`], codes };
}

// ---------------------------------------------------------------- state

const stage = $("stage"), canvas = $("points"), over = $("over"), pen = over.getContext("2d");
const view = { x: 0, y: 0, scale: 1 }, box = { width: 1, height: 1, ratio: 1 };
let option = options[0], hidden = new Set(), codes = null, limits = [0, 1];
const tint = new Uint8Array(4 * n), form = new Uint8Array(n), chosen = new Uint8Array(n), shown = new Uint8Array(n).fill(1);
let chosenCount = 0, pinned = -1, hovered = -1, drawn = new Uint32Array(0), onTop = 0, labels = [];
let tool = "move", path = null, pathMode = "replace", stale = { colours: true, order: true, points: true };
const dark = matchMedia("(prefers-color-scheme: dark)");

// Drawn in an order by lot, so that no class lies on all others; the same each time.
const lot = new Uint32Array(n);
for (let i = 0, seed = 1; i < n; i++) {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  const j = Math.floor(seed / 4294967296 * (i + 1));
  lot[i] = lot[j];
  lot[j] = i;
}

const pixelX = (x) => (x - view.x) * view.scale + box.width / 2;
const pixelY = (y) => box.height / 2 - (y - view.y) * view.scale;
const dataX = (px) => (px - box.width / 2) / view.scale + view.x;
const dataY = (py) => (box.height / 2 - py) / view.scale + view.y;
const fit = () => Math.min(box.width, box.height) / 2.12;
const zoom = () => view.scale / fit();

function whole() { view.x = 0; view.y = 0; view.scale = fit(); moved(); }

function zoomAt(px, py, factor) {
  const x = dataX(px), y = dataY(py);
  view.scale = Math.min(Math.max(view.scale * factor, fit() / 4), fit() * 20000);
  view.x = x - (px - box.width / 2) / view.scale;
  view.y = y + (py - box.height / 2) / view.scale;
  moved();
}

// ---------------------------------------------------------------- colours and shapes

const hex = (name) => {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
};
let palette, nothing;
function readPalette() {
  palette = Array.from({ length: 8 }, (_, i) => hex(`--c${i}`));
  nothing = hex("--cnone");
}
// Dark blue is lost on a dark page, light yellow on a light one.
function rampAt(share) {
  const [from, to] = dark.matches ? [0.22, 1] : [0, 0.86];
  return head.ramp[Math.round((from + (to - from) * Math.min(Math.max(share, 0), 1)) * (head.ramp.length - 1))];
}
function shareOf(value, column) {
  if (!column.log) return (value - limits[0]) / (limits[1] - limits[0]);
  return Math.log(Math.max(value, 1e-30) / limits[0]) / Math.log(limits[1] / limits[0]);
}
// 8 colours and 7 shapes: no two of 56 classes have the same of both, and neighbours in the list differ in both.
function styleOf(code) {
  if (code === 0 || (option.kind === "flag" && code === 1)) return [nothing, 0];
  if (option.kind === "flag") return [palette[1], 2];
  if (head.columns[option.column].classes[code - 1] === "(others)") return [nothing, 6];
  return [palette[(code - 1) % 8], (code - 1) % 7];
}

function recolour() {
  const plain = option.kind === "plain", numeric = option.kind === "number";
  codes = plain || numeric ? null : classesOf(option).codes;
  const values = numeric ? valuesOf(option.column) : null, column = head.columns[option.column];
  const styles = codes ? Array.from({ length: 257 }, (_, code) => styleOf(code)) : null;
  for (let i = 0; i < n; i++) {
    let colour = palette[0], shape = 0;
    if (codes) [colour, shape] = styles[codes[i]];
    else if (numeric && Number.isNaN(values[i])) { colour = nothing; shape = 6; }
    else if (numeric) colour = rampAt(shareOf(values[i], column));
    tint[4 * i] = colour[0]; tint[4 * i + 1] = colour[1]; tint[4 * i + 2] = colour[2]; tint[4 * i + 3] = 255;
    form[i] = shape;
  }
  labels = codes ? labelPlaces(codes) : [];
}

// Where the name of a class stands: in the cell of a grid in which most of it lies.
function labelPlaces(codes) {
  const names = classesOf(option).names, side = 40, counts = new Uint32Array((names.length + 1) * side * side);
  const cell = (i) => Math.min(side - 1, Math.floor((places[2 * i] + 1) / 2 * side)) + side * Math.min(side - 1, Math.floor((places[2 * i + 1] + 1) / 2 * side));
  for (let i = 0; i < n; i++) counts[codes[i] * side * side + cell(i)]++;
  const best = names.map((_, k) => {
    const part = counts.subarray((k + 1) * side * side, (k + 2) * side * side);
    return part.reduce((top, count, at) => (count > part[top] ? at : top), 0);
  });
  const sums = names.map(() => [0, 0, 0]);
  for (let i = 0; i < n; i++) {
    const k = codes[i] - 1;
    if (k >= 0 && cell(i) === best[k]) { sums[k][0] += places[2 * i]; sums[k][1] += places[2 * i + 1]; sums[k][2]++; }
  }
  const found = names.map((name, k) => ({ name, code: k + 1, x: sums[k][0] / sums[k][2], y: sums[k][1] / sums[k][2], count: sums[k][2] }));
  return found.filter((label) => label.count > 0);
}

// What is shown, and in which order: the chosen last, so that they lie on top.
function reorder() {
  const order = [], top = [];
  for (let i = 0; i < n; i++) shown[i] = codes && hidden.has(codes[i]) ? 0 : 1;
  for (const i of lot) if (shown[i]) (chosen[i] ? top : order).push(i);
  onTop = top.length;
  drawn = Uint32Array.from(order.concat(top));
}

function pointSize() {
  const usual = Math.min(Math.max(Math.sqrt(box.width * box.height / n) * 0.55, 2.2), 9);
  return Math.min(Math.max(usual * zoom() ** 0.35 * 2 ** $("size").valueAsNumber, 1.5), 26);
}
const opacity = () => Math.min(0.95, (n > 30000 ? 0.62 : n > 4000 ? 0.78 : 0.9) + 0.08 * Math.log2(Math.max(zoom(), 1)));

// ---------------------------------------------------------------- WebGL

const VERTEX = `#version 300 es
in vec2 place; in vec4 tint; in float form; in float chosen;
uniform vec2 centre, scale; uniform float size, opacity, dimmed;
out vec4 colour; flat out float shape; flat out float width;
void main() {
  gl_Position = vec4((place - centre) * scale, 0.0, 1.0);
  width = form < 0.5 ? size : size * 1.25;
  gl_PointSize = width + 1.0; shape = form;
  colour = vec4(tint.rgb, opacity * (dimmed > 0.5 && chosen < 0.5 ? 0.16 : 1.0));
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour; flat in float shape; flat in float width; out vec4 pixel;
void main() {
  vec2 p = (gl_PointCoord * 2.0 - 1.0) * (width + 1.0) / width, q = abs(p);
  float edge;
  if (shape < 0.5) edge = 1.0 - length(p);
  else if (shape < 1.5) edge = 0.8 - max(q.x, q.y);
  else if (shape < 2.5) edge = min(0.7 - p.y, (0.9 + p.y) * 0.5 - q.x * 0.9 + 0.06);
  else if (shape < 3.5) edge = (1.0 - q.x - q.y) * 0.75;
  else if (shape < 4.5) edge = min(0.95 - max(q.x, q.y), 0.32 - min(q.x, q.y));
  else if (shape < 5.5) edge = min(0.7 + p.y, (0.9 - p.y) * 0.5 - q.x * 0.9 + 0.06);
  else edge = min(0.95 - max(q.x, q.y), 0.3 - abs(q.x - q.y) * 0.7);
  float cover = clamp(edge * width * 0.5 + 0.5, 0.0, 1.0);
  if (cover <= 0.0) discard;
  pixel = vec4(colour.rgb, 1.0) * colour.a * cover;
}`;

function webglPainter() {
  const gl = canvas.getContext("webgl2", { antialias: false, alpha: true, premultipliedAlpha: true });
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const uniform = (name) => gl.getUniformLocation(program, name);
  const [centre, scale, size, alpha, dimmed] = ["centre", "scale", "size", "opacity", "dimmed"].map(uniform);
  const attribute = (name, count, kind, normalised, data) => {
    const buffer = gl.createBuffer(), at = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, count, kind, normalised, 0, 0);
    return (values) => { gl.bindBuffer(gl.ARRAY_BUFFER, buffer); gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW); };
  };
  // The galaxies of an older map, on which these were placed, lie behind them: more points in the same arrays.
  const extra = ground.length / 2, joined = (values, count, fill) => {
    const all = new values.constructor(values.length + count * extra).fill(fill);
    all.set(values);
    return all;
  };
  const all = joined(places, 2, 0);
  all.set(ground, 2 * n);
  attribute("place", 2, gl.FLOAT, false, all);
  const setTint = attribute("tint", 4, gl.UNSIGNED_BYTE, true, joined(tint, 4, 0));
  const setForm = attribute("form", 1, gl.UNSIGNED_BYTE, false, joined(form, 1, 0));
  const setChosen = attribute("chosen", 1, gl.UNSIGNED_BYTE, false, joined(chosen, 1, 1));
  const order = gl.createBuffer();
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, order);
  return {
    colours() { const withGround = joined(tint, 4, 0); for (let i = 4 * n; i < withGround.length; i++) withGround[i] = nothing[i % 4] ?? 255; setTint(withGround); setForm(joined(form, 1, 0)); },
    order() { setChosen(joined(chosen, 1, 1)); gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, drawn, gl.DYNAMIC_DRAW); },
    draw(below) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform2f(centre, view.x, view.y);
      gl.uniform2f(scale, 2 * view.scale / box.width, 2 * view.scale / box.height);
      if (extra) {
        gl.uniform1f(size, Math.max(pointSize() * 0.7, 1.5) * box.ratio);
        gl.uniform1f(alpha, 0.28);
        gl.uniform1f(dimmed, 0);
        gl.drawArrays(gl.POINTS, n, extra);
      }
      gl.uniform1f(size, pointSize() * box.ratio);
      gl.uniform1f(alpha, opacity());
      gl.uniform1f(dimmed, chosenCount > 0 ? 1 : 0);
      gl.drawElements(gl.POINTS, below, gl.UNSIGNED_INT, 0);
      gl.drawElements(gl.POINTS, onTop, gl.UNSIGNED_INT, 4 * (drawn.length - onTop));
    },
  };
}

// Where there is no WebGL: squares of one colour each, written into the pixels.
function plainPainter() {
  const flat = canvas.getContext("2d");
  return {
    colours() {}, order() {},
    draw(below) {
      const { width, height } = canvas, image = flat.createImageData(width, height), out = new Uint32Array(image.data.buffer);
      const side = Math.max(Math.round(pointSize() * box.ratio * 0.85), 1), half = side >> 1;
      const put = (x, y, colour) => {
        const left = Math.round(pixelX(x) * box.ratio) - half, top = Math.round(pixelY(y) * box.ratio) - half;
        if (left < 0 || top < 0 || left + side > width || top + side > height) return;
        for (let row = top; row < top + side; row++) out.fill(colour, row * width + left, row * width + left + side);
      };
      const word = (r, g, b, a) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
      for (let i = 0; i < ground.length; i += 2) put(ground[i], ground[i + 1], word(...nothing, 80));
      for (const i of [drawn.subarray(0, below), drawn.subarray(drawn.length - onTop)].flatMap((some) => Array.from(some))) put(places[2 * i], places[2 * i + 1], word(tint[4 * i], tint[4 * i + 1], tint[4 * i + 2], chosenCount && !chosen[i] ? 60 : 255));
      flat.putImageData(image, 0, 0);
    },
  };
}

let painter = webglPainter();
if (!painter) {
  $("notice").textContent = "This browser has no WebGL 2: the map is drawn without it, as squares and more slowly. Everything else works.";
  $("notice").hidden = false;
  painter = plainPainter();
}
canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
canvas.addEventListener("webglcontextrestored", () => { painter = webglPainter() ?? painter; stale = { colours: true, order: true, points: true }; redraw(); });

// ---------------------------------------------------------------- pictures

const pictureOf = new Int32Array(n).fill(-1), sheets = [];
if (head.pictures) unpacked("pictured", "i4").forEach((point, number) => { pictureOf[point] = number; });

function sheet(number) {
  if (!sheets[number]) {
    sheets[number] = new Image();
    sheets[number].addEventListener("load", () => { redraw(); for (const draw of waiting.splice(0)) draw(); });
    sheets[number].src = `data:image/jpeg;base64,${$(`sheet-${number}`).textContent.trim()}`;
  }
  return sheets[number];
}
const waiting = [];

// Draw a galaxy's picture; returns whether it has one.
function stamp(context, point, left, top, side) {
  if (pictureOf[point] < 0) return false;
  const { side: px, across } = head.pictures, per = across * across, number = pictureOf[point], at = number % per;
  const image = sheet(Math.floor(number / per));
  if (!image.complete || !image.naturalWidth) return null;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, (at % across) * px, Math.floor(at / across) * px, px, px, left, top, side, side);
  return true;
}
function stampOn(element, point) {
  element.hidden = pictureOf[point] < 0;
  if (element.hidden) return;
  element.dataset.point = point;
  const context = element.getContext("2d");
  context.clearRect(0, 0, element.width, element.height);
  if (stamp(context, point, 0, 0, element.width) === null) waiting.push(() => { if (Number(element.dataset.point) === point) stamp(context, point, 0, 0, element.width); });
}

// ---------------------------------------------------------------- drawing

let scheduled = false;
function redraw() { if (!scheduled) { scheduled = true; requestAnimationFrame(frame); } }
function moved() {
  moving = true;
  clearTimeout(resting);
  resting = setTimeout(() => { moving = false; stale.points = true; redraw(); }, 180);
  stale.points = true; redraw(); noteAddress();
}

// Where drawing all points takes too long, as without a graphics card, a part of them is drawn while the map moves, by
// lot as they are ordered, so that 12 frames or more a second remain; all of them once it rests.
let moving = false, resting = 0, share = 1, before = 0;
function pace(now) {
  if (moving && before) share = Math.min(Math.max(share * Math.min(Math.max(65 / (now - before), 0.5), 1.2), 0.1), 1);
  before = moving ? now : 0;
  return moving ? share : 1;
}

function frame(now) {
  const part = pace(now);
  scheduled = false;
  if (stale.colours) { recolour(); painter.colours(); stale.order = true; }
  if (stale.order) { reorder(); painter.order(); stale.points = true; }
  if (stale.points) painter.draw(Math.ceil((drawn.length - onTop) * part));
  stale = { colours: false, order: false, points: false };
  drawOver();
}

function drawOver() {
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  pen.setTransform(box.ratio, 0, 0, box.ratio, 0, 0);
  pen.clearRect(0, 0, box.width, box.height);
  if ($("stamps")?.checked) drawStamps();
  if ($("names").checked) drawNames(ink);
  for (const [point, radius] of [[hovered, 7], [pinned, 10]]) {
    if (point >= 0) ring(pixelX(places[2 * point]), pixelY(places[2 * point + 1]), radius + pointSize() / 2, ink);
  }
  if (canvas.matches(":focus-visible")) {
    pen.strokeStyle = ink; pen.lineWidth = 1; pen.beginPath();
    for (const [x, y] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { pen.moveTo(box.width / 2 + 4 * x, box.height / 2 + 4 * y); pen.lineTo(box.width / 2 + 13 * x, box.height / 2 + 13 * y); }
    pen.stroke();
  }
  if (path) {
    pen.beginPath();
    path.forEach(([x, y], i) => (i ? pen.lineTo(pixelX(x), pixelY(y)) : pen.moveTo(pixelX(x), pixelY(y))));
    pen.closePath();
    pen.globalAlpha = 0.1; pen.fillStyle = ink; pen.fill("evenodd"); pen.globalAlpha = 1;
    pen.strokeStyle = ink; pen.lineWidth = 1.5; pen.setLineDash([5, 4]); pen.stroke(); pen.setLineDash([]);
  }
}
function ring(x, y, radius, ink) {
  pen.beginPath(); pen.arc(x, y, radius, 0, 7);
  pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--panel"); pen.lineWidth = 4; pen.stroke();
  pen.strokeStyle = ink; pen.lineWidth = 2; pen.stroke();
}
function drawNames(ink) {
  pen.font = "600 13px system-ui, sans-serif"; pen.textAlign = "center"; pen.lineJoin = "round"; pen.lineWidth = 4;
  pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--panel"); pen.fillStyle = ink;
  for (const label of labels) {
    if (hidden.has(label.code)) continue;
    pen.strokeText(label.name, pixelX(label.x), pixelY(label.y)); pen.fillText(label.name, pixelX(label.x), pixelY(label.y));
  }
}
// One picture in each cell of a grid that moves with the map, so that pictures do not flicker.
function drawStamps() {
  const cell = 2 ** Math.ceil(Math.log2(58 / view.scale)), best = new Map();
  for (let i = 0; i < n; i++) {
    if (pictureOf[i] < 0 || !shown[i]) continue;
    const x = places[2 * i], y = places[2 * i + 1], px = pixelX(x), py = pixelY(y);
    if (px < -30 || py < -30 || px > box.width + 30 || py > box.height + 30) continue;
    const a = Math.floor(x / cell), b = Math.floor(y / cell), off = Math.hypot(x - (a + 0.5) * cell, y - (b + 0.5) * cell);
    const key = a * 1e6 + b;
    if (!best.has(key) || best.get(key)[1] > off) best.set(key, [i, off]);
  }
  const side = Math.min(cell * view.scale * 0.84, 72);
  for (const [i] of best.values()) {
    const left = pixelX(places[2 * i]) - side / 2, top = pixelY(places[2 * i + 1]) - side / 2;
    if (stamp(pen, i, left, top, side)) { pen.strokeStyle = `rgb(${tint.subarray(4 * i, 4 * i + 3).join()})`; pen.lineWidth = 2; pen.strokeRect(left, top, side, side); }
  }
}

function resize() {
  const wasWhole = box.width > 1 ? zoom() : 1, area = stage.getBoundingClientRect();
  box.width = Math.max(area.width, 1); box.height = Math.max(area.height, 1); box.ratio = Math.min(devicePixelRatio || 1, 2);
  for (const each of [canvas, over]) { each.width = Math.round(box.width * box.ratio); each.height = Math.round(box.height * box.ratio); }
  view.scale = fit() * wasWhole;
  moved();
}

// ---------------------------------------------------------------- which point is where

const side = Math.min(Math.max(Math.ceil(Math.sqrt(n / 2)), 1), 512), starts = new Uint32Array(side * side + 1), inCells = new Uint32Array(n);
const cellOf = (value) => Math.min(Math.max(Math.floor((value + 1) / 2 * side), 0), side - 1);
for (let i = 0; i < n; i++) starts[cellOf(places[2 * i]) + side * cellOf(places[2 * i + 1]) + 1]++;
for (let c = 0; c < side * side; c++) starts[c + 1] += starts[c];
for (let i = 0, next = starts.slice(); i < n; i++) inCells[next[cellOf(places[2 * i]) + side * cellOf(places[2 * i + 1])]++] = i;

function nearest(px, py, reach) {
  const x = dataX(px), y = dataY(py), r = reach / view.scale;
  let best = -1, least = r * r;
  for (let b = cellOf(y - r); b <= cellOf(y + r); b++) {
    for (let k = starts[cellOf(x - r) + side * b]; k < starts[cellOf(x + r) + side * b + 1]; k++) {
      const i = inCells[k], apart = (places[2 * i] - x) ** 2 + (places[2 * i + 1] - y) ** 2;
      if (apart <= least && shown[i]) { best = i; least = apart; }
    }
  }
  return best;
}

function inside(polygon, x, y) {
  let odd = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
    if ((yi > y) !== (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}

// ---------------------------------------------------------------- choosing

function choose(test, mode) {
  for (let i = 0; i < n; i++) {
    const hit = shown[i] && test(places[2 * i], places[2 * i + 1], i);
    if (mode === "replace") chosen[i] = hit ? 1 : 0;
    else if (hit) chosen[i] = mode === "add" ? 1 : 0;
  }
  changed();
}
function changed() {
  chosenCount = chosen.reduce((sum, each) => sum + each, 0);
  $("count").textContent = chosenCount ? `${count(chosenCount)} of ${count(n)} galaxies` : "None yet: draw a lasso around some.";
  for (const id of ["clear", "save", "label"]) if ($(id)) $(id).disabled = !chosenCount;
  const some = chosenPoints(60);
  $("list").replaceChildren(...some.map((i) => {
    const item = document.createElement("li"), button = document.createElement("button"), picture = document.createElement("canvas");
    picture.width = picture.height = 64;
    stampOn(picture, i);
    button.append(picture, ids[i]);
    button.addEventListener("click", () => pin(i, true));
    item.append(button);
    return item;
  }));
  $("more").textContent = chosenCount > some.length ? `and ${count(chosenCount - some.length)} more, in the file.` : "";
  if (pinned >= 0) $("keep").textContent = chosen[pinned] ? "Take out of the chosen" : "Add to the chosen";
  stale.order = true;
  redraw();
}
function toggle(i) { chosen[i] = chosen[i] ? 0 : 1; changed(); }
function chosenPoints(most) {
  const points = [];
  for (let i = 0; i < n && points.length < most; i++) if (chosen[i]) points.push(i);
  return points;
}
const count = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");

// Rows from 0, as Python, and ids; positions with all their digits. Points come in the order of the rows.
function csv() {
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [["row", ...(head.id ? [head.id] : []), ...(sky ? ["ra", "dec"] : [])].map(cell).join()];
  for (const i of chosenPoints(n)) lines.push([String(rows[i]), ...(head.id ? [cell(ids[i])] : []), ...(sky ? [sky[2 * i], sky[2 * i + 1]] : [])].join());
  return lines.join("\r\n") + "\r\n";
}
function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = `${head.stem}-chosen.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// ---------------------------------------------------------------- one galaxy

const digits = (value) => (Number.isNaN(value) ? "–" : String(Number(value.toPrecision(5))));
function textOf(column, i) {
  const { kind, classes, unit } = head.columns[column], value = valuesOf(column)[i];
  if (kind === "class") return classes[value - 1] ?? "–";
  if (kind === "flags") return head.flags.filter((flag) => value & flag.bit).map((flag) => flag.name).join(", ") || "none";
  return digits(value) + (unit && !Number.isNaN(value) ? ` ${unit}` : "");
}
const isShare = (column) => column.kind === "number" && column.name.startsWith(`${head.prefix}p_`) && !column.name.endsWith("_err");

function hover(i, px, py) {
  if (hovered !== i) { hovered = i; redraw(); }
  const card = $("hover");
  card.hidden = i < 0;
  if (i < 0) return;
  if (card.dataset.point !== String(i)) {
    card.dataset.point = i;
    stampOn(card.firstElementChild, i);
    const name = document.createElement("strong"), about = document.createElement("div");
    name.textContent = ids[i];
    const told = head.hover.includes(option.column) || option.column < 0 ? head.hover : [option.column, ...head.hover];
    about.append(...told.map((column) => { const line = document.createElement("div"); line.textContent = `${head.columns[column].name}: ${textOf(column, i)}`; return line; }));
    card.lastElementChild.replaceChildren(name, about);
  }
  const { width, height } = card.getBoundingClientRect();
  card.style.left = `${Math.max(px + 18 + width > box.width ? px - width - 14 : px + 18, 4)}px`;
  card.style.top = `${Math.min(Math.max(py - height / 2, 4), box.height - height - 4)}px`;
}

function pin(i, isCentred) {
  pinned = i;
  $("galaxy").hidden = i < 0;
  if (i >= 0) {
    $("galaxy-title").textContent = ids[i];
    stampOn($("portrait"), i);
    $("links").replaceChildren(...(sky && Number.isFinite(sky[2 * i]) ? head.links.map(([title, address]) => skyLink(title, address, i)) : []));
    $("keep").textContent = chosen[i] ? "Take out of the chosen" : "Add to the chosen";
    $("facts").replaceChildren(factsOf(i));
    if (isCentred) centreOn(i);
  }
  redraw();
  noteAddress();
}
function skyLink(title, address, i) {
  const link = document.createElement("a"), ra = sky[2 * i].toFixed(6), dec = sky[2 * i + 1].toFixed(6);
  link.textContent = title;
  link.href = address.replace("{place}", encodeURIComponent(`${ra} ${dec < 0 ? "" : "+"}${dec}`)).replace("{ra}", ra).replace("{dec}", dec);
  link.target = "_blank";
  link.rel = "noreferrer noopener";
  return link;
}
function factsOf(i) {
  const table = document.createElement("table");
  table.className = "facts-table";
  const facts = [["row", String(rows[i])], ...(sky ? [["position", `${sky[2 * i].toFixed(6)} ${sky[2 * i + 1].toFixed(6)}`]] : [])];
  head.columns.forEach((column, number) => facts.push([column.name, textOf(number, i), column, number]));
  for (const [name, text, column, number] of facts) {
    const line = table.insertRow(), title = document.createElement("th"), cell = line.insertCell();
    title.scope = "row"; title.textContent = name; title.title = column?.about ?? "";
    line.prepend(title);
    if (column && isShare(column)) { const meter = document.createElement("meter"); meter.value = valuesOf(number)[i] || 0; meter.setAttribute("aria-hidden", "true"); cell.append(meter); }
    cell.append(text);
  }
  return table;
}
function centreOn(i) {
  view.x = places[2 * i]; view.y = places[2 * i + 1];
  view.scale = Math.max(view.scale, fit() * 4);
  moved();
}

// ---------------------------------------------------------------- legend

const SHAPES = ["M8 2.5a5.5 5.5 0 1 0 .01 0z", "M3 3h10v10h-10z", "M8 2l6.5 11.5h-13z", "M8 1.5l6.5 6.5-6.5 6.5-6.5-6.5z", "M6 1h4v5h5v4h-5v5h-4v-5h-5v-4h5z", "M8 14l6.5-11.5h-13z", "M4 1.5l4 4 4-4 2.5 2.5-4 4 4 4-2.5 2.5-4-4-4 4-2.5-2.5 4-4-4-4z"];

function legend() {
  const column = head.columns[option.column];
  $("about").textContent = option.about ?? [column?.about, column?.unit && `(${column.unit})`].filter(Boolean).join(" ");
  $("names").disabled = !(option.kind === "class");
  if (option.kind === "plain") $("legend").replaceChildren();
  else if (option.kind === "number") $("legend").replaceChildren(...scaleOf(column));
  else $("legend").replaceChildren(listOf(classesOf(option)));
}
function listOf({ names, codes }) {
  const list = document.createElement("ul"), counts = new Uint32Array(names.length + 1);
  list.className = "marks";
  for (const code of codes) counts[code]++;
  for (let k = 1; k <= names.length + 1; k++) {
    const code = k % (names.length + 1);
    if (code === 0 && !counts[0]) continue;
    const [colour, shape] = styleOf(code), item = document.createElement("li"), label = document.createElement("label"), box = document.createElement("input");
    const name = document.createElement("span"), number = document.createElement("small"), mark = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    mark.setAttribute("viewBox", "0 0 16 16"); mark.setAttribute("aria-hidden", "true");
    line.setAttribute("d", SHAPES[shape]); line.setAttribute("fill", `rgb(${colour})`);
    mark.append(line);
    box.type = "checkbox"; box.checked = !hidden.has(code);
    box.addEventListener("change", () => { hidden[box.checked ? "delete" : "add"](code); stale.order = true; redraw(); });
    name.textContent = code ? names[code - 1] : "none"; number.textContent = count(counts[code]);
    label.append(box, mark, name, number); item.append(label); list.append(item);
  }
  return list;
}
function scaleOf(column) {
  const bar = document.createElement("canvas"), ends = document.createElement("div"), middle = document.createElement("span");
  bar.className = "ramp"; bar.width = 256; bar.height = 1; ends.className = "ends";
  const inks = bar.getContext("2d");
  for (let i = 0; i < 256; i++) { inks.fillStyle = `rgb(${rampAt(i / 255)})`; inks.fillRect(i, 0, 1, 1); }
  const entry = (at, title) => {
    const input = document.createElement("input");
    input.type = "number"; input.step = "any"; input.value = digits(limits[at]); input.setAttribute("aria-label", title);
    input.addEventListener("change", () => {
      const wanted = limits.slice();
      wanted[at] = input.valueAsNumber;
      if (wanted[1] > wanted[0] && (!column.log || wanted[0] > 0)) limits = wanted; else input.value = digits(limits[at]);
      stale.colours = true; redraw();
    });
    return input;
  };
  middle.textContent = column.log ? "logarithmic" : ""; middle.className = "soft";
  ends.append(entry(0, "Lowest colour"), middle, entry(1, "Highest colour"));
  return [bar, ends];
}
function colourBy(number) {
  option = options[number];
  hidden = new Set();
  const column = head.columns[option.column];
  limits = option.kind === "number" ? [column.low, column.high] : [0, 1];
  $("colour").value = number;
  legend();
  stale.colours = true;
  redraw();
  noteAddress();
}

// ---------------------------------------------------------------- mouse, fingers, keys

const pointers = new Map();
let last = null, travelled = 0;
const at = (event) => { const area = canvas.getBoundingClientRect(); return [event.clientX - area.left, event.clientY - area.top]; };

canvas.addEventListener("pointerdown", (event) => {
  if (event.button > 0) return;
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, at(event));
  last = at(event); travelled = 0;
  hover(-1);
  if (pointers.size === 1 && (tool === "lasso" || event.shiftKey)) {
    pathMode = event.altKey ? "remove" : event.shiftKey ? "add" : "replace";
    path = [[dataX(last[0]), dataY(last[1])]];
  } else path = null;
});
canvas.addEventListener("pointermove", (event) => {
  const [px, py] = at(event);
  if (!pointers.has(event.pointerId)) { if (event.pointerType === "mouse") hover(nearest(px, py, 8 + pointSize() / 2), px, py); return; }
  const before = pointers.get(event.pointerId);
  pointers.set(event.pointerId, [px, py]);
  travelled += Math.hypot(px - before[0], py - before[1]);
  if (pointers.size === 2) {
    const other = Array.from(pointers).find(([id]) => id !== event.pointerId)[1];
    const factor = Math.hypot(px - other[0], py - other[1]) / Math.max(Math.hypot(before[0] - other[0], before[1] - other[1]), 1);
    zoomAt((px + other[0]) / 2, (py + other[1]) / 2, factor);
  } else if (path) { path.push([dataX(px), dataY(py)]); redraw(); }
  else { view.x -= (px - before[0]) / view.scale; view.y += (py - before[1]) / view.scale; moved(); }
});
function released(event) {
  if (!pointers.delete(event.pointerId)) return;
  const [px, py] = at(event), polygon = path;
  path = null;
  if (event.type === "pointerup" && travelled < 5) {
    const hit = nearest(px, py, 10 + pointSize() / 2);
    if (hit >= 0 && event.shiftKey) toggle(hit);
    else pin(hit, false);
  } else if (event.type === "pointerup" && polygon && polygon.length > 2) choose((x, y) => inside(polygon, x, y), pathMode);
  redraw();
}
canvas.addEventListener("pointerup", released);
canvas.addEventListener("pointercancel", released);
canvas.addEventListener("pointerleave", () => hover(-1));
canvas.addEventListener("wheel", (event) => { event.preventDefault(); hover(-1); zoomAt(...at(event), 2 ** (-event.deltaY * (event.deltaMode ? 0.05 : 0.0022))); }, { passive: false });
canvas.addEventListener("dblclick", (event) => zoomAt(...at(event), 2));
for (const kind of ["focus", "blur"]) canvas.addEventListener(kind, redraw);

const middle = () => [box.width / 2, box.height / 2];
const KEYS = {
  ArrowLeft: () => { view.x -= 60 / view.scale; moved(); },
  ArrowRight: () => { view.x += 60 / view.scale; moved(); },
  ArrowUp: () => { view.y += 60 / view.scale; moved(); },
  ArrowDown: () => { view.y -= 60 / view.scale; moved(); },
  "+": () => zoomAt(...middle(), 1.4), "=": () => zoomAt(...middle(), 1.4), "-": () => zoomAt(...middle(), 1 / 1.4), 0: whole,
  Enter: () => pin(nearest(...middle(), Infinity), false),
  " ": () => { const near = nearest(...middle(), Infinity); if (near >= 0) toggle(near); },
  Escape: () => { path = null; choose(() => false, "replace"); },
  l: () => use("lasso"), m: () => use("move"),
};
canvas.addEventListener("keydown", (event) => {
  const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : KEYS[event.key];
  if (action) { event.preventDefault(); action(); }
});

function use(name) {
  tool = name;
  for (const each of ["move", "lasso"]) $(each).setAttribute("aria-pressed", String(each === name));
  canvas.classList.toggle("lasso", name === "lasso");
}
const onClick = (id, action) => $(id)?.addEventListener("click", action);
onClick("move", () => use("move"));
onClick("lasso", () => use("lasso"));
onClick("nearer", () => zoomAt(...middle(), 1.6));
onClick("farther", () => zoomAt(...middle(), 1 / 1.6));
onClick("whole", whole);
onClick("view", () => choose((x, y) => Math.abs(pixelX(x) - box.width / 2) <= box.width / 2 && Math.abs(pixelY(y) - box.height / 2) <= box.height / 2, "replace"));
onClick("clear", () => choose(() => false, "replace"));
onClick("save", save);
onClick("keep", () => toggle(pinned));
onClick("centre", () => centreOn(pinned));
// At this address a galmorph service shows the map of its own galaxies.
const service = location.protocol.startsWith("http") && location.pathname === "/map" ? location.origin : head.service;
$("label").hidden = !service;
onClick("label", () => { open(`${service}/label?${new URLSearchParams({ only: chosenPoints(head.mostLabelled).map((i) => ids[i]).join("\n") })}`, "_blank", "noopener"); });
for (const id of ["names", "stamps"]) $(id)?.addEventListener("change", redraw);
$("size").addEventListener("input", () => { stale.points = true; redraw(); });
$("colour").addEventListener("change", (event) => colourBy(Number(event.target.value)));

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const asked = $("asked").value.trim(), low = asked.toLowerCase(), exact = ids.indexOf(asked), near = [];
  for (let i = 0; asked && exact < 0 && i < n && near.length < 9; i++) if (ids[i].toLowerCase().includes(low)) near.push(i);
  const hits = exact >= 0 ? [exact] : near;
  if (hits.length === 1) { pin(hits[0], true); $("galaxy-title").focus(); }
  $("hits").replaceChildren(...hits.slice(0, 8).map((i) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button"; button.textContent = ids[i];
    button.addEventListener("click", () => pin(i, true));
    item.append(button);
    return item;
  }));
  if (!hits.length) $("hits").textContent = asked ? "No galaxy has that in its name." : "";
});

// ---------------------------------------------------------------- the address says what is shown

let noting = 0;
function noteAddress() {
  clearTimeout(noting);
  noting = setTimeout(() => {
    const shownNow = new URLSearchParams({ x: view.x.toFixed(6), y: view.y.toFixed(6), zoom: zoom().toFixed(4), colour: `${option.group}/${option.title}` });
    if (pinned >= 0) shownNow.set("row", rows[pinned]);
    history.replaceState(null, "", `#${shownNow}`);
  }, 200);
}
function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1)), number = (name, usual) => (Number.isFinite(parseFloat(asked.get(name))) ? parseFloat(asked.get(name)) : usual);
  colourBy(Math.max(options.findIndex((each) => `${each.group}/${each.title}` === asked.get("colour")), 0));
  view.x = number("x", 0); view.y = number("y", 0);
  view.scale = fit() * Math.min(Math.max(number("zoom", 1), 0.25), 20000);
  const row = rows.indexOf(number("row", -1));
  if (row >= 0) pin(row, false);
  moved();
}

const groups = new Map();
options.forEach((each, number) => {
  if (!groups.has(each.group)) { const group = document.createElement("optgroup"); group.label = each.group; groups.set(each.group, group); $("colour").append(group); }
  groups.get(each.group).append(new Option(each.title, number));
});
readPalette();
dark.addEventListener("change", () => { readPalette(); legend(); stale.colours = true; redraw(); });
new ResizeObserver(resize).observe(stage);
resize();
fromAddress();
changed();
})();

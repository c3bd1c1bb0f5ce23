// All rows of a run: sorted, filtered, looked at closely and downloaded, from what lies in this page alone.
(() => {
  document.documentElement.classList.add("js");
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("listing-data").textContent);
  const ROW_PX = 56, SVG = "http://www.w3.org/2000/svg";

  // Elements: texts of catalogues only ever become text nodes and attributes, never markup.
  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }
  function drawn(name, attributes = {}, ...children) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }
  const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const percent = (p) => Number.isNaN(p) ? "–" : `${(100 * p).toFixed(p >= 0.01 || p < 0.00005 ? 0 : 1)}\u202f%`;

  // Columns: numbers of their own type, decoded when they are first asked for.
  const KINDS = { f4: Float32Array, f8: Float64Array, i4: Int32Array, u1: Uint8Array, u2: Uint16Array };
  function unpacked(text, kind) {
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return kind ? new KINDS[kind](bytes.buffer) : bytes;
  }
  // The shortest number that single precision rounds to the same value.
  function shortest(value) {
    for (let digits = 6; digits < 9; digits++) {
      const tried = Number(value.toPrecision(digits));
      if (Math.fround(tried) === value) return String(tried);
    }
    return String(Number(value.toPrecision(9)));
  }
  class Column {
    constructor(packed) { this.packed = packed; this.name = packed.name; this.isText = packed.kind === "text" || packed.kind === "words"; }
    get values() {
      const { kind, data: content, values, of } = this.packed;
      const all = kind === "text" ? values : unpacked(content, kind === "words" ? of : kind);
      Object.defineProperty(this, "values", { value: all });
      return all;
    }
    value(row) { return this.packed.kind === "words" ? this.packed.words[this.values[row]] : this.values[row]; }
    exact(row) {
      const value = this.value(row);
      if (this.isText) return value;
      return Number.isNaN(value) ? "" : this.packed.kind === "f4" ? shortest(value) : String(value);
    }
    shown(row) {
      const value = this.value(row);
      if (this.isText) return value || "–";
      if (Number.isNaN(value)) return "–";
      if (this.packed.kind === "i4") return String(value);
      return String(Number(value.toPrecision(this.packed.kind === "f8" ? 9 : 4))).replace("-", "−");
    }
  }
  const columns = data.columns.map((each) => new Column(each));
  const named = new Map(columns.map((each) => [each.name, each]));
  const own = (name) => named.get(data.prefix + name);
  const ids = columns[0], conf = own("conf"), flags = own("flags").values;
  const classes = unpacked(data.classes), places = data.places.map((each) => unpacked(each, "f8"));
  const numbers = data.numbers === null ? null : unpacked(data.numbers, "i4");
  const numberOf = (row) => numbers === null ? row : numbers[row];
  const rowOf = (number) => numbers === null ? number : numbers.indexOf(number);
  let hiddenBits = 0;
  for (const flag of data.flags) if (flag.hidden) hiddenBits |= flag.bit;

  // Pictures are read when the first is shown: they are nearly all of the page.
  let kept = null;
  function pictureOf(row) {
    if (kept === null) {
      kept = new Map(JSON.parse($("pictures-data").textContent).map((each) => [each.row, each]));
      $("pictures-data").remove();
    }
    return kept.get(numberOf(row));
  }
  const jpeg = (text) => `data:image/jpeg;base64,${text}`;

  // The stretch: a table of 256 brightnesses, which the browser looks up as an SVG filter; no pixel is read back.
  function brightnesses(picture, [black, white, softening]) {
    const [lowest, highest, law] = picture.kept;
    const soft = Math.max(softening, 1e-6), from = Math.asinh(lowest / law), to = Math.asinh(highest / law);
    const low = Math.asinh(black / soft), high = Math.asinh(Math.max(white, black + 1e-6) / soft), values = [];
    for (let level = 0; level < 256; level++) {
      const flux = law * Math.sinh(from + (to - from) * level / 255);
      values.push(Math.min(Math.max((Math.asinh(flux / soft) - low) / Math.max(high - low, 1e-12), 0), 1).toFixed(3));
    }
    return values.join(" ");
  }
  function filterNamed(id) {
    const channels = ["R", "G", "B"].map((c) => drawn(`feFunc${c}`, { type: "table", tableValues: "0 1" }));
    $("stretches").append(drawn("filter", { id, "color-interpolation-filters": "sRGB", x: 0, y: 0, width: 1, height: 1 }, drawn("feComponentTransfer", {}, ...channels)));
    return (table) => { for (const channel of channels) channel.setAttribute("tableValues", table); };
  }
  const thumbs = [], stretchLarge = filterNamed("stretch-large");
  function thumbnail(row, slot) {
    const picture = pictureOf(row);
    if (!picture) return "";
    while (thumbs.length <= slot) thumbs.push(filterNamed(`stretch-${thumbs.length}`));
    thumbs[slot](brightnesses(picture, picture.shown));
    const image = element("img", { src: jpeg(picture.stamp), width: 48, height: 48, alt: "" });
    image.style.filter = `url("#stretch-${slot}")`;
    return image;
  }

  // Marks of classes, and bars.
  function mark(number) {
    const answer = data.answers[number];
    if (!answer) return drawn("svg", { class: "key cnone", viewBox: "-6 -6 12 12", "aria-hidden": "true" });
    const svg = drawn("svg", { class: `key c${answer.colour}`, viewBox: "-6 -6 12 12", "aria-hidden": "true" });
    svg.append(answer.mark ? drawn("path", { d: answer.mark }) : drawn("text", { y: 4.4, "text-anchor": "middle" }, answer.letter));
    return svg;
  }
  function track(share, colour) {
    const svg = drawn("svg", { class: `track c${colour}`, "aria-hidden": "true" });
    if (share > 0) svg.append(drawn("rect", { width: `${(100 * share).toFixed(1)}%`, height: "100%", rx: 3 }));
    return svg;
  }

  // What is asked for; the address of the page keeps it.
  const form = document.querySelector("#listing form.filters"), asked = form.elements;
  const state = { sort: "", down: false, text: "", least: "", most: "", classes: new Set(), with: 0, without: 0, pictured: false, selected: false, open: -1 };
  const selected = new Uint8Array(data.rows);
  let order = new Uint32Array(0), active = 0, anchor = 0, nSelected = 0;

  function address() {
    const words = new URLSearchParams();
    if (state.sort) words.set("sort", (state.down ? "-" : "") + state.sort);
    for (const key of ["text", "least", "most"]) if (state[key] !== "") words.set(key, state[key]);
    if (state.classes.size) words.set("class", Array.from(state.classes, (n) => data.answers[n].short).join("|"));
    for (const key of ["with", "without"]) if (state[key]) words.set(key, state[key]);
    if (state.pictured) words.set("pictured", "yes");
    if (state.open >= 0) words.set("row", numberOf(state.open));
    return words.toString();
  }
  function remember() {
    const words = address(), hash = location.hash.slice(1);
    if (words !== hash && (words || hash.includes("="))) history.replaceState(null, "", `#${words}`);
  }
  function recall() {
    const hash = location.hash.slice(1);
    if (hash && !hash.includes("=")) return;  // a heading of the page
    const words = new URLSearchParams(hash), sort = words.get("sort") || "";
    state.down = sort.startsWith("-");
    state.sort = named.has(sort.replace(/^-/, "")) ? sort.replace(/^-/, "") : "";
    for (const key of ["text", "least", "most"]) state[key] = words.get(key) || "";
    const wanted = (words.get("class") || "").split("|");
    state.classes = new Set([...data.answers.keys()].filter((n) => wanted.includes(data.answers[n].short)));
    for (const key of ["with", "without"]) state[key] = Number(words.get(key)) | 0;
    state.pictured = words.get("pictured") === "yes";
    state.selected = false;
    fillForm();
    refresh();
    const row = words.has("row") ? rowOf(Number(words.get("row"))) : -1;
    if (row >= 0 && row < data.rows) open(row); else close();
  }

  // Filters and order.
  function isWanted() {
    const text = state.text.toLocaleLowerCase(), least = state.least === "" ? -Infinity : Number(state.least), most = state.most === "" ? Infinity : Number(state.most);
    const texts = columns.filter((each) => each.packed.kind === "text" || each === ids), hasRange = conf && (least > -Infinity || most < Infinity);
    return (row) =>
      (!state.selected || selected[row] === 1) &&
      (state.classes.size === 0 || state.classes.has(classes[row])) &&
      (flags[row] & state.with) === state.with && (flags[row] & state.without) === 0 &&
      (!hasRange || (conf.values[row] >= least && conf.values[row] <= most)) &&
      (!state.pictured || pictureOf(row) !== undefined) &&
      (text === "" || texts.some((each) => String(each.value(row)).toLocaleLowerCase().includes(text)));
  }
  const collator = new Intl.Collator("en", { numeric: true });
  function compare() {
    const column = named.get(state.sort), way = state.down ? -1 : 1;
    if (!column) return (a, b) => way * (a - b);
    if (column.isText) return (a, b) => way * collator.compare(column.value(a), column.value(b)) || a - b;
    const v = column.values;
    // What has no value comes last either way.
    return (a, b) => { const d = v[a] - v[b]; return Number.isNaN(d) ? Number.isNaN(v[a]) - Number.isNaN(v[b]) || a - b : way * d || a - b; };
  }
  function refresh() {
    const wanted = isWanted(), rows = [];
    for (let row = 0; row < data.rows; row++) if (wanted(row)) rows.push(row);
    order = Uint32Array.from(rows);
    if (state.sort || state.down) order.sort(compare());
    active = anchor = 0;
    scroller.scrollTop = 0;
    head();
    draw(true);
    tell();
    remember();
  }
  function tell() {
    const words = order.length === data.rows ? `${count(data.rows)} rows` : `${count(order.length)} of ${count(data.rows)} rows`;
    $("count").textContent = words + (nSelected ? `, ${count(nSelected)} selected` : "");
    $("download").disabled = $("none-selected").disabled = nSelected === 0;
    $("download").textContent = nSelected ? `Download ${count(nSelected)} as CSV` : "Download as CSV";
    const all = $("all-rows");
    const here = nSelected ? order.reduce((n, row) => n + selected[row], 0) : 0;
    all.checked = order.length > 0 && here === order.length;
    all.indeterminate = here > 0 && here < order.length;
  }

  // The table: only the rows in sight are in the document.
  const scroller = $("scroller"), table = $("rows-table"), body = table.tBodies[0];
  const SHOWN = [
    { style: "thumb", title: "picture" },
    { style: "name", title: ids.name, column: ids.name },
    ...(conf ? [{ style: "class", title: "class", column: data.prefix + "class" }, { style: "chance", title: "probability", column: conf.name }] : []),
    { style: "flagged", title: "flags", column: data.prefix + "flags" },
    { style: "value", title: "S/N", column: data.prefix + "snr" },
    { style: "value", title: data.arcsec ? "radius (″)" : "radius (px)", column: data.prefix + "rpet" },
  ];
  const shownNow = () => !state.sort || SHOWN.some((each) => each.column === state.sort) ? SHOWN : [...SHOWN, { style: "value", title: state.sort, column: state.sort }];
  function head() {
    const all = element("input", { type: "checkbox", id: "all-rows", "aria-label": "Select all rows that are listed" });
    all.addEventListener("change", () => selectRows(order, all.checked));
    const cells = shownNow().map((each) => {
      const isSorted = each.column && each.column === state.sort;
      const cell = element("th", { scope: "col", class: each.style + (isSorted ? " sorted" : ""), "aria-sort": isSorted ? (state.down ? "descending" : "ascending") : null });
      if (!each.column) cell.append(element("span", { class: "hidden" }, each.title));
      else {
        const button = element("button", { type: "button", title: named.get(each.column)?.packed.about || each.title }, each.title + (isSorted ? (state.down ? " ▼" : " ▲") : ""));
        button.addEventListener("click", () => sortBy(each.column, isSorted && !state.down));
        cell.append(button);
      }
      return cell;
    });
    table.tHead.replaceChildren(element("tr", {}, element("th", { scope: "col", class: "pick" }, all), ...cells));
  }
  function sortBy(column, down) {
    state.sort = column;
    state.down = down;
    fillForm();
    refresh();
  }
  function badges(row) {
    const set = data.flags.filter((each) => flags[row] & each.bit & ~hiddenBits);
    return set.map((each) => element("span", { class: "badge", title: each.meaning }, each.name));
  }
  function cellOf(each, row, slot) {
    if (each.style === "thumb") return element("td", { class: "thumb" }, thumbnail(row, slot));
    if (each.style === "name") return element("th", { scope: "row", class: "name" }, element("a", { href: `#row=${numberOf(row)}`, tabindex: -1, title: ids.shown(row) }, ids.shown(row)));
    if (each.style === "class") return element("td", { class: "class" }, mark(classes[row]), data.answers[classes[row]]?.short || "–");
    if (each.style === "chance") {
      const share = conf.value(row);
      return element("td", { class: "chance" }, ...(Number.isNaN(share) ? ["–"] : [track(share, data.answers[classes[row]]?.colour ?? "none"), percent(share)]));
    }
    if (each.style === "flagged") return element("td", { class: "flagged" }, ...badges(row));
    return element("td", { class: "value" + (each.column === state.sort ? " sorted" : "") }, named.get(each.column).shown(row));
  }
  function rowElement(place, slot) {
    const row = order[place];
    const box = element("input", { type: "checkbox", tabindex: -1, "aria-label": `Select ${ids.shown(row)}` });
    box.checked = selected[row] === 1;
    const made = element("tr", { id: `place-${place}`, "aria-rowindex": place + 2, "aria-selected": selected[row] === 1, class: place === active ? "active" : "" }, element("td", { class: "pick" }, box), ...shownNow().map((each) => cellOf(each, row, slot)));
    made.dataset.place = place;
    return made;
  }
  let first = -1, last = -1;
  function draw(anew) {
    const from = Math.max(Math.floor(scroller.scrollTop / ROW_PX) - 3, 0), to = Math.min(from + Math.ceil((scroller.clientHeight || 640) / ROW_PX) + 7, order.length);
    if (!anew && from === first && to === last) return;
    [first, last] = [from, to];
    const spacer = (n) => { const made = element("tr", { class: "spacer", "aria-hidden": "true" }); made.style.height = `${n * ROW_PX}px`; return made; };
    const rows = [];
    for (let place = from; place < to; place++) rows.push(rowElement(place, place - from));
    body.replaceChildren(spacer(from), ...rows, spacer(order.length - to));
    table.setAttribute("aria-rowcount", order.length + 1);
  }
  let waiting = false;
  scroller.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(false); });
  });
  window.addEventListener("resize", () => draw(false));

  // Selection.
  function selectRows(rows, isOn) {
    for (const row of rows) selected[row] = Number(isOn);
    nSelected = selected.reduce((n, each) => n + each, 0);
    draw(true);
    tell();
  }
  function selectTo(place, isOn) {
    const [from, to] = place < anchor ? [place, anchor] : [anchor, place];
    selectRows(order.slice(from, to + 1), isOn);
  }
  function move(place, isExtending) {
    active = Math.min(Math.max(place, 0), order.length - 1);
    if (isExtending) selectTo(active, true); else anchor = active;
    const top = active * ROW_PX, room = scroller.clientHeight - 40;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + ROW_PX > scroller.scrollTop + room) scroller.scrollTop = top + ROW_PX - room;
    draw(true);
    scroller.setAttribute("aria-activedescendant", `place-${active}`);
  }
  body.addEventListener("click", (event) => {
    const line = event.target.closest("tr[data-place]");
    if (!line) return;
    const place = Number(line.dataset.place), row = order[place];
    if (event.target.closest(".pick")) {
      const isOn = selected[row] === 0;
      if (event.shiftKey) selectTo(place, isOn); else { anchor = place; selectRows([row], isOn); }
      active = place;
      draw(true);
      if (event.target.tagName === "INPUT") scroller.focus({ preventScroll: true });
    } else {
      if (event.ctrlKey || event.metaKey) return;  // a link in a tab of its own
      event.preventDefault();
      active = anchor = place;
      open(row);
    }
  });
  // A shift-click would otherwise mark text.
  body.addEventListener("mousedown", (event) => { if (event.shiftKey) event.preventDefault(); });
  scroller.addEventListener("keydown", (event) => {
    if (event.target !== scroller || event.ctrlKey || event.metaKey || event.altKey || order.length === 0) return;
    const page = Math.max(Math.floor(scroller.clientHeight / ROW_PX) - 1, 1);
    const steps = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: order.length - 1 };
    if (event.key in steps) move(steps[event.key], event.shiftKey);
    else if (event.key === "Enter") open(order[active]);
    else if (event.key === " " && event.shiftKey) selectTo(active, true);
    else if (event.key === " ") { anchor = active; selectRows([order[active]], selected[order[active]] === 0); }
    else return;
    event.preventDefault();
  });

  // Download: the columns of the table for the rows selected, in the order in which they stand.
  const quoted = (text) => /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  function csv() {
    const rows = [...order.filter((row) => selected[row] === 1)], inOrder = new Set(rows);
    if (rows.length < nSelected) for (let row = 0; row < data.rows; row++) if (selected[row] && !inOrder.has(row)) rows.push(row);
    const lines = [columns.map((each) => quoted(each.name)).join(",")];
    for (const row of rows) lines.push(columns.map((each) => quoted(each.exact(row))).join(","));
    return lines.join("\r\n") + "\r\n";
  }
  $("download").addEventListener("click", () => {
    const link = element("a", { href: URL.createObjectURL(new Blob([csv()], { type: "text/csv" })), download: "selection.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
  $("none-selected").addEventListener("click", () => { selected.fill(0); selectRows([], false); });

  // A galaxy seen large.
  const dialog = $("galaxy"), stretchForm = $("stretch");
  const placeSliders = coupleSliders(stretchForm, restretch);
  let large = null;
  function chosen() { return ["black", "white", "softening"].map((name) => Number(stretchForm.elements[name].value)); }
  function restretch() { if (large) stretchLarge(brightnesses(large, chosen())); }
  function unstretched() {
    if (!large) return;
    const [black, white] = [stretchForm.querySelector("[data-for=black]"), stretchForm.querySelector("[data-for=white]")];
    [black.min, black.max, white.max] = [large.kept[0], large.shown[1], Math.log10(large.kept[1])];
    ["black", "white", "softening"].forEach((name, i) => { stretchForm.elements[name].value = Number(large.shown[i].toPrecision(4)); });
    placeSliders();
    restretch();
  }
  stretchForm.addEventListener("reset", (event) => { event.preventDefault(); unstretched(); });
  stretchForm.addEventListener("submit", (event) => event.preventDefault());

  function open(row) {
    state.open = row;
    const place = order.indexOf(row), picture = pictureOf(row), number = classes[row], answer = data.answers[number];
    $("galaxy-name").textContent = ids.shown(row);
    const [ra, dec] = places.map((each) => each[row]), isPlaced = Number.isFinite(ra + dec);
    const degrees = (value, digits) => value.toFixed(digits).replace("-", "−");
    const where = isPlaced ? `${degrees(ra, 5)} ${dec < 0 ? "" : "+"}${degrees(dec, 5)}` : "";
    const is = answer ? `${answer.title}, ${percent(conf.value(row))}` : conf ? "Not classified" : "";
    const set = own("set") ? own("set").value(row).split("|").filter(Boolean).map((each) => each.replaceAll("_", " ")) : [];
    $("galaxy-lead").replaceChildren(...(answer ? [mark(number)] : []), [is, set.length ? `prediction set: ${set.join(" or ")}` : "", where].filter(Boolean).join(" · "));
    $("place-in-table").textContent = place < 0 ? "not in the list" : `${count(place + 1)} of ${count(order.length)}`;
    $("before").disabled = place <= 0;
    $("after").disabled = place < 0 || place === order.length - 1;
    $("galaxy-selected").checked = selected[row] === 1;
    showPicture(row, picture, answer);
    showAnswers(row);
    const set_flags = data.flags.filter((each) => flags[row] & each.bit);
    $("galaxy-flags").replaceChildren(...(set_flags.length ? set_flags.map((each) => element("li", {}, element("span", { class: "badge" }, each.name), ` ${each.meaning}`, element("small", { class: "soft" }, `: ${each.remedy}`))) : [element("li", { class: "soft" }, "No flag is set: nothing speaks against this row.")]));
    $("galaxy-links").replaceChildren(...(isPlaced ? links(ra, dec) : [element("span", { class: "soft" }, "This row has no position on the sky.")]));
    $("galaxy-facts").replaceChildren(...columns.map((each) => element("div", {}, element("dt", { title: each.packed.about }, each.name + (each.packed.unit ? ` (${each.packed.unit})` : "")), element("dd", {}, each.shown(row)))));
    if (!dialog.open) dialog.showModal();
    remember();
  }
  function links(ra, dec) {
    const words = { ra: ra.toFixed(6), dec: dec.toFixed(6), place: `${ra.toFixed(6)} ${dec < 0 ? "" : "+"}${dec.toFixed(6)}` };
    return data.services.map(([title, template]) => element("a", { class: "button", href: template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(words[name])), target: "_blank", rel: "noopener noreferrer external" }, title));
  }
  function showAnswers(row) {
    const parts = [];
    for (const [asked, question] of data.questions.entries()) {
      const shares = question.columns.map((name) => named.get(name).value(row));
      if (shares.some(Number.isNaN)) continue;
      const bars = question.answers.map((title, i) => element("tr", {}, element("th", { scope: "row" }, ...(asked === 0 ? [mark(i)] : []), title), element("td", {}, track(shares[i], asked === 0 ? data.answers[i].colour : "none")), element("td", { class: "number" }, percent(shares[i]))));
      parts.push(element("h3", {}, question.title), element("table", { class: "chances" }, element("tbody", {}, ...bars)));
    }
    $("galaxy-answers").replaceChildren(...parts);
  }

  function showPicture(row, picture, answer) {
    large = picture || null;
    $("view").hidden = stretchForm.hidden = !picture;
    $("no-picture").hidden = Boolean(picture);
    $("seen").hidden = !picture || !picture.network;
    if (!picture) {
      const lost = data.flags.find((each) => flags[row] & each.bit & 7);
      $("no-picture").firstChild.textContent = lost ? lost.meaning : "no picture of this row was kept: --pictures keeps more; the links show its place";
      return;
    }
    $("stamp").src = jpeg(picture.stamp);
    $("stamp").style.filter = 'url("#stretch-large")';
    $("stamp").alt = `Stamp of ${ids.shown(row)}${answer ? `, classified as ${answer.title}` : ""}`;
    if (picture.network) $("network").src = jpeg(picture.network);
    striped($("mask"), picture.neighbours, [255, 179, 71, 110], [20, 24, 31, 170]);
    striped($("no-data"), picture.hidden, [69, 79, 95, 255], [57, 66, 79, 255]);
    $("overlay").replaceChildren(...overlay(picture));
    const [low, high, law] = picture.kept.map((each) => Number(each.toPrecision(3)));
    $("limits").textContent = `Kept are 256 levels, from ${String(low).replace("-", "−")} to ${high} with softening ${law}: what is darker or brighter is cut off, and steps between levels show where black and white are close together.`;
    unstretched();
  }
  function overlay(picture) {
    const [x, y] = picture.catalog, parts = [];
    if (picture.radius !== null) parts.push(drawn("circle", { class: "petrosian", r: picture.radius }));
    parts.push(drawn("path", { class: "cross", transform: `translate(${x} ${y})`, d: "M-9 0H-3M3 0H9M0-9V-3M0 3V9" }), drawn("circle", { class: "centroid", r: 1.1 }));
    if (picture.bar[0] > 0) parts.push(drawn("path", { class: "scale", d: `M-90 88h${picture.bar[0]}` }), drawn("text", { x: -90, y: 82 }, picture.bar[1]));
    if (picture.north && picture.east) {
      const [n, e] = [picture.north, picture.east], at = (v, r) => `${(v[0] * r).toFixed(1)} ${(v[1] * r).toFixed(1)}`;
      const word = (text, v) => drawn("text", { "text-anchor": "middle", x: v[0] * 15, y: v[1] * 15 + 2.4 }, text);
      parts.push(drawn("g", { transform: "translate(80 -74)" }, drawn("path", { class: "compass", d: `M${at(n, 10)}L0 0L${at(e, 10)}` }), word("N", n), word("E", e)));
    }
    return parts;
  }
  // Run lengths of pixels that are not and are set, in turn; 255 goes on. Drawn as stripes, which need no colour.
  function striped(canvas, text, one, other) {
    const context = canvas.getContext("2d"), size = canvas.width;
    context.clearRect(0, 0, size, size);
    if (!text) return;
    const runs = unpacked(text), picture = context.createImageData(size, size), side = STAMP_PX, scale = size / side;
    let pixel = 0, isSet = false;
    for (const run of runs) {
      for (let end = pixel + run; isSet && pixel < end; pixel++) stripe(picture.data, size, scale, pixel % side, Math.floor(pixel / side), one, other);
      if (!isSet) pixel += run;
      if (run < 255) isSet = !isSet;
    }
    context.putImageData(picture, 0, 0);
  }
  const STAMP_PX = data.side;
  function stripe(pixels, size, scale, column, line, one, other) {
    for (let y = line * scale; y < (line + 1) * scale; y++) {
      for (let x = column * scale; x < (column + 1) * scale; x++) pixels.set((x + y) % 36 < 18 ? one : other, 4 * (y * size + x));
    }
  }
  function close() {
    if (state.open < 0) return;
    state.open = -1;
    if (dialog.open) dialog.close();
    remember();
  }
  function step(by) {
    const place = order.indexOf(state.open) + by;
    if (place < by || place < 0 || place >= order.length) return;
    open(order[place]);
    move(place, false);
  }
  dialog.addEventListener("close", () => { close(); scroller.focus({ preventScroll: true }); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  $("close").addEventListener("click", () => dialog.close());
  $("before").addEventListener("click", () => step(-1));
  $("after").addEventListener("click", () => step(1));
  $("galaxy-selected").addEventListener("change", (event) => selectRows([state.open], event.target.checked));

  // The form.
  for (const each of [["", "the catalogue's order"], ...columns.map((c) => [c.name, c.name])]) asked.sort.append(element("option", { value: each[0] }, each[1]));
  const tally = (test) => { let n = 0; for (let row = 0; row < data.rows; row++) n += Number(test(row)); return count(n); };
  const chipsOfClass = data.answers.map((answer, number) => {
    const box = element("input", { type: "checkbox", name: "class", value: number });
    box.addEventListener("change", () => { if (box.checked) state.classes.add(number); else state.classes.delete(number); refresh(); });
    $("of-class").append(element("label", { class: "chip" }, box, mark(number), answer.short, element("small", {}, tally((row) => classes[row] === number))));
    return box;
  });
  const WORDS = { "": "not asked", with: "set", without: "not set" };
  const chipsOfFlag = data.flags.map((flag) => {
    const chip = element("button", { type: "button", class: "chip", title: flag.meaning }, flag.name, element("small", {}, tally((row) => flags[row] & flag.bit ? 1 : 0)));
    chip.addEventListener("click", () => {
      const next = state.with & flag.bit ? "without" : state.without & flag.bit ? "" : "with";
      state.with &= ~flag.bit;
      state.without &= ~flag.bit;
      if (next) state[next] |= flag.bit;
      fillForm();
      refresh();
    });
    $("of-flag").append(chip);
    return [flag, chip];
  });
  $("of-flag").hidden = data.flags.length === 0;
  const cutBits = data.flags.reduce((bits, flag) => flag.cut ? bits | flag.bit : bits, 0);
  $("recommended").hidden = cutBits === 0;
  $("recommended").addEventListener("click", () => { state.with &= ~cutBits; state.without |= cutBits; fillForm(); refresh(); });
  function fillForm() {
    asked.sort.value = state.sort;
    asked.down.value = state.down ? "yes" : "";
    for (const key of ["text", "least", "most"]) if (asked[key] && asked[key].value !== state[key]) asked[key].value = state[key];
    for (const [number, box] of chipsOfClass.entries()) box.checked = state.classes.has(number);
    for (const [flag, chip] of chipsOfFlag) {
      const is = state.with & flag.bit ? "with" : state.without & flag.bit ? "without" : "";
      chip.dataset.state = is;
      chip.setAttribute("aria-label", `${flag.name}: ${WORDS[is]}`);
    }
    asked.pictured.checked = state.pictured;
    asked.selected.checked = state.selected;
  }
  form.addEventListener("input", (event) => {
    const { name, value, checked } = event.target;
    if (["text", "least", "most", "sort"].includes(name)) state[name] = value;
    else if (name === "down") state.down = value === "yes";
    else if (name === "pictured" || name === "selected") state[name] = checked;
    else return;
    refresh();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    Object.assign(state, { sort: "", down: false, text: "", least: "", most: "", classes: new Set(), with: 0, without: 0, pictured: false, selected: false });
    fillForm();
    refresh();
  });

  if (window.innerWidth <= 640) form.querySelector("details").open = false;

  // Keys of the page, and addresses that lead to rows.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea")) return;
    if (event.key === "/" && !dialog.open) { event.preventDefault(); asked.text.focus(); }
    if (dialog.open && event.key === "ArrowLeft") step(-1);
    if (dialog.open && event.key === "ArrowRight") step(1);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("article a[href^='#row=']");
    if (!link || event.ctrlKey || event.metaKey) return;
    const row = rowOf(Number(link.getAttribute("href").slice(5)));
    event.preventDefault();
    if (row >= 0) open(row);
  });
  window.addEventListener("hashchange", recall);
  head();
  fillForm();
  recall();
  if (location.hash && !location.hash.includes("=")) refresh();
})();

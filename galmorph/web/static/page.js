// The page works without this; with it files are dropped, pictures follow sliders, and keys answer.
document.documentElement.classList.add("js");

// Files: dropped on their field, and named there.
for (const drop of document.querySelectorAll(".drop")) {
  const input = drop.querySelector("input"), chosen = drop.querySelector(".chosen");
  const name = () => {
    const names = Array.from(input.files, (file) => file.name);
    chosen.textContent = names.length > 3 ? `${names.length} files` : names.join(", ");
  };
  input.addEventListener("change", name);
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    input.files = event.dataTransfer.files;
    name();
  });
}

// The stretch: sliders beside the numbers; the server draws, one picture at a time.
for (const form of document.querySelectorAll("form.stretch")) {
  const picture = document.getElementById("stretched");
  let waiting = false, drawing = false;
  const draw = () => {
    if (drawing) { waiting = true; return; }
    const chosen = new URLSearchParams();
    for (const number of form.querySelectorAll("input[type=number]")) chosen.set(number.name, number.value);
    drawing = true;
    picture.src = `${form.dataset.picture}&${chosen}`;
    const address = new URL(location.href);
    for (const [key, value] of chosen) address.searchParams.set(key, value);
    history.replaceState(null, "", address);
  };
  const drawn = () => { drawing = false; if (waiting) { waiting = false; draw(); } };
  picture.addEventListener("load", drawn);
  picture.addEventListener("error", drawn);
  coupleSliders(form, draw)();
  form.addEventListener("submit", (event) => { event.preventDefault(); draw(); });
}

// Keys: those of the answers, and arrows from galaxy to galaxy.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]")) return;
  const key = event.key.toLowerCase();
  const button = Array.from(document.querySelectorAll("[data-key]")).find((each) => each.dataset.key === key);
  const step = key === "arrowleft" ? "prev" : key === "arrowright" ? "next" : "";
  const target = button || (step && document.querySelector(`a[rel~=${step}]`));
  if (target) { event.preventDefault(); target.click(); }
});

// An answer is sent once, however often its key is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
window.addEventListener("pageshow", (event) => { if (event.persisted) for (const form of document.forms) delete form.dataset.sent; });

// Sliders beside their numbers: each moves the other. Shared by reports and the service.
"use strict";

// Couple the sliders of a form; `changed` is called when a person moves one. Returns what puts all where their numbers say.
function coupleSliders(form, changed) {
  const places = [];
  for (const slider of form.querySelectorAll("input[type=range]")) {
    const number = form.elements[slider.dataset.for], log = slider.dataset.log === "yes";
    const place = () => { slider.value = log ? Math.log10(Math.max(Number(number.value), 1e-6)) : Number(number.value); };
    places.push(place);
    slider.addEventListener("input", () => {
      number.value = Number((log ? 10 ** slider.valueAsNumber : slider.valueAsNumber).toPrecision(4));
      changed();
    });
    number.addEventListener("change", () => { place(); changed(); });
  }
  return () => { for (const place of places) place(); };
}

// Without this the page lacks two comforts: saving a result as a file, and reading one.
"use strict";
const textOf = (element) => document.getElementById(element.dataset.document).textContent;
const shortened = (key, value) => (key === "samples_s" ? `${value.length} samples: in the saved file` : value);

for (const button of document.querySelectorAll("button[data-document]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([textOf(button)], { type: "application/json" }));
    link.download = button.dataset.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
}
for (const details of document.querySelectorAll("details[data-document]")) {
  details.hidden = false;
  details.addEventListener("toggle", () => {
    const place = details.querySelector("pre");
    if (details.open && !place.textContent) {
      place.textContent = JSON.stringify(JSON.parse(textOf(details)), shortened, 2);
    }
  });
}

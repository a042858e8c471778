"use strict";
// The page reads the same without this; it only adds copying and hiding of boxes.
const said = document.getElementById("said");

function copyText(node) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(node.textContent);
  const range = document.createRange();
  range.selectNodeContents(node);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  return document.execCommand("copy") ? Promise.resolve() : Promise.reject(new Error("refused"));
}

for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    copyText(button.parentElement.querySelector("code")).then(
      () => { button.textContent = "Copied"; said.textContent = "Copied"; },
      () => { button.textContent = "Select it by hand"; said.textContent = "Copying was refused"; },
    ).finally(() => setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 1600));
  });
}

for (const tools of document.querySelectorAll(".gallery .tools")) {
  tools.hidden = false;
  const gallery = tools.closest(".gallery");
  for (const button of tools.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      gallery.classList.toggle("no-" + button.dataset.hides, !shown);
    });
  }
}

"use strict";
// Building parts of the page. Text only ever becomes a text node, so what a model wrote cannot become markup.

window.report.dom = (() => {
  /** An element with attributes (`on…` are listeners, true and false switch an attribute) and children. */
  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.flat().filter((child) => child !== undefined && child !== ""));
    return node;
  }

  const STATUS = {
    truncated: { sign: "✂", word: "cut off" },
    no_answer: { sign: "∅", word: "no answer" },
    error: { sign: "!", word: "failed" },
  };

  /** How a run fared on a question: a sign that reads without colour, and words for a screen reader. */
  function mark(run, index) {
    const { store } = window.report;
    const right = store.countRight(run, index);
    if (run.samples > 1) {
      const tone = right === 0 ? "wrong" : right === run.samples ? "right" : "partly";
      const words = `${right} of ${run.samples} samples right`;
      return element("span", { class: `mark ${tone}`, title: words, "aria-label": words, role: "img" }, `${right}/${run.samples}`);
    }
    return sampleMark(run, index, 0);
  }

  function sampleMark(run, index, sample) {
    const { store } = window.report;
    const right = store.isRight(run, index, sample);
    const fate = STATUS[store.status(run, index, sample)];
    const words = right ? "right" : fate?.word ?? "wrong";
    const sign = right ? "✓" : fate?.sign ?? "✗";
    return element("span", { class: `mark ${right ? "right" : "wrong"}`, title: words, "aria-label": words, role: "img" }, sign);
  }

  return { element, mark, sampleMark, STATUS };
})();
